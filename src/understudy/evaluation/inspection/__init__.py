"""A look into a model: what its network is made of, what its latents hold, and faces that are
made up from them."""
