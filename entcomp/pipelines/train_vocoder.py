"""Train a HiFi-GAN vocoder on a data dir's recordings."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from entcomp.artifacts.experiment import Experiment
from entcomp.artifacts.stage import Stage, read_stage
from entcomp.audio.read import check_pipe, read_utterance
from entcomp.config import resolve_config
from entcomp.kaldi.datadir import DataDir, Utterance, audio_bytes
from entcomp.pipelines.streams import model_name
from entcomp.progress import track
from entcomp.skipped import SkippedUtterances
from entcomp.tasks.vc.vocoder_training import VocoderTrainingConfig, train_hifigan
from entcomp.training.loop import FitResult
from entcomp.training.ranks import check_share, first_rank_first, join_ranks
from entcomp.units.features import parallel


def train_vocoder(
    experiment: Experiment,
    sets: tuple[list[DataDir], list[DataDir]],
    config: Path | None = None,
    changes: Mapping[str, Any] | None = None,
    tag: str | None = None,
    skip_bad: bool = False,
    allow_pipes: bool = False,
) -> tuple[Path, FitResult]:
    """Train on the first ``sets``, evaluated on the others; returns the model's folder too.

    ``config`` is a YAML file, ``changes`` are values over it, by dotted keys. Writes EXP/vocoder.
    Raises EntcompError for bad audio, unless that is skipped, before the training begins.
    """
    changes = changes or {}
    resolved = resolve_config(VocoderTrainingConfig(), config, changes)
    check_share(resolved.batch_size, resolved.training)
    join_ranks(resolved.training)
    folder = experiment.task("vocoder", model_name(tag, changes, "hifigan"))
    skipped = SkippedUtterances(skip_bad)
    with first_rank_first():
        _check_audio([*sets[0], *sets[1]], folder, resolved.mel.sample_rate, skipped, allow_pipes)
    return folder, train_hifigan(folder, resolved, *sets, skipped.reasons, allow_pipes)


def _check_audio(
    sets: Sequence[DataDir],
    folder: Path,
    sample_rate: int,
    skipped: SkippedUtterances,
    allow_pipes: bool,
) -> None:
    """Read all recordings once: a training should not end where it first draws a bad one.

    These go to ``skipped``, also where an earlier call found them: ``audio.json`` names them.
    """
    inputs = {"data": {one.name: one.audio_sha256() for one in sets}}
    stage = Stage(folder, inputs, name="audio")
    size = sum(audio_bytes(one.utterances()) for one in sets)
    if not stage.is_complete() or read_stage(folder, "audio")["outputs"]["bytes"] != size:
        stage.start()
        bad = SkippedUtterances(skipped.skip_bad)
        for one in sets:
            _read_set(one, sample_rate, bad, allow_pipes)
        stage.finish({"bytes": size, "bad": bad.reasons})
    for utt_id, reason in read_stage(folder, "audio")["outputs"]["bad"].items():
        skipped.add(utt_id, reason)
    skipped.write(folder / "skipped.txt")


def _read_set(
    data_set: DataDir, sample_rate: int, bad: SkippedUtterances, allow_pipes: bool
) -> None:
    def read(one: Utterance) -> None:
        read_utterance(one, sample_rate, allow_pipes)

    for one in data_set.utterances():
        check_pipe(one.wav, allow_pipes)
    found = parallel(read, data_set.utterances(), os.cpu_count() or 1)
    total = sum(1 for _ in data_set.ids())
    for one, future in track(found, f"{data_set.name}: audio", total):
        with bad.guard(one.utt_id):
            future.result()
