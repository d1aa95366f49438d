"""How high a voice is, and how far it moves."""

from __future__ import annotations

import numpy as np

from entcomp.evaluation.voices.metric import SAMPLE_RATE, VoiceMetric
from entcomp.evaluation.voices.metrics import VOICE_METRICS

LOWEST, HIGHEST = 60.0, 500.0  # Hz
FRAME, HOP = 1024, 256  # samples: four periods of the lowest pitch, and 16 ms
MIN_VOICED = 10  # frames
EDGES = 10, 90  # percentiles, between which a voice moves; the rest are octave errors


@VOICE_METRICS.register("pitch")
class Pitch(VoiceMetric):
    """Median and range of F0 over voiced frames, by pYIN (Mauch and Dixon 2014)."""

    help = "median of F0 and its range, in semitones, by librosa's pYIN"
    model = "F0 by librosa's pYIN, 60 to 500 Hz; range: 10th to 90th percentile"
    labels = {  # noqa: RUF012
        "f0_median": "F0 median to reference (semitones)",
        "f0_range": "F0 range to reference (semitones)",
    }

    def describe(self, waveform: np.ndarray) -> np.ndarray | None:
        """Median in semitones over LOWEST, and range in semitones: (2,)."""
        import librosa

        if len(waveform) < FRAME:
            return None
        f0, voiced, _ = librosa.pyin(
            waveform.astype(np.float32),
            fmin=LOWEST,
            fmax=HIGHEST,
            sr=SAMPLE_RATE,
            frame_length=FRAME,
            hop_length=HOP,
        )
        if voiced.sum() < MIN_VOICED:
            return None
        semitones = 12 * np.log2(f0[voiced] / LOWEST)
        low, high = np.percentile(semitones, EDGES)
        return np.array([np.median(semitones), high - low])

    def distances(self, one: np.ndarray, other: np.ndarray) -> dict[str, float]:
        return dict(zip(self.labels, np.abs(one - other).tolist(), strict=True))
