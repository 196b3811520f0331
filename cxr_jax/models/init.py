"""First parameters, drawn on the host: no compilation, and one stream per leaf.

jit(model.init) costs 6 s for a ResNet-18 and 19 s for a DenseNet-121 on two cores;
tracing the shapes and drawing with numpy costs about one and three.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from cxr_jax import rng


def initialise(model, image_shape: tuple[int, int, int], seed: int):
    """Parameters and state of `model` for images of `image_shape` (H, W, C).

    Returns (params, model_state), trees of float32 numpy arrays; model_state is
    {'batch_stats': ...}, or {} for a model without. Each leaf depends on the seed,
    its path and its shape alone. Kernels follow `model.scheme` (see SCHEMES);
    biases, means and class tokens are 0, scales and variances 1, layer scales 1e-6.
    """
    abstract = abstract_variables(model, image_shape)
    params = abstract.pop("params")
    draw = partial(_draw, seed=seed, scheme=model.scheme)
    return (
        jax.tree_util.tree_map_with_path(draw, params),
        jax.tree_util.tree_map_with_path(draw, abstract),
    )


def abstract_variables(model, image_shape: tuple[int, int, int]) -> dict:
    """{'params': ..., 'batch_stats': ...} as shapes and dtypes; no arrays."""
    images = jax.ShapeDtypeStruct((1, *image_shape), jnp.float32)
    key = jax.eval_shape(lambda: jax.random.key(0))
    return dict(jax.eval_shape(partial(model.init, train=False), key, images))


def he_fan_out(generator, shape):
    """Normal, variance 2 / fan out (He et al. 2015, arXiv 1502.01852): ResNet's."""
    fan_out = shape[-1] * int(np.prod(shape[:-2]))
    return generator.normal(0.0, np.sqrt(2 / fan_out), shape)


def he_fan_in(generator, shape):
    """Normal, variance 2 / fan in (He et al. 2015): DenseNet's, and the plain CNN's."""
    return generator.normal(0.0, np.sqrt(2 / np.prod(shape[:-1])), shape)


def glorot_uniform(generator, shape):
    """Uniform within sqrt(6 / (fan in + fan out)) (Glorot and Bengio 2010): Keras's."""
    field = int(np.prod(shape[:-2]))
    limit = np.sqrt(6 / (field * (shape[-2] + shape[-1])))
    return generator.uniform(-limit, limit, shape)


def torch_uniform(generator, shape):
    """Uniform within 1 / sqrt(fan in) (LeCun et al. 1998): PyTorch's dense layers."""
    limit = 1 / np.sqrt(np.prod(shape[:-1]))
    return generator.uniform(-limit, limit, shape)


def truncated_normal(generator, shape):
    """Normal, deviation 0.02, cut at two of them: ViT's and ConvNeXt's."""
    from scipy.special import ndtr, ndtri  # takes 0.2 s, and few models want it

    limits = ndtr([-2.0, 2.0])
    return 0.02 * ndtri(generator.uniform(*limits, shape))


# scheme: (convolution kernels, dense kernels)
SCHEMES = {
    "he_fan_out": (he_fan_out, torch_uniform),
    "he_fan_in": (he_fan_in, torch_uniform),
    "glorot_uniform": (glorot_uniform, glorot_uniform),
    "truncated_normal": (truncated_normal, truncated_normal),
}

CONSTANTS = {"bias": 0.0, "mean": 0.0, "scale": 1.0, "var": 1.0, "zero_kernel": 0.0}
CONSTANTS |= {"class_token": 0.0, "layer_scale": 1e-6}
CONSTANTS |= {"count": 0.0, "square": 0.0}  # lung_zones.Standard


def _draw(path, leaf, *, seed: int, scheme: str) -> np.ndarray:
    names = [entry.key for entry in path]
    if names[-1] in CONSTANTS:
        return np.full(leaf.shape, CONSTANTS[names[-1]], leaf.dtype)
    if names[-1] not in ("kernel", "position_embedding"):
        raise ValueError(
            f"no rule for the first value of {'/'.join(names)}: add its name to "
            "CONSTANTS or call it 'kernel'"
        )
    convolution, dense = SCHEMES[scheme]
    rule = convolution if len(leaf.shape) == 4 else dense
    if names[-1] == "position_embedding":
        rule = truncated_normal
    generator = rng.generator(seed, "params/" + "/".join(names))
    return rule(generator, leaf.shape).astype(leaf.dtype)
