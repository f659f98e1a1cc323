"""Networks compared: the same people, the same budget, the same held-out film, and one table."""
