import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict
from sklearn.metrics import mean_absolute_error, roc_auc_score

from configs import common
from cxr_jax import tasks
from cxr_jax.data.split import Split
from cxr_jax.metrics import METRICS, metric
from cxr_jax.stats import bootstrap
from tfds_builders.common.errors import InputError


def make(name="brixia", loss="ce_mae", **settings):
    config = common.get_config()
    common.use_task(config, name, loss, **settings)
    return tasks.make_task(config.task)


def split(**columns) -> Split:
    names = columns.pop("names", {})
    size = len(next(iter(columns.values())))
    table = {
        "example_id": [f"e{i}" for i in range(size)],
        "patient_id": [f"p{i // 2}" for i in range(size)],
        **columns,
    }
    return Split("set", "test", None, np.arange(size), table, names, "patients", False)


def draw(images, resamples=0):
    return bootstrap.draw(np.arange(images), resamples)


def classify(**changes):
    settings = {"loss": "cross_entropy", "classes": ("no", "yes")}
    return make("classify", **settings | changes)


def test_brixia_predicts_probabilities_and_their_expectation():
    task = make()
    logits = np.random.default_rng(0).normal(size=(5, 24)).astype(np.float32)
    found = task.predict(jnp.asarray(logits))
    by_zone = np.exp(logits.reshape(5, 6, 4))
    by_zone /= by_zone.sum(-1, keepdims=True)
    np.testing.assert_allclose(found["probs"], by_zone, rtol=1e-5)
    np.testing.assert_allclose(found["expected"], by_zone @ np.arange(4), rtol=1e-5)


def test_brixia_metrics_agree_with_scikit_learn():
    task = make()
    generator = np.random.default_rng(1)
    scores = generator.integers(0, 4, (20, 6))
    expected = generator.uniform(0, 3, (20, 6))
    predictions = {
        "expected": expected,
        "probs": generator.dirichlet(np.ones(4), (20, 6)),
        "loss": generator.uniform(size=20),
    }
    decision = {
        "median": [1, 1, 2, 1, 1, 2],
        **task.decide({"scores": scores}, predictions, np.arange(20)),
    }
    found = task.metrics(
        split(scores=scores), {"scores": scores}, predictions, decision, draw(20),
    )  # fmt: skip
    assert found["mae_zone"].value == pytest.approx(
        mean_absolute_error(scores, expected)
    )
    assert found["mae_zone_constant"].value == pytest.approx(
        mean_absolute_error(scores, np.tile(decision["median"], (20, 1)))
    )
    assert found["loss"].value == pytest.approx(predictions["loss"].mean())


def test_brixia_columns_are_the_documented_ones():
    task = make()
    columns = task.columns(
        {"scores": np.zeros((1, 6), int)},
        {"expected": np.zeros((1, 6)), "probs": np.zeros((1, 6, 4))},
    )
    assert list(columns) == (
        [f"target_{z}" for z in "ABCDEF"]
        + [f"expected_{z}" for z in "ABCDEF"]
        + [f"prob_{z}{k}" for z in "ABCDEF" for k in range(4)]
    )


def test_labels_are_merged_into_classes_by_name():
    task = classify(merge="P=yes,N=no")
    found = task.targets(
        split(label=np.array([0, 1, 1]), names={"label": ("N", "P", "unused")})
    )
    assert found["label"].tolist() == [0, 1, 1]


def test_another_class_label_than_label_can_be_learnt():
    columns = {"label": np.array([0, 1, 1]), "severity": np.array([0, 2, 1])}
    names = {"label": ("N", "P"), "severity": ("none", "mild", "severe")}
    task = classify(classes=("none", "severe", "mild"), column="severity")
    found = task.targets(split(**columns, names=names))
    assert found["label"].tolist() == [0, 1, 2]
    with pytest.raises(InputError, match="needs the column 'severity'"):
        task.targets(split(label=columns["label"], names={"label": ("N", "P")}))


def test_a_label_without_a_class_is_refused():
    with pytest.raises(InputError, match=r"labels \['P'\] that are not among"):
        classify(merge="N=no").targets(
            split(label=np.array([0, 1]), names={"label": ("N", "P")})
        )


def test_each_task_refuses_the_other_ones_data():
    with pytest.raises(InputError, match="no class labels"):
        classify().targets(split(scores=np.zeros((2, 6), int)))
    with pytest.raises(InputError, match="no zone scores"):
        make().targets(split(label=np.zeros(2, int)))


@pytest.mark.parametrize("sigmoid", [False, True])
def test_two_classes_are_read_from_one_logit_or_two(sigmoid):
    task = classify(sigmoid=sigmoid)
    positive = np.array([-2.0, 0.0, 3.0], np.float32)
    logits = positive[:, None] if sigmoid else np.stack([0 * positive, positive], 1)
    assert task.num_outputs == logits.shape[1]
    probs = task.predict(jnp.asarray(logits))["probs"]
    np.testing.assert_allclose(probs[:, 1], 1 / (1 + np.exp(-positive)), rtol=1e-5)
    labels = np.array([0, 1, 1])
    loss = task.loss(jnp.asarray(logits), {"label": labels})
    expected = -np.log(np.where(labels, probs[:, 1], probs[:, 0]))
    np.testing.assert_allclose(loss, expected, rtol=1e-4)


def test_thresholds_come_from_val_and_the_figures_from_scikit_learn():
    task = classify()
    generator = np.random.default_rng(2)
    label = generator.integers(0, 2, 40)
    probability = np.clip(0.3 * label + generator.uniform(0, 0.7, 40), 0, 1)
    predictions = {
        "probs": np.stack([1 - probability, probability], 1),
        "loss": np.zeros(40),
    }
    decision = task.decide({"label": label}, predictions, np.arange(40))
    found = task.metrics(
        split(label=label, names={"label": ("no", "yes")}),
        {"label": label}, predictions, decision, draw(40),
    )  # fmt: skip
    assert found["auroc"].value == pytest.approx(roc_auc_score(label, probability))
    called = probability >= decision["thresholds"][1]
    assert found["sensitivity"].value == pytest.approx(called[label == 1].mean())
    assert found["specificity"].value == pytest.approx(1 - called[label == 0].mean())


def test_balanced_weights_have_mean_one_over_the_training_images():
    counts = np.array([30, 10])
    config = common.get_config()
    common.use_task(
        config, "classify", "cross_entropy", classes=("a", "b"), balanced=True
    )
    task = tasks.make_task(config.task, counts)
    labels = np.repeat([0, 1], counts)
    columns = {"label": labels, "names": {"label": ("a", "b")}}
    np.testing.assert_array_equal(task.class_counts(split(**columns)), counts)
    weighted = task.loss
    plain = classify(classes=("a", "b")).loss
    logits, labels = jnp.zeros((2, 2)), {"label": np.array([0, 1])}
    ratio = np.asarray(weighted(logits, labels) / plain(logits, labels))
    np.testing.assert_allclose(ratio @ counts / counts.sum(), 1.0, rtol=1e-6)
    assert ratio[1] / ratio[0] == pytest.approx(3.0)
    # The loss of a split does not depend on how often classes occur in another one.
    np.testing.assert_allclose(task.eval_loss(logits, labels), plain(logits, labels))


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"name": "brixai"}, "choose one of: brixia, classify"),
        ({"loss": "mse"}, "choose one of: cross_entropy"),
        (
            {"settings": {"merge": "N=P"}},
            "merge: is not a setting .*: mae_share, label",
        ),
        ({"settings": {"mae_share": 1.5}}, "mae_share: is 1.5.*number from 0 to 1"),
        ({"settings": {"label_smoothing": 1.0}}, "less than the last"),
        ({"settings": {"mae_share": "0.3"}}, "value of type float, such as 0.3"),
        (
            {"loss": "ordinal", "settings": {"label_smoothing": 0.1}},
            "label_smoothing: is 0.1, which the loss ordinal does not use",
        ),
    ],
)
def test_wrong_settings_are_explained(changes, message):
    config = common.get_config().task.to_dict() | changes
    with pytest.raises(InputError, match=f"(?s){message}"):
        tasks.make_task(ConfigDict(config))


def test_a_config_of_version_0_1_is_explained():
    config = common.get_config().task.to_dict()
    config |= config.pop("settings")
    with pytest.raises(InputError, match=r"version 0\.1[\s\S]*new --workdir"):
        tasks.make_task(ConfigDict(config))


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"classes": ("a",)}, "at least two"),
        ({"classes": ("a", "b", "c"), "sigmoid": True}, "one logit tells two"),
        ({"loss": "focal", "label_smoothing": 0.1}, "the loss focal does not use"),
    ],
)
def test_classes_that_do_not_fit_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        classify(**settings)


@pytest.mark.parametrize("text", ["N", "N=", "=a", "N=a,b"])
def test_merge_is_a_list_of_labels_and_classes(text):
    with pytest.raises(InputError, match=r"P=COVID,N=Normal"):
        classify(merge=text)


def test_images_without_a_label_are_refused():
    with pytest.raises(InputError, match="1 images have no label"):
        classify().targets(
            split(label=np.array([0, -1]), names={"label": ("no", "yes")})
        )


def test_the_direction_of_every_metric_is_known():
    generator = np.random.default_rng(3)
    scores = generator.integers(0, 4, (30, 6))

    def brixia(noise):
        """Metrics of predictions that are the truth but for some noise."""
        probs = np.eye(4)[scores] + noise * generator.uniform(size=(30, 6, 4))
        probs /= probs.sum(-1, keepdims=True)
        predictions = {
            "probs": probs,
            "expected": probs @ np.arange(4),
            "loss": -np.log(np.take_along_axis(probs, scores[..., None], 2)).mean(
                (1, 2)
            ),
        }
        task = make()
        return task.metrics(
            split(scores=scores),
            {"scores": scores},
            predictions,
            task.decide({"scores": scores}, predictions, np.arange(30)),
            draw(30),
        )

    good, bad = brixia(0.01), brixia(5.0)
    for name in (name for name in good if metric(name).ranks):
        if metric(name).better == "lower":
            assert good[name].value < bad[name].value, name
        else:
            assert good[name].value >= bad[name].value, name


def drawn_metrics(task, resamples=0, **columns):
    """{name: Estimate} of random predictions, with the constant predictor."""
    generator, images = np.random.default_rng(4), 40
    kind = (task.levels, (6,)) if task.name == "brixia" else (task.levels, ())
    labels = generator.integers(0, kind[0], (images, *kind[1])) if task.label else None
    targets = {task.label: labels} if task.label else {}
    if task.draw is None:
        shape = (images * task.views, task.num_outputs)
        logits = generator.normal(size=shape).astype(np.float32)
        predictions = {"loss": np.ones(images), **task.predict(logits)}
        predictions = {k: np.asarray(v) for k, v in predictions.items()}
    else:
        predictions = task.draw(generator, images)
    decision = task.decide(targets, predictions, np.arange(images))
    decision |= task.constant(targets) if task.label else {}
    if columns.get("severity"):
        columns["severity"] = np.where(labels, generator.integers(1, 3, images), 0)
        columns["names"] = {"severity": ("none", "mild", "severe")}
    table = {"x": np.zeros(images)} | columns
    drawn = draw(images, resamples)
    found = task.metrics(split(**table), targets, predictions, decision, drawn)
    return found, (targets, predictions, decision)


def all_tasks():
    """[(task, further columns of its split)], so that every metric is there."""
    reader = np.ones((40, 6))
    return [
        (make(), {"scores_junior": reader, "consensus_mean": reader}),
        (classify(), {"severity": True}),
        (classify(classes=("no", "a b", "c")), {}),
        (make("segment", "dice_bce"), {}),
        (make("align", "frame"), {}),
        (make("contrast", "nt_xent"), {}),
    ]


def test_every_metric_of_every_task_is_known_and_none_other():
    names = {"log_loss"}  # of ensembles
    for task, columns in all_tasks():
        found, _ = drawn_metrics(task, 10, **columns)
        assert {task.select, *task.headline} <= set(found), task.name
        names |= set(found)
    for name in names:
        others = metric(name).beside.values()
        assert {other for other in others if isinstance(other, str)} <= names
    assert set(METRICS) <= names


def test_statistics_of_labels_and_probabilities_are_the_metrics():
    told = [(t, c) for t, c in all_tasks() if t.probabilities is not None]
    assert [t.name for t, _ in told] == ["brixia", "classify", "classify"]
    for task, columns in told:
        found, (targets, predictions, decision) = drawn_metrics(task, **columns)
        (labels,) = targets.values()
        labels = labels.reshape(40, -1)
        probs = predictions["probs"].reshape(*labels.shape, -1).astype(np.float64)
        ones = np.ones((1, 40))
        statistics = task.probabilities.statistics(labels, probs, decision)
        assert task.main in statistics
        for name, statistic in statistics.items():
            assert statistic(ones)[0] == pytest.approx(found[name].value, abs=1e-6)
        chance = metric(task.main).chance
        chance = found[chance].value if isinstance(chance, str) else chance
        assert task.probabilities.chance(labels, decision) == pytest.approx(chance)
        folds = np.arange(40) % 2
        pooled = task.probabilities.pooled(
            labels, probs, [decision] * 2, folds, np.ones((2, 40), np.uint16)
        )
        for name in {task.main, "mae_zone", "sensitivity"} & set(pooled):
            assert pooled[name].value == pytest.approx(found[name].value, abs=1e-6)


@pytest.mark.parametrize("loss", ["cross_entropy", "ordinal", "ce_mae", "focal"])
def test_both_readers_are_the_mean_of_each(loss):
    generator = np.random.default_rng(3)
    logits = jnp.asarray(generator.normal(size=(5, 24)), jnp.float32)
    readers = {
        name: generator.integers(0, 4, (5, 6)) for name in ("scores", "scores_junior")
    }
    table = split(**readers)
    of = {
        reader: make(loss=loss, reader=reader)
        for reader in ("senior", "junior", "both")
    }
    assert of["senior"].more_targets(table) == {}
    batch = of["senior"].targets(table) | of["both"].more_targets(table)
    each = [of[reader].loss(logits, batch) for reader in ("senior", "junior")]
    np.testing.assert_allclose(of["both"].loss(logits, batch), sum(each) / 2, rtol=1e-6)
    assert not np.allclose(*each)
    # All are tested on the senior's scores.
    for task in of.values():
        np.testing.assert_allclose(task.eval_loss(logits, batch), each[0], rtol=1e-6)


def test_a_dataset_without_a_second_reader():
    task = make(reader="both")
    table = split(scores=np.zeros((4, 6), int))
    with pytest.raises(InputError, match="second reader"):
        task.more_targets(table)
    with pytest.raises(InputError, match="reader: is 'nobody'"):
        make(reader="nobody")
