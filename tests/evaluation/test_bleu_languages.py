"""BLEU by language: codes as corpora write them, and tokenisers that are not installed."""

from __future__ import annotations

import re

import pytest
from sacrebleu.tokenizers import tokenizer_ja_mecab, tokenizer_ko_mecab

from entcomp.errors import EntcompError
from entcomp.evaluation.text.languages import MISTAKEN, language_of
from entcomp.evaluation.text.translation import bleu_tokenizer, translation_scores

CODES = {
    "zh": "zh zho chi cmn zh_TW zh-Hant zh-Hans-CN cmn_Hans_CN zho_Hant ZH zh_TW.UTF-8 yue nan-tw",
    "ja-mecab": "ja jpn ja_JP ja-JP jpn_Jpan",
    "ko-mecab": "ko kor ko_KR kor_Hang",
    "char": "th tha th_TH lo lao km khm_Khmr my mya bur bo bod tib dzo shn_Mymr",
    "13a": "en eng en_US pt-BR pt_BR por fr fra fre fr_CA de deu ger es-419 es spa it ru cs ces "
    "cze ar arb_Arab arz hi hin_Deva tr tur vi ceb ast fil tl ckb zh-Latn ja_Latn iw he",
}


@pytest.mark.parametrize(
    ("code", "tokenizer"), [(code, name) for name, codes in CODES.items() for code in codes.split()]
)
def test_codes_as_corpora_write_them(code: str, tokenizer: str) -> None:
    assert bleu_tokenizer(code) == tokenizer


def test_without_a_language_words_stand_between_spaces() -> None:
    assert bleu_tokenizer(None) == "13a"


@pytest.mark.parametrize(
    "code", ["zh_TW", "cmn", "zho", "zh-Hant", "yue", "th", "km_KH", "lo", "my"]
)
def test_equal_texts_without_spaces_score_100(code: str) -> None:
    """Equal Chinese texts of the code zh_TW scored 0, as one long word."""
    text = ["今天天气很好", "我们去公园散步"]
    bleu = translation_scores(text, text, code)["bleu"]
    assert bleu["score"] == pytest.approx(100)
    assert bleu["lang"] == code


@pytest.mark.parametrize(
    "code", ["xx", "cn", "jp", "kr", "chn", "jap", "english", "", "q-zh", "mul"]
)
def test_unknown_codes_are_refused(code: str) -> None:
    meant = f"did you mean {MISTAKEN[code]}" if code in MISTAKEN else "as fr, fra or fr_CA"
    with pytest.raises(EntcompError, match=f"'{re.escape(code)}' is not a known language.*{meant}"):
        translation_scores(["a"], ["a"], code)


@pytest.mark.parametrize(("code", "extra"), [("ja", "ja"), ("jpn", "ja"), ("ko_KR", "ko")])
def test_a_tokeniser_that_is_not_installed_is_named(
    monkeypatch: pytest.MonkeyPatch, code: str, extra: str
) -> None:
    for module in (tokenizer_ja_mecab, tokenizer_ko_mecab):
        monkeypatch.setattr(module, "MeCab", None)
    with pytest.raises(EntcompError, match=rf"'{code}'.*pip install 'sacrebleu\[{extra}\]'"):
        translation_scores(["a"], ["a"], code)


def test_one_language_has_one_name() -> None:
    for codes in ("zh zho chi cmn", "de deu ger", "fr fra fre", "he heb iw", "id ind in", "yue"):
        assert len({language_of(code) for code in codes.split()}) == 1
