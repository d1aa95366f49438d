"""How often streaming starts a group where offline does not, or the other way round.

    python tests/bench/streaming_decisions.py [--units 500000] [RECORDING...]

Both read the same units with the model that comes with entcomp. Units are those of the recordings,
by default the sixty prompts of the tests, laid end to end in ever other orders, to utterances of
10,000 units. The units of a group of one criterion are as many decisions.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from entcomp.audio.read import read_wav
from entcomp.lm.onnx_lm import OnnxLM
from entcomp.lm.streaming import StreamingScorer
from entcomp.pipelines.tokenizer import Tokenizer
from entcomp.segmentation.rows import Rows
from entcomp.segmentation.rule import Rule, group_starts
from entcomp.segmentation.streaming import StreamingGroups

PROMPTS = Path(__file__).resolve().parents[1] / "fixtures" / "prompts"
UTTERANCE = 10_000  # units
RATES = {"global": 15.0, "relative": 15.0, "combined": 15.0, "peak": 6.0}  # groups a second


@dataclass
class Comparison:
    """``apart``: nats between the entropies of a unit, at most; ``differing``: by criterion."""

    units: int = 0
    apart: float = 0.0
    differing: dict[str, int] = field(default_factory=dict)

    def add(self, lm: OnnxLM, units: np.ndarray, rules: dict[str, Rule]) -> None:
        """Compare on an utterance, int32 (frames,)."""
        offline, streamed = lm.score(units), StreamingScorer(lm).push(units)
        self.units += len(units)
        self.apart = max(self.apart, float(np.nanmax(np.abs(offline - streamed))))
        rows = Rows.join([("", offline, None)])
        for name, rule in rules.items():
            stream = StreamingGroups(rule)
            lengths = stream.push(streamed) + stream.finish()
            starts = np.zeros(len(units), bool)
            starts[np.cumsum([0, *lengths[:-1]])] = True
            differing = int(np.count_nonzero(starts != group_starts(rows, rule)))
            self.differing[name] = self.differing.get(name, 0) + differing

    def describe(self) -> str:
        counts = ", ".join(f"{name} {count}" for name, count in self.differing.items())
        return f"{self.units:,} units, at most {self.apart:.1e} nats apart; differing: {counts}"


def rules_of(tokenizer: Tokenizer) -> dict[str, Rule]:
    """Of every criterion that streams, at `RATES`."""
    return {name: tokenizer.rule(rate, name) for name, rate in RATES.items()}


def shuffled(pieces: Sequence[np.ndarray], total: int) -> Iterator[np.ndarray]:
    """Utterances of `UTTERANCE` units, ``total`` in all."""
    generator = np.random.default_rng(0)
    held, left = np.empty(0, np.int32), total
    while left > 0:
        size = min(UTTERANCE, left)
        while len(held) < size:
            order = generator.permutation(len(pieces))
            held = np.concatenate([held, *(pieces[one] for one in order)])
        yield held[:size]
        held, left = held[size:], left - size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recordings", nargs="*", type=Path, default=sorted(PROMPTS.glob("*.opus")))
    parser.add_argument("--units", type=int, default=500_000)
    arguments = parser.parse_args()
    tokenizer = Tokenizer.from_pretrained()
    rate, fixed = tokenizer.info.sample_rate, Rule("fixed", window=1)
    pieces = [
        tokenizer.encode(read_wav(path, rate), rate, rule=fixed, name=str(path)).units
        for path in arguments.recordings
    ]
    lm = OnnxLM.open(tokenizer.experiment.lm())
    comparison = Comparison()
    for units in shuffled(pieces, arguments.units):
        comparison.add(lm, units, rules_of(tokenizer))
        print(comparison.describe(), flush=True)


if __name__ == "__main__":
    main()
