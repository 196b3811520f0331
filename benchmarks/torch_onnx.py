"""Writes torchvision's models as ONNX files, for `benchmarks.export` to compare with.

    python -m benchmarks.torch_onnx FOLDER resnet18 densenet121 ...

Needs torch, torchvision and onnx, and nothing else of this repository.
"""

from __future__ import annotations

import pathlib
import sys

import torch
import torchvision

SIDE, OUTPUTS, OPSET = 224, 24, 17
# Where torchvision writes a name in another way.
NAMES = {"vit_b16": "vit_b_16"}


def write(folder: pathlib.Path, name: str) -> None:
    """One model in evaluation mode, static batch 1, three channels."""
    make = getattr(torchvision.models, NAMES.get(name, name))
    image = torch.zeros(1, 3, SIDE, SIDE)
    path = str(folder / f"{name}.onnx")
    model = make(num_classes=OUTPUTS).eval()
    torch.onnx.export(model, (image,), path, dynamo=False, opset_version=OPSET)


if __name__ == "__main__":
    for each in sys.argv[2:]:
        write(pathlib.Path(sys.argv[1]), each)
