"""The default of every setting; each file in this folder changes some."""

from ml_collections import ConfigDict

from cxr_jax.tasks import DEFAULTS


def get_config(size: int = 256) -> ConfigDict:
    """Severity of six zones from a ResNet-18; see `configs/brixia.py`.

    `size` is the side in pixels of the image that the model sees. Durations are
    '<number> <unit>' in steps, epochs, examples or percent (of the whole training).
    """
    config = ConfigDict()
    config.seed = 0
    config.batch_size = 32
    config.accumulate = 1  # parts of a batch, computed one after another to save memory
    config.total = "60 epochs"

    config.data = ConfigDict()
    config.data.dataset = "brixia/512"
    config.data.data_dir = ""  # empty: TFDS's default, ~/tensorflow_datasets
    config.data.train = "train"
    config.data.val = "val"
    config.data.test = "test"
    config.data.fold = -1  # 0..4: cross-validation by patient, testing on that fold
    # 'image' deals every image by itself, as most published systems do: patients and
    # copies are then on both sides, and the figures are worth nothing (docs/results.md).
    config.data.split_by = "patient"
    # True lets train, val and test overlap: only to repeat what was published.
    config.data.leaks = False
    config.data.masks = False  # load lung masks too, for the tasks segment and align
    config.data.size = 512  # side in pixels of the square sent to the device
    config.data.square = "stretch"  # or 'pad'
    config.data.residency = "auto"  # of decoded images: 'device', 'host' or 'disk'
    config.data.phantom = 0  # write and use this many synthetic images instead

    config.task = ConfigDict()
    config.task.label_noise = 0.0  # share of the training labels that is made wrong
    use_task(config, "brixia", "ce_mae")

    config.model = ConfigDict()
    config.model.name = "resnet18"
    config.model.dtype = "float32"
    config.model.style = "torch"  # or 'keras': whose variant; see docs/models.md
    config.model.pool = "global"  # or 'grid': 3 x 2 parts, like the zones
    config.model.dropout = 0.0
    config.model.remat = False  # recompute blocks in the backward pass to save memory

    # Weights to start from: a file (PyTorch, Keras, .npz) or the workdir of a run.
    config.init_from = ""
    # Names that may be missing in that file and are drawn instead; see docs/models.md.
    config.init_excuse = "(^|/)(fc|classifier[_0-9]*|heads?|predictions|projection)[./]"

    config.preprocess = ConfigDict()
    config.preprocess.train = (
        f"to_float|resize({size})|affine(rotate=10, shift=0.05, zoom=0.1)"
        "|brightness(0.2)|contrast(0.2)|flip_lr|standardise"
    )
    config.preprocess.eval = f"to_float|resize({size})|standardise"
    config.preprocess.strength = 1.0  # multiplies the limits of the random operations

    config.optim = ConfigDict()
    config.optim.name = "adam"  # with weight_decay: AdamW
    config.optim.settings = ConfigDict()
    config.optim.lr = 1e-3
    config.optim.schedule = "cosine"
    config.optim.warmup = "5 percent"
    config.optim.weight_decay = 1e-2
    config.optim.no_decay = "(bias|scale)$"
    # Learning rate factors by name, 0 freezes: ('^conv1: 0', '^layer4: 0.1 from 2 epochs')
    config.optim.layers = ()
    config.optim.frozen_norms = ""  # batch norms (by path) that keep their statistics
    config.optim.torch_norms = False  # batch norms keep the variance as PyTorch does
    config.optim.clip_norm = 1.0
    config.optim.ema_decay = 0.0

    config.plateau = ConfigDict()  # patience in evaluations; 0 is off
    config.plateau.patience = 0
    config.plateau.factor = 0.5
    config.plateau.floor = 1e-5
    config.stop_patience = 0

    config.every = ConfigDict()
    config.every.log = "2 percent"
    config.every.eval = "1 epochs"
    config.every.checkpoint = "1 epochs"

    config.select = ""  # metric on val that selects the checkpoint; empty: the task's
    config.resamples = 2000
    config.report = True  # write a report when the training is finished: docs/report.md

    config.audit = ConfigDict()
    config.audit.against = ()  # external test sets, as in --eval_on: ('covidgr',)
    config.audit.allow = ()  # known leaks, by name: docs/audit.md
    return config


def use_task(config: ConfigDict, name: str, loss: str, **settings) -> None:
    """Sets the task, its loss, and what differs from its DEFAULTS in cxr_jax/tasks."""
    config.task.name = name
    config.task.loss = loss
    config.task.settings = ConfigDict(DEFAULTS[name] | settings)


def use_keras_adam(config: ConfigDict, lr: float) -> None:
    """Plain Adam with Keras's epsilon and a constant rate, as in the reproductions."""
    config.optim.name = "adam"
    config.optim.settings = {"eps": 1e-7}
    config.optim.lr = lr
    config.optim.schedule = "constant"
    config.optim.warmup = "0 steps"
    config.optim.weight_decay = 0.0
    config.optim.clip_norm = 0.0
