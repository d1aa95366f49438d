"""Utterances for voice conversion: audio, speaker, stream of units, and the voice's embedding."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from entcomp.artifacts.experiment import Experiment
from entcomp.artifacts.streams import read_streams
from entcomp.errors import EntcompError
from entcomp.kaldi.ark import iter_vectors
from entcomp.kaldi.datadir import DataDir, Utterance
from entcomp.kaldi.table import iter_table, join


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
    experiment: Experiment, data_set: DataDir, segments: str, embeddings: Path
) -> Iterator[VcUtterance]:
    """The utterances of a set that have units and groups; ``embeddings`` is a speaker.scp.

    Raises EntcompError for units without audio or without a speaker in ``utt2spk``.
    """
    rows = join(
        read_streams(experiment, data_set.name, segments),
        ((one.utt_id, one) for one in data_set.utterances()),
        iter_table(data_set.path / "utt2spk"),
        iter_vectors(embeddings),
    )
    for (utt_id, units, groups), audio, speaker, voice in rows:
        for found, name in ((audio, "wav.scp"), (speaker, "utt2spk")):
            if found is None:
                raise EntcompError(f"{data_set.path / name}: {utt_id} has units, but is not here")
        embedding = np.zeros(0, np.float32) if voice is None else voice[1]
        yield VcUtterance(audio[1], speaker[1], units, groups, embedding)
