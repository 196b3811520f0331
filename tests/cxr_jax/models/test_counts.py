"""As many parameters as published, for pictures of 224 x 224 x 3 and 1000 outputs.

torch: the counts in the documentation of torchvision and timm; statistics beside them
are two for each channel of a batch norm. Keras tells the sum of both, which is in its
documentation too (EfficientNet's without the 7 numbers of its pre-processing).
"""

import itertools

import jax
import pytest

from cxr_jax.models import MODELS
from cxr_jax.models.init import abstract_variables

PICTURE = (224, 224, 3)


def count(model, shape=PICTURE):
    variables = abstract_variables(model, shape)
    params = variables.pop("params")
    trees = (params, variables)
    return tuple(sum(leaf.size for leaf in jax.tree.leaves(tree)) for tree in trees)


@pytest.mark.parametrize(
    "name, trained, statistics",
    [
        ("vgg16", 138_357_544, 0),
        ("vgg19", 143_667_240, 0),
        ("resnet18", 11_689_512, 9_600),
        ("resnet34", 21_797_672, 17_024),
        ("resnet50", 25_557_032, 53_120),
        ("resnet101", 44_549_160, 105_344),
        ("resnet152", 60_192_808, 151_424),
        ("densenet121", 7_978_856, 83_648),
        ("densenet161", 28_681_000, 219_936),
        ("densenet169", 14_149_480, 158_400),
        ("densenet201", 20_013_928, 229_056),
        ("mobilenet_v2", 3_504_872, 34_112),
        ("squeezenet1_1", 1_235_496, 0),
        ("efficientnet_b0", 5_288_548, 42_016),
        ("efficientnet_b1", 7_794_184, 62_048),
        ("efficientnet_b2", 9_109_994, 67_568),
        ("efficientnet_b3", 12_233_232, 87_296),
        ("efficientnet_b4", 19_341_616, 125_200),
        ("convnext_tiny", 28_589_128, 0),
        ("vit_s16", 22_050_664, 0),
        ("vit_b16", 86_567_656, 0),
    ],
)
def test_published_count_of_torch(name, trained, statistics):
    assert count(MODELS[name](1000)) == (trained, statistics)


@pytest.mark.parametrize(
    "name, total",
    [
        ("vgg16", 138_357_544),
        ("vgg19", 143_667_240),
        ("resnet50", 25_636_712),
        ("resnet101", 44_707_176),
        ("resnet152", 60_419_944),
        ("resnet50_v2", 25_613_800),
        ("resnet101_v2", 44_675_560),
        ("densenet121", 8_062_504),
        ("densenet169", 14_307_880),
        ("densenet201", 20_242_984),
        ("mobilenet_v1", 4_253_864),
        ("mobilenet_v2", 3_538_984),
        ("efficientnet_b0", 5_330_571 - 7),
        ("efficientnet_b4", 19_466_823 - 7),
        ("convnext_tiny", 28_589_128),
    ],
)
def test_published_count_of_keras(name, total):
    assert sum(count(MODELS[name](1000, style="keras"))) == total


@pytest.mark.parametrize(
    "name, outputs, shape, trained, statistics",
    [
        # A trunk of 213,072 (Keras's MobileNet with alpha 0.25, without its top).
        ("s1_cnn", 1, PICTURE, 213_072 + 256 * 64 + 64 + 65, 5_472),
        ("s3_cnn", 1, (256, 256, 3), 422_177, 0),
        ("s4_cnn", 4, (299, 299, 1), 2_900_868, 2_943_428 - 2_900_868),
    ],
)
def test_count_of_the_reproduced_systems(name, outputs, shape, trained, statistics):
    assert count(MODELS[name](outputs), shape) == (trained, statistics)


def test_count_of_s2_matches_its_description():
    def separable(before, width):
        return 9 * before + before * width + width

    widths = (16, 32, 64, 128, 256)
    expected = (9 * 3 + 1) * 16 + (9 * 16 + 1) * 16
    for before, width in itertools.pairwise(widths):
        expected += separable(before, width) + separable(width, width) + 2 * width
    # 150 pixels halved five times are 4.
    for before, width in ((4 * 4 * 256, 512), (512, 128), (128, 64), (64, 1)):
        expected += (before + 1) * width
    assert count(MODELS["s2_cnn"](1), (150, 150, 3)) == (expected, 2 * sum(widths[1:]))
