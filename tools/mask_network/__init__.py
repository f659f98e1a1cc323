"""How the shipped network that sees what lies in front of a face is made."""
