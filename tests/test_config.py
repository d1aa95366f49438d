from __future__ import annotations

from pathlib import Path

import pytest

from entcomp.config import (
    Config,
    load_config,
    make_config,
    parse_changes,
    resolve_config,
    save_config,
)
from entcomp.errors import EntcompError


class Inner(Config):
    depth: int = 2


class Example(Config):
    rate: float
    name: str = "x"
    inner: Inner = Inner()
    maybe: Inner | None = None


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_types_defaults_and_overrides(tmp_path):
    path = write(tmp_path / "a.yaml", "rate: 3e-4\ninner:\n  depth: 5\n")
    assert load_config(Example, path) == Example(rate=3e-4, inner=Inner(depth=5))
    default = Example(rate=2.0, name="z")
    changes = {"name": "y", "inner.depth": 7}
    changed = Example(rate=2.0, name="y", inner=Inner(depth=7))
    assert resolve_config(default, None, changes) == changed
    assert resolve_config(default, path, changes) == changed.model_copy(update={"rate": 3e-4})
    assert resolve_config(default, path, {"rate": 1}).rate == 1.0  # a whole number is a number
    assert resolve_config(default, path, {"maybe.depth": 3}).maybe == Inner(depth=3)
    assert (
        resolve_config(default.model_copy(update={"maybe": Inner()}), None, {"maybe": None})
        == default
    )


def test_changes_are_read_as_yaml():
    given = ["rate=3e-4", "inner.depth=5", "name=a=b", "names=[x, y]", "maybe=null"]
    assert parse_changes(given) == {
        "rate": 3e-4,
        "inner.depth": 5,
        "name": "a=b",
        "names": ["x", "y"],
        "maybe": None,
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["rat=1"], "options: unknown key 'rat'; known keys: inner, maybe, name, rate$"),
        (["inner.dept=1"], r"options: unknown key 'inner\.dept'; known keys: depth$"),
        (["maybe.dept=1"], r"options: unknown key 'maybe\.dept'; known keys: depth$"),
        (["in.depth=1"], "options: unknown key 'in'; known keys: inner, maybe, name, rate$"),
        (["rate.x=1"], "key 'rate.x': 'rate' is a value, without keys of its own"),
        (["inner.depth=deep"], r"key 'inner\.depth': Input should be a valid integer"),
        (["rate"], "--set rate: expected KEY=VALUE, as in training.max_steps=100"),
        (["=1"], "--set =1: expected KEY=VALUE"),
        (["rate=[1"], r"--set rate=\[1: not YAML"),
    ],
)
def test_a_change_that_cannot_be(changes, message):
    with pytest.raises(EntcompError, match=message):
        resolve_config(Example(rate=1.0), None, parse_changes(changes))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rate: 1.0\nnam: x\n", "unknown key 'nam'; known keys: inner, maybe, name, rate"),
        ("rate: 1.0\ninner: {dept: 1}\n", r"unknown key 'inner\.dept'"),
        ("rate: fast\n", "key 'rate': Input should be a valid number"),
        ("rate: 1.0\ninner: {depth: 2.5}\n", r"key 'inner\.depth': Input should be a valid int"),
        ("name: x\n", "key 'rate': Field required"),
        ("rate: 1.0\nrate: 2.0\n", "key 'rate' twice"),
        ("rate: [1\n", "not YAML"),
        ("- 1\n", "expected 'key: value' lines"),
    ],
)
def test_refuses_naming_file_and_key(tmp_path, text, message):
    path = write(tmp_path / "a.yaml", text)
    with pytest.raises(EntcompError, match=message) as caught:
        load_config(Example, path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(EntcompError, match="no such config"):
        load_config(Example, tmp_path / "a.yaml")


def test_frozen_and_round_trip(tmp_path):
    config = make_config(Example, {"rate": 2.5, "name": "é"}, source="test")
    with pytest.raises(ValueError, match="frozen"):
        config.rate = 3.0
    save_config(tmp_path / "a.yaml", config)
    assert load_config(Example, tmp_path / "a.yaml") == config
