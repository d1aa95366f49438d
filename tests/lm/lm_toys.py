"""Small LMs and experiments that the tests of the LM share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from tiny_lm import SMALL as SIZES

from entcomp.artifacts.experiment import Experiment, UnitsInfo
from entcomp.artifacts.models import LMInfo
from entcomp.kaldi.ark import ArkWriter
from entcomp.lm.config import LMConfig
from entcomp.lm.model import UnitLM
from entcomp.lm.score import Scorer

K = 20
TRAINING = {"max_steps": 40, "val_interval": 10, "warmup_steps": 5, "learning_rate": 0.01}
SMALL = SIZES | {"rows_per_batch": 2, "dropout": 0.2}


def small_config(**values: object) -> LMConfig:
    return LMConfig.model_validate(SMALL | values)


def scorer_of(model: UnitLM, config: LMConfig, batch_tokens: int = 256) -> Scorer:
    info = LMInfo("lm", "codebook", config.direction, config.lm_units, K, {})
    return Scorer(model, config, info, torch.device("cpu"), batch_tokens)


def utterances(lengths: list[int], seed: int = 0) -> list[tuple[str, np.ndarray]]:
    random = np.random.default_rng(seed)
    return [
        (f"utt{index:04d}", random.integers(0, K, length).astype(np.int32))
        for index, length in enumerate(lengths)
    ]


def cyclic_units(length: int, random: np.random.Generator) -> np.ndarray:
    """Units that mostly follow a cycle, each for a few frames, as real ones do."""
    runs = random.integers(1, 4, length)
    steps = np.where(random.random(length) < 0.1, random.integers(0, K, length), 1)
    return np.repeat(np.cumsum(steps) % K, runs)[:length].astype(np.int32)


def make_experiment(root: Path, sets: dict[str, int], seed: int = 0) -> tuple[Path, Experiment]:
    """DATA and EXP with units of random sets, so many utterances each."""
    random = np.random.default_rng(seed)
    experiment = Experiment(root / "exp")
    UnitsInfo("mfcc", 0, K, 16000, 320, 160, "codebook").write(experiment.units_json)
    for name, count in sets.items():
        (root / "data" / name).mkdir(parents=True)
        ids = [f"{name}-{index:03d}" for index in range(count)]
        (root / "data" / name / "text").write_text("".join(f"{utt_id} a\n" for utt_id in ids))
        with ArkWriter(experiment.units(name), "units") as ark:
            for utt_id in ids:
                ark.write(utt_id, cyclic_units(int(random.integers(5, 120)), random))
    return root / "data", experiment
