import numpy as np

from cxr_jax.data import attributes
from cxr_jax.data.attributes import MISSING, OTHERS


def found(column, name="source"):
    some, left_out = attributes.of_table({name: column}, {})
    return some, left_out[name].why if left_out else ""


def test_text_becomes_categories_and_empty_text_is_missing():
    (one,), _ = found(["A", "", "B", "A", ""], "sex")
    assert one.categories == ("A", "B", MISSING)
    assert one.codes.tolist() == [0, 2, 1, 0, 2]
    assert one.missing.tolist() == [False, True, False, False, True]
    np.testing.assert_array_equal(attributes.features(one), np.eye(3)[[0, 2, 1, 0, 2]])


def test_numbers_with_nan_make_two_attributes():
    ages = np.array([np.nan, *range(20, 33)], np.float32)
    (age, known), _ = found(ages, "age")
    assert age.codes is None and np.isnan(age.numbers[0])
    assert attributes.features(age)[:3, 0].tolist() == [19, 20, 21]
    assert known.name == "age missing"
    assert known.codes.tolist() == [1] + [0] * 13
    (complete,), _ = found(ages[1:], "age")
    assert not complete.missing.any()


def test_few_distinct_numbers_are_categories_and_minus_one_is_missing():
    (bits,), _ = found(np.array([12, 14, 12, -1]), "bits_stored")
    assert bits.categories == ("12", "14", MISSING)
    (offset,), _ = found(np.array([-1, -3, 0, 2]), "offset")
    assert offset.categories == ("-1", "-3", "0", "2")
    assert not offset.missing.any()
    (coloured,), _ = found(np.array([0, 1, np.nan] * 4), "coloured")
    assert coloured.categories == ("0", "1", MISSING)


def test_rare_categories_are_pooled():
    column = [f"v{k}" for k in range(30) for _ in range(30 - k)]
    (one,), _ = found(column)
    assert len(one.categories) == attributes.MOST_CATEGORIES
    assert one.categories[:2] == ("v0", "v1") and one.categories[-1] == OTHERS
    assert one.others == 11
    assert (one.codes == 19).sum() == sum(range(1, 12))


def test_few_urls_are_kept_whole_and_many_become_hosts():
    few = ["https://kaggle.com/a", "https://kaggle.com/b", "", "plain"] * 5
    (one,), _ = found(few)
    assert set(one.categories) == {*few, MISSING} - {""}
    many = [f"https://www.site{k % 3}.org/case/{k}?x=1" for k in range(60)]
    (one,), _ = found(many + ["a book"])
    assert one.categories == ("site0.org", "site1.org", "site2.org", "a book")


def test_identifiers_labels_splits_and_constants_are_left_out_with_a_reason():
    n = 60
    table = {
        "example_id": [str(k) for k in range(n)],
        "study_id": ["s"] * n,
        "fold": np.arange(n) % 5,
        "original_split": ["train", "test"] * (n // 2),
        "label": np.arange(n) % 2,
        "grade": np.arange(n) % 3,
        "global_score": np.arange(n),
        "original_label_1": ["x", "y"] * (n // 2),
        "consensus_mean": np.ones((n, 6)),
        "box": np.ones((n, 4)),
        "note": [f"free text {k}" for k in range(n)],
        "view": ["PA"] * n,
        "sex": [""] * n,
        "country": ["IT", "ES"] * (n // 2),
    }
    some, left_out = attributes.of_table(table, {"label": "NP", "grade": "abc"})
    assert [a.name for a in some] == ["country"]
    assert {name: each.why for name, each in left_out.items()} == {
        "example_id": "identifies the image",
        "study_id": "identifies the image",
        "fold": "names a split",
        "original_split": "names a split",
        **dict.fromkeys(
            ("label", "grade", "global_score", "original_label_1", "consensus_mean"),
            "repeats the label",
        ),
        "box": "has more than one value per image",
        "note": "nearly every image has its own",
        "view": "always PA",
        "sex": "always missing",
    }


def test_a_single_image_has_no_attributes():
    table = {"source": ["a"], "age": np.array([np.nan]), "rows": np.array([512])}
    some, left_out = attributes.of_table(table, {})
    assert not some
    assert {name: each.why for name, each in left_out.items()} == {
        "source": "always a",
        "age": "always missing",
        "rows": "always 512",
    }
    assert attributes.of_pictures(np.array([9]), np.array([8])) == []


def test_shape_of_the_stored_images():
    some = attributes.of_pictures(np.array([100, 100, 50]), np.array([100, 50, 100]))
    assert {a.name: a.categories for a in some} == {
        "stored_height": ("100", "50"),
        "stored_width": ("100", "50"),
        "stored_aspect": ("0.5", "1", "2"),
    }


def test_the_value_of_a_column_that_never_differs_is_kept():
    _, left_out = attributes.of_table({"source": ["always here"] * 9}, {})
    assert left_out["source"].always == "always here"
    _, left_out = attributes.of_table({"note": [f"text {k}" for k in range(60)]}, {})
    assert left_out["note"].always is None
