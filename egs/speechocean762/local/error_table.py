#!/usr/bin/env python3
"""Error rates of every stream over all seeds, beside those of the raw units: a Markdown table.

    local/error_table.py DATA EXP SET

Reads EXP/asr/<stream>_seed<N>/decode_SET. An utterance's errors are averaged over seeds; intervals
are bootstrap intervals over utterances, and the difference to raw is taken utterance by utterance.
"""

from __future__ import annotations

import argparse
import re
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np

from entcomp.errors import EntcompError
from entcomp.evaluation.bootstrap import percentile_interval, resampled_sums
from entcomp.evaluation.text.recognition import count_errors
from entcomp.files import read_json
from entcomp.kaldi.table import read_table
from entcomp.report.tables import Table

BASELINE = "raw"


def mean_errors(references: dict[str, str], seeds: list[dict[str, str]]) -> list[np.ndarray]:
    """For words and for characters, (utterances, 2): errors, as a mean over seeds, and length."""
    counts = [
        count_errors(list(references.values()), [one[utt_id] for utt_id in references], "basic")
        for one in seeds
    ]
    return [
        np.mean([np.column_stack([one[kind][:, :3].sum(1), one[kind][:, 3]]) for one in counts], 0)
        for kind in ("wer", "cer")
    ]


def cell(low_high: tuple[float, float], value: float, sign: str = "") -> str:
    """A percentage with its interval."""
    low, high = (100 * one for one in low_high)
    return f"{100 * value:{sign}.1f} [{low:{sign}.1f}, {high:{sign}.1f}]"


def rate_and_difference(own: np.ndarray, baseline: np.ndarray) -> tuple[str, str]:
    """Cells of a stream's (utterances, 2) mean counts, and of its difference to the baseline."""
    sums = resampled_sums(np.column_stack([own, baseline[:, 0]]))
    rates, others = sums[:, 0] / sums[:, 1], sums[:, 2] / sums[:, 1]
    length = own[:, 1].sum()
    rate, other = own[:, 0].sum() / length, baseline[:, 0].sum() / length
    difference = rate - other
    spread = percentile_interval(rates - others, difference)
    return cell(percentile_interval(rates, rate), rate), cell(spread, difference, sign="+")


def error_table(data: Path, exp: Path, set_name: str) -> Table:
    """A row a stream, the finest first."""
    references = {utt: text for utt, text in read_table(data / set_name / "text").items() if text}
    folders = defaultdict(list)
    for folder in sorted(exp.glob(f"asr/*_seed*/decode_{set_name}")):
        name = re.sub(r"_seed\d+$", "", folder.parent.name)
        folders[name].append(folder)
    if BASELINE not in folders:
        raise EntcompError(f"{exp / 'asr'}: no {BASELINE}_seed*/decode_{set_name}; run stage 9")
    scored = {
        name: mean_errors(
            references, [read_table(folder / "text", empty_values=True) for folder in own]
        )
        for name, own in folders.items()
    }
    rows = []
    for name, own in folders.items():
        stored = [read_json(folder / "scores.json") for folder in own]
        seeds = " ".join(f"{one['wer']['percent']:.1f}" for one in stored)
        words, characters = (
            rate_and_difference(*pair) for pair in zip(scored[name], scored[BASELINE], strict=True)
        )
        rows.append([name, f"{stored[0]['rate']:.1f}", *words, seeds, *characters])
    rows.sort(key=lambda row: -float(row[1]))
    header = ("stream", "Hz", "WER %", "beside raw", "by seed", "CER %", "beside raw")
    return Table(header, rows)


def print_table(make: Callable[[Path, Path, str], Table], description: str) -> None:
    """Of the DATA, EXP and SET on the command line."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("data", type=Path)
    parser.add_argument("exp", type=Path)
    parser.add_argument("set_name", metavar="SET")
    arguments = parser.parse_args()
    try:
        print(make(arguments.data, arguments.exp, arguments.set_name).markdown())
    except EntcompError as error:
        raise SystemExit(f"error: {error}") from None


if __name__ == "__main__":
    print_table(error_table, "Error rates of all streams and seeds.")
