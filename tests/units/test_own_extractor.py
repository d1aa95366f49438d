"""An extractor of one file, in a package of its own, takes part in everything."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from own_package import environment_with, install_package

from entcomp.artifacts.experiment import Experiment
from entcomp.kaldi.ark import iter_vectors

BANDS = '''
from __future__ import annotations

import numpy as np

from entcomp.units.extractor import FrameGrid


class Bands:
    """Energies of four bands of the spectrum, each 20 ms; ``layer`` 1 has their logarithms."""

    help = "energies of four bands"
    default_layer = "1"
    name = "bands"
    dim = 4
    sample_rate = 8000
    grid = FrameGrid(shift=160, field=200)
    checkpoint_sha256 = ""

    def __init__(self, layer, checkpoint, device):
        self.layer = int(layer or self.default_layer)

    def __call__(self, waveform):
        frames = np.lib.stride_tricks.sliding_window_view(waveform, self.grid.field)
        power = np.abs(np.fft.rfft(frames[:: self.grid.shift]))[:, :100] ** 2
        energies = power.reshape(-1, 4, 25).sum(axis=2)
        return (np.log(energies + 1e-6) if self.layer else energies).astype(np.float32)
'''


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    install_package(folder, "bands", BANDS, "entcomp.extractors", "bands = Bands")
    return folder


def entcomp(packages: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "entcomp.cli.app", *map(str, arguments)]
    environment = environment_with(packages)
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True)


def test_it_makes_units_and_tokens(packages: Path, data: Path, tmp_path: Path) -> None:
    exp = tmp_path / "exp"
    learn = ("learn-kmeans", data, exp, "--extractor", "bands", "--num-clusters", 10)
    assert "10 of 10 clusters used" in entcomp(packages, *learn).stdout
    info = Experiment(exp).units_info()
    assert (info.extractor, info.layer, info.sample_rate) == ("bands", 1, 8000)
    assert (info.frame_shift, info.receptive_offset) == (0.02, 0.0025)
    entcomp(packages, "dump-units", data, exp, "--sets", "dev")
    units = dict(iter_vectors(exp / "units" / "dev" / "units.scp"))
    assert {utt_id: len(vector) for utt_id, vector in units.items()} == {"a": 49, "b": 99}
    wav = data / "dev" / "a.wav"
    output = entcomp(packages, "tokenize", wav, "--model", exp, "--criterion", "dedup").stdout
    assert json.loads(output)["units"] == units["a"].tolist()


def test_help_and_errors_name_it(packages: Path, data: Path, tmp_path: Path) -> None:
    shown = entcomp(packages, "learn-kmeans", "--help").stdout
    assert "energies of four bands (layer" in " ".join(shown.replace("│", "").split())
    with pytest.raises(subprocess.CalledProcessError) as caught:
        entcomp(packages, "learn-kmeans", data, tmp_path / "exp", "--extractor", "band")
    assert "extractor band: unknown; available: " in caught.value.stderr
    assert ", bands" in caught.value.stderr
