"""The colour of a voice: its long-term average spectrum."""

from __future__ import annotations

import numpy as np

from entcomp.evaluation.voices.metric import SAMPLE_RATE, VoiceMetric
from entcomp.evaluation.voices.metrics import VOICE_METRICS

FRAME = 512  # samples, 32 ms
MIN_FRAMES = 15  # half a second, in steps of half a frame: fewer tell what is said
QUIET = 30.0  # dB below the loudest frame: pauses do not count
EMPTY = 50.0  # dB below the loudest band: what is weaker is as good as nothing
# Third octaves from 100 Hz, below which rooms hum, to 6.3 kHz.
CENTRES = 1000 * 2.0 ** (np.arange(-10, 9) / 3)


@VOICE_METRICS.register("spectrum")
class Spectrum(VoiceMetric):
    """Distance of long-term average spectra in third octaves, whatever their level."""

    help = "distance of long-term average spectra in third octaves, in dB"
    model = "root mean square over third octaves of 100 Hz to 6.3 kHz, level apart, pauses apart"
    labels = {"ltas": "spectrum to reference (dB)"}  # noqa: RUF012

    def describe(self, waveform: np.ndarray) -> np.ndarray | None:
        """Level of each third octave in dB around their mean: (CENTRES,)."""
        if len(waveform) < FRAME:
            return None
        frames = np.lib.stride_tricks.sliding_window_view(waveform, FRAME)[:: FRAME // 2]
        power = np.square(np.abs(np.fft.rfft(frames * np.hanning(FRAME))))
        loudness = power.sum(axis=1)
        power = power[loudness > loudness.max() * 10 ** (-QUIET / 10)]
        if len(power) < MIN_FRAMES:
            return None
        frequencies = np.fft.rfftfreq(FRAME, 1 / SAMPLE_RATE)
        edges = np.append(CENTRES / 2 ** (1 / 6), CENTRES[-1] * 2 ** (1 / 6))
        # Bands narrower than a bin share it: the cumulated spectrum is read between its bins.
        cumulated = np.interp(edges, frequencies, np.cumsum(power.mean(axis=0)))
        bands = np.diff(cumulated)
        levels = 10 * np.log10(np.maximum(bands, bands.max() * 10 ** (-EMPTY / 10)))
        return levels - levels.mean()

    def distances(self, one: np.ndarray, other: np.ndarray) -> dict[str, float]:
        return {"ltas": float(np.sqrt(np.mean(np.square(one - other))))}
