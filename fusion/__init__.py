"""Retrieval, fusion and ranking: aligned vectors in, explained rankings out."""
