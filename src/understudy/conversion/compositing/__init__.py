"""How a drawn face is laid into a frame: pure functions of pictures, meshes and numbers."""
