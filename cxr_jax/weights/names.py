"""What a layer is called elsewhere, and what it is called here.

Our paths are those of the source with other separators: 'layer1_0/conv1/kernel' is
torchvision's 'layer1.0.conv1.weight'. So both are brought to one form with `_` between
all parts; the tables below hold what is left. Each entry is a regular expression for
the source's name and its replacement, tried in order on every name.
"""

from __future__ import annotations

import re
from collections import Counter

_LEAVES = {"kernel": "weight", "scale": "weight", "mean": "running_mean"}
_LEAVES |= {"var": "running_var"}

_KERAS_LEAVES = {
    "kernel": "weight",
    "depthwise_kernel": "weight",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}

# {first letters of config.model.name: rules}.
TORCH: dict[str, tuple] = {
    "resnet": (
        (r"\.downsample\.0\.", ".downsample_conv."),
        (r"\.downsample\.1\.", ".downsample_bn."),
    ),
    "densenet": (
        (r"^features\.", ""),
        # Before torchvision 0.2, and in many a file since.
        (r"\.(norm|conv)\.([12])\.", r".\1\2."),
    ),
    "vit": ((r"^cls_token$", "class_token"), (r"^pos_embed$", "position_embedding")),
}
TORCH["bsnet"] = TORCH["resnet"]  # its trunk


def _vgg(*starts: int) -> tuple:
    """starts: torchvision's number of the first convolution of each block."""
    return (
        (
            r"^block(\d)_conv(\d)/",
            lambda m: f"features_{starts[int(m[1]) - 1] + 2 * int(m[2]) - 2}/",
        ),
        (r"^fc1/", "classifier_0/"),
        (r"^fc2/", "classifier_3/"),
        (r"^predictions/", "classifier_6/"),
    )


# Layers of EfficientNet's blocks; the first block has no expansion before them.
_EFFICIENTNET = {
    "expand_conv": (0, "_0"),
    "expand_bn": (0, "_1"),
    "dwconv": (1, "_0"),
    "bn": (1, "_1"),
    "se_reduce": (2, "/fc1"),
    "se_expand": (2, "/fc2"),
    "project_conv": (3, "_0"),
    "project_bn": (3, "_1"),
}


def _efficientnet(m: re.Match) -> str:
    """'block2a_dwconv/' -> 'features_2_0/block_1_0/'."""
    stage, letter, layer = m.groups()
    index, part = _EFFICIENTNET[layer]
    return f"features_{stage}_{ord(letter) - 97}/block_{index - (stage == '1')}{part}/"


_CONVOLUTION = ("kernel", "bias")
_MOBILENET_V1 = ((r"^conv_preds/", "classifier/"),)
_RESNET_V2 = ((r"^predictions/", "fc/"),)

KERAS: dict[str, tuple] = {
    "mobilenet_v2": (
        (r"^Conv1/", "features_0_0/"),
        (r"^bn_Conv1/", "features_0_1/"),
        (r"^Conv_1/", "features_18_0/"),
        (r"^Conv_1_bn/", "features_18_1/"),
        (r"^expanded_conv_depthwise/", "features_1/conv_0_0/"),
        (r"^expanded_conv_depthwise_BN/", "features_1/conv_0_1/"),
        (r"^expanded_conv_project/", "features_1/conv_1/"),
        (r"^expanded_conv_project_BN/", "features_1/conv_2/"),
        (r"^block_(\d+)_", lambda m: f"features_{int(m[1]) + 1}/"),
        (r"/expand/", "/conv_0_0/"),
        (r"/expand_BN/", "/conv_0_1/"),
        (r"/depthwise/", "/conv_1_0/"),
        (r"/depthwise_BN/", "/conv_1_1/"),
        (r"/project/", "/conv_2/"),
        (r"/project_BN/", "/conv_3/"),
        (r"^predictions/", "classifier_1/"),
    ),
    "squeezenet": (
        (r"^conv1/", "features_0/"),
        # torchvision counts the pools between the fire modules too.
        (
            r"^fire(\d)/",
            lambda m: f"features_{int(m[1]) + 1 + (m[1] > '3') + (m[1] > '5')}/",
        ),
        (r"/squeeze1x1/", "/squeeze/"),
        (r"^conv10/", "classifier_1/"),
    ),
    "vgg16": _vgg(0, 5, 10, 17, 24),
    "vgg19": _vgg(0, 5, 10, 19, 28),
    "resnet": (
        (r"^conv1_conv/", "conv1/"),
        (r"^conv1_bn/", "bn1/"),
        (
            r"^conv(\d)_block(\d+)_",
            lambda m: f"layer{int(m[1]) - 1}_{int(m[2]) - 1}/",
        ),
        (r"/0_(conv|bn)/", r"/downsample_\1/"),
        (r"/(\d)_(conv|bn)/", r"/\2\1/"),
        (r"^predictions/", "fc/"),
    ),
    "resnet50_v2": _RESNET_V2,
    "resnet101_v2": _RESNET_V2,
    "densenet": (
        (r"^conv1_conv/", "conv0/"),
        (r"^conv1_bn/", "norm0/"),
        (
            r"^conv(\d)_block(\d+)_",
            lambda m: f"denseblock{int(m[1]) - 1}_denselayer{m[2]}/",
        ),
        (r"/0_bn/", "/norm1/"),
        (r"/1_bn/", "/norm2/"),
        (r"/(\d)_conv/", r"/conv\1/"),
        (r"^pool(\d)_conv/", lambda m: f"transition{int(m[1]) - 1}/conv/"),
        (r"^pool(\d)_bn/", lambda m: f"transition{int(m[1]) - 1}/norm/"),
        (r"^bn/", "norm5/"),
        (r"^predictions/", "classifier/"),
    ),
    "mobilenet_v1": _MOBILENET_V1,
    "s1_cnn": _MOBILENET_V1,
    "efficientnet": (
        (r"^(stem|top)_conv/", lambda m: f"features_{8 * (m[1] == 'top')}_0/"),
        (r"^(stem|top)_bn/", lambda m: f"features_{8 * (m[1] == 'top')}_1/"),
        (r"^block(\d)([a-z])_(\w+)/", _efficientnet),
        (r"^predictions/", "classifier_1/"),
    ),
    "convnext": (
        (r"^convnext_tiny_", ""),
        # In Keras 2's files the names within a Sequential are left out.
        (r"^stem/(kernel|bias)$", r"features_0_0/\1"),
        (r"^stem/(gamma|beta)$", r"features_0_1/\1"),
        (
            r"^downsampling_block_(\d)/(gamma|beta|kernel|bias)$",
            lambda m: (
                f"features_{2 * int(m[1]) + 2}_{int(m[2] in _CONVOLUTION)}/{m[2]}"
            ),
        ),
        (r"^stem_conv/", "features_0_0/"),
        (r"^stem_layernorm/", "features_0_1/"),
        (
            r"^downsampling_(layernorm|conv)_(\d)/",
            lambda m: f"features_{2 * int(m[2]) + 2}_{int(m[1] == 'conv')}/",
        ),
        (
            r"^stage_(\d)_block_(\d)_",
            lambda m: f"features_{2 * int(m[1]) + 1}_{m[2]}/",
        ),
        (r"/depthwise_conv/", "/block_0/"),
        (r"/layernorm/", "/block_2/"),
        (r"/pointwise_conv_([12])/", lambda m: f"/block_{2 * int(m[1]) + 1}/"),
        (r"/layer_scale/\w+$", "/layer_scale"),  # gamma, or without a name
        (r"^head_layernorm/", "classifier_0/"),
        (r"^head_dense/", "classifier_2/"),
    ),
}

# What a source stores beside weights.
_NO_WEIGHTS = re.compile(r"(num_batches_tracked|op_threshs)$|^normalization(_\d+)?/")


# Share of the names that a prefix has to stand before.
_COMMON = 0.3


def is_weight(name: str) -> bool:
    """Whether a source stores a weight by this name, and not a counter or threshold."""
    return not _NO_WEIGHTS.search(name)


def prefix(stored: list[str], format: str, model: str, wanted: set[str]) -> str:
    """What a wrapper put before the names: 'module.', '_orig_mod.backbone.'; mostly ''.

    Of the beginnings that many names share, the shortest with which most names are
    those of the model.

    Args:
      stored: names in the source.
      format, model: as in `theirs`.
      wanted: names of the model, in the form of `ours`.
    """
    mark = "/" if format == "keras" else "."
    shared = Counter(
        name[: i + 1]
        for name in stored
        for i, letter in enumerate(name)
        if letter == mark
    )

    def fitting(start: str) -> int:
        keys = (theirs(name.removeprefix(start), format, model) for name in stored)
        return len(wanted.intersection(keys))

    best, most = "", fitting("")
    for start in sorted(shared, key=len):
        if shared[start] >= _COMMON * len(stored) and (count := fitting(start)) > most:
            best, most = start, count
    return best


def ours(name: str) -> str:
    """'params/layer1_0/conv1/kernel' -> 'layer1_0_conv1_weight'."""
    *path, leaf = name.split("/")[1:]
    return "_".join([*path, _LEAVES.get(leaf, leaf)])


def theirs(name: str, format: str, model: str) -> str:
    """The name of a source in the form of `ours`; '' if it is not a weight.

    Args:
      name: in the source.
      format: of `source.Source`.
      model: `config.model.name`.
    """
    if not is_weight(name):
        return ""
    if format == "ours":
        return ours(name)
    tables = KERAS if format == "keras" else TORCH
    for pattern, replacement in _rules(tables, model):
        name = re.sub(pattern, replacement, name)
    if format == "keras":
        layer, _, leaf = name.rpartition("/")
        name = f"{layer}/{_KERAS_LEAVES.get(leaf, leaf)}"
    return re.sub(r"[./]", "_", name)


def _rules(tables: dict[str, tuple], model: str) -> tuple:
    """Those of the longest family whose name the model's begins with."""
    fitting = [family for family in tables if model.startswith(family)]
    return tables[max(fitting, key=len)] if fitting else ()
