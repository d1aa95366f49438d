"""dump-units: from recordings and a codebook to ``units.{ark,scp}`` of a set."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from entcomp.artifacts.experiment import Experiment, UnitsInfo
from entcomp.artifacts.shard import Shard
from entcomp.artifacts.stage import Stage, read_stage
from entcomp.errors import EntcompError
from entcomp.kaldi.ark import ArkWriter
from entcomp.kaldi.datadir import DataDir, Utterance, audio_bytes
from entcomp.progress import track
from entcomp.skipped import SkippedUtterances, skip_inputs
from entcomp.units.codebook import Codebook
from entcomp.units.extractor import Extractor
from entcomp.units.features import iter_features


@dataclass(frozen=True)
class Dumper:
    """All that sets have in common: the codebook of EXP and the extractor it was learnt with."""

    exp: Experiment
    info: UnitsInfo
    codebook: Codebook
    extractor: Extractor
    num_jobs: int
    skip_bad: bool = False
    allow_pipes: bool = False

    def dump(self, data_set: DataDir, shard: Shard) -> dict[str, Any] | None:
        """Write the units of a set or its shard; its counts, or None if it was complete.

        Raises EntcompError for a bad utterance unless they are skipped.
        """
        total = sum(1 for _ in data_set.ids())
        if total == 0:
            raise EntcompError(f"{data_set.path}: no utterances")
        stage = self._stage(data_set, shard)
        size = audio_bytes(shard.take(data_set.utterances(), total))
        if stage.is_complete() and read_stage(stage.folder, stage.name)["outputs"]["bytes"] == size:
            return None
        stage.start()
        skipped = SkippedUtterances(self.skip_bad)
        if shard.index == 1:
            _note_missing_audio(data_set, skipped)
        samples = runs = 0
        first, last = shard.bounds(total)
        found = self._units(shard.take(data_set.utterances(), total), skipped)
        # The cores are busy with the extractor: more threads here would only wait for each other.
        with ArkWriter(stage.folder, f"units{shard.suffix}") as ark, threadpool_limits(1, "blas"):
            for utt_id, length, units in track(found, f"{data_set.name}: units", last - first):
                ark.write(utt_id, units)
                samples += length
                runs += 1 + int(np.count_nonzero(np.diff(units)))
        skipped.write(stage.folder / f"skipped{shard.suffix}.txt")
        counts = {"samples": samples, "runs": runs, "skipped": len(skipped), "bytes": size}
        stage.finish(ark.summary | counts)
        return ark.summary | counts

    def _stage(self, data_set: DataDir, shard: Shard) -> Stage:
        inputs = {
            "codebook_sha256": self.info.codebook_sha256,
            "checkpoint_sha256": self.extractor.checkpoint_sha256,
            "recordings_sha256": data_set.audio_sha256(),
            **skip_inputs(self.skip_bad, self.allow_pipes),
        }
        return shard.stage(self.exp.units(data_set.name), inputs, "units")

    def _units(
        self, utterances: Iterator[Utterance], skipped: SkippedUtterances
    ) -> Iterator[tuple[str, int, np.ndarray]]:
        """``(utt_id, samples, units)``"""
        found = iter_features(utterances, self.extractor, skipped, self.num_jobs, self.allow_pipes)
        for features in found:
            yield features.utt_id, features.samples, self.codebook.assign(features.values)


def read_codebook(exp: Experiment) -> tuple[UnitsInfo, Codebook]:
    """The codebook of EXP and the facts about it.

    Raises EntcompError if there is none, or not the one that units.json names.
    """
    return exp.units_info(), Codebook.read(exp.checked_codebook())


def _note_missing_audio(data_set: DataDir, skipped: SkippedUtterances) -> None:
    for utt_id in data_set.ids_without_audio():
        skipped.add(utt_id, f"{data_set.path / 'text'}: no recording in wav.scp or segments")
