"""The normaliser `basic`: every script keeps what its words are made of."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entcomp.errors import EntcompError
from entcomp.evaluation.text.normalizer import normalize
from entcomp.evaluation.text.recognition import error_rates

ZWNJ, ZWJ, ZWSP = "\u200c", "\u200d", "\u200b"

# Language, a text as people write it, and its words.
SCRIPTS = [
    ("English", "It's  twenty-two, O'Neil!", "it's twenty two o'neil"),
    ("English quotes", "‘quoted’ ’tis don’t", "quoted tis don't"),
    ("French", "Élan vital; ÇA VA? L’été", "élan vital ça va l'été"),
    ("German", "Die Straße, STRASSE; GROẞ", "die straße strasse groß"),
    ("German, soft hyphen", "Donau\u00addampf\u00adschiff", "donaudampfschiff"),
    ("Greek", "ΟΔΟΣ, Ὀδυσσεύς!", "οδος ὀδυσσεύς"),
    ("Catalan", "Col·lecció d'art", "col·lecció d'art"),
    ("Vietnamese", "Tiếng Việt, Đà Nẵng.", "tiếng việt đà nẵng"),
    ("Vietnamese, decomposed", unicodedata.normalize("NFD", "Tiếng Việt"), "tiếng việt"),
    ("Yoruba", "Ọ̀rẹ́ mi, ẹ káàárọ̀!", "ọ̀rẹ́ mi ẹ káàárọ̀"),
    ("Hawaiian", "ʻŌlelo Hawaiʻi", "ʻōlelo hawai'i"),
    ("Uzbek", "O‘zbekiston Oʻzbekiston O'zbekiston", "o'zbekiston o'zbekiston o'zbekiston"),
    ("Ukrainian", "Дʼякую, д’якую; п'ять!", "д'якую д'якую п'ять"),
    ("Russian", "Ёлка — «замо́к».", "ёлка замо́к"),
    ("Hindi", "मेरा नाम राम है। क्या हाल?", "मेरा नाम राम है क्या हाल"),
    ("Marathi", "मराठी भाषा, हिंदी!", "मराठी भाषा हिंदी"),
    ("Bengali", f"বাংলা ভাষা। র{ZWJ}্যাব", f"বাংলা ভাষা র{ZWJ}্যাব"),
    ("Tamil", "தமிழ் மொழி; வணக்கம்!", "தமிழ் மொழி வணக்கம்"),
    ("Telugu", "తెలుగు భాష.", "తెలుగు భాష"),
    ("Kannada", f"ರ{ZWJ}್ಯಾಂಕ್, ಕನ್ನಡ", f"ರ{ZWJ}್ಯಾಂಕ್ ಕನ್ನಡ"),
    ("Malayalam", f"മലയാളം, അവന്{ZWJ}.", f"മലയാളം അവന്{ZWJ}"),
    ("Sinhala", f"ශ්{ZWJ}රී ලංකා", f"ශ්{ZWJ}රී ලංකා"),
    ("Punjabi", "ਪੰਜਾਬੀ, ਸਤਿ ਸ੍ਰੀ ਅਕਾਲ", "ਪੰਜਾਬੀ ਸਤਿ ਸ੍ਰੀ ਅਕਾਲ"),
    ("Thai", "น้ำใจ, ที่นี่ (๑๒)", "น้ำใจ ที่นี่ ๑๒"),
    ("Lao", "ນ້ຳ, ພາສາລາວ", "ນ້ຳ ພາສາລາວ"),
    ("Khmer", f"ភាសា{ZWSP}ខ្មែរ។", "ភាសា ខ្មែរ"),
    ("Burmese", "မြန်မာဘာသာ။", "မြန်မာဘာသာ"),
    ("Tibetan", "བོད་ཡིག།", "བོད ཡིག"),
    ("Javanese", "ꦲꦏ꧀ꦱꦫꦗꦮ", "ꦲꦏ꧀ꦱꦫꦗꦮ"),
    ("Arabic", "العَرَبِيَّةُ، لُغَة؟", "العَرَبِيَّةُ لُغَة"),
    ("Urdu", "اُردُو زبان۔", "اُردُو زبان"),
    ("Persian", f"می{ZWNJ}خواهم، کتاب{ZWNJ}ها{ZWNJ}.", f"می{ZWNJ}خواهم کتاب{ZWNJ}ها"),
    ("Hebrew", 'שָׁלוֹם, צה"ל צה״ל צ׳יפס', "שָׁלוֹם צה״ל צה״ל צ'יפס"),
    ("Armenian", "Ի՞նչ, այո՛։", "ինչ այո"),
    ("Georgian", "ᲡᲐᲥᲐᲠᲗᲕᲔᲚᲝ, ქართული", "საქართველო ქართული"),
    ("Amharic", "አማርኛ፡ሰላም።", "አማርኛ ሰላም"),
    ("Chinese", "今天，天气很好。", "今天 天气很好"),
    ("Japanese", "がっこう、スーパー！ 人々", "がっこう スーパー 人々"),
    ("Korean", "안녕하세요, 한국어!", "안녕하세요 한국어"),
    ("Korean, decomposed", unicodedata.normalize("NFD", "한국어"), "한국어"),
    ("emoji", f"ok ❤️ 1️⃣ 👨{ZWJ}👩{ZWJ}👧 👍🏽!", "ok 1"),
    (
        "joiners without a meaning",
        f"co{ZWNJ}op \ufeffzero\u2060width \u200fמה\u200e",
        "coop zerowidth מה",
    ),
    ("numbers and symbols", "snake_case 3.5 % ﬁne １２ ½ C++", "snake case 3 5 fine 12 1 2 c"),
    ("nothing", " . \u0301 ’ ", ""),
]


@pytest.mark.parametrize(
    ("text", "words"), [one[1:] for one in SCRIPTS], ids=[s[0] for s in SCRIPTS]
)
def test_scripts_keep_their_marks_and_words_are_not_split(text: str, words: str) -> None:
    assert normalize(text, "basic") == words
    assert normalize(words, "basic") == words


@pytest.mark.parametrize(
    ("reference", "hypothesis"),
    [
        ("मेरा नाम राम है", "मेरी नामा रामू हो"),  # Hindi vowel signs
        ("বাংলা ভাষা", "বাংলি ভাষি"),
        ("தமிழ் மொழி", "தமிழா மொழு"),
        ("ที่ นี้", "ที นี"),  # Thai tones
        ("كَتَبَ", "كُتِبَ"),  # he wrote, it was written
        ("ọ̀rẹ́ mi", "ọrẹ mí"),
        ("schöne straße", "schone strase"),
    ],
)
def test_other_vowel_signs_and_tones_are_other_words(reference: str, hypothesis: str) -> None:
    """Four wrong words of eight scored 0% when marks were dropped."""
    assert error_rates([reference], [hypothesis], "basic")["wer"]["percent"] == 100


@pytest.mark.parametrize(
    ("lang", "words"),
    [
        (None, "istanbul işik iyi"),
        ("en", "istanbul işik iyi"),
        ("tr", "istanbul ışık iyi"),
        ("tur", "istanbul ışık iyi"),
        ("az-Latn-AZ", "istanbul ışık iyi"),
    ],
)
def test_the_dotted_i_of_turkish_is_a_matter_of_language(lang: str | None, words: str) -> None:
    assert normalize("İstanbul IŞIK iyi", "basic", lang) == words


def test_a_language_that_is_not_known_is_refused() -> None:
    with pytest.raises(EntcompError, match="'qqq' is not a known language"):
        normalize("x", "basic", "qqq")


def test_no_normalizer_collapses_space_only() -> None:
    assert normalize("  A,\tb <noise> ", "none") == "A, b <noise>"


@given(st.text(max_size=60))
def test_basic_twice_is_basic_once(text: str) -> None:
    once = normalize(text, "basic")
    assert normalize(once, "basic") == once


letters = st.characters(categories=["L", "M", "N"], max_codepoint=0x1FFFF)


@given(st.text(letters, min_size=1, max_size=20))
def test_no_letter_mark_or_number_divides_a_word(text: str) -> None:
    assert len(normalize(f"a{text}b", "none").split()) == 1
    folded = unicodedata.normalize("NFKC", f"a{text}b")
    if all(unicodedata.category(one)[0] in "LMN" for one in folded):
        assert " " not in normalize(f"a{text}b", "basic")


latin = st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="_<>[]{}+")


@given(st.text(latin, max_size=60))
def test_english_is_as_it_always_was(text: str) -> None:
    was = re.sub(r"[^\w']|(?<!\w)'|'(?!\w)", " ", text.lower())
    assert normalize(text, "basic") == " ".join(was.split())
