"""Is this file what it says: marks, credentials and records are asked in turn, and one verdict
comes out."""
