from ml_collections import ConfigDict

from cxr_jax.train import plateau

CONFIG = ConfigDict({"patience": 2, "factor": 0.5, "floor": 2e-4})


def follow(values, lr=1e-3):
    record, scale, rates = dict(plateau.START), 1.0, []
    for value in values:
        record, scale = plateau.reduce(record, value, scale, CONFIG, lr)
        rates.append(scale * lr)
    return rates


def test_halves_after_patience_evaluations_without_improvement():
    # Keras 3.15's ReduceLROnPlateau(patience=2, factor=0.5, min_lr=2e-4) by hand.
    values = [1.0, 0.9, 0.9, 0.95, 0.95, 0.96, 0.96, 0.96, 0.96, 0.96]
    expected = [1e-3] * 3 + [5e-4] * 2 + [2.5e-4] * 2 + [2e-4] * 3
    assert follow(values) == expected


def test_an_improvement_below_a_ten_thousandth_does_not_count():
    assert follow([1.0, 0.99995, 0.9999])[-1] == 5e-4
    assert follow([1.0, 0.9998, 0.9996])[-1] == 1e-3


def test_off_means_off():
    config = ConfigDict({"patience": 0, "factor": 0.5, "floor": 0.0})
    record, scale = plateau.reduce(plateau.START, 5.0, 1.0, config, 1e-3)
    assert (record, scale) == (plateau.START, 1.0)
    assert plateau.stop(plateau.START, 5.0, 0) == (plateau.START, False)


def test_stops_after_patience_evaluations():
    record, stopped = dict(plateau.START), []
    for value in [1.0, 0.9, 0.9, 0.91, 0.92]:
        record, stop = plateau.stop(record, value, 3)
        stopped.append(stop)
    assert stopped == [False, False, False, False, True]
