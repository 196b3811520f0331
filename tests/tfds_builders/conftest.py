"""Phantom releases, what is prepared of them, and commands as a user types them."""

import functools
import itertools
import pathlib
import shutil

import pytest
from started import started

from tfds_builders.build import build
from tfds_builders.common.build.builder import Options
from tfds_builders.common.errors import InputError
from tfds_builders.phantom import write_release

# Number of images, seed and longest side of the phantom that the tests of a dataset
# share.
PHANTOMS = {
    "brixia": (60, 1, 96),
    "brixia_public": (60, 1, 96),
    "coronahack": (120, 1, 96),
    "covid_chestxray": (70, 1, 80),
    "covid_radiography": (120, 1, 128),
    "covid_xray_5k": (80, 11, 96),
    "covidgr": (60, 1, 96),
    "covidx_ct": (72, 1, 64),
    "covidx_cxr": (48, 1, 64),
    "image_folder": (90, 2, 96),
}


@pytest.fixture(scope="session")
def phantom(tmp_path_factory):
    """phantom(name, layout=None): the release of PHANTOMS, written once; only read it."""

    @functools.cache
    def written(name, layout=None):
        folder = tmp_path_factory.mktemp(name) / "r"
        return write_release(name, folder, *PHANTOMS[name], layout)

    return written


@pytest.fixture(scope="session")
def prepared(phantom, tmp_path_factory):
    """prepared(name, config='', layout=None): builder of a phantom, built once."""

    @functools.cache
    def built(name, config="", layout=None):
        full_name = f"{name}/{config}" if config else name
        data = tmp_path_factory.mktemp("data")
        return build(full_name, phantom(name, layout), data, quiet=True)

    return built


# Of the dataset whose folder a test is in.


@pytest.fixture(scope="module")
def dataset(request) -> str:
    return request.path.parent.name


@pytest.fixture(scope="module")
def release(dataset, phantom) -> pathlib.Path:
    """The shared phantom; only read it."""
    return phantom(dataset)


@pytest.fixture(scope="module")
def builder(dataset, prepared):
    """The shared phantom, prepared in the default config."""
    return prepared(dataset)


@pytest.fixture
def copy(release, tmp_path) -> pathlib.Path:
    """A copy of the shared phantom that a test may change."""
    return shutil.copytree(release, tmp_path / "copy" / release.name)


@pytest.fixture
def make(dataset, tmp_path):
    """make(release, config='', **options): builder of a new prepared dataset."""
    number = itertools.count()

    def made(release, config="", name=dataset, **options):
        full_name = f"{name}/{config}" if config else name
        data = tmp_path / f"data-{next(number)}"
        return build(full_name, release, data, True, Options(**options))

    return made


@pytest.fixture
def fails(dataset, tmp_path):
    """fails(release, *words, config=''): the build is refused with these words.

    Nothing may be left of the dataset. Returns the error.
    """

    def failed(release, *words, config="", name=dataset):
        data = tmp_path / "failed"
        with pytest.raises(InputError) as error:
            full_name = f"{name}/{config}" if config else name
            build(full_name, release, data, quiet=True)
        for word in words:
            assert word in str(error.value)
        left = [p for p in data.rglob("*") if p.is_file() and ".config" not in p.parts]
        assert left == []
        return error.value

    return failed


@pytest.fixture(scope="module")
def build_command():
    """build_command(*arguments, cwd, env, largest_file): what the build command does.

    env: on top of this process's; TFDS reads its own when it is imported, too early.
    largest_file: bytes, where the size of files is to be limited.
    """
    with started("tfds_builders.build") as run:
        yield run
