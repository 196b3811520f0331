"""What is known of the data: source, labels, splits, people."""

from __future__ import annotations

import re

import numpy as np

from cxr_jax.audits.data import attributes
from cxr_jax.data import roles
from cxr_jax.report import headline
from cxr_jax.report.checklist import (
    Answer,
    citations,
    figure,
    known,
    listed,
    readme,
    sentences,
    spread,
)
from cxr_jax.report.material import Material
from cxr_jax.runs import results

PEOPLE = ("sex", "age", "age_bin", "age_group")


_ACQUISITION = (
    "view", "modality", "manufacturer", "photometric_interpretation", "bits_stored",
)  # fmt: skip


_READING = r"[Rr]adiologist|[Rr]eader|RT-PCR"


def source(material: Material) -> Answer:
    name = material.results["dataset"]
    text = f"{name}, release {material.metadata.get('release') or 'not named'}."
    if material.splits.test.synthetic:
        text += " The films were drawn by this software in the format of that release."
        return Answer("partly", text, "data")
    if told := sentences("".join(readme(material)[:1]))[:2]:
        text += f" Of the whole release its README says: {' '.join(told)}"
    if cited := citations(material):
        text += f" To cite: {listed(cited)}."
    return Answer(
        "partly", text + " Say why these data, and whom they stand for.", "data"
    )


def criteria(material: Material) -> Answer:
    text = (
        f"Taken was what {material.config.data.dataset} takes of the release, less "
        f"what cannot be read. {_left_out(material)} "
    )
    if material.splits.test.synthetic:
        return Answer("partly", text + "There were no people to choose.", "data")
    text += "Say how, where and when its owners chose patients and images."
    return Answer("partly", text, "data")


def _left_out(material: Material) -> str:
    counted = material.metadata.get("counts")
    if counted is None:
        return "What was left out of the dataset is not known."
    noted = [f"{what}: {number:,}" for what, number in counted.items() if number]
    if not noted:
        return "Building the dataset found nothing to leave out."
    return f"Building the dataset counted {'; '.join(noted)}."


def preparation(material: Material) -> Answer:
    data, preprocess = material.config.data, material.config.preprocess
    text = (
        f"Every film is brought to {data.size} x {data.size} pixels ({data.square}), "
        f"then: {preprocess.eval}. In training: {preprocess.train}, the limits of what "
        f"is random times {preprocess.strength:g}."
    )
    if polarity := material.metadata.get("polarity"):
        text += f" Black and white of DICOM files as by: {polarity}."
    return Answer("answered", text, "provenance")


def subsets(material: Material) -> Answer:
    data, named = material.config.data, _named(material)
    text = f"All of the prepared dataset {material.results['dataset']}."
    if data.fold >= 0:
        text += f" Fold {data.fold} of five is tested."
    elif named:
        text = f"Parts of the prepared dataset {material.results['dataset']}. {named}"
    return Answer("answered", text.strip(), "data")


def identity(material: Material) -> Answer:
    stored = sorted(set(material.splits.test.table) - {"example_id", "fold"})
    text = (
        f"Of each file the pixels are stored, beside these columns: {listed(stored)}. "
        "Letters burnt into the pixels stay. Say how the owners removed names."
    )
    return Answer("partly", text, "data")


def missing_data(material: Material) -> Answer:
    parts = [getattr(material.splits, role).table for role in roles.ROLES]
    gone = {
        name: sum(int(attributes.missing(part[name]).sum()) for part in parts)
        for name, column in sorted(parts[0].items())
        if np.ndim(column) == 1
    }
    lacking = [f"{name} {number:,}" for name, number in gone.items() if number]
    text = (
        "The model sees pixels alone, so nothing is imputed; an image without a label "
        "is an error. Of all images these lack a value, a group of its own in the "
        f"tables: {listed(lacking) or 'none'}. Say what the owners had left out before."
    )
    return Answer("partly", text, "data")


def acquisition(material: Material) -> Answer:
    columns = material.splits.test.table
    told = [f"{name}: {spread(columns[name])}" for name in known(columns, _ACQUISITION)]
    if not told:
        text = "Name devices, views and settings: the dataset does not know them."
        return Answer("open", text, "data")
    text = f"Of test, {'; '.join(told)}. Add devices and settings as far as known."
    return Answer("partly", text, "data")


def reference(material: Material) -> Answer:
    what = material.task.reference
    if material.splits.test.synthetic:
        return Answer("partly", f"{what}, from which each film was drawn.", "data")
    text = " ".join([f"{what}.", *_of_reading(material)])
    return Answer("partly", text + " Say how it was settled, and by what test.", "data")


def readers(material: Material) -> Answer:
    told = _of_reading(material)
    if not told:
        text = (
            "Say who set the labels, with which training and experience, and with what."
        )
        return Answer("open", text + " The dataset's README does not name them.")
    text = f"{' '.join(told)} Add their training, and the tools they used."
    return Answer("partly", text, "data")


def _of_reading(material: Material) -> list[str]:
    told = sentences(" ".join(readme(material)))
    found = [sentence for sentence in told if re.search(_READING, sentence)]
    return ["Its README says:", *found] if found else []


def test_labels(material: Material) -> Answer:
    text = "The labels of test are of the same column as those of train and val."
    if any("consensus" in name for name in headline.estimates(material, "test")):
        text += " Beside them several readers' consensus is held against the model."
    return Answer("partly", text + " Say whether test was read with more care.", "data")


def variability(material: Material) -> Answer:
    found = headline.estimates(material, "test")
    between = [name for name in found if re.search("_global_.*_reader$", name)]
    if not between:
        text = (
            "The dataset holds one label of each image. Give the readers' agreement, "
        )
        return Answer("open", text + "with themselves and with each other, if known.")
    told = "; ".join(figure(material, name) for name in between)
    text = f"Of one reader held to the other or to a consensus, on test: {told}. "
    return Answer("partly", text + "A reader's with himself is not known.", "headline")


def partitions(material: Material) -> Answer:
    data = material.config.data
    status, how = "answered", " ".join(readme(material, "Splits")[:1])
    # Numbers in brackets are those of the whole release.
    how = re.sub(r" \([^()]*\d[^()]*\)", "", how)
    if data.fold >= 0:
        how = (
            f"By a hash of patient_id: fold {data.fold} of five is test; of the rest "
            "one patient in eight is val."
        )
    elif not how or re.search("original|subjects", data.dataset):
        status, how = "partly", f"The split of {data.dataset} is not ours: say whose."
    text = f"In {_sizes(material)}. {how} {_named(material)}The seed has no part in it."
    return Answer(status, text, "data")


def _sizes(material: Material) -> str:
    splits = material.splits
    return listed([f"{r} {results.count(getattr(splits, r))}" for r in roles.ROLES])


def _named(material: Material) -> str:
    """Parts of splits that stand for others, as 'train[:25%]' for train."""
    data = material.config.data
    other = [f"{role} is {data[role]!r}" for role in roles.ROLES if data[role] != role]
    return f"Of these, {listed(other)}. " if other else ""


def disjoint(material: Material) -> Answer:
    unit, shared = material.splits.test.unit, material.results["shared_patients"]
    both = [f"{number:,} in {pair}" for pair, number in shared.items() if number]
    text = f"By {unit}: none is in two of train, val and test."
    if both:
        text = f"NOT disjoint: {unit} in two splits, {listed(both)}."
    if unit == "patients":
        return Answer("answered", text, "data")
    text += f" The {unit} stand for patients where the release names none, so films of "
    return Answer("partly", text + "one patient may lie in two splits unseen.", "data")


def sample_size(material: Material) -> Answer:
    test = results.count(material.splits.test)
    first = [each.metric for each in headline.headlines(material)][:1]
    told = "".join(f", on which {figure(material, metric)}" for metric in first)
    text = (
        f"The size is what the release holds; test is {test}{told}. No calculation was "
        "made: say which precision was wanted, and whether this is it."
    )
    return Answer("open", text, "data")


def numbers(material: Material) -> Answer:
    text = f"In {_sizes(material)}. {_left_out(material)} "
    return Answer("partly", text + "Say whom the owners had left out before.", "data")


def outcomes(material: Material) -> dict[str, str]:
    """{role: 'COVID 12, Normal 31', or 'mean global score 8.4'}; {} of other tasks."""
    if material.labels is None:
        return {}
    found = {}
    for role in roles.ROLES:
        (labels,) = material.task.targets(getattr(material.splits, role)).values()
        found[role] = f"mean global score {labels.sum(axis=-1).mean():.2f}"
        if material.config.task.name == "classify":
            classes = material.config.task.settings.classes
            each = np.bincount(labels, minlength=len(classes)).tolist()
            found[role] = ", ".join(
                f"{c} {n:,}" for c, n in zip(classes, each, strict=True)
            )
    return found


def characteristics(material: Material) -> Answer:
    told = [f"{role}: {text}" for role, text in outcomes(material).items()]
    people = known(material.splits.test.table, PEOPLE)
    for role in roles.ROLES:
        columns = getattr(material.splits, role).table
        told += [f"{role} {name}: {spread(columns[name])}" for name in people]
    text = f"{'; '.join(told)}. " if told else ""
    if not people:
        text += "The dataset knows no sex and no age: give them from its owners. "
    return Answer("partly", text + "Add what is known of the disease.", "data")


def licence(material: Material) -> str:
    if material.splits.test.synthetic:
        return "drawn by this software, which draws them anew."
    return " ".join(readme(material, "Licence")[:1]) or "no licence is known."
