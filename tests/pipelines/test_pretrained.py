"""The model that comes with entcomp: on speech, and on what is none."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from command_line import run

from entcomp import Tokenizer
from entcomp.audio.read import read_wav

RATE = 44100
pytestmark = pytest.mark.usefixtures("moonshine_folder")


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.from_pretrained()


@pytest.fixture
def speech(prompt_data: Path) -> np.ndarray:
    """float32 (samples,) at 16 kHz."""
    return read_wav(prompt_data / "allison_conf-placeintoconf.opus", 16000)


def note(hertz: float, seconds: float) -> np.ndarray:
    """Four harmonics that die away, as of a plucked string."""
    times = np.arange(round(seconds * RATE)) / RATE
    partials = (np.sin(2 * np.pi * hertz * n * times) / n for n in range(1, 5))
    return sum(partials) * np.exp(-3 * times)


def drum(seconds: float, seed: int) -> np.ndarray:
    times = np.arange(round(seconds * RATE)) / RATE
    noise = np.random.default_rng(seed).standard_normal(len(times))
    return (noise + 3 * np.sin(2 * np.pi * 60 * times)) * np.exp(-25 * times)


def music(seconds: float) -> np.ndarray:
    """Four chords and a melody at 120 beats a minute, and a drum on each beat."""
    beats = round(2 * seconds)
    chords = [(220, 262, 330), (175, 220, 262), (131, 165, 196), (196, 247, 294)]
    melody = [440, 523, 659, 587, 523, 440, 494, 392]
    bars = [sum(note(one, 0.5) for one in chords[beat // 4 % 4]) for beat in range(beats)]
    tune = [note(melody[beat % 8], 0.5) for beat in range(beats)]
    drums = [drum(0.5, beat) for beat in range(beats)]
    mixed = np.concatenate(bars) + np.concatenate(tune) + 0.3 * np.concatenate(drums)
    return 0.9 * mixed / np.abs(mixed).max()


NO_SPEECH = {
    "music": music(8.0),
    "silence": np.zeros(8 * RATE),
    "noise": np.random.default_rng(0).uniform(-1, 1, 8 * RATE),
    "tone": 0.5 * np.sin(2 * np.pi * 440 * np.arange(8 * RATE) / RATE),
}


@pytest.mark.parametrize("kind", NO_SPEECH)
def test_what_is_no_speech_does_not_fall_to_pieces(tokenizer: Tokenizer, kind: str) -> None:
    """A model that never heard it may be unsure all the time: a group a unit, 41.7 a second."""
    found = tokenizer.encode(NO_SPEECH[kind], RATE)
    assert found.groups.sum() == len(found.units) == 332
    assert np.isfinite(found.entropies).all()
    assert found.rate < 15


def test_rates_are_met_on_speech(tokenizer: Tokenizer, speech: np.ndarray) -> None:
    for rate in (24, 15, 7):
        found = tokenizer.encode(speech, 16000, target_rate=rate)
        assert found.rate == pytest.approx(rate, rel=0.4)  # one utterance
        stored = tokenizer.stored_rule(f"rate{rate}_global")
        again = tokenizer.encode(speech, 16000, rule=stored)
        np.testing.assert_array_equal(again.groups, found.groups)


RUN = """
import sys
from entcomp.cli.app import main
sys.argv = ["entcomp", *sys.argv[1:]]
try:
    main()
except SystemExit as end:
    assert not end.code
found = {"torch", "pytorch_lightning", "onnx", "faiss", "torchaudio"} & sys.modules.keys()
assert not found, found
"""
STREAM = """
import sys, numpy
from entcomp import Tokenizer
tokenizer = Tokenizer.from_pretrained()
rule = tokenizer.rule()
found = tokenizer.encode(numpy.zeros(32000), 16000, rule=rule)
stream = tokenizer.stream(rule)
assert stream.push(found.units) + stream.finish() == found.groups.tolist()
found = {"torch", "pytorch_lightning", "onnx", "faiss", "torchaudio"} & sys.modules.keys()
assert not found, found
"""


def test_tokenizing_imports_no_torch(tmp_path: Path) -> None:
    """Nor anything else that the base installation does not have."""
    path = tmp_path / "a.wav"
    soundfile.write(path, music(2.0), RATE)
    for options in (
        ("tokenize", path),
        ("tokenize", path, "--criterion", "bidirectional", "--target-rate", 10),
        ("tokenize", path, "--format", "kaldi", "-o", tmp_path / "out"),
        ("plot", path, "-o", tmp_path / "a.png"),
    ):
        subprocess.run([sys.executable, "-c", RUN, *map(str, options)], check=True)
    subprocess.run([sys.executable, "-c", STREAM], check=True)


def test_formats_of_one_recording_have_its_units(
    tokenizer: Tokenizer, speech: np.ndarray, tmp_path: Path
) -> None:
    """Lossless ones exactly, others nearly; with music and a broken file among them."""
    for name, subtype in (
        ("float.wav", "FLOAT"),
        ("deep.flac", "PCM_24"),
        ("plain.wav", "PCM_16"),
        ("lossy.mp3", "MPEG_LAYER_III"),
        ("lossy.ogg", "VORBIS"),
    ):
        soundfile.write(tmp_path / name, speech, 16000, subtype)
    soundfile.write(tmp_path / "music.wav", np.stack([music(3.0)] * 2, axis=1), RATE, "PCM_24")
    (tmp_path / "broken.flac").write_bytes(b"fLaC")
    code, out, err = run("tokenize", *sorted(tmp_path.iterdir()), "--target-rate", "15")
    assert code == 1
    assert "broken.flac: unreadable audio" in err
    found = {Path(one["path"]).name: one for one in map(json.loads, out.splitlines())}
    assert len(found) == 6
    expected = tokenizer.encode(speech, 16000).units
    for name in ("float.wav", "deep.flac", "plain.wav"):
        assert found[name]["units"] == expected.tolist()
    for name in ("lossy.mp3", "lossy.ogg"):
        units = np.array(found[name]["units"])
        assert abs(len(units) - len(expected)) <= 3
        shared = min(len(units), len(expected))
        assert np.mean(units[:shared] == expected[:shared]) > 0.6
