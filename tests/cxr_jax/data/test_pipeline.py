import grain
import numpy as np
import pytest

from cxr_jax import rng
from cxr_jax.data import builders, decode, fitting, pipeline
from cxr_jax.data.split import by_fold
from cxr_jax.devices import processes


class Numbers:
    """Stands in for Examples: every image is its own index."""

    def __init__(self, size):
        self.size = size

    def __len__(self):
        return self.size

    def batch(self, indices):
        images = np.broadcast_to(indices[:, None, None, None], (len(indices), 2, 2, 1))
        return {"image": images.astype(np.uint16), "index": indices.astype(np.int32)}


def take(iterator, n):
    return [next(iterator)["index"].tolist() for _ in range(n)]


def train(size=10, batch=4, seed=0, start=0):
    return pipeline.train_batches(
        Numbers(size), batch_size=batch, seed=seed, start=start
    )


def test_every_epoch_is_a_new_permutation():
    order = np.concatenate(take(train(size=12), 6)).reshape(2, 12)
    assert [sorted(epoch) for epoch in order.tolist()] == [list(range(12))] * 2
    assert order[0].tolist() != order[1].tolist()
    assert order[0].tolist() != list(range(12))


def test_batch_i_depends_only_on_seed_and_i():
    unbroken = take(train(), 9)
    assert take(train(), 9) == unbroken
    assert take(train(start=5), 4) == unbroken[5:]
    assert take(train(seed=1), 9) != unbroken


# Of version 0.1.0. Other numbers here mean that a run that was begun with an earlier
# version goes on with other batches: say so in CHANGELOG.md, or mend it.
FIRST_BATCHES = {
    (10, 4, 0): [[2, 4, 9, 0], [8, 3, 6, 1], [5, 7, 3, 2], [5, 7, 0, 1], [8, 4, 9, 6]],
    (10, 4, 1): [[2, 7, 0, 4], [1, 3, 6, 5], [9, 8, 9, 8], [0, 2, 7, 5], [3, 6, 4, 1]],
    (7, 3, 5): [[1, 0, 3], [2, 5, 6], [4, 2, 0], [1, 3, 5], [6, 4, 3], [2, 0, 6]],
}


@pytest.mark.parametrize("size, batch, seed", FIRST_BATCHES)
def test_the_order_has_not_changed_since_the_first_version(size, batch, seed):
    expected = FIRST_BATCHES[size, batch, seed]
    assert take(train(size, batch, seed), len(expected)) == expected


@pytest.fixture(scope="module")
def split(brixia_data):
    builder = builders.open_builder("brixia/256", str(brixia_data))
    whole = builders.load(builder, "all")
    return by_fold(whole, 1)["train"]


def one_by_one(split, targets, size, square):
    """Examples as grain itself would read them, one by one."""
    return [
        {
            "image": decode.image(split.read(int(row))["image"], size, square),
            **{name: column[i] for name, column in targets.items()},
        }
        for i, row in enumerate(split.rows)
    ]


def same(one, other):
    assert set(one) == set(other)
    for name, column in one.items():
        assert column.dtype == other[name].dtype
        np.testing.assert_array_equal(column, other[name])


@pytest.mark.parametrize("square", fitting.SQUARES)
def test_batches_match_grain_record_by_record(split, square):
    targets = {
        "scores": split.table["scores"].astype(np.int32),
        "age": split.table["age_bin"].astype(np.float32),
    }
    records = grain.MapDataset.source(one_by_one(split, targets, 40, square))
    order = int(rng.generator(3, "shuffle").integers(2**31))
    theirs = iter(records.seed(order).shuffle().repeat().batch(7)[5:].to_iter_dataset())
    examples = pipeline.Examples(split, targets, size=40, square=square)
    ours = pipeline.train_batches(examples, batch_size=7, seed=3, start=5)
    for _ in range(12):
        same(next(ours), next(theirs))
    whole, last = divmod(split.size, 7)
    batches = list(pipeline.eval_batches(examples, batch_size=7))
    for (index, batch), expected in zip(batches, records.batch(7), strict=True):
        found = len(expected["image"])
        assert (index >= 0).sum() == found
        same({name: column[:found] for name, column in batch.items()}, expected)
    assert last and len(batches) == whole + 1


def test_batches_are_full_even_if_larger_than_the_split():
    assert [len(batch) for batch in take(train(size=3, batch=8), 3)] == [8, 8, 8]


@pytest.mark.parametrize("size", [1, 7, 8, 9])
@pytest.mark.parametrize("batch", [1, 4, 8])
def test_evaluation_sees_every_example_once_in_order(size, batch):
    batches = list(pipeline.eval_batches(Numbers(size), batch_size=batch))
    index = np.concatenate([positions for positions, _ in batches])
    assert index[index >= 0].tolist() == list(range(size))
    assert {len(b["image"]) for _, b in batches} == {batch}
    for positions, b in batches:
        real = positions >= 0
        assert b["image"][real, 0, 0, 0].tolist() == positions[real].tolist()


def test_positions_are_in_the_order_of_the_batches():
    order = pipeline.order(10, batch_size=4, seed=3)
    for i, batch in enumerate(take(train(seed=3), 7)):
        assert order[i].tolist() == batch


def test_parts_of_all_processes_make_up_the_batch(monkeypatch):
    whole = take(train(size=12, batch=6), 5)
    parts = []
    for index in range(3):
        monkeypatch.setattr(processes, "_count", 3)
        monkeypatch.setattr(processes, "_index", index)
        parts.append(take(train(size=12, batch=6), 5))
    assert [a + b + c for a, b, c in zip(*parts, strict=True)] == whole
