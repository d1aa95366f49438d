from __future__ import annotations

from pathlib import Path

import pytest

from entcomp.errors import EntcompError
from entcomp.kaldi.datadir import DataDir, Utterance, audio_bytes, find_sets


def make_set(folder: Path, **files: str) -> DataDir:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)
    return DataDir(folder.name, folder)


def names(sets: list[DataDir]) -> list[str]:
    return [one.name for one in sets]


def test_one_data_dir_or_a_folder_of_them(tmp_path):
    for name in ("train_en", "train_fr", "dev"):
        make_set(tmp_path / "data" / name, wav_scp="a x.wav\n")
    (tmp_path / "data" / "log").mkdir()
    assert names(find_sets(tmp_path / "data")) == ["dev", "train_en", "train_fr"]
    assert names(find_sets(tmp_path / "data" / "dev")) == ["dev"]
    assert names(find_sets(tmp_path / "data", "dev,train_*")) == ["dev", "train_en", "train_fr"]
    assert names(find_sets(tmp_path / "data", "train_fr")) == ["train_fr"]


def test_refuses_a_pattern_that_fits_none_and_a_folder_without_sets(tmp_path):
    make_set(tmp_path / "data" / "dev", wav_scp="a x.wav\n")
    with pytest.raises(EntcompError, match="no set 'test'; available: dev"):
        find_sets(tmp_path / "data", "dev,test")
    (tmp_path / "empty").mkdir()
    with pytest.raises(EntcompError, match="no data dir"):
        find_sets(tmp_path / "empty")
    with pytest.raises(EntcompError, match="no such data dir"):
        find_sets(tmp_path / "nowhere")


def test_segments(tmp_path):
    data = make_set(
        tmp_path, wav_scp="r1 r1.wav\nr2 r2.wav\n", segments="a r2 0.5 1.25\nb r1 2 -1\n"
    )
    assert list(data.utterances()) == [
        Utterance("a", "r2.wav", 0.5, 1.25),
        Utterance("b", "r1.wav", 2.0, None),
    ]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a r9 0 1", "recording r9 is not in wav.scp"),
        ("a r1 2 1", "from 2 to 1 s; fix it: 0 <= start < end"),
        ("a r1 -0.5 2", "from -0.5 to 2 s; fix it: 0 <= start < end"),
        ("a r1 0", "expected 'recording start end'"),
        ("a r1 zero 1", "expected 'recording start end'"),
    ],
)
def test_refuses_segments(tmp_path, row, message):
    data = make_set(tmp_path, wav_scp="r1 r1.wav\n", segments=row + "\n")
    with pytest.raises(EntcompError, match=message):
        list(data.utterances())


def test_a_path_is_looked_for_beside_its_wav_scp(tmp_path):
    data = make_set(tmp_path / "set", wav_scp="a a.wav\nb sox b.wav -t wav - |\n")
    (tmp_path / "set" / "a.wav").touch()
    a, b = data.utterances()
    assert Path(a.wav) == tmp_path / "set" / "a.wav"
    assert b.wav == "sox b.wav -t wav - |"


def test_utterances_in_text_only(tmp_path):
    data = make_set(tmp_path, wav_scp="b x\nd x\n", text="a one\nb two\nc\nd four\ne five\n")
    assert data.ids_without_audio() == ["a", "c", "e"]
    assert make_set(tmp_path / "other", wav_scp="b x\n").ids_without_audio() == []


def test_what_names_the_recordings(tmp_path):
    data = make_set(tmp_path, wav_scp="a a.wav\nb sox |\nc gone.wav\n", text="a x\n")
    before = data.audio_sha256()
    (tmp_path / "a.wav").write_bytes(b"12345")
    assert audio_bytes(data.utterances()) == 5
    make_set(tmp_path, text="a y\n")
    assert data.audio_sha256() == before
    make_set(tmp_path, segments="a a 0 1\n")
    assert data.audio_sha256() != before


def test_a_channel_is_part_of_what_was_read(tmp_path):
    make_set(tmp_path / "data" / "a", wav_scp="u x.wav\n", segments="u-1 u 0 1\n")
    (mixed,), (left,) = find_sets(tmp_path / "data"), find_sets(tmp_path / "data", channel=0)
    assert [one.channel for one in left.utterances()] == [0]
    assert mixed.audio_sha256() != left.audio_sha256()
