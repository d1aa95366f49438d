"""The stage: entropies or units in, groups and ``threshold.json`` out, complete or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from entcomp.artifacts.calibration import Calibration
from entcomp.artifacts.experiment import Experiment
from entcomp.artifacts.groups import check_tag
from entcomp.artifacts.segmentations import SegmentationInfo
from entcomp.artifacts.shard import Shard
from entcomp.artifacts.stage import read_stage
from entcomp.errors import EntcompError
from entcomp.files import write_json
from entcomp.kaldi.ark import ArkWriter
from entcomp.progress import track
from entcomp.segmentation.calibration import resolve, wanted_rate
from entcomp.segmentation.matching import (
    Scopes,
    describe,
    iter_matched,
    match_source,
    write_thresholds,
)
from entcomp.segmentation.request import Request
from entcomp.segmentation.rows import Row, Rows, iter_rows
from entcomp.segmentation.rule import Rule, group_starts
from entcomp.segmentation.source import Source
from entcomp.skipped import SkippedUtterances


@dataclass(frozen=True)
class Counts:
    """What one set came to; ``fresh`` is False where it was complete before."""

    units: int
    groups: int
    skipped: int
    fresh: bool
    matched: str = ""

    def describe(self, frame_shift: float, target_rate: float | None) -> str:
        """Counts, rate in groups a second of audio, and its drift from the target."""
        if not self.units:
            return "no units"
        rate = self.groups / (self.units * frame_shift)
        drift = f" ({rate / target_rate - 1:+.1%} from {target_rate:g})" if target_rate else ""
        return (
            f"{self.units:,} units in {self.groups:,} groups, {rate:.2f} Hz{drift}, "
            f"{self.units / self.groups:.2f} frames a group"
            + (f"; {self.matched}" if self.matched else "")
            + (f", {self.skipped} utterances skipped" if self.skipped else "")
            + ("" if self.fresh else "; complete, skipped")
        )


def segment_sets(
    experiment: Experiment,
    set_names: list[str],
    request: Request,
    tag: str | None = None,
    frame_shift: float | None = None,
    shard: Shard = Shard(),
    skip_bad: bool = False,
    sources: Mapping[str, Source] | None = None,
    data: Mapping[str, Path] | None = None,
) -> Iterator[str]:
    """Segment sets as requested; yield a line on the thresholds and one or more on each set.

    ``sources`` are what is read of each set, by default what the criterion reads; ``data`` are the
    data dirs by set, for their ``utt2spk``, where rates are matched by speaker.
    ``frame_shift`` (seconds) is taken from ``units.json`` by default. ``threshold.json`` lists the
    rates of sets that are complete; among shards the first one writes it. Raises EntcompError for
    what `resolve` and `Source` do.
    """
    tag = tag or request.tag
    check_tag(tag, request.tag)
    frame_shift = _frame_shift(experiment, frame_shift)
    if sources is None:
        sources = {name: request.kind.source(request, experiment, name) for name in set_names}
    hashes = _checked_hashes(experiment, list(sources.values()))
    rule = resolve(request, experiment, frame_shift)
    target_rate = wanted_rate(request)
    facts: dict[str, Any] = {
        "given": request.given,
        "target_rate": target_rate,
        "frame_shift": frame_shift,
    }
    yield f"{tag}: {_describe_rule(rule)}"
    units_info = experiment.find_units_info()
    for name, source in sources.items():
        folder, scopes = experiment.segments(tag) / name, None
        if rule.match_rate:
            scopes = Scopes(rule, name, _utt2spk(data, name), frame_shift)
        counts = segment_set(source, folder, rule, shard, skip_bad, scopes)
        if shard.index == 1:
            write_threshold(experiment.segments(tag), rule.as_json() | facts | hashes)
        line = counts.describe(frame_shift, target_rate)
        if units_info:
            bits = request.kind.bits_per_group(units_info.num_clusters, rule)
            if bits is not None and counts.units:
                line += f", {bits * counts.groups / (counts.units * frame_shift):.0f} bit/s"
        yield f"{name}{shard.suffix}: {line}"
        yield from (f"{name}{shard.suffix}: {remark}" for remark in source.remarks())


def segment_set(
    source: Source,
    folder: Path,
    rule: Rule,
    shard: Shard = Shard(),
    skip_bad: bool = False,
    scopes: Scopes | None = None,
) -> Counts:
    """Write ``groups.{ark,scp}`` of one set (or shard) to ``folder``; nothing where it is complete.

    Groups are int32 lengths in frames and sum to the utterance's number of units. A rule that
    matches a rate needs ``scopes``, and ``thresholds.txt`` has the thresholds that were used.
    """
    inputs = {"rule": rule.as_json(), "source": source.content_hashes(), "skip_bad": skip_bad}
    inputs |= scopes.inputs if scopes else {}
    stage = shard.stage(folder, inputs, "groups")
    fresh = not stage.is_complete()
    if fresh:
        matched = match_source(source, rule, scopes, shard, skip_bad) if scopes else {}
        stage.start()
        skipped = SkippedUtterances(skip_bad)
        rows = _tracked(source, skipped, shard)
        blocks = (
            iter_matched(rows, scopes, matched)
            if scopes
            else ((block, rule) for block in iter_rows(rows))
        )
        outputs = _write_groups(folder, f"groups{shard.suffix}", blocks)
        skipped.write(folder / f"skipped{shard.suffix}.txt")
        source.write_remarks(folder / f"remarks{shard.suffix}.txt")
        write_thresholds(folder / f"thresholds{shard.suffix}.txt", matched, scopes)
        outputs |= {"skipped": len(skipped), "units_sha256": source.units_sha256}
        outputs |= describe(matched, scopes)
        stage.finish(outputs)
    found = read_stage(folder, stage.name)["outputs"]
    counts = found["frames"], found["groups"], found["skipped"]
    return Counts(*counts, fresh, found.get("matched", ""))


def _write_groups(folder: Path, name: str, blocks: Iterable[tuple[Rows, Rule]]) -> dict[str, Any]:
    """Write the groups of utterances by their rules; returns what the manifest says of them."""
    units = 0
    with ArkWriter(folder, name) as ark:
        for rows, rule in blocks:
            units += len(rows.values)
            for utt_id, groups in rows.split(group_starts(rows, rule)):
                ark.write(utt_id, groups)
    return ark.summary | {"frames": units, "groups": ark.frames}


def _frame_shift(experiment: Experiment, given: float | None) -> float:
    known = experiment.find_units_info()
    if given is not None:
        if not 1e-5 <= given <= 10:
            raise EntcompError(f"--frame-shift {given:g}: expected seconds, as in 0.02")
        if known and abs(known.frame_shift - given) > 1e-6:
            raise EntcompError(
                f"--frame-shift {given:g}: {experiment.units_json} says {known.frame_shift:g}; "
                "leave it out"
            )
        return given
    if known is None:
        raise EntcompError(
            f"{experiment.units_json}: no such file; give the time between units by --frame-shift"
        )
    return known.frame_shift


def _checked_hashes(experiment: Experiment, sources: list[Source]) -> dict[str, str | None]:
    """The codebook and LMs that all sources and the calibration agree on; None where unknown.

    Raises EntcompError where they do not agree.
    """
    hashes: dict[str, str | None] = {"codebook_sha256": None}
    if info := experiment.find_units_info():
        hashes["codebook_sha256"] = info.codebook_sha256
    for direction in sources[0].directions:
        key = "lm_sha256" if direction == "forward" else "lm_backward_sha256"
        calibration = Calibration.find(experiment, direction)
        if calibration is not None:
            calibration.check_codebook(hashes["codebook_sha256"])
            hashes[key] = calibration.lm_sha256
        for source in sources:
            source.check_lm(direction, hashes.get(key))
            hashes[key] = hashes.get(key) or source.lm_sha256(direction)
    return hashes


def _utt2spk(data: Mapping[str, Path] | None, name: str) -> Path | None:
    path = data[name] / "utt2spk" if data else None
    return path if path and path.exists() else None


def _describe_rule(rule: Rule) -> str:
    return ", ".join([rule.criterion, *rule.kind.describe(rule)])


def write_threshold(folder: Path, values: dict[str, Any]) -> None:
    """Write ``threshold.json``, with the rates of all sets that were segmented by its rule.

    ``values`` are those of the rule, and facts about it.
    """
    path = folder / "threshold.json"
    info = SegmentationInfo.parse(values, path)
    rates = {}
    for manifest in sorted(folder.glob("*/stage.json")):
        stage = read_stage(manifest.parent)
        outputs = stage["outputs"]
        if info.made(stage["inputs"]) and info.frame_shift and outputs["frames"]:
            rates[manifest.parent.name] = outputs["groups"] / (outputs["frames"] * info.frame_shift)
    write_json(path, values | {"rates": rates})


def _tracked(source: Source, skipped: SkippedUtterances, shard: Shard) -> Iterator[Row]:
    begin, end = shard.bounds(source.count())
    name = source.set_name + shard.suffix
    yield from track(source.rows(skipped, shard), f"segment {name}", total=end - begin)
