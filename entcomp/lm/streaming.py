"""Entropies of units as they arrive, from the keys and values of those before them.

The spans are those of offline scoring (`entcomp.lm.spans`) and so are the weights; only sums are
taken in another order. That moves an entropy by some 1e-6 nats and by less than 1e-5, so a decision
differs only where an entropy lies that near to its threshold: about one in a million;
``tests/bench/streaming_decisions.py`` counts them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import numpy as np

from entcomp.errors import EntcompError
from entcomp.lm.onnx_lm import OnnxLM


class StreamingScorer:
    """Scores one utterance of any length, unit by unit, in constant memory.

    Once a span of ``context`` units is full, the next one begins with its last ``score_overlap``
    units, which are read again at once: then, one unit takes as long as a short batch. Raises
    EntcompError for a backward LM.
    """

    def __init__(self, lm: OnnxLM) -> None:
        if lm.config.direction != "forward":
            raise EntcompError(
                "a backward LM reads from the end: it cannot stream; take the forward one"
            )
        self.lm = lm
        self._num_clusters = lm.lm.num_clusters
        self._previous: int | None = None
        self._recent = deque([self._num_clusters], maxlen=lm.config.score_overlap + 1)
        self._begin_span()

    def push(self, units: Iterable[int]) -> np.ndarray:
        """Entropies of the next units, float32 (len(units),), in nats.

        With ``lm_units: dedup``, a unit that repeats the one before it has NaN. Raises EntcompError
        for what is no unit.
        """
        return np.array([self._push(int(unit)) for unit in units], np.float32)

    def _push(self, unit: int) -> float:
        if not 0 <= unit < self._num_clusters:
            raise EntcompError(f"unit {unit} is not one of 0..{self._num_clusters - 1}")
        if self.lm.config.lm_units == "dedup" and unit == self._previous:
            return float("nan")
        entropy = self._upcoming
        self._previous = unit
        self._recent.append(unit)
        if self._length == self.lm.config.context:
            self._begin_span()
        else:
            self._read([unit])
        return entropy

    def _begin_span(self) -> None:
        self._length, self._cache = 0, self.lm.empty_cache
        self._read(self._recent)

    def _read(self, tokens: Iterable[int]) -> None:
        tokens_T = np.array(list(tokens), np.int64)
        self._length += len(tokens_T)
        self._upcoming, self._cache = self.lm.step(tokens_T, self._cache)
