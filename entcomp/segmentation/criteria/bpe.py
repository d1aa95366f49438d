"""A rival without an LM: byte-pair encoding of units, or of runs, its vocabulary as a rate asks.

Every unit is a letter; the pair of neighbours that is most frequent in the training sets becomes a
new token, again and again (Sennrich et al. 2016, as acoustic BPE does it). Groups are tokens.
"""

from __future__ import annotations

import json
import math
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np

from entcomp.artifacts.experiment import Experiment
from entcomp.artifacts.runs import run_mask
from entcomp.artifacts.units import Units
from entcomp.errors import EntcompError
from entcomp.files import sha256_of
from entcomp.segmentation.criteria import CRITERIA
from entcomp.segmentation.criterion import Style, Threshold, ThresholdCriterion
from entcomp.segmentation.request import Request
from entcomp.segmentation.rows import Predictions, Row, Rows
from entcomp.segmentation.rule import Rule
from entcomp.segmentation.sets import calibration_sets, find_sets

UNITS, RUNS = "units", "runs"
FIRST_LETTER = 0xF0000  # of Unicode's private planes, which have room for MOST_UNITS
MOST_UNITS = 1 << 17
MOST_MERGES = 1 << 16
LEAST_COUNT = 2  # of a pair that is merged


@CRITERIA.register("bpe")
class BytePairs(ThresholdCriterion):
    """Tokens of a byte-pair encoding, which is learnt by Hugging Face's tokenizers.

    The score of a unit is the first merge that joins it with the one before, counted from 1, so
    that the threshold is how many merges are used: as many as meet the rate on the calibration
    sets, or where ``--match-rate`` says. ``of``: units, or runs of equal units as one letter each.
    ``train``: the sets to learn from; ``calibration``: those on which the rate is met, by default
    the sets of calibration.json, or, where there is none, the training sets. All merges travel in
    the rule, so threshold.json is all that new recordings need. An utterance is cut from all of its
    units: it cannot stream.
    """

    help = "byte-pair encoding of units or runs, a baseline; needs no LM"
    style = Style("#332288", "8")
    thresholds = (Threshold("theta_z", unit="merges"),)
    options = {"of": UNITS, "train": "train*", "calibration": ""}  # noqa: RUF012
    untagged = ("of", "train", "calibration")

    def prepare(
        self, request: Request, experiment: Experiment, frame_shift: float
    ) -> dict[str, Any]:
        """Raises EntcompError for sets without units."""
        facts = _facts(request, experiment)
        if found := _learnt_before(experiment, facts):
            return {"options": found}
        train = _join(experiment, facts["trained_on"])
        letters, _ = _letters(train.values, train.first, facts["of"] == RUNS)
        merges = ",".join(learn_pairs(letters, facts["num_units"]))
        return {"options": {**facts, "merges": merges, "merges_sha256": sha256_of(merges)}}

    def scores(self, predictions: Predictions, rule: Rule) -> tuple[np.ndarray]:
        """Infinite where no merge joins, and, of runs, minus infinity inside of a run."""
        told = rule.options
        encoding = _encoding_of(told["num_units"], told["merges"], told["merges_sha256"])
        units = predictions.forward.astype(np.int64)
        letters, where = _letters(units, predictions.first, told["of"] == RUNS)
        found = np.full(len(units), -np.inf, np.float32)
        found[where] = encoding.joined_by(letters)
        return (found,)

    def describe(self, rule: Rule) -> list[str]:
        told = rule.options
        tokens = f"{_vocabulary(rule):,} tokens: {told['num_units']} units"
        learnt = f"merges of {told['of']}, learnt on {' '.join(told['trained_on'])}"
        if rule.match_rate:
            return [f"up to {tokens} and {learnt}", *super().describe(rule)]
        return [f"{tokens} and {learnt}, calibrated on {' '.join(told['calibrated_on'])}"]

    def tag(self, request: Request) -> str:
        return "_".join([super().tag(request), *([RUNS] * (request.own_options()["of"] == RUNS))])

    def bits_per_group(self, num_clusters: int, rule: Rule) -> float | None:
        as_learnt = rule.min_length == 1 and rule.max_length is None and rule.boundary == "first"
        is_token = as_learnt and rule.match_rate is None
        return math.log2(_vocabulary(rule)) if is_token else None


def learn_pairs(letters: list[str], num_units: int) -> list[str]:
    """The merges that the most frequent pairs of these utterances make, the first one first.

    Each is ``"12 100"``: token 12, a unit, before token 100, the first merge where there are 100
    units. A pair that makes a string which is a token already makes no new one. Ties are broken by
    numbers of tokens, so the same utterances give the same merges.
    """
    from tokenizers import Tokenizer
    from tokenizers.models import BPE
    from tokenizers.trainers import BpeTrainer

    alphabet = [chr(FIRST_LETTER + unit) for unit in range(num_units)]
    trainer = BpeTrainer(
        vocab_size=num_units + MOST_MERGES,
        min_frequency=LEAST_COUNT,
        initial_alphabet=alphabet,
        show_progress=False,
    )
    tokenizer = Tokenizer(BPE())
    tokenizer.train_from_iterator(letters, trainer)
    numbers = {letter: unit for unit, letter in enumerate(alphabet)}
    pairs = []
    for left, right in json.loads(tokenizer.to_str())["model"]["merges"]:
        pairs.append(f"{numbers[left]} {numbers[right]}")
        numbers.setdefault(left + right, len(numbers))
    return pairs


def _tokens_of(num_units: int, merges: str) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """The vocabulary with its numbers, and the merges as pairs of strings; see `learn_pairs`."""
    tokens = [chr(FIRST_LETTER + unit) for unit in range(num_units)]
    numbers = {letter: unit for unit, letter in enumerate(tokens)}
    pairs = []
    for pair in merges.split(",") if merges else ():
        left, right = (tokens[int(number)] for number in pair.split())
        pairs.append((left, right))
        if left + right not in numbers:
            numbers[left + right] = len(tokens)
            tokens.append(left + right)
    return numbers, pairs


class _Encoding:
    """A byte-pair encoding, and in which order its merges make a token."""

    def __init__(self, num_units: int, merges: str) -> None:
        from tokenizers import Tokenizer
        from tokenizers.models import BPE

        numbers, pairs = _tokens_of(num_units, merges)
        self._tokenizer = Tokenizer(BPE(numbers, pairs))
        self._tokens = list(numbers)
        self._order = {pair: order for order, pair in enumerate(pairs, start=1)}
        self._inside: dict[int, list[float]] = {}  # of tokens that were met

    def joined_by(self, letters: list[str]) -> np.ndarray:
        """Which merge joins each letter with the one before, from 1; float32 (letters,).

        With the first n merges alone, those up to n are joined and no others: merges follow their
        order, but where a string can be made in two ways, and then the later one counts. Raises
        ValueError for letters that are no units.
        """
        encoded = self._tokenizer.encode_batch(letters, add_special_tokens=False)
        joined = [order for one in encoded for token in one.ids for order in self._orders(token)]
        if len(joined) != sum(map(len, letters)):
            raise ValueError("units that the merges were not learnt of")
        return np.array(joined, np.float32)

    def _orders(self, token: int) -> list[float]:
        """The same inside of a token, which none joins with what is before it."""
        if token not in self._inside:
            parts, found, latest = list(self._tokens[token]), {0: math.inf}, 0
            while len(parts) > 1:
                pairs = enumerate(pairwise(parts))
                order, place = min((self._order.get(pair, math.inf), at) for at, pair in pairs)
                latest = max(latest, int(order))
                found[len("".join(parts[: place + 1]))] = latest
                parts[place : place + 2] = ["".join(parts[place : place + 2])]
            self._inside[token] = [order for _, order in sorted(found.items())]
        return self._inside[token]


@lru_cache(maxsize=2)
def _encoding_of(num_units: int, merges: str, sha256: str) -> _Encoding:
    if sha256_of(merges) != sha256:
        raise ValueError("its merges are not those that were learnt")
    return _Encoding(num_units, merges)


def _vocabulary(rule: Rule) -> int:
    """Tokens that the merges used make, or, where their number is still to be found, all merges."""
    merges = rule.options["merges"]
    if rule.theta_z is not None:
        merges = ",".join(merges.split(",")[: int(rule.theta_z)])
    return len(_tokens_of(rule.options["num_units"], merges)[0])


def _letters(units: np.ndarray, first: np.ndarray, of_runs: bool) -> tuple[list[str], np.ndarray]:
    """Each utterance as a string, and the position in ``units`` of each letter, int64.

    ``units`` (N,); ``first`` (U,): where utterances begin.
    """
    kept = run_mask(units) if of_runs else np.ones(len(units), bool)
    kept[first] = True
    where = np.flatnonzero(kept)
    text = (units[where] + FIRST_LETTER).astype("<u4").tobytes().decode("utf-32-le")
    bounds = [*np.searchsorted(where, first).tolist(), len(where)]
    return [text[begin:end] for begin, end in pairwise(bounds)], where


def _facts(request: Request, experiment: Experiment) -> dict[str, Any]:
    """What the merges are learnt from; raises EntcompError where something of it is not there."""
    options, num_units = request.own_options(), experiment.units_info().num_clusters
    if options["of"] not in (UNITS, RUNS):
        raise EntcompError(f"--option of={options['of']}: {UNITS} or {RUNS}")
    if num_units > MOST_UNITS:
        raise EntcompError(f"--criterion {request.criterion}: for at most {MOST_UNITS} units")
    train = find_sets(experiment, "train", str(options["train"]))
    calibration = calibration_sets(experiment, str(options["calibration"])) or train
    hashes = [Units.open(experiment, name).sha256 for name in train]
    return {
        "of": options["of"],
        "num_units": num_units,
        "trained_on": train,
        "calibrated_on": calibration,
        "learnt_from": sha256_of([hashes, LEAST_COUNT, MOST_MERGES]),
    }


def _learnt_before(experiment: Experiment, facts: dict[str, Any]) -> dict[str, Any] | None:
    """What a segmentation has that was learnt from the same: by an earlier run, another shard."""
    for tag in experiment.segmentations():
        try:
            info = experiment.find_segmentation(tag)
        except EntcompError:  # a damaged one; segment writes it anew
            continue
        options = info.rule.get("options", {}) if info else {}
        is_sound = sha256_of(options.get("merges")) == options.get("merges_sha256")
        if facts.items() <= options.items() and is_sound:
            return dict(options)
    return None


def _join(experiment: Experiment, sets: list[str]) -> Rows:
    """All utterances of sets. Raises EntcompError at the first bad one, and where there is none."""

    found: list[Row] = [
        (utt_id, units, None) for name in sets for utt_id, units in Units.open(experiment, name)
    ]
    if not found:
        raise EntcompError(f"{experiment.path}: no units in {', '.join(sets)}; run dump-units")
    return Rows.join(found)
