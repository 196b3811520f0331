"""Weights that a model begins with: published ones, other frameworks', our own runs'."""
