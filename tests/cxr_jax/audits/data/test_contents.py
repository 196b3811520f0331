import numpy as np
import toys

from cxr_jax.audits.data import contents, target
from cxr_jax.data import fingerprints


def described(one):
    return contents.describe(one, fingerprints.read(one.splits.values()))


def test_classes_sizes_and_missing_values():
    names = [f"a{k}" for k in range(4)]
    columns = {
        "sex": ["M", "", "F", ""],
        "age": np.array([30.0, np.nan, 40, 50]),
        "age_bin": np.array([-1, 3, 4, 5]),
        "consensus_mean": np.array([[1.0] * 6, [np.nan] * 6, [2.0] * 6, [0.0] * 6]),
    }
    table = toys.rows(names, ["p", "p", "q", "r"], labels=[1, 1, 0, -1], **columns)
    shown = toys.drawn(table)
    shown[0] = np.full((50, 60), 255, np.uint8)
    found = described(toys.make_dataset({"train": table}, {"train": shown}))
    assert found["splits"] == {
        "train": {
            "images": 4,
            "patients": 3,
            "classes": {"N": 1, "P": 2},
            "no label": 1,
        }
    }
    assert found["missing"] == {
        "age": 1,
        "age_bin": 1,
        "consensus_mean": 1,
        "sex": 2,
        "label": 1,
    }
    of = found["pictures"]
    assert of["type"] == {"uint8": 4} and of["sizes"] == 2 and of["blank"] == 1
    assert of["height"] == {"min": 50, "median": 96, "max": 96}
    assert of["share_at_highest_value"]["max"] == 1


def test_scores_by_zone():
    table = toys.rows(["a", "b", "c"], scores=np.array([[0, 1, 2, 3, 0, 0]] * 3))
    table["scores"][2] = [3, 3, 3, 3, 3, -1]
    del table["label"]
    one = toys.make_dataset({"test": table}, classes=())
    found = described(one)["splits"]["test"]
    assert found["score"] == {"mean": 6.0, "sd": 0.0}
    assert found["zones"]["A"] == [2, 0, 0, 0]
    assert found["zones"]["D"] == [0, 0, 0, 2]
    assert found["no label"] == 1


def test_the_target_is_the_class_then_the_zones_then_the_score_then_nothing():
    scores = np.array([[0, 0, 0, 0, 0, k] for k in range(4)])
    table = {"label": np.array([1, 0, 1, -1]), "scores": scores}
    table["global_score"] = np.array([5, 6, 7, -1])
    one = target.of_columns(table, {"label": ("N", "P")})
    assert (one.name, one.classes) == ("label", ("N", "P"))
    assert one.index.tolist() == [1, 0, 1, -1] and one.score is None
    one = target.of_columns(table, {})
    assert one.classes == ("score <= 1.5", "score > 1.5")
    assert one.index.tolist() == [0, 0, 1, 1]
    assert one.score.tolist() == [0, 1, 2, 3]
    del table["scores"]
    one = target.of_columns(table, {})
    assert one.index.tolist() == [0, 0, 1, -1] and one.zones is None
    none = target.of_columns({"label": table["label"]}, {})
    assert none.name == "" and none.index.tolist() == [-1] * 4
    unknown = target.of_columns({"global_score": np.array([np.nan] * 2)}, {})
    assert unknown.index.tolist() == [-1, -1]
