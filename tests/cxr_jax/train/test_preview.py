import cv2
import numpy as np

from cxr_jax import experiment, rng
from cxr_jax.data import roles
from cxr_jax.ops.registry import make_preprocess
from cxr_jax.train import preview


def test_the_preview_shows_what_the_step_sees(tiny_config, tmp_path):
    splits = roles.open_splits(tiny_config.data, tmp_path)
    exp = experiment.build(tiny_config, train_examples=splits.train.size)
    targets = exp.task.targets(splits.train)
    positions = np.array([3, 1, 4, 1, 5, 9, 2, 6])
    shown = preview.draw(tiny_config, splits.train, targets, positions, step=7)
    assert shown.dtype == np.uint8 and shown.shape == (48, 8 * 48)
    # The third picture, by the ops of the step on one that is read here.
    png = splits.train.read(int(splits.train.rows[4]))["image"]
    image = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
    image = cv2.resize(image, (48, 48), interpolation=cv2.INTER_AREA)
    batch = {
        "image": np.repeat(image[None, :, :, None], 8, axis=0),
        "scores": np.zeros((8, 6), np.int32),
    }
    ops = make_preprocess(tiny_config.preprocess.train, train=True)
    found = np.asarray(ops(batch, rng.stream(rng.root(0), "augment", 7))["image"])[2]
    scaled = (found - found.min()) / (found.max() - found.min()) * 255
    part = shown[:, 2 * 48 : 3 * 48].astype(float)
    assert np.abs(part - scaled[..., 0]).max() <= 1.5
