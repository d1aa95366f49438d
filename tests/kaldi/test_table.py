from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entcomp.errors import EntcompError
from entcomp.kaldi.table import iter_table, join, read_table, write_table

KEYS = st.text(st.characters(exclude_categories=("Z", "C")), min_size=1, max_size=8)


def table(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_reads_values_with_spaces_and_tabs(tmp_path):
    path = table(tmp_path / "text", "a one two\nb\tthree  four \nc five\tsix\n")
    assert read_table(path) == {"a": "one two", "b": "three  four", "c": "five\tsix"}


@pytest.mark.parametrize("text", ["a one", "a one\n", "a one\nb two\n"])
def test_a_byte_order_mark_is_no_part_of_the_first_id(tmp_path, text):
    assert next(iter_table(table(tmp_path / "text", "\ufeff" + text))) == ("a", "one")


@pytest.mark.parametrize("key", ["", "good morning", "a\tb", "a\u00a0b", "a\nb", "a\rb", "a\0"])
def test_ids_that_no_table_holds_are_not_written(tmp_path, key):
    with pytest.raises(EntcompError, match="cannot be an utterance's id"):
        write_table(tmp_path / "text", [(key, "x")])
    assert list(tmp_path.iterdir()) == []


@given(st.dictionaries(KEYS, st.text(st.characters(categories=("L", "N")), min_size=1)))
def test_round_trip_in_the_order_of_lc_all_c(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("table") / "text"
    write_table(path, rows.items())
    assert read_table(path) == rows
    assert [key for key, _ in iter_table(path)] == sorted(rows, key=lambda key: key.encode())


def test_order_is_that_of_sort(tmp_path):
    path = tmp_path / "text"
    write_table(path, [(key, "x") for key in ("a_b", "aB", "a-b", "é", "ab", "Z", "😀", "\uffee")])
    check = subprocess.run(["sort", "-c", path], env={"LC_ALL": "C"}, check=False)
    assert check.returncode == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a x\na y\n", r"text:2: duplicate id a"),
        ("b x\na y\n", r"text:2: a after b; run LC_ALL=C sort -o"),
        ("a x\nb\n", r"text:2: expected 'key value'"),
        ("a x\n\nb y\n", r"text:2: expected 'key value'"),
    ],
)
def test_refuses(tmp_path, text, message):
    with pytest.raises(EntcompError, match=message):
        read_table(table(tmp_path / "text", text))


def test_refuses_what_is_not_there_or_not_utf8(tmp_path):
    with pytest.raises(EntcompError, match="no such file"):
        read_table(tmp_path / "text")
    (tmp_path / "text").write_bytes(b"a \xff\n")
    with pytest.raises(EntcompError, match="not UTF-8"):
        read_table(tmp_path / "text")


def test_empty_values_where_asked_for(tmp_path):
    path = table(tmp_path / "text", "a x\nb\n")
    assert read_table(path, empty_values=True) == {"a": "x", "b": ""}


def test_join_finds_each_key_in_every_table():
    left = [("b", 1), ("c", 2), ("e", 3)]
    first, second = [("a", 0), ("b", 7), ("e", 9), ("f", 0)], [("c", "x", "y")]
    assert list(join(left, first, second)) == [
        (("b", 1), ("b", 7), None),
        (("c", 2), None, ("c", "x", "y")),
        (("e", 3), ("e", 9), None),
    ]
    assert list(join([], first)) == []


@given(st.dictionaries(KEYS, st.integers()), st.dictionaries(KEYS, st.integers()))
def test_join_is_a_lookup(left, right):
    rows = join(sorted(left.items()), sorted(right.items()))
    assert [(key, other and other[1]) for (key, _), other in rows] == [
        (key, right.get(key)) for key in sorted(left)
    ]


def test_join_finds_faults_behind_the_last_key(tmp_path):
    broken = table(tmp_path / "text", "a x\nb y\nb z\n")
    with pytest.raises(EntcompError, match="text:3: duplicate id b"):
        list(join([("a", 1)], iter_table(broken)))
