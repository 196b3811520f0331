"""Losses, one number per example: [B], averaged over zones but never over B.

Common shapes: logits [B, ..., K] and labels [B, ...] of whole numbers 0..K-1; the
axes between, such as the 6 zones, are averaged. A sigmoid unit is a softmax over
two logits (0, z): see `two_logits`. Everything is computed in float32.
"""

import jax
import jax.numpy as jnp


def cross_entropy(logits, labels, *, smoothing: float = 0.0, class_weights=None):
    """Cross-entropy in nats, with label smoothing and class weights.

    smoothing: share of the target spread evenly over all K classes (Szegedy et al.
      2016, arXiv 1512.00567).
    class_weights: [K]; the term of class k is multiplied by the k-th, without
      division by their sum. Weights with mean 1 over the training examples keep the
      scale of the loss.
    """
    logits = _float32(logits)
    classes = logits.shape[-1]
    target = jax.nn.one_hot(labels, classes) * (1 - smoothing) + smoothing / classes
    terms = -target * _weights(class_weights, logits) * jax.nn.log_softmax(logits)
    return _per_example(terms.sum(axis=-1))


def focal(logits, labels, *, gamma: float = 2.0, class_weights=None):
    """Focal loss (1 - p)^gamma * -log p, p that of the true class.

    Lin et al. 2017, arXiv 1708.02002; gamma = 0 is cross-entropy, class_weights [K]
    are its alpha.
    """
    logits = _float32(logits)
    target = jax.nn.one_hot(labels, logits.shape[-1])
    log_p = jnp.sum(target * jax.nn.log_softmax(logits), axis=-1)
    # log(1 - p) from the other classes, not from p: finite, with finite gradients,
    # even if p rounds to 1.
    others = jax.nn.logsumexp(logits, axis=-1, where=target == 0)
    log_rest = others - jax.nn.logsumexp(logits, axis=-1)
    weight = jnp.sum(target * _weights(class_weights, logits), axis=-1)
    return _per_example(-weight * jnp.exp(gamma * log_rest) * log_p)


def ranked_probability(logits, labels):
    """Ranked probability score: squared distance of the cumulative distributions.

    Sum over the K levels of (P(level <= k) - [label <= k])^2, so that an error of two
    levels costs more than an error of one (Epstein 1969, J. Appl. Meteorol. 8:985);
    the squared earth mover's distance of Hou et al. 2016, arXiv 1611.05916.
    """
    probabilities = jax.nn.softmax(_float32(logits))
    target = jax.nn.one_hot(labels, logits.shape[-1])
    distance = jnp.cumsum(probabilities - target, axis=-1)
    return _per_example(jnp.sum(distance**2, axis=-1))


def absolute_error(logits, labels):
    """Absolute error of the expected score: differentiable, in score points."""
    error = expected_score(logits) - labels.astype(jnp.float32)
    return _per_example(jnp.abs(error))


def ce_mae(logits, labels, *, alpha: float = 0.3, smoothing=0.0, class_weights=None):
    """(1 - alpha) * cross-entropy + alpha * absolute error of the expected score.

    Signoroni et al. 2021, doi 10.1016/j.media.2021.102046 (BS-Net).
    """
    ce = cross_entropy(logits, labels, smoothing=smoothing, class_weights=class_weights)
    return (1 - alpha) * ce + alpha * absolute_error(logits, labels)


def dice(probability, mask):
    """1 - Dice of a soft mask: [B, H, W, 1] each -> [B].

    Twice the overlap over the sum of both (Milletari et al. 2016, arXiv 1606.04797, who
    square the denominator). One pixel is added to both parts of the fraction, so that
    two empty masks agree.
    """
    probability, mask = (x.astype(jnp.float32) for x in (probability, mask))
    axes = tuple(range(1, mask.ndim))
    common = (probability * mask).sum(axes)
    return 1 - (2 * common + 1) / (probability.sum(axes) + mask.sum(axes) + 1)


def dice_bce(logits, mask, *, share: float = 0.5):
    """share * (1 - Dice) + (1 - share) * cross-entropy of the pixels, in nats: [B]."""
    logits, mask = logits.astype(jnp.float32), mask.astype(jnp.float32)
    entropy = _per_example(jax.nn.softplus(logits) - logits * mask)
    return share * dice(jax.nn.sigmoid(logits), mask) + (1 - share) * entropy


def expected_score(logits):
    """Mean of the levels 0..K-1 under the softmax: [B, ..., K] -> [B, ...]."""
    probabilities = jax.nn.softmax(_float32(logits))
    levels = jnp.arange(logits.shape[-1], dtype=jnp.float32)
    # A sum, not a matrix product, which accelerators round to fewer bits.
    return jnp.sum(probabilities * _along_last(levels, logits), axis=-1)


def two_logits(logits):
    """One sigmoid unit as two softmax logits: [..., 1] -> [..., 2]."""
    return jnp.concatenate([jnp.zeros_like(logits), logits], axis=-1)


def _float32(logits):
    if logits.shape[-1] < 2:
        raise ValueError(
            f"logits of shape {logits.shape} have one output, whose softmax is "
            "always 1; pass two_logits(logits)"
        )
    return logits.astype(jnp.float32)


def _weights(class_weights, logits):
    classes = logits.shape[-1]
    if class_weights is None:
        return _along_last(jnp.ones(classes, jnp.float32), logits)
    weights = jnp.asarray(class_weights, jnp.float32)
    if weights.shape != (classes,):
        raise ValueError(
            f"class_weights have shape {weights.shape}; {classes} classes need "
            f"({classes},)"
        )
    return _along_last(weights, logits)


def _along_last(vector, like):
    return vector.reshape((1,) * (like.ndim - 1) + (-1,))


def _per_example(values):
    return values.reshape(values.shape[0], -1).mean(axis=1)
