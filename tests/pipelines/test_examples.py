"""The examples in docstrings are true; `exp` in them is a tiny experiment with random models."""

from __future__ import annotations

import doctest
import importlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from babbling import RATE, babble
from tiny_pipeline import add_converter, add_recogniser, make_pipeline

import entcomp
from entcomp.evaluation.voices import speaker

MODULES = [
    "entcomp.config",
    "entcomp.pipelines.recognizer",
    "entcomp.pipelines.tokenizer",
    "entcomp.pipelines.voice_converter",
    "entcomp.skipped",
]


class AnyVoice:
    """Stands in for Resemblyzer, which hears no voice in noise."""

    name = "any"

    def embed(self, waveform: np.ndarray) -> np.ndarray:
        return np.full(speaker.EMBEDDING_SIZE, 1 / 16, np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With ``exp`` and ``talk.wav``."""
    folder = tmp_path_factory.mktemp("examples")
    experiment = make_pipeline(folder)
    for task in ("asr", "st"):
        add_recogniser(experiment, task)
    add_converter(experiment)
    soundfile.write(folder / "talk.wav", babble(3.0, 11), RATE)
    return folder


@pytest.fixture
def names(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, object]]:
    """What examples may speak of without saying where it is from."""
    monkeypatch.setattr(speaker, "SpeakerEncoder", AnyVoice)
    monkeypatch.chdir(folder)
    yield {
        "waveform": babble(3.0, 11),
        "reference": babble(2.0, 12),
        "sample_rate": RATE,
        "units": [0, 0, 1, 2, 2, 2, 5, 5, 3, 1, 1, 7, 8, 8, 9],
    }


@pytest.mark.parametrize("name", MODULES)
def test_examples_are_true(name: str, names: dict[str, object]) -> None:
    module = importlib.import_module(name)
    result = doctest.testmod(module, extraglobs=names, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.attempted > 0
    assert result.failed == 0


def test_the_face_has_an_example_of_each_class() -> None:
    for name in ("Tokenizer", "StreamingTokenizer", "Recognizer", "Translator", "VoiceConverter"):
        assert name in entcomp.__all__
        docstring = getattr(entcomp, name).__doc__
        assert f">>> from entcomp import {name}" in docstring
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        entcomp.Nothing  # noqa: B018
