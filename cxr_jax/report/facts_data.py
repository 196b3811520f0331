"""Checklist facts about the data: source, labels, split, people."""

from __future__ import annotations

import numpy as np

from cxr_jax.audits import verdicts
from cxr_jax.data import attributes, roles
from cxr_jax.report import headline
from cxr_jax.report.answers import (
    ANSWERED,
    OPEN,
    PARTLY,
    Answer,
    command,
    figure,
    known,
    listed,
    spread,
)
from cxr_jax.report.material import Material, data_verdicts, elsewhere, outcomes
from cxr_jax.runs import results
from tfds_builders.common.counts import count_of

PEOPLE = ("sex", "age", "age_bin", "age_group")
_ACQUISITION = (
    "view", "modality", "manufacturer", "photometric_interpretation", "bits_stored",
)  # fmt: skip


def source(material: Material) -> Answer:
    name, card = material.results["dataset"], material.card
    text = f"{name}, release {material.metadata.get('release') or 'not named'}."
    if material.splits.test.synthetic:
        text += " The films were drawn by this software, in the format of that release."
    elif card:
        text += f" The whole release: {card.summary}"
        if card.cite:
            text += f" Cite: {listed(card.cite)}."
    return Answer(ANSWERED, text, "data")


def exclusions(material: Material) -> Answer:
    counts = material.metadata.get("counts")
    if counts is None:
        return Answer(PARTLY, "What was left out of the dataset is not known.", "data")
    noted = [f"{count_of(key).text}: {n:,}" for key, n in counts.items() if n]
    text = "Nothing was left out when the dataset was built."
    if noted:
        text = f"Counted when the dataset was built: {'; '.join(noted)}."
    return Answer(ANSWERED, text, "data")


def preparation(material: Material) -> Answer:
    data, preprocess = material.config.data, material.config.preprocess
    text = (
        f"Every film is resized to {data.size} x {data.size} pixels ({data.square}), "
        f"then: {preprocess.eval}. In training: {preprocess.train}, with the strength "
        f"of random operations multiplied by {preprocess.strength:g}. All films are "
        "treated alike."
    )
    if polarity := material.metadata.get("polarity"):
        text += f" The polarity of DICOM files is taken from: {polarity}."
    return Answer(ANSWERED, text, "provenance")


def pixels(material: Material) -> Answer:
    text = (
        "The predictors are all pixels of one film: the model sees no other column and "
        "no label, and no predictors were selected."
    )
    return Answer(ANSWERED, text, "provenance")


def subset(material: Material) -> Answer:
    data, other = material.config.data, _other_parts(material)
    text = f"All of the prepared dataset {material.results['dataset']}."
    if data.fold >= 0:
        text += f" Fold {data.fold} of five is the test set."
    elif other:
        text = f"Parts of the prepared dataset {material.results['dataset']}. {other}"
    return Answer(ANSWERED, text.strip(), "data")


def stored_columns(material: Material) -> Answer:
    stored = sorted(set(material.splits.test.table) - {"example_id", "fold"})
    text = (
        f"From each file the pixels and these columns are stored: {listed(stored)}. "
        "Text burnt into the pixels remains."
    )
    return Answer(ANSWERED, text, "data")


def missing_values(material: Material) -> Answer:
    parts = [getattr(material.splits, role).table for role in roles.ROLES]
    gone = {
        name: sum(int(attributes.missing(part[name]).sum()) for part in parts)
        for name, column in sorted(parts[0].items())
        if np.ndim(column) == 1
    }
    lacking = [f"{name} {number:,}" for name, number in gone.items() if number]
    text = (
        "The model sees only pixels, so nothing is imputed; an image without a label "
        "is an error. Images with a missing value, which form a group of their own in "
        f"the tables: {listed(lacking) or 'none'}."
    )
    return Answer(ANSWERED, text, "data")


def acquisition(material: Material) -> Answer:
    columns, card = material.splits.test.table, material.card
    found = [
        f"{name}: {spread(columns[name])}" for name in known(columns, _ACQUISITION)
    ]
    parts = [f"In test: {'; '.join(found)}."] if found else []
    if card and card.acquisition and not material.splits.test.synthetic:
        parts.append(card.acquisition)
    text = " ".join(parts) or "Devices, views and settings are not known."
    return Answer(ANSWERED if parts else OPEN, text, "data")


def reference_standard(material: Material) -> Answer:
    text, card = f"{material.task.reference}.", material.card
    if material.splits.test.synthetic:
        text = f"{material.task.reference}, from which each film was drawn."
    elif card and card.reference_standard:
        text += f" {card.reference_standard}"
    return Answer(ANSWERED, text, "data")


def readers(material: Material) -> Answer:
    card = material.card
    if material.splits.test.synthetic or not card or not card.readers:
        return Answer(OPEN, "It is not known who labelled the images.", "data")
    return Answer(PARTLY, card.readers, "data")


def test_labels(material: Material) -> Answer:
    text = "The labels of test come from the same column as those of train and val."
    if any("consensus" in name for name in headline.estimates(material, "test")):
        text += " The model is also compared with a consensus of several readers."
    return Answer(ANSWERED, text, "data")


def reader_agreement(material: Material) -> Answer:
    found = headline.estimates(material, "test")
    between = [
        name for name in found if name.endswith("_reader") and "_global_" in name
    ]
    if not between:
        return Answer(OPEN, "The dataset has one label per image.")
    text = "; ".join(figure(material, name) for name in between)
    return Answer(PARTLY, f"On test: {text}.", "headline")


def split(material: Material) -> Answer:
    data, card = material.config.data, material.card
    status, rule = ANSWERED, card.split if card else ""
    if data.get("split_by", "patient") == "image":
        rule = (
            "Every image by itself, by a hash of its example_id, 70, 10 and 20 %: films "
            "of one patient and copies lie in several splits."
        )
    elif data.fold >= 0:
        rule = (
            f"By a hash of patient_id: fold {data.fold} of five is test, and one in eight "
            "of the other patients is val."
        )
    elif not rule:
        status, rule = PARTLY, f"How {data.dataset} was split is not known."
    leaks = data.get("leaks", False) and (
        "They may overlap (config.data.leaks), to repeat what was published."
    )
    text = " ".join(filter(None, [rule, _other_parts(material), leaks]))
    return Answer(status, f"{text} It does not depend on the seed.", "data")


def sizes(material: Material) -> Answer:
    splits = material.splits
    each = [f"{r} {results.count(getattr(splits, r))}" for r in roles.ROLES]
    return Answer(ANSWERED, f"Sizes: {listed(each)}.", "data")


def disjoint(material: Material) -> Answer:
    unit, shared = material.splits.test.unit, material.results["shared_patients"]
    both = [f"{number:,} in {pair}" for pair, number in shared.items() if number]
    text = f"By {unit}: none is in more than one of train, val and test."
    if both:
        text = f"NOT disjoint: {unit} in two splits, {listed(both)}."
    if unit == "patients":
        return Answer(ANSWERED, text, "data")
    text += (
        f" The {unit} stand in for patients, whom the release does not name, so films of "
        "one patient may be in two splits unnoticed."
    )
    return Answer(PARTLY, text, "data")


def sample_size(material: Material) -> Answer:
    test = results.count(material.splits.test)
    first = "".join(
        f", with {figure(material, each.metric)}"
        for each in headline.headlines(material)[:1]
    )
    text = f"The size is that of the release; test has {test}{first}. "
    return Answer(OPEN, text + "No sample size was calculated.", "data")


def outcome(material: Material) -> Answer:
    found = [f"{role}: {text}" for role, text in outcomes(material).items()]
    text = (
        f"Outcome in {'; '.join(found)}."
        if found
        else "There are no classes or scores."
    )
    return Answer(ANSWERED, text, "data")


def severity(material: Material) -> Answer:
    if not material.task.probabilities or not material.task.probabilities.is_graded:
        return Answer(OPEN, "The dataset does not record severity.", "data")
    return outcome(material)


def people(material: Material) -> Answer:
    named = known(material.splits.test.table, PEOPLE)
    if not named:
        return Answer(PARTLY, "The dataset records neither sex nor age.", "data")
    found = [
        f"{role} {name}: {spread(getattr(material.splits, role).table[name])}"
        for role in roles.ROLES
        for name in named
    ]
    return Answer(ANSWERED, f"{'; '.join(found)}.", "data")


def compared(material: Material) -> Answer:
    found = outcomes(material)
    if not found:
        return Answer(OPEN, "Compare train and test.", "data")
    named = known(material.splits.test.table, PEOPLE)
    others = list(elsewhere(material))
    text = f"Outcome in train: {found['train']}; in test: {found['test']}."
    if named:
        text += f" {listed(named)} by split are under Data."
    else:
        text += " The dataset records neither sex nor age."
    text += f" Compare {listed(others)} with train too." if others else ""
    return Answer(PARTLY if others or not named else ANSWERED, text, "data")


def uses(material: Material) -> Answer:
    found = outcomes(material)
    unit, counted = material.splits.test.unit, material.results["sizes"]
    purposes = {
        "train": "trained on",
        "val": "checkpoint and thresholds chosen on",
        "test": "tested on",
    }
    parts = [
        f"{purposes[role]} {counted[role]['images']:,} images "
        f"({counted[role][unit]:,} {unit}{f'; {found[role]}' if found else ''})"
        for role in roles.ROLES
    ]
    text = listed(parts)
    return Answer(ANSWERED, f"{text[0].upper()}{text[1:]}.", "data")


def differences(material: Material) -> Answer:
    others = [content["dataset"] for content in elsewhere(material).values()]
    text = "Train and test come from one dataset"
    if others:
        return Answer(ANSWERED, f"{text}; {listed(others)} from elsewhere.", "external")
    return Answer(ANSWERED, f"{text}; its split is described under Data.", "data")


def data_audit(material: Material) -> Answer:
    if material.audit is None:
        how = command(material, "--mode=audit --config=CONFIG --workdir=RUN/audit")
        text = f"The data were not audited for copies or faults. To do so: {how}"
        return Answer(PARTLY, text, "audits")
    found = " ".join(map(verdicts.words, data_verdicts(material)))
    return Answer(ANSWERED, f"Data audit: {found}", "audits")


def licence(material: Material) -> Answer:
    if material.splits.test.synthetic:
        text = "Data: synthetic; this software draws them again."
    elif material.card and material.card.licence:
        text = f"Data: {material.card.licence}"
    else:
        return Answer(PARTLY, "The licence of the data is not known.", "provenance")
    return Answer(ANSWERED, text, "provenance")


def _other_parts(material: Material) -> str:
    """Which splits the config replaced, such as train by 'train[:25%]'."""
    data = material.config.data
    other = [f"{role} is {data[role]!r}" for role in roles.ROLES if data[role] != role]
    return f"Of these, {listed(other)}." if other else ""
