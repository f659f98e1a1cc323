"""How a drawn face is blended into a frame: pure functions of pictures, meshes and numbers."""
