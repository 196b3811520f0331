"""The models: MODELS[name](num_outputs, dtype, **kwargs) -> a linen module.

    variables = {"params": params, **model_state}     # from init.initialise
    output, updated = model.apply(
        variables, images, train=True, mutable=["batch_stats"],
        rngs={"dropout": key})

images are float32 [B, H, W, C], any H and W (the two reproductions: one size only),
1 or 3 channels; the result is a layers.Output(logits float32, features).
"""

from cxr_jax.models.cnn import CNN
from cxr_jax.models.densenet import densenet121
from cxr_jax.models.layers import Output
from cxr_jax.models.mobilenet import mobilenet_v2
from cxr_jax.models.reproductions import S3CNN, S4CNN
from cxr_jax.models.resnet import resnet18, resnet34, resnet50

MODELS = {
    "cnn": CNN,
    "s3_cnn": S3CNN,
    "s4_cnn": S4CNN,
    "resnet18": resnet18,
    "resnet34": resnet34,
    "resnet50": resnet50,
    "densenet121": densenet121,
    "mobilenet_v2": mobilenet_v2,
}

__all__ = ["MODELS", "Output"]
