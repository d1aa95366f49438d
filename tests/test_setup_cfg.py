"""setup.cfg: what is installed, and which package may import which."""

from __future__ import annotations

import shutil
import subprocess
from configparser import ConfigParser
from pathlib import Path

import pytest
from packaging.requirements import Requirement

CONTRACTS = "importlinter:contract:"


@pytest.fixture
def settings(repository: Path) -> ConfigParser:
    found = ConfigParser()
    found.read(repository / "setup.cfg")
    return found


def requirements(text: str) -> list[Requirement]:
    return [Requirement(line) for line in text.splitlines() if line and line[0] != "#"]


def test_torch_had_no_lower_bound(settings: ConfigParser) -> None:
    """Attention over unpadded batches is new in 2.10, and an older torch failed in the middle."""
    extras = settings["options.extras_require"]
    with_torch = [
        one for text in extras.values() for one in requirements(text) if one.name == "torch"
    ]
    assert len(with_torch) >= 2
    for one in with_torch:
        assert "2.10" in one.specifier and "2.9.1" not in one.specifier
    names = {one.name for one in requirements(settings["options"]["install_requires"])}
    assert not names & {"torch", "torchaudio", "espnet", "onnx", "faiss-cpu"}


def test_the_rules_named_tasks_that_do_not_exist(settings: ConfigParser, repository: Path) -> None:
    """And so an import from vc to text passed."""
    folders = [path.parent.name for path in (repository / "entcomp/tasks").glob("*/__init__.py")]
    contract = settings[f"{CONTRACTS}tasks"]
    named = contract["modules"].split()
    shared = ["text"]  # the model of asr and st, no task: contracts of its own
    assert sorted(named) == sorted(f"entcomp.tasks.{one}" for one in folders if one not in shared)
    assert contract["type"] == "independence"
    layers = settings[f"{CONTRACTS}layers"]
    assert layers["exhaustive"] == "True", "a package that no layer names would escape"


FORBIDDEN = {
    "tasks/vc/model.py": ("import entcomp.tasks.text.model", "Voices are converted without"),
    "tasks/asr/__init__.py": ("import entcomp.tasks.vc.model", "No task knows another"),
    "tasks/text/model.py": ("import entcomp.tasks.st", "Recognition and translation share"),
    "segmentation/rule.py": ("import entcomp.lm.model", "Imports point one way"),
    "training/loop.py": ("import entcomp.tasks.text.model", "Imports point one way"),
    "pipelines/tokenizer.py": ("import entcomp.cli.app", "Imports point one way"),
    "artifacts/units.py": ("import torch", "Files and segmentations do without torch"),
    "lm/onnx_lm.py": ("import onnx", "Entropies are computed without torch"),
    "artifacts/archive.py": ("import kaldiio", "Only kaldi/ knows kaldiio"),
}


def module_of(name: str) -> str:
    return "entcomp." + name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def test_imports_that_are_forbidden_are_found(repository: Path, tmp_path: Path) -> None:
    shutil.copy(repository / "setup.cfg", tmp_path)
    shutil.copytree(
        repository / "entcomp", tmp_path / "entcomp", ignore=shutil.ignore_patterns("pretrained")
    )
    for name, (line, _) in FORBIDDEN.items():
        with open(tmp_path / "entcomp" / name, "r+") as module:
            module.read()
            module.write(f"\n{line}\n")
    lint = ["lint-imports", "--no-logo", "--no-cache"]
    done = subprocess.run(lint, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    broken = [line for line in done.stdout.splitlines() if " BROKEN" in line]
    for name, (line, contract) in FORBIDDEN.items():
        assert any(line.startswith(contract) for line in broken), (name, broken)
        assert f"{module_of(name)} -> {line.split()[1]} (l." in done.stdout, done.stdout
