"""MFCC with first and second differences: the features of HuBERT's first iteration."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from entcomp.errors import EntcompError
from entcomp.units.extractor import FrameGrid
from entcomp.units.extractors import EXTRACTORS


@EXTRACTORS.register("mfcc")
class Mfcc:
    """13 coefficients as Kaldi's, without dither, and their differences: 39 values each 10 ms."""

    help = "13 coefficients with differences, each 10 ms"
    default_layer = ""  # has none
    name = "mfcc"
    layer = 0
    dim = 39
    sample_rate = 16000
    grid = FrameGrid(shift=160, field=400)
    checkpoint_sha256 = ""

    def __init__(self, layer: str | None, checkpoint: Path | None, device: str) -> None:
        if layer not in (None, "0") or checkpoint is not None:
            raise EntcompError("--extractor mfcc: has no layers and no checkpoint")
        import torch

        torch.set_num_threads(1)  # utterances go in parallel instead

    def __call__(self, waveform: np.ndarray) -> np.ndarray:
        import torch
        from torchaudio.compliance.kaldi import mfcc
        from torchaudio.functional import compute_deltas

        cepstra = mfcc(
            torch.from_numpy(waveform)[None], sample_frequency=self.sample_rate, use_energy=False
        )
        deltas = compute_deltas(cepstra.T)
        return torch.cat((cepstra.T, deltas, compute_deltas(deltas))).T.contiguous().numpy()
