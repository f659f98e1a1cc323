"""From a model and a film to a film with swapped faces."""
