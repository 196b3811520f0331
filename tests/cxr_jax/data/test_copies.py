import collections
import itertools

import numpy as np
import pytest
import toys
from hypothesis import given, settings
from hypothesis import strategies as st

from cxr_jax.data import copies
from cxr_jax.data.copies import Bundle, Link
from tfds_builders.common.duplicates.fingerprints import fingerprint, pixel_hash
from tfds_builders.common.duplicates.pairs import Pair


@pytest.fixture(scope="module")
def collection():
    """0-4 alone; 5, 9 the same as 1; 6 nearly 2; 7, 8 blank; 10 nearly 1, mirrored."""
    shown = [toys.film(k) for k in range(5)]
    blank = np.zeros((50, 40), np.uint8)
    shown += [shown[1], toys.jpeg_copy(shown[2]), blank, blank, shown[1]]
    return [*shown, toys.jpeg_copy(shown[1])[:, ::-1]]


def find(shown):
    return copies.find(
        np.array([pixel_hash(p) for p in shown]),
        np.stack([fingerprint(p) for p in shown]),
        np.array([p.min() == p.max() for p in shown]),
    )


@pytest.fixture(scope="module")
def bundles(collection):
    return find(collection)


def test_planted_copies_are_found_and_blank_images_ignored(collection, bundles):
    links = list(copies.links(bundles))
    found = {(k.left, k.right): (k.identical, k.mirrored) for k in links}
    assert found == {
        (1, 5): (True, False),
        (1, 9): (True, False),
        (5, 9): (True, False),
        (1, 10): (False, True),
        (5, 10): (False, True),
        (9, 10): (False, True),
        (2, 6): (False, False),
    }
    assert all(link.correlation == 1 for link in links if link.identical)
    assert all(0.86 < link.correlation < 1.001 for link in links if not link.identical)
    assert find([collection[7]]) == find([collection[7]] * 2) == []


def test_overlaps_of_the_planted_copies(bundles):
    part = np.array([0, 0, 0, 0, 0, 1, 1, 0, 1, 1, -1])
    found = copies.overlaps(bundles, part)
    told = {k: (v.identical.tolist(), v.near.tolist()) for k, v in found.items()}
    assert told == {
        (0, 1): ([1], [2]),
        (1, 0): ([5, 9], [6]),
        (1, 1): ([5, 9], []),
    }


@settings(max_examples=40, deadline=None)
@given(data=st.data(), n=st.integers(2, 12))
def test_overlaps_match_a_search_over_all_pairs(data, n):
    hashes = np.array(data.draw(st.lists(st.integers(0, 5), min_size=n, max_size=n)))
    part = np.array(data.draw(st.lists(st.integers(-1, 2), min_size=n, max_size=n)))
    values = np.unique(hashes)
    alike = [
        (a, b)
        for a, b in itertools.combinations(range(len(values)), 2)
        if data.draw(st.booleans())
    ]
    with pytest.MonkeyPatch.context() as patch:
        found = [Pair(a, b, 0.9, False) for a, b in alike]
        patch.setattr(copies.pairs, "pairs", lambda prints: found)
        bundles = copies.find(hashes, np.zeros((n, 1)), np.zeros(n, bool))
    expected = collections.defaultdict(lambda: (set(), set()))
    pairs = 0
    near = {tuple(sorted((values[a], values[b]))) for a, b in alike}
    for i, j in itertools.permutations(range(n), 2):
        same = hashes[i] == hashes[j]
        if same or tuple(sorted((hashes[i], hashes[j]))) in near:
            pairs += 1
            if part[i] >= 0 and part[j] >= 0:
                expected[part[i], part[j]][0 if same else 1].add(i)
    found = copies.overlaps(bundles, part)
    assert {k: (set(v.identical), set(v.near)) for k, v in found.items()} == {
        k: (same, nearly - same) for k, (same, nearly) in expected.items()
    }
    assert copies.number(bundles) == len(list(copies.links(bundles))) == pairs // 2


def test_a_very_frequent_image_is_listed_a_hundred_times():
    bundles = copies.find(["x"] * 200, np.zeros((200, 9216), np.int8), [False] * 200)
    many = np.arange(200)
    np.testing.assert_array_equal(bundles[0].one, many)
    assert len(bundles) == 1
    assert copies.number(bundles) == 200 * 199 // 2
    assert len(list(copies.links(bundles))) == 100
    link = Link(0, 200, False, 0.95, True)
    both = [*bundles, Bundle(many, np.array([200, 201]), link)]
    assert copies.number(both) == 200 * 199 // 2 + 400
    listed = list(copies.links(both))[100:]
    assert len(listed) == 100
    assert listed[1] == link._replace(right=201)
