"""A rival without an LM: byte-pair encoding of units, or of runs, its vocabulary as a rate asks.

Every unit is a letter; the pair of neighbours that is most frequent in the training sets becomes a
new token, again and again (Sennrich et al. 2016, as acoustic BPE does it). Groups are tokens.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
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
from entcomp.segmentation.criterion import Criterion, Style
from entcomp.segmentation.request import Request
from entcomp.segmentation.rows import Row, Rows
from entcomp.segmentation.rule import Rule, group_starts
from entcomp.segmentation.sets import calibration_sets, find_sets

UNITS, RUNS = "units", "runs"
FIRST_LETTER = 0xF0000  # of Unicode's private planes, which have room for MOST_UNITS
MOST_UNITS = 1 << 17
MOST_MERGES = 1 << 16
LEAST_COUNT = 2  # of a pair that is merged


@CRITERIA.register("bpe")
class BytePairs(Criterion):
    """Tokens of a byte-pair encoding, which is learnt by Hugging Face's tokenizers.

    The vocabulary is the smallest whose rate on the calibration sets is not above the asked one.
    ``of``: units, or runs of equal units as one letter each. ``train``: the sets to learn from;
    ``calibration``: those on which the rate is met, by default the sets of calibration.json, or,
    where there is none, the training sets. The merges travel in the rule, so threshold.json is all
    that new recordings need. An utterance is cut from all of its units: it cannot stream.
    """

    help = "byte-pair encoding of units or runs, a baseline; needs no LM"
    style = Style("#332288", "8")
    options = {"of": UNITS, "train": "train*", "calibration": ""}  # noqa: RUF012
    untagged = ("of", "train", "calibration")

    def prepare(
        self, request: Request, experiment: Experiment, frame_shift: float
    ) -> dict[str, Any]:
        """Raises EntcompError for sets without units and a rate out of reach."""
        assert request.target_rate is not None
        facts = _facts(request, experiment, frame_shift)
        if found := _learnt_before(experiment, facts):
            return {"options": found}
        train = _join(experiment, facts["trained_on"])
        pairs = learn_pairs(_letters(train, facts["of"] == RUNS)[0], facts["num_units"])
        sample = _join(experiment, facts["calibrated_on"])

        def at(count: int) -> Rule:
            merges = ",".join(pairs[:count])
            return Rule(
                request.criterion,
                min_length=request.min_length,
                max_length=request.max_length,
                options={**facts, "merges": merges, "merges_sha256": sha256_of(merges)},
            )

        def rate_at(count: int) -> float:
            groups = np.count_nonzero(group_starts(sample, at(count)))
            return groups / (len(sample.values) * frame_shift)

        return {"options": at(_first_below(request.target_rate, rate_at, len(pairs))).options}

    def starts(self, rows: Rows, rule: Rule) -> np.ndarray:
        tokenizer, lengths = _tokenizer_of(
            rule.options["num_units"], rule.options["merges"], rule.options["merges_sha256"]
        )
        letters, where = _letters(rows, rule.options["of"] == RUNS)
        encoded = tokenizer.encode_batch(letters, add_special_tokens=False)
        tokens = lengths[np.concatenate([one.ids for one in encoded])]
        if tokens.sum() != len(where):
            raise ValueError(f"units outside of 0..{rule.options['num_units'] - 1}")
        starts = np.zeros(len(rows.values), bool)
        starts[where[np.cumsum(tokens) - tokens]] = True
        return starts

    def describe(self, rule: Rule) -> list[str]:
        told = rule.options
        return [
            f"{_vocabulary(rule):,} tokens: {told['num_units']} units and merges of {told['of']}",
            f"learnt on {' '.join(told['trained_on'])}, calibrated on "
            f"{' '.join(told['calibrated_on'])}",
        ]

    def tag(self, request: Request) -> str:
        return "_".join([super().tag(request), *([RUNS] * (request.own_options()["of"] == RUNS))])

    def bits_per_group(self, num_clusters: int, rule: Rule) -> float | None:
        is_token = rule.min_length == 1 and rule.max_length is None
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


@lru_cache(maxsize=2)
def _tokenizer_of(num_units: int, merges: str, sha256: str) -> tuple[Any, np.ndarray]:
    """What encodes letters, and the letters in each token, int64 (vocabulary,)."""
    from tokenizers import Tokenizer
    from tokenizers.models import BPE

    if sha256_of(merges) != sha256:
        raise ValueError("its merges are not those that were learnt")
    vocabulary, pairs = _tokens_of(num_units, merges)
    return Tokenizer(BPE(vocabulary, pairs)), np.array([len(token) for token in vocabulary])


def _vocabulary(rule: Rule) -> int:
    return len(_tokens_of(rule.options["num_units"], rule.options["merges"])[0])


def _letters(rows: Rows, of_runs: bool) -> tuple[list[str], np.ndarray]:
    """Each utterance as a string, and the position in ``rows`` of each letter, int64."""
    kept = run_mask(rows.values) if of_runs else np.ones(len(rows.values), bool)
    kept[rows.first] = True
    where = np.flatnonzero(kept)
    text = (rows.values[where] + FIRST_LETTER).astype("<u4").tobytes().decode("utf-32-le")
    bounds = [*np.searchsorted(where, rows.first).tolist(), len(where)]
    return [text[begin:end] for begin, end in pairwise(bounds)], where


def _first_below(rate: float, rate_at: Callable[[int], float], most: int) -> int:
    """The fewest merges that give no more than ``rate`` groups a second, by bisection.

    Raises EntcompError for a rate outside of the reach.
    """
    highest, least = rate_at(0), rate_at(most)
    if not least <= rate <= highest:
        raise EntcompError(
            f"a rate of {rate:g} Hz is out of reach: on the calibration set this criterion gives "
            f"{least:.2f} Hz, with {most:,} merges, to {highest:.2f} Hz; change --target-rate or "
            f"--option of={RUNS}, or learn from more units"
        )
    low, high = -1, most  # more than the rate at low, not more at high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if rate_at(middle) <= rate else (middle, high)
    return high


def _facts(request: Request, experiment: Experiment, frame_shift: float) -> dict[str, Any]:
    """What the merges are learnt from; raises EntcompError where something of it is not there."""
    options, num_units = request.own_options(), experiment.units_info().num_clusters
    if options["of"] not in (UNITS, RUNS):
        raise EntcompError(f"--option of={options['of']}: {UNITS} or {RUNS}")
    if num_units > MOST_UNITS:
        raise EntcompError(f"--criterion {request.criterion}: for at most {MOST_UNITS} units")
    train = find_sets(experiment, "train", str(options["train"]))
    calibration = calibration_sets(experiment, str(options["calibration"])) or train
    hashes = [Units.open(experiment, name).sha256 for name in (*train, *calibration)]
    limits = (request.min_length, request.max_length, LEAST_COUNT, MOST_MERGES)
    return {
        "of": options["of"],
        "num_units": num_units,
        "trained_on": train,
        "calibrated_on": calibration,
        "learnt_from": sha256_of([hashes, request.target_rate, frame_shift, limits]),
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
