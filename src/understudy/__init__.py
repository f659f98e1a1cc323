"""Understudy: learn a face, let it stand in for another, and prove what was made."""
