"""``--random-rates``: groups of a criterion at a rate that is drawn anew at each use."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from entcomp.artifacts.experiment import Experiment
from entcomp.artifacts.streams import read_streams, stream_scps
from entcomp.errors import EntcompError
from entcomp.kaldi.table import join
from entcomp.segmentation.calibration import resolve
from entcomp.segmentation.request import Request
from entcomp.segmentation.rows import row_of
from entcomp.segmentation.rule import Rule, group_one
from entcomp.segmentation.source import Source
from entcomp.skipped import SkippedUtterances
from entcomp.tasks.text.corpus import Row, Stream

STEP = 0.5  # Hz between the rates that are drawn


def rate_rules(
    experiment: Experiment, criterion: str, rates: str, peaks: bool = False
) -> list[Rule]:
    """The criterion's rules at all rates of ``LOW-HIGH``, the lowest first.

    With ``peaks``, groups begin at local maxima only. Raises EntcompError for what is no range, and
    for rates that the criterion cannot reach.
    """
    requests = [Request(criterion, target_rate=rate, peaks=peaks) for rate in _grid(rates)]
    requests[0].check()
    frame_shift = experiment.units_info().frame_shift
    return [resolve(request, experiment, frame_shift) for request in requests]


def random_streams(
    experiment: Experiment, set_name: str, lowest: Rule, skipped: SkippedUtterances
) -> Iterator[Stream]:
    """Yield the streams of a set, each with what `draw_groups` draws from."""
    rows = Source.of(experiment, set_name, lowest.directions).rows(skipped)
    for row, plain in join(rows, read_streams(experiment, set_name, "raw")):
        yield Stream(row[0], plain[1], group_one(row[0], row[1], row[2], lowest), row)


@dataclass(frozen=True)
class RandomStreams:
    """The `StreamSource` of `random_streams`."""

    experiment: Experiment
    lowest: Rule
    skipped: SkippedUtterances

    def streams(self, set_name: str) -> Iterator[Stream]:
        return random_streams(self.experiment, set_name, self.lowest, self.skipped)

    def scps(self, set_name: str) -> list[Path]:
        source = Source.of(self.experiment, set_name, self.lowest.directions)
        return [*stream_scps(self.experiment, set_name, "raw"), *source.scps]

    def stream(self, utt_id: str, units: np.ndarray, *values: np.ndarray) -> Stream:
        row = row_of(utt_id, values)
        return Stream(utt_id, units, group_one(*row, self.lowest), row)


def draw_groups(rules: Sequence[Rule], row: Row, generator: np.random.Generator) -> np.ndarray:
    """Group lengths in frames of an utterance, by one of the rules."""
    return group_one(*row, rules[int(generator.integers(len(rules)))])


def _grid(rates: str) -> list[float]:
    """``7-24`` is 7, 7.5, ..., 24 Hz."""
    low, _, high = rates.partition("-")
    try:
        first, last = float(low), float(high)
    except ValueError:
        first, last = 0.0, 0.0
    if not 0 < first < last:
        raise EntcompError(f"--random-rates {rates}: expected LOW-HIGH in Hz, such as 7-24")
    return [first + STEP * one for one in range(int((last - first) / STEP) + 1)]
