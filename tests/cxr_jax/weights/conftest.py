"""parity_cases.py, parity_real.py and record.py are imported by their names alone."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
