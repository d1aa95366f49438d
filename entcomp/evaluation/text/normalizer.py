"""Text as it is compared: as given, or without case and punctuation."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Literal

import regex

from entcomp.evaluation.text.languages import language_of
from entcomp.formats.nlsyms import remove_nlsyms

Normalizer = Literal["none", "basic"]

# Words are letters and numbers of any script, each with the marks that belong to it (vowel signs,
# tones, accents), by Unicode's categories L, N and M. A mark without a letter is none.
LETTER = r"[\p{L}\p{N}][\p{M}\u200C\u200D]*"
# Within words: apostrophes, the dot of Catalan's l·l, and gershayim before a Hebrew letter.
JOINT = r"'|(?<=l)·(?=l)|(?<=\p{Hebrew})״(?=\p{Hebrew})"
WORD = regex.compile(rf"{LETTER}(?:(?:{JOINT})?{LETTER})*")

# Characters that only change how a word looks, such as soft hyphens, direction marks, variation
# selectors and the frames of keycaps; Armenian's stress and question marks, which stand on a
# vowel. A zero-width space (U+200B) divides words.
UNSEEN = regex.compile(r"(?V1)[\p{Default_Ignorable_Code_Point}--[\u200B-\u200D]]|[\p{Me}՛՜՞]")
# Joiners spell words next to a virama (U+200D also at the end: Malayalam's chillus), and between
# Arabic letters, as in Persian; elsewhere they only change how a word looks.
JOINER = regex.compile(
    r"(?:(?<=\p{ccc=9})(?:\u200D|\u200C(?=\p{L}))"
    r"|[\u200C\u200D](?=\p{ccc=9})"
    r"|(?<=\p{Arabic}\p{M}*)[\u200C\u200D](?=\p{Arabic}))(*SKIP)(*FAIL)"
    r"|[\u200C\u200D]"
)
# The typewriter's apostrophe stands for all others within words, and ״ for Hebrew's ".
APOSTROPHE = regex.compile(r"(?<=[\p{L}\p{M}\p{N}])[’‘ʼʻ׳՚](?=[\p{L}\p{N}])")
GERSHAYIM = regex.compile(r"(?<=\p{Hebrew}\p{M}*)\"(?=\p{Hebrew})")
# Thai's and Lao's vowel am, which NFKC takes apart.
AM = {"\u0e4d\u0e32": "\u0e33", "\u0ecd\u0eb2": "\u0eb3"}
DOTTED_I = frozenset({"tr", "az", "azj", "crh", "gag"})  # whose capitals are İ and I


def normalize(
    text: str,
    normalizer: Normalizer,
    lang: str | None = None,
    nlsyms: Sequence[str] | None = None,
) -> str:
    """Apply a normaliser by name; white space is always collapsed.

    ``basic`` folds compatibility forms (NFKC) and case, and drops all but words: letters, marks
    and numbers of any script, and apostrophes within words. A hyphen divides words; Chinese and
    other scripts without spaces are not divided. Case is lower case rather than folded, so that
    ß and final ς stay; ``lang`` (a code, as ``tr``) decides on the i of Turkish.

    ``nlsyms`` are non-linguistic symbols, which go; for None ``basic`` takes out whatever looks
    like one (`entcomp.formats.nlsyms.NLSYM`), and ``none`` nothing.

    >>> normalize("It's  twenty-two, O'Neil! [laughter]", "basic")
    "it's twenty two o'neil"
    """
    if nlsyms is not None or normalizer == "basic":
        text = remove_nlsyms(text, nlsyms)
    if normalizer == "basic":
        text = " ".join(WORD.findall(_folded(text, lang)))
    return " ".join(text.split())


def _folded(text: str, lang: str | None) -> str:
    """In lower case, with one spelling for what looks alike."""
    if text.isascii():
        return _lower(text, lang)
    text = GERSHAYIM.sub("״", APOSTROPHE.sub("'", text))
    text = unicodedata.normalize("NFKC", text)
    for apart, vowel in AM.items():
        text = text.replace(apart, vowel)
    return JOINER.sub("", UNSEEN.sub("", _lower(text, lang)))


def _lower(text: str, lang: str | None) -> str:
    if lang is not None and language_of(lang) in DOTTED_I:
        text = text.replace("I", "ı").replace("İ", "i")
    return text.lower().replace("i\u0307", "i")  # of İ, where the language is not known
