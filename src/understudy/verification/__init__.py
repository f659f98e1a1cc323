"""Verify a file: watermark, credentials and records are checked in turn, and give
one verdict."""
