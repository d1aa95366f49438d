"""Mel spectrograms against librosa, and where their frames lie."""

from __future__ import annotations

import librosa
import numpy as np
import pytest
import torch

from entcomp.audio.mel import MelConfig, check_same_mel, log_mel, mel_filters
from entcomp.config import make_config
from entcomp.errors import EntcompError

CONFIG = MelConfig()


def waveform(samples: int = 22050) -> np.ndarray:
    rng = np.random.default_rng(0)
    return (rng.standard_normal(samples) * np.hanning(samples) * 0.3).astype(np.float32)


def test_filters_are_librosas() -> None:
    expected = librosa.filters.mel(sr=22050, n_fft=1024, n_mels=80, fmin=0, fmax=8000)
    np.testing.assert_allclose(mel_filters(CONFIG).numpy(), expected, atol=1e-7)


def test_log_mel_is_librosas_of_the_mirrored_waveform() -> None:
    given = waveform(256 * 80)
    edge = (1024 - 256) // 2
    spectrum = librosa.stft(
        np.pad(given, edge, mode="reflect"), n_fft=1024, hop_length=256, center=False
    )
    filters = librosa.filters.mel(sr=22050, n_fft=1024, n_mels=80, fmin=0, fmax=8000)
    expected = np.log(np.maximum(filters @ np.abs(spectrum), 1e-5)).T
    np.testing.assert_allclose(log_mel(torch.from_numpy(given), CONFIG), expected, atol=1e-3)


@pytest.mark.parametrize(
    "sizes", [{"n_fft": 512}, {"hop_length": 2048}, {"f_max": 16000.0}, {"f_min": 8000.0}]
)
def test_sizes_that_do_not_fit_were_tracebacks(sizes: dict[str, float]) -> None:
    with pytest.raises(EntcompError, match=r"^options: key '': (win_length|f_max) .* at most"):
        make_config(MelConfig, sizes, "options")


@pytest.mark.parametrize("samples", [1000, 256 * 10, 256 * 10 + 1, 22050])
def test_frames_cover_the_waveform(samples: int) -> None:
    frames = log_mel(torch.from_numpy(waveform(samples)), CONFIG)
    assert len(frames) == CONFIG.num_frames(samples) == -(-samples // 256)


def test_a_frame_is_centred_on_its_own_samples() -> None:
    click = torch.zeros(256 * 20)
    click[256 * 7 + 128] = 1.0
    energy = log_mel(click, CONFIG).sum(dim=1)
    assert energy.argmax() == 7
    torch.testing.assert_close(energy[6], energy[8], rtol=0.01, atol=0)


def test_batches_and_single_waveforms_agree() -> None:
    given = torch.from_numpy(np.stack([waveform(), waveform()[::-1].copy()]))
    batch = log_mel(given, CONFIG)
    torch.testing.assert_close(batch[1], log_mel(given[1], CONFIG))


def test_too_few_samples_are_an_error() -> None:
    with pytest.raises(EntcompError, match="too few"):
        log_mel(torch.zeros(200), CONFIG)


def test_other_mel_settings_are_named() -> None:
    theirs = MelConfig(f_min=80.0, f_max=7600.0)
    with pytest.raises(EntcompError, match=r"voc\.pkl.*f_min 80\.0 \(here 0\.0\), f_max 7600"):
        check_same_mel(CONFIG, theirs, "voc.pkl")
    check_same_mel(CONFIG, MelConfig(floor=1e-10), "voc.pkl")
