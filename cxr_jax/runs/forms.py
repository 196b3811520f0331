"""What the files of a run have to hold; see `tfds_builders.common.forms`."""

from __future__ import annotations

from tfds_builders.common.forms import REAL, Each

ESTIMATE = {
    "value": (*REAL, None),
    "lo": (*REAL, None),
    "hi": (*REAL, None),
    "n": int,
    "reason?": str,
}
# Of best.json; whether it is whole, the checkpoint tells.
NOTED = {"step": int, "metric?": str, "value?": REAL, "loss?": REAL, "decision?": dict}
BEST = {**NOTED, "decision": dict}
_SIZE = Each(int, ("images",))
_COUNTS = Each(int)
# Of results.json, as far as all readers need it, and whole.
FINISHED = {"best": BEST, "metrics?": Each(ESTIMATE)}
RESULTS = {
    "metrics": Each(ESTIMATE),
    "best_step": int,
    "best": {**BEST, "metric": str, "value": REAL},
    "sizes": {"parameters": int, "train": _SIZE, "val": _SIZE, "test": _SIZE},
    "confusion": Each((dict, None)),
    "shared_patients": _COUNTS,
    "dataset": str,
    "synthetic": bool,
}
EVALUATION = {
    "metrics": Each(ESTIMATE),
    "best?": {**BEST, "metric": str, "value": REAL},
    "sizes": Each(_SIZE),
    "shared_patients?": _COUNTS,
    "external?": bool,
    "merge?": str,
    "dataset": str,
    "synthetic": bool,
    "provenance?": dict,
}
METRICS = {"metrics": Each(ESTIMATE)}
_ROLE = {"images": int, "sha256": str}
_DATASET = {"roles": {"train?": _ROLE, "val": _ROLE, "test": _ROLE}, "name?": str}
PROVENANCE = {
    "dataset": _DATASET,
    "command?": list,
    "git?": {"revision": (str, None), "changed": (bool, None)},
    "python?": str,
    "packages?": Each((str, None)),
    "device?": {"platform": str, "kind": str, "count": int},
    "config?": {"file?": (str, None), "overrides?": dict},
    "resumed?": list,
}
