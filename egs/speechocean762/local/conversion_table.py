#!/usr/bin/env python3
"""Voice conversion from every stream over all seeds, as the paper's table 5: a Markdown table.

    local/conversion_table.py DATA EXP SET

Reads what score-vc left in EXP/vc/scores/SET for the models <stream>_seed<N>. An utterance's scores
are averaged over seeds; brackets hold 95% bootstrap intervals over utterances.
"""

from __future__ import annotations

import argparse
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from entcomp.errors import EntcompError
from entcomp.evaluation.bootstrap import ratio_interval
from entcomp.evaluation.text.recognition import count_errors
from entcomp.evaluation.voices.evaluator import mean_interval
from entcomp.files import read_json
from entcomp.kaldi.table import read_table
from entcomp.report.conversion import BASELINES, label, score_cell
from entcomp.report.tables import Table

MEANS = ("similarity_reference", "similarity_source", "distillmos", "dnsmos")
HEADER = (
    *("stream", "Hz", "WER %", "by seed", "CER %"),
    *("closer to reference (%)", *(label(key) for key in MEANS)),
)


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


def with_interval(numerators: np.ndarray, denominators: np.ndarray) -> str:
    """A percentage of sums over utterances."""
    value = 100 * numerators.sum() / denominators.sum()
    low, high = (100 * one for one in ratio_interval(numerators, denominators))
    return f"{value:.1f} [{low:.1f}, {high:.1f}]"


def known(values: np.ndarray) -> np.ndarray:
    """The utterances that all seeds have."""
    return values[:, ~np.isnan(values).any(axis=0)]


def row_of(name: str, rate: str, references: dict[str, str], seeds: list[Any]) -> list[str]:
    """``seeds`` are scores by utterance."""
    heard = [{utt_id: one[utt_id]["text_moonshine"] for utt_id in one} for one in seeds]
    words, characters = mean_errors(references, heard)
    each = [mean_errors(references, [one])[0].sum(axis=0) for one in heard]

    def values(key: str) -> np.ndarray:
        """(seeds, utterances), NaN where there was too little speech to tell."""
        return np.array([[one[utt_id].get(key, np.nan) for utt_id in references] for one in seeds])

    nearer = known(values("similarity_reference") - values("similarity_source"))
    closer = (nearer > 0).mean(axis=0)
    by_seed = " ".join(f"{100 * errors / length:.1f}" for errors, length in each)
    ours = "" if name in BASELINES else with_interval(closer, np.ones(len(closer)))
    means = (score_cell(mean_interval(known(values(key)).mean(axis=0))) for key in MEANS)
    cells = [with_interval(*words.T), by_seed, with_interval(*characters.T), ours]
    return [name, rate, *cells, *means]


def conversion_table(data: Path, exp: Path, set_name: str) -> Table:
    """The baselines, then a row a stream, the finest first."""
    references = {utt: text for utt, text in read_table(data / set_name / "text").items() if text}
    folder = exp / "vc/scores" / set_name
    if not (folder / "scores.json").exists():
        raise EntcompError(f"{folder}: no scores.json; run stage 12")
    systems = read_json(folder / "scores.json")["systems"]
    streams = defaultdict(list)
    for name in systems:
        streams[re.sub(r"_seed\d+$", "", name)].append(name)
    rows = []
    for stream in (*BASELINES, *(one for one in streams if one not in BASELINES)):
        names = streams[stream]
        seeds = [read_json(folder / f"{name}.json")["outputs"] for name in names]
        rate = systems[names[0]].get("rate")
        rows.append(row_of(stream, "" if rate is None else f"{rate:.1f}", references, seeds))
    rows.sort(key=lambda row: -float(row[1] or "inf"))
    return Table(HEADER, rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Conversions from all streams and seeds.")
    parser.add_argument("data", type=Path)
    parser.add_argument("exp", type=Path)
    parser.add_argument("set_name", metavar="SET")
    options = parser.parse_args()
    try:
        print(conversion_table(options.data, options.exp, options.set_name).markdown())
    except EntcompError as error:
        raise SystemExit(f"error: {error}") from None
