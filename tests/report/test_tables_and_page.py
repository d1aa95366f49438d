"""Tables in both forms, and pages that escape what they are given."""

from __future__ import annotations

from typing import Any

import pytest

from entcomp.report import page
from entcomp.report.boundary_scores import (
    by_rate,
    by_settings,
    describe_matching,
    markdown_page,
    score_tables,
)
from entcomp.report.tables import Table

TABLE = Table(["name", "F1"], [["a", "9.5"], ["bcdefg", "100.0"]])


def scores(f1: float | None) -> dict[str, Any]:
    names = ("precision", "recall", "f1", "r_value", "within_50ms")
    names += ("mean_absolute_deviation_ms", "mean_signed_deviation_ms")
    found: dict[str, Any] = dict.fromkeys(names, f1)
    return found | {"interval": {name: [f1, f1] for name in names}}


def result(tag: str, rate: float, f1: float | None = 0.5) -> dict[str, Any]:
    """F1 of 12.5% with references as intervals."""
    methods = {"segmentation": scores(f1), "uniform": scores(0.25), "random": scores(0.125)}
    methods = {name: one | {"dithered": scores(0.125)} for name, one in methods.items()}
    facts = {"tolerance": 0.02, "resolution": 0.01, "lenient": False, "shift": 0.0, "utterances": 7}
    facts |= {"alignments": "/data/exp/align/test", "speaker": None, "silences": None}
    return {"tag": tag, "criterion": tag, "rate": rate, "tiers": {"phones": methods}} | facts


def test_markdown_is_aligned() -> None:
    assert TABLE.markdown() == (
        "| name   |    F1 |\n| ------ | ----: |\n| a      |   9.5 |\n| bcdefg | 100.0 |\n"
    )


def test_html_table() -> None:
    html = Table(["<b>", "F1"], [["a & b", "1"]]).html()
    assert "<th>&lt;b&gt;</th>" in html and "<td>a &amp; b</td><td>1</td>" in html


def test_page_escapes_text_and_keeps_sections() -> None:
    html = page.render("a < b", "x & y", [page.section("<i>", page.paragraph("1 < 2"))])
    assert "<title>a &lt; b</title>" in html and "x &amp; y" in html
    assert "<h2>&lt;i&gt;</h2>\n<p>1 &lt; 2</p>" in html


def test_scores_as_a_table() -> None:
    dithered, table = score_tables([result("peak", 15.04)], "phones").values()
    (row,) = table.rows
    assert dict(zip(table.header, row, strict=True))["segmentation"] == "peak"
    assert row[1:8] == ["15.0", "50.0", "50.0", "50.0", "[50.0, 50.0]", "25.0", "12.5"]
    assert len(row) == len(table.header)
    assert dithered.header == table.header
    assert dithered.rows[0][1:6] == ["15.0", "12.5", "12.5", "12.5", "[12.5, 12.5]"]


def test_undefined_scores_are_blank() -> None:
    (row,) = score_tables([result("peak", 15, None)], "phones")["phones, plain"].rows
    assert row[-1] == row[-2] == ""


def test_finest_first_and_ties_by_name() -> None:
    results = [result("b", 7), result("c", 15), result("a", 7)]
    assert [one["tag"] for one in by_rate(results)] == ["c", "a", "b"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "7 utterances, TextGrids of align/test; boundaries agree within 20 ms, one-to-one."),
        ({"lenient": True, "tolerance": 0.05}, "within 50 ms, many-to-one (lenient)."),
        ({"shift": -0.01}, "one-to-one, boundaries shifted by -10 ms."),
        ({"speaker": "anna"}, "one-to-one, speaker anna alone."),
        ({"silences": ""}, "one-to-one, silences: none."),
    ],
)
def test_matching_in_words(changes: dict[str, Any], words: str) -> None:
    assert words in describe_matching(result("a", 7) | changes)


def test_markdown_page_has_two_tables_a_tier() -> None:
    one = result("a", 7)
    one["tiers"]["words"] = one["tiers"]["phones"]
    text = markdown_page("test", [one])
    assert text.startswith("## test\n") and text.count("\n| a ") == 4
    titles = [line for line in text.splitlines() if line.startswith("### ")]
    ways = ("references 10 ms wide", "plain")
    assert titles == [f"### {tier}, {way}" for tier in ("phones", "words") for way in ways]


@pytest.mark.parametrize(
    "changes",
    [
        {"lenient": True},
        {"tolerance": 0.05},
        {"resolution": 0.0},
        {"shift": 0.01},
        {"speaker": "anna"},
        {"silences": "sil,sp"},
        {"alignments": "/data/exp/align_mfa/test"},
        {"utterances": 6},
    ],
)
def test_scores_of_other_settings_stood_in_one_table(changes: dict[str, Any]) -> None:
    """And were described as those of the first row."""
    alike = [result("a", 15), result("b", 10)]
    other = result("c", 7) | changes
    assert by_settings([*alike, other]) == [alike, [other]]
    page = markdown_page("test", [*alike, other])
    assert page.index("\n| b ") < page.rindex(describe_matching(other)) < page.index("\n| c ")
