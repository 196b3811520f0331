"""A folder of films."""

import pytest
from scorers import write_film


@pytest.fixture
def films(tmp_path):
    """Ten films in two folders, one of them damaged, and a note."""
    folder = tmp_path / "films"
    for number in range(9):
        sub = "a" if number < 5 else "b"
        write_film(folder / sub / f"film{number % 5}.png", number)
    (folder / "b" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (folder / "b" / "list.csv").write_text("a,b\n")
    return folder
