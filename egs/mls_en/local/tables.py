#!/usr/bin/env python3
"""Tables 1 to 13 of the paper as Markdown, each cell `ours / paper's`; `-` where there is none.

Ours are read from what the stages left in EXP; table 10 is of an experiment of its own, with 2000
clusters. WER and CER are of test_clean, BLEU of the test sets of CVSS-C reversed. Of voice
conversion, DistillMOS stands beside the paper's Q-MOS, the cosine of Resemblyzer's embeddings
beside its S-MOS (other scales both), and WER is Moonshine's. Latency is from waveform to text.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import corpus

from entcomp.files import read_json, write_text
from entcomp.report.tables import Table

TEST_SET = "test_clean"
MISSING = "-"
# The paper's CN, and the order of its columns.
LANGUAGES = ("zh", "fr", "es")
ERROR_RATES = ("wer_moonshine", "cer_moonshine")
VOICE_SCORES = ("distillmos", "similarity_reference", "wer_moonshine")


@dataclass(frozen=True)
class Figure:
    """One number: where in EXP ours lies, the way to it within that file, and the paper's."""

    file: str
    keys: tuple[str, ...]
    paper: float | None
    scale: float = 1.0
    places: int = 1

    def cell(self, exp: Path) -> str:
        ours = self._ours(exp)
        return f"{self._text(ours)} / {self._text(self.paper)}"

    def _ours(self, exp: Path) -> float | None:
        path = exp / self.file
        if not path.exists():
            return None
        value: Any = read_json(path)
        for key in self.keys:
            value = value[key] if value is not None and key in value else None
        return None if value is None else self.scale * value

    def _text(self, value: float | None) -> str:
        return MISSING if value is None else f"{value:.{self.places}f}"


Row = tuple[str, Sequence[Figure | None]]


@dataclass(frozen=True)
class PaperTable:
    """A table of the paper: rows of a label and a figure a column, None where it has none."""

    number: int
    title: str
    columns: tuple[str, ...]
    rows: Sequence[Row]

    def markdown(self, exp: Path) -> str:
        rows = [
            [label, *(figure.cell(exp) if figure else "" for figure in figures)]
            for label, figures in self.rows
        ]
        table = Table(["", *self.columns], rows).markdown()
        return f"### Table {self.number}: {self.title}\n\n{table}"


def asr(tag: str, wer: float, cer: float | None = None) -> list[Figure | None]:
    """WER and, where the paper has it, CER."""
    file = f"asr/{tag}/decode_{TEST_SET}/scores.json"
    cers = [Figure(file, ("cer", "percent"), cer)] if cer is not None else []
    return [Figure(file, ("wer", "percent"), wer), *cers]


def bleu(tag: str, paper: float, lang: str = "zh") -> Figure:
    file = f"st/{lang}_{tag}/decode_test_cvss_{lang}/scores.json"
    return Figure(file, ("bleu", "score"), paper)


def bleus(tag: str, *papers: float) -> list[Figure | None]:
    return [bleu(tag, paper, lang) for lang, paper in zip(LANGUAGES, papers, strict=True)]


def voice(tag: str, *papers: float, keys: Sequence[str] = VOICE_SCORES) -> list[Figure | None]:
    """Scores of converted speech; ``keys`` name them as score-vc does."""
    file = f"vc/scores/{TEST_SET}/scores.json"
    return [
        Figure(file, ("systems", tag, key, "percent"), paper)
        if key in ERROR_RATES
        else Figure(file, ("systems", tag, key, "mean"), paper, places=2)
        for key, paper in zip(keys, papers, strict=True)
    ]


def boundaries(tag: str, *papers: float) -> list[Figure | None]:
    """Rate, span in ms, shares of boundaries near a word's and a phone's, deviation in ms."""
    file = f"align_eval/{tag}/{TEST_SET}.json"
    words, phones = (("tiers", tier, "segmentation") for tier in ("words", "phones"))
    ways: list[tuple[tuple[str, ...], float]] = [
        (("rate",), 1.0),
        (("mean_span_ms",), 1.0),
        ((*words, "within_50ms"), 100.0),
        ((*phones, "within_50ms"), 100.0),
        ((*phones, "mean_absolute_deviation_ms"), 1.0),
    ]
    return [
        Figure(file, keys, paper, scale) for (keys, scale), paper in zip(ways, papers, strict=True)
    ]


def table_of_granularity() -> PaperTable:
    asrs = {"24": (6.4, 3.5), "15": (5.6, 2.9), "7": (6.8, 3.6)}
    translations = {"24": 30.1, "15": 31.5, "7": 31.0}
    voices = {
        "24": (6.7, 3.7, 4.10, 3.95, 3.98),
        "15": (7.3, 4.2, 3.82, 3.76, 3.80),
        "7": (7.8, 4.5, 3.68, 3.58, 3.61),
    }
    keys = (*ERROR_RATES, "distillmos", "similarity_reference", "utmos")
    rows: list[Row] = []
    for rate in asrs:
        tag = f"rate{rate}_global"
        spoken = voice(tag, *voices[rate], keys=keys)
        rows.append((f"{rate} Hz, ASR", [*asr(tag, *asrs[rate]), None, None, None, None]))
        rows.append((f"{rate} Hz, VC", [*spoken[:2], None, *spoken[2:]]))
        translated = bleu(tag, translations[rate])
        rows.append((f"{rate} Hz, ST", [None, None, translated, None, None, None]))
    columns = ("WER (%)", "CER (%)", "BLEU en-zh", "Q-MOS", "S-MOS", "UTMOS")
    return PaperTable(1, "three rates in three tasks", columns, rows)


def tables_of_recognition() -> Iterator[PaperTable]:
    both = ("WER (%)", "CER (%)")
    rows: list[Row] = [
        ("M1: global", asr("rate15_global", 5.8, 3.1)),
        ("M2: relative", asr("rate15_relative", 6.3, 3.4)),
        ("M3: combined", asr("rate15_combined", 5.9, 3.2)),
    ]
    yield PaperTable(2, "ASR at 15 Hz by criterion", both, rows)
    rows = [
        ("HuBERT, 50 Hz", asr("raw", 6.2, 3.3)),
        ("deduplicated, 26 Hz", asr("dedup", 5.9, 3.1)),
        ("entropy, 15 Hz", asr("rate15_global", 5.6, 2.9)),
        ("fixed 2, 25 Hz", asr("fixed2_max", 6.4, 3.5)),
        ("entropy, 7 Hz", asr("rate7_global", 10.5, 6.2)),
        ("fixed 4, 12.5 Hz", asr("fixed4_max", 6.8, 3.6)),
    ]
    yield PaperTable(3, "ASR by stream", both, rows)
    rows = [
        ("max", asr("rate15_global_max", 6.4, 3.4)),
        ("average", asr("rate15_global_average", 6.8, 3.6)),
        ("attention", asr("rate15_global_attention", 6.1, 3.3)),
        ("CALE", asr("rate15_global", 5.6, 2.9)),
    ]
    yield PaperTable(7, "ASR at 15 Hz by pooling", both, rows)
    rows = [
        ("entropy, 15 Hz", asr("rate15_global", 5.6, 2.9)),
        ("fixed 2, max", asr("fixed2_max", 6.4, 3.5)),
        ("fixed 2, average", asr("fixed2_average", 6.7, 3.8)),
        ("fixed 2, attention", asr("fixed2_attention", 6.2, 3.4)),
        ("fixed 4, max", asr("fixed4_max", 6.8, 3.6)),
        ("fixed 4, average", asr("fixed4_average", 7.2, 3.9)),
        ("fixed 4, attention", asr("fixed4_attention", 6.6, 3.5)),
    ]
    yield PaperTable(12, "ASR by pooling of fixed windows", both, rows)


def tables_of_translation() -> Iterator[PaperTable]:
    columns = tuple(f"en-{lang}" for lang in LANGUAGES)
    rows: list[Row] = [
        ("HuBERT, 50 Hz", bleus("raw", 28.2, 28.5, 29.3)),
        ("deduplicated, 26 Hz", bleus("dedup", 29.8, 30.2, 30.7)),
        ("entropy, 7 Hz", bleus("rate7_global", 31.0, 30.3, 30.8)),
        ("entropy, 15 Hz", bleus("rate15_global", 31.5, 30.9, 31.6)),
        ("fixed 2, 25 Hz", bleus("fixed2_max", 27.3, 26.5, 28.0)),
        ("fixed 4, 12.5 Hz", bleus("fixed4_max", 25.4, 24.1, 25.6)),
    ]
    yield PaperTable(4, "BLEU by stream", columns, rows)
    rows = [
        ("max", bleus("rate15_global_max", 30.1, 29.4, 29.8)),
        ("average", bleus("rate15_global_average", 29.2, 28.5, 29.1)),
        ("attention", bleus("rate15_global_attention", 30.8, 30.2, 30.7)),
        ("CALE", bleus("rate15_global", 31.5, 30.9, 31.6)),
    ]
    yield PaperTable(9, "BLEU at 15 Hz by pooling", columns, rows)


def tables_of_voices() -> Iterator[PaperTable]:
    columns = ("Q-MOS", "S-MOS", "WER (%)")
    rows: list[Row] = [
        ("HuBERT, 50 Hz", voice("raw", 3.89, 3.75, 6.2)),
        ("deduplicated, 26 Hz", voice("dedup", 4.12, 3.95, 6.7)),
        ("entropy, 15 Hz", voice("rate15_global", 3.85, 3.78, 6.4)),
        ("entropy, 7 Hz", voice("rate7_global", 3.33, 3.27, 9.1)),
        ("fixed 2, 25 Hz", voice("fixed2_max", 3.61, 3.52, 7.4)),
        ("fixed 4, 12.5 Hz", voice("fixed4_max", 3.25, 3.12, 9.9)),
    ]
    yield PaperTable(5, "voice conversion by stream", columns, rows)
    rows = [
        ("max", voice("rate24_global_max", 4.02, 3.88, 7.1)),
        ("average", voice("rate24_global_average", 3.97, 3.85, 7.4)),
        ("attention", voice("rate24_global_attention", 4.06, 3.92, 6.9)),
        ("CALE", voice("rate24_global", 4.10, 3.95, 6.7)),
    ]
    yield PaperTable(8, "voice conversion at 24 Hz by pooling", columns, rows)


def table_of_latency() -> PaperTable:
    papers = {
        "HuBERT, 50 Hz": ("raw", 172),
        "deduplicated, 26 Hz": ("dedup", 148),
        "fixed 2, 25 Hz": ("fixed2_max", 103),
        "entropy, 15 Hz": ("rate15_global", 120),
        "entropy, 7 Hz": ("rate7_global", 89),
    }
    rows: list[Row] = []
    for label, (tag, paper) in papers.items():
        keys = ("models", f"asr/{tag}", "milliseconds", "total", "p50")
        rows.append((label, [Figure("latency.json", keys, paper)]))
    return PaperTable(6, "ASR latency by stream", ("median (ms)",), rows)


def table_of_clusters() -> PaperTable:
    rows: list[Row] = [
        ("24 Hz", [*asr("rate24_global", 4.5, 2.7), bleu("rate24_global", 31.7)]),
        ("15 Hz", [*asr("rate15_global", 3.9, 2.4), bleu("rate15_global", 33.2)]),
        ("7 Hz", [*asr("rate7_global", 5.8, 3.1), bleu("rate7_global", 32.1)]),
    ]
    return PaperTable(10, "2000 clusters", ("WER (%)", "CER (%)", "BLEU en-zh"), rows)


def table_of_boundaries() -> PaperTable:
    rows: list[Row] = [
        ("deduplicated", boundaries("dedup", 26, 38, 11.4, 32.7, 42.3)),
        ("24 Hz", boundaries("rate24_global", 24, 42, 18.9, 35.3, 38.7)),
        ("15 Hz", boundaries("rate15_global", 15, 67, 22.6, 83.2, 15.8)),
        ("7 Hz", boundaries("rate7_global", 7, 143, 89.7, 28.1, 28.6)),
    ]
    columns = ("rate (Hz)", "span (ms)", "words (%)", "phones (%)", "deviation (ms)")
    return PaperTable(11, "boundaries within 50 ms of MFA's", columns, rows)


def table_of_criteria() -> PaperTable:
    papers = {
        ("24", "global"): (6.4, 30.1),
        ("24", "relative"): (7.0, 29.4),
        ("24", "combined"): (6.3, 30.3),
        ("15", "global"): (5.8, 31.5),
        ("15", "relative"): (6.3, 30.2),
        ("15", "combined"): (5.9, 31.2),
        ("7", "global"): (6.8, 31.0),
        ("7", "relative"): (7.5, 29.8),
        ("7", "combined"): (7.0, 31.2),
    }
    rows: list[Row] = []
    for (rate, criterion), (wer, score) in papers.items():
        tag = f"rate{rate}_{criterion}"
        rows.append((f"{rate} Hz, {criterion}", [*asr(tag, wer), bleu(tag, score)]))
    return PaperTable(13, "criteria at three rates", ("WER (%)", "BLEU en-zh"), rows)


def tables() -> Iterable[PaperTable]:
    """The tables of EXP in the paper's order; table 10 apart, which is of another experiment."""
    found = [*tables_of_recognition(), *tables_of_translation()]
    found += [*tables_of_voices(), table_of_granularity()]
    found += [table_of_latency(), table_of_boundaries(), table_of_criteria()]
    return sorted(found, key=lambda table: table.number)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("exp", type=Path)
    parser.add_argument("--exp-k2000", type=Path, help="an experiment with 2000 clusters")
    arguments = parser.parse_args()
    parts = [table.markdown(arguments.exp) for table in tables()]
    if arguments.exp_k2000:
        parts.append(table_of_clusters().markdown(arguments.exp_k2000))
    page = "\n".join(parts)
    write_text(arguments.exp / "tables.md", page)
    print(page)


if __name__ == "__main__":
    corpus.run(main)
