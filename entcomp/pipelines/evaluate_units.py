"""Units of a set against its phones and speakers, and streams of their groups."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from entcomp.artifacts.experiment import Experiment
from entcomp.artifacts.groups import PLAIN_STREAMS, Groups, check_segmentation
from entcomp.artifacts.units import Units
from entcomp.errors import EntcompError
from entcomp.evaluation.boundaries.references import References
from entcomp.evaluation.boundaries.remarks import Remarks, describe_remarks
from entcomp.evaluation.units.phones import phone_scores, phones_of_frames
from entcomp.evaluation.units.speakers import speaker_scores
from entcomp.evaluation.units.streams import stream_scores
from entcomp.files import atomic_path, write_json
from entcomp.kaldi.datadir import DataDir
from entcomp.kaldi.table import iter_table
from entcomp.progress import track
from entcomp.report.unit_scores import markdown_page

TIER = "phones"


@dataclass(frozen=True)
class UnitEvaluation:
    """``alignments`` holds the TextGrids of a set, else EXP/align/<set>.

    Phones are left out, and that is said, where there are no TextGrids; speakers, where ``utt2spk``
    is missing, or has but one speaker or none with two utterances.
    """

    experiment: Experiment
    alignments: Path | None = None
    seed: int = 0
    skip_bad: bool = False

    def score_sets(self, data_sets: Sequence[DataDir], segmentations: str) -> Iterator[str]:
        """Score the units of each set and its streams: raw, dedup and the named (or ``all``) tags.

        Writes EXP/unit_eval/SET/scores.json and table.md, and yields what it did. Raises
        EntcompError for a segmentation that is not there, and if no set has units.
        """
        tags = [tag.strip() for tag in segmentations.split(",")]
        tags = self.experiment.segmentations() if segmentations == "all" else tags
        for tag in tags:
            if tag not in PLAIN_STREAMS:
                check_segmentation(self.experiment, tag)
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
        for kind, found in (("phones", phones), ("speakers", speakers)):
            if isinstance(found, str):
                yield f"{data_set.name}: {found}; scored without {kind}"
            else:
                result[kind] = found
        for tag in track(tags, f"evaluate-units {data_set.name}", total=len(tags)):
            groups = Groups.find(self.experiment, data_set.name, tag)
            if groups is None:
                yield f"{data_set.name}: no groups of {tag}; not scored"
                continue
            pairs = [(own, lengths) for _, own, lengths in groups.with_units()]
            result["streams"][tag] = stream_scores(pairs, info.frame_shift, self.seed)
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

    def _phones(self, data_set: DataDir, units: dict[str, np.ndarray]) -> dict[str, Any] | str:
        """Scores against phones, or why there are none."""
        folder = self.alignments or self.experiment.alignments(data_set.name)
        references = References(folder, (TIER,))
        if not any(utt_id in references for utt_id in units):
            return references.describe()
        remarks = Remarks(self.skip_bad)
        info = self.experiment.units_info()
        numbers: dict[str, int] = {}
        raw = ((utt_id, np.ones_like(own)) for utt_id, own in units.items())
        pairs = [
            (own := units[utt_id], phones_of_frames(len(own), one.intervals[TIER], info, numbers))
            for utt_id, _, one in remarks.usable(raw, references, info)
        ]
        found = {"alignments": str(folder), "scored": len(pairs), "labels": len(numbers)}
        return found | remarks.for_json() | phone_scores(pairs, self.seed)

    def _speakers(self, data_set: DataDir, units: dict[str, np.ndarray]) -> dict[str, Any] | str:
        """Scores against speakers, or why there are none."""
        path = data_set.path / "utt2spk"
        if not path.exists():
            return f"{path} is not there"
        speakers = dict(iter_table(path))
        for utt_id in units:
            if utt_id not in speakers:
                raise EntcompError(f"{path}: no speaker of {utt_id}; add one, or remove the file")
        own = [speakers[utt_id] for utt_id in units]
        if not 1 < len(set(own)) < len(own):
            return f"{path} has one speaker, or none with two utterances"
        return speaker_scores(list(units.values()), own, self.seed)
