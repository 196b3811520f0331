"""Everything that has a goal on a GPU, in one call: python -m benchmarks.gpu."""
