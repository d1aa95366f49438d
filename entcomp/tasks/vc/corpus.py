"""Utterances for voice conversion: audio, speaker, stream of units, and the voice's embedding."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from entcomp.artifacts.experiment import Experiment
from entcomp.artifacts.streams import read_streams, stream_groups, stream_scps
from entcomp.audio.read import check_pipe
from entcomp.errors import EntcompError
from entcomp.kaldi.ark import iter_vectors
from entcomp.kaldi.datadir import DataDir, Utterance
from entcomp.kaldi.table import iter_table, join
from entcomp.training.utterances import iter_offsets

# For an utterance that has units, and stands in no table of the data dir.
REMEDY = "add it, or give the data dir that dump-units read"


@dataclass(frozen=True)
class VcUtterance:
    """What is known of an utterance before its audio is read.

    ``units`` int32 (frames,), ``groups`` int32 lengths that sum to frames, ``embedding`` float32
    (SPEAKER_SIZE,) of its voice, or of no length if it has too little speech to tell.
    """

    audio: Utterance
    speaker: str
    units: np.ndarray
    groups: np.ndarray
    embedding: np.ndarray

    @property
    def has_voice(self) -> bool:
        return len(self.embedding) > 0


def read_corpus(
    experiment: Experiment,
    data_set: DataDir,
    segmentation: str,
    embeddings: Path,
    allow_pipes: bool = False,
) -> Iterator[VcUtterance]:
    """The utterances of a set that have units and groups; ``embeddings`` is a speaker.scp.

    Raises EntcompError for units without audio or without a speaker in ``utt2spk``, and for audio
    that is a command without ``allow_pipes``.
    """
    rows = join(
        read_streams(experiment, data_set.name, segmentation),
        ((one.utt_id, one) for one in data_set.utterances()),
        iter_table(data_set.path / "utt2spk"),
        iter_vectors(embeddings),
    )
    for (utt_id, units, groups), audio, speaker, voice in rows:
        for found, name in ((audio, "wav.scp"), (speaker, "utt2spk")):
            if found is None:
                raise EntcompError(
                    f"{data_set.path / name}: {utt_id} has units, but is not here; {REMEDY}"
                )
        check_pipe(audio[1].wav, allow_pipes)
        embedding = np.zeros(0, np.float32) if voice is None else voice[1]
        yield VcUtterance(audio[1], speaker[1], units, groups, embedding)


def read_rows(
    experiment: Experiment,
    data_set: DataDir,
    segmentation: str,
    embeddings: Path,
    allow_pipes: bool = False,
) -> Iterator[list[Any]]:
    """`read_corpus`, with the places of vectors instead of these."""
    found = read_corpus(experiment, data_set, segmentation, embeddings, allow_pipes)
    rows = ((one.audio.utt_id, one.speaker, astuple(one.audio)) for one in found)
    scps = [embeddings, *stream_scps(experiment, data_set.name, segmentation)]
    for row, *places in join(rows, *map(iter_offsets, scps)):
        yield [*row, *(place and place[1] for place in places)]


@dataclass(frozen=True)
class RowDecoder:
    """Makes an utterance of a row of `read_rows`, once its vectors are read."""

    segmentation: str

    def __call__(
        self,
        utt_id: str,
        speaker: str,
        audio: list[Any],
        embedding: np.ndarray | None,
        units: np.ndarray,
        *groups: np.ndarray,
    ) -> VcUtterance:
        return VcUtterance(
            Utterance(*audio),
            speaker,
            units,
            stream_groups(self.segmentation, units, *groups),
            np.zeros(0, np.float32) if embedding is None else embedding,
        )
