"""Vocabulary, settings and exceptions shared by every room; imports nothing of ours and no heavy library."""
