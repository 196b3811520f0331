"""Training: one loop over one run or many members."""
