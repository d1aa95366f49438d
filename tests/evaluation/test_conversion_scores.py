"""Scores of converted speech: transcripts, voices, opinions, and the table of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from entcomp.audio.read import read_wav
from entcomp.errors import EntcompError
from entcomp.evaluation.text.recognition import error_rates
from entcomp.evaluation.voices.evaluator import Evaluator, mean_interval
from entcomp.evaluation.voices.moonshine_asr import (
    END,
    START,
    MoonshineAsr,
    decode,
    read_vocabulary,
)
from entcomp.evaluation.voices.mos import DistillMos, DnsMos, Utmos
from entcomp.evaluation.voices.speaker import SpeakerEncoder, TooLittleSpeechError, similarity
from entcomp.kaldi.table import read_table

VOCABULARY = ["<unk>", "<s>", "</s>", "<0xC3>", "<0xA9>", "▁caf", "▁a", "b"]


@pytest.fixture(scope="module")
def voices() -> SpeakerEncoder:
    return SpeakerEncoder()


@pytest.fixture(scope="module")
def speechocean(shared_data: Path) -> Path:
    return shared_data / "speechocean762" / "train"


@pytest.fixture(scope="module")
def moonshine(repository: Path) -> MoonshineAsr:
    folder = repository / "tools" / "downloads" / "moonshine"
    if not (folder / "decoder_model_merged.onnx").exists():
        pytest.skip("tools/install_moonshine.sh was not run")
    return MoonshineAsr(folder)


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        ([START, 5, 3, 4, END], "café"),
        ([START, 6, 7, 6, END], "ab a"),
        ([START, 6, 30000, END], "a"),
        ([START, 3], "�"),
        ([START, END], ""),
    ],
)
def test_tokens_become_text(tokens: list[int], text: str) -> None:
    assert decode(tokens, VOCABULARY) == text


def test_another_vocabulary_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "vocabulary.txt"
    path.write_text("a\nb\nc\n")
    with pytest.raises(EntcompError, match="not Moonshine's vocabulary"):
        read_vocabulary(path)
    with pytest.raises(EntcompError, match="run tools/install_moonshine"):
        MoonshineAsr(tmp_path)


def test_moonshine_knows_what_was_read(moonshine: MoonshineAsr, speechocean: Path) -> None:
    texts = read_table(speechocean / "text")
    chosen = list(texts)[::250]
    heard = [
        moonshine.transcribe(read_wav(speechocean / "opus" / f"{utt_id}.opus", 16000))
        for utt_id in chosen
    ]
    assert all(heard)
    rate = error_rates([texts[utt_id] for utt_id in chosen], heard, "basic")["wer"]["percent"]
    assert rate < 45  # non-native speakers, some of them children; chance is above 100


def test_the_cache_of_the_decoder_changes_nothing(moonshine: MoonshineAsr) -> None:
    """Logits of a token are those of the whole prefix read at once, but for quantisation.

    The quantised products take their scale from all tokens that go in together.
    """
    rng = np.random.default_rng(0)
    heard = moonshine.encoder.run(
        None, {"input_values": rng.standard_normal((1, 16000)).astype(np.float32) * 0.1}
    )[0]
    _, cache = moonshine._step(START, heard, moonshine._empty_cache(), first=True)
    stepwise, _ = moonshine._step(1000, heard, cache, first=False)
    inputs = {
        "input_ids": np.array([[START, 1000]]),
        "encoder_hidden_states": heard,
        "use_cache_branch": np.array([False]),
    }
    at_once = moonshine.decoder.run(["logits"], inputs | moonshine._empty_cache())[0]
    assert np.corrcoef(stepwise[0, -1], at_once[0, -1])[0, 1] > 0.99
    assert np.corrcoef(stepwise[0, -1], at_once[0, 0])[0, 1] < 0.9


def test_voices_are_nearer_to_themselves(voices: SpeakerEncoder, speechocean: Path) -> None:
    speakers = read_table(speechocean / "utt2spk")
    names = sorted(set(speakers.values()))[:4]
    embeddings = {
        name: [
            voices.embed(read_wav(speechocean / "opus" / f"{utt_id}.opus", 16000))
            for utt_id in [one for one, speaker in speakers.items() if speaker == name][5:7]
        ]
        for name in names
    }
    own = [similarity(one[0], one[1]) for one in embeddings.values()]
    other = [similarity(embeddings[a][0], embeddings[b][1]) for a in names for b in names if a != b]
    assert np.mean(own) > np.mean(other) + 0.03
    assert np.linalg.norm(embeddings[names[0]][0]) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("waveform", [np.zeros(32000), np.full(100, 0.1), np.zeros(0)])
def test_too_little_speech_has_no_voice(voices: SpeakerEncoder, waveform: np.ndarray) -> None:
    with pytest.raises(TooLittleSpeechError, match="s of speech in"):
        voices.embed(waveform.astype(np.float32))


def test_noise_lowers_opinions(speechocean: Path) -> None:
    clean = read_wav(speechocean / "opus" / "014190006.opus", 16000)
    noise = np.random.default_rng(0).standard_normal(len(clean)).astype(np.float32)
    noisy = clean + noise * clean.std()
    for predictor in (DistillMos(), DnsMos()):
        scores = [predictor.predict(one) for one in (clean, noisy)]
        assert 1 <= scores[1] + 0.5 < scores[0] <= 5, predictor.name


def test_dnsmos_of_one_window_is_near_the_mean_of_many(speechocean: Path) -> None:
    """The package takes four to nine windows of a short recording that it repeats."""
    from speechmos import dnsmos

    waveforms = [
        read_wav(speechocean / "opus" / f"{utt_id}.opus", 16000)
        for utt_id in ("014190006", "000010011")
    ]
    ours = [DnsMos().predict(waveform) for waveform in waveforms]
    theirs = [dnsmos.run(waveform, 16000)["ovrl_mos"] for waveform in waveforms]
    assert ours == pytest.approx(theirs, abs=0.15)
    whole = np.concatenate(waveforms * 3)  # more than a window: nothing is repeated
    assert DnsMos().predict(whole) == pytest.approx(dnsmos.run(whole, 16000)["ovrl_mos"], abs=1e-6)


def test_utmos_is_a_torchscript_file(tmp_path: Path) -> None:
    import torch

    class Toy(torch.nn.Module):
        def forward(self, waveform: torch.Tensor) -> torch.Tensor:
            assert waveform.dtype == torch.int16
            return waveform.float().mean(dim=1) / 10

    torch.jit.script(Toy()).save(tmp_path / "utmos.pt")
    assert Utmos(tmp_path / "utmos.pt").predict(np.full(10, 0.001)) == pytest.approx(3.2)
    (tmp_path / "broken.pt").write_bytes(b"x")
    with pytest.raises(EntcompError, match="not a TorchScript model"):
        Utmos(tmp_path / "broken.pt")


class Parrot:
    key, name = "parrot", "says the first sample"

    def transcribe(self, waveform: np.ndarray) -> str:
        return {1: "one two", 2: "one too"}[int(waveform[0])]


class Meter:
    key, name = "meter", "loudness"

    def predict(self, waveform: np.ndarray) -> float:
        return float(waveform[0])


def test_a_summary_counts_what_was_judged() -> None:
    class Ears:
        name = "ears"

        def embed(self, waveform: np.ndarray) -> np.ndarray:
            return np.eye(256, dtype=np.float32)[int(waveform[0])]

    evaluator = Evaluator([Parrot()], [Meter()], Ears())  # type: ignore[arg-type]
    reference, source = np.eye(256)[1], np.eye(256)[2]
    scores = {f"utt{n}": evaluator.evaluate(np.array([n]), reference, source) for n in (1, 2)}
    summary = evaluator.summarise(scores, {"utt1": "ONE, TWO!", "utt2": "one two"})
    assert summary["wer_parrot"]["percent"] == 25.0
    assert summary["meter"]["mean"] == 1.5
    assert summary["similarity_reference"]["mean"] == 0.5
    assert summary["closer_to_reference"]["percent"] == 50.0
    assert evaluator.names() == {
        "parrot": "says the first sample",
        "meter": "loudness",
        "similarity": "ears",
    }
    assert "wer_parrot" not in evaluator.summarise(scores, {})


def test_the_interval_holds_the_mean_in_19_of_20_cases() -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(60):
        low, high = mean_interval(rng.exponential(size=60).tolist())["interval"]
        hits += low <= 1.0 <= high
    assert 50 <= hits <= 60
