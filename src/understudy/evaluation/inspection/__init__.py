"""Inspect a model: its network, the contents of its latents, and faces that are
made up from them."""
