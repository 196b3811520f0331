"""The table of models agrees with published counts, and can time a model."""

import pytest

from benchmarks import models
from cxr_jax.models import MODELS


@pytest.mark.parametrize(
    "name, settings, published",
    [
        ("resnet18", {}, 1.81),
        ("resnet50", {}, 4.09),
        ("densenet121", {}, 2.83),
        ("squeezenet1_1", {"published_head": True}, 0.35),
        ("vgg16", {}, 15.47),
        ("mobilenet_v2", {}, 0.30),
        ("efficientnet_b0", {}, 0.39),
        ("convnext_tiny", {}, 4.46),
    ],
)
def test_operations_are_twice_torchvisions_multiply_adds(name, settings, published):
    model = MODELS[name](1000, **settings)
    found = models.operations(model, (224, 224, 3)) / 2e9
    assert found == pytest.approx(published, abs=0.011)


@pytest.mark.slow
def test_a_small_model_is_measured():
    row = models.measure("s1_cnn", 64, batch_size=2, repeats=1)
    assert all(len(times) == 1 and times[0] > 0 for times in row.seconds.values())
    assert row.first.keys() == row.seconds.keys() == {"infer", "train"}
    text = models.line(row._replace(seconds={"infer": [0.5], "train": [2, 4, 8]}), 2)
    assert text.split(" | ")[4:6] == ["4.0", "0.5"]
