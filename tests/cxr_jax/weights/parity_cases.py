"""The models that are compared with the packages they are named after."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from cxr_jax import trees
from cxr_jax.models import MODELS
from cxr_jax.models.init import abstract_variables
from cxr_jax.rng import generator
from cxr_jax.weights import layouts, names

OUTPUTS = 10
# Of the largest number of theirs.
TOLERANCE = 1e-4

Arrays = dict[str, np.ndarray]


class Case(NamedTuple):
    """One model of ours and its counterpart.

    Attributes:
      package: 'torchvision', 'timm' or 'keras'.
      theirs: its name there.
      ours: its name here.
      side: of the pictures, in pixels.
      features: {our name of a map: theirs}.
      settings: of our model.
      recorded: a result of the package lies in `recorded/`, for machines without it.
    """

    package: str
    theirs: str
    ours: str
    side: int
    features: dict[str, str]
    settings: tuple[tuple[str, Any], ...] = ()
    recorded: bool = False

    @property
    def title(self) -> str:
        return f"{self.package}-{self.ours}-{self.side}"

    @property
    def format(self) -> str:
        """As in weights.source.Source; it is our style too."""
        return "keras" if self.package == "keras" else "torch"


class Result(NamedTuple):
    """What a model gave for `images`.

    Attributes:
      shapes: {name of a weight in the package: shape}.
      logits: [2, OUTPUTS].
      features: {our name of a map: [2, h, w, C]}.
    """

    shapes: dict[str, tuple[int, ...]]
    logits: np.ndarray
    features: Arrays


def _torch(theirs: str, side: int, *, ours: str = "", **more) -> Case:
    stages = more.pop("features")
    return Case("torchvision", theirs, ours or theirs, side, stages, **more)


def _keras(theirs: str, ours: str, side: int, **more) -> Case:
    return Case("keras", theirs, ours, side, **more)


_LAYERS = {"stage2": "layer2", "stage4": "layer4"}
_DENSE = {"stage1": "features.denseblock1", "stage3": "features.denseblock3"}
_EFFICIENT = {"stage1": "features.2", "stage4": "features.8"}
_FIRE = {"stage2": "features.4", "stage4": "features.12"}
_BLOCKS = {"stage1": "blocks.2", "stage4": "norm"}
_K_LAYERS = {"stage2": "conv3_block4_out", "stage4": "conv5_block3_out"}
_K_LAYERS_152 = {"stage2": "conv3_block8_out", "stage4": "conv5_block3_out"}
_K_LAYERS_V2 = {"stage1": "conv2_block2_out", "stage4": "post_relu"}
_K_POINTWISE = {"stage1": "conv_pw_3_relu", "stage4": "conv_pw_13_relu"}
_K_EFFICIENT = {"stage1": "block2b_add", "stage4": "top_activation"}
_K_VGG = {"stage1": "block1_conv2", "stage5": "block5_conv3"}


def _k_dense(depth: int) -> dict[str, str]:
    return {"stage1": "conv2_block6_concat", "stage3": f"conv4_block{depth}_concat"}


# Those of full depth that a machine with two cores compiles in seconds.
QUICK = (
    _torch("resnet18", 64, features=_LAYERS, recorded=True),
    _torch("densenet121", 64, features=_DENSE, recorded=True),
    _torch(
        "mobilenet_v2",
        75,
        features={"stage1": "features.3", "stage4": "features.18"},
        recorded=True,
    ),
    _torch(
        "squeezenet1_1",
        75,
        features=_FIRE,
        settings=(("published_head", True),),
        recorded=True,
    ),
    _torch("efficientnet_b0", 75, features=_EFFICIENT, recorded=True),
    _torch(
        "convnext_tiny",
        64,
        features={"stage1": "features.1", "stage3": "features.5"},
        recorded=True,
    ),
    Case("timm", "vit_small_patch16_224", "vit_s16", 48, _BLOCKS, recorded=True),
    _keras("ResNet50", "resnet50", 64, features=_K_LAYERS, recorded=True),
    _keras("ResNet50V2", "resnet50_v2", 75, features=_K_LAYERS_V2, recorded=True),
    _keras("MobileNet", "mobilenet_v1", 75, features=_K_POINTWISE, recorded=True),
    _keras(
        "MobileNetV2",
        "mobilenet_v2",
        64,
        features={"stage1": "block_2_add", "stage4": "out_relu"},
        recorded=True,
    ),
    _keras("EfficientNetB0", "efficientnet_b0", 64, features=_K_EFFICIENT),
    _keras("DenseNet121", "densenet121", 64, features=_k_dense(24)),
)

SLOW = (
    *(
        _torch(name, 64, features=_LAYERS)
        for name in ("resnet34", "resnet50", "resnet101", "resnet152")
    ),
    *(
        _torch(name, 64, features=_DENSE)
        for name in ("densenet161", "densenet169", "densenet201")
    ),
    _torch("vgg16", 100, features={"stage1": "features.3", "stage5": "features.29"}),
    _torch("vgg19", 224, features={"stage1": "features.3", "stage5": "features.35"}),
    *(
        _torch(f"efficientnet_b{i}", 75, features=_EFFICIENT | {"stage1": "features.2"})
        for i in (1, 2, 3, 4)
    ),
    Case("timm", "vit_base_patch16_224", "vit_b16", 64, _BLOCKS),
    _keras("ResNet101", "resnet101", 64, features=_K_LAYERS),
    _keras("ResNet152", "resnet152", 64, features=_K_LAYERS_152),
    _keras("ResNet101V2", "resnet101_v2", 64, features=_K_LAYERS_V2),
    _keras("DenseNet169", "densenet169", 64, features=_k_dense(32)),
    _keras("DenseNet201", "densenet201", 64, features=_k_dense(48)),
    _keras("MobileNet", "mobilenet_v1", 64, features=_K_POINTWISE),
    _keras("MobileNetV2", "mobilenet_v2", 75, features=QUICK[10].features),
    *(
        _keras(f"EfficientNetB{i}", f"efficientnet_b{i}", 75, features=features)
        for i, features in (
            (0, _K_EFFICIENT),
            (1, _K_EFFICIENT | {"stage1": "block2c_add"}),
            (2, _K_EFFICIENT | {"stage1": "block2c_add"}),
            (3, _K_EFFICIENT | {"stage1": "block2c_add"}),
            (4, _K_EFFICIENT | {"stage1": "block2d_add"}),
        )
    ),
    _keras(
        "ConvNeXtTiny",
        "convnext_tiny",
        64,
        features={
            "stage1": "convnext_tiny_downsampling_block_0<",
            "stage3": "convnext_tiny_downsampling_block_2<",
        },
    ),
    _keras("VGG16", "vgg16", 224, features=_K_VGG),
    _keras("VGG19", "vgg19", 224, features=_K_VGG | {"stage5": "block5_conv4"}),
)


def images(side: int) -> np.ndarray:
    """[2, side, side, 3], normal."""
    return generator(0, "images").normal(size=(2, side, side, 3)).astype(np.float32)


def draw(shapes: dict[str, tuple[int, ...]], format: str) -> Arrays:
    """Weights of any size, in the source's own layout, each of its name alone."""
    return {name: _draw(name, shape, format) for name, shape in shapes.items()}


def _draw(name: str, shape: tuple[int, ...], format: str) -> np.ndarray:
    random = generator(0, name)
    leaf = name.rpartition("/" if format == "keras" else ".")[2]
    if leaf in ("running_var", "moving_variance", "gamma", "layer_scale") or (
        leaf == "weight" and len(shape) == 1
    ):
        # Small enough for maps that do not grow block by block: what exceeds relu6
        # by much would lose the digits that are compared.
        array = random.uniform(0.4, 1.1, shape)
        if leaf in ("running_var", "moving_variance"):
            array += 0.5
    elif len(shape) in (2, 4):  # kernels
        inputs = shape[1:] if format == "torch" else shape[:-1]
        if leaf == "depthwise_kernel":  # [h, w, C, 1]
            inputs = shape[:2]
        array = random.standard_normal(shape, np.float32)
        array *= np.float32(np.sqrt(2 / np.prod(inputs)))
    else:
        array = random.normal(0, 0.1, shape)
    return array.astype(np.float32)


def run(case: Case, shapes: dict[str, tuple[int, ...]]) -> Result:
    """Our model with the weights that `draw` gives for the package's names."""
    import jax

    model = MODELS[case.ours](OUTPUTS, style=case.format, **dict(case.settings))
    variables = placed(case, model, draw(shapes, case.format))
    # One pass is less work than compiling well.
    fast = {"xla_backend_optimization_level": 0}
    apply = jax.jit(model.apply, compiler_options=fast)
    output = apply(variables, images(case.side))
    features = {name: np.asarray(output.features[name]) for name in case.features}
    return Result(shapes, np.asarray(output.logits), features)


def placed(case: Case, model, arrays: Arrays) -> dict[str, Any]:
    """{'params', 'batch_stats'} of `model`; every array has to find its one place."""
    import jax

    abstract = abstract_variables(model, (case.side, case.side, 3))
    wanted = trees.by_name(abstract)
    ours = {names.ours(name): name for name in wanted}
    found = {}
    for theirs, array in arrays.items():
        name = ours[names.theirs(theirs, case.format, case.ours)]
        assert name not in found, name
        shape = wanted[name].shape
        found[name] = layouts.convert(array, case.format, name, shape)
    assert found.keys() == wanted.keys()
    assert all(found[name].shape == leaf.shape for name, leaf in wanted.items())
    return jax.tree.unflatten(
        jax.tree.structure(abstract), [found[name] for name in wanted]
    )


def check(ours: Result, theirs: Result) -> float:
    """Asserts that they agree, and returns the largest share by which they do not."""
    pairs = {"logits": (ours.logits, theirs.logits)}
    assert ours.features.keys() == theirs.features.keys()
    pairs |= {
        name: (ours.features[name], theirs.features[name]) for name in theirs.features
    }
    shares = {}
    for name, (mine, other) in pairs.items():
        assert mine.shape == other.shape, name
        assert np.abs(other).max() > 0, name
        shares[name] = float(np.abs(mine - other).max() / np.abs(other).max())
        assert shares[name] < TOLERANCE, (name, shares[name])
    return max(shares.values())
