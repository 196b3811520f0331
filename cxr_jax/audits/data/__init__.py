"""The audit of prepared datasets, before anyone trains on them."""
