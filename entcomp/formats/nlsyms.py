"""Non-linguistic symbols of transcripts: ``<noise>``, ``[laughter]``, ``{cough}``, ``+hes+``.

They stand for what is no word. ESPnet lists them in a file, ``--nlsyms_txt``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from entcomp.errors import EntcompError

# What looks like one. It begins with a letter, so that "[1]", "a < b > c" and "c++" are none.
# <foreign> ... </foreign> are two of them around words.
NLSYM = re.compile(
    r"</?[^\W\d_](?:[^<>]*[^\s<>])?>"
    r"|\[[^\W\d_][^\[\]]*\]"
    r"|\{[^\W\d_][^{}]*\}"
    r"|(?<![\w+])\+{1,2}[^\W\d_][^\s+]*\+{1,2}(?![\w+])"
)
NOTHING = re.compile(r"(?!)")


def read_nlsyms(path: Path) -> list[str]:
    """Symbols of a file, one a line; none for the name ``none``, as in ESPnet.

    Raises EntcompError if there is no such file, or it is not UTF-8.
    """
    if str(path) == "none":
        return []
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise EntcompError(f"{path}: no such file of non-linguistic symbols") from None
    except UnicodeDecodeError:
        raise EntcompError(f"{path}: not UTF-8; convert it, as by iconv") from None
    return [line.strip() for line in lines if line.strip()]


def remove_nlsyms(text: str, symbols: Iterable[str] | None = None) -> str:
    """Replace ``symbols`` by spaces; for None, whatever looks like one (`NLSYM`).

    >>> remove_nlsyms("so <noise> I [laughter] said +hes+ yes", None).split()
    ['so', 'I', 'said', 'yes']
    >>> remove_nlsyms("NOISE so <noise> I", ["NOISE"]).split()
    ['so', '<noise>', 'I']
    """
    pattern = NLSYM if symbols is None else _any_of(tuple(symbols))
    return pattern.sub(" ", text)


@lru_cache(maxsize=16)
def _any_of(symbols: tuple[str, ...]) -> re.Pattern[str]:
    """The longest symbol first; one that begins or ends with a letter is no part of a word."""
    if not symbols:
        return NOTHING
    longest_first = sorted(symbols, key=len, reverse=True)
    return re.compile("|".join(map(_alone, longest_first)))


def _alone(symbol: str) -> str:
    before = r"(?<!\w)" if symbol[0].isalnum() else ""
    after = r"(?!\w)" if symbol[-1].isalnum() else ""
    return before + re.escape(symbol) + after
