"""An experiment of made-up units and entropies, with the calibration that score-entropy writes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from entcomp.artifacts.experiment import Direction, Experiment, UnitsInfo, entropy_name
from entcomp.artifacts.stage import Stage, read_stage
from entcomp.files import write_json
from entcomp.kaldi.ark import ArkWriter

K = 500
Vectors = dict[str, np.ndarray]


@dataclass(frozen=True)
class Fake:
    """DATA, EXP and what they hold."""

    data: Path
    experiment: Experiment
    units: dict[str, Vectors]
    entropies: dict[Direction, dict[str, Vectors]]

    @property
    def arguments(self) -> list[str]:
        return [str(self.data), str(self.experiment.path)]


def make_fake(
    folder: Path,
    sets: dict[str, int],
    dedup: bool = False,
    length: int = 400,
    seed: int = 0,
    frame_shift_samples: int = 320,
) -> Fake:
    """Sets of that many utterances; the first one is the calibration set.

    ``dedup``: entropies of an LM over runs, with NaN where a unit repeats.
    """
    fake = Fake(folder / "data", Experiment(folder / "exp"), {}, {"forward": {}, "backward": {}})
    generator = np.random.default_rng(seed)
    info = UnitsInfo("imported", 0, K, 16000, frame_shift_samples, 0, "c0de")
    info.write(fake.experiment.units_json)
    for name, utterances in sets.items():
        ids = [f"{name}-{i:05d}" for i in range(utterances)]
        fake.units[name] = {utt_id: _units(generator, length) for utt_id in ids}
        (fake.data / name).mkdir(parents=True)
        (fake.data / name / "text").write_text("".join(f"{utt_id} x\n" for utt_id in ids))
        write_vectors(fake.experiment.units(name), "units", fake.units[name], "c0de")
        directions: list[Direction] = ["forward", "backward"]
        for direction in directions:
            fake.entropies[direction][name] = {
                utt_id: _entropy(generator, units, dedup, direction)
                for utt_id, units in fake.units[name].items()
            }
            write_entropies(fake, name, direction)
    write_calibration(fake, next(iter(sets)), "forward")
    write_calibration(fake, next(iter(sets)), "backward")
    return fake


def write_entropies(fake: Fake, name: str, direction: Direction, lm: str | None = None) -> None:
    vectors = fake.entropies[direction][name]
    folder = fake.experiment.entropy(name)
    hashes = {
        "lm_sha256": lm or f"lm_{direction}",
        "units_sha256": read_stage(fake.experiment.units(name))["outputs"]["sha256"],
    }
    write_vectors(folder, entropy_name(direction), vectors, "c0de", **hashes)


def write_vectors(folder: Path, name: str, vectors: Vectors, codebook: str, **more: str) -> None:
    mark = "stage_backward" if name == "entropy_backward" else "stage"
    inputs = {"codebook_sha256": codebook} | more
    stage = Stage(folder, inputs, mark)
    stage.start()
    with ArkWriter(folder, name) as ark:
        for utt_id, vector in vectors.items():
            ark.write(utt_id, vector)
    stage.finish(ark.summary)


def write_calibration(fake: Fake, name: str, direction: Direction, **changes: Any) -> None:
    """What score-entropy says of one set."""
    vectors = fake.entropies[direction][name].values()
    compact = [vector[~np.isnan(vector)] for vector in vectors]
    if direction == "backward":
        compact = [vector[::-1] for vector in compact]
    entropy = np.concatenate([vector[1:] for vector in compact])
    rise = np.concatenate([np.diff(vector) for vector in compact])
    levels = np.linspace(0, 1, 4097)
    values = {
        "sets": [name],
        "utterances": len(compact),
        "units": sum(len(vector) for vector in vectors),
        "predictions": sum(len(vector) for vector in compact),
        "frame_shift": fake.experiment.units_info().frame_shift,
        "num_clusters": K,
        "lm_sha256": f"lm_{direction}",
        "codebook_sha256": "c0de",
        "mean": float(entropy.mean()),
        "std": float(entropy.std()),
        "entropy_quantiles": np.quantile(entropy, levels).tolist(),
        "rise_quantiles": np.quantile(rise, levels).tolist(),
    }
    write_json(fake.experiment.calibration(direction), values | changes)


def _units(generator: np.random.Generator, length: int) -> np.ndarray:
    """Runs of equal units, as in speech: about 2.2 frames each."""
    length = int(generator.integers(length // 2, length * 3 // 2))
    values = generator.integers(0, K, length)
    runs = np.cumsum(generator.random(length) < 0.45)
    return values[runs].astype(np.int32)


def _entropy(
    generator: np.random.Generator, units: np.ndarray, dedup: bool, direction: Direction
) -> np.ndarray:
    """Low inside runs and high where they end, with a long tail, below ln K.

    An LM over runs leaves its entropy at the first unit of a run, in both directions.
    """
    changes = np.append(True, units[1:] != units[:-1])
    if direction == "backward" and not dedup:
        changes = np.append(units[1:] != units[:-1], True)
    entropy = generator.beta(2, 4, len(units)) * 4 + generator.random(len(units)) * changes * 2
    if dedup:
        entropy[~changes] = np.nan
    return entropy.astype(np.float32)
