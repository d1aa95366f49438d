"""Utterances for voice conversion: audio, speaker, stream of units, and the voice's embedding."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from entcomp.encoder.streams import read_streams
from entcomp.errors import EntcompError
from entcomp.experiment import Experiment
from entcomp.kaldi.ark import iter_vectors
from entcomp.kaldi.datadir import DataDir, Utterance
from entcomp.kaldi.table import read_table


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
    audio = {one.utt_id: one for one in data_set.utterances()}
    speakers = read_table(data_set.path / "utt2spk")
    voices = dict(iter_vectors(embeddings))
    none = np.zeros(0, np.float32)
    for utt_id, units, groups in read_streams(experiment, data_set.name, segments):
        for there, name in ((audio, "wav.scp"), (speakers, "utt2spk")):
            if utt_id not in there:
                raise EntcompError(f"{data_set.path / name}: {utt_id} has units, but is not here")
        yield VcUtterance(audio[utt_id], speakers[utt_id], units, groups, voices.get(utt_id, none))
