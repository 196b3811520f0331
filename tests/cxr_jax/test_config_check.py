import pytest

from configs import common, quickstart
from cxr_jax import config_check, experiment
from tfds_builders.common.errors import InputError


def test_the_defaults_are_within_their_ranges():
    config_check.check(common.get_config())


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
        ("init_excuse", "("),
        ("data.square", "crop"),
        ("data.size", 0),
        ("data.residency", "gpu"),
        ("data.data_dir", "/no/such/folder"),
    ],
)
def test_impossible_values_are_named_with_their_keys(key, value):
    config = common.get_config()
    config.update_from_flattened_dict({key: value})
    with pytest.raises(InputError, match=rf"config\.{key}: "):
        config_check.check(config)


def test_widths_are_channels():
    config = common.get_config()
    for widths in ((), (0,), ("a",)):
        config.model.widths = widths
        with pytest.raises(InputError, match="channels per stage"):
            config_check.check(config)


def test_a_config_of_an_earlier_version_may_lack_keys():
    config = common.get_config()
    del config.optim.layers
    with pytest.raises(InputError, match=r"config\.optim\.layers: is missing"):
        config_check.check(config)


def test_not_every_model_has_every_setting():
    config = common.get_config()
    config.model = {"name": "cnn", "dtype": "float32"}
    config_check.check(config)


@pytest.mark.parametrize("name", ["resnet18", "densenet161", "mobilenet_v2"])
def test_a_setting_of_another_model_is_named(name):
    """The small CNN's keys are in the quickstart, whatever model is asked for."""
    config = quickstart.get_config().unlock()
    config.model.name = name
    with pytest.raises(InputError, match=r"config\.model\.(stem_stride|widths)"):
        experiment.make_model(config.model, 24)


def test_the_known_keys_are_those_of_the_defaults():
    config = common.get_config()
    for section, known in config_check.KEYS.items():
        assert set(known.split()) == set(config[section] if section else config)


@pytest.mark.parametrize(
    "section, key, close",
    [
        ("optim", "lrr", "lr"),
        ("data", "fold_", "fold"),
        ("", "batchsize", "batch_size"),
    ],
)
def test_a_misspelt_key_is_refused(section, key, close):
    config = quickstart.get_config()
    part = config[section] if section else config
    part[key] = 3
    with pytest.raises(InputError, match=rf"{key}: is not a setting(.|\n)*{close}"):
        config_check.check(config)
