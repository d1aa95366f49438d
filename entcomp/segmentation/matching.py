"""``--match-rate``: thresholds by what is segmented, so that the rate is met there."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np

from entcomp.artifacts.shard import Shard
from entcomp.errors import EntcompError
from entcomp.files import sha256_file
from entcomp.kaldi.table import read_table, write_table
from entcomp.segmentation.calibration import SAMPLE_UNITS
from entcomp.segmentation.rows import Row, Rows, iter_rows
from entcomp.segmentation.rule import Rule, group_starts, match, thresholds_of
from entcomp.segmentation.source import Source
from entcomp.skipped import SkippedUtterances

TOLERANCE = 0.02  # of the rate; an utterance of few units comes as near as a group more or less

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Matched:
    """The rule of a set, a speaker or an utterance, its thresholds known, and what it comes to."""

    rule: Rule
    units: int
    groups: int

    @classmethod
    def of(cls, rule: Rule, rows: Rows) -> Matched:
        found = match(rule, rows)
        groups = np.count_nonzero(group_starts(rows, found))
        return cls(found, len(rows.values), int(groups))

    @property
    def wanted(self) -> float:
        """Groups."""
        return (self.rule.groups_per_unit or 0) * self.units

    def hz(self, shift: float) -> float:
        """Groups a second, of units of ``shift`` seconds."""
        return self.groups / (self.units * shift)

    @property
    def missed(self) -> bool:
        """Is it off by more than a group and by more than `TOLERANCE`?"""
        return abs(self.groups - self.wanted) > max(1, TOLERANCE * self.wanted)


class Scopes:
    """What the thresholds of a set's utterances are resolved on: a name for each utterance.

    ``inputs`` is what the names depend on, beside the ids. Raises EntcompError without ``utt2spk``
    where the rate is matched by speaker. ``shift``: seconds from unit to unit.
    """

    def __init__(self, rule: Rule, set_name: str, utt2spk: Path | None, shift: float) -> None:
        self.match_rate = rule.match_rate
        self.set_name = set_name
        self.shift = shift
        self.rate = (rule.groups_per_unit or 0) / shift  # Hz
        self.inputs: dict[str, str] = {}
        self._utt2spk = utt2spk
        if self.match_rate == "speaker":
            if utt2spk is None:
                raise EntcompError(f"--match-rate speaker: {set_name} has no utt2spk; match by set")
            self._speakers = read_table(utt2spk)
            self.inputs = {"utt2spk": sha256_file(utt2spk)}

    def name(self, utt_id: str) -> str:
        """Raises EntcompError for an utterance without a speaker."""
        if self.match_rate != "speaker":
            return self.set_name if self.match_rate == "set" else utt_id
        if utt_id not in self._speakers:
            raise EntcompError(
                f"{self._utt2spk}: {utt_id} is not there; add it, or match by set or utterance"
            )
        return self._speakers[utt_id]


def match_source(
    source: Source, rule: Rule, scopes: Scopes, shard: Shard, skip_bad: bool
) -> dict[str, Matched]:
    """By name, every set, speaker or utterance of the shard; matched on all of its utterances.

    Uses at most the first `SAMPLE_UNITS` units of each. Warns where these are not all, and where
    the rate cannot be reached. Raises EntcompError where a set misses it for that reason.
    """
    here = set(map(scopes.name, shard.take(source.ids(), source.count())))
    alone = rule.match_rate == "utterance"
    rows = source.rows(SkippedUtterances(skip_bad), shard if alone else Shard())
    complete = _by_scope(rows, scopes, Counter(map(scopes.name, source.ids())))
    found = {name: Matched.of(rule, Rows.join(some)) for name, some in complete if name in here}
    _check_reached(found, scopes, source.set_name + shard.suffix)
    return found


def iter_matched(
    rows: Iterable[Row], scopes: Scopes, matched: Mapping[str, Matched]
) -> Iterator[tuple[Rows, Rule]]:
    """Utterances in order, joined as `iter_rows` does, each block with its rule."""
    for name, some in groupby(rows, key=lambda row: scopes.name(row[0])):
        for block in iter_rows(some):
            yield block, matched[name].rule


def describe(matched: Mapping[str, Matched], scopes: Scopes | None) -> dict[str, str]:
    """For the manifest: how many there are, their rates in Hz, and their thresholds."""
    if scopes is None or not matched:
        return {}
    rates = [one.hz(scopes.shift) for one in matched.values()]
    plural = "s" if len(matched) > 1 else ""
    parts = [f"{len(matched)} {scopes.match_rate}{plural} at {_span(rates)} Hz"]
    for name in thresholds_of(next(iter(matched.values())).rule):
        parts.append(f"{name} {_span([one.rule.threshold(name) for one in matched.values()])}")
    return {"matched": ", ".join(parts)}


def write_thresholds(path: Path, matched: Mapping[str, Matched], scopes: Scopes | None) -> None:
    """``name theta_g=NATS ... hz=RATE``, a line each, sorted; no file where no rate was matched."""
    if scopes is None:
        path.unlink(missing_ok=True)
        return
    lines = []
    for name, one in matched.items():
        thetas = [f"{key}={one.rule.threshold(key):.9g}" for key in thresholds_of(one.rule)]
        lines.append((name, " ".join([*thetas, f"hz={one.hz(scopes.shift):.4f}"])))
    write_table(path, lines)


def merge_thresholds(folder: Path, shards: int) -> None:
    """One ``thresholds.txt`` of those of all shards."""
    parts = [Shard(index, shards).suffix for index in range(1, shards + 1)]
    tables = [read_table(folder / f"thresholds{part}.txt") for part in parts]
    merged = {name: line for table in tables for name, line in table.items()}
    write_table(folder / "thresholds.txt", merged.items())


def _check_reached(matched: Mapping[str, Matched], scopes: Scopes, where: str) -> None:
    missed = [name for name, one in matched.items() if one.missed]
    if not missed:
        return
    rate, shift = scopes.rate, scopes.shift
    units = sum(one.units for one in matched.values())
    reached = sum(one.groups for one in matched.values()) / (units * shift)
    if abs(reached - rate) > TOLERANCE * rate:
        raise EntcompError(
            f"{where}: a rate of {rate:g} Hz is out of reach: the nearest that this criterion "
            f"gives there is {reached:.2f} Hz; change --target-rate, the theta or --criterion"
        )
    log.warning(
        f"{where}: {len(missed)} of {len(matched)} {scopes.match_rate}s cannot reach {rate:g} Hz, "
        f"the nearest was taken: {missed[0]} has {matched[missed[0]].hz(shift):.2f} Hz"
    )


def _by_scope(
    rows: Iterable[Row], scopes: Scopes, sizes: Counter[str]
) -> Iterator[tuple[str, list[Row]]]:
    """Yield the rows of each scope as soon as it is complete, so that few are held at a time."""
    held: dict[str, list[Row]] = defaultdict(list)
    units: Counter[str] = Counter()
    for row in rows:
        name = scopes.name(row[0])
        sizes[name] -= 1
        if units[name] < SAMPLE_UNITS:
            held[name].append(row)
            units[name] += len(row[1])
            if units[name] >= SAMPLE_UNITS and sizes[name]:
                log.warning(f"{name}: matched on its first {units[name]:,} units")
        if sizes[name] == 0:
            yield name, held.pop(name)
    yield from held.items()  # whose last utterances were skipped


def _span(values: list[float]) -> str:
    low, high = f"{min(values):.4g}", f"{max(values):.4g}"
    return low if low == high else f"{low} to {high}"
