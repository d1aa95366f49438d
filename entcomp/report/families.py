"""Which models and segmentations are alike but for their seed and how much they compress."""

from __future__ import annotations

import re

from entcomp.artifacts.experiment import Experiment

SEED = re.compile(r"_seed\d+(?= |$)")


def family_of(experiment: Experiment, name: str, segments: str) -> str:
    """What all of them are called whose scores one line of a figure joins.

    ``name`` is that of a model, or of what it decoded, and ``segments`` of the groups that it read:
    ``rate10_peak_max_seed1`` is one of ``rate_peak_max``, as is ``rate7_peak_max_seed0``.
    """
    info = experiment.find_segmentation(segments)
    bare = segments
    for value in info.given.values() if info else ():
        if isinstance(value, int | float):
            bare = bare.replace(f"{value:g}", "", 1)
    return SEED.sub("", name).replace(segments, bare)
