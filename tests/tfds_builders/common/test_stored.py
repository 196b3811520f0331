"""What the table of names says against what the builders themselves say."""

import importlib

import numpy as np
import pytest

from tfds_builders import DATASETS
from tfds_builders.common.errors import InputError
from tfds_builders.common.stored import stored_as


@pytest.mark.parametrize("name", DATASETS)
def test_every_config_of_every_builder(name, tmp_path):
    module = importlib.import_module(f"tfds_builders.{name}.{name}_dataset_builder")
    for config in module.Builder.BUILDER_CONFIGS:
        builder = module.Builder(config=config.name, data_dir=tmp_path)
        dtype = builder.info.features["image"].np_dtype
        found = stored_as(name, config.name)
        assert (found.size, found.bits) == (config.size, 8 * np.dtype(dtype).itemsize)


def test_a_dataset_of_others():
    with pytest.raises(InputError, match="mnist/plain"):
        stored_as("mnist", "plain")
