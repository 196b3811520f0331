"""The content of a prepared dataset, as its readers get it."""

import collections

import pytest


def examples(builder, key="example_id") -> dict:
    """{example_id: (split, example)}; or by another text feature."""
    return {
        example[key].decode(): (split, example)
        for split in builder.info.splits
        for example in builder.as_data_source(split)
    }


def patients(stored) -> dict[str, set]:
    """Names of the images of each patient_id, of `examples`."""
    names = collections.defaultdict(set)
    for name, (_, example) in stored.items():
        names[example["patient_id"].decode()].add(name)
    return names


def counts(builder) -> collections.Counter:
    """The counts in its metadata by key; 0 if there is none."""
    return collections.Counter(builder.info.metadata["counts"])


def needs(folder):
    """Skips a test of real images if their folder is not on this disk."""
    reason = f"{folder.name} is not in shared/data"
    return pytest.mark.skipif(not folder.exists(), reason=reason)
