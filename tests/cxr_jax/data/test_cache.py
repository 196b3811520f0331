import numpy as np
import psutil
import pytest

from cxr_jax.data import cache, decode, fitting, pipeline, roles
from cxr_jax.data.split import take
from cxr_jax.train import loop
from tfds_builders.common.errors import InputError

GB = 2**30


@pytest.fixture
def splits(tiny_config, tmp_path):
    return roles.open_splits(tiny_config.data, tmp_path)


def batches(split):
    targets = {"scores": np.asarray(split.table["scores"])}
    examples = pipeline.Examples(split, targets, size=48, square="stretch")
    shuffled = pipeline.train_batches(examples, batch_size=8, seed=0, start=2)
    yield from (next(shuffled) for _ in range(9))
    yield from (batch for _, batch in pipeline.eval_batches(examples, batch_size=8))


def test_batches_are_identical_wherever_images_are_kept(splits, tiny_config):
    held = cache.hold(splits, tiny_config.data)
    for role in ("train", "val"):
        one, other = getattr(splits, role), getattr(held, role)
        assert one.pixels is None
        assert other.pixels["image"].shape == (one.size, 48, 48, 1)
        for expected, found in zip(batches(one), batches(other), strict=True):
            assert list(expected) == list(found)
            for name, column in expected.items():
                assert column.dtype == found[name].dtype
                np.testing.assert_array_equal(column, found[name])
    assert held.test.pixels is None


@pytest.mark.parametrize("square", fitting.SQUARES)
def test_decoded_images_keep_the_order_of_the_split(splits, square, monkeypatch):
    monkeypatch.setattr(cache, "_RUN", 5)
    split = splits.train
    some = take(split, np.arange(split.size)[::-3], "some")
    pixels = cache.decoded(some, 32, square)["image"]
    for i in range(some.size):
        png = some.read(int(some.rows[i]))["image"]
        np.testing.assert_array_equal(pixels[i], decode.image(png, 32, square))


def test_a_part_of_a_cached_split_has_its_images(splits, tiny_config):
    held = cache.hold(splits, tiny_config.data).train
    rows = np.array([4, 0, 2])
    part = take(held, rows, "part")
    np.testing.assert_array_equal(part.pixels["image"], held.pixels["image"][rows])


@pytest.mark.parametrize(
    "asked, host, device, place",
    [
        ("auto", 3.0, 3.0, "device"),
        ("auto", 3.0, 0.5, "host"),
        ("auto", 0.5, 3.0, "disk"),  # they are decoded on the host first
        ("disk", 3.0, 3.0, "disk"),
        ("host", 3.0, 3.0, "host"),
        ("device", 3.0, 0.5, None),
        ("host", 0.5, 3.0, None),
    ],
)
def test_images_are_kept_where_there_is_room(
    splits, tiny_config, monkeypatch, asked, host, device, place
):
    """Memory as multiples of what train and val need, 48 x 48 of 16 bits each."""
    n = splits.train.size + splits.val.size
    needed = n * 48 * 48 * 2
    monkeypatch.setattr(cache, "available_memory", lambda: host * needed)
    monkeypatch.setattr(cache, "_device_memory", lambda: device * needed)
    with tiny_config.unlocked():
        tiny_config.data.residency = asked
    if place:
        assert cache.residency(splits, tiny_config.data) == place
        return
    with pytest.raises(InputError) as error:
        cache.residency(splits, tiny_config.data)
    for text in (f"{n} images of 48 x 48 uint16", "0.0 GB", "config.data.residency="):
        assert text in str(error.value)


@pytest.mark.parametrize(
    "place, train, val",
    [("disk", False, False), ("host", True, True), ("device", False, True)],
)
def test_training_keeps_them(tiny_config, tmp_path, monkeypatch, place, train, val):
    """The images of train leave the host once they are on the device."""

    class Begun(Exception):
        """Raised when training has reached its loop."""

    def fit(runs, *_):
        raise Begun(*[part.pixels is not None for part in runs[0].splits[:3]])

    monkeypatch.setattr(loop, "fit", fit)
    with tiny_config.unlocked():
        tiny_config.data.residency = place
    with pytest.raises(Begun) as begun:
        loop.train(tiny_config, tmp_path)
    assert begun.value.args == (train, val, False)


@pytest.fixture
def machine(tmp_path):
    """Writes the files in which Linux reports memory; 8 GB are available."""

    def write(path, text):
        path = tmp_path / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    write(
        "proc/meminfo",
        f"MemTotal: {16 * GB // 1024} kB\nMemAvailable: {8 * GB // 1024} kB\n"
        "HugePages_Total: 0\n",
    )
    write("proc/self/cgroup", "0::/\n")
    return tmp_path, write


def test_the_machine_without_limits(machine):
    root, _ = machine
    assert cache.available_memory(root) == 8 * GB


@pytest.mark.parametrize("limit, expected", [(6 * GB, 4 * GB), ("max", 8 * GB)])
def test_a_cgroup_of_version_2_and_its_parents(machine, limit, expected):
    root, write = machine
    write("proc/self/cgroup", "0::/job_1/step_2\n")
    write("sys/fs/cgroup/job_1/memory.max", f"{limit}\n")
    write("sys/fs/cgroup/job_1/memory.stat", f"anon {2 * GB}\nfile {4 * GB}\n")
    write("sys/fs/cgroup/job_1/step_2/memory.max", "max\n")
    assert cache.available_memory(root) == expected


def test_a_cgroup_of_version_1_seen_from_inside_a_container(machine):
    root, write = machine
    write("proc/self/cgroup", "5:cpu:/x\n4:memory:/docker/abc\n0::/\n")
    write("sys/fs/cgroup/memory/memory.limit_in_bytes", f"{3 * GB}\n")
    write("sys/fs/cgroup/memory/memory.stat", f"cache 5\ntotal_rss {GB}\n")
    assert cache.available_memory(root) == 2 * GB


def test_available_memory_is_close_to_psutils():
    assert 0 < cache.available_memory() <= psutil.virtual_memory().total


def test_other_systems_count_all_memory(tmp_path):
    assert cache.available_memory(tmp_path) == pytest.approx(
        psutil.virtual_memory().total, rel=0.05
    )
