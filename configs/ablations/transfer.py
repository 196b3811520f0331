"""What are ImageNet weights worth on chest X-rays: from scratch, frozen, fine-tuned?

MobileNetV2 three ways, three seeds each, everything else the same: `scratch` draws all
weights (in PyTorch's style, whose batch norms settle within so few steps); `frozen` trains
the head on the features of the given weights; `tuned` trains all of them on at a tenth of
the learning rate, with batch norms that keep their statistics (the file has none of its
own: they were folded into the convolutions).

    python -m launch.sweep "configs/ablations/transfer.py:weights=FILE" --workdir=runs/transfer
    python -m launch.collect runs/transfer

Arguments: `weights` is the .npz or .pth file of a MobileNetV2 (docs/weights.md) and `style`
its origin, 'keras' or 'torch'; `radiography` uses the four classes of covid_radiography
instead of the zone scores of brixia_public; `size=128`. The learning rates were chosen
before any run. Results: docs/weights.md. Time on 2 cores: 5 minutes, 14 of `radiography`.
"""

from cxr_jax.config import parse_arg
from cxr_jax.configs import common, radiography

PIXELS = {
    "keras": "normalise(0.5, 0.5)",
    "torch": "normalise((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))",
}
SEEDS = (0, 1, 2)


def get_config(arg=None):
    arg = parse_arg(arg, weights="", style="keras", radiography=False, size=128)
    if arg.radiography:
        config = radiography.get_config(f"size={arg.size}")
        config.total = "6 epochs"
    else:
        config = common.get_config(arg.size)
        config.data.dataset = "brixia_public/512"
        config.total = "30 epochs"
        config.every.eval = config.every.checkpoint = "3 epochs"
    config.batch_size = 16
    config.model.name = "mobilenet_v2"
    config.model.style = arg.style
    config.model.pool = "grid"
    config.init_from = arg.weights
    end = f"to_rgb|{PIXELS[arg.style]}"
    for role in ("train", "eval"):
        text = config.preprocess[role]
        config.preprocess[role] = text.replace("standardise", end)
    return config


def sweep(add):
    for seed in SEEDS:
        # Keras's running statistics would take thousands of steps to follow the data.
        add({"init_from": "", "model.style": "torch", "seed": seed})
        add({"optim.layers": ("^features: 0",), "seed": seed})
        add({"optim.lr": 1e-4, "optim.frozen_norms": ".", "seed": seed})
