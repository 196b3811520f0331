"""A model begins with weights: placed by name, or refused with what does not fit."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from jax import lax
from places import SHARED_DATA

from configs import common
from cxr_jax import experiment, trees
from cxr_jax.models import MODELS
from cxr_jax.models.init import initialise
from cxr_jax.runs import restore
from cxr_jax.train import loop
from cxr_jax.weights import init_from, source
from tfds_builders.common.errors import InputError

WEIGHTS = SHARED_DATA / "weights"
IMAGENET = "normalise((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))"
SYMMETRIC = "normalise(0.5, 0.5)"


def config(path, *, model="resnet18", scaling=IMAGENET, rgb=True, **settings):
    found = common.get_config(64)
    found.init_from = str(path)
    found.model.name = model
    for name, value in settings.items():
        found.model[name] = value
    text = "to_float|" + ("to_rgb|" if rgb else "") + scaling
    found.preprocess.train = found.preprocess.eval = text
    return found


def begin(settings, drawn):
    found = source.read(pathlib.Path(settings.init_from))
    return init_from.begin(found, settings, drawn)


def variables(model, outputs=24, channels=3, **settings):
    module = MODELS[model](outputs, **settings)
    params, state = initialise(module, (64, 64, channels), seed=0)
    return module, {"params": params, **state}


@pytest.fixture(scope="module")
def resnet(tmp_path_factory):
    """A ResNet-18 as torchvision stores it, by hand: names, axes, a head of 1000."""
    generator = np.random.default_rng(0)
    stored = {}

    def conv(name, out, into, size):
        stored[f"{name}.weight"] = generator.normal(size=(out, into, size, size))

    def norm(name, width):
        for part in ("weight", "bias", "running_mean", "running_var"):
            stored[f"{name}.{part}"] = generator.normal(size=width)
        stored[f"{name}.num_batches_tracked"] = np.array(7)

    conv("conv1", 64, 3, 7)
    norm("bn1", 64)
    into = 64
    for stage, width in enumerate((64, 128, 256, 512), 1):
        for block in range(2):
            name = f"layer{stage}.{block}"
            conv(f"{name}.conv1", width, into, 3)
            norm(f"{name}.bn1", width)
            conv(f"{name}.conv2", width, width, 3)
            norm(f"{name}.bn2", width)
            if into != width:
                conv(f"{name}.downsample.0", width, into, 1)
                norm(f"{name}.downsample.1", width)
            into = width
    stored["fc.weight"] = generator.normal(size=(1000, 512))
    stored["fc.bias"] = generator.normal(size=1000)
    stored = {name: np.asarray(a, np.float32) for name, a in stored.items()}
    path = tmp_path_factory.mktemp("weights") / "resnet18.safetensors"
    safetensors.numpy.save_file(stored, path)
    return path, stored


def test_every_array_finds_its_place(resnet):
    path, stored = resnet
    _, drawn = variables("resnet18", outputs=1000)
    found = trees.by_name(begin(config(path), drawn))
    np.testing.assert_array_equal(
        found["params/layer2_0/downsample_conv/kernel"],
        stored["layer2.0.downsample.0.weight"].transpose(2, 3, 1, 0),
    )
    np.testing.assert_array_equal(
        found["batch_stats/layer4_1/bn2/var"], stored["layer4.1.bn2.running_var"]
    )
    np.testing.assert_array_equal(found["params/fc/kernel"], stored["fc.weight"].T)
    total = sum(a.size for n, a in stored.items() if "tracked" not in n)
    assert sum(leaf.size for leaf in found.values()) == total
    # No two of ours are the same array of theirs: all sums differ.
    assert len({float(leaf.sum()) for leaf in found.values()}) == len(found)


def test_another_head_is_drawn_and_a_grey_stem_summed(resnet, capsys):
    path, stored = resnet
    _, drawn = variables("resnet18", channels=1)
    settings = config(path, rgb=False, scaling="normalise(0.449, 0.226)")
    found = begin(settings, drawn)
    np.testing.assert_allclose(
        found["params"]["conv1"]["kernel"][:, :, 0],
        stored["conv1.weight"].sum(axis=1).transpose(1, 2, 0),
        rtol=1e-6,
    )
    np.testing.assert_array_equal(
        found["params"]["fc"]["kernel"], drawn["params"]["fc"]["kernel"]
    )
    said = capsys.readouterr().out
    assert "100 of 102 arrays" in said and "params/fc/kernel" in said


@pytest.mark.parametrize(
    "prefix", ["module.", "_orig_mod.", "backbone.", "module.model.encoder.", "x.y."]
)
def test_what_a_wrapper_puts_before_the_names_is_found(
    resnet, tmp_path, prefix, capsys
):
    _, stored = resnet
    wrapped = {prefix + name: array for name, array in stored.items()}
    head = {"fc.weight": np.ones((5, 512), np.float32)}  # of another task, outside
    np.savez(tmp_path / "a.npz", **wrapped, **head)
    settings = config(tmp_path / "a.npz")
    settings.init_excuse += f"|{prefix}fc"
    _, drawn = variables("resnet18")
    found = trees.by_name(begin(settings, drawn))
    kernel = stored["conv1.weight"].transpose(2, 3, 1, 0)
    np.testing.assert_array_equal(found["params/conv1/kernel"], kernel)
    said = capsys.readouterr().out
    assert "100 of 102 arrays" in said and f"{prefix!r} removed from 102" in said
    settings.model.name = "resnet34"
    with pytest.raises(InputError, match=f"its names: {prefix}") as caught:
        begin(settings, variables("resnet34")[1])
    assert f"{prefix!r} removed" in str(caught.value)


def test_the_other_half_of_a_pair_is_listed_and_not_mixed(resnet, tmp_path):
    _, stored = resnet
    both = {f"encoder_q.{name}": array for name, array in stored.items()}
    both |= {f"encoder_k.{name}": 2 * array for name, array in stored.items()}
    np.savez(tmp_path / "a.npz", **both)
    _, drawn = variables("resnet18", outputs=1000)
    with pytest.raises(InputError, match=r"\+ encoder_k.conv1.weight"):
        begin(config(tmp_path / "a.npz"), drawn)
    settings = config(tmp_path / "a.npz")
    settings.init_excuse = "^encoder_k"
    found = begin(settings, drawn)
    kernel = stored["conv1.weight"].transpose(2, 3, 1, 0)
    np.testing.assert_array_equal(found["params"]["conv1"]["kernel"], kernel)


def test_what_does_not_fit_is_listed(resnet):
    _, drawn = variables("resnet34")
    with pytest.raises(InputError, match=r"- params/layer1_2/conv1/kernel 3x3x64x64"):
        begin(config(resnet[0], model="resnet34"), drawn)
    _, drawn = variables("resnet50")
    with pytest.raises(InputError, match=r"~ .*: 3x3x64x64 in the file") as caught:
        begin(config(resnet[0], model="resnet50"), drawn)
    assert "in all" in str(caught.value)


def test_an_excuse_has_to_name_it(resnet):
    _, drawn = variables("resnet34")
    settings = config(resnet[0], model="resnet34")
    settings.init_excuse += r"|params/layer|batch_stats/layer"
    found = begin(settings, drawn)
    assert not np.array_equal(
        found["params"]["layer1_0"]["conv1"]["kernel"],
        drawn["params"]["layer1_0"]["conv1"]["kernel"],
    )
    settings.init_excuse = "("
    with pytest.raises(InputError, match="not a regular expression"):
        begin(settings, drawn)


def test_nothing_that_fits_is_an_error(resnet):
    _, drawn = variables("cnn")
    settings = config(resnet[0], model="cnn")
    settings.init_excuse = "."
    with pytest.raises(InputError, match="everything is excused"):
        begin(settings, drawn)


def test_other_pixels_are_refused_with_the_op_that_is_needed(resnet):
    _, drawn = variables("resnet18")
    with pytest.raises(InputError, match=r"normalise\(\(0.485, 0.456, 0.406\), \(0"):
        begin(config(resnet[0], scaling="standardise"), drawn)
    with pytest.raises(InputError, match=r"normalise\(0.449, 0.226\)"):
        begin(config(resnet[0], scaling="standardise", rgb=False), drawn)
    settings = config(resnet[0], scaling="standardise")
    settings.init_excuse += "|^preprocess$"
    begin(settings, drawn)


def test_the_style_has_to_be_that_of_the_source(resnet):
    _, drawn = variables("resnet18")
    settings = config(resnet[0], style="keras")
    with pytest.raises(InputError, match="--config.model.style=torch"):
        begin(settings, drawn)


def test_a_run_begins_with_another(tiny_config, tmp_path, keep_signals, capsys):
    first, second = tmp_path / "first", tmp_path / "second"
    assert loop.train(tiny_config, first) == 0
    with tiny_config.unlocked():
        tiny_config.init_from, tiny_config.seed = str(first), 1
    begun = restore.first_state(experiment.build(tiny_config, train_examples=40))
    drawn = {"params": begun.params, **begun.model_state}
    with tiny_config.unlocked():
        tiny_config.model.widths = (4, 9)
    with pytest.raises(InputError, match="3x3x4x9"):
        restore.first_state(experiment.build(tiny_config, train_examples=40))
    with tiny_config.unlocked():
        tiny_config.model.widths = (4, 8)
        tiny_config.preprocess.eval = "to_float"
    with pytest.raises(InputError, match="as that run did"):
        restore.first_state(experiment.build(tiny_config, train_examples=40))
    with tiny_config.unlocked():
        tiny_config.preprocess.eval = "to_float|standardise"
        tiny_config.optim.layers = ("stage: 0",)
    assert loop.train(tiny_config, second) == 0
    assert "arrays from" in capsys.readouterr().out
    # Frozen, the trunk ends as the first run left it.
    one, other = (restore.weights(folder).arrays for folder in (first, second))
    for name in one:
        same = np.array_equal(one[name], other[name])
        assert same == ("/stage" in name), name
        np.testing.assert_array_equal(trees.by_name(drawn)[name], one[name])


def real(name):
    path = WEIGHTS / name
    if not path.exists():
        pytest.skip(f"there is no {path}")
    return path


def test_the_real_mobilenet_computes_what_its_layers_say():
    """Against a plain chain of convolutions in the order of the file."""
    path = real("mobilenet_v2_1.0_224_imagenet_dequant_bnfolded.npz")
    module, drawn = variables("mobilenet_v2", outputs=1001, style="keras")
    settings = config(path, model="mobilenet_v2", style="keras", scaling=SYMMETRIC)
    begun = begin(settings, drawn)
    images = np.random.default_rng(0).uniform(-1, 1, (2, 64, 64, 3)).astype(np.float32)
    ours = jax.jit(module.apply)(begun, images).logits
    np.testing.assert_allclose(ours, chain(np.load(path), images), atol=1e-4, rtol=1e-4)


def test_the_real_mobilenet_is_taken_under_a_head_with_a_hidden_layer():
    path = real("mobilenet_v2_1.0_224_imagenet_dequant_bnfolded.npz")
    _, drawn = variables("mobilenet_v2", outputs=2, style="keras", pool="tiles")
    settings = config(path, model="mobilenet_v2", style="keras", scaling=SYMMETRIC)
    begun = trees.by_name(begin(settings, drawn))
    drawn = trees.by_name(drawn)
    head = {n for n in begun if "classifier" in n or "projection" in n}
    assert len(head) == 4
    for name in head:  # drawn: the file has a classifier of another size
        np.testing.assert_array_equal(begun[name], drawn[name])
    stored = np.load(path)["00_conv_w"]
    first = begun["params/features_0_0/kernel"]
    np.testing.assert_array_equal(first, stored.transpose(1, 2, 3, 0))


def chain(stored, x):
    """MobileNetV2 without batch norms: 53 convolutions, relu6, residual sums."""
    shortcut, expanded = None, False
    for name in sorted(n for n in stored if n.endswith("_w")):
        kernel, bias = stored[name], stored[name[:-1] + "b"]
        number, is_depthwise = int(name[:2]), "_dw_" in name
        if number == 52:
            return np.asarray(x).mean(axis=(1, 2)) @ kernel[:, 0, 0].T + bias
        # The depthwise layers that begin a stage of half the size.
        stride = 2 if number in (0, 4, 10, 19, 40) else 1
        axes = (1, 2, 0, 3) if is_depthwise else (1, 2, 3, 0)
        if not is_depthwise and kernel.shape[0] > kernel.shape[3] and number > 2:
            shortcut, expanded = x, True
        x = lax.conv_general_dilated(
            x,
            jnp.asarray(kernel.transpose(axes)),
            (stride, stride),
            "SAME",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=x.shape[3] if is_depthwise else 1,
        )
        x = x + bias.reshape(1, 1, 1, -1)
        projects = not is_depthwise and number not in (0, 51) and expanded
        projects = (projects and kernel.shape[0] < kernel.shape[3]) or number == 2
        if not projects:
            x = jnp.clip(x, 0, 6)
        elif shortcut is not None and shortcut.shape == x.shape:
            x = x + shortcut
    raise AssertionError("no last layer")


def test_the_real_squeezenet_is_taken_whole():
    path = real("squeezenet_weights_tf_dim_ordering_tf_kernels_notop.h5")
    _, drawn = variables("squeezenet1_1", style="keras")
    caffe = "normalise((0.485, 0.458, 0.4076), 1.0)"
    settings = config(path, model="squeezenet1_1", style="keras", scaling=caffe)
    begun = trees.by_name(begin(settings, drawn))
    taken = {n: a for n, a in begun.items() if "classifier" not in n}
    assert sum(leaf.size for leaf in taken.values()) == 722_496
    import h5py

    with h5py.File(path) as file:
        kernel = np.asarray(file["conv1/uniform1"])
    # Ours sees RGB in [0, 1]; theirs BGR up to 255.
    np.testing.assert_allclose(
        begun["params/features_0/kernel"], 255 * kernel[:, :, ::-1], rtol=1e-6
    )
