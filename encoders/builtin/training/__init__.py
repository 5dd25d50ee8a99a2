"""Training of the built-in model: data from ordinary packages, minutes to an hour on two CPU cores."""
