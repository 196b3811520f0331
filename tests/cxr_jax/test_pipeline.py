import numpy as np
import pytest

from cxr_jax.data import pipeline


class Numbers:
    """Stands in for Examples: the picture is its own index."""

    def __init__(self, size):
        self.size = size

    def __len__(self):
        return self.size

    def __getitem__(self, i):
        return {"image": np.full((2, 2, 1), i, np.uint16), "index": np.int32(i)}


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


def test_batch_i_depends_on_seed_and_i_alone():
    unbroken = take(train(), 9)
    assert take(train(), 9) == unbroken
    assert take(train(start=5), 4) == unbroken[5:]
    assert take(train(seed=1), 9) != unbroken


def test_batches_are_full_even_if_larger_than_the_split():
    assert [len(batch) for batch in take(train(size=3, batch=8), 3)] == [8, 8, 8]


@pytest.mark.parametrize("size", [1, 7, 8, 9])
@pytest.mark.parametrize("batch", [1, 4, 8])
def test_evaluation_sees_every_example_once_in_order(size, batch):
    batches = list(pipeline.eval_batches(Numbers(size), batch_size=batch))
    index = np.concatenate([b["index"] for b in batches])
    assert index[index >= 0].tolist() == list(range(size))
    assert {len(b["image"]) for b in batches} == {batch}
    for b in batches:
        real = b["index"] >= 0
        assert b["image"][real, 0, 0, 0].tolist() == b["index"][real].tolist()
