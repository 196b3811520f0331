"""A finished run as a bundle: a model for other programs, with all that it needs."""
