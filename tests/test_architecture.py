"""The arrows between the rooms of entcomp/, as its imports draw them."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "entcomp"
FLOOR = {"bootstrap", "errors", "files", "config", "progress", "experiment", "kaldi", "packing"}
ROOMS = {
    "encoder": set(),
    "training": set(),
    "units": set(),
    "segmentation": set(),
    "alignment": set(),
    "scoring": set(),
    "report": set(),
    "lm": {"training"},
    "tasks": {"encoder", "training"},
    "tokenizer": {"units", "lm", "segmentation", "training"},
    "": {"tokenizer"},
}
ROOMS["cli"] = {room for room in ROOMS if room}
TASKS = {"asr", "st", "vc"}
MODULES = sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(nodes: Iterator[ast.AST] | list[ast.stmt]) -> Iterator[str]:
    """Full names of what import statements among ``nodes`` name."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "write imports in full"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def room(name: str) -> str:
    """``lm`` for entcomp.lm.model; empty for entcomp itself and what is not entcomp's."""
    first, *rest = name.split(".")
    return rest[0] if first == "entcomp" and rest else ""


def test_every_room_is_known():
    assert {room(name_of(path)) for path in MODULES} == {"", *FLOOR, *ROOMS}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_arrows_point_one_way(path):
    here = room(name_of(path))
    allowed = FLOOR | {here} | ROOMS.get(here, set())
    for name in imports(ast.walk(parsed(path))):
        assert room(name) in allowed | {""}, f"{name_of(path)} imports {name}"


@pytest.mark.parametrize("path", [path for path in MODULES if "tasks" in path.parts], ids=name_of)
def test_no_task_knows_another(path):
    own = set(name_of(path).split(".")) & TASKS
    for name in imports(ast.walk(parsed(path))):
        other = set(name.split(".")[:3]) & TASKS if room(name) == "tasks" else set()
        assert other <= own, f"{name_of(path)} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_who_may_import_what_from_outside(path):
    here = room(name_of(path))
    roots = {name.split(".")[0] for name in imports(ast.walk(parsed(path)))}
    if here != "kaldi":
        assert "kaldiio" not in roots
    if here in FLOOR | {"segmentation"}:
        assert not roots & {"torch", "torchaudio", "lightning", "espnet", "espnet2"}


@pytest.mark.parametrize("path", sorted((PACKAGE / "cli").glob("*.py")), ids=name_of)
def test_commands_import_nothing_heavy_at_top_level(path):
    """Blocks under ``if TYPE_CHECKING`` are no top level: they never run."""
    for name in imports(parsed(path).body):
        light = name.split(".")[0] in {"typer", *sys.stdlib_module_names}
        assert light or room(name) in {"cli", "errors", "experiment"}, name
