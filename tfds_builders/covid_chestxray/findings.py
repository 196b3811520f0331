"""Findings of both generations of metadata.csv as one tree, and their classes.

Until August 2020 a finding was a name (`COVID-19, ARDS`), since then it is a path
(`Pneumonia/Viral/COVID-19`). Names become the path that later editions give.
"""

CLASSES = (
    "No Finding",
    "COVID-19",
    "Other viral",
    "Bacterial",
    "Fungal",
    "Tuberculosis",
    "Other pneumonia",
)
# The class of a path and of everything below it, unless that has its own.
_CLASS_OF = {
    "No Finding": "No Finding",
    "Pneumonia/Viral/COVID-19": "COVID-19",
    "Pneumonia/Viral": "Other viral",
    "Pneumonia/Bacterial": "Bacterial",
    "Pneumonia/Fungal": "Fungal",
    "Tuberculosis": "Tuberculosis",
    "Pneumonia": "Other pneumonia",
}
UNKNOWN = ("", "todo", "unknown")  # in lower case

_VIRAL, _BACTERIAL, _FUNGAL = (
    f"Pneumonia/{cause}" for cause in ("Viral", "Bacterial", "Fungal")
)
# Every name of the flat editions, in lower case.
_PATH_OF = {
    "no finding": "No Finding",
    "tuberculosis": "Tuberculosis",
    "spinal tuberculosis": "Tuberculosis",
    "covid-19": f"{_VIRAL}/COVID-19",
    "sars": f"{_VIRAL}/SARS",
    "mers": f"{_VIRAL}/MERS-CoV",
    "mers-cov": f"{_VIRAL}/MERS-CoV",
    "varicella": f"{_VIRAL}/Varicella",
    "herpes pneumonia": f"{_VIRAL}/Herpes",
    "influenza": f"{_VIRAL}/Influenza",
    "swine-origin influenza a (h1n1) viral pneumonia": f"{_VIRAL}/Influenza/H1N1",
    "bacterial": _BACTERIAL,
    "streptococcus": f"{_BACTERIAL}/Streptococcus",
    "klebsiella": f"{_BACTERIAL}/Klebsiella",
    "legionella": f"{_BACTERIAL}/Legionella",
    "chlamydophila": f"{_BACTERIAL}/Chlamydophila",
    "e.coli": f"{_BACTERIAL}/E.Coli",
    "mycoplasma bacterial pneumonia": f"{_BACTERIAL}/Mycoplasma",
    "nocardia": f"{_BACTERIAL}/Nocardia",
    "mrsa": f"{_BACTERIAL}/Staphylococcus/MRSA",
    "pneumocystis": f"{_FUNGAL}/Pneumocystis",
    "invasive aspergillosis": f"{_FUNGAL}/Aspergillosis",
    "allergic bronchopulmonary aspergillosis": f"{_FUNGAL}/Aspergillosis",
    "lipoid": "Pneumonia/Lipoid",
    "aspiration pneumonia": "Pneumonia/Aspiration",
    # No cause is named. ARDS is a failure of the lungs, whatever the cause.
    "pneumonia": "Pneumonia",
    "ards": "Pneumonia",
    "lobar pneumonia": "Pneumonia",
    "multilobar pneumonia": "Pneumonia",
    "round pneumonia": "Pneumonia",
    "organizing pneumonia": "Pneumonia",
    "cryptogenic organizing pneumonia": "Pneumonia",
    "cryptogenic organising pneumonia": "Pneumonia",
    "eosinophilic pneumonia": "Pneumonia",
    "chronic eosinophilic pneumonia": "Pneumonia",
    "unusual interstitial pneumonia": "Pneumonia",
    "accelerated phase usual interstitial pneumonia": "Pneumonia",
    "lymphocytic interstitial pneumonia": "Pneumonia",
    "desquamative interstitial pneumonia": "Pneumonia",
}


def is_path(finding: str) -> bool:
    """Whether a finding can only be of the later editions."""
    return "/" in finding


def path_of(finding: str) -> str:
    """The finding as a path of the later tree; unchanged if the tree lacks it.

    Spaces around the parts are dropped (`Pneumonia/Viral/Herpes ` is in the release),
    and so is ARDS beside a cause, which later editions omit.
    """
    if is_path(finding):
        return "/".join(part.strip() for part in finding.split("/"))
    names = [" ".join(part.split()) for part in finding.split(",")]
    causes = [name for name in names if name.upper() != "ARDS"] or ["ARDS"]
    name = ", ".join(causes)
    return _PATH_OF.get(name.lower(), name)


def class_of(path: str) -> str | None:
    """The class of a path of `path_of`; None if it has none."""
    while path and path not in _CLASS_OF:
        path = path.rpartition("/")[0]
    return _CLASS_OF.get(path)
