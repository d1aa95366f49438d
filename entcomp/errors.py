"""Errors that a user can fix."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class EntcompError(Exception):
    """A mistake in the input or the call.

    The message is one line that names the file, the utterance where there is one, and the remedy.
    The command line prints it and exits with 1; ``--debug`` shows the traceback as well.
    """

    def __str__(self) -> str:
        """Names of files may hold line breaks, escape codes, no UTF-8: these as ``\\x1b``."""
        return "".join(one if one.isprintable() else _escaped(one) for one in super().__str__())


def _escaped(character: str) -> str:
    if "\udc80" <= character <= "\udcff":  # how Python holds a byte that is not UTF-8
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()


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
