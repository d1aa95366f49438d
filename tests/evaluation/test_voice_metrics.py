"""Judges of voices that no converter was conditioned on: pitch, spectrum, another listener."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.signal import lfilter

from entcomp.audio.read import read_wav
from entcomp.errors import EntcompError
from entcomp.evaluation.text.recognition import error_rates
from entcomp.evaluation.voices.evaluator import Evaluator, Profile
from entcomp.evaluation.voices.metrics import VOICE_METRICS, distance_labels, main_distances
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
    assert list(VOICE_METRICS) == ["pitch", "spectrum"]
    assert main_distances() == ["f0_median", "ltas"]
    assert set(distance_labels()) == {"f0_median", "f0_range", "ltas"}
    with pytest.raises(EntcompError, match="voice metric x: unknown; available: pitch, spectrum"):
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
