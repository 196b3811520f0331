"""TFDS builders for chest X-ray releases. Imports no jax; usable alone."""
