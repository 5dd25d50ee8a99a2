"""The built-in model: small, openly licensed backbones with towers trained here, useful without a network or a GPU."""
