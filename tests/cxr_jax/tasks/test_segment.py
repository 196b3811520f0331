"""The tasks on lung masks: losses, data on every residency, and whole trainings."""

import json

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict
from sklearn.metrics import f1_score, log_loss

from configs import common, radiography
from configs.reproductions import bsnet
from cxr_jax import experiment, losses, tasks
from cxr_jax.data import cache, fitting, pipeline, roles
from cxr_jax.data.split import take
from cxr_jax.evaluation import evaluate
from cxr_jax.models import Output
from cxr_jax.ops import frame
from cxr_jax.report import write
from cxr_jax.rng import generator
from cxr_jax.stats import bootstrap
from cxr_jax.train import loop
from tfds_builders.build import build
from tfds_builders.common.errors import InputError
from tfds_builders.phantom import write_release


@pytest.fixture(scope="module")
def masked_data(tmp_path_factory):
    """data_dir of a prepared phantom 'covid_radiography/segmentation' of 60 images."""
    folder = tmp_path_factory.mktemp("radiography")
    write_release("covid_radiography", folder / "release", 60)
    build(
        "covid_radiography/segmentation",
        folder / "release",
        folder / "data",
        quiet=True,
    )
    return folder / "data"


@pytest.fixture
def masked_config(masked_data):
    """make(stage): four steps of a small BS-Net on the small dataset; locked."""

    def make(stage):
        config = bsnet.get_config(f"{stage},size=64")
        config.data.data_dir = str(masked_data)
        config.data.size = 96
        config.batch_size = 8
        config.total = "4 steps"
        config.model = ConfigDict(
            {"name": "bsnet", "dtype": "float32", "depths": (1, 1, 1, 1)}
            | {"width": 4, "decoder": (4, 4, 4, 4), "neck": 8}
        )
        config.every.eval = config.every.checkpoint = "2 steps"
        config.every.log = "1 steps"
        config.resamples = 20
        config.report = False
        return config.lock()

    return make


def images(*shape, name="x"):
    return generator(0, name).normal(size=shape).astype(np.float32)


def test_the_losses_are_scikit_learns():
    logits = 2 * images(5, 6, 4, 1)
    mask = generator(0, "m").uniform(size=logits.shape) < 0.4
    probability = 1 / (1 + np.exp(-logits.astype(np.float64)))
    entropy = [
        log_loss(m.ravel(), p.ravel()) for m, p in zip(mask, probability, strict=True)
    ]
    np.testing.assert_allclose(
        losses.dice_bce(logits, mask, share=0.0), entropy, rtol=1e-5
    )
    # Of a hard mask the Dice loss is 1 - F1, but for the one pixel that is added.
    called = probability > 0.5
    for one, m, found in zip(called, mask, losses.dice(called, mask), strict=True):
        both = one.sum() + m.sum()
        f1 = f1_score(m.ravel(), one.ravel())
        assert found == pytest.approx(1 - (f1 * both + 1) / (both + 1), rel=1e-5)
    mixed = losses.dice_bce(logits, mask, share=0.25)
    expected = 0.25 * losses.dice(probability, mask) + 0.75 * np.array(entropy)
    np.testing.assert_allclose(mixed, expected, rtol=1e-5)


def test_the_loss_is_finite_where_a_sigmoid_is_not():
    logits = jnp.array([-200.0, 200.0]).reshape(1, 2, 1, 1)
    wrong = jnp.array([1.0, 0.0]).reshape(1, 2, 1, 1)
    value, slope = jax.value_and_grad(lambda x: losses.dice_bce(x, wrong)[0])(logits)
    assert np.isfinite(value) and np.isfinite(slope).all()
    assert value == pytest.approx(0.5 * 200 + 0.5 * (1 - 1 / 3), rel=1e-5)


@pytest.mark.parametrize("square", fitting.SQUARES)
def test_masks_are_those_of_the_release_and_lie_on_every_residency_alike(
    masked_config, tmp_path, square
):
    config = masked_config("segment").data
    with config.unlocked():
        config.square = square
    splits = roles.open_splits(config, tmp_path)
    held = cache.hold(splits, config)
    read, kept = (
        pipeline.Examples(s.train, {}, size=96, square=square) for s in (splits, held)
    )
    assert splits.train.pixels is None
    assert held.train.pixels["mask"].shape == (splits.train.size, 96, 96, 1)
    lung = 0.0
    for (_, one), (_, other) in zip(
        *(pipeline.eval_batches(each, batch_size=8) for each in (read, kept)),
        strict=True,
    ):
        assert list(one) == ["image", "mask"]
        for name, column in one.items():
            assert column.dtype == other[name].dtype == np.uint8
            np.testing.assert_array_equal(column, other[name])
        assert set(np.unique(one["mask"])) == {0, 255}
        lung += (one["mask"] > 0).mean()
    assert 0.1 < lung / 6 < 0.4  # of the picture
    # One mask against OpenCV's own resampling of what is stored.
    png = splits.train.read(int(splits.train.rows[0]))["mask"]
    stored = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
    share = cv2.resize(stored / 255.0, (96, 96), interpolation=cv2.INTER_AREA)
    mine = read.batch(np.array([0]))["mask"][0, ..., 0] / 255
    assert stored.shape[0] == stored.shape[1]  # so that the two squares are one
    clear = np.abs(share - 0.5) > 0.01
    np.testing.assert_array_equal(mine[clear], share[clear] > 0.5)
    part = take(held.val, np.array([2, 0]), "part")
    np.testing.assert_array_equal(part.pixels["mask"], held.val.pixels["mask"][[2, 0]])


def test_masks_need_memory_too(masked_config, tmp_path):
    config = masked_config("segment").data
    with_masks = roles.open_splits(config, tmp_path).train
    without = with_masks._replace(pictures=("image",))
    assert cache.bytes_of(with_masks, config) == 2 * cache.bytes_of(without, config)


def test_a_dataset_without_masks_is_refused(tiny_config, tmp_path):
    with tiny_config.unlocked():
        tiny_config.data.masks = True
    with pytest.raises(InputError, match="has no lung masks"):
        roles.open_splits(tiny_config.data, tmp_path)


def test_the_task_without_masks_is_refused(masked_config, tmp_path):
    config = masked_config("segment")
    with config.unlocked():
        config.data.masks = False
    split = roles.open_splits(config.data, tmp_path).val
    task = tasks.make_task(config.task)
    with pytest.raises(InputError, match="has no lung masks"):
        task.targets(split)
    with pytest.raises(InputError, match=r"data\.masks"):
        task.loss(jnp.zeros((1, 8, 8, 1)), {})
    with pytest.raises(InputError, match="choose bsnet"):
        task.reads(Output(jnp.zeros((1, 24)), {}))


@pytest.mark.parametrize("name, loss", [("segment", "dice_bce"), ("align", "frame")])
def test_settings_that_would_be_ignored_are_refused(name, loss):
    for changes, message in (
        ({"settings": {"balanced": True}}, "balanced: is not a setting of the task"),
        ({"label_noise": 0.1}, "task.label_noise"),
        ({"loss": "focal"}, f"choose one of: {loss}"),
    ):
        config = common.get_config()
        common.use_task(config, name, loss)
        config.task.update(changes)
        with pytest.raises(InputError, match=message):
            tasks.make_task(config.task)


def test_figures_of_segment_are_those_of_the_masks(masked_config):
    task = tasks.make_task(masked_config("segment").task)
    logits = images(4, 64, 64, 1)
    mask = np.zeros((4, 64, 64, 1), np.float32)
    mask[:, 8:40, 10:50] = 1
    mask[0, 40:42] = 0.5  # not more than half of it
    found = jax.jit(task.compare)(logits, {"mask": mask})
    for i in range(4):
        called, target = logits[i] > 0, mask[i] > 0.5
        assert found["common"][i] == (called & target).sum()
        assert found["predicted"][i] == called.sum()
        assert found["target"][i] == 32 * 40
        assert found["pixels"][i] == 64 * 64
    assert found["coarse"].sum(axis=(1, 2)).tolist() == [16 * 20] * 4


def test_align_is_content_with_the_true_frame_only(masked_config):
    task = tasks.make_task(masked_config("align").task)
    mask = np.zeros((2, 64, 64, 1), np.float32)
    mask[:, 10:50, 12:56] = 1
    true = np.asarray(frame.around(mask, 0.05))
    inside = np.zeros((2, 32, 32, 1), np.float32)
    inside[:, 1:31, 1:31] = 1  # the box without its margin of 1 / 22
    batch = {"mask": mask, "frame": true}
    good = task.loss({"theta": true, "aligned_mask": inside}, batch)
    assert np.max(good) < 0.05
    shifted = true + np.array([[0, 0, 0.2], [0, 0, 0]], np.float32)[None]
    bad = task.loss({"theta": shifted, "aligned_mask": inside}, batch)
    np.testing.assert_allclose(bad - good, np.full(2, 0.5 * 0.1), rtol=1e-3)
    with pytest.raises(InputError, match="lung_frame"):
        task.loss({"theta": true, "aligned_mask": inside}, {"mask": mask})


def test_poses_are_of_the_picture_and_of_nothing_else(masked_config, tmp_path):
    config = masked_config("align")
    splits = roles.open_splits(config.data, tmp_path)
    task = tasks.make_task(config.task)
    whole = task.targets(splits.train)["pose"]
    rows = np.arange(splits.train.size)[::-2]
    part = task.targets(take(splits.train, rows, "part"))["pose"]
    np.testing.assert_array_equal(part, whole[rows])
    assert len(np.unique(whole)) == whole.size
    assert np.abs(whole).max() <= 1 and np.abs(whole.mean()) < 0.2


def test_drawn_predictions_have_every_metric(masked_config, tmp_path):
    for stage in ("segment", "align"):
        config = masked_config(stage)
        split = roles.open_splits(config.data, tmp_path).val
        task = tasks.make_task(config.task)
        drawn = task.draw(generator(0, "draw"), split.size)
        exp = experiment.build(config, train_examples=40, image_dtype=np.uint8)
        batch = experiment.abstract_batch(config, task, np.uint8)
        variables = {
            "params": exp.abstract_state.params
        } | exp.abstract_state.model_state
        shapes = jax.eval_shape(exp.eval_step, variables, batch)
        assert set(drawn) == set(shapes)
        targets = task.targets(split)
        resamples = bootstrap.draw(split.table["patient_id"], 5)
        found = task.metrics(
            split,
            targets,
            drawn,
            task.decide(targets, drawn, split.table["patient_id"]),
            resamples,
        )
        assert all(np.isfinite(estimate.value) for estimate in found.values())
        assert task.select in found
        columns = task.columns(targets, drawn)
        assert {len(column) for column in columns.values()} == {split.size}
        cells = task.confusion(targets, drawn, {})["target_by_called"]
        assert np.sum(cells) == 1000 * split.size


PLACES = {"segment": "device", "align": "disk", "score": "host"}


@pytest.mark.slow
def test_the_stages_follow_each_other(
    masked_config, tiny_config, brixia_data, tmp_path, keep_signals
):
    """Each begins with what the one before has learnt, and leaves it where it is frozen."""
    before = None
    for stage in ("segment", "align", "score"):
        config = masked_config(stage if stage != "score" else "segment")
        with config.unlocked():
            if stage == "score":
                score = bsnet.get_config("score,size=64")
                config.task, config.preprocess = score.task, score.preprocess
                config.data = tiny_config.data
                config.optim.layers = score.optim.layers
            config.init_from = str(before) if before else ""
            config.report = stage != "score"
            config.data.residency = PLACES[stage]
        workdir = tmp_path / stage
        assert loop.train(config, workdir, report=write.write_missing) == 0
        results = json.loads((workdir / "results.json").read_text())
        page = workdir / "report" / "report.html"
        assert page.exists() == config.report
        wanted = {"segment": "dice", "align": "mae_corner", "score": "mae_zone"}[stage]
        assert np.isfinite(results["metrics"][f"test/{wanted}"]["value"])
        if before:
            first, now = (weights(folder) for folder in (before, workdir))
            kept = "decoder/node0_4/conv1/kernel"
            np.testing.assert_array_equal(
                first[f"params/{kept}"], now[f"params/{kept}"]
            )
            stays = "batch_stats/bn1/mean"
            np.testing.assert_array_equal(first[stays], now[stays])
            learns = {"align": "localiser/zero_kernel", "score": "fc/kernel"}[stage]
            assert not np.array_equal(
                first[f"params/{learns}"], now[f"params/{learns}"]
            )
        before = workdir
    assert evaluate.evaluate(None, tmp_path / "segment", ":val") == 0
    path = next((tmp_path / "segment" / "predictions").glob("*-val.csv"))
    assert path.read_text().splitlines()[0].endswith("common,predicted,target,dice,iou")


def weights(folder):
    from cxr_jax.runs import restore

    return restore.weights(folder).arrays


def test_members_share_the_masks(masked_config, tmp_path, keep_signals):
    """Held once for all of them; of a task that does not look, for a quick model."""
    config = masked_config("segment")
    with config.unlocked():
        config.task, config.select = radiography.get_config().task, "loss"
        config.model = ConfigDict({"name": "cnn", "dtype": "float32", "widths": (4, 8)})
        config.optim.layers = ()
        config.total = config.every.eval = config.every.checkpoint = "1 steps"
    assert loop.train(config, tmp_path, members="2") == 0
    losses = [
        json.loads((folder / "results.json").read_text())["metrics"]["test/loss"]
        for folder in sorted(p for p in tmp_path.iterdir() if p.is_dir())
    ]
    assert len(losses) == 2 and losses[0]["value"] != losses[1]["value"]
