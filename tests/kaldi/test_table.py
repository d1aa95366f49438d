from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entcomp.errors import EntcompError
from entcomp.kaldi.table import iter_table, read_table, write_table

KEYS = st.text(st.characters(exclude_categories=("Z", "C")), min_size=1, max_size=8)


def table(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_reads_values_with_spaces_and_tabs(tmp_path):
    path = table(tmp_path / "text", "a one two\nb\tthree  four \nc five\tsix\n")
    assert read_table(path) == {"a": "one two", "b": "three  four", "c": "five\tsix"}


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
