"""Networks that swap faces, one file each, looked up by name in `models.base`, and the files
that they are kept in. Import from the modules: this package itself loads no torch.

    model = build("swift", 128, ("ada", "chen"))
    latent = model.encode(images)
    image, mask = model.decode(latent, "ada")
"""
