"""Verify a file: watermark, credentials and records are checked in turn, and one verdict
comes out."""
