"""A slow batch in a process of its own, which a test kills: slow_batch.py FILMS OUTPUT."""

import pathlib
import sys

from scorers import scorer

from cxr_jax.predict import batch

if __name__ == "__main__":
    slow = scorer(batch_size=2, seconds=0.3)
    sys.exit(batch.predict(slow, sys.argv[1:2], pathlib.Path(sys.argv[2]), "off"))
