"""Public weights by name: their location, and the checksum that is published."""

from __future__ import annotations

from typing import NamedTuple

_PYTORCH = "https://download.pytorch.org/models/"
_KERAS = "https://storage.googleapis.com/tensorflow/keras-applications/"


class Published(NamedTuple):
    """A file of ImageNet weights.

    Attributes:
      url: public location.
      checksum: 'sha256:' and its first digits, as PyTorch writes them into the name, or
        'md5:' and all of it, as Keras does in its source.
      model, style: of the config.
    """

    url: str
    checksum: str
    model: str
    style: str


def _pytorch(model: str, digits: str, form: str = "") -> Published:
    url = f"{_PYTORCH}{model}{form}-{digits}.pth"
    return Published(url, f"sha256:{digits}", model, "torch")


def _keras(model: str, path: str, digits: str) -> Published:
    url = f"{_KERAS}{path}_weights_tf_dim_ordering_tf_kernels.h5"
    return Published(url, f"md5:{digits}", model, "keras")


# torchvision 0.29, weights IMAGENET1K_V1; keras.applications of Keras 3.15.
PUBLISHED = {
    found.model + ("-keras" if found.style == "keras" else ""): found
    for found in (
        _pytorch("vgg16", "397923af"),
        _pytorch("vgg19", "dcbb9e9d"),
        _pytorch("resnet18", "f37072fd"),
        _pytorch("resnet34", "b627a593"),
        _pytorch("resnet50", "0676ba61"),
        _pytorch("resnet101", "63fe2227"),
        _pytorch("resnet152", "394f9c45"),
        _pytorch("densenet121", "a639ec97"),
        _pytorch("densenet161", "8d451a50"),
        _pytorch("densenet169", "b2777c0a"),
        _pytorch("densenet201", "c1103571"),
        _pytorch("mobilenet_v2", "b0353104"),
        _pytorch("squeezenet1_1", "b8a52dc0"),
        _pytorch("efficientnet_b0", "7f5810bc", "_rwightman"),
        _pytorch("efficientnet_b1", "bac287d4", "_rwightman"),
        _pytorch("efficientnet_b2", "c35c1473", "_rwightman"),
        _pytorch("efficientnet_b3", "b3899882", "_rwightman"),
        _pytorch("efficientnet_b4", "23ab8bcd", "_rwightman"),
        _pytorch("convnext_tiny", "983f1562"),
        _keras("resnet50", "resnet/resnet50", "2cb95161c43110f7111970584f804107"),
        _keras("resnet101", "resnet/resnet101", "f1aeb4b969a6efcfb50fad2f0c20cfc5"),
        _keras("resnet152", "resnet/resnet152", "100835be76be38e30d865e96f2aaae62"),
        _keras("resnet50_v2", "resnet/resnet50v2", "3ef43a0b657b3be2300d5770ece849e0"),
        _keras(
            "resnet101_v2", "resnet/resnet101v2", "6343647c601c52e1368623803854d971"
        ),
        _keras(
            "densenet121", "densenet/densenet121", "9d60b8095a5708f2dcce2bca79d332c7"
        ),
        _keras("vgg16", "vgg16/vgg16", "64373286793e3c8b2b4e3219cbf3544b"),
    )
}

# What the 18 outputs of torchxrayvision's DenseNet say, in their order
# (torchxrayvision 1.5, `datasets.default_pathologies`).
XRAYVISION_OUTPUTS = (
    "Atelectasis",
    "Consolidation",
    "Infiltration",
    "Pneumothorax",
    "Edema",
    "Emphysema",
    "Fibrosis",
    "Effusion",
    "Pneumonia",
    "Pleural_Thickening",
    "Cardiomegaly",
    "Nodule",
    "Mass",
    "Hernia",
    "Lung Lesion",
    "Fracture",
    "Lung Opacity",
    "Enlarged Cardiomediastinum",
)
