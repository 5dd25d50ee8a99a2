"""Bytes to pictures, sounds and clips, within limits: everything here reads what strangers sent."""
