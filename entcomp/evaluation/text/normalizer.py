"""Text as it is compared: as given, or without case and punctuation."""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

Normalizer = Literal["none", "basic"]

# All but letters, digits, and apostrophes between letters: "it's", not "'tis".
NO_WORD = re.compile(r"[^\w']|_|(?<!\w)'|'(?!\w)")


def normalize(text: str, normalizer: Normalizer) -> str:
    """Apply a normaliser by name; white space is always collapsed.

    ``basic`` folds compatibility forms (NFKC) and case, and drops all but words: letters, digits,
    and apostrophes within them. A hyphen divides words.

    >>> normalize("It's  twenty-two, O'Neil!", "basic")
    "it's twenty two o'neil"
    """
    if normalizer == "basic":
        folded = unicodedata.normalize("NFKC", text).replace("’", "'").lower()
        text = NO_WORD.sub(" ", folded)
    return " ".join(text.split())
