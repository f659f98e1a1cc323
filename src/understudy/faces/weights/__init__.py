"""Third-party weights: which there are, where they come from and under which licence, and how
they are fetched and checked."""
