"""entcomp evaluate-units"""

from __future__ import annotations

from entcomp.artifacts.experiment import Experiment
from entcomp.cli.options import Data, Exp, Seed, Sets, SkipBad
from entcomp.cli.references import AlignmentsDir, SegmentationTags
from entcomp.kaldi.datadir import find_sets
from entcomp.pipelines.evaluate_units import UnitEvaluation


def evaluate_units(
    data: Data,
    exp: Exp,
    segmentation: SegmentationTags = "all",
    alignments: AlignmentsDir = None,
    sets: Sets = None,
    skip_bad: SkipBad = False,
    seed: Seed = 0,
) -> None:
    """Score units against phones and speakers, and say what streams of their groups cost.

    PNMI, phone and cluster purity; information about the speaker; entropies and bit rates of raw,
    dedup and the segmentations. Writes EXP/unit_eval/SET/scores.json and table.md.
    """
    evaluation = UnitEvaluation(Experiment(exp), alignments, seed, skip_bad)
    for line in evaluation.score_sets(find_sets(data, sets), segmentation):
        print(line)
