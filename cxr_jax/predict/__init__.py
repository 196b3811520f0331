"""Scores films that belong to no prepared dataset."""
