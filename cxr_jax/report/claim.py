"""CLAIM 2024, the checklist for artificial intelligence in medical imaging.

Tejani et al. 2024, Radiology: Artificial Intelligence, doi 10.1148/ryai.240300.
"""

from __future__ import annotations

from cxr_jax.report import facts_data, facts_figures, facts_model
from cxr_jax.report.checklist import Sections

SECTIONS: Sections = {
    "Title and abstract": (
        (
            "1",
            "Says that it is about AI, and of which kind",
            "Write the title; it is deep learning on X-rays.",
        ),
        ("2", "Summary", "Write the abstract; its figures stand first here."),
    ),
    "Introduction": (
        (
            "3",
            "Background, and what the AI is for",
            "Write it: which patients, whose decision, at which point of the care.",
        ),
        ("4", "Aims and hypotheses", "State them as they were before the results."),
    ),
    "Methods: study design": (
        (
            "5",
            "Prospective or retrospective",
            "Say which. The software reads a release that was there before.",
        ),
        (
            "6",
            "Goal of the study",
            "Say whether it explores, develops or tests a model.",
        ),
    ),
    "Methods: data": (
        ("7", "Where the data come from", facts_data.source),
        ("8", "Who and what was included and excluded", facts_data.criteria),
        ("9", "Pre-processing", facts_data.preparation),
        ("10", "Choice of parts of the data", facts_data.subsets),
        ("11", "De-identification", facts_data.identity),
        ("12", "Missing data", facts_data.missing_data),
        ("13", "How the images were acquired", facts_data.acquisition),
    ),
    "Methods: reference standard": (
        ("14", "What the reference standard is", facts_data.reference),
        ("15", "Why that one", "Say why it was taken, and what else there is."),
        ("16", "Who set it", facts_data.readers),
        ("17", "Labels of the test set", facts_data.test_labels),
        ("18", "Agreement between and within readers", facts_data.variability),
    ),
    "Methods: data partitions": (
        ("19", "How the data were split", facts_data.partitions),
        ("20", "At which level the parts are disjoint", facts_data.disjoint),
    ),
    "Methods: testing data": (
        ("21", "Intended size of the sample", facts_data.sample_size),
    ),
    "Methods: model": (
        ("22", "The model in full", facts_model.model),
        ("23", "Software", facts_model.software),
        ("24", "First values of the parameters", facts_model.initial_weights),
    ),
    "Methods: training": (
        ("25", "How it was trained", facts_model.training),
        ("26", "How the final model was chosen", facts_model.selection),
        ("27", "Ensembles", facts_model.ensemble),
    ),
    "Methods: evaluation": (
        ("28", "Measures of performance", facts_figures.metrics),
        ("29", "Uncertainty and significance", facts_figures.uncertainty),
        (
            "30",
            "Robustness and sensitivity",
            facts_figures.audited("Robustness", "robustness"),
        ),
        (
            "31",
            "Explanations of its output",
            facts_figures.audited("Looking", "attribution"),
        ),
        ("32", "Evaluation on internal data", facts_figures.internal),
        ("33", "Testing on external data", facts_figures.external),
        ("34", "Registration of the trial", "Give registry and number, or say none."),
    ),
    "Results: data": (
        ("35", "Numbers included and excluded", facts_data.numbers),
        ("36", "Who is in each part", facts_data.characteristics),
    ),
    "Results: model performance": (
        ("37", "Performance with its uncertainty", facts_figures.performance),
        ("38", "Diagnostic performance with its precision", facts_figures.diagnosis),
        ("39", "Where it fails", facts_figures.failures),
    ),
    "Discussion": (
        ("40", "Limitations", facts_figures.limitations),
        (
            "41",
            "What it means for practice",
            "Write it. This software is no medical device and must not inform care.",
        ),
    ),
    "Other information": (
        ("42", "Protocol and technical details", facts_model.details),
        ("43", "Where software, model and data can be had", facts_model.availability),
        ("44", "Funding", "Name the sources and what the funders had a part in."),
    ),
}
