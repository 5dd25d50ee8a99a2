"""Vector indexes: the protocol, Redis vector sets, and the exact index in memory."""
