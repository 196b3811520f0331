"""Reproducers of what compilers lack, to be filed with them."""
