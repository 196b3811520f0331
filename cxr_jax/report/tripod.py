"""TRIPOD+AI, the checklist for studies of prediction models.

Collins et al. 2024, BMJ 385, doi 10.1136/bmj-2023-078378. What both guidelines ask is
answered in `facts_data`, `facts_model` and `facts_figures`.
"""

from __future__ import annotations

import numpy as np

from cxr_jax.audits.model import subgroups
from cxr_jax.audits.text_table import count
from cxr_jax.data import roles
from cxr_jax.report import facts_data, facts_figures, facts_model, headline
from cxr_jax.report.checklist import (
    Answer,
    Sections,
    command,
    figure,
    known,
    listed,
)
from cxr_jax.report.material import Material

# Columns of places and machines, where a dataset has them.
CLUSTERS = ("source", "country", "location", "manufacturer", "modality", "format")


def _and_say(find, text: str):
    """What another item knows, and what is asked here besides."""

    def found(material: Material) -> Answer:
        told = find(material)
        status = "open" if told.status == "open" else "partly"
        return Answer(status, f"{told.text} {text}", told.link)

    return found


def preparation(material: Material) -> Answer:
    told = facts_data.preparation(material).text + " All films are treated alike."
    if material.audit is None:
        how = command(material, "--mode=audit --config=CONFIG --workdir=RUN/audit")
        text = f"{told} Nobody looked for copies and faults. The command: {how}"
        return Answer("partly", text, "audits")
    found = [finding["text"] for finding in material.audit["findings"]]
    text = f"{told} The audit of the data found: {'; '.join(found) or 'nothing'}."
    return Answer("answered", text, "audits")


def predictors(material: Material) -> Answer:
    text = (
        "The pixels of one film, all of them; no column of the table is given to the "
        "model, and nothing was selected before."
    )
    return Answer("answered", text, "provenance")


def predictors_defined(material: Material) -> Answer:
    told = facts_data.preparation(material).text
    text = f"The pixels of one film. {told} Say when it was taken in the illness."
    return Answer("partly", text, "provenance")


def nobody_judges(material: Material) -> Answer:
    text = "No predictor needs a person's judgement: pixels are read by the program."
    return Answer("answered", text, "")


def building(material: Material) -> Answer:
    found = (facts_model.model, facts_model.training, facts_model.selection)
    text = " ".join(find(material).text for find in found)
    text += " Validated inside on test, once. Say why this model, and what was tuned."
    return Answer("partly", text, "learning")


def measured_groups(material: Material, columns: tuple[str, ...]) -> list[str]:
    """'sex (2 groups)' of columns with groups of test in which figures are defined.

    A group counts if it is large enough and every class of test occurs in it.
    """
    test, labels = material.splits.test, material.labels
    if labels is None:
        return []
    is_graded = material.config.task.name == "brixia"
    found = [
        group.attribute
        for group in subgroups.each(test.table, test.label_names)
        if is_graded or len(np.unique(labels[group.members])) == len(np.unique(labels))
    ]
    numbers = {name: found.count(name) for name in columns if name in found}
    return [f"{name} ({count(number, 'groups')})" for name, number in numbers.items()]


def clusters(material: Material) -> Answer:
    found, others = (
        measured_groups(material, CLUSTERS),
        list(facts_figures.elsewhere(material)),
    )
    text = "One set of parameters for all. "
    if not found and not others:
        text += (
            f"Not examined: test has no place or machine with {subgroups.LEAST} images "
            "of every class, and there was no external test. Say so, or why."
        )
        return Answer("open", text, "subgroups")
    told = [f"within groups of test by {listed(found)}"] * bool(found)
    told += [f"on {listed(others)}"] * bool(others)
    text += f"Performance was measured {listed(told)}."
    return Answer("answered", text, "subgroups" if found else "external")


def updating(material: Material) -> Answer:
    fitted = material.results["best"].get("decision", {}).get("confidence", {})
    text = "The model was not changed for any evaluation. "
    if not fitted:
        return Answer("answered", text + "Nothing was recalibrated.", "provenance")
    text += (
        "Figures are also given of its probabilities under a temperature of "
        f"{fitted['temperature']:.3f}"
    )
    if "vector" in fitted:
        text += ", and under a scale and a shift of each class"
    return Answer("answered", text + ", fitted on val.", "curves")


def updated(material: Material) -> Answer:
    found = headline.estimates(material, "test")
    pairs = [
        f"{figure(material, plain)}; {figure(material, name)}"
        for name in found
        for plain, _, how in [name.rpartition("_")]
        if how in ("tempered", "vector") and plain in found
    ]
    if not pairs:
        return Answer("answered", "Nothing was recalibrated.", "")
    return Answer("answered", f"Before and after: {'; '.join(pairs)}.", "curves")


def predicting(material: Material) -> Answer:
    best = material.results["best"]
    text = (
        f"By the checkpoint of step {best['step']} in checkpoints/; every prediction "
        "is in predictions/. For other images: "
        + command(material, "--mode=eval --workdir=RUN --eval_on=DATASET:SPLIT")
    )
    return Answer("answered", text, "provenance")


def imbalance(material: Material) -> Answer:
    task = material.config.task
    if task.name != "classify":
        return Answer("answered", "Nothing was done about imbalance.", "provenance")
    done = [
        "classes weighed by the inverse of their frequency in train"
    ] * task.settings.balanced
    done += [f"focal loss, gamma {task.settings.focal_gamma:g}"] * (
        task.loss == "focal"
    )
    if not done:
        return Answer("answered", "Nothing was done about imbalance.", "provenance")
    text = f"In the loss: {listed(done)}; no image was drawn more often. "
    text += f"Say why. {updating(material).text}"
    return Answer("partly", text, "provenance")


def fairness(material: Material) -> Answer:
    text = (
        "Nothing in training or in the thresholds was done for the sake of fairness. "
    )
    found = measured_groups(material, facts_data.PEOPLE)
    if not found:
        text += (
            "Groups of people were not compared: test has no sex or age with enough "
        )
        return Answer("open", text + "images. Say what is known.", "subgroups")
    text += f"Figures were compared within groups by {listed(found)}. Say why by these."
    return Answer("partly", text, "subgroups")


def output(material: Material) -> Answer:
    task = material.config.task
    if task.name == "brixia":
        text = (
            "Of each of six zones a probability for every score 0 to 3; the score is "
            "the mean under them, rounded for agreement; the global score is their sum."
        )
        return Answer("answered", text, "headline")
    if task.name != "classify":
        return Answer("partly", f"What the task {task.name} gives. Describe it.", "")
    thresholds = material.results["best"]["decision"]["thresholds"]
    told = [
        f"{c} {t:.3f}" for c, t in zip(task.settings.classes, thresholds, strict=True)
    ]
    called = "the class with the largest probability is called"
    if len(told) == 2:  # one threshold, of the positive class
        told, called = told[1:], f"at it or above {task.settings.classes[1]} is called"
    text = (
        f"A probability for each of {listed(list(task.settings.classes))}; {called}. Thresholds "
        f"with the largest sensitivity + specificity on val: {', '.join(told)}. Say "
        "why these."
    )
    return Answer("partly", text, "headline")


def differences(material: Material) -> Answer:
    text = "Train and test are of one dataset; 12a says how it was split. "
    others = [
        content["dataset"] for content in facts_figures.elsewhere(material).values()
    ]
    if others:
        text += (
            f"Not so {listed(others)}. Say how setting, patients and outcome differ."
        )
        return Answer("partly", text, "external")
    return Answer("partly", text + "Say how the two may differ.", "data")


def flow(material: Material) -> Answer:
    parts = [f"{role}: {text}" for role, text in facts_data.outcomes(material).items()]
    text = f"{'; '.join(parts)}. " if parts else ""
    return Answer("partly", text + facts_data.numbers(material).text, "data")


def compared(material: Material) -> Answer:
    told = facts_data.outcomes(material)
    people = known(material.splits.test.table, facts_data.PEOPLE)
    if not told:
        return Answer("open", "Compare train and test.", "data")
    text = f"Outcome in train: {told['train']}; in test: {told['test']}. "
    if others := list(facts_figures.elsewhere(material)):
        text += f"Compare {listed(others)} with train too. "
    if not people:
        text += "The dataset knows no sex and no age: compare them if its owners do."
        return Answer("partly", text, "data")
    text += f"{listed(people)} by split stand in the table of the data."
    return Answer("partly" if others else "answered", text, "data")


def in_each_analysis(material: Material) -> Answer:
    sizes, told = material.results["sizes"], facts_data.outcomes(material)
    unit = material.splits.test.unit
    uses = {
        "train": "to fit",
        "val": "to choose checkpoint and thresholds",
        "test": "to test",
    }
    parts = [
        f"{uses[role]} {sizes[role]['images']:,} images ({sizes[role][unit]:,} {unit}"
        + (f"; {told[role]})" if told else ")")
        for role in roles.ROLES
    ]
    return Answer("answered", f"{listed(parts)}.", "data")


def specification(material: Material) -> Answer:
    told = facts_model.model(material)
    text = (
        f"{told.text} Parameters: checkpoints/ of the workdir. Say who may have them."
    )
    return Answer("partly", text, "provenance")


def performance(material: Material) -> Answer:
    text = facts_figures.performance(material).text
    if not material.config.resamples:
        return Answer("partly", f"{text} Intervals are missing.", "headline")
    if found := measured_groups(material, facts_data.PEOPLE):
        text += f" Within groups by {listed(found)}: see the subgroups."
        return Answer("answered", text, "subgroups")
    return Answer("partly", f"{text} Nothing is known by sex or age.", "headline")


def across_clusters(material: Material) -> Answer:
    told = clusters(material)
    if told.status == "open":
        return told
    tested = facts_figures.external(material)
    text = f"{tested.text} " if tested.status == "answered" else ""
    if found := measured_groups(material, CLUSTERS):
        text += f"By {listed(found)}: see the subgroups."
    return Answer("answered", text.strip(), told.link)


def data_sharing(material: Material) -> Answer:
    text = f"{facts_data.licence(material)} Say how others get the same data."
    return Answer("partly", text[0].upper() + text[1:], "provenance")


def code_sharing(material: Material) -> Answer:
    text = f"{facts_model.code(material)}. Say where it can be had."
    return Answer("partly", text[0].upper() + text[1:], "provenance")


SECTIONS: Sections = {
    "Title": (("1", "Names model, population and outcome", "Write the title."),),
    "Abstract": (("2", "Structured summary", "Write it by TRIPOD+AI for Abstracts."),),
    "Introduction": (
        ("3a", "Context, and why a model", "Write it; name the models there are."),
        ("3b", "Patients, purpose and users", "Say where in the care it would stand."),
        ("3c", "Known inequalities in health", "Say which groups fare worse, and why."),
        ("4", "Objectives", "Say whether it is developed, evaluated or both."),
    ),
    "Methods: data": (
        ("5a", "Sources of the data", facts_data.source),
        ("5b", "Dates", "Give the first and last day of the films, from the owners."),
    ),
    "Methods: participants": (
        ("6a", "Setting and centres", "Give the places, their number and their kind."),
        ("6b", "Who was eligible", facts_data.criteria),
        ("6c", "Treatments", "Say what patients were given before the film, if known."),
    ),
    "Methods: data preparation": (("7", "Pre-processing and checks", preparation),),
    "Methods: outcome": (
        (
            "8a",
            "What is predicted, and for when",
            _and_say(facts_data.reference, "Say that it is of the moment of the film."),
        ),
        ("8b", "Who assessed the outcome", facts_data.readers),
        (
            "8c",
            "Blinding of the assessment",
            "Say what the readers knew of the patient.",
        ),
    ),
    "Methods: predictors": (
        ("9a", "Choice of predictors", predictors),
        ("9b", "Definition of predictors", predictors_defined),
        ("9c", "Who assessed predictors", nobody_judges),
    ),
    "Methods: sample size": (
        ("10", "How the size came about", facts_data.sample_size),
    ),
    "Methods: missing data": (("11", "Missing data", facts_data.missing_data),),
    "Methods: analysis": (
        ("12a", "What the data were used for", facts_data.partitions),
        ("12b", "How predictors were handled", facts_data.preparation),
        ("12c", "Type and building of the model", building),
        ("12d", "Differences between clusters", clusters),
        (
            "12e",
            "Measures and plots",
            _and_say(facts_figures.metrics, "Say why these."),
        ),
        ("12f", "Updating of the model", updating),
        ("12g", "How predictions were made", predicting),
    ),
    "Methods: class imbalance": (("13", "Class imbalance", imbalance),),
    "Methods: fairness": (("14", "Fairness", fairness),),
    "Methods: model output": (("15", "Output and thresholds", output),),
    "Methods: training versus evaluation": (
        ("16", "How evaluation data differ", differences),
    ),
    "Methods: ethical approval": (
        (
            "17",
            "Approval and consent",
            "Name the committee, and how patients consented.",
        ),
    ),
    "Open science": (
        ("18a", "Funding", "Name the sources and what the funders had a part in."),
        ("18b", "Conflicts of interest", "Declare those of every author."),
        ("18c", "Protocol", "Say where it is, or that there was none."),
        ("18d", "Registration", "Give register and number, or say none."),
        ("18e", "Data", data_sharing),
        ("18f", "Code", code_sharing),
    ),
    "Patient and public involvement": (
        ("19", "Part of patients and public", "Say which part they had, or none."),
    ),
    "Results: participants": (
        ("20a", "Flow of participants", flow),
        ("20b", "Characteristics", facts_data.characteristics),
        ("20c", "Evaluation beside development data", compared),
    ),
    "Results: model development": (
        ("21", "Numbers in each analysis", in_each_analysis),
    ),
    "Results: model specification": (("22", "The model in full", specification),),
    "Results: model performance": (
        ("23a", "Performance with intervals, by group", performance),
        ("23b", "Performance by cluster", across_clusters),
    ),
    "Results: model updating": (("24", "Results of updating", updated),),
    "Discussion": (
        (
            "25",
            "Interpretation, fairness included",
            "Say what the figures mean, and for whom.",
        ),
        ("26", "Limitations", facts_figures.limitations),
        ("27a", "Poor or missing input in use", "Say which films must be refused."),
        ("27b", "What users have to do and know", "Say who would run it, and how."),
        ("27c", "Next steps", "Say what has to be shown before it could be used."),
    ),
}
