"""Small models and made-up recordings for the tests of voice conversion."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from entcomp.artifacts.experiment import UnitsInfo
from entcomp.encoder.local import LocalEncoderConfig
from entcomp.kaldi.datadir import Utterance
from entcomp.tasks.vc.config import BatchConfig, VcConfig
from entcomp.tasks.vc.corpus import VcUtterance
from entcomp.tasks.vc.dit import DitConfig
from entcomp.tasks.vc.mean_mel import MeanMelConfig
from entcomp.training.config import TrainingConfig

CLUSTERS = 12
UNITS = UnitsInfo("imported", 0, CLUSTERS, 16000, 320, 0, "c0de")


def toy_config(**changes: object) -> VcConfig:
    values = {
        "local": LocalEncoderConfig(layers=1),
        "merge_runs": False,
        "layout": "zero_insert",
        "dit": DitConfig(dim=32, depth=2, heads=2, dropout=0.0),
        "mean_mel": MeanMelConfig(),
        "batch": BatchConfig(size=4, max_target=1.5, max_prompt=0.5),
        "training": TrainingConfig(max_steps=4, val_interval=2, log_interval=1, warmup_steps=1),
        "ema_decay": 0.9,
    }
    return VcConfig(**(values | changes))


def tone(seconds: float, pitch: float, seed: int = 0) -> np.ndarray:
    """A buzz whose loudness goes up and down as syllables do, at 16 kHz."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * 16000)) / 16000
    buzz = sum(np.sin(2 * np.pi * pitch * k * time) / k for k in range(1, 20))
    syllables = 0.55 - 0.45 * np.cos(2 * np.pi * 4 * time)
    return (0.1 * buzz * syllables + 0.001 * rng.standard_normal(len(time))).astype(np.float32)


def write_toy_corpus(folder: Path, speakers: int = 2, each: int = 3) -> list[VcUtterance]:
    """Recordings of ``speakers`` pitches, with units that follow the syllables."""
    utterances = []
    for speaker in range(speakers):
        for number in range(each):
            utt_id = f"s{speaker}_{number}"
            waveform = tone(1.2 + 0.1 * number, 100 + 60 * speaker, seed=number)
            folder.mkdir(parents=True, exist_ok=True)
            soundfile.write(folder / f"{utt_id}.wav", waveform, 16000)
            utterances.append(toy_utterance(folder / f"{utt_id}.wav", utt_id, speaker, waveform))
    return utterances


def toy_utterance(path: Path, utt_id: str, speaker: int, waveform: np.ndarray) -> VcUtterance:
    frames = len(waveform) // 320
    units = (np.arange(frames) // 3 % CLUSTERS).astype(np.int32)
    groups = np.full(frames // 5 + 1, 5, np.int32)
    groups[-1] = frames % 5
    embedding = np.zeros(256, np.float32)
    embedding[speaker] = 1.0
    return VcUtterance(
        Utterance(utt_id, str(path)), f"s{speaker}", units, groups[groups > 0], embedding
    )
