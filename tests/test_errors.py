"""What every error of a user's has in common."""

from __future__ import annotations

import pytest

from entcomp.errors import LONGEST_MESSAGE, EntcompError


@pytest.mark.parametrize(
    "quoted", ["a\nb", "\x1b[31mred", "\0", "\x85", "\u2028", "\ud800", "\x9b"]
)
def test_errors_that_quoted_a_damaged_file_were_no_line(quoted: str) -> None:
    message = str(EntcompError(f"text:3: {quoted} after b"))
    assert message.isprintable() and len(message.splitlines()) == 1
    assert message.startswith("text:3: ") and message.endswith(" after b")
    message.encode()


def test_an_error_of_100_kilobytes() -> None:
    message = str(EntcompError(f"text:1: expected 'key value', got {'[' * 100_000}; fix it"))
    assert len(message) < LONGEST_MESSAGE + 10
    assert message.startswith("text:1: expected") and message.endswith("; fix it")


def test_words_of_all_scripts_stay_as_they_are() -> None:
    assert str(EntcompError("मेरा नाम, naïve 名前")) == "मेरा नाम, naïve 名前"
