"""Voices as vectors, by Resemblyzer's encoder (GE2E, its weights are in its package)."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from entcomp.artifacts.shard import Shard
from entcomp.artifacts.stage import read_stage
from entcomp.audio.read import check_pipe, read_utterance
from entcomp.errors import EntcompError
from entcomp.files import locked
from entcomp.kaldi.ark import ArkWriter
from entcomp.kaldi.datadir import DataDir, audio_bytes
from entcomp.progress import track
from entcomp.skipped import SkippedUtterances

SAMPLE_RATE = 16000
EMBEDDING_SIZE = 256
MIN_VOICED = 0.5  # seconds of speech that tell a voice


class TooLittleSpeechError(EntcompError):
    """Silence, or a word at most."""


class SpeakerEncoder:
    """Embeds utterances; the cosine of two embeddings is their speakers' similarity."""

    name = "Resemblyzer 0.1.4"

    def __init__(self) -> None:
        with warnings.catch_warnings():  # of what it imports, which the user cannot mend
            warnings.simplefilter("ignore")
            import resemblyzer
        self._resemblyzer: Any = resemblyzer
        self._encoder = resemblyzer.VoiceEncoder("cpu", verbose=False)

    def embed(self, waveform: np.ndarray) -> np.ndarray:
        """Unit vector float32 (EMBEDDING_SIZE,) of (samples,) at 16 kHz.

        Raises TooLittleSpeechError for less than MIN_VOICED seconds of speech.
        """
        voiced = np.zeros(0) if not waveform.any() else self._resemblyzer.preprocess_wav(waveform)
        if len(voiced) < MIN_VOICED * SAMPLE_RATE:
            raise TooLittleSpeechError(
                f"{len(voiced) / SAMPLE_RATE:.2f} s of speech in {len(waveform) / SAMPLE_RATE:.2f} "
                f"s of audio; {MIN_VOICED} s at least are needed to tell a voice"
            )
        return self._encoder.embed_utterance(voiced).astype(np.float32)


def write_embeddings(
    data_set: DataDir, folder: Path, skipped: SkippedUtterances, allow_pipes: bool = False
) -> str | None:
    """Write ``speaker.{ark,scp}`` of a set; returns what to tell the user, None if it was complete.

    Utterances with too little speech are left out. Those of bad audio go to ``skipped``, also where
    an earlier call found them. Raises EntcompError for commands without ``allow_pipes``.
    """
    inputs = {"model": SpeakerEncoder.name, "recordings_sha256": data_set.audio_sha256()}
    stage = Shard().stage(folder, inputs, "speaker")
    size, made = audio_bytes(data_set.utterances()), None
    with locked(folder):  # trainings of several streams may all come to need the same voices
        if not stage.is_complete() or read_stage(folder)["outputs"].get("bytes", size) != size:
            stage.start()
            bad = SkippedUtterances(skipped.skip_bad)
            summary, silent = _write_voices(data_set, folder, bad, allow_pipes)
            stage.finish(summary | {"bytes": size, "bad": bad.reasons})
            made = f"{summary['utterances']} voices, {silent} utterances with too little speech"
    for utt_id, reason in read_stage(folder)["outputs"].get("bad", {}).items():
        skipped.add(utt_id, reason)
    return made


def _write_voices(
    data_set: DataDir, folder: Path, bad: SkippedUtterances, allow_pipes: bool
) -> tuple[dict[str, Any], int]:
    """What the archive holds, and the number of utterances with too little speech."""
    encoder = SpeakerEncoder()
    silent = 0
    total = sum(1 for _ in data_set.ids())
    with ArkWriter(folder, "speaker") as ark:
        for one in track(data_set.utterances(), f"{data_set.name}: voices", total):
            check_pipe(one.wav, allow_pipes)
            with bad.guard(one.utt_id):
                waveform = read_utterance(one, SAMPLE_RATE, allow_pipes)
                try:
                    ark.write(one.utt_id, encoder.embed(waveform))
                except TooLittleSpeechError:
                    silent += 1
    return ark.summary, silent


def similarity(one: np.ndarray, other: np.ndarray) -> float:
    """Cosine of two unit vectors."""
    return float(one @ other)
