"""Data dirs and units of a few real utterances, or made ones, and a tiny config."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from entcomp.artifacts.experiment import Experiment, UnitsInfo
from entcomp.artifacts.stage import Stage
from entcomp.kaldi.ark import ArkWriter
from entcomp.kaldi.table import read_table

CODEBOOK = "c0de"
# Of a model that learns nothing, in no time.
SMALLEST: dict[str, Any] = {
    "dim": 32,
    "local": {"layers": 1, "heads": 2},
    "encoder": {"layers": 1, "heads": 2, "feed_forward": 32},
    "decoder": {"layers": 1, "heads": 2, "feed_forward": 32},
    "decoding": {"beam": 2, "max_tokens": 10},
}


@dataclass(frozen=True)
class TextExperiment:
    """DATA and EXP; ``texts`` by utterance."""

    data: Path
    experiment: Experiment
    texts: dict[str, str]

    @property
    def arguments(self) -> list[str]:
        return [str(self.data), str(self.experiment.path)]

    def config(self, **changes: Any) -> Path:
        """A model that learns a dozen utterances in some ten seconds."""
        values: dict[str, Any] = {
            "vocabulary": {"kind": "char", "size": 80},
            "local": {"layers": 2, "token_mixer": "self"},
            "dim": 64,
            "encoder": {"layers": 1, "feed_forward": 128},
            "decoder": {"layers": 2, "feed_forward": 128},
            "parameters": None,
            "dropout": 0.0,
            "mask_fraction": 0.0,
            "label_smoothing": 0.0,
            "batch_frames": 1000,
            "training": {
                "max_steps": 200,
                "learning_rate": 3e-3,
                "warmup_steps": 30,
                "val_interval": 100,
            },
        }
        path = self.data / "config.yaml"
        path.write_text(yaml.safe_dump(values | changes))
        return path


def write_set(one: TextExperiment, name: str, units: dict[str, np.ndarray]) -> None:
    """``text``, ``text.eo`` (the words backwards) and units of one set."""
    folder = one.data / name
    folder.mkdir(parents=True)
    for file, step in (("text", 1), ("text.eo", -1)):
        lines = (f"{utt_id} {' '.join(one.texts[utt_id].split()[::step])}\n" for utt_id in units)
        (folder / file).write_text("".join(lines))
    stage = Stage(one.experiment.units(name), {"codebook_sha256": CODEBOOK})
    stage.start()
    with ArkWriter(stage.folder, "units") as ark:
        for utt_id, vector in units.items():
            ark.write(utt_id, vector)
    stage.finish(ark.summary)


def prompt_experiment(folder: Path, prompt_data: Path, utterances: int = 12) -> TextExperiment:
    """The shortest of real speech with four words or more, the same in train, dev and test."""
    rows = (line.split() for line in (prompt_data / "units.txt").read_text().splitlines())
    units = {utt_id: np.array(row, np.int32) for utt_id, *row in rows}
    texts = read_table(prompt_data / "text")
    sentences = [utt_id for utt_id, text in texts.items() if len(text.split()) >= 4]
    shortest = sorted(sorted(sentences, key=lambda utt_id: len(units[utt_id]))[:utterances])
    texts = {utt_id: texts[utt_id] for utt_id in shortest}
    info = UnitsInfo("moonshine", 3, 500, 16000, 384, 255, CODEBOOK)
    return _write(folder, {utt_id: units[utt_id] for utt_id in shortest}, texts, info)


def toy_experiment(folder: Path, utterances: int = 6) -> TextExperiment:
    """Each letter of a random text lasts three frames of its own unit, and two of unit 5."""
    generator = np.random.default_rng(0)
    texts, units = {}, {}
    for index in range(utterances):
        words = generator.integers(0, 5, (2, 3))
        utt_id = f"toy-{index}"
        texts[utt_id] = " ".join("".join("abcde"[one] for one in word) for word in words)
        letters = [[letter] * 3 + [5] * 2 for letter in words.flatten()]
        units[utt_id] = np.array(letters, np.int32).flatten()
    return _write(folder, units, texts, UnitsInfo("imported", 0, 6, 16000, 320, 0, CODEBOOK))


def _write(
    folder: Path, units: dict[str, np.ndarray], texts: dict[str, str], info: UnitsInfo
) -> TextExperiment:
    one = TextExperiment(folder / "data", Experiment(folder / "exp"), texts)
    info.write(one.experiment.units_json)
    for name in ("train", "dev", "test"):
        write_set(one, name, units)
    return one
