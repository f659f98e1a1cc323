"""The visible label: words burnt into the picture, and how they are drawn."""
