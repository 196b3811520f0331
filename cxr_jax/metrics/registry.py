"""What every metric is called, which way is better, and what it is compared with.

METRICS holds the metrics by name. Names of three kinds are derived from them: a part
that says what else was done (`brier_tempered`, `ppv_at95`, `mae_zone_junior`), whose
figure it is (`mae_zone_constant`, `mae_zone_junior_reader`), and a class or a level
(`auroc_<class>`, `sensitivity_severity_<level>`). `metric` knows them all.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from tfds_builders.common.errors import InputError
from tfds_builders.common.zones import ZONES

Better = Literal["higher", "lower", "middle", ""]


class Metric(NamedTuple):
    """One metric.

    Attributes:
      label: as the field writes it.
      better: which way; 'middle' where neither end is good, '' where it does not
        depend on a model.
      chance: what can be reached without looking at the images: a number, or the
        metric of the same file that says it. None where there is no such thing.
      unit: '' for a pure number.
      reader: the metric of the same file that says what a reader reaches, or ''.
      shown: in the terminal and the file, or in the file only.
      of: whose figure it is: of the model, of a constant predictor, of a reader.
    """

    label: str
    better: Better
    chance: float | str | None = None
    unit: str = ""
    reader: str = ""
    shown: Literal["terminal", "file"] = "terminal"
    of: Literal["model", "constant", "reader"] = "model"

    @property
    def ranks(self) -> bool:
        """Whether models can be ranked by it: it is theirs and has a good end."""
        return self.of == "model" and self.better in ("higher", "lower")

    @property
    def sign(self) -> int:
        """-1 where lower is better, else 1."""
        return -1 if self.better == "lower" else 1

    @property
    def beside(self) -> dict[str, float | str]:
        """{what it is compared with: a number or a metric of the same file}."""
        found: dict[str, float | str] = {}
        if self.chance is not None:
            found[_beside(str(self.chance))] = self.chance
        if self.reader:
            found["second reader"] = self.reader
        return found


def _beside(chance: str) -> str:
    """What a metric's `chance` is, in words."""
    if chance.endswith("_constant"):
        return "constant predictor"
    return "calibrated model" if chance.startswith("ece_calibrated") else "chance"


# The figures by which a model of a task is judged, the one that counts first.
HEADLINES = {
    "brixia": ("mae_zone", "mae_global", "icc_global", "kappa_zone"),
    "two classes": ("auroc", "auprc", "sensitivity", "specificity"),
    "classes": ("auroc_macro", "accuracy", "balanced_accuracy", "macro_f1"),
    "segment": ("dice", "iou"),
    "align": ("mae_corner", "mae_rotation"),
    "contrast": ("retrieval", "loss"),
}

METRICS: dict[str, Metric] = {
    "loss": Metric("Loss", "lower", "loss_constant"),
    "log_loss": Metric("Log loss", "lower"),
    # Classes.
    "prevalence": Metric("Prevalence", ""),
    "auroc": Metric("AUROC", "higher", 0.5),
    "auroc_macro": Metric("AUROC, mean of the classes", "higher", 0.5),
    "auroc_delong": Metric(
        "AUROC, DeLong interval of its log odds", "higher", 0.5, shown="file"
    ),
    "auprc": Metric("AUPRC", "higher", "prevalence"),
    "sensitivity": Metric("Sensitivity", "higher"),
    "specificity": Metric("Specificity", "higher"),
    "ppv": Metric("Positive predictive value", "higher", "prevalence"),
    "npv": Metric("Negative predictive value", "higher"),
    "lr_positive": Metric("Positive likelihood ratio", "higher", 1.0, shown="file"),
    "lr_negative": Metric("Negative likelihood ratio", "lower", 1.0, shown="file"),
    "accuracy": Metric("Accuracy", "higher", "accuracy_constant"),
    "macro_f1": Metric("Macro F1", "higher", "macro_f1_constant"),
    "balanced_accuracy": Metric("Balanced accuracy", "higher", shown="file"),
    "kappa": Metric("Cohen's kappa", "higher", 0.0, shown="file"),
    "mcc": Metric("Matthews correlation", "higher", 0.0, shown="file"),
    **{
        f"{average}_{name}": Metric(f"{average.title()} {label}", "higher", shown="file")
        for average in ("macro", "micro", "weighted")
        for name, label in (("precision", "precision"), ("recall", "recall"), ("f1", "F1"))
        if (average, name) != ("macro", "f1")
    },
    # Probabilities.
    "brier": Metric("Brier score", "lower", shown="file"),
    "ece": Metric("Expected calibration error", "lower", "ece_calibrated"),
    "ece_calibrated": Metric("Calibration error of a calibrated model", "", of="constant"),
    "ece_debiased": Metric("Calibration error without that of chance", "lower"),
    "calibration_slope": Metric("Calibration slope", "middle"),
    "calibration_intercept": Metric("Calibration intercept", "middle", shown="file"),
    "coverage_90": Metric("Coverage of 90 % prediction sets", "middle"),
    "set_size_90": Metric("Size of 90 % prediction sets", "lower"),
    "coverage_90_global": Metric("Coverage of 90 % intervals, global score", "middle"),
    "width_90_global": Metric(
        "Width of 90 % intervals, global score", "lower", unit="points"
    ),
    # Masks, frames and views.
    "dice": Metric("Dice", "higher", "dice_constant"),
    "iou": Metric("IoU", "higher", "iou_constant"),
    "dice_pooled": Metric("Dice, all pixels pooled", "higher"),
    "iou_pooled": Metric("IoU, all pixels pooled", "higher"),
    "mae_corner": Metric("Corner error", "lower", "mae_corner_constant", "% of a side"),
    "mae_rotation": Metric("Rotation MAE", "lower", "mae_rotation_constant", "degrees"),
    "retrieval": Metric("Retrieval of the other view", "higher"),
}  # fmt: skip

_ONE_ZONE = tuple(f"zone_{zone}" for zone in ZONES)
_POOLED = ("zone", "global")
_EVERYWHERE = (*_POOLED, *_ONE_ZONE, "right", "left")

# Of severity scores: name -> (label, better, chance, unit, scopes, those in the terminal).
_SCORES = {
    "mae": ("MAE", "lower", None, "points", _EVERYWHERE, _POOLED),
    "rmse": ("RMSE", "lower", None, "points", _EVERYWHERE, ()),
    "bias": ("Bias", "middle", None, "points", _EVERYWHERE, ("global",)),
    "sd": ("SD of the errors", "lower", None, "points", _POOLED, ()),
    "pearson": ("Pearson r", "higher", 0.0, "", _POOLED, ("global",)),
    "spearman": ("Spearman rho", "higher", 0.0, "", _EVERYWHERE, ()),
    "icc": ("ICC(2,1)", "higher", 0.0, "", _EVERYWHERE, ("global",)),
    "kappa": ("Quadratic kappa", "higher", 0.0, "", (*_POOLED, *_ONE_ZONE), _POOLED),
    "exact": ("Exact agreement", "higher", None, "", _POOLED, ("zone",)),
    "within_one": ("Agreement within one", "higher", None, "", _POOLED, ("zone",)),
    "rps": ("Ranked probability score", "lower", None, "", ("zone",), ()),
    "limits_low": (
        "Lower limit of agreement",
        "middle",
        None,
        "points",
        ("global",),
        (),
    ),
    "limits_high": (
        "Upper limit of agreement",
        "middle",
        None,
        "points",
        ("global",),
        (),
    ),
}
_SCOPES = {
    "zone": "zones",
    "global": "global score",
    **{name: name.replace("_", " ") for name in _ONE_ZONE},
    "right": "right lung",
    "left": "left lung",
}


def _of_scores() -> dict[str, Metric]:
    found = {}
    for name, (label, better, chance, unit, scopes, shown) in _SCORES.items():
        for scope in scopes:
            full, pooled = f"{name}_{scope}", scope in _POOLED
            found[full] = Metric(
                f"{label}, {_SCOPES[scope]}",
                better,
                f"{full}_constant" if name == "mae" and pooled else chance,
                unit,
                f"{full}_junior_reader" * (name in ("mae", "icc", "kappa") and pooled),
                "terminal" if scope in shown else "file",
            )
    # As the literature writes these two.
    found["mae_zone"] = found["mae_zone"]._replace(label="Zone MAE")
    found["mae_global"] = found["mae_global"]._replace(label="Global MAE")
    return found


METRICS |= _of_scores()

# What may stand behind a name: (label, changes to its Metric).
_SUFFIXES = {
    "_constant": ("constant predictor", {"of": "constant"}),
    "_reader": ("the reader's own", {"of": "reader"}),
    "_tempered": ("after temperature scaling", {"shown": "file"}),
    "_vector": ("after vector scaling", {"shown": "file"}),
    "_at95": ("at 95 % sensitivity on val", {"shown": "file"}),
    "_junior": ("against the second reader", {}),
    "_consensus": ("against the consensus", {}),
}

# Those that a classifier has of every class, and of every level of severity.
_OF_CLASSES = ("prevalence", "auroc", "auprc", "sensitivity", "specificity")


def metric(name: str) -> Metric:
    """What METRICS says of a name, or of the name that it is derived from.

    Raises:
      InputError: there is no such metric.
    """
    found = _find(name)
    if found is None:
        raise InputError(
            f"metric {name!r}",
            "is unknown",
            "add it to METRICS in cxr_jax/metrics/registry.py",
        )
    return found


def _find(name: str) -> Metric | None:
    if name in METRICS:
        return METRICS[name]
    for suffix, (label, changes) in _SUFFIXES.items():
        base = _find(name.removesuffix(suffix)) if name.endswith(suffix) else None
        if base is not None:
            return _derived(name, base, suffix, label, changes)
    for family in _OF_CLASSES:
        if name.startswith(family + "_"):
            own = name.removeprefix(family + "_").replace("_", " ")
            base = METRICS[family]
            chance = f"prevalence_{name.removeprefix(family + '_')}"
            return base._replace(
                label=f"{base.label}, {own}",
                chance=chance if family == "auprc" else base.chance,
            )
    return None


def _derived(name, base: Metric, suffix: str, label: str, changes) -> Metric:
    against = suffix in ("_junior", "_consensus")
    # Of the comparisons with another reader only the mean errors are shown.
    hidden = suffix in ("_junior",) and not name.startswith("mae_")
    chance = base.chance
    if base.chance == "ece_calibrated":  # of the same probabilities
        chance = f"ece_calibrated{suffix}"
    return base._replace(
        label=f"{base.label}, {label}",
        chance=None if against or suffix == "_constant" else chance,
        reader=f"{name}_reader" if against else "",
        shown="file" if hidden else base.shown,
    )._replace(**changes)
