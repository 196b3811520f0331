"""The folder of a run: checkpoints, results, predictions, provenance, logs."""
