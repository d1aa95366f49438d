"""Predictors of mean opinion scores, 1 to 5, that need no reference.

DistillMOS and DNSMOS carry their weights in their packages; UTMOS needs a checkpoint.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np

from entcomp.errors import EntcompError, reason_of

SAMPLE_RATE = 16000


class MosPredictor(Protocol):
    """Predicts from (samples,) at 16 kHz. ``key`` names the column, ``name`` the model."""

    key: str
    name: str

    def predict(self, waveform: np.ndarray) -> float: ...


class DistillMos:
    """DistillMOS, distilled from an XLS-R predictor of overall quality."""

    key = "distillmos"
    name = "DistillMOS v7"

    def __init__(self) -> None:
        import contextlib
        import io

        import distillmos

        with contextlib.redirect_stdout(io.StringIO()):  # it prints where its weights lie
            self._model = distillmos.ConvTransformerSQAModel().eval()

    def predict(self, waveform: np.ndarray) -> float:
        import torch

        with torch.no_grad():
            return self._model(torch.from_numpy(waveform)[None].float()).item()


class DnsMos:
    """DNSMOS P.835: overall quality (OVRL) of speech from noise suppressors.

    It hears windows of 9.01 s. A shorter recording is repeated to fill one; the package would
    repeat it to two lengths and more, and take the mean of many windows of the same.
    """

    WINDOW = 144_160  # samples
    key = "dnsmos"
    name = "DNSMOS P.835 OVRL (speechmos)"

    def predict(self, waveform: np.ndarray) -> float:
        from speechmos import dnsmos

        heard = np.resize(waveform, max(len(waveform), self.WINDOW)).astype(np.float32)
        peak = max(1.0, float(np.abs(heard).max()))
        return float(dnsmos.run(heard / peak, SAMPLE_RATE)["ovrl_mos"])


class Utmos:
    """UTMOS as the TorchScript file ``utmos.jit``, which maps int16 (1, samples) to one score."""

    key = "utmos"

    def __init__(self, path: Path) -> None:
        import torch

        self.name = f"UTMOS {path.name}"
        try:
            self._model = torch.jit.load(path, map_location="cpu").eval()
        except (OSError, ValueError, RuntimeError) as error:
            reason = reason_of(error)
            raise EntcompError(f"{path}: not a TorchScript model of UTMOS ({reason})") from None

    def predict(self, waveform: np.ndarray) -> float:
        import torch

        pcm = (np.clip(waveform, -1, 1) * (2**15 - 1)).astype(np.int16)
        with torch.no_grad():
            return self._model(torch.from_numpy(pcm)[None]).item()


def mos_predictors(utmos: Path | None) -> list[MosPredictor]:
    """DistillMOS, DNSMOS, and UTMOS where there is a checkpoint of it."""
    always: list[MosPredictor] = [DistillMos(), DnsMos()]
    return always if utmos is None else [*always, Utmos(utmos)]
