"""Model and film in, film with the other face out."""
