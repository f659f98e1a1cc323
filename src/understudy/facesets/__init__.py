"""Footage to faceset: footage is copied in, scanned and cropped, the person's tracks are
chosen, and pictures and index are written."""
