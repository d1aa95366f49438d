"""Data preparation of egs/mls_en, on tiny trees in the layout of the real archives."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from make_tiny_mls import (
    append,
    made_recordings,
    make_common_voice,
    make_librispeech,
    make_mls,
    real_recordings,
    write_audio,
)
from waiting import LOST

from entcomp.audio.read import read_utterance
from entcomp.kaldi.datadir import find_sets
from entcomp.kaldi.table import iter_table, read_table

LOCAL = Path(__file__).resolve().parents[2] / "egs/mls_en/local"


def prepare(corpus: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(LOCAL / f"prepare_{corpus}.py"), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=LOST)


def prepared(corpus: str, *words: str | Path) -> str:
    result = prepare(corpus, *words)
    assert result.returncode == 0, result.stderr
    return result.stdout


def summary(folder: Path) -> dict[str, object]:
    return json.loads((folder / "stage.json").read_text())["outputs"]


def ids(folder: Path) -> list[str]:
    return [utt_id for utt_id, _ in iter_table(folder / "wav.scp")]


def check_kaldi(folder: Path) -> None:
    """What utils/validate_data_dir.sh asks of a data dir, and that each recording can be read."""
    utt2spk = read_table(folder / "utt2spk")
    spk2utt = read_table(folder / "spk2utt")
    assert {utt: spk for spk, utts in spk2utt.items() for utt in utts.split()} == utt2spk
    assert list(utt2spk.values()) == sorted(utt2spk.values())
    for name in folder.glob("text*"):
        assert list(read_table(name)) == list(utt2spk)
    (data_set,) = find_sets(folder)
    for utterance in data_set.utterances():
        assert read_utterance(utterance, 16_000).size > 0
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("codec", ["opus", "flac"])
def test_mls_whole_split(tmp_path: Path, codec: str) -> None:
    make_mls(tmp_path / "mls", made_recordings(), codec=codec)
    output = prepared("mls", tmp_path / "mls", tmp_path / "train")
    check_kaldi(tmp_path / "train")
    assert "train: 12 utterances, 3 speakers, 0.00 h" in output
    assert summary(tmp_path / "train") == {
        "utterances": 12,
        "speakers": 3,
        "hours": 0.002,
        "dropped": {},
    }
    assert ids(tmp_path / "train")[0] == "000061_1000_000000"
    assert read_table(tmp_path / "train/utt2dur")["004800_1001_000001"] == "0.500"
    assert read_table(tmp_path / "train/text")["000610_1001_000000"] == (
        "reader 610 reads book 1001 line 0"
    )


def test_mls_readers_sort_as_kaldi_asks(tmp_path: Path) -> None:
    """61_ comes behind 610_ in bytes, while reader 61 comes before 610."""
    make_mls(tmp_path / "mls", made_recordings(readers=(610, 61, 6100)))
    prepared("mls", tmp_path / "mls", tmp_path / "train")
    check_kaldi(tmp_path / "train")
    assert list(read_table(tmp_path / "train/spk2utt")) == ["000061", "000610", "006100"]


def test_mls_counts_what_it_drops(tmp_path: Path) -> None:
    split = tmp_path / "mls/train"
    handles = make_mls(tmp_path / "mls", made_recordings())
    (split / "audio/61/1000" / f"{handles[0]}.opus").unlink()
    for handle, text in [("61_1000_000009", "no times"), (handles[1], "again"), ("61_x_1", "bad")]:
        append(split / "transcripts.txt", f"{handle}\t{text}")
    append(split / "transcripts.txt", "4800_1000_000077 a space where the tab should be")
    append(split / "transcripts.txt", "4800_1000_000078\t...")
    append(split / "segments.txt", "4800_1000_000078\thttp://x\t1.0\t2.0")
    append(split / "segments.txt", f"{handles[2]}\thttp://x\t1.0")
    with open(split / "transcripts.txt", "ab") as stream:
        stream.write(b"4800_1000_000079\tcaf\xe9\n")
    write_audio(split / "audio/61/1000/61_1000_000009.opus", made_recordings()[0].samples)
    write_audio(split / "audio/4800/1000/4800_1000_000078.opus", made_recordings()[0].samples)
    output = prepared("mls", tmp_path / "mls", tmp_path / "train")
    check_kaldi(tmp_path / "train")
    assert summary(tmp_path / "train")["dropped"] == {
        "broken line": 3,
        "duplicate id": 1,
        "empty transcript": 1,
        "no audio": 1,
        "no times in segments.txt": 1,
        "not UTF-8": 1,
    }
    assert "train: 1 dropped: no audio" in output
    dropped = (tmp_path / "train/dropped.txt").read_text().splitlines()
    assert f"{handles[0]} no audio" in dropped
    assert "transcripts.txt:16 broken line" in dropped
    assert len(ids(tmp_path / "train")) == 11


def test_mls_text_is_normalised(tmp_path: Path) -> None:
    recording = made_recordings()[0]
    text = "The  Wheel-chair, “it’s” O'Neil's 'twas CAFÉ!"
    make_mls(tmp_path / "mls", [type(recording)(9, 1, text, recording.samples)])
    prepared("mls", tmp_path / "mls", tmp_path / "train")
    assert list(read_table(tmp_path / "train/text").values()) == [
        "the wheel chair it's o'neil's twas café"
    ]


@pytest.mark.parametrize(("subset", "count"), [("9hr", 6), ("1hr", 6), ("10hr", 12)])
def test_mls_limited_supervision(tmp_path: Path, subset: str, count: int) -> None:
    handles = make_mls(tmp_path / "mls", made_recordings())
    prepared("mls", tmp_path / "mls", tmp_path / "train", "--subset", subset)
    wanted = {"9hr": handles[:6], "1hr": handles[6:], "10hr": handles}[subset]
    assert len(wanted) == count
    readers = {utt_id.lstrip("0") for utt_id in ids(tmp_path / "train")}
    assert readers == set(wanted)
    assert summary(tmp_path / "train")["dropped"] == {}


def test_mls_hours_are_drawn_by_the_seed(tmp_path: Path) -> None:
    make_mls(tmp_path / "mls", made_recordings())
    hours = str(2.0 / 3600)
    drawn = {}
    for name, seed in [("a", "1"), ("b", "1"), ("c", "2")]:
        prepared("mls", tmp_path / "mls", tmp_path / name, "--hours", hours, "--seed", seed)
        check_kaldi(tmp_path / name)
        drawn[name] = ids(tmp_path / name)
    assert drawn["a"] == drawn["b"] != drawn["c"]
    assert len(drawn["a"]) == len(drawn["c"]) == 4, "4 x 0.5 s are 2 s"


def test_mls_a_larger_draw_holds_the_smaller_one(tmp_path: Path) -> None:
    make_mls(tmp_path / "mls", made_recordings())
    for name, seconds in [("small", 1.5), ("large", 4.0)]:
        prepared("mls", tmp_path / "mls", tmp_path / name, "--hours", str(seconds / 3600))
    assert set(ids(tmp_path / "small")) < set(ids(tmp_path / "large"))


def test_mls_readers_of_the_test_set_are_left_out(tmp_path: Path) -> None:
    make_mls(tmp_path / "mls", made_recordings())
    part = tmp_path / "LibriSpeech/test-clean"
    make_librispeech(part, made_recordings(readers=(61, 7)))
    prepared("mls", tmp_path / "mls", tmp_path / "train", "--exclude-readers", part)
    assert set(read_table(tmp_path / "train/spk2utt")) == {"000610", "004800"}
    assert summary(tmp_path / "train")["dropped"] == {"its reader is in the test set": 4}


def test_a_whole_set_is_skipped_until_its_source_changes(tmp_path: Path) -> None:
    make_mls(tmp_path / "mls", made_recordings())
    prepared("mls", tmp_path / "mls", tmp_path / "train")
    before = (tmp_path / "train/text").stat().st_mtime_ns
    assert prepared("mls", tmp_path / "mls", tmp_path / "train") == "train: complete, skipped\n"
    assert (tmp_path / "train/text").stat().st_mtime_ns == before
    make_mls(tmp_path / "mls", made_recordings(readers=(9,)))
    assert "16 utterances" in prepared("mls", tmp_path / "mls", tmp_path / "train")


def test_nothing_left_is_an_error_and_leaves_no_set(tmp_path: Path) -> None:
    split = tmp_path / "mls/train"
    append(split / "transcripts.txt", "61_1_000000\twords")
    append(split / "segments.txt", "61_1_000000\thttp://x\t1.0\t2.0")
    result = prepare("mls", tmp_path / "mls", tmp_path / "train")
    assert result.returncode == 1
    assert "no utterance is left ({'no audio': 1})" in result.stderr
    assert "Traceback" not in result.stderr
    assert list((tmp_path / "train").iterdir()) == []


@pytest.mark.parametrize("corpus", ["mls", "librispeech"])
def test_missing_archive_is_one_line(tmp_path: Path, corpus: str) -> None:
    result = prepare(corpus, tmp_path / "nowhere", tmp_path / "set")
    assert result.returncode == 1
    assert "check" in result.stderr and "db.sh" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_librispeech(tmp_path: Path) -> None:
    part = tmp_path / "LibriSpeech/test-clean"
    made = make_librispeech(part, made_recordings())
    append(part / "61/1000/61-1000.trans.txt", "61-1000-0009 NO AUDIO FOR THIS")
    append(part / "61/1000/61-1000.trans.txt", "something else")
    broken = part / "610/1000/610-1000-0000.flac"
    broken.write_bytes(b"no flac")
    prepared("librispeech", part, tmp_path / "test_clean")
    check_kaldi(tmp_path / "test_clean")
    assert ids(tmp_path / "test_clean") == sorted(set(made) - {"610-1000-0000"})
    assert read_table(tmp_path / "test_clean/text")["61-1001-0001"] == (
        "reader 61 reads book 1001 line 1"
    )
    assert read_table(tmp_path / "test_clean/utt2dur")["61-1001-0001"] == "0.500"
    assert summary(tmp_path / "test_clean")["dropped"] == {
        "broken line": 1,
        "no audio": 1,
        "unreadable audio": 1,
    }


def test_cvss_reversed_is_english_speech_and_foreign_text(tmp_path: Path) -> None:
    cvss, voice = tmp_path / "cvss_c_fr_en_v1.0", tmp_path / "fr"
    clips = make_common_voice(
        voice,
        "fr",
        {
            "common_voice_fr_20.mp3": "Il  dit : « Bonjour, l’ami ! »",
            "common_voice_fr_100.mp3": "Deux.",
            "common_voice_fr_3.mp3": "Pas d'audio.",
        },
    )
    append(voice / "validated.tsv", "a line with too few columns")
    samples = made_recordings()[0].samples
    for clip, text in zip(clips, ['He says, "Hello, friend!"', "two", "no audio"], strict=True):
        append(cvss / "train.tsv", f"{clip}\t{text}")
        if "audio" not in text:
            write_audio(cvss / "train" / f"{clip}.wav", samples)
    append(cvss / "train.tsv", "common_voice_fr_4.mp3\tno sentence")
    write_audio(cvss / "train/common_voice_fr_4.mp3.wav", samples)
    prepared("cvss", cvss, voice, tmp_path / "train_cvss_fr", "--lang", "fr")
    check_kaldi(tmp_path / "train_cvss_fr")
    assert read_table(tmp_path / "train_cvss_fr/text.fr") == {
        "cvss_common_voice_fr_100": "Deux.",
        "cvss_common_voice_fr_20": "Il dit : « Bonjour, l’ami ! »",
    }
    assert read_table(tmp_path / "train_cvss_fr/text") == {
        "cvss_common_voice_fr_100": "two",
        "cvss_common_voice_fr_20": "he says hello friend",
    }
    assert read_table(tmp_path / "train_cvss_fr/wav.scp")["cvss_common_voice_fr_20"].endswith(
        "cvss_c_fr_en_v1.0/train/common_voice_fr_20.mp3.wav"
    )
    assert summary(tmp_path / "train_cvss_fr")["dropped"] == {
        "broken line": 1,
        "no audio": 1,
        "no sentence in Common Voice": 1,
    }


def test_covost_from_english(tmp_path: Path) -> None:
    voice, covost = tmp_path / "en", tmp_path / "covost_v2.en_zh-CN.tsv"
    names = [f"common_voice_en_{number}.mp3" for number in (5, 40, 300, 7, 8)]
    sentences = ['It’s "quoted".', "Forty, forty.", "Three.", "Seven.", "Eight."]
    make_common_voice(voice, "en", dict(zip(names, sentences, strict=True)))
    append(covost, "path\ttranslation\tsplit")
    targets = ["它 被引用 了。", "四十", "三百", "七", ""]
    splits = ["train", "train_covost", "test", "train", "train"]
    for name, target, split in zip(names, targets, splits, strict=True):
        append(covost, f"{name}\t{target}\t{split}")
    append(covost, "common_voice_en_6.mp3\t六\ttrain")
    samples = made_recordings()[0].samples
    for name in names[:3] + names[4:]:
        write_audio(voice / "clips" / Path(name).with_suffix(".wav"), samples)
        (voice / "clips" / Path(name).with_suffix(".wav")).rename(voice / "clips" / name)
    out = tmp_path / "train_covost_zh"
    prepared("covost", covost, voice, out, "--lang", "zh")
    check_kaldi(out)
    assert read_table(out / "text.zh") == {
        f"{'0' * 16}-common_voice_en_40": "四十",
        f"{'0' * 16}-common_voice_en_5": "它 被引用 了。",
    }
    assert read_table(out / "text")[f"{'0' * 16}-common_voice_en_5"] == "it's quoted"
    assert summary(out)["dropped"] == {
        "empty text": 1,
        "no audio": 1,
        "no sentence in Common Voice": 1,
    }
    prepared("covost", covost, voice, tmp_path / "test", "--lang", "zh", "--split", "test")
    assert list(read_table(tmp_path / "test/text.zh").values()) == ["三百"]


def test_covost_quotes_are_not_escaped(tmp_path: Path) -> None:
    """Its tables have a backslash before each quote."""
    voice, covost = tmp_path / "en", tmp_path / "covost_v2.en_zh-CN.tsv"
    (name,) = make_common_voice(voice, "en", {"common_voice_en_5.mp3": "He said no."})
    write_audio(voice / "clips/common_voice_en_5.wav", made_recordings()[0].samples)
    (voice / "clips/common_voice_en_5.wav").rename(voice / "clips" / name)
    append(covost, "path\ttranslation\tsplit")
    append(covost, name + '\t他说\\"不\\"。\ttrain')
    prepared("covost", covost, voice, tmp_path / "train", "--lang", "zh")
    assert list(read_table(tmp_path / "train/text.zh").values()) == ['他说"不"。']


def test_a_column_that_is_not_there(tmp_path: Path) -> None:
    append(tmp_path / "covost.tsv", "path\tsplit")
    append(tmp_path / "en/validated.tsv", "client_id\tpath\tsentence")
    words = [tmp_path / "covost.tsv", tmp_path / "en", tmp_path / "set", "--lang", "zh"]
    result = prepare("covost", *words)
    assert result.returncode == 1
    assert "covost.tsv: no column 'translation'; available: path, split" in result.stderr


def test_real_speech_in_the_layout_of_mls(tmp_path: Path, prompt_data: Path) -> None:
    recordings = real_recordings(prompt_data, count=4)
    make_mls(tmp_path / "mls", recordings)
    prepared("mls", tmp_path / "mls", tmp_path / "train")
    check_kaldi(tmp_path / "train")
    seconds = sum(float(value) for value in read_table(tmp_path / "train/utt2dur").values())
    assert seconds == pytest.approx(sum(one.seconds for one in recordings), abs=0.1)
