"""Statistics as functions of weights, and their intervals over patients."""
