import runpy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ml_collections import ConfigDict

from configs import quickstart
from cxr_jax import config
from tfds_builders.common.errors import InputError

SIZES = {"train_examples": 1000, "batch_size": 32}


@pytest.mark.parametrize(
    "text, expected",
    [
        ("500 steps", 500),
        ("1 step", 1),
        ("500steps", 500),
        ("2 epochs", 62),  # 2 * 1000 / 32 = 62.5, and round() goes to even
        ("3 epochs", 94),
        ("1e3 examples", 31),
        ("0 steps", 0),
        ("0.001 epochs", 1),
    ],
)
def test_durations(text, expected):
    assert config.steps(text, key="total", **SIZES) == expected


def test_percent_is_of_the_whole_training():
    found = config.steps("5 percent", key="x", total_steps=200, **SIZES)
    assert found == 10
    with pytest.raises(InputError, match="nothing to be a percentage of"):
        config.steps("5 percent", key="total", **SIZES)


@given(st.text(max_size=12))
@settings(max_examples=50, deadline=None)
def test_any_text_is_a_duration_or_a_clear_error(text):
    try:
        assert config.steps(text, key="total", total_steps=10, **SIZES) >= 0
    except InputError as error:
        assert "config.total" in str(error)


def test_arguments_after_the_colon():
    arg = config.parse_arg("phantom,fold=3", phantom=False, fold=-1, rate=0.5)
    assert arg.to_dict() == {"phantom": True, "fold": 3, "rate": 0.5}
    assert config.parse_arg("rate=1", rate=0.5).rate == 1.0
    assert config.parse_arg(None, fold=-1).fold == -1


@pytest.mark.parametrize(
    "arg, message",
    [
        ("fantom", "no argument 'fantom'"),
        ("fold=a", "type int"),
        ("fold", "type int"),
        ("phantom=2", "type bool"),
    ],
)
def test_wrong_arguments_list_the_known_ones(arg, message):
    with pytest.raises(InputError, match=message):
        config.parse_arg(arg, phantom=False, fold=-1)


def test_json_round_trip_keeps_tuples_and_nothing_differs(tmp_path):
    one = quickstart.get_config()
    one.model.widths = (1, 2)
    path = tmp_path / "config.json"
    path.write_text(config.to_json(one))
    two = config.from_json(path)
    assert two.model.widths == (1, 2)
    assert config.diff(one, two) == ""


def test_diff_names_both_values():
    one = ConfigDict({"optim": {"lr": 1.0}, "data": {"x": 1}, "seed": 0})
    two = ConfigDict({"optim": {"lr": 2.0}, "data": {"x": 2}, "seed": 0})
    assert config.diff(one, two, ignore=("data.",)) == (
        "- optim.lr = 1.0\n+ optim.lr = 2.0"
    )


def test_unreadable_config_is_explained(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        config.from_json(tmp_path / "config.json")
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(InputError, match="not valid JSON"):
        config.from_json(tmp_path / "config.json")


FAULTY = {
    "attribute": ("import os\n\nos.nothing\n", 3, "AttributeError"),
    "syntax": ("x = 1\ndef get_config(:\n", 2, "SyntaxError"),
    "import": ("import no_such_module\n", 1, "no_such_module"),
    "key": ("config = {}\nconfig['learning']\n", 2, "KeyError: learning"),
}


@pytest.mark.parametrize("name", FAULTY)
def test_an_error_in_a_config_file_is_reported_with_its_line(tmp_path, name):
    text, line, expected = FAULTY[name]
    path = tmp_path / "mine.py"
    path.write_text(text)
    try:
        try:
            runpy.run_path(str(path))
        except Exception as error:
            raise ValueError("a library puts this around it") from error
    except ValueError as error:
        found = str(config.fault_in(path, error))
    assert f"mine.py, line {line}: " in found and expected in found


def test_an_unknown_key_is_not_blamed_on_the_file(tmp_path):
    with pytest.raises(AttributeError) as caught:
        _ = ConfigDict({"lr": 1}).rate
    assert config.fault_in(tmp_path / "mine.py", caught.value) is None
    assert config.message(caught.value).startswith("'rate'")
