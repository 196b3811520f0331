"""From prepared TFDS datasets to batches of arrays on the host."""
