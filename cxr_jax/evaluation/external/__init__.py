"""External validation: every run on the test set of every dataset."""
