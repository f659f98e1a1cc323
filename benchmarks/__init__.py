"""Measurements; `python -m benchmarks` makes all of them and prints the table."""
