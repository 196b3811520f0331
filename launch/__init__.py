"""Sweeps over configs, and tables of what came out."""
