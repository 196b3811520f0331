"""The checklist: every item, only known answers, and the values of the run."""

import hashlib
import json
import pathlib

import numpy as np
import pytest

from configs import brixia, common, radiography
from cxr_jax.audits import verdicts
from cxr_jax.data import roles
from cxr_jax.data.split import Split
from cxr_jax.report import checklist
from cxr_jax.report.material import Material
from cxr_jax.rng import generator
from cxr_jax.stats import bootstrap
from cxr_jax.stats.estimate import Estimate
from cxr_jax.tasks import make_task
from tfds_builders.common import card

CLAIM, TRIPOD, STARD, PROBAST = "CLAIM 2024", "TRIPOD+AI", "STARD-AI", "PROBAST+AI"
SECTIONS = (
    "headline", "performance", "learning", "cases", "data", "audits", "subgroups",
    "provenance", "external", "",
)  # fmt: skip
CLASSES = ("COVID", "Lung_Opacity", "Normal", "Viral Pneumonia")
SIZES = {"train": 200, "val": 80, "test": 120}
# As the articles number their items: {item: its parts}.
PARTS = {
    CLAIM: (44, {}),
    TRIPOD: (
        27,
        {
            3: "abc",
            5: "ab",
            6: "abc",
            8: "abc",
            9: "abc",
            12: "abcdefg",
            18: "abcdef",
            20: "abc",
            23: "ab",
            27: "abc",
        },
    ),
    STARD: (40, {15: "abcd", 16: "abc", 17: "ab", 26: "ab", 40: "ab"}),
}
# Questions in the four domains, of the development and of the evaluation.
DOMAINS = {"D": (3, 4, 4, 5), "E": (3, 4, 4, 7)}
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
METADATA = {
    "release": "v5", "unit": "patients", "polarity": "header",
    "counts": {"files_unreadable": 3, "patients_from_file_names": 0},
}  # fmt: skip


def _split(dataset, role, columns, names, synthetic):
    """Two images of each patient."""
    size = SIZES[role]
    ids = {
        "example_id": [f"{role}-{k}" for k in range(size)],
        "patient_id": [f"{role}-{k // 2}" for k in range(size)],
    }
    return Split(
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
        "command": ["main.py", "--config", "configs/some.py"],
        "config": {"file": "configs/some.py", "overrides": {"optim.lr": 0.01}},
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
        card=card.load(dataset),
        splits=roles.Splits(**parts, description={}, metadata=METADATA),
        labels=labels.reshape(len(labels), -1),
        probs=np.zeros((len(labels), 1, task.levels)),
        counts=bootstrap.weights(patients, 2, 0),
    )  # fmt: skip


@pytest.fixture
def classes():
    """(synthetic) -> the material of a run with four classes."""

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
    """The material with changed values in its config."""
    config = material.config.copy_and_resolve_references()
    config.update_from_flattened_dict(
        {key.replace("__", "."): value for key, value in values.items()}
    )
    return material._replace(config=config)


def _told(figure):
    return f"{figure['value']:.3f} ({figure['lo']:.3f} to {figure['hi']:.3f})"


def _numbers(guideline):
    if guideline == PROBAST:
        return [
            f"{part}{domain}.{k + 1}"
            for part, sizes in DOMAINS.items()
            for domain, size in enumerate(sizes, 1)
            for k in range(size)
        ]
    last, parts = PARTS[guideline]
    return [f"{k}{p}".strip() for k in range(1, last + 1) for p in parts.get(k, " ")]


def test_every_item_of_every_guideline_appears_once_in_order(classes, zones):
    expected = [(g, n) for g in (*PARTS, PROBAST) for n in _numbers(g)]
    assert len(expected) == 44 + 52 + 48 + 34
    for material in (classes(), classes(synthetic=True), zones):
        items = checklist.items(material)
        assert [(i.guideline, i.number) for i in items] == expected
    counted = checklist.counts(items)
    assert [sum(each) for each in counted.values()] == [44, 52, 48, 34]
    is_open = [i for i in items if i.guideline == CLAIM and i.status == "open"]
    assert counted[CLAIM][2] == len(is_open) > 0


def test_every_fact_is_used_and_every_used_fact_exists():
    asked = {
        fact
        for name in checklist.GUIDELINES
        for section in checklist.read(name)["sections"]
        for item in section["items"]
        for fact in item.get("facts", ())
    }
    assert asked == set(checklist.FACTS)


def test_every_item_has_an_answer_and_links_to_a_section(classes, zones):
    for material in (classes(), classes(synthetic=True), zones):
        for item in checklist.items(material):
            assert item.status in ("answered", "partly", "open")
            assert item.answer.endswith(".") or "python -m" in item.answer, item
            assert item.topic and item.section and item.link in SECTIONS
            assert "nan" not in item.answer.split() and "None." not in item.answer[5:]
            assert "  " not in item.answer, item


def test_items_only_the_author_can_answer_stay_open(classes, zones):
    only = {
        CLAIM: "1 2 3 4 5 6 15 21 34 41 44",
        TRIPOD: "1 2 3c 5b 6a 6c 8c 10 17 18a 18b 18c 18d 19 25 27a 27b 27c",
        STARD: "1 2 3 4 5 6 8 9 10 15d 16b 17b 22 27 28 34 36 37 38 39",
        PROBAST: "D1.2 D3.3 D3.4 E1.2 E3.3 E3.4",
    }
    for material in (classes(), zones):
        items = _by_number(material)
        for guideline, numbers in only.items():
            for number in numbers.split():
                assert items[guideline, number].status == "open", number


def test_values_match_results_json(classes):
    items = _by_number(classes())
    for guideline, number in ((CLAIM, "32"), (CLAIM, "37"), (STARD, "31")):
        for metric in ("auroc_macro", "accuracy"):
            assert _told(METRICS[f"test/{metric}"]) in items[guideline, number].answer
    for name, n in (("sensitivity_COVID", 30), ("specificity_COVID", 90)):
        told = f"{_told(METRICS[f'test/{name}'])}, n {n}"
        assert told in items[CLAIM, "38"].answer
    updated = items[TRIPOD, "24"].answer
    assert _told(METRICS["test/brier"]) in updated
    assert _told(METRICS["test/brier_tempered"]) in updated
    for number, guideline, part in (
        ("12f", TRIPOD, "1.358"),  # the temperature
        ("15", TRIPOD, "COVID 0.512"),  # the threshold
        ("22", CLAIM, "123,456 parameters"),
        ("26", CLAIM, "step 77"),
        ("26", CLAIM, "0.864"),
        ("35", CLAIM, ": 3."),  # what was left out
        ("19", CLAIM, "test 120 images of 60 patients"),
        ("21", TRIPOD, "COVID 30"),  # of 120, in turn one of four
    ):
        assert part in items[guideline, number].answer, (guideline, number)


def test_a_second_reader_is_reported(classes, zones):
    two = _by_number(zones)[CLAIM, "18"]
    assert two.status == "partly"
    assert _told(SCORES["test/mae_global_junior_reader"]) in two.answer
    assert _by_number(classes())[CLAIM, "18"].status == "open"
    assert zones.card.readers in _by_number(zones)[TRIPOD, "8b"].answer


def test_synthetic_films_are_marked_as_synthetic(classes):
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
    answer = items[CLAIM, "33"].answer
    assert f"{_told(figure)}, n 37" in answer and "covidgr/512/1.0.0" in answer
    for guideline, number in ((CLAIM, "33"), (TRIPOD, "23b"), (TRIPOD, "12d")):
        assert items[guideline, number].status == "answered"
    for guideline, number in ((TRIPOD, "16"), (STARD, "29")):
        assert "covidgr/512/1.0.0" in items[guideline, number].answer
    assert "No test on external data" not in items[CLAIM, "40"].answer


def test_an_audit_answers_its_items(classes):
    material = classes()
    items = _by_number(material)
    for number in ("30", "31"):
        assert items[CLAIM, number].status == "open"
        assert "--mode=audit --checkpoint='runs/my run'" in items[CLAIM, number].answer
    estimate = Estimate(0.9, 0.8, 0.95, 120)
    of_model = [
        verdicts.verdict("robustness", alteration="blur", unit="%", metric="auroc_macro",
                         lost=0.2, strength=2, first=None),
        verdicts.verdict("attribution", method="Grad-CAM", where="lungs",
                         estimate=estimate, area=0.3, likeness=0.1),
        verdicts.verdict("shortcut", control="border only", metric="auroc_macro",
                         estimate=estimate, whole=estimate, left=estimate, chance=0.5),
    ]  # fmt: skip
    of_data = verdicts.verdict(
        "blank_images", dataset="a", images=7, of=400, examples="b"
    )
    material = material._replace(
        model_audit={"verdicts": [each._asdict() for each in of_model]},
        audit={"verdicts": [of_data._asdict()]},
    )
    items = _by_number(material)
    words = [verdicts.words(each) for each in of_model]
    assert items[CLAIM, "30"].answer == words[0]
    assert items[CLAIM, "31"].answer == words[1]
    assert words[2] in items[CLAIM, "40"].answer
    assert words[2] in items[PROBAST, "E4.7"].answer
    assert verdicts.words(of_data) in items[TRIPOD, "7"].answer
    assert {items[CLAIM, "30"].status, items[TRIPOD, "7"].status} == {"answered"}


def test_demographic_groups_are_named_if_they_can_be_compared(classes):
    material = classes()
    items = _by_number(material)
    assert items[TRIPOD, "23a"].status == "answered"  # 120 images, sexes drawn
    assert "sex (3 groups)" in items[TRIPOD, "14"].answer
    test = material.splits.test
    women = np.array([sex == "F" for sex in test.table["sex"]])
    assert f"F {women.sum()}" in items[CLAIM, "36"].answer
    for sexes in (
        [""] * test.size,  # unknown
        [
            "M" if label == 0 else "F" for label in test.table["label"]
        ],  # lacking a class
    ):
        changed = test._replace(table=test.table | {"sex": sexes})
        splits = material.splits._replace(test=changed)
        items = _by_number(material._replace(splits=splits))
        assert items[TRIPOD, "14"].status == "open"
        assert items[TRIPOD, "23a"].status == "partly"


def test_splits_are_called_disjoint_only_by_patients(classes):
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


def test_the_split_is_described_as_configured(classes):
    material = classes()
    item = _by_number(material)[CLAIM, "19"]
    assert item.status == "answered" and material.card.split in item.answer
    item = _by_number(_set(material, data__fold=3))[CLAIM, "19"]
    assert item.status == "answered" and "fold 3 of five" in item.answer
    item = _by_number(material._replace(card=None))[CLAIM, "19"]
    assert item.status == "partly"
    item = _by_number(_set(material, data__train="train[:25%]"))[CLAIM, "10"]
    assert "train is 'train[:25%]'" in item.answer


def test_unknown_code_leaves_the_model_partly_answered(classes):
    material = classes()
    assert _by_number(material)[CLAIM, "22"].status == "answered"
    assert "0123456789abcdef" in _by_number(material)[TRIPOD, "18f"].answer
    for git in (
        {"revision": None, "changed": None},
        {"revision": "0", "changed": None},
        {"revision": "0", "changed": True},
    ):
        changed = material._replace(provenance=material.provenance | {"git": git})
        assert _by_number(changed)[CLAIM, "22"].status == "partly"
    later = {"git": {"revision": "fedcba9876543210", "changed": False}}
    resumed = material._replace(provenance=material.provenance | {"resumed": [later]})
    item = _by_number(resumed)[CLAIM, "22"]
    assert item.status == "partly" and "ran on other code" in item.answer
    assert "Resumed 1 time" in _by_number(resumed)[CLAIM, "23"].answer


def test_initial_weights_are_named_with_their_hash(classes, tmp_path):
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


def test_without_resamples_intervals_are_missing(classes):
    items = _by_number(_set(classes(), resamples=0))
    assert items[CLAIM, "29"].status == "open"
    assert items[TRIPOD, "23a"].status == "partly"


def test_imbalance_is_described_by_the_loss(classes, zones):
    assert _by_number(classes())[TRIPOD, "13"].status == "partly"
    plain = _by_number(_set(classes(), task__settings__balanced=False))
    assert plain[TRIPOD, "13"].status == "answered"
    focal = _by_number(_set(classes(), task__loss="focal"))[TRIPOD, "13"]
    assert "focal loss, gamma 2" in focal.answer
    assert _by_number(zones)[TRIPOD, "13"].status == "answered"


def test_with_two_classes_only_the_positive_has_a_threshold(classes):
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
    assert _told(figure) in items[CLAIM, "21"].answer
    answer = items[TRIPOD, "15"].answer
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
        config=config, task=make_task(config.task), results=results, labels=None,
        probs=None,
    )  # fmt: skip
    items = _by_number(masks)
    assert _told(dice) in items[CLAIM, "37"].answer
    for number in ("30", "31", "39"):
        assert items[CLAIM, number].status == "open"
    assert items[TRIPOD, "24"].answer == "Nothing was recalibrated."
