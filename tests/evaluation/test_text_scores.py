"""WER, CER, BLEU and chrF: known numbers, intervals, and the command line."""

from __future__ import annotations

import json
from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from entcomp.cli.app import app
from entcomp.errors import EntcompError
from entcomp.evaluation.bootstrap import ratio_interval
from entcomp.evaluation.text.recognition import error_rates, write_trn
from entcomp.evaluation.text.scores import describe_scores, score_texts
from entcomp.evaluation.text.translation import translation_scores
from entcomp.kaldi.table import write_table


@pytest.mark.parametrize(
    ("reference", "hypothesis", "counts", "percent"),
    [
        ("a b c d", "a b c d", (0, 0, 0), 0.0),
        ("a b c d", "a x d", (1, 1, 0), 50.0),
        ("a b", "a b c d e", (0, 0, 3), 150.0),
        ("a b", "", (0, 2, 0), 100.0),
        ("A, b!", "a b", (0, 0, 0), 0.0),
    ],
)
def test_word_errors(
    reference: str, hypothesis: str, counts: tuple[int, ...], percent: float
) -> None:
    wer = error_rates([reference], [hypothesis], "basic")["wer"]
    assert (wer["substitutions"], wer["deletions"], wer["insertions"]) == counts
    assert wer["percent"] == percent


def test_character_errors_count_spaces() -> None:
    cer = error_rates(["ab cd"], ["abcx"], "basic")["cer"]
    assert (cer["reference_length"], cer["percent"]) == (5, 40.0)


def test_rates_are_over_all_words_not_over_utterances() -> None:
    wer = error_rates(["a b c", "d", ""], ["a b c", "x", "y"], "basic")["wer"]
    assert wer["percent"] == 50.0 and wer["utterances_with_errors"] == 2


words = st.lists(st.sampled_from("abc"), max_size=6).map(" ".join)


@given(st.lists(st.tuples(words, words), min_size=1, max_size=5))
def test_word_errors_are_the_edit_distance(pairs: list[tuple[str, str]]) -> None:
    def distance(one: list[str], other: list[str]) -> int:
        row = list(range(len(other) + 1))
        for i, word in enumerate(one, start=1):
            previous, row[0] = row[0], i
            for j, against in enumerate(other, start=1):
                change = previous + (word != against)
                previous, row[j] = row[j], min(change, row[j] + 1, row[j - 1] + 1)
        return row[-1]

    references, hypotheses = ([pair[side] for pair in pairs] for side in (0, 1))
    wer = error_rates(references, hypotheses, "none")["wer"]
    found = wer["substitutions"] + wer["deletions"] + wer["insertions"]
    assert found == sum(distance(one.split(), other.split()) for one, other in pairs)


def test_interval_is_that_of_a_binomial() -> None:
    """1000 utterances of one word, 20% wrong: standard error 1.26 points."""
    errors = (np.arange(1000) % 5 == 0).astype(float)
    low, high = ratio_interval(errors, np.ones(1000))
    assert low == pytest.approx(0.2 - 1.96 * 0.01265, abs=0.003)
    assert high == pytest.approx(0.2 + 1.96 * 0.01265, abs=0.003)
    assert ratio_interval(errors, np.ones(1000)) == (low, high)


def test_bleu_of_a_perfect_and_of_a_known_translation() -> None:
    text = ["the cat sat on the mat", "there is a cat on the mat"]
    perfect = translation_scores(text, text, "en")
    assert perfect["bleu"]["score"] == pytest.approx(100)
    assert perfect["chrf"]["score"] == pytest.approx(100)
    # 6/7 unigrams, 4/6 bigrams, 2/5 trigrams, 1/4 of four, no brevity penalty
    known = translation_scores(["a b c d e f g"], ["a b c d x f g"])["bleu"]
    expected = 100 * (6 / 7 * 4 / 6 * 2 / 5 * 1 / 4) ** 0.25
    assert known["score"] == pytest.approx(expected)


def test_signature_says_how_it_was_made() -> None:
    french = translation_scores(["il fait beau"], ["il fait beau"], "fr")
    assert "tok:13a" in french["bleu"]["signature"] and "version:" in french["bleu"]["signature"]
    assert "nc:6" in french["chrf"]["signature"]


def test_interval_of_bleu_holds_the_score() -> None:
    references = [f"this is sentence {index} of a longer text" for index in range(40)]
    hypotheses = [
        one.replace("longer", "long") if i % 3 else one for i, one in enumerate(references)
    ]
    bleu = translation_scores(references, hypotheses)["bleu"]
    low, high = bleu["interval"]
    assert low < bleu["score"] < high < low + 20


def test_bleu_of_resamples_without_any_match() -> None:
    """sacreBLEU's own bootstrap raised TypeError where some resamples score zero."""
    bleu = translation_scores(["a b c d e", "f g h i j"], ["a b c d e", "x x x x x"])["bleu"]
    assert bleu["interval"] == pytest.approx([0, 100])


@pytest.mark.parametrize(
    ("reference", "hypothesis", "nlsyms", "words"),
    [
        ("so <noise> I said", "so I said", None, 3),
        ("[laughter] yes {cough} +hes+ yes", "yes yes", None, 2),
        ("yes", "[MUSIC] yes <unk> ++noise++", None, 1),
        ("<foreign> bonjour </foreign> she said", "bonjour she said", None, 3),
        ("well, [background noise] yes", "well yes", None, 2),
        ("NOISE so [sic]", "so sic", ["NOISE"], 2),
        ("a%hesitation b %hesitation", "a b", ["%hesitation"], 2),
    ],
)
def test_marks_of_noises_are_no_words(
    reference: str, hypothesis: str, nlsyms: list[str] | None, words: int
) -> None:
    wer = error_rates([reference], [hypothesis], "basic", nlsyms=nlsyms)["wer"]
    assert (wer["percent"], wer["reference_length"]) == (0, words)


@pytest.mark.parametrize(
    "text", ["if a < b and c > d", "[1] see [ ]", "c++ and +1 +49 30", "a {} b"]
)
def test_what_is_no_mark_of_a_noise_counts(text: str) -> None:
    kept = "".join(one if one.isalnum() else " " for one in text).split()
    assert error_rates([text], [" ".join(kept)], "basic")["wer"]["percent"] == 0


def test_without_a_normalizer_only_named_marks_go() -> None:
    wer = error_rates(["so <noise> I"], ["so I"], "none")["wer"]
    assert (wer["deletions"], wer["reference_length"]) == (1, 3)
    wer = error_rates(["so <noise> I"], ["so I"], "none", nlsyms=["<noise>"])["wer"]
    assert (wer["percent"], wer["nlsyms"]) == (0, ["<noise>"])
    bleu = score_texts({"a": "a b <noise> c d e"}, {"a": "a b c d e"}, "bleu", nlsyms=["<noise>"])
    assert bleu["bleu"]["score"] == pytest.approx(100)


@pytest.mark.parametrize(("insertions", "percent"), [(0, 0.0), (1, 100.0), (2, 200.0)])
def test_only_empty_references_and_their_interval(insertions: int, percent: float) -> None:
    """They gave 200% [0, 0]."""
    scores = error_rates(["", " . "], ["", " ".join("x" * insertions)], "basic")
    assert scores["wer"]["percent"] == percent
    low, high = scores["wer"]["interval"]
    assert low <= percent <= high
    assert "2 utterances (2 with an empty reference)" in describe_scores(scores, "wer")[0]
    assert " of 0, " in describe_scores(scores, "wer")[0]


def test_some_empty_references_are_counted_and_said() -> None:
    scores = error_rates(["a b", "", "c"], ["a b", "x", "c"], "basic")
    assert scores["wer"]["empty_references"] == 1
    assert "3 utterances (1 with an empty reference)" in describe_scores(scores, "wer")[0]
    assert "empty" not in describe_scores(error_rates(["a"], ["a"], "basic"), "wer")[0]


def test_a_missing_hypothesis_is_an_error() -> None:
    with pytest.raises(EntcompError, match="no hypothesis for b"):
        score_texts({"a": "x", "b": "y"}, {"a": "x"}, "wer")
    with pytest.raises(EntcompError, match="no utterance"):
        score_texts({}, {"a": "x"}, "wer")


def test_counts_of_errors_that_were_made_on_purpose(tmp_path: Path) -> None:
    """Texts with about one error in eight words, too far apart to be explained otherwise."""
    generator = np.random.default_rng(0)
    references, hypotheses, made = [], [], Counter[str]()
    for _ in range(60):
        text = [str(one) for one in generator.choice(["one", "two", "it's", "vier"], 16)]
        wrong = text.copy()
        for place in (12, 3):
            kind = str(generator.choice(["deletions", "substitutions", "insertions", "none"]))
            changes = {"deletions": [], "substitutions": ["x"], "insertions": [text[place], "y"]}
            wrong[place : place + 1] = changes.get(kind, [text[place]])
            made[kind] += 1
        references.append(" ".join(text))
        hypotheses.append(" ".join(wrong))
    wer = error_rates(references, hypotheses, "none")["wer"]
    for kind in ("deletions", "substitutions", "insertions"):
        assert wer[kind] == made[kind] > 20, kind
    errors = 120 - made["none"]
    assert wer["reference_length"] == 960 and wer["percent"] == pytest.approx(100 * errors / 960)


@given(st.lists(st.sampled_from("abc"), max_size=8), st.lists(st.sampled_from("abc"), max_size=8))
def test_no_fewer_errors_explain_a_text(reference: list[str], hypothesis: list[str]) -> None:
    """Levenshtein's distance, by its definition."""

    @cache
    def distance(i: int, j: int) -> int:
        if i == 0 or j == 0:
            return i + j
        other = reference[i - 1] != hypothesis[j - 1]
        return min(distance(i - 1, j) + 1, distance(i, j - 1) + 1, distance(i - 1, j - 1) + other)

    wer = error_rates([" ".join(reference)], [" ".join(hypothesis)], "none")["wer"]
    errors = wer["deletions"] + wer["substitutions"] + wer["insertions"]
    assert errors == distance(len(reference), len(hypothesis))
    assert wer["insertions"] - wer["deletions"] == len(hypothesis) - len(reference)


def test_trn_is_what_sclite_reads(tmp_path: Path) -> None:
    write_trn(tmp_path / "hyp.trn", {"spk-1": "two words", "spk-2": ""})
    assert (tmp_path / "hyp.trn").read_text() == "two words (spk-1)\n (spk-2)\n"


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["score", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def test_score_command(tmp_path: Path) -> None:
    write_table(tmp_path / "ref", [("a", "Hello, world"), ("b", "good day to you")])
    write_table(tmp_path / "hyp", [("a", "hello word"), ("b", ""), ("c", "not in the set")])
    pair = ("--ref", tmp_path / "ref", "--hyp", tmp_path / "hyp")
    output = run(*pair, "--output", tmp_path / "scores.json")
    assert "WER 83.33%" in output and "1 sub, 4 del, 0 ins of 6" in output
    assert json.loads((tmp_path / "scores.json").read_text())["wer"]["normalizer"] == "basic"
    assert "WER 100.00%" in run(*pair, "--normalizer", "none")
    assert "BLEU" in run(*pair, "--metric", "bleu", "--lang", "fr")
    (tmp_path / "nlsyms.txt").write_text("hello\nHello\n\n")
    assert "of 5, " in run(*pair, "--nlsyms_txt", tmp_path / "nlsyms.txt")
    assert "of 6, " in run(*pair, "--nlsyms-txt", "none")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--metric", "ter"], "--metric ter: one of bleu, wer"),
        (["--normalizer", "all"], "--normalizer all: one of basic, none"),
        (["--hyp", "nowhere"], "nowhere: no such file"),
        (["--nlsyms_txt", "nowhere"], "nowhere: no such file of non-linguistic symbols"),
        (["--metric", "bleu", "--lang", "cn"], "'cn' is not a known language; .* did you mean zh?"),
        (["--lang", "english"], "'english' is not a known language; codes are those of ISO 639"),
    ],
)
def test_score_command_errors(tmp_path: Path, options: list[str], message: str) -> None:
    write_table(tmp_path / "ref", [("a", "x")])
    with pytest.raises(EntcompError, match=message):
        run("--ref", tmp_path / "ref", "--hyp", tmp_path / "ref", *options)
