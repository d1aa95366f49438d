"""Errors that a user can fix."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

LONGEST_MESSAGE = 1000  # characters; the middle of what is longer goes


class EntcompError(Exception):
    """A mistake in the input or the call.

    The message is one line that names the file, the utterance where there is one, and the remedy.
    The command line prints it and exits with 1; ``--debug`` shows the traceback as well.
    """

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


class LackingError(EntcompError):
    """The input of a command is missing for a set, which is skipped unless the user named it."""


def printable(text: str) -> str:
    """One line that a terminal can show, whatever of a damaged file it quotes.

    >>> print(printable("a" + chr(10) + "b"))
    a\\nb
    """
    if len(text) > LONGEST_MESSAGE:
        half = LONGEST_MESSAGE // 2
        text = f"{text[:half]} ... {text[-half:]}"
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def reason_of(error: BaseException) -> str:
    """What another library's error says, in a line of 200 letters at most; its kind if nothing."""
    return " ".join(str(error).split())[:200] or type(error).__name__


@contextmanager
def naming_missing_packages(what: str) -> Iterator[None]:
    """Raises EntcompError for a Python package that ``what`` needs and that is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("", "entcomp"):
            raise
        raise EntcompError(f"{what}: needs the Python package {package}; install it") from None
