"""An upper bound: phones or words that an aligner found, knowing the text."""

from __future__ import annotations

from pathlib import Path

from entcomp.artifacts.alignments import MAX_DIFFERENCE
from entcomp.artifacts.experiment import Experiment
from entcomp.artifacts.intervals import IntervalFiles
from entcomp.errors import EntcompError
from entcomp.segmentation.criteria import CRITERIA
from entcomp.segmentation.criterion import Style
from entcomp.segmentation.intervals import IntervalCriterion, IntervalSource
from entcomp.segmentation.request import Request


@CRITERIA.register("oracle")
class Oracle(IntervalCriterion):
    """A group is a phone, or an interval of another tier of TextGrids.

    ``alignments`` is a folder or tar file of TextGrids for all sets, by default EXP/align/<set>;
    ``gaps``: see `IntervalSource`.
    """

    help = "phones or words of TextGrids, an upper bound"
    style = Style("#117733", "d")
    options = {  # noqa: RUF012
        "tier": "phones",
        "alignments": "EXP/align/SET",
        "gaps": "own",
        "max_difference": MAX_DIFFERENCE,
    }
    untagged = ("tier", "alignments", "max_difference")

    def source(self, request: Request, experiment: Experiment, set_name: str) -> IntervalSource:
        options = request.own_options()
        folder = Path(str(options["alignments"]))
        if options["alignments"] == self.options["alignments"]:
            folder = experiment.alignments(set_name)
        if not folder.exists():
            raise EntcompError(
                f"{folder}: no TextGrids; run align, or give --option alignments=DIR"
            )
        return IntervalSource.open(
            experiment,
            set_name,
            IntervalFiles([folder], str(options["tier"])),
            str(options["gaps"]),
            float(options["max_difference"]),
            "align again, or raise it by --option max_difference=SECONDS",
        )

    def tag(self, request: Request) -> str:
        return f"{request.criterion}_{request.own_options()['tier']}"
