"""Groups of other tokenizers and aligners, which import-segmentation takes in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from entcomp.artifacts.alignments import MAX_DIFFERENCE
from entcomp.artifacts.experiment import Experiment
from entcomp.artifacts.groups import check_tag
from entcomp.artifacts.intervals import IntervalFiles
from entcomp.errors import EntcompError
from entcomp.formats.textgrid import TierChoice, parse_silences
from entcomp.segmentation.criteria import CRITERIA
from entcomp.segmentation.criterion import Style
from entcomp.segmentation.intervals import IntervalCriterion, IntervalSource
from entcomp.segmentation.request import Request
from entcomp.segmentation.source import Source
from entcomp.segmentation.stage import segment_sets
from entcomp.skipped import describe_utterances

NAME = "imported"
REMEDY = "take those of these recordings, or raise --max-difference"


@CRITERIA.register(NAME)
class Imported(IntervalCriterion):
    """Groups are the intervals of TextGrids or CTM files; see `IntervalSource`.

    The options are those of import-segmentation, and their defaults.
    """

    help = "another tokenizer's groups; made by import-segmentation, not by segment"
    style = Style("#661100", "X")
    options = {  # noqa: RUF012
        "tier": "the only one",
        "gaps": "own",
        "silences": "those of aligners",
        "max_difference": MAX_DIFFERENCE,
    }

    def source(self, request: Request, experiment: Experiment, set_name: str) -> Source:
        raise EntcompError(f"--criterion {NAME}: run import-segmentation, which takes the files")


def import_segmentation(
    experiment: Experiment,
    set_names: Sequence[str],
    paths: Sequence[Path],
    tag: str,
    tier: str | None = None,
    gaps: str = "own",
    silences: str | None = None,
    max_difference: float = MAX_DIFFERENCE,
    skip_bad: bool = False,
) -> Iterator[str]:
    """Group units of sets as files of intervals do, see `IntervalSource`; yields what it did.

    ``paths``, ``tier``: see `IntervalFiles`. ``silences``: labels by commas, None those of
    aligners. Writes EXP/segments/TAG as segment does. Raises EntcompError for files that cannot be
    read, that have nothing of a set, or, unless ``skip_bad``, that lack an utterance or do not fit.
    """
    check_tag(tag)
    files = IntervalFiles(paths, tier, TierChoice(silences=parse_silences(silences)))
    sources = {
        name: IntervalSource.open(experiment, name, files, gaps, max_difference, REMEDY)
        for name in set_names
    }
    options = {"tier": tier, "gaps": gaps, "silences": silences, "max_difference": max_difference}
    given = {name: str(value) for name, value in options.items() if value is not None}
    request = Request.make(NAME, options=given)
    yield from segment_sets(
        experiment, list(sources), request, tag, skip_bad=skip_bad, sources=sources
    )
    known = {utt_id for one in sources.values() for utt_id in one.ids()}
    others = [utt_id for utt_id in files if utt_id not in known]
    if line := describe_utterances(
        others, "of the files has no units", "of the files have no units"
    ):
        yield line
