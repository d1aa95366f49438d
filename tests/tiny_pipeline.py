"""A whole pipeline on made-up recordings: MFCC units, random LMs, calibration, a segmentation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
import soundfile
import torch
from babbling import RATE, babble
from tiny_lm import small_config, write_lm

from entcomp.artifacts.experiment import Direction, Experiment
from entcomp.artifacts.models import LmUnits
from entcomp.artifacts.shard import Shard
from entcomp.artifacts.units import Units
from entcomp.config import save_config
from entcomp.files import write_json
from entcomp.kaldi.datadir import find_sets
from entcomp.lm.calibrate import calibrate
from entcomp.lm.score import Scorer, score_set
from entcomp.segmentation.request import Request
from entcomp.segmentation.stage import segment_sets
from entcomp.training.weights import write_weights
from entcomp.units.dump import Dumper, read_codebook
from entcomp.units.extractors import load_extractor
from entcomp.units.learn import KmeansOptions, learn_kmeans

K = 20
TAG = "rate15_global"


def make_pipeline(
    folder: Path,
    lm_units: LmUnits = "dedup",
    waveforms: Mapping[str, np.ndarray] | None = None,
) -> Experiment:
    """EXP on the recordings of DATA/train, both in ``folder``; by default eight of `babble`."""
    data, experiment = folder / "data" / "train", Experiment(folder / "exp")
    data.mkdir(parents=True)
    waveforms = waveforms or {f"utt{one}": babble(2 + 0.3 * one, one) for one in range(8)}
    for utt_id, waveform in waveforms.items():
        soundfile.write(data / f"{utt_id}.wav", waveform, RATE)
    rows = (f"{utt_id} {data / f'{utt_id}.wav'}\n" for utt_id in sorted(waveforms))
    (data / "wav.scp").write_text("".join(rows))
    (train,) = find_sets(data)
    extractor = load_extractor("mfcc")
    learn_kmeans([train], experiment, extractor, KmeansOptions(K, 10_000, 0, False), num_jobs=1)
    Dumper(experiment, *read_codebook(experiment), extractor, num_jobs=1).dump(train, Shard())
    for direction in ("forward", "backward"):
        add_lm(experiment, lm_units, direction)
    list(segment_sets(experiment, ["train"], Request("global", target_rate=15.0)))
    return experiment


def add_lm(experiment: Experiment, lm_units: LmUnits, direction: Direction) -> None:
    """A random LM that reads 64 units at once, and the entropies of ``train``."""
    config = small_config(lm_units=lm_units, direction=direction)
    codebook = experiment.units_info().codebook_sha256
    info = write_lm(experiment.lm(direction), config, K, codebook, seed=len(direction))
    scorer = Scorer.open(experiment, direction, torch.device("cpu"))
    units = Units.open(experiment, "train")
    score_set(experiment, units, scorer, Shard(), skip_bad=False)
    calibrate(experiment, ["train"], info)


def add_recogniser(experiment: Experiment, task: str, segments: str = TAG) -> None:
    """A tiny model with random weights, as ``EXP/asr/tiny`` or ``EXP/st/tiny``."""
    from entcomp.tasks.text.config import TextTaskConfig
    from entcomp.tasks.text.info import TextInfo
    from entcomp.tasks.text.model import build_model
    from entcomp.tasks.text.vocabulary import Vocabulary

    config = TextTaskConfig.model_validate(
        {
            "vocabulary": {"kind": "char", "size": 30},
            "local": {"layers": 1},
            "dim": 32,
            "encoder": {"layers": 1, "feed_forward": 32},
            "decoder": {"layers": 1, "feed_forward": 32},
            "decoding": {"beam": 2, "max_tokens": 6},
        }
    )
    units = experiment.units_info()
    info = TextInfo(
        task=task,
        target="text",
        segments=segments,
        train_sets=["train"],
        dev_sets=["train"],
        num_clusters=units.num_clusters,
        frame_shift=units.frame_shift,
        codebook_sha256=units.codebook_sha256,
    )
    vocabulary = Vocabulary.train(["a few words", "and some more of them"], config.vocabulary)
    torch.manual_seed(0)
    folder = experiment.task(task, "tiny")
    model = build_model(config, info.num_clusters, len(vocabulary), info.frame_shift)
    write_weights(folder / "model.safetensors", model.state_dict())
    vocabulary.save(folder / "text.model")
    save_config(folder / "config.yaml", config)
    write_json(folder / "task.json", asdict(info))


def add_converter(experiment: Experiment, segmentation: str = TAG) -> None:
    """A tiny voice converter with random weights, ``EXP/vc/tiny``, that draws in two steps."""
    from entcomp.tasks.vc.config import VcConfig
    from entcomp.tasks.vc.durations import Durations
    from entcomp.tasks.vc.info import VcInfo
    from entcomp.tasks.vc.model import VoiceConverter

    config = VcConfig.model_validate(
        {
            "mel": {"hop_length": 128},  # units come every 10 ms, faster than by default
            "local": {"layers": 1},
            "dit": {"dim": 16, "depth": 1, "heads": 2},
            "sampler": {"steps": 2},
        }
    )
    units = experiment.units_info()
    info = VcInfo(segmentation, ["train"], ["train"], units.num_clusters, units.codebook_sha256)
    torch.manual_seed(0)
    folder = experiment.task("vc", "tiny")
    model = VoiceConverter(config, info.num_clusters)
    write_weights(folder / "model.safetensors", model.state_dict())
    train = Units.find(experiment, "train") or [("none", np.zeros(1, np.int32))]
    Durations.learn((vector for _, vector in train), info.num_clusters).write(folder)
    save_config(folder / "config.yaml", config)
    write_json(folder / "task.json", asdict(info))
