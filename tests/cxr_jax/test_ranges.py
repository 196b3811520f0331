import pytest

from configs import common
from cxr_jax import ranges
from tfds_builders.common.errors import InputError


def test_the_defaults_are_within_their_ranges():
    ranges.check(common.get_config())


@pytest.mark.parametrize(
    "key, value",
    [
        ("seed", -1),
        ("batch_size", 0),
        ("resamples", -5),
        ("optim.lr", 0.0),
        ("optim.ema_decay", 1.0),
        ("optim.no_decay", "("),
        ("model.dropout", 2.0),
        ("model.dtype", "float8"),
        ("model.pool", "max"),
        ("plateau.patience", -1),
        ("data.phantom", -3),
    ],
)
def test_numbers_outside_are_named_with_their_key(key, value):
    config = common.get_config()
    config.update_from_flattened_dict({key: value})
    with pytest.raises(InputError, match=rf"config\.{key}: "):
        ranges.check(config)


def test_widths_are_channels():
    config = common.get_config()
    for widths in ((), (0,), ("a",)):
        config.model.widths = widths
        with pytest.raises(InputError, match="channels per stage"):
            ranges.check(config)
