"""The public wire: events, topics and their schemas."""
