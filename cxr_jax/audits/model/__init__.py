"""The shortcut and robustness audit of a trained model."""
