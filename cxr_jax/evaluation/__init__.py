"""What finished runs are worth: evaluated, compared, averaged, pooled, tested elsewhere."""
