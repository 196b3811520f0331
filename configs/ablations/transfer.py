"""What are ImageNet weights worth on chest X-rays: from scratch, frozen, fine-tuned?

MobileNetV2 three ways by three seeds, everything else alike: `scratch` draws all
weights (in PyTorch's style, whose batch norms settle within so few steps); `frozen`
trains the head on features of the weights as they are; `tuned` goes on training all of
them at a tenth of the rate, batch norms keeping their statistics (the file has none of
its own: they were worked into the convolutions).

    python -m launch.sweep "configs/ablations/transfer.py:weights=FILE" --workdir=runs/transfer
    python -m launch.collect runs/transfer

Arguments: `weights` is the .npz or the .pth of a MobileNetV2 (docs/weights.md), `style`
'keras' or 'torch' as the file is; `radiography` takes four classes of
covid_radiography, else zone scores of brixia_public; `size=128`. The rates were chosen
before any run. Time on 2 cores, and what came out: docs/weights.md.
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
        # Keras's running statistics would need thousands of steps to be those of the data.
        add({"init_from": "", "model.style": "torch", "seed": seed})
        add({"optim.layers": ("^features: 0",), "seed": seed})
        add({"optim.lr": 1e-4, "optim.frozen_norms": ".", "seed": seed})
