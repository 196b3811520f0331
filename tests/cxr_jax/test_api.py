"""What `import cxr_jax` offers."""

import csv
import subprocess
import sys

import cv2
import numpy as np
import pytest
import tensorflow_datasets as tfds

import cxr_jax
from tfds_builders.common.errors import InputError


@pytest.fixture(scope="module")
def model(trained):
    return cxr_jax.load(trained)


@pytest.fixture(scope="module")
def films(brixia_data):
    source = tfds.data_source("brixia/256", data_dir=brixia_data, split="test")
    return {each["example_id"].decode(): each["image"][..., 0] for each in source}


def test_predictions_match_those_of_the_run(model, films, trained):
    predictions = model.predict(list(films.values()))
    with (trained / "predictions" / "brixia-test.csv").open() as file:
        written = {row["example_id"]: row for row in csv.DictReader(file)}
    assert written.keys() == films.keys()
    for place, film in enumerate(films):
        expected = [float(written[film][f"expected_{zone}"]) for zone in "ABCDEF"]
        np.testing.assert_allclose(
            predictions["expected"][place], expected, rtol=1e-5, atol=1e-6
        )


def test_batch_size_does_not_matter(model, films):
    """One film alone, or among more than a batch of them, in any kind of container."""
    images = list(films.values())
    images = (images * 20)[: 2 * model.config.batch_size + 3]
    together = model.predict(images)["probs"]
    assert together.shape == (len(images), 6, 4)
    alone = model.predict(images[-1][None])["probs"]
    np.testing.assert_allclose(together[-1:], alone, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "images, message",
    [
        ([], "there are none"),
        (np.zeros((2, 8, 8, 1), np.uint8), r"films\[0\].*\[8, 8, 1\]"),
        ([np.zeros((8, 8), np.uint8), np.zeros((8, 8))], r"films\[1\].*float64"),
    ],
)
def test_refuses_what_is_not_a_stored_film(model, images, message):
    with pytest.raises(InputError, match=message):
        model.predict(images)


def test_one_array_or_one_path_alone(model, films, tmp_path):
    """A path is not taken for its letters, of which the first is the whole disk."""
    images = list(films.values())
    alone = model.predict(images[0])["probs"]
    np.testing.assert_array_equal(alone, model.predict(images[:1])["probs"])
    path = tmp_path / "film.png"
    cv2.imwrite(str(path), images[0])
    for one in (path, str(path)):
        (row,) = model.predict(one, gate="off")
        assert row["path"] == str(path) and not row["error"]


def test_a_folder_without_a_run(tmp_path):
    with pytest.raises(InputError, match="config.json"):
        cxr_jax.load(tmp_path)


def loaded_by(code):
    """Modules that a fresh Python has loaded after `code`."""
    program = f"import sys; {code}; print(*sys.modules)"
    return set(
        subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        ).stdout.split()
    )


def test_importing_the_package_loads_nothing_else():
    ours = [name for name in loaded_by("import cxr_jax") if name.startswith("cxr_jax")]
    assert ours == ["cxr_jax"]
    assert not {"numpy", "jax"} & loaded_by("import cxr_jax")


def test_datasets_and_metrics_need_no_jax():
    loaded = loaded_by(
        "import cxr_jax; cxr_jax.METRICS; cxr_jax.metrics; cxr_jax.build"
    )
    assert {"cxr_jax.metrics", "tfds_builders.build"} <= loaded
    assert "jax" not in loaded and "flax" not in loaded


def test_names():
    assert set(cxr_jax.__all__) <= set(dir(cxr_jax))
    for name in cxr_jax.__all__:
        assert getattr(cxr_jax, name) is not None
    assert {"brixia", "classify"} <= set(cxr_jax.TASKS)
    with pytest.raises(AttributeError, match="nothing"):
        cxr_jax.nothing  # noqa: B018


def test_a_film_does_not_depend_on_the_depth_of_its_neighbours(model, films):
    """uint8 films among uint16 ones were nearly black."""
    deep = list(films.values())[:3]
    shallow = [np.rint(film / 257).astype(np.uint8) for film in deep]
    mixed = model.predict([shallow[0], deep[1], shallow[2]])["probs"]
    np.testing.assert_array_equal(mixed[[0, 2]], model.predict(shallow)["probs"][::2])
    np.testing.assert_array_equal(mixed[1], model.predict(deep)["probs"][1])
    np.testing.assert_allclose(mixed, model.predict(deep)["probs"], atol=0.01)


def test_paths_give_records(model, films, tmp_path):
    for name, film in list(films.items())[:3]:
        path = tmp_path / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(cv2.imencode(".png", film)[1].tobytes())
    (tmp_path / "zz.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    found = model.predict([tmp_path], gate="off")
    assert [bool(each["error"]) for each in found] == [False] * 3 + [True]
    arrays = {name: model.predict([film])["probs"][0] for name, film in films.items()}
    for each in found[:3]:
        probs = [[each[f"prob_{z}{k}"] for k in range(4)] for z in "ABCDEF"]
        np.testing.assert_allclose(probs, arrays[each["example_id"]], rtol=1e-5)
        assert each["gate"] == "off"
    with pytest.raises(InputError, match="'perhaps'"):
        model.predict([tmp_path], gate="perhaps")
    with pytest.raises(InputError, match=r"films\[1\]"):
        model.predict([films[each["example_id"]] for each in found[:1]] + ["a.png"])
