"""An experiment on made-up recordings, and the command line run in this process."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from command_line import run
from recordings import write_set

from entcomp.artifacts.experiment import Experiment
from entcomp.kaldi.datadir import find_sets
from entcomp.units.extractors import load_extractor
from entcomp.units.learn import KmeansOptions, learn_kmeans


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def message(self) -> str:
        """The one line that a user's mistake ends in."""
        assert self.code == 1
        assert "Traceback" not in self.err
        assert self.err.count("entcomp: error: ") == 1
        line = self.err.rstrip("\n").splitlines()[-1]
        assert line.startswith("entcomp: error: ")
        return line.removeprefix("entcomp: error: ")


Cli = Callable[..., Outcome]


@pytest.fixture
def cli() -> Cli:
    """``entcomp`` with these arguments, errors included, without a new process."""
    return lambda *arguments: Outcome(*run(*arguments))


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `data` and `exp` are copies of."""
    folder = tmp_path_factory.mktemp("template")
    write_set(folder / "data" / "train", {f"utt{number}": 1 + 0.3 * number for number in range(6)})
    write_set(folder / "data" / "dev", {"a": 1.0, "b": 2.0})
    learning = KmeansOptions(num_clusters=20, max_frames=10_000, seed=0, skip_bad=False)
    train = find_sets(folder / "data", "train")
    learn_kmeans(train, Experiment(folder / "exp"), load_extractor("mfcc"), learning, num_jobs=1)
    return folder


@pytest.fixture
def data(template: Path, tmp_path: Path) -> Path:
    """Two sets: ``train`` of six utterances, ``dev`` of two."""
    return shutil.copytree(template / "data", tmp_path / "data")


@pytest.fixture
def exp(template: Path, tmp_path: Path) -> Path:
    """An experiment with a codebook of 20 MFCC clusters, learnt on ``train``."""
    return shutil.copytree(template / "exp", tmp_path / "exp")
