"""The tiers of a TextGrid in Praat's text format, long or short.

Our own reader, as the libraries lose what they cannot read: praatio stops at 1e-05, at overlaps and
at intervals of no length, and like tgt takes a file that breaks off for a complete one; textgrid
drops intervals of no length. Praat itself (parselmouth) reads all, but is 36 MB under the GPL.
"""

from __future__ import annotations

import codecs
import math
import re
from collections.abc import Iterator

Span = tuple[float, float, str]

# All that Praat itself looks at is numbers and quoted texts that stand alone; the words around them
# are for people. Within a text, "" is a quotation mark; ! begins a comment.
TOKEN = re.compile(r'"(?P<text>[^"]*(?:""[^"]*)*)"|(?P<open>")|!.*|(?P<word>[^\s="]+)')
NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
ENCODINGS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def decode_praat(content: bytes) -> str:
    """The text of a file, in UTF-16 if it says so, else in UTF-8. Raises ValueError."""
    if content.startswith(b"ooBinaryFile"):
        raise ValueError("Praat's binary format; save it as text")
    encoding = next((name for mark, name in ENCODINGS if content.startswith(mark)), "utf-8")
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start} is not {encoding}; save it as UTF-8") from None


def parse_textgrid(text: str) -> tuple[float, float, list[tuple[str, list[Span]]]]:
    """Start and end in seconds, and the interval tiers; tiers of points are left out.

    Intervals are given as they stand, whatever their times. Raises ValueError, which names the
    line, for what is no TextGrid or breaks off.
    """
    values = _Values(text)
    if not values.text().startswith("ooTextFile") or values.text() != "TextGrid":
        raise ValueError('does not begin with "ooTextFile" and "TextGrid"')
    start, end = values.number(), values.number()
    tiers = []
    for _ in range(values.count("tiers")):
        kind, name = values.text(), values.text()
        if kind not in ("IntervalTier", "TextTier"):
            raise ValueError(f"{values.where()}: a tier of the unknown class {kind[:30]!r}")
        values.number(), values.number()  # its own start and end
        size = values.count("intervals")
        if kind == "IntervalTier":
            spans = [(values.number(), values.number(), values.text()) for _ in range(size)]
            tiers.append((name, spans))
        else:
            for _ in range(size):
                values.number(), values.text()
    values.finish()
    return start, end, tiers


class _Values:
    """Numbers and texts of a file, in order. Raises ValueError for what is not next."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._place = 0
        self._next = self._scan()

    def text(self) -> str:
        value = next(self._next, None)
        if not isinstance(value, str):
            raise self._not("a text", value)
        return value

    def number(self) -> float:
        value = next(self._next, None)
        if not isinstance(value, float) or not math.isfinite(value):
            raise self._not("a number", value)
        return value

    def count(self, things: str) -> int:
        """How many ``things`` the file says will follow; nothing is set aside for them."""
        value = self.number()
        if value < 0 or value != int(value):
            raise self._not(f"how many {things} there are", value)
        return int(value)

    def finish(self) -> None:
        value = next(self._next, None)
        if value is not None:
            raise self._not("the end", value)

    def where(self) -> str:
        return f"line {self._text.count(chr(10), 0, self._place) + 1}"

    def _scan(self) -> Iterator[str | float]:
        for found in TOKEN.finditer(self._text):
            self._place = found.start()
            if found["open"]:
                raise ValueError(f"{self.where()}: a quotation mark that nothing closes")
            if found["text"] is not None:
                yield found["text"].replace('""', '"').strip()
            elif found["word"] and NUMBER.fullmatch(found["word"]):
                yield float(found["word"])

    def _not(self, expected: str, value: str | float | None) -> ValueError:
        if value is None:
            return ValueError(f"it breaks off where {expected} should follow")
        shown = repr(value[:30]) if isinstance(value, str) else f"{value:g}"
        return ValueError(f"{self.where()}: {shown} where {expected} should stand")
