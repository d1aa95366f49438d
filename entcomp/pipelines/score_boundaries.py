"""Boundaries of segmentations against TextGrids, beside chance at the same rate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from entcomp.artifacts.experiment import Experiment, UnitsInfo, check_same
from entcomp.artifacts.streams import plain_groups
from entcomp.errors import EntcompError
from entcomp.evaluation.boundaries.evaluate import Matching, evaluate
from entcomp.evaluation.boundaries.references import References
from entcomp.evaluation.boundaries.remarks import Remarks, describe_remarks
from entcomp.evaluation.boundaries.ticks import to_ticks
from entcomp.files import atomic_path, read_json, write_json
from entcomp.formats.textgrid import TierChoice, parse_silences
from entcomp.kaldi.ark import iter_vectors
from entcomp.kaldi.datadir import DataDir
from entcomp.kaldi.table import iter_table
from entcomp.progress import track
from entcomp.report.boundary_scores import by_rate, markdown_page
from entcomp.segmentation.chance import chance_groups

# The options that stand beside the scores.
FACTS = ("tolerance", "lenient", "shift", "seed", "speaker", "silences", "max_difference")


@dataclass(frozen=True)
class BoundaryScoring:
    """How boundaries are matched: ``tolerance`` and ``shift`` are in seconds.

    ``alignments`` holds the TextGrids of a set, else EXP/align/<set>; ``output`` takes the scores.
    ``speaker`` is one of a conversation, None all; ``silences`` are labels by commas, None those of
    aligners; a TextGrid and its units may differ by ``max_difference`` seconds.
    """

    experiment: Experiment
    output: Path
    alignments: Path | None = None
    tiers: tuple[str, ...] = ("words", "phones")
    tolerance: float = 0.02
    lenient: bool = False
    shift: float = 0.0
    seed: int = 0
    speaker: str | None = None
    silences: str | None = None
    max_difference: float = 0.1
    skip_bad: bool = False

    def score_sets(self, data_sets: Sequence[DataDir], segmentations: str) -> Iterator[str]:
        """Score the named segmentations (by commas, or ``all``) of each set; yields what it did.

        Writes OUTPUT/TAG/SET.json and, of all tags, OUTPUT/SET.md. Raises EntcompError for a
        segmentation that is not there or of another codebook, and if no set has what it takes.
        """
        tags = _check_tags(self.experiment, self.experiment.units_info(), segmentations)
        scored = False
        for data_set in data_sets:
            scps = _find_groups(self.experiment, data_set.name, tags)
            choice = TierChoice(self.speaker, parse_silences(self.silences))
            folder = self.alignments or self.experiment.alignments(data_set.name)
            references = References(folder, self.tiers, choice)
            if any(utt_id in references for scp in scps.values() for utt_id in _ids(scp)):
                yield from self._score_set(scps, references, data_set.name)
                scored = True
            else:
                reason = references.describe() if scps else "no groups"
                yield f"{data_set.name}: {reason}; not scored"
        if not scored:
            raise EntcompError(
                f"{data_sets[0].path}: no set has groups and TextGrids; run segment and align first"
            )

    def _score_set(
        self, scps: dict[str, Path], references: References, set_name: str
    ) -> Iterator[str]:
        """Score all segmentations of a set; write, and yield, what came out."""
        results = []
        for tag, scp in track(scps.items(), f"align-eval {set_name}", total=len(scps)):
            result = self._score(_read_groups(scp), references)
            result |= {"tag": tag, "set": set_name, "alignments": str(references.folder)}
            result |= {"criterion": self.experiment.criterion(tag)}
            write_json(self.output / tag / f"{set_name}.json", result)
            results.append(result)
        page = markdown_page(set_name, by_rate(results))
        path = self.output / f"{set_name}.md"
        with atomic_path(path) as temporary:
            temporary.write_text(page, encoding="utf-8")
        yield page
        yield from (f"{set_name}: {line}" for line in describe_remarks(results[0]))
        yield f"{set_name}: written to {path}"

    def _score(
        self, groups: Iterator[tuple[str, np.ndarray]], references: References
    ) -> dict[str, Any]:
        matching = Matching(to_ticks(self.tolerance), self.lenient, to_ticks(self.shift))
        info = self.experiment.units_info()
        remarks = Remarks(self.skip_bad, self.max_difference)
        chance = chance_groups(self.seed)
        result = evaluate(groups, references, info, matching, chance, self.seed, remarks)
        return result | {name: getattr(self, name) for name in FACTS}


def _check_tags(experiment: Experiment, info: UnitsInfo, wanted: str) -> list[str]:
    """The segmentations asked for, each made of this experiment's units.

    Raises EntcompError for one that does not exist or is of another codebook.
    """
    there = sorted(path.name for path in experiment.path.glob("segments/*") if path.is_dir())
    tags = there if wanted == "all" else [tag.strip() for tag in wanted.split(",")]
    for tag in tags:
        folder = experiment.segments(tag)
        if tag not in there:
            raise EntcompError(f"{folder}: no such segmentation; there are: {', '.join(there)}")
        if (folder / "threshold.json").exists():
            found = read_json(folder / "threshold.json").get("codebook_sha256")
            check_same(info.codebook_sha256, found, "codebook", folder, "rerun segment")
    return tags


def _find_groups(experiment: Experiment, set_name: str, tags: list[str]) -> dict[str, Path]:
    """The scp of each segmentation that a set has; for ``dedup``, of the units if need be."""
    scps = {tag: experiment.segments(tag) / set_name / "groups.scp" for tag in tags}
    there = {tag: scp for tag, scp in scps.items() if scp.exists()}
    units = experiment.units(set_name) / "units.scp"
    return there | ({"dedup": units} if "dedup" not in there and units.exists() else {})


def _ids(scp: Path) -> Iterator[str]:
    return (utt_id for utt_id, _ in iter_table(scp))


def _read_groups(scp: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Yield ids and group lengths: those of an archive of groups, or of runs of equal units."""
    for utt_id, vector in iter_vectors(scp):
        is_units = scp.name == "units.scp"
        yield utt_id, plain_groups(vector, "dedup") if is_units else vector
