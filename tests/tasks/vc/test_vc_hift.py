"""HiFT, on a small checkpoint of CosyVoice's layout that torch's own modules made."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from entcomp.audio.mel import MelConfig
from entcomp.errors import EntcompError
from entcomp.tasks.vc.vocoders import load_vocoder
from entcomp.tasks.vc.vocoders.hift import Hift, load_hift

MEL = MelConfig()
BANDS, CHANNELS, N_FFT, HOP = 80, 16, 16, 4


class Snake(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.rand(channels) + 0.5)

    def forward(self, x: Tensor) -> Tensor:
        alpha = self.alpha.reshape(1, -1, 1)
        return x + torch.sin(x * alpha) ** 2 / (alpha + 1e-9)


class Block(nn.Module):
    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.convs1, self.convs2 = nn.ModuleList(), nn.ModuleList()
        for dilation in (1, 3, 5):
            padding = dilation * (kernel - 1) // 2
            conv = nn.Conv1d(channels, channels, kernel, padding=padding, dilation=dilation)
            self.convs1.append(parametrizations.weight_norm(conv))
            conv = nn.Conv1d(channels, channels, kernel, padding=(kernel - 1) // 2)
            self.convs2.append(parametrizations.weight_norm(conv))
        self.activations1 = nn.ModuleList(Snake(channels) for _ in range(3))
        self.activations2 = nn.ModuleList(Snake(channels) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        layers = zip(self.activations1, self.convs1, self.activations2, self.convs2, strict=True)
        for one in layers:
            x = x + nn.Sequential(*one)(x)
        return x


class Layout(nn.Module):
    """Modules by CosyVoice's names; strides of 8 and 8, in front of frames of 16 each 4 samples."""

    def __init__(self) -> None:
        super().__init__()
        normed, half, quarter = parametrizations.weight_norm, CHANNELS // 2, CHANNELS // 4
        self.conv_pre = normed(nn.Conv1d(BANDS, CHANNELS, 7, padding=3))
        self.ups = nn.ModuleList(
            normed(nn.ConvTranspose1d(wide, wide // 2, 16, 8, padding=4))
            for wide in (CHANNELS, half)
        )
        self.source_downs = nn.ModuleList(
            [nn.Conv1d(N_FFT + 2, half, 16, 8, padding=4), nn.Conv1d(N_FFT + 2, quarter, 1)]
        )
        self.source_resblocks = nn.ModuleList([Block(half, 7), Block(quarter, 11)])
        kernels = [(wide, kernel) for wide in (half, quarter) for kernel in (3, 7, 11)]
        self.resblocks = nn.ModuleList(Block(*one) for one in kernels)
        self.conv_post = normed(nn.Conv1d(quarter, N_FFT + 2, 7, padding=3))
        self.m_source = nn.ModuleDict({"l_linear": nn.Linear(9, 1)})
        condnet: list[nn.Module] = []
        for wide in (BANDS, 8, 8, 8, 8):
            condnet += [normed(nn.Conv1d(wide, 8, 3, padding=1)), nn.ELU()]
        self.f0_predictor = nn.ModuleDict(
            {"condnet": nn.Sequential(*condnet), "classifier": nn.Linear(8, 1)}
        )

    def forward(self, mel: Tensor, source: Tensor) -> Tensor:
        """A mel (1, n_mels, frames) and its source (samples,) to a waveform (samples,)."""
        window = torch.hann_window(N_FFT)
        spectrum = torch.stft(source, N_FFT, HOP, window=window, return_complex=True)
        excitation = torch.cat([spectrum.real, spectrum.imag])[None]
        x = self.conv_pre(mel)
        for i in range(2):
            x = self.ups[i](nn.functional.leaky_relu(x, 0.1))
            x = nn.ReflectionPad1d((1, 0))(x) if i == 1 else x
            x = x + self.source_resblocks[i](self.source_downs[i](excitation))
            x = sum(self.resblocks[3 * i + j](x) for j in range(3)) / 3
        x = self.conv_post(nn.functional.leaky_relu(x))[0]
        magnitude, phase = x[:9].exp().clamp(max=100), x[9:].sin()
        complex_ = torch.complex(magnitude * phase.cos(), magnitude * phase.sin())
        return torch.istft(complex_, N_FFT, HOP, window=window).clamp(-0.99, 0.99)


@pytest.fixture(scope="module")
def layout() -> Layout:
    torch.manual_seed(0)
    model = Layout().eval()
    nn.init.constant_(model.f0_predictor["classifier"].bias, 120)
    nn.init.constant_(model.conv_post.bias, -2.0)
    return model


@pytest.fixture
def checkpoint(tmp_path: Path, layout: Layout) -> Path:
    """As training saves it; CosyVoice's users know the file without the prefix, too."""
    weights = {f"generator.{name}": value for name, value in layout.state_dict().items()}
    torch.save(weights, tmp_path / "hift.pt")
    return tmp_path / "hift.pt"


def a_mel(frames: int = 20) -> Tensor:
    return torch.randn(frames, BANDS, generator=torch.Generator().manual_seed(0)) - 5


def test_it_is_known_by_its_name_and_by_its_folder(checkpoint: Path) -> None:
    for path in (checkpoint, checkpoint.parent):
        vocoder = load_vocoder(path, MEL)
        assert vocoder.name == f"HiFT {checkpoint.parent.name}/hift.pt"
    waveform = vocoder(a_mel())
    assert waveform.shape == (20 * 256,) and waveform.isfinite().all()
    assert 0 < waveform.abs().max() <= 0.99
    assert torch.equal(vocoder(a_mel()), waveform)  # its noise has a seed


def test_it_computes_what_torchs_modules_do(checkpoint: Path, layout: Layout) -> None:
    hift = load_hift(checkpoint, MEL)
    mel = a_mel()
    with torch.no_grad():
        f0 = layout.f0_predictor["classifier"](layout.f0_predictor["condnet"](mel.T[None])[0].T)
        torch.testing.assert_close(hift.f0(mel.T), f0[:, 0].abs())
        expected = layout(mel.T[None], hift.source(f0[:, 0].abs()))
    torch.testing.assert_close(hift(mel), expected, atol=1e-5, rtol=1e-4)


def test_plain_weights_and_those_of_torchs_older_weight_norm_load_too(
    checkpoint: Path, layout: Layout
) -> None:
    expected = load_hift(checkpoint, MEL)(a_mel())
    older = {"parametrizations.weight.original0": "weight_g"}
    older["parametrizations.weight.original1"] = "weight_v"
    weights = {}
    for name, value in layout.state_dict().items():
        for new, old in older.items():
            name = name.replace(new, old)
        weights[name] = value
    torch.save(weights, checkpoint)
    torch.testing.assert_close(load_hift(checkpoint, MEL)(a_mel()), expected)
    plain = {}
    for name, value in weights.items():
        if name.endswith("weight_v"):
            stem = name.removesuffix("_v")
            size = value.flatten(1).norm(dim=1).reshape(-1, 1, 1)
            plain[stem] = value * weights[f"{stem}_g"] / size
        elif not name.endswith("weight_g"):
            plain[name] = value
    torch.save(plain, checkpoint)
    torch.testing.assert_close(load_hift(checkpoint, MEL)(a_mel()), expected)


def first_harmonic(checkpoint: Path) -> Hift:
    hift = load_hift(checkpoint, MEL)
    hift._weights["m_source.l_linear.weight"] = torch.eye(9)[:1]
    hift._weights["m_source.l_linear.bias"] = torch.zeros(1)
    return hift


def test_the_source_sounds_at_the_pitch(checkpoint: Path) -> None:
    source = first_harmonic(checkpoint).source(torch.full((86,), 220.0)).numpy()
    spectrum = np.abs(np.fft.rfft(source))
    assert np.argmax(spectrum) * 22050 / len(source) == pytest.approx(220, abs=1)
    assert source.std() == pytest.approx(0.1 / np.sqrt(2), rel=0.05)


def test_the_source_is_noise_where_there_is_no_pitch(checkpoint: Path) -> None:
    source = first_harmonic(checkpoint).source(torch.full((400,), 5.0)).numpy()
    assert source.std() == pytest.approx(0.1 / 3, rel=0.05)
    power = np.abs(np.fft.rfft(source)) ** 2
    low, high = power[: len(power) // 2].sum(), power[len(power) // 2 :].sum()
    assert low == pytest.approx(high, rel=0.1)


def test_what_is_no_hift(checkpoint: Path, layout: Layout) -> None:
    with pytest.raises(EntcompError, match="80 bands and 256 samples a frame for mels"):
        load_vocoder(checkpoint, MelConfig(hop_length=128))
    weights = dict(layout.state_dict())
    del weights["conv_pre.bias"]
    torch.save(weights, checkpoint)
    with pytest.raises(EntcompError, match=r"not a HiFT generator .*conv_pre\.bias"):
        load_vocoder(checkpoint, MEL)
    torch.save(layout.state_dict() | {"lm.weight": torch.zeros(1)}, checkpoint)
    with pytest.raises(EntcompError, match="unknown parts: lm"):
        load_vocoder(checkpoint, MEL)
    causal = {"f0_predictor.condnet.0.weight": torch.zeros(8, BANDS, 4)}
    rest = {name: value for name, value in layout.state_dict().items() if "condnet.0.p" not in name}
    torch.save(rest | causal, checkpoint)
    with pytest.raises(EntcompError, match="a kernel of 4; a causal model"):
        load_vocoder(checkpoint, MEL)
    checkpoint.write_bytes(b"no weights")
    with pytest.raises(EntcompError, match="not a HiFT generator"):
        load_vocoder(checkpoint, MEL)
    with pytest.raises(EntcompError, match=r"give the path of a hift\.pt"):
        load_vocoder("hift", MEL)
