"""Encoders: raw inputs of each modality become unit vectors in one aligned space."""
