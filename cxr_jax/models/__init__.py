"""The models: MODELS[name](num_outputs, dtype, **kwargs) -> a linen module.

    variables = {"params": params, **model_state}     # from init.initialise
    output, updated = model.apply(
        variables, images, train=True, mutable=["batch_stats"],
        rngs={"dropout": key})

images are float32 [B, H, W, C], any H and W (s2_cnn, s3_cnn, s4_cnn: one size only),
1 or 3 channels; the result is a layers.Output(logits float32, features).
"""

from cxr_jax.models.bsnet import BSNet
from cxr_jax.models.cnn import CNN
from cxr_jax.models.convnext import convnext_tiny
from cxr_jax.models.densenet import densenet121, densenet161, densenet169, densenet201
from cxr_jax.models.efficientnet import (
    efficientnet_b0,
    efficientnet_b1,
    efficientnet_b2,
    efficientnet_b3,
    efficientnet_b4,
)
from cxr_jax.models.layers import Output
from cxr_jax.models.lung_zones import LungZones
from cxr_jax.models.mobilenet import mobilenet_v2
from cxr_jax.models.mobilenet_v1 import mobilenet_v1
from cxr_jax.models.reproductions import S2CNN, S3CNN, S4CNN, s1_cnn
from cxr_jax.models.resnet import resnet18, resnet34, resnet50, resnet101, resnet152
from cxr_jax.models.resnet_v2 import resnet50_v2, resnet101_v2
from cxr_jax.models.squeezenet import squeezenet1_1
from cxr_jax.models.vgg import vgg16, vgg19
from cxr_jax.models.vit import vit_b16, vit_s16

MODELS = {
    "cnn": CNN,
    "s1_cnn": s1_cnn,
    "s2_cnn": S2CNN,
    "s3_cnn": S3CNN,
    "s4_cnn": S4CNN,
    "resnet18": resnet18,
    "resnet34": resnet34,
    "resnet50": resnet50,
    "resnet101": resnet101,
    "resnet152": resnet152,
    "resnet50_v2": resnet50_v2,
    "resnet101_v2": resnet101_v2,
    "densenet121": densenet121,
    "densenet161": densenet161,
    "densenet169": densenet169,
    "densenet201": densenet201,
    "vgg16": vgg16,
    "vgg19": vgg19,
    "mobilenet_v1": mobilenet_v1,
    "mobilenet_v2": mobilenet_v2,
    "mobilenet_v2_zones": LungZones,
    "squeezenet1_1": squeezenet1_1,
    "efficientnet_b0": efficientnet_b0,
    "efficientnet_b1": efficientnet_b1,
    "efficientnet_b2": efficientnet_b2,
    "efficientnet_b3": efficientnet_b3,
    "efficientnet_b4": efficientnet_b4,
    "convnext_tiny": convnext_tiny,
    "vit_s16": vit_s16,
    "vit_b16": vit_b16,
    "bsnet": BSNet,
}

__all__ = ["MODELS", "Output"]
