"""HiFT: the vocoder that comes with CosyVoice-300M (``hift.pt``).

A neural source filter (Wang et al. 2019) in front of an inverse STFT (HiFTNet, Li et al. 2023,
arXiv 2309.09493): F0 is predicted from the mel, sines at its multiples with some noise are the
source, and convolutions turn mel and source into magnitudes and phases of short frames.
All sizes are read from the weights.

Shape suffixes: C channels, M mel frames, S samples, F frames of the short spectrum.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from entcomp.audio.mel import MelConfig
from entcomp.errors import EntcompError, reason_of
from entcomp.files import sha256_file
from entcomp.tasks.vc.vocoder import VocoderKind, fold_weight_norm
from entcomp.tasks.vc.vocoders import VOCODERS

if TYPE_CHECKING:
    from torch import Tensor

FILE = "hift.pt"
PARTS = {
    "conv_pre",
    "conv_post",
    "f0_predictor",
    "m_source",
    "resblocks",
    "source_downs",
    "source_resblocks",
    "ups",
}
KIND = "a HiFT generator of CosyVoice-300M"
SLOPE = 0.1  # of leaky ReLUs; the last one has torch's own
SINE_AMPLITUDE = 0.1
NOISE = 0.003  # standard deviation beside the sines
VOICED = 10.0  # Hz; what is lower has no pitch
LOUDEST = 0.99
LARGEST_MAGNITUDE = 100.0
SEED = 0  # of the source's noise and phases: the same mel gives the same samples
_PAIR = ("weight", "bias")


class Hift:
    """A trained HiFT, with the state dict of CosyVoice's HiFTGenerator.

    ``upsampling`` are the strides of its transposed convolutions, ``n_fft`` and ``hop`` the
    lengths of the short spectrum's frames and between them, in samples.
    """

    def __init__(self, name: str, sha256: str, weights: dict[str, Tensor], rate: int) -> None:
        """Raises KeyError for weights that are missing, ValueError for other parts or kernels."""
        self.name, self.sha256, self.sample_rate = name, sha256, rate
        self._weights = weights
        other = {name.partition(".")[0] for name in weights} - PARTS
        if other:
            raise ValueError(f"unknown parts: {', '.join(sorted(other))}")
        kernels = [len(weights[f"ups.{i}.weight"][0, 0]) for i in range(self._count("ups"))]
        self.upsampling = [kernel // 2 for kernel in kernels]
        self.n_fft = len(weights["conv_post.weight"]) - 2
        self.hop = self.n_fft // 4
        self.blocks = self._count("resblocks") // len(kernels)  # beside each other, at each rate
        self(weights["conv_pre.weight"].new_zeros(8, weights["conv_pre.weight"].shape[1]))

    @property
    def hop_length(self) -> int:
        """Samples of a mel frame."""
        return math.prod(self.upsampling) * self.hop

    def __call__(self, mel_MN: Tensor) -> Tensor:
        """Samples (frames * hop_length,) of a log mel (frames, n_mels)."""
        import torch

        with torch.no_grad():
            mel_CM = mel_MN.T
            source_S = self.source(self.f0(mel_CM))
            return self._filtered(mel_CM, self._spectrum(source_S))[: len(mel_MN) * self.hop_length]

    def f0(self, mel_CM: Tensor) -> Tensor:
        """Hz of each frame (M,), from a log mel (n_mels, M)."""
        import torch.nn.functional as F

        hidden_CM = mel_CM
        for i in range(0, 2 * self._count("f0_predictor.condnet"), 2):
            hidden_CM = F.elu(self._same(f"f0_predictor.condnet.{i}", hidden_CM))
        weight, bias = (self._weights[f"f0_predictor.classifier.{one}"] for one in _PAIR)
        return F.linear(hidden_CM.T, weight, bias)[:, 0].abs()

    def source(self, f0_M: Tensor) -> Tensor:
        """The excitation (S,): sines at multiples of F0, or noise where there is none."""
        import torch
        import torch.nn.functional as F

        weight, bias = (self._weights[f"m_source.l_linear.{one}"] for one in _PAIR)
        random = torch.Generator().manual_seed(SEED)
        f0_S = f0_M.repeat_interleave(self.hop_length)
        multiples_H1 = torch.arange(1, weight.shape[1] + 1)[:, None]
        # In double precision, as cycles add up over a long recording.
        cycles_HS = (f0_S.double() * multiples_H1 / self.sample_rate).cumsum(1) % 1
        phase_H1 = torch.rand(multiples_H1.shape, generator=random) * 2 * math.pi - math.pi
        phase_H1[0] = 0
        sines_HS = SINE_AMPLITUDE * torch.sin(2 * math.pi * cycles_HS.float() + phase_H1)
        voiced_S = (f0_S > VOICED).float()
        deviation_S = voiced_S * NOISE + (1 - voiced_S) * SINE_AMPLITUDE / 3
        noise_HS = deviation_S * torch.randn(sines_HS.shape, generator=random)
        return F.linear((sines_HS * voiced_S + noise_HS).T, weight, bias)[:, 0].tanh()

    def _spectrum(self, waveform_S: Tensor) -> Tensor:
        """Real parts above imaginary ones, (n_fft + 2, F)."""
        import torch

        window = torch.hann_window(self.n_fft)
        found = torch.stft(waveform_S, self.n_fft, self.hop, window=window, return_complex=True)
        return torch.cat([found.real, found.imag])

    def _filtered(self, mel_CM: Tensor, source_CF: Tensor) -> Tensor:
        import torch
        import torch.nn.functional as F

        x = self._same("conv_pre", mel_CM)
        for i, stride in enumerate(self.upsampling):
            weight, bias = (self._weights[f"ups.{i}.{one}"] for one in _PAIR)
            padding = (weight.shape[2] - stride) // 2
            x = F.conv_transpose1d(F.leaky_relu(x, SLOPE), weight, bias, stride, padding)
            if i == len(self.upsampling) - 1:
                x = F.pad(x, (1, 0), mode="reflect")  # the spectrum has a frame more
            x = x + self._block(f"source_resblocks.{i}", self._down(i, source_CF))
            beside = range(i * self.blocks, (i + 1) * self.blocks)
            x = torch.stack([self._block(f"resblocks.{j}", x) for j in beside]).mean(0)
        x = self._same("conv_post", F.leaky_relu(x))
        log_magnitude_CF, phase_CF = x.split(self.n_fft // 2 + 1)
        magnitude_CF = log_magnitude_CF.exp().clamp(max=LARGEST_MAGNITUDE)
        spectrum_CF = torch.polar(magnitude_CF, phase_CF.sin())
        window = torch.hann_window(self.n_fft)
        waveform_S = torch.istft(spectrum_CF, self.n_fft, self.hop, window=window)
        return waveform_S.clamp(-LOUDEST, LOUDEST)

    def _down(self, i: int, source_CF: Tensor) -> Tensor:
        """The source at the rate of stage ``i``."""
        import torch.nn.functional as F

        weight, bias = (self._weights[f"source_downs.{i}.{one}"] for one in _PAIR)
        stride = max(1, weight.shape[2] // 2)
        return F.conv1d(source_CF, weight, bias, stride, padding=stride // 2)

    def _block(self, name: str, x: Tensor) -> Tensor:
        """Residual convolutions of dilation 1, 3, 5 ..., each with one of dilation 1."""
        for i in range(self._count(f"{name}.convs1")):
            inner = self._snake(f"{name}.activations1.{i}", x)
            inner = self._same(f"{name}.convs1.{i}", inner, dilation=2 * i + 1)
            inner = self._snake(f"{name}.activations2.{i}", inner)
            x = x + self._same(f"{name}.convs2.{i}", inner)
        return x

    def _snake(self, name: str, x: Tensor) -> Tensor:
        """``x + sin^2(a x) / a`` (Ziyin et al. 2020), with an ``a`` for each channel."""
        alpha_C1 = self._weights[f"{name}.alpha"][:, None]
        return x + (alpha_C1 * x).sin().square() / (alpha_C1 + 1e-9)

    def _same(self, name: str, x: Tensor, dilation: int = 1) -> Tensor:
        """A convolution that keeps the length. Raises ValueError for a kernel of even length."""
        import torch.nn.functional as F

        weight, bias = (self._weights[f"{name}.{one}"] for one in _PAIR)
        if weight.shape[2] % 2 == 0:
            raise ValueError(f"{name}: a kernel of {weight.shape[2]}; a causal model?")
        padding = dilation * (weight.shape[2] // 2)
        return F.conv1d(x, weight, bias, padding=padding, dilation=dilation)

    def _count(self, name: str) -> int:
        """Modules in a list of modules."""
        depth = len(name.split("."))
        return len({one.split(".")[depth] for one in self._weights if one.startswith(f"{name}.")})


def load_hift(path: Path | None, mel: MelConfig) -> Hift:
    """The HiFT at ``path``, ``hift.pt`` or the folder that it is in.

    Raises EntcompError for another file, or if it makes other samples of a mel frame.
    """
    from entcomp.training.weights import MISFITS, read_checkpoint

    if path is None:
        raise EntcompError("--vocoder hift: give the path of a hift.pt instead")
    path = path / FILE if path.is_dir() else path
    stored = read_checkpoint(path, KIND)
    try:
        plain = {name.removeprefix("generator."): value.float() for name, value in stored.items()}
        sha256, weights = sha256_file(path), fold_weight_norm(plain)
        hift = Hift(f"HiFT {path.parent.name}/{path.name}", sha256, weights, mel.sample_rate)
    except (*MISFITS, AttributeError) as error:
        reason = reason_of(error)
        raise EntcompError(f"{path}: not {KIND} ({reason})") from None
    bands = weights["conv_pre.weight"].shape[1]
    if (hift.hop_length, bands) != (mel.hop_length, mel.n_mels):
        raise EntcompError(
            f"{path}: a vocoder of {bands} bands and {hift.hop_length} samples a frame for mels "
            f"of {mel.n_mels} and {mel.hop_length}; take one of the same settings"
        )
    return hift


VOCODERS.register("hift")(
    VocoderKind(
        help="CosyVoice-300M's, by the path of its hift.pt",
        load=load_hift,
        recognises=lambda path: path.name == FILE or (path / FILE).is_file(),
    )
)
