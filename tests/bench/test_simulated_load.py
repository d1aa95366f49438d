"""What trainings hold of their corpora in memory, on the files that `simulated_load` makes."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from simulated_load import make_training, read_for_asr, read_for_vc

from entcomp.artifacts.experiment import Experiment, UnitsInfo

SIZES = (1_000, 6_000)


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Path, Path]]:
    """DATA and EXP of each size."""
    folders = [tmp_path_factory.mktemp("load") for _ in SIZES]
    for folder, size in zip(folders, SIZES, strict=True):
        experiment = Experiment(folder / "exp")
        (folder / "data").mkdir()
        UnitsInfo("imported", 0, 500, 16000, 320, 0, "c0de").write(experiment.units_json)
        make_training(folder / "data", experiment, size)
    return [(folder / "data", folder / "exp") for folder in folders]


@pytest.mark.parametrize("read", [read_for_asr, read_for_vc])
def test_a_corpus_takes_less_than_100_bytes_an_utterance(
    corpora: list[tuple[Path, Path]], read: Callable[[Path, Path], None]
) -> None:
    """They took 4,600 and 5,800."""
    read(*corpora[0])  # what is imported counts for nothing
    peaks = []
    for corpus in corpora:
        tracemalloc.start()
        read(*corpus)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert 16 < (peaks[1] - peaks[0]) / (SIZES[1] - SIZES[0]) < 100
