"""Units of a set against its phones and speakers, and streams of their groups."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from entcomp.artifacts.experiment import Experiment, UnitsInfo
from entcomp.artifacts.groups import PLAIN_STREAMS, Groups
from entcomp.artifacts.streams import named_streams
from entcomp.artifacts.units import Units
from entcomp.errors import EntcompError
from entcomp.evaluation.boundaries.references import References
from entcomp.evaluation.boundaries.remarks import Remarks, describe_remarks
from entcomp.evaluation.units.abx import Triphone, abx_scores, shares_of_units, triphones
from entcomp.evaluation.units.phones import phone_scores, phones_of_frames
from entcomp.evaluation.units.speakers import speaker_scores
from entcomp.evaluation.units.streams import stream_scores
from entcomp.files import atomic_path, write_json
from entcomp.formats.textgrid import Interval
from entcomp.kaldi.datadir import DataDir
from entcomp.kaldi.table import iter_table
from entcomp.progress import track
from entcomp.report.unit_scores import markdown_page

TIER = "phones"


@dataclass(frozen=True)
class UnitEvaluation:
    """``alignments`` holds the TextGrids of a set, else EXP/align/<set>.

    Phones are left out, and that is said, where there are no TextGrids; speakers, where ``utt2spk``
    is missing, or has but one speaker or none with two utterances. ``abx``: score the streams' ABX,
    too, for which both have to be there.
    """

    experiment: Experiment
    alignments: Path | None = None
    seed: int = 0
    skip_bad: bool = False
    abx: bool = False

    def score_sets(self, data_sets: Sequence[DataDir], segmentations: str) -> Iterator[str]:
        """Score the units of each set and its streams: raw, dedup and the named (or ``all``) tags.

        Writes EXP/unit_eval/SET/scores.json and table.md, and yields what it did. Raises
        EntcompError for a segmentation that is not there, and if no set has units.
        """
        tags = named_streams(self.experiment, segmentations)
        scored = False
        for data_set in data_sets:
            if Units.find(self.experiment, data_set.name) is None:
                yield f"{data_set.name}: no units; not scored"
                continue
            yield from self._score_set(data_set, list(dict.fromkeys([*PLAIN_STREAMS, *tags])))
            scored = True
        if not scored:
            raise EntcompError(f"{data_sets[0].path}: no set has units; run dump-units first")

    def _score_set(self, data_set: DataDir, tags: list[str]) -> Iterator[str]:
        units = dict(Units.open(self.experiment, data_set.name))
        if not units:
            raise EntcompError(f"{self.experiment.units(data_set.name)}: no utterances")
        info = self.experiment.units_info()
        result: dict[str, Any] = {
            "set": data_set.name,
            "utterances": len(units),
            "frame_shift": info.frame_shift,
            "num_clusters": info.num_clusters,
            "seed": self.seed,
            "streams": {},
        }
        phones = self._phones(data_set, units)
        speakers = self._speakers(data_set, units)
        scores: dict[str, dict[str, Any] | str] = {
            "phones": phones if isinstance(phones, str) else phones.scores(units, self.seed),
            "speakers": self._speaker_scores(data_set, units, speakers),
        }
        for kind, found in scores.items():
            if isinstance(found, str):
                yield f"{data_set.name}: {found}; scored without {kind}"
            else:
                result[kind] = found
        abx = self._abx(data_set, phones, speakers) if self.abx else None
        for tag in track(tags, f"evaluate-units {data_set.name}", total=len(tags)):
            groups = Groups.find(self.experiment, data_set.name, tag)
            if groups is None:
                yield f"{data_set.name}: no groups of {tag}; not scored"
                continue
            pairs = {utt_id: (own, lengths) for utt_id, own, lengths in groups.with_units()}
            result["streams"][tag] = stream_scores(
                list(pairs.values()), info.frame_shift, self.seed
            )
            if abx is not None:
                result.setdefault("abx", {})[tag] = abx(pairs)
        yield from self._write(result)

    def _write(self, result: dict[str, Any]) -> Iterator[str]:
        folder = self.experiment.unit_scores(result["set"])
        page = markdown_page(result)
        write_json(folder / "scores.json", result)
        with atomic_path(folder / "table.md") as temporary:
            temporary.write_text(page, encoding="utf-8")
        yield page
        if "phones" in result:
            yield from (f"{result['set']}: {line}" for line in describe_remarks(result["phones"]))
        yield f"{result['set']}: written to {folder}"

    def _phones(self, data_set: DataDir, units: dict[str, np.ndarray]) -> _Phones | str:
        """The phones of the utterances that have a TextGrid, or why there are none."""
        folder = self.alignments or self.experiment.alignments(data_set.name)
        references = References(folder, (TIER,))
        if not any(utt_id in references for utt_id in units):
            return references.describe()
        remarks = Remarks(self.skip_bad)
        info = self.experiment.units_info()
        raw = ((utt_id, np.ones_like(own)) for utt_id, own in units.items())
        usable = remarks.usable(raw, references, info)
        intervals = {utt_id: one.intervals[TIER] for utt_id, _, one in usable}
        return _Phones(str(folder), info, intervals, remarks)

    def _speakers(self, data_set: DataDir, units: dict[str, np.ndarray]) -> dict[str, str] | str:
        """The speaker of each utterance, or why they are not known."""
        path = data_set.path / "utt2spk"
        if not path.exists():
            return f"{path} is not there"
        speakers = dict(iter_table(path))
        for utt_id in units:
            if utt_id not in speakers:
                raise EntcompError(f"{path}: no speaker of {utt_id}; add one, or remove the file")
        return {utt_id: speakers[utt_id] for utt_id in units}

    def _speaker_scores(
        self, data_set: DataDir, units: dict[str, np.ndarray], speakers: dict[str, str] | str
    ) -> dict[str, Any] | str:
        """What units tell of speakers, or why that cannot be said."""
        if isinstance(speakers, str):
            return speakers
        if not 1 < len(set(speakers.values())) < len(speakers):
            path = data_set.path / "utt2spk"
            return f"{path} has one speaker, or none with two utterances"
        return speaker_scores(list(units.values()), list(speakers.values()), self.seed)

    def _abx(
        self, data_set: DataDir, phones: _Phones | str, speakers: dict[str, str] | str
    ) -> Callable[[Mapping[str, tuple[np.ndarray, np.ndarray]]], dict[str, Any]]:
        """What gives the ABX of units and group lengths of a set with known phones and speakers."""
        if isinstance(phones, str) or isinstance(speakers, str):
            why = phones if isinstance(phones, str) else speakers
            raise EntcompError(f"{data_set.name}: --abx needs phones and speakers; {why}")
        spoken = phones.triphones()
        clusters = phones.info.num_clusters

        def score(pairs: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> dict[str, Any]:
            there = {utt_id: own for utt_id, own in spoken.items() if utt_id in pairs}
            return abx_scores(
                lambda utt_id: shares_of_units(*pairs[utt_id], clusters), there, speakers, self.seed
            )

        return score


@dataclass(frozen=True)
class _Phones:
    """Phones of utterances by time, from TextGrids in ``folder``, and what is wrong with some."""

    folder: str
    info: UnitsInfo
    intervals: Mapping[str, tuple[Interval, ...]]
    remarks: Remarks

    def scores(self, units: Mapping[str, np.ndarray], seed: int) -> dict[str, Any]:
        """Those of `phone_scores`, with what they count; for JSON."""
        numbers: dict[str, int] = {}
        pairs = [
            (units[utt_id], phones_of_frames(len(units[utt_id]), own, self.info, numbers))
            for utt_id, own in self.intervals.items()
        ]
        found = {"alignments": self.folder, "scored": len(pairs), "labels": len(numbers)}
        return found | self.remarks.for_json() | phone_scores(pairs, seed)

    def triphones(self) -> dict[str, list[Triphone]]:
        numbers: dict[str, int] = {}
        return {
            utt_id: triphones(own, self.info, numbers) for utt_id, own in self.intervals.items()
        }
