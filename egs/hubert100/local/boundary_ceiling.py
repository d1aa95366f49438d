#!/usr/bin/env python3
"""What boundaries could be found if phones were known: a ceiling for criteria without labels.

    local/boundary_ceiling.py --alignments DIR [--set test_lj] [--rates "12.5 10"] EXP

Classifiers learn, on every second utterance of the set, which frames begin a phone; the peaks of
their probability are scored on the others, as many as meet the rate. Two read the entropies of both
directions and whether the unit changes, over three frames on each side; one reads the units
themselves, over four. It prints a Markdown table, with the scores that align-eval has: references
are intervals of 10 ms, 20 ms of tolerance.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from entcomp.artifacts.entropies import Entropies
from entcomp.artifacts.experiment import Experiment, UnitsInfo
from entcomp.artifacts.runs import lengths_of
from entcomp.artifacts.ticks import nearest_frames, to_ticks
from entcomp.artifacts.units import Units
from entcomp.evaluation.boundaries.evaluate import Matching, evaluate
from entcomp.evaluation.boundaries.references import References
from entcomp.segmentation.rows import Predictions

TIER = "phones"
MATCHING = Matching(to_ticks(0.02), dither=to_ticks(0.005))
ENTROPY_CONTEXT, UNIT_CONTEXT = 3, 4  # frames on each side


@dataclass(frozen=True)
class Utterance:
    """Its units and entropies, (frames,) each, and the frames at which phones begin."""

    units: np.ndarray
    forward: np.ndarray
    backward: np.ndarray
    phones: np.ndarray

    @property
    def begins(self) -> np.ndarray:
        """Whether a phone begins at each frame: bool (frames,)."""
        return np.isin(np.arange(len(self.units)), self.phones)

    def from_entropies(self) -> np.ndarray:
        """(frames, 21) of both entropies at each edge, and whether the unit changes there."""
        before = np.concatenate([self.backward[:1], self.backward[:-1]])
        changes = np.diff(self.units, prepend=self.units[:1]) != 0
        rows = (self.forward, before, changes.astype(np.float32))
        return np.concatenate([windows(row, ENTROPY_CONTEXT) for row in rows], axis=1)

    def from_units(self, num_clusters: int) -> np.ndarray:
        """(frames, 9 * clusters): which unit stands at each of nine places."""
        one_hot = np.eye(num_clusters, dtype=np.float32)
        return one_hot[windows(self.units, UNIT_CONTEXT)].reshape(len(self.units), -1)


def main() -> None:
    parser = argparse.ArgumentParser(description="Ceiling of boundary scores, by known phones.")
    parser.add_argument("--alignments", type=Path, required=True)
    parser.add_argument("--set", default="test_lj")
    parser.add_argument("--rates", default="12.5 10")
    parser.add_argument("experiment", type=Path)
    arguments = parser.parse_args()
    experiment = Experiment(arguments.experiment)
    references = References(arguments.alignments, (TIER,))
    info = experiment.units_info()
    utterances = dict(read(experiment, arguments.set, references, info))
    tested = dict(list(utterances.items())[1::2])
    print("| known | classifier | Hz | F1 | R-value |\n|---|---|---:|---:|---:|")
    for known, name, classifier, features in readings(info.num_clusters):
        learn_from(classifier, features, list(utterances.values())[::2])
        scores = {
            utt_id: classifier.predict_proba(features(one))[:, 1] for utt_id, one in tested.items()
        }
        for rate in map(float, arguments.rates.split()):
            groups = peaks(scores, rate * info.frame_shift)
            result = evaluate(groups.items(), references, info, MATCHING, {})
            found = result["tiers"][TIER]["segmentation"]["dithered"]
            percent = f"{100 * found['f1']:.1f} | {100 * found['r_value']:.1f}"
            print(f"| {known} | {name} | {result['rate']:.1f} | {percent} |", flush=True)


def read(
    experiment: Experiment, set_name: str, references: References, info: UnitsInfo
) -> Iterator[tuple[str, Utterance]]:
    """The aligned utterances of a set, in order of ids."""
    entropies = Entropies.open(experiment, set_name, ("forward", "backward"))
    units = Units.open(experiment, set_name)
    for (utt_id, sequence), (_, (forward, backward)) in zip(units, entropies.rows(), strict=True):
        if utt_id in references:
            phones = nearest_frames(references[utt_id].boundaries[TIER], info)
            yield utt_id, Utterance(sequence, forward, backward, phones)


def readings(
    num_clusters: int,
) -> list[tuple[str, str, Pipeline, Callable[[Utterance], np.ndarray]]]:
    """What is known, the classifier and its name, and the features that it reads."""
    network = MLPClassifier(64, max_iter=60, early_stopping=True, random_state=0)
    linear, units = LogisticRegression(max_iter=300), LogisticRegression(max_iter=50)
    return [
        ("entropies", "linear", make_pipeline(StandardScaler(), linear), Utterance.from_entropies),
        (
            "entropies",
            "64 neurons",
            make_pipeline(StandardScaler(), network),
            Utterance.from_entropies,
        ),
        ("units", "linear", make_pipeline(units), lambda one: one.from_units(num_clusters)),
    ]


def learn_from(
    classifier: Pipeline,
    features: Callable[[Utterance], np.ndarray],
    utterances: list[Utterance],
) -> None:
    """Fit a classifier of frames, by which of them begin a phone."""
    inputs = np.concatenate([features(one) for one in utterances])
    classifier.fit(inputs, np.concatenate([one.begins for one in utterances]))


def peaks(scores: dict[str, np.ndarray], starts_a_frame: float) -> dict[str, np.ndarray]:
    """Groups, in frames, that begin at the highest peaks of all utterances; as many as asked."""
    lengths = [len(one) for one in scores.values()]
    first = np.cumsum([0, *lengths[:-1]])
    score = np.concatenate(list(scores.values()))
    maxima = Predictions(score, first).local_maxima(score)
    count = round(starts_a_frame * len(score)) - len(lengths)
    threshold = np.sort(score[maxima])[-count:][0]
    starts = maxima & (score >= threshold)
    starts[first] = True
    parts = np.split(starts, first[1:])
    return {utt_id: lengths_of(part) for utt_id, part in zip(scores, parts, strict=True)}


def windows(values: np.ndarray, context: int) -> np.ndarray:
    """(frames, 2 * context + 1): each frame with those around it; edges are repeated."""
    padded = np.pad(values, context, mode="edge")
    return np.lib.stride_tricks.sliding_window_view(padded, 2 * context + 1)


if __name__ == "__main__":
    main()
