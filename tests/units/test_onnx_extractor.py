"""Encoders in ONNX files: small convolutions, with and without padding, and Moonshine's as one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from babbling import babble
from toy_onnx import DIM, FIELD, SHIFT, write_model

from entcomp.artifacts.experiment import Experiment
from entcomp.errors import EntcompError
from entcomp.units.extractor import CHUNK_SECONDS, extract
from entcomp.units.extractors import load_extractor


def load(path: Path, text: str = f"output=frames,shift={SHIFT}") -> Any:
    return load_extractor(f"onnx:{text}", None, path)


@pytest.mark.parametrize("pads", [(0, 0), (120, 120), (200, 200), (240, 240)])
def test_finds_the_receptive_field(tmp_path: Path, pads: tuple[int, int]) -> None:
    """Also of models that pad: 1 + samples // shift frames have one of nothing."""
    extractor = load(write_model(tmp_path / "a.onnx", pads))
    assert (extractor.grid.shift, extractor.grid.field) == (SHIFT, FIELD - sum(pads))
    assert extractor.grid.offset == (FIELD - sum(pads) - SHIFT) // 2
    assert extractor.dim == DIM and extractor.grid.count(0) == 0
    for samples in (400, 559, 560, 12345):
        found = extract(extractor, babble(1.0, 0)[:samples], "a.wav")
        assert found.shape == (1 + (samples + sum(pads) - FIELD) // SHIFT, DIM)


def test_any_tensor_of_the_file(tmp_path: Path) -> None:
    path, waveform = write_model(tmp_path / "a.onnx"), babble(1.0, 0)
    hidden = load(path, f"output=hidden,shift={SHIFT}")(waveform)
    np.testing.assert_allclose(load(path)(waveform), hidden**2, rtol=1e-5)
    weight = np.random.default_rng(0).normal(size=(DIM, 1, FIELD)).astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(waveform, FIELD)[::SHIFT]
    np.testing.assert_allclose(hidden, windows @ weight[:, 0].T, rtol=1e-3, atol=1e-4)


def test_long_recordings(tmp_path: Path) -> None:
    extractor, waveform = load(write_model(tmp_path / "a.onnx")), babble(2.2 * CHUNK_SECONDS, 1)
    whole = extractor(waveform)
    np.testing.assert_allclose(extract(extractor, waveform, "a.wav"), whole, rtol=1e-4, atol=1e-4)


def test_makes_units(cli, data: Path, tmp_path: Path) -> None:
    """What stands after the colon is stored, so that only the file has to be given again."""
    path, exp, name = write_model(tmp_path / "a.onnx"), tmp_path / "exp", "onnx:output=hidden"
    options = ("--extractor", f"{name},shift=160,rate=8000", "--checkpoint", path)
    assert cli("learn-kmeans", *options, "--num-clusters", 9, data, exp).code == 0
    info = Experiment(exp).units_info()
    assert info.extractor == "onnx:output=hidden,shift=160,rate=8000"
    assert (info.sample_rate, info.frame_shift, info.receptive_offset) == (8000, 0.02, 0.015)
    assert cli("dump-units", "--checkpoint", path, data, exp).code == 0
    assert f"{info.extractor}: pass --checkpoint FILE" in cli("dump-units", data, exp).message
    write_model(path, (120, 120))
    assert "another checkpoint" in cli("dump-units", "--checkpoint", path, data, exp).message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "give --extractor onnx:output=NAME,shift=SAMPLES --checkpoint FILE, .*: frames$"),
        ("output=frames", "give --extractor onnx:output=NAME,shift=SAMPLES"),
        ("output=frames,shift=10ms", "shift=10ms: expected a number of samples"),
        ("output=frames,shift=160,hop=2", "hop: unknown"),
        (
            "output=other,shift=160",
            "no tensor other; available, the last ones: deep, frames, hidden, wide",
        ),
        ("output=deep,shift=160", "6 frames of 15840 samples, 6 of 16000 and 6 of 16160; what is"),
        ("output=frames,shift=320", "96 frames of 15680 samples, 98 of 16000 and 100 of 16320"),
    ],
)
def test_refuses(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(EntcompError, match=message):
        load(write_model(tmp_path / "a.onnx"), text)


def test_refuses_files(tmp_path: Path) -> None:
    with pytest.raises(EntcompError, match="no such checkpoint"):
        load(tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("this is no model")
    with pytest.raises(EntcompError, match="not an ONNX file; give another --checkpoint"):
        load(tmp_path / "text.onnx")
    with pytest.raises(EntcompError, match=r"cannot be computed of 16000 samples \(.*Got: 16000"):
        load(write_model(tmp_path / "fixed.onnx", samples=5000))
    with pytest.raises(EntcompError, match="and no --layer"):
        load_extractor("onnx:output=frames,shift=160", "3", write_model(tmp_path / "a.onnx"))


def test_moonshine_is_one(moonshine_encoder: Path) -> None:
    preset, waveform = load_extractor("moonshine", None, moonshine_encoder), babble(1.3, 0)
    same = load(moonshine_encoder, "output=/layers.3/Add_1_output_0,shift=384")
    assert same.grid == preset.grid
    np.testing.assert_array_equal(same(waveform), preset(waveform))
