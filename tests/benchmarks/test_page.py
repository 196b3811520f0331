"""The benchmark of the page chooses its films; tests/web has the page itself."""

import pytest

from benchmarks import page
from tfds_builders.common.errors import InputError


def test_films_are_spread_over_the_folder(tmp_path):
    with pytest.raises(InputError, match="holds no film"):
        page.choose(tmp_path, 3)
    for number in range(10):
        (tmp_path / f"{number}.PNG").touch()
    (tmp_path / "list.csv").touch()
    assert [path.stem for path in page.choose(tmp_path, 3)] == ["0", "3", "6"]
    assert len(page.choose(tmp_path, 50)) == 10
