"""COVID-19 or another finding, to be tested on films of other hospitals.

MobileNetV2 at 128 px from ImageNet weights. Trained on sources that have both classes
(Radiopaedia, Hannover), on the middle of the film alone, so that neither the source nor
the edge of a film gives the class away; tested on Eurorad's films of both classes, which
come from other hospitals. `pooled` trains on what most published systems do: whole
films, and sources that have one class only (journals, NIH) with them.

    python -m launch.results --only=covid_external --data=DIR --weights=FILE --out=runs/results

writes the folders of films (`launch/results/sources.py`), builds them, trains and tests.
Arguments: `weights` is the .npz of a MobileNetV2 (docs/weights.md), `style` its origin,
'keras' or 'torch'; without a file it is drawn, in PyTorch's style. `pooled`; `share=0.8`
of height and width that is kept; `size=128`; `fold=K`; `phantom` (400 synthetic films).
Results and time on 2 cores: docs/results.md.
"""

from cxr_jax.config import parse_arg
from cxr_jax.configs import common, image_folder
from cxr_jax.configs.ablations.transfer import PIXELS


def get_config(arg=None):
    arg = parse_arg(
        arg,
        weights="",
        style="keras",
        pooled=False,
        share=0.8,
        size=128,
        fold=-1,
        phantom=False,
    )
    config = image_folder.get_config(
        f"size={arg.size},fold={arg.fold}" + ",phantom" * arg.phantom
    )
    config.data.dataset = "image_folder/256"
    config.data.size = 256
    classes = ("other", "COVID")
    common.use_task(config, "classify", "cross_entropy", classes=classes, balanced=True)
    config.batch_size = 16
    config.total = "120 steps"  # of both arms, whose numbers of films differ
    config.every.eval = config.every.checkpoint = "20 steps"
    config.select = "auroc"
    config.model.name = "mobilenet_v2"
    config.model.style = arg.style if arg.weights else "torch"
    config.init_from = arg.weights
    if arg.weights:
        config.optim.lr = 1e-4
        config.optim.frozen_norms = "."
    crop = "" if arg.pooled else f"|crop_middle({arg.share})"
    end = f"to_rgb|{PIXELS[config.model.style]}"
    for role in ("train", "eval"):
        text = config.preprocess[role].replace("standardise", end)
        config.preprocess[role] = text.replace("to_float", f"to_float{crop}")
    return config
