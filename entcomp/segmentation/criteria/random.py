"""A baseline: random spacing at a rate."""

from __future__ import annotations

import numpy as np

from entcomp.segmentation.criteria import CRITERIA
from entcomp.segmentation.criterion import SpacedCriterion, Style
from entcomp.segmentation.rows import Rows
from entcomp.segmentation.rule import Rule


@CRITERIA.register("random")
class Random(SpacedCriterion):
    """As many groups as equal spacing has, their edges drawn without replacement.

    The draw depends on ``seed`` and the utterance's id only, not on order or sharding.
    """

    help = "random spacing, a baseline"
    style = Style("#777777", "1", line=":")
    takes = ("seed",)
    chance_draws = 5

    def starts(self, rows: Rows, rule: Rule) -> np.ndarray:
        if rule.seed is None:
            raise ValueError(f"not a resolved rule: {rule}")
        starts = np.zeros(len(rows.values), bool)
        counts = self.group_counts(rows.lengths, rule).tolist()
        firsts, lengths = rows.first.tolist(), rows.lengths.tolist()
        for utt_id, first, length, count in zip(rows.utt_ids, firsts, lengths, counts, strict=True):
            generator = np.random.default_rng([rule.seed, *utt_id.encode()])
            starts[first + 1 + generator.choice(length - 1, count - 1, replace=False)] = True
            starts[first] = True
        return starts
