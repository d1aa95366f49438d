"""Aligners: the worker that may die, pocketsphinx on real speech, and how mfa is called."""

from __future__ import annotations

import os
import re
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from command_line import run

from entcomp.audio.read import read_wav
from entcomp.errors import EntcompError
from entcomp.evaluation.alignment import mfa, pocketsphinx_aligner
from entcomp.evaluation.alignment.aligner import Transcript, Unaligned
from entcomp.evaluation.alignment.pocketsphinx_aligner import dictionary_words
from entcomp.evaluation.alignment.worker import Worker, WorkerDiedError
from entcomp.formats.textgrid import TextGrid, read_textgrid
from entcomp.kaldi.datadir import find_sets
from entcomp.kaldi.table import read_table

DICTIONARY = {"we", "call", "it", "don't", "o'clock", "one", "re", "enter", "e-mail", "'em", "so"}

FAKE_MFA = """#!{python}
import pathlib, sys
*options, corpus, dictionary, acoustic, output = sys.argv[1:]
assert options[:4] == ["align", "--clean", "--output_format", "long_textgrid"], options
assert options[4:6] == ["--num_jobs", "2"] and options[6] == "--temporary_directory", options
assert (dictionary, acoustic) == ("my_dict", "english_us_arpa"), (dictionary, acoustic)
from fake_alignment import write_grid
for wav in sorted(pathlib.Path(corpus).glob("*/*.wav")):
    text = wav.with_suffix(".lab").read_text().strip()
    if text == "fail":
        sys.exit(3)
    if text != "mumble":
        grid = pathlib.Path(output, wav.parent.name, wav.stem + ".TextGrid")
        grid.parent.mkdir(parents=True, exist_ok=True)
        write_grid(grid, 1.0, words=[(0.1, 0.9, text)], phones=[(0.1, 0.5, "AH0"), (0.5, 0.9, "B")])
"""


def make_fragile() -> Any:
    def answer(request: str) -> Any:
        if request == "crash":
            os._exit(11)
        if request == "hang":
            threading.Event().wait()
        return f"{request} by {os.getpid()}"

    return answer


def test_a_worker_may_die_and_the_next_request_gets_a_new_one() -> None:
    worker = Worker(make_fragile)
    first = worker.ask("a", 60)
    assert first.startswith("a by ") and worker.ask("a", 60) == first
    with pytest.raises(WorkerDiedError, match="crashed"):
        worker.ask("crash", 60)
    second = worker.ask("a", 60)
    assert second != first
    with pytest.raises(WorkerDiedError, match="took more than"):
        worker.ask("hang", 0.2)
    assert worker.ask("a", 60) not in (first, second)
    worker.close()


@pytest.mark.parametrize(
    ("text", "words", "unknown"),
    [
        ("WE CALL IT", "we call it", ""),
        ("We... call; “it”!", "we call it", ""),
        ("Don’t re-enter 'so' at 1 o'clock", "don't re enter so one o'clock", "at"),
        ("e-mail 'em", "e-mail 'em", ""),
        ("re...enter one–one", "re enter one one", ""),
        ("we & 1234 # café (it)", "we it", "& 1234 # café"),
        (" - ", "", ""),
        ("<noise> we [laughter] call, {cough} it +hes+ <unk>!", "we call it", ""),
        ("[loud noise] we<breath>call ++noise++ it", "we call it", ""),
        ("<noise> [so]", "", ""),
    ],
)
def test_words_as_a_dictionary_spells_them(text: str, words: str, unknown: str) -> None:
    found = dictionary_words(text, DICTIONARY.__contains__)
    assert found == (words.split(), unknown.split())


def transcript(utt_id: str, text: str, waveform: np.ndarray | Unaligned) -> Transcript:
    return Transcript(utt_id, "speaker", text, lambda: waveform)


@pytest.fixture(scope="module")
def speech(prompt_data: Path) -> list[Transcript]:
    (data_set,) = find_sets(prompt_data)
    texts = read_table(prompt_data / "text")
    chosen = [one for one, _ in zip(data_set.utterances(), range(6), strict=False)]
    return [
        transcript(one.utt_id, texts[one.utt_id], read_wav(Path(one.wav), 16000)) for one in chosen
    ]


@pytest.fixture(scope="module")
def aligned(speech: list[Transcript]) -> dict[str, TextGrid | Unaligned]:
    return dict(pocketsphinx_aligner.align(speech, num_jobs=2))


def test_pocketsphinx_aligns_words_and_phones(
    speech: list[Transcript], aligned: dict[str, TextGrid | Unaligned]
) -> None:
    assert list(aligned) == [one.utt_id for one in speech]
    for one in speech:
        grid = aligned[one.utt_id]
        assert isinstance(grid, TextGrid), grid
        words, phones = grid.tier("words"), grid.tier("phones")
        assert [word.label.upper() for word in words] == re.findall("[A-Z']+", one.text.upper())
        for word in words:
            inner = [p for p in phones if word.start <= p.start and p.end <= word.end]
            assert (inner[0].start, inner[-1].end) == (word.start, word.end)
        edges = [edge for span in phones for edge in (span.start, span.end)]
        assert edges == sorted(edges) and edges[0] >= 0 and edges[-1] <= grid.duration


def test_an_alignment_depends_on_its_own_utterance_only(
    speech: list[Transcript], aligned: dict[str, TextGrid | Unaligned]
) -> None:
    """A decoder carries the cepstral mean of what it heard before over to the next utterance."""
    again = dict(pocketsphinx_aligner.align(speech[::-1], num_jobs=1))
    assert again == aligned


def test_pocketsphinx_says_why_not(speech: list[Transcript]) -> None:
    silence = np.zeros(1600, np.float32)
    waveform = speech[0].read()
    outcomes = pocketsphinx_aligner.align(
        [
            transcript("bad", "x", Unaligned("a.wav: no samples")),
            transcript("oov", "we call it xqzt", waveform),
            transcript("punctuation", "...", waveform),
            transcript("short", "a very long sentence indeed for a recording like this", silence),
            transcript("so", speech[0].text, waveform),
        ],
        num_jobs=1,
    )
    reasons = {utt_id: getattr(outcome, "reason", "") for utt_id, outcome in outcomes}
    assert reasons.pop("short").startswith("pocketsphinx: ")
    assert reasons == {
        "bad": "a.wav: no samples",
        "oov": "not in the dictionary: xqzt",
        "punctuation": "no words in its text",
        "so": "",
    }


def test_a_crash_costs_one_utterance(
    speech: list[Transcript], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pocketsphinx_aligner, "make_aligner", make_crashing_aligner)
    texts = ["one", "crash", "two"]
    outcomes = pocketsphinx_aligner.align(
        [transcript(text, text, np.zeros(160, np.float32)) for text in texts], num_jobs=1
    )
    assert [outcome for _, outcome in outcomes] == [
        Unaligned("one"),
        Unaligned("the aligner crashed"),
        Unaligned("two"),
    ]


def make_crashing_aligner() -> Any:
    def answer(request: tuple[str, bytes]) -> Unaligned:
        if request[0] == "crash":
            os.abort()
        return Unaligned(request[0])

    return answer


@pytest.fixture
def fake_mfa(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program that checks how mfa is called, and aligns anything but mumbling."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "mfa"
    program.write_text(FAKE_MFA.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    return program


def make_data(folder: Path, texts: dict[str, str | None]) -> Path:
    data = folder / "data" / "test"
    data.mkdir(parents=True)
    noise = np.random.default_rng(0).standard_normal(16000) * 0.01
    for utt_id in texts:
        soundfile.write(data / f"{utt_id}.wav", noise, 16000)
    (data / "wav.scp").write_text("".join(f"{u} {data / u}.wav\n" for u in sorted(texts)))
    (data / "utt2spk").write_text("".join(f"{u} {u[:1]}\n" for u in sorted(texts)))
    (data / "text").write_text("".join(f"{u} {t}\n" for u, t in sorted(texts.items()) if t))
    return folder / "data"


def test_mfa_is_called_as_it_wants(tmp_path: Path, fake_mfa: Path) -> None:
    data = make_data(tmp_path, {"a1": "hello", "a2": "mumble", "b1": "bye", "b2": None})
    exp = tmp_path / "exp"
    options = ["--nj", 2, "--mfa-dictionary", "my_dict", data, exp]
    code, out, err = run("align", *options)  # auto finds it on PATH
    assert code == 0, err
    folder = exp / "align" / "test"
    assert out == f"test: 2 utterances aligned, 2 not: see {folder}/unaligned.txt\n"
    reason = mfa.NOTHING_FOUND.reason
    assert (folder / "unaligned.txt").read_text() == f"a2 {reason}\nb2 no text\n"
    assert sorted(one.name for one in folder.glob("*.TextGrid")) == ["a1.TextGrid", "b1.TextGrid"]
    grid = read_textgrid(folder / "b1.TextGrid")
    assert [one.label for one in grid.tier("words")] == ["bye"]
    assert [one.label for one in grid.tier("phones")] == ["AH", "B"]
    assert run("align", *options)[1] == "test: complete, skipped\n"


def test_named_marks_of_noises_are_not_aligned(tmp_path: Path, fake_mfa: Path) -> None:
    """MFA knows marks in brackets itself; others are words to it, unless they are listed."""
    data = make_data(tmp_path, {"a1": "so NOISE it", "b1": "NOISE", "b2": "NOISES"})
    (tmp_path / "nlsyms.txt").write_text("NOISE\n")
    options = ["--nj", 2, "--mfa-dictionary", "my_dict", data, tmp_path / "exp"]
    code, _, err = run("align", "--nlsyms_txt", tmp_path / "nlsyms.txt", *options)
    assert code == 0, err
    folder = tmp_path / "exp" / "align" / "test"
    grids = [read_textgrid(folder / f"{utt_id}.TextGrid") for utt_id in ("a1", "b2")]
    assert [grid.tier("words")[0].label for grid in grids] == ["so it", "NOISES"]
    assert (folder / "unaligned.txt").read_text() == "b1 no words, only non-linguistic symbols\n"
    code, out, _ = run("align", *options)  # other words: aligned again
    assert (code, out) == (0, "test: 3 utterances aligned\n")


def test_shards_share_a_folder(tmp_path: Path, fake_mfa: Path) -> None:
    data = make_data(tmp_path, {"a1": "hello", "a2": "mumble", "b1": "bye", "b2": "so"})
    for part in ("1/2", "2/2"):
        options = ["--nj", 2, "--mfa-dictionary", "my_dict", "--shard", part]
        assert run("align", *options, data, tmp_path / "exp")[0] == 0
    assert {one.name for one in (tmp_path / "exp" / "align" / "test").iterdir()} == {
        *(f"{name}.TextGrid" for name in ("a1", "b1", "b2")),
        *("stage.1of2.json", "stage.2of2.json", "unaligned.1of2.txt"),
    }


def test_merged_shards_are_what_one_run_leaves(tmp_path: Path, fake_mfa: Path) -> None:
    """The first shard aligns nothing, which is an error of a whole set only."""
    data = make_data(tmp_path, {"a1": "mumble", "a2": None, "b1": "bye", "b2": "so"})
    options = ["--nj", 2, "--mfa-dictionary", "my_dict"]
    assert run("align", *options, data, tmp_path / "one")[0] == 0
    for part in ("1/2", "2/2"):
        code, _, err = run("align", *options, "--shard", part, data, tmp_path / "parts")
        assert code == 0, err
    merge = ["merge-shards", "align", "--shards", 2, data, tmp_path / "parts"]
    assert run(*merge)[:2] == (0, "test: 2 alignments of 2 shards merged\n")
    one, parts = (tmp_path / name / "align" / "test" for name in ("one", "parts"))
    for path in one.iterdir():
        assert (parts / path.name).read_bytes() == path.read_bytes(), path.name
    assert run("align", *options, data, tmp_path / "parts")[1] == "test: complete, skipped\n"
    (parts / "b2.TextGrid").unlink()
    code, _, err = run(*merge)
    assert code == 1 and "b2.TextGrid: no such file, nor a reason in unaligned.txt" in err
    assert not (parts / "stage.json").exists()


def test_what_fails_now_leaves_no_older_grid(tmp_path: Path, fake_mfa: Path) -> None:
    data = make_data(tmp_path, {"a1": "hello", "a2": "bye"})
    options = ["--nj", 2, "--mfa-dictionary", "my_dict", data, tmp_path / "exp"]
    assert run("align", *options)[0] == 0
    (data / "test" / "text").write_text("a1 mumble\na2 bye\n")
    assert run("align", *options)[0] == 0
    folder = tmp_path / "exp" / "align" / "test"
    assert [one.name for one in folder.glob("*.TextGrid")] == ["a2.TextGrid"]


def test_older_grids_stood_beside_those_of_a_run_that_failed(
    tmp_path: Path, fake_mfa: Path
) -> None:
    data = make_data(tmp_path, {"a1": "hello", "b1": "bye"})
    options = ["--nj", 2, "--mfa-dictionary", "my_dict", data, tmp_path / "exp"]
    assert run("align", *options)[0] == 0
    (data / "test" / "text").write_text("a1 hello\nb1 fail\n")
    assert run("align", *options)[0] == 1
    assert not list((tmp_path / "exp" / "align" / "test").glob("*.TextGrid"))


def test_mfa_fails(tmp_path: Path, fake_mfa: Path) -> None:
    data = make_data(tmp_path, {"a1": "fail"})
    options = ["--nj", 2, "--mfa-dictionary", "my_dict", data, tmp_path / "exp"]
    code, _, err = run("align", *options)
    assert code == 1
    assert "mfa align exited with 3" in err and "mfa model download" in err
    assert not (tmp_path / "exp" / "align" / "test" / "stage.json").exists()


def test_mfa_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    waveform = np.zeros(160, np.float32)
    with pytest.raises(EntcompError, match="not installed; run tools/install_mfa"):
        list(mfa.align([transcript("a", "a", waveform)], 1, "english_us_arpa", "english_us_arpa"))


def test_pocketsphinx_from_the_command_line(tmp_path: Path, prompt_data: Path) -> None:
    """Twice the same bytes; a bad recording ends it, unless it may be skipped, and is listed."""
    data = tmp_path / "data" / "test"
    data.mkdir(parents=True)
    lines = (prompt_data / "wav.scp").read_text().splitlines()[:2]
    wavs = [f"{line.split()[0]} {prompt_data}/{line.split()[1]}\n" for line in lines]
    (data / "wav.scp").write_text("".join(wavs) + "zzz nowhere.wav\n")
    texts = "".join((prompt_data / "text").read_text().splitlines(keepends=True)[:2])
    (data / "text").write_text(texts + "zzz hello\n")
    options = ["--aligner", "pocketsphinx", "--nj", 1, data.parent]
    code, _, err = run("align", *options, tmp_path / "exp")
    assert code == 1
    assert "nowhere.wav: no such file (utterance zzz); fix it or pass --skip-bad" in err
    for name in ("one", "two"):
        code, out, err = run("align", "--skip-bad", *options, tmp_path / name)
        assert (code, out.split(":")[1]) == (0, " 2 utterances aligned, 1 not"), err
    trees = [
        {path.name: path.read_bytes() for path in (tmp_path / name / "align" / "test").iterdir()}
        for name in ("one", "two")
    ]
    assert len(trees[0]) == 4 and trees[0] == trees[1]
    assert b"zzz nowhere.wav: no such file" in trees[0]["unaligned.txt"]


def test_nothing_aligned_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = make_data(tmp_path, {"a1": None})
    (data / "test" / "text").write_text("")
    code, _, err = run("align", "--aligner", "pocketsphinx", data, tmp_path / "exp")
    assert code == 1 and "unaligned.txt: no utterance could be aligned" in err


def test_no_text_at_all(tmp_path: Path) -> None:
    data = make_data(tmp_path, {"a1": "hello"})
    (data / "test" / "text").unlink()
    code, _, err = run("align", data, tmp_path / "exp")
    assert code == 1 and "text: no such file" in err


def test_an_id_that_cannot_name_a_file(tmp_path: Path) -> None:
    data = make_data(tmp_path, {"a": "hello"})
    (data / "test" / "wav.scp").write_text("../a a.wav\n")
    code, _, err = run("align", data, tmp_path / "exp")
    assert code == 1 and "../a cannot name a file" in err


def test_alignments_of_a_replaced_recording_and_those_deleted_stayed(
    tmp_path: Path, fake_mfa: Path
) -> None:
    data = make_data(tmp_path, {"a1": "hello", "b1": "bye"})
    options = ["--nj", 2, "--mfa-dictionary", "my_dict", data, tmp_path / "exp"]
    folder = tmp_path / "exp" / "align" / "test"
    assert run("align", *options)[0] == 0
    (folder / "b1.TextGrid").unlink()
    assert run("align", *options)[1] == "test: 2 utterances aligned\n"
    assert (folder / "b1.TextGrid").exists()
    noise = np.random.default_rng(1).standard_normal(24000) * 0.01
    soundfile.write(data / "test" / "a1.wav", noise, 16000)
    assert run("align", *options)[1] == "test: 2 utterances aligned\n"
