"""What a unit tells about who is speaking."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from entcomp.evaluation.bootstrap import with_intervals
from entcomp.evaluation.units.counts import entropy

PERMUTATIONS = 20


def speaker_scores(
    utterances: Sequence[np.ndarray], speakers: Sequence[str], seed: int = 0
) -> dict[str, Any]:
    """Scores of units (frames,) of each utterance and its speaker, with intervals; for JSON.

    ``information`` is I(unit; speaker) of a frame, in nats, above ``chance``: that of the same
    utterances with speakers dealt out anew (the mean of PERMUTATIONS), which holds the bias of few
    frames as well as what utterances owe to their text. Utterances that are dealt together still
    tell of their own speakers, the more, the fewer they are: what chance has too much by that is
    made up for (`_told_apart`). ``share``: of ``speaker_entropy``. What cannot be told, as of
    speakers with one utterance each, is None.
    """
    names, numbers = np.unique(np.array(speakers), return_inverse=True)
    clusters = 1 + max(int(units.max()) for units in utterances)
    histograms = np.stack([np.bincount(units, minlength=clusters) for units in utterances])
    owners, found = np.nonzero(histograms)
    occur = histograms[owners, found]
    generator = np.random.default_rng(seed)
    told_apart = _told_apart(len(utterances), len(names))

    def information(weights: np.ndarray, whose: np.ndarray) -> float:
        cells, counts = whose[owners] * clusters + found, occur * weights[owners]
        joint = np.bincount(cells, counts, minlength=len(names) * clusters).reshape(-1, clusters)
        return entropy(joint.sum(0)) + entropy(joint.sum(1)) - entropy(joint.ravel())

    def measure(weights: np.ndarray) -> dict[str, float]:
        # One permutation is enough for each of many resamples.
        times = PERMUTATIONS if (weights == 1).all() else 1
        dealt = [information(weights, generator.permutation(numbers)) for _ in range(times)]
        chance = float(np.mean(dealt))
        above = (information(weights, numbers) - chance) / told_apart
        frames = histograms.sum(1) * weights
        spoken = entropy(np.bincount(numbers, frames))
        return {
            "information": above,
            "chance": chance,
            "speaker_entropy": spoken,
            "share": above / spoken if spoken > 0 else float("nan"),
        }

    measured = with_intervals(measure, len(utterances), seed)
    low, high = measured["interval"]["speaker_entropy"]
    most = round(float(np.log(len(names))), 6)
    measured["interval"]["speaker_entropy"] = [low, min(high, most)]
    return {"speakers": len(names)} | measured


def _told_apart(utterances: int, speakers: int) -> float:
    """The part of what units tell of speakers that speakers dealt out anew do not; NaN for none.

    Means of n utterances drawn from all N vary as the speakers' own do, by (N - n) / (n (N - 1)).
    """
    each = utterances / speakers
    part = 1 - (utterances - each) / (each * max(utterances - 1, 1))
    return part if part > 0 and speakers > 1 else float("nan")
