"""One modality each: how a kind of input becomes a vector of the aligned space."""
