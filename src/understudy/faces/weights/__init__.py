"""Third-party weights: a list with origin and licence, and how
they are fetched and checked."""
