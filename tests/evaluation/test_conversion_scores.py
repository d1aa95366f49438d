"""Scores of converted speech: transcripts, voices, opinions, and the table of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from entcomp.artifacts.experiment import Experiment
from entcomp.audio.read import read_wav
from entcomp.cli.each_set import each_set
from entcomp.errors import EntcompError, LackingError
from entcomp.evaluation.text.recognition import error_rates
from entcomp.evaluation.voices.evaluator import Evaluator, Profile, mean_interval
from entcomp.evaluation.voices.moonshine_asr import (
    END,
    START,
    MoonshineAsr,
    decode,
    read_vocabulary,
)
from entcomp.evaluation.voices.mos import DistillMos, DnsMos, Utmos
from entcomp.evaluation.voices.speaker import SpeakerEncoder, TooLittleSpeechError, similarity
from entcomp.files import write_text
from entcomp.kaldi.datadir import DataDir
from entcomp.kaldi.table import read_table
from entcomp.pipelines.score_voices import find_systems

VOCABULARY = ["<unk>", "<s>", "</s>", "<0xC3>", "<0xA9>", "▁caf", "▁a", "b"]


@pytest.fixture(scope="module")
def voices() -> SpeakerEncoder:
    return SpeakerEncoder()


@pytest.fixture(scope="module")
def moonshine(moonshine_folder: Path) -> MoonshineAsr:
    return MoonshineAsr(moonshine_folder)


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


def test_moonshine_knows_what_was_read(moonshine: MoonshineAsr, prompt_data: Path) -> None:
    texts = read_table(prompt_data / "text")
    chosen = list(texts)[::6]
    heard = [
        moonshine.transcribe(read_wav(prompt_data / f"{utt_id}.opus", 16000)) for utt_id in chosen
    ]
    assert all(heard)
    rate = error_rates([texts[utt_id] for utt_id in chosen], heard, "basic")["wer"]["percent"]
    assert rate < 15


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


@pytest.fixture(scope="module")
def speakers(repository: Path) -> list[list[Path]]:
    """Two recordings of each of four people."""
    folder = repository / "egs" / "asterisk" / "downloads" / "prompts"
    if not folder.is_dir():
        pytest.fail("no prompts here; run egs/asterisk/run.sh --stop-stage 0")
    names = ("vm-deleted.g722", "vm-sorry.g722")
    return [
        [next((folder / language).rglob(name)) for name in names]
        for language in ("en", "fr", "it", "ru")
    ]


def test_voices_are_nearer_to_themselves(
    voices: SpeakerEncoder, speakers: list[list[Path]]
) -> None:
    embeddings = [[voices.embed(read_wav(path, 16000)) for path in paths] for paths in speakers]
    own = [similarity(first, second) for first, second in embeddings]
    other = [
        similarity(one[0], another[1])
        for one in embeddings
        for another in embeddings
        if one is not another
    ]
    assert np.mean(own) > np.mean(other) + 0.03
    assert np.linalg.norm(embeddings[0][0]) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("waveform", [np.zeros(32000), np.full(100, 0.1), np.zeros(0)])
def test_too_little_speech_has_no_voice(voices: SpeakerEncoder, waveform: np.ndarray) -> None:
    with pytest.raises(TooLittleSpeechError, match="s of speech in"):
        voices.embed(waveform.astype(np.float32))


def test_noise_lowers_opinions(prompt_data: Path) -> None:
    clean = read_wav(prompt_data / "allison_conf-placeintoconf.opus", 16000)
    noise = np.random.default_rng(0).standard_normal(len(clean)).astype(np.float32)
    noisy = clean + noise * clean.std()
    for predictor in (DistillMos(), DnsMos()):
        scores = [predictor.predict(one) for one in (clean, noisy)]
        assert 1 <= scores[1] + 0.5 < scores[0] <= 5, predictor.name


def test_dnsmos_of_one_window_is_near_the_mean_of_many(prompt_data: Path) -> None:
    """The package takes four to nine windows of a short recording that it repeats."""
    from speechmos import dnsmos

    waveforms = [
        read_wav(prompt_data / f"{utt_id}.opus", 16000)
        for utt_id in ("allison_conf-placeintoconf", "allison_dir-welcome")
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
    reference, source = Profile(np.eye(256)[1], {}), Profile(np.eye(256)[2], {})
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


def test_too_little_speech_was_taken_for_a_voice_unlike_all() -> None:
    """Its similarities were 0, and it was not closer to the reference."""

    class Ears:
        name = "ears"

        def embed(self, waveform: np.ndarray) -> np.ndarray:
            if waveform[0] == 2:
                raise TooLittleSpeechError("0.00 s of speech")
            return np.eye(256, dtype=np.float32)[int(waveform[0])]

    evaluator = Evaluator([], [Meter()], Ears())  # type: ignore[arg-type]
    reference, source = (evaluator.profile(np.array([n])) for n in (1, 3))
    scores = {f"utt{n}": evaluator.evaluate(np.array([n]), reference, source) for n in (1, 2)}
    summary = evaluator.summarise(scores, {})
    assert summary["utterances"] == 2 and summary["meter"]["mean"] == 1.5
    for key, number in (("similarity_reference", 1.0), ("similarity_source", 0.0)):
        assert (summary[key]["mean"], summary[key]["utterances"]) == (number, 1)
    closer = summary["closer_to_reference"]
    assert (closer["percent"], closer["utterances"]) == (100.0, 1)
    silent = evaluator.summarise({"utt2": scores["utt2"]}, {})
    assert not any("similarity" in key or "closer" in key for key in silent)


def test_the_interval_holds_the_mean_in_19_of_20_cases() -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(60):
        low, high = mean_interval(rng.exponential(size=60).tolist())["interval"]
        hits += low <= 1.0 <= high
    assert 50 <= hits <= 60


def test_two_folders_of_one_name_were_scored_as_one(tmp_path: Path) -> None:
    """What convert writes by default is called convert for every model; the last was scored."""
    experiment = Experiment(tmp_path)
    made = [tmp_path / "vc" / tag / "convert" for tag in ("a", "b")]
    for folder in (*made, tmp_path / "out"):
        (folder / "test").mkdir(parents=True)
    found = find_systems(experiment, "test", [*made, tmp_path / "out"])
    assert found == {"a": made[0] / "test", "b": made[1] / "test", "out": tmp_path / "out/test"}
    for twice in (tmp_path / "x" / "out", tmp_path / "source"):
        with pytest.raises(EntcompError, match=f"{twice}: another is called {twice.name}, too"):
            find_systems(experiment, "test", [*made, tmp_path / "out", twice])


def test_a_model_called_source_was_scored_as_the_source(tmp_path: Path) -> None:
    for tag in ("source", "a"):
        write_text(tmp_path / "vc" / tag / "convert/test/stage.json", "{}")
    with pytest.raises(EntcompError, match="source/convert: another is called source, too"):
        find_systems(Experiment(tmp_path), "test")
    (tmp_path / "vc/source").rename(tmp_path / "vc/b")
    assert list(find_systems(Experiment(tmp_path), "test")) == ["a", "b"]


def test_the_first_set_that_was_not_converted_ended_it(tmp_path: Path) -> None:
    """Sets that the user did not name are passed over."""
    write_text(tmp_path / "exp/vc/a/convert/test/stage.json", "{}")
    found = []

    def find(data_set: DataDir) -> None:
        found.append(find_systems(Experiment(tmp_path / "exp"), data_set.name))

    sets = [DataDir(name, tmp_path / name) for name in ("dev", "test", "train")]
    each_set(sets, False, find)
    assert found == [{"a": tmp_path / "exp/vc/a/convert/test"}]
    for named, chosen in ((True, sets[:2]), (False, sets[:1])):
        with pytest.raises(LackingError, match="vc: nothing converted of dev; run convert"):
            each_set(chosen, named, find)
    with pytest.raises(LackingError, match="out: nothing converted of test"):
        find_systems(
            Experiment(tmp_path), "test", [tmp_path / "exp/vc/a/convert", tmp_path / "out"]
        )
