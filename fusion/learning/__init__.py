"""Learning how to fuse, from judged queries or from clicks. The one room of fusion that uses torch, when it trains."""
