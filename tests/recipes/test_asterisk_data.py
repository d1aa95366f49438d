"""egs/asterisk/local/prepare_data.py on a small tree of the packages' layout."""

from __future__ import annotations

import gzip
import importlib.util
import subprocess
import sys
from itertools import combinations
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entcomp.audio.read import read_utterance
from entcomp.errors import EntcompError
from entcomp.kaldi.datadir import find_sets
from entcomp.kaldi.table import read_table

SCRIPT = Path(__file__).resolve().parents[2] / "egs" / "asterisk" / "local" / "prepare_data.py"


def load_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("prepare_data", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["prepare_data"] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


recipe = load_script()
PROMPTS = 40

# Few ids and texts, so that equal texts are frequent; case and punctuation do not tell them apart.
texts = st.dictionaries(
    st.sampled_from([f"prompt-{number}" for number in range(12)]),
    st.sampled_from(["One.", "one", "Two", "two!", "three", "four", "five", "six"]),
)


@given(st.lists(texts, min_size=1, max_size=4), st.integers(0, 50))
def test_equal_texts_are_in_one_split_in_every_language(
    languages: list[dict[str, str]], seed: int
) -> None:
    splits = recipe.split_prompts(languages, seed)
    assert splits.keys() == set().union(*languages)
    for one in languages:
        for (prompt, text), (other, other_text) in combinations(one.items(), 2):
            if recipe.bare(text) == recipe.bare(other_text):
                assert splits[prompt] == splits[other]


@given(texts, st.integers(0, 50))
def test_split_does_not_depend_on_unrelated_prompts(one: dict[str, str], seed: int) -> None:
    before = recipe.split_prompts([one], seed)
    after = recipe.split_prompts([one | {"zzz": "another text"}], seed)
    assert {prompt: after[prompt] for prompt in one} == before


def test_shares_of_the_splits() -> None:
    splits = recipe.split_prompts([{f"id{i}": f"text {i}" for i in range(5000)}], seed=0)
    counts = {name: list(splits.values()).count(name) / 5000 for name in recipe.SPLITS}
    assert counts == pytest.approx(recipe.SPLITS, abs=0.02)


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("Press 1  now.", "Press 1 now."),
        ("dot [.]", "dot"),
        ("[!] punto esclamativo", "punto esclamativo"),
        ("H.323 (in inglese)", "H.323"),
        ("Leave a message. (tone plays).", "Leave a message."),
    ],
)
def test_remarks_are_no_words(written: str, text: str) -> None:
    assert recipe.spoken_text([written]) == text


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ([], "no transcript"),
        ([""], "no transcript"),
        (["[ascending tones]"], "not speech"),
        (["<beep>"], "not speech"),
        (["(beep)."], "not speech"),
        (["cero", "diez"], "2 transcripts"),
        (["Il [suo] messaggio"], "perhaps not all spoken"),
        (["first one.vm-second-one: second"], "two prompts in one line"),
    ],
)
def test_unknown_words_are_said_why(written: list[str], reason: str) -> None:
    with pytest.raises(EntcompError, match=reason):
        recipe.spoken_text(written)


def make_tree(root: Path) -> None:
    """Prompts of each language, and one of tones, one without audio, one without text."""
    for voice in recipe.VOICES:
        sounds = root / voice.language / "usr/share/asterisk/sounds" / voice.folder
        (sounds / "digits").mkdir(parents=True)
        lines = ["﻿; a comment, behind a byte order mark", ""]
        for number in range(PROMPTS):
            lines.append(f"digits/{number}: {voice.language} nummer {number} é")
            (sounds / f"digits/{number}.g722").write_bytes(bytes(range(200)) * 8)
        lines += ["beep: [a tone]", "gone: no audio here"]
        (sounds / "beep.g722").write_bytes(bytes(1600))
        (sounds / "untold.g722").write_bytes(bytes(1600))
        path = recipe_transcripts(root, voice.language)
        path.parent.mkdir(parents=True)
        path.write_bytes(gzip.compress("\n".join(lines).encode()))


def recipe_transcripts(root: Path, language: str) -> Path:
    name = f"core-sounds-{language}"
    return root / language / "usr/share/doc" / f"asterisk-{name}" / f"{name}.txt.gz"


def prepare(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    paths = [root / "prompts", root / "flac", root / "data"]
    return subprocess.run(
        [sys.executable, SCRIPT, *paths, *arguments], capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("asterisk")
    make_tree(root / "prompts")
    done = prepare(root)
    assert done.returncode == 0, done.stderr
    return root


def test_data_dirs(prepared: Path) -> None:
    ids: dict[str, dict[str, str]] = {}
    for data_set in find_sets(prepared / "data"):
        split, language = data_set.name.split("_")
        speakers = read_table(data_set.path / "utt2spk")
        durations = read_table(data_set.path / "utt2dur")
        assert read_table(data_set.path / "text").keys() == speakers.keys() == durations.keys()
        for utterance in data_set.utterances():
            assert utterance.utt_id.startswith(speakers[utterance.utt_id] + "_digits_")
            ids.setdefault(language, {})[utterance.utt_id.rpartition("_")[2]] = split
            samples = read_utterance(utterance, 16000)
            assert len(samples) / 16000 == float(durations[utterance.utt_id]) == 0.2
    assert all(len(splits) == PROMPTS for splits in ids.values())
    assert all(splits == ids["en"] for splits in ids.values())


def test_translations_of_english(prepared: Path) -> None:
    for folder in (prepared / "data").glob("*_en"):
        for language in ("es", "fr", "it", "ru"):
            translated = read_table(folder / f"text.{language}")
            assert translated.keys() == read_table(folder / "text").keys()
            for utt_id, text in translated.items():
                assert text == f"{language} nummer {utt_id.rpartition('_')[2]} é"
    assert not list((prepared / "data").glob("*_fr/text.*"))


def test_skipped_prompts_are_listed(prepared: Path) -> None:
    skipped = read_table(prepared / "data" / "skipped.txt")
    assert len(skipped) == 15
    assert skipped["allison_beep"] == "not speech: [a tone]"
    assert skipped["june_gone"] == "no audio"
    assert skipped["carlo_untold"] == "no transcript"


def test_second_call_does_nothing(prepared: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in prepared.rglob("*")}
    done = prepare(prepared)
    assert "complete, skipped" in done.stdout
    assert {path: path.stat().st_mtime_ns for path in prepared.rglob("*")} == before


def test_subset_keeps_some_of_every_split(tmp_path: Path) -> None:
    make_tree(tmp_path / "prompts")
    assert prepare(tmp_path, "--subset", "10").returncode == 0
    counts = {one.name: len(list(one.utterances())) for one in find_sets(tmp_path / "data")}
    assert [counts[f"{split}_en"] for split in ("train", "dev", "test")] == [8, 1, 1]


def test_missing_prompts_end_in_one_line(tmp_path: Path) -> None:
    done = prepare(tmp_path)
    assert done.returncode == 1
    assert "run local/download.sh" in done.stderr
    assert done.stderr.count("\n") == 1
