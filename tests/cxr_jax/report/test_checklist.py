"""The checklist: every number, no answer that is not known, the values of the run."""

import hashlib
import json
import pathlib

import numpy as np
import pytest

from configs import brixia, common, radiography
from cxr_jax.data import roles, source
from cxr_jax.report import checklist
from cxr_jax.report.material import Material
from cxr_jax.rng import generator
from cxr_jax.stats import bootstrap
from cxr_jax.tasks import make_task

CLAIM, TRIPOD = "CLAIM 2024", "TRIPOD+AI"
SECTIONS = (
    "headline", "curves", "learning", "cases", "data", "audits", "subgroups",
    "provenance", "external", "",
)  # fmt: skip
CLASSES = ("COVID", "Lung_Opacity", "Normal", "Viral Pneumonia")
SIZES = {"train": 200, "val": 80, "test": 120}
# As the articles number their items: 44 of CLAIM, 27 of TRIPOD+AI with 52 parts.
LETTERS = {
    3: "abc", 5: "ab", 6: "abc", 8: "abc", 9: "abc", 12: "abcdefg", 18: "abcdef",
    20: "abc", 23: "ab", 27: "abc",
}  # fmt: skip
METRICS = {
    "test/auroc_macro": {"value": 0.91234, "lo": 0.8771, "hi": 0.9402, "n": 120},
    "test/accuracy": {"value": 0.7333, "lo": 0.6501, "hi": 0.8123, "n": 120},
    "test/sensitivity_COVID": {"value": 0.8765, "lo": 0.7654, "hi": 0.9512, "n": 30},
    "test/specificity_COVID": {"value": 0.9345, "lo": 0.8888, "hi": 0.9711, "n": 90},
    "test/brier": {"value": 0.3456, "lo": 0.2987, "hi": 0.4012, "n": 120},
    "test/brier_tempered": {"value": 0.3211, "lo": 0.2765, "hi": 0.3822, "n": 120},
}
SCORES = {
    "test/mae_zone": {"value": 0.5432, "lo": 0.4987, "hi": 0.5876, "n": 120},
    "test/mae_global": {"value": 1.9876, "lo": 1.7654, "hi": 2.2345, "n": 120},
    "test/mae_global_junior_reader": {"value": 1.353, "lo": 0.8, "hi": 1.9, "n": 120},
}


def _split(dataset, role, columns, names, synthetic):
    """Two images of each patient."""
    size = SIZES[role]
    ids = {
        "example_id": [f"{role}-{k}" for k in range(size)],
        "patient_id": [f"{role}-{k // 2}" for k in range(size)],
    }
    return source.Split(
        dataset,
        role,
        None,
        np.arange(size),
        ids | columns,
        names,
        "patients",
        synthetic,
    )


def _provenance(name):
    return {
        "command": ["main.py", "--config=configs/some.py"],
        "git": {"revision": "0123456789abcdef", "changed": False},
        "python": "3.11.7",
        "packages": {"jax": "0.10.2", "torch": None},
        "device": {"platform": "cpu", "kind": "cpu", "count": 1, "processor": "x86_64"},
        "dataset": {"name": name},
    }


def _material(config, dataset, metrics, decision, columns, names, synthetic):
    task, name = make_task(config.task), f"{config.data.dataset}/1.0.0"
    parts = {
        role: _split(dataset, role, columns(role), names, synthetic) for role in SIZES
    }
    (labels,) = task.targets(parts["test"]).values()
    best = {"step": 77, "metric": f"val/{task.select}", "value": 0.8642}
    results = {
        "metrics": metrics,
        "best": best | {"decision": decision},
        "sizes": {"parameters": 123456}
        | {r: {"images": n, "patients": n // 2} for r, n in SIZES.items()},
        "confusion": {"test": {"classes": list(range(task.levels)),
                               "target_by_called": [[9] * task.levels] * task.levels}},
        "shared_patients": {"train-val": 0, "train-test": 0, "val-test": 0},
        "dataset": name,
        "synthetic": synthetic,
    }  # fmt: skip
    patients = parts["test"].table["patient_id"]
    return Material(
        workdir=pathlib.Path("runs/my run"),
        config=config,
        task=task,
        results=results,
        provenance=_provenance(name),
        history=[],
        evaluations={},
        audit=None,
        model_audit=None,
        metadata={"release": "v5", "unit": "patients", "polarity": "header",
                  "counts": {"unreadable": 3, "none of these": 0}},
        splits=roles.Splits(**parts, description={}),
        labels=labels.reshape(len(labels), -1),
        probs=np.zeros((len(labels), 1, task.levels)),
        counts=bootstrap.weights(patients, 2, 0),
    )  # fmt: skip


@pytest.fixture
def classes():
    """(synthetic) -> the material of a run that tells four classes."""

    def make(synthetic=False):
        def columns(role):
            draw = generator(0, f"checklist {role}")
            return {
                "label": np.arange(SIZES[role]) % 4,
                "sex": [("F", "M", "")[k] for k in draw.integers(0, 3, SIZES[role])],
                "view": [""] * SIZES[role],
            }

        confidence = {"temperature": 1.3579, "vector": {}}
        decision = {"thresholds": [0.5123, 0.2, 0.3, 0.4], "confidence": confidence}
        names = {"label": CLASSES}
        config = radiography.get_config()
        run = (config, "covid_radiography", METRICS, decision)
        return _material(*run, columns, names, synthetic)

    return make


@pytest.fixture
def zones():
    """The material of a run that scores six zones, with two readers."""

    def columns(role):
        draw = generator(0, f"checklist {role}")
        return {"scores": draw.integers(0, 4, (SIZES[role], 6)).astype(np.int32)}

    config = brixia.get_config()
    config.data.dataset = "brixia_public/512"
    decision = {"confidence": {"temperature": 0.9}}
    return _material(config, "brixia_public", SCORES, decision, columns, {}, False)


def _by_number(material):
    return {(i.guideline, i.number): i for i in checklist.items(material)}


def _set(material, **values):
    """The material with other values in its config."""
    config = material.config.copy_and_resolve_references()
    config.update_from_flattened_dict(
        {key.replace("__", "."): value for key, value in values.items()}
    )
    return material._replace(config=config)


def _told(figure):
    return f"{figure['value']:.3f} ({figure['lo']:.3f} to {figure['hi']:.3f})"


def test_every_number_of_both_guidelines_is_there_once_and_in_order(classes, zones):
    claim = [str(k) for k in range(1, 45)]
    tripod = [f"{k}{a}" for k in range(1, 28) for a in LETTERS.get(k, " ")]
    tripod = [number.strip() for number in tripod]
    assert len(tripod) == 52
    for material in (classes(), classes(synthetic=True), zones):
        found = [(i.guideline, i.number) for i in checklist.items(material)]
        assert found == [(CLAIM, n) for n in claim] + [(TRIPOD, n) for n in tripod]


def test_every_item_says_something_and_points_to_a_section(classes, zones):
    for material in (classes(), classes(synthetic=True), zones):
        for item in checklist.items(material):
            assert item.status in ("answered", "partly", "open")
            assert item.answer.endswith(".") or "python -m" in item.answer, item
            assert item.topic and item.section and item.section_link in SECTIONS
            assert "nan" not in item.answer.split() and "None." not in item.answer[5:]
            assert "  " not in item.answer, item


def test_counts_are_those_of_the_items(classes):
    items = checklist.items(classes())
    counts = checklist.counts(items)
    assert list(counts) == [CLAIM, TRIPOD]
    assert (sum(counts[CLAIM]), sum(counts[TRIPOD])) == (44, 52)
    is_open = [i for i in items if i.guideline == CLAIM and i.status == "open"]
    assert counts[CLAIM][2] == len(is_open) > 0


def test_what_only_a_person_knows_stays_open(classes, zones):
    for material in (classes(), zones):
        items = _by_number(material)
        for number in ("1", "2", "3", "4", "5", "6", "15", "21", "34", "41", "44"):
            assert items[CLAIM, number].status == "open", number
        for number in ("1", "2", "3c", "5b", "6a", "6c", "8c", "10", "17", "18a", "18b",
                       "18c", "18d", "19", "25", "27a", "27b", "27c"):  # fmt: skip
            assert items[TRIPOD, number].status == "open", number


def test_values_are_those_of_results_json(classes):
    items = _by_number(classes())
    for number in ("32", "37"):
        for metric in ("auroc_macro", "accuracy"):
            assert (
                f"{metric} {_told(METRICS[f'test/{metric}'])}"
                in items[CLAIM, number].answer
            )
    rates = items[CLAIM, "38"].answer
    assert (
        f"sensitivity_COVID {_told(METRICS['test/sensitivity_COVID'])}, n 30" in rates
    )
    assert (
        f"specificity_COVID {_told(METRICS['test/specificity_COVID'])}, n 90" in rates
    )
    updated = items[TRIPOD, "24"].answer
    assert _told(METRICS["test/brier"]) in updated
    assert _told(METRICS["test/brier_tempered"]) in updated
    assert "1.358" in items[TRIPOD, "12f"].answer  # the temperature
    assert "COVID 0.512" in items[TRIPOD, "15"].answer  # the threshold
    assert "123,456 parameters" in items[CLAIM, "22"].answer
    assert (
        "step 77" in items[CLAIM, "26"].answer and "0.864" in items[CLAIM, "26"].answer
    )
    assert "unreadable: 3" in items[CLAIM, "35"].answer
    assert "none of these" not in items[CLAIM, "35"].answer
    assert "test 120 images of 60 patients" in items[CLAIM, "19"].answer
    assert "COVID 30" in items[TRIPOD, "21"].answer  # of 120, in turn one of four


def test_two_readers_are_told_and_one_reader_is_not(classes, zones):
    told = _by_number(zones)[CLAIM, "18"]
    assert told.status == "partly"
    assert _told(SCORES["test/mae_global_junior_reader"]) in told.answer
    assert _by_number(classes())[CLAIM, "18"].status == "open"
    assert "22 years of experience" in _by_number(zones)[TRIPOD, "8b"].answer


def test_synthetic_films_are_said_to_be_synthetic(classes):
    real, drawn = _by_number(classes()), _by_number(classes(synthetic=True))
    for number in ("7", "32", "35", "36", "37", "38"):
        assert "SYNTHETIC" in drawn[CLAIM, number].answer, number
    assert not any("SYNTHETIC" in item.answer for item in real.values())
    # What is known of the real release says nothing of drawn films.
    assert "10.1109/ACCESS.2020.3010287" in real[CLAIM, "7"].answer
    assert "10.1109" not in json.dumps([i.answer for i in drawn.values()])


def test_an_external_test_answers_its_item(classes):
    material = classes()
    item = _by_number(material)[CLAIM, "33"]
    assert item.status == "open" and "--eval_on=DATASET:test" in item.answer
    assert "--workdir='runs/my run'" in item.answer
    own = {"dataset": "covid_radiography/256/1.0.0", "metrics": {}, "synthetic": False}
    again = material._replace(evaluations={"covid_radiography_256-test": own})
    assert _by_number(again)[CLAIM, "33"].status == "open"
    figure = {"value": 0.6543, "lo": 0.5432, "hi": 0.7654, "n": 37}
    other = {
        "dataset": "covidgr/512/1.0.0",
        "metrics": {"test/auroc_macro": figure, "test/other": figure},
        "synthetic": False,
    }
    items = _by_number(material._replace(evaluations={"covidgr-test": other}))
    assert items[CLAIM, "33"].status == "answered"
    assert (
        f"covidgr/512/1.0.0: auroc_macro {_told(figure)}, n 37."
        in items[CLAIM, "33"].answer
    )
    assert items[TRIPOD, "23b"].status == items[TRIPOD, "12d"].status == "answered"
    assert "covidgr/512/1.0.0" in items[TRIPOD, "16"].answer
    assert "No test on data from elsewhere" not in items[CLAIM, "40"].answer


def test_an_audit_answers_its_items(classes):
    material = classes()
    items = _by_number(material)
    for number in ("30", "31"):
        assert items[CLAIM, number].status == "open"
        assert "--mode=audit --checkpoint='runs/my run'" in items[CLAIM, number].answer
    lines = ["Robustness: it loses most.", "Looking, Grad-CAM: lungs.",
             "Shortcuts, border only: SHORTCUT: no lung."]  # fmt: skip
    audit = {"findings": [{"text": "7 images are copies"}]}
    material = material._replace(model_audit={"verdicts": lines}, audit=audit)
    items = _by_number(material)
    assert items[CLAIM, "30"].answer == lines[0]
    assert items[CLAIM, "31"].answer == lines[1]
    assert lines[2] in items[CLAIM, "40"].answer
    assert "7 images are copies" in items[TRIPOD, "7"].answer
    assert {items[CLAIM, "30"].status, items[TRIPOD, "7"].status} == {"answered"}


def test_groups_of_people_are_told_where_they_can_be_compared(classes):
    material = classes()
    items = _by_number(material)
    assert items[TRIPOD, "23a"].status == "answered"  # 120 images, sexes drawn
    assert "sex (3 groups)" in items[TRIPOD, "14"].answer
    assert items[CLAIM, "13"].status == "open"  # a column of views, but none known
    women = np.array([sex == "F" for sex in material.splits.test.table["sex"]])
    assert f"F {women.sum()}" in items[CLAIM, "36"].answer
    test = material.splits.test
    unknown = test._replace(table=test.table | {"sex": [""] * test.size})
    items = _by_number(material._replace(splits=material.splits._replace(test=unknown)))
    assert items[TRIPOD, "14"].status == "open"
    assert items[TRIPOD, "23a"].status == items[TRIPOD, "20c"].status == "partly"


def test_a_group_without_some_class_is_not_called_compared(classes):
    material = classes()
    test = material.splits.test
    sexes = ["M" if label == 0 else "F" for label in test.table["label"]]
    split = test._replace(table=test.table | {"sex": sexes})
    items = _by_number(material._replace(splits=material.splits._replace(test=split)))
    assert items[TRIPOD, "14"].status == "open"
    assert items[TRIPOD, "23a"].status == "partly"


def test_parts_are_disjoint_by_patients_or_not_said_to_be(classes):
    material = classes()
    assert _by_number(material)[CLAIM, "20"].status == "answered"
    split = material.splits.test._replace(unit="near-duplicate groups")
    results = material.results | {
        "shared_patients": {"train-val": 0, "train-test": 4, "val-test": 0},
        "sizes": {
            role: {"images": 2, "near-duplicate groups": 2} for role in roles.ROLES
        }
        | {"parameters": 1},
    }
    grouped = material._replace(splits=material.splits._replace(test=split))
    item = _by_number(grouped._replace(results=results))[CLAIM, "20"]
    assert item.status == "partly" and "4 in train-test" in item.answer
    assert "NOT disjoint" in item.answer


def test_how_it_was_split_is_said_as_the_config_has_it(classes):
    material = classes()
    item = _by_number(material)[CLAIM, "19"]
    assert item.status == "answered" and "hash of patient_id" in item.answer
    item = _by_number(_set(material, data__fold=3))[CLAIM, "19"]
    assert item.status == "answered" and "fold 3 of five" in item.answer
    item = _by_number(_set(material, data__dataset="x/512_original_split"))[CLAIM, "19"]
    assert item.status == "partly" and "not ours" in item.answer
    item = _by_number(_set(material, data__train="train[:25%]"))[CLAIM, "10"]
    assert "train is 'train[:25%]'" in item.answer


def test_code_that_is_not_known_leaves_the_model_partly_answered(classes):
    material = classes()
    assert _by_number(material)[CLAIM, "22"].status == "answered"
    assert "0123456789abcdef" in _by_number(material)[TRIPOD, "18f"].answer
    for git in (
        {"revision": None, "changed": None},
        {"revision": "0", "changed": True},
    ):
        changed = material._replace(provenance=material.provenance | {"git": git})
        assert _by_number(changed)[CLAIM, "22"].status == "partly"
    later = {"git": {"revision": "fedcba9876543210", "changed": False}}
    resumed = material._replace(provenance=material.provenance | {"resumed": [later]})
    item = _by_number(resumed)[CLAIM, "22"]
    assert item.status == "partly" and "ran on other code" in item.answer
    assert "Begun anew 1 time" in _by_number(resumed)[CLAIM, "23"].answer


def test_initial_weights_are_named_with_their_digest(classes, tmp_path):
    material = classes()
    item = _by_number(material)[CLAIM, "24"]
    assert item.status == "answered" and "seed 0" in item.answer
    path = tmp_path / "weights.npz"
    path.write_bytes(b"weights")
    item = _by_number(_set(material, init_from=str(path)))[CLAIM, "24"]
    assert item.status == "partly"
    assert hashlib.sha256(b"weights").hexdigest() in item.answer
    path.unlink()
    item = _by_number(_set(material, init_from=str(path)))[CLAIM, "24"]
    assert "no longer there" in item.answer and item.status == "partly"


def test_without_resamples_no_interval_is_promised(classes):
    items = _by_number(_set(classes(), resamples=0))
    assert items[CLAIM, "29"].status == "open"
    assert items[TRIPOD, "23a"].status == "partly"


def test_imbalance_is_told_as_the_loss_has_it(classes, zones):
    assert "inverse of their frequency" in _by_number(classes())[TRIPOD, "13"].answer
    plain = _by_number(_set(classes(), task__settings__balanced=False))[TRIPOD, "13"]
    assert plain.status == "answered" and plain.answer.startswith("Nothing was done")
    focal = _by_number(_set(classes(), task__loss="focal"))[TRIPOD, "13"]
    assert "focal loss, gamma 2" in focal.answer
    assert _by_number(zones)[TRIPOD, "13"].answer.startswith("Nothing was done")


def test_the_positive_class_alone_has_a_threshold_where_there_are_two(classes):
    material = classes()
    config = radiography.get_config("binary")
    decision = {"thresholds": [0.7, 0.2468], "confidence": {}}
    figure = {"value": 0.8123, "lo": 0.75, "hi": 0.87, "n": 120}
    results = material.results | {
        "best": material.results["best"] | {"decision": decision},
        "metrics": {"test/auroc": figure},
    }
    binary = material._replace(
        config=config, results=results, task=make_task(config.task)
    )
    items = _by_number(binary)
    assert f"auroc {_told(figure)}" in items[CLAIM, "21"].answer
    answer = items[TRIPOD, "15"].answer
    assert "at it or above COVID is called" in answer
    assert "COVID 0.247" in answer and "0.700" not in answer


def test_tasks_without_probabilities_have_a_checklist_too(zones):
    config = zones.config.copy_and_resolve_references()
    common.use_task(config, "segment", "dice_bce")
    dice = {"value": 0.9, "lo": 0.88, "hi": 0.92, "n": 120}
    best = {"step": 5, "metric": "val/dice", "value": 0.9, "decision": {}}
    results = zones.results | {
        "metrics": {"test/dice": dice},
        "best": best,
        "confusion": {"test": {}},
    }
    masks = zones._replace(
        config=config,
        task=make_task(config.task),
        results=results,
        labels=None,
        probs=None,
    )
    items = _by_number(masks)
    assert f"dice {_told(dice)}" in items[CLAIM, "37"].answer
    for number in ("30", "31", "39"):
        assert items[CLAIM, number].status == "open"
    assert items[TRIPOD, "24"].answer == "Nothing was recalibrated."


def test_every_dataset_says_where_it_is_from_and_under_which_licence(zones):
    from tfds_builders import DATASETS

    for name in DATASETS:
        split = zones.splits.test._replace(dataset=name)
        material = zones._replace(splits=zones.splits._replace(test=split))
        assert checklist.readme(material), name
        assert checklist.readme(material, "Licence"), name
        assert checklist.readme(material, "Splits"), name
        faults = checklist.readme(material, "Known faults")
        assert faults and not any(mark in "".join(faults) for mark in ("**", "]("))
        assert checklist.citations(material) or name == "image_folder", name
