import pytest

from cxr_jax.metrics.registry import HEADLINES, METRICS, metric
from tfds_builders.common.errors import InputError


def test_a_derived_name_has_what_its_metric_has_but_is_of_another():
    zone = METRICS["mae_zone"]
    constant, reader = metric("mae_zone_constant"), metric("mae_zone_junior_reader")
    assert (constant.better, constant.of, constant.ranks) == (
        "lower",
        "constant",
        False,
    )
    assert (reader.unit, reader.of, reader.ranks) == (zone.unit, "reader", False)
    assert metric("mae_zone_junior").reader == "mae_zone_junior_reader"
    assert metric("mae_zone_consensus").ranks
    assert metric("brier_tempered").shown == metric("lr_positive_at95").shown == "file"


def test_a_class_of_any_name_has_its_areas():
    found = metric("auroc_Viral_Pneumonia")
    assert found.label == "AUROC, Viral Pneumonia" and found.chance == 0.5
    assert metric("auprc_COVID").beside == {"chance": "prevalence_COVID"}
    assert metric("sensitivity_severity_mild").label == "Sensitivity, severity mild"


def test_what_a_figure_is_compared_with_is_known_too():
    assert METRICS["mae_zone"].beside == {
        "constant predictor": "mae_zone_constant",
        "second reader": "mae_zone_junior_reader",
    }
    for found in METRICS.values():
        for other in found.beside.values():
            assert isinstance(other, float) or metric(other)


def test_headlines_have_a_good_end():
    assert all(METRICS[name].ranks for names in HEADLINES.values() for name in names)


@pytest.mark.parametrize("name", ["area", "mae", "mae_zone_G", "constant", ""])
def test_an_unknown_metric_is_refused(name):
    with pytest.raises(InputError, match="is unknown"):
        metric(name)
