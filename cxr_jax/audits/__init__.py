"""What is wrong with a prepared dataset, before anyone trains on it."""
