"""Units in other toolkits' files: known lines, there and back, and what is wrong with a line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entcomp.errors import EntcompError
from entcomp.formats.units import read_units, tsv_ids, write_tsv, write_units
from entcomp.kaldi.datadir import Utterance
from entcomp.skipped import SkippedUtterances

K = 100


def read(
    kind: str, *files: Path, ids: dict[Path, list[str]] | None = None, skip_bad: bool = False
) -> dict[str, list[int]]:
    skipped = SkippedUtterances(skip_bad)
    found = read_units(files, kind, K, skipped, ids)
    return {utt_id: units.tolist() for utt_id, units in found}


def put(path: Path, *lines: str) -> Path:
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return path


def test_pseudo_labels(tmp_path: Path) -> None:
    path = put(tmp_path / "labels.txt", "utt2 3 3 99", "utt1 0")
    found = list(read_units([path], "text", K, SkippedUtterances(False)))
    assert [(utt_id, units.tolist()) for utt_id, units in found] == [
        ("utt1", [0]),
        ("utt2", [3, 3, 99]),
    ]
    assert all(units.dtype == np.int32 for _, units in found)


def test_s3tokenizer_parts(tmp_path: Path) -> None:
    """Two ranks; the second one repeats an utterance, as a distributed sampler does."""
    first = put(
        tmp_path / "part_1_of_2", '{"key": "ü1", "code": [5, 6]}', '{"key": "a", "code": [1]}'
    )
    more = '{"key": "b", "wav": "b.wav", "code": [2]}'
    second = put(tmp_path / "part_2_of_2", more, '{"key": "a", "code": [1]}')
    assert read("jsonl", first, second) == {"a": [1], "b": [2], "ü1": [5, 6]}


def test_fairseq_labels(tmp_path: Path) -> None:
    tsv = put(tmp_path / "train.tsv", "/corpus", "84/b-2.flac\t32000", "84/a-1.flac\t16000")
    km = put(tmp_path / "train.km", "7 7 8", "1 2")
    assert tsv_ids([tsv]) == [["b-2", "a-1"]]
    assert read("km", km, ids={km: tsv_ids([tsv])[0]}) == {"a-1": [1, 2], "b-2": [7, 7, 8]}
    wavs = [Utterance("spk-x", "/corpus/84/a-1.flac"), Utterance("spk-y", "/corpus/84/b-2.flac")]
    assert tsv_ids([tsv], wavs) == [["spk-y", "spk-x"]]
    with pytest.raises(EntcompError, match=r"train.tsv:2: /corpus/84/b-2.flac is not in wav.scp"):
        tsv_ids([tsv], wavs[:1])


def test_fairseq_labels_of_another_manifest(tmp_path: Path) -> None:
    km = put(tmp_path / "train.km", "7 7 8", "1 2")
    for names, lines in ((["a"], "1 rows"), (["a", "b", "c"], "3 rows")):
        with pytest.raises(EntcompError, match=f"2 lines for {lines} of its .tsv"):
            read("km", km, ids={km: names})


UNITS = st.lists(st.integers(0, K - 1), min_size=1, max_size=20)


@settings(deadline=None, max_examples=30)
@given(
    vectors=st.dictionaries(st.from_regex(r"[a-zü0-9_-]{1,9}", fullmatch=True), UNITS, max_size=9)
)
@pytest.mark.parametrize("kind", ["text", "jsonl", "km"])
def test_there_and_back(
    kind: str, vectors: dict[str, list[int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("units") / "units"
    rows = ((utt_id, np.array(units, np.int32)) for utt_id, units in vectors.items())
    assert write_units(path, kind, rows) == len(vectors)
    ids = {path: list(vectors)} if kind == "km" else None
    found = read(kind, path, ids=ids)
    assert found == vectors and list(found) == sorted(vectors)


def test_manifest_there_and_back(tmp_path: Path) -> None:
    utterances = []
    for name in ("one", "two"):
        utterances.append(Utterance(f"spk_{name}", str(tmp_path / f"{name}.wav")))
    tsv = tmp_path / "train.tsv"
    write_tsv(tsv, ((one.wav, 800 + 100 * row) for row, one in enumerate(utterances)))
    lines = tsv.read_text().splitlines()
    assert lines[0] == "/" and [line.split("\t")[1] for line in lines[1:]] == ["800", "900"]
    assert tsv_ids([tsv], utterances) == [["spk_one", "spk_two"]]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["good morning.wav\t9"], r"train.tsv:2: /c/good morning.wav: 'good morning' cannot be an"),
        (
            ["a.wav\t9", "b\u00a0c.wav\t9"],
            r"train.tsv:3: .* cannot be an utterance's id: rename it",
        ),
        (["1/a.wav\t9", "2/a.flac\t9"], "train.tsv:3: /c/2/a.flac and /c/1/a.wav would both be a"),
        (["a.wav\t9", "\t9"], "train.tsv:3: expected 'path<TAB>samples'"),
    ],
)
def test_ids_that_tables_cannot_hold_or_that_collide(
    tmp_path: Path, rows: list[str], message: str
) -> None:
    with pytest.raises(EntcompError, match=message):
        tsv_ids([put(tmp_path / "train.tsv", "/c", *rows)])


def test_ids_collide_across_manifests(tmp_path: Path) -> None:
    """LibriSpeech has no such names, but a folder a speaker with 001.wav in each is common."""
    tsvs = [put(tmp_path / f"{name}.tsv", f"/{name}", "001.wav\t9") for name in ("ann", "bob")]
    with pytest.raises(EntcompError, match=r"bob.tsv:2: /bob/001.wav and /ann/001.wav would both"):
        tsv_ids(tsvs)
    wavs = [Utterance("ann-1", "/ann/001.wav"), Utterance("bob-1", "/bob/001.wav")]
    assert tsv_ids(tsvs, wavs) == [["ann-1"], ["bob-1"]]


def test_segments_of_one_recording_cannot_be_told_apart(tmp_path: Path) -> None:
    tsv = put(tmp_path / "train.tsv", "/c", "a.wav\t9")
    parts = [Utterance("a-1", "/c/a.wav", 0, 1), Utterance("a-2", "/c/a.wav", 1, 2)]
    with pytest.raises(EntcompError, match=r"/c/a.wav is the recording of a-1 and of a-2"):
        tsv_ids([tsv], parts)


@pytest.mark.parametrize("key", ["good morning", "", "a\tb", "a\nb", "\u2003"])
def test_keys_that_tables_cannot_hold(tmp_path: Path, key: str) -> None:
    path = put(tmp_path / "part_1_of_1", json.dumps({"key": key, "code": [1]}))
    with pytest.raises(EntcompError, match=r"part_1_of_1:1: .* cannot be an utterance's id"):
        read("jsonl", path)


def test_byte_order_marks(tmp_path: Path) -> None:
    mark = "\ufeff"
    for kind, line in (("text", "a 1 2"), ("jsonl", '{"key": "a", "code": [1, 2]}')):
        assert read(kind, put(tmp_path / kind, mark + line)) == {"a": [1, 2]}
        other = line.replace("a", "b", 1) if kind == "text" else line.replace('"a"', '"b"')
        assert read(kind, put(tmp_path / kind, mark + line, other)) == {"a": [1, 2], "b": [1, 2]}
    km, tsv = put(tmp_path / "km", mark + "1 2"), put(tmp_path / "tsv", mark + "/c", "a.wav\t9")
    assert tsv_ids([tsv], [Utterance("u", "/c/a.wav")]) == [["u"]]
    assert read("km", km, ids={km: tsv_ids([tsv])[0]}) == {"a": [1, 2]}


@pytest.mark.parametrize(
    ("kind", "line", "message"),
    [
        (
            "text",
            "utt 1 x 2",
            r"units:2: not a line of --format text \(ValueError: 'x' is not a unit\)",
        ),
        ("text", "", r"units:2: not a line of --format text"),
        ("text", "utt 1.5", r"units:2: not a line of --format text"),
        ("jsonl", "utt 1 2", r"units:2: not a line of --format jsonl"),
        ("jsonl", '{"key": "utt"}', r"units:2: .*KeyError: 'code'"),
        ("jsonl", "[1, 2]", r"units:2: not a line of --format jsonl"),
        ("text", "good 1 1", r"units:2: good twice, with different units"),
        ("text", "utt 1 100", r"units:2: unit 100 is not one of 0..99 \(utterance utt\)"),
        ("text", "utt -1", r"units:2: unit -1 is not one of 0..99"),
        ("text", "utt", r"units:2: no units \(utterance utt\)"),
        ("jsonl", '{"key": "utt", "code": []}', r"units:2: no units"),
        ("jsonl", '{"key": "utt", "code": [[1], [2]]}', r"units:2: unit \[1\] is not one of"),
        ("jsonl", '{"key": "utt", "code": [1.0]}', r"units:2: unit 1.0 is not one of"),
    ],
)
def test_bad_line(tmp_path: Path, kind: str, line: str, message: str) -> None:
    good = "good 1" if kind == "text" else json.dumps({"key": "good", "code": [1]})
    path = put(tmp_path / "units", good, line)
    with pytest.raises(EntcompError, match=message):
        read(kind, path)


def test_bad_utterances_may_be_skipped(tmp_path: Path) -> None:
    path = put(tmp_path / "units", "a 1", "b 100", "c", "d 2")
    assert read("text", path, skip_bad=True) == {"a": [1], "d": [2]}
