"""Lists of non-linguistic symbols."""

from __future__ import annotations

from pathlib import Path

import pytest

from entcomp.errors import EntcompError
from entcomp.formats.nlsyms import read_nlsyms, remove_nlsyms


def test_a_list_is_read_as_espnet_writes_it(tmp_path: Path) -> None:
    path = tmp_path / "nlsyms.txt"
    path.write_text("\ufeff<NOISE>\r\n[laughs]\n\n  %hes \n", encoding="utf-8")
    assert read_nlsyms(path) == ["<NOISE>", "[laughs]", "%hes"]
    assert read_nlsyms(Path("none")) == []


def test_a_list_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "nlsyms.txt"
    path.write_bytes(b"\xff\xfe\xff")
    with pytest.raises(EntcompError, match=r"nlsyms\.txt: not UTF-8"):
        read_nlsyms(path)


@pytest.mark.parametrize(
    ("text", "symbols", "left"),
    [
        ("hello<noise>world", None, "hello world"),
        ("[laughter], yes", None, ", yes"),
        ("+hes+ one +1 c++ 1+1 a+b+c", None, "one +1 c++ 1+1 a+b+c"),
        ("<noise> <noise2>", ["<noise>"], "<noise2>"),
        ("<noise>", [], "<noise>"),
        ("NOISE NOISES xNOISE NOISE.", ["NOISE"], "NOISES xNOISE ."),
        ("ab a", ["a", "ab"], ""),
        ("a.c abc", ["a.c"], "abc"),
    ],
)
def test_marks_that_go(text: str, symbols: list[str] | None, left: str) -> None:
    assert " ".join(remove_nlsyms(text, symbols).split()) == left


def test_brackets_without_end_take_no_time() -> None:
    assert len(remove_nlsyms("[a" * 100_000 + "<a" * 100_000 + "{a" * 100_000)) == 600_000
    assert len(remove_nlsyms("+a" * 100_000)) > 0
