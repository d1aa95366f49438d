"""Transcripts by pocketsphinx, with the English model and dictionary that its package ships."""

from __future__ import annotations

import numpy as np

from entcomp.errors import naming_missing_packages


class PocketsphinxAsr:
    """A recogniser of another kind than any whose units are spoken: GMMs and an n-gram model.

    It mishears far more than Moonshine does, in recordings too: read it beside the source's row.
    """

    key = "pocketsphinx"
    name = "pocketsphinx, US English"

    def __init__(self) -> None:
        with naming_missing_packages("--asr pocketsphinx"):
            from pocketsphinx import Decoder
        self._decoder = Decoder(loglevel="FATAL")

    def transcribe(self, waveform: np.ndarray) -> str:
        """The words in (samples,) at 16 kHz, in lower case."""
        pcm = (np.clip(waveform, -1, 1) * 32767).astype(np.int16).tobytes()
        self._decoder.reinit_feat()  # else the mean of the utterances before would colour this one
        self._decoder.start_utt()
        self._decoder.process_raw(pcm, full_utt=True)
        self._decoder.end_utt()
        found = self._decoder.hyp()
        return "" if found is None else found.hypstr
