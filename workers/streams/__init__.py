"""The three workers: plain handlers, delivery, media fetching, metrics and the thin Faust agents."""
