"""Boundaries of segmentations against TextGrids, beside chance at the same rate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from entcomp.artifacts.experiment import Experiment
from entcomp.artifacts.groups import Groups
from entcomp.artifacts.streams import named_streams
from entcomp.artifacts.ticks import to_ticks
from entcomp.errors import EntcompError
from entcomp.evaluation.boundaries.evaluate import Matching, evaluate
from entcomp.evaluation.boundaries.references import References
from entcomp.evaluation.boundaries.remarks import Remarks, describe_remarks
from entcomp.files import write_json, write_text
from entcomp.formats.textgrid import TierChoice, parse_silences
from entcomp.kaldi.datadir import DataDir
from entcomp.progress import track
from entcomp.report.boundary_scores import markdown_page, read_scores
from entcomp.segmentation.chance import chance_groups

# The options that stand beside the scores.
FACTS = (
    *("tolerance", "resolution", "lenient", "shift", "seed"),
    *("speaker", "silences", "max_difference"),
)


@dataclass(frozen=True)
class BoundaryScoring:
    """How boundaries are matched: ``tolerance``, ``resolution`` and ``shift`` are in seconds.

    References are multiples of ``resolution``, 0 if exact; scores that do not depend on where these
    lie stand beside the plain ones.

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
    resolution: float = 0.01

    def score_sets(self, data_sets: Sequence[DataDir], segmentations: str) -> Iterator[str]:
        """Score the named segmentations (by commas, or ``all``) of each set; yields what it did.

        Writes OUTPUT/TAG/SET.json and, of all tags that have one, OUTPUT/SET.md. Raises
        EntcompError for a segmentation that is not there or of another codebook, and if no set has
        what it takes.
        """
        tags = named_streams(self.experiment, segmentations)
        scored = False
        for data_set in data_sets:
            groups = _open_groups(self.experiment, data_set.name, tags)
            choice = TierChoice(self.speaker, parse_silences(self.silences))
            folder = self.alignments or self.experiment.alignments(data_set.name)
            references = References(folder, self.tiers, choice)
            if any(utt_id in references for one in groups.values() for utt_id in one.ids()):
                yield from self._score_set(groups, references, data_set.name)
                scored = True
            else:
                reason = references.describe() if groups else "no groups"
                yield f"{data_set.name}: {reason}; not scored"
        if not scored:
            raise EntcompError(
                f"{data_sets[0].path}: no set has groups and TextGrids; run segment and align first"
            )

    def _score_set(
        self, groups: dict[str, Groups], references: References, set_name: str
    ) -> Iterator[str]:
        """Score these segmentations of a set; yields the page of all that were ever scored."""
        results = []
        for tag, one in track(groups.items(), f"align-eval {set_name}", total=len(groups)):
            result = self._score(one, references)
            alignments = str(references.folder.absolute())
            result |= {"tag": tag, "set": set_name, "alignments": alignments}
            result |= {"criterion": self.experiment.criterion(tag)}
            write_json(self.output / tag / f"{set_name}.json", result)
            results.append(result)
        page = markdown_page(set_name, read_scores(self.output.glob(f"*/{set_name}.json")))
        path = self.output / f"{set_name}.md"
        write_text(path, page)
        yield page
        yield from (f"{set_name}: {line}" for line in describe_remarks(results[0]))
        yield f"{set_name}: written to {path}"

    def _score(self, groups: Groups, references: References) -> dict[str, Any]:
        times = to_ticks(self.shift), to_ticks(self.resolution / 2)
        matching = Matching(to_ticks(self.tolerance), self.lenient, *times)
        info = self.experiment.units_info()
        remarks = Remarks(self.skip_bad, self.max_difference)
        chance = chance_groups(self.seed)
        result = evaluate(groups, references, info, matching, chance, self.seed, remarks)
        return result | {name: getattr(self, name) for name in FACTS}


def _open_groups(experiment: Experiment, set_name: str, tags: list[str]) -> dict[str, Groups]:
    """The segmentations that a set has; and its runs of equal units, as ``dedup``."""
    found = {tag: Groups.find(experiment, set_name, tag) for tag in dict.fromkeys([*tags, "dedup"])}
    return {tag: groups for tag, groups in found.items() if groups}
