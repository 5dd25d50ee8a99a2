"""Damaged events and media, many of them: what a worker makes of what nobody would send on purpose."""
