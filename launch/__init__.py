"""Sweeps over configs, and tables of their results."""
