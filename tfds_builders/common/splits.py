"""Split and fold of each image: a property of the dataset version, never random.

Both are a hash of the group that must stay together (the patient, or the set of
near-duplicates), so they do not change when images are added, and are the same on
every machine. Any change here is a new MAJOR version of every dataset.
"""

import hashlib

SPLITS = ("train", "val", "test")
FOLDS = 5
# What stays together in a dataset: `unit` of its metadata.
PATIENTS = "patients"
GROUPS = "near-duplicate groups"
MIXED = "patients or near-duplicate groups"


def fold_of(group: str, folds: int = FOLDS) -> int:
    """The fold 0..folds-1 in which this group is tested."""
    return _hash("fold", group) % folds


def split_of(group: str, fold: int = 0) -> str:
    """'train', 'val' or 'test' when `fold` of five is the test set: 70/10/20 %.

    The default split is therefore fold 0 of the five-fold cross-validation.
    """
    return "test" if fold_of(group) == fold else train_or_val(group)


def train_or_val(group: str) -> str:
    """'val' for one in eight of the groups that are not in test, else 'train'."""
    return "val" if _hash("val", group) % 8 == 0 else "train"


def by_split(items, split, name) -> dict[str, list]:
    """Items of each split; every split has a key, even if it is empty.

    They are ordered by a hash of name(item), so that a part of a split, `train[:10%]`,
    is a fair sample of it whatever the names mean.
    """
    parts = {part: [] for part in SPLITS}
    for item in sorted(
        items, key=lambda item: (_hash("order", name(item)), name(item))
    ):
        parts[split(item)].append(item)
    return parts


def _hash(salt: str, group: str) -> int:
    digest = hashlib.sha256(f"cxr_jax {salt} {group}".encode()).digest()
    return int.from_bytes(digest[:8], "big")
