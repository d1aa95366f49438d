"""Entropies of units as they arrive, from the keys and values of those before them.

What is guaranteed: the same spans are read as in `entcomp.lm.score`, with the same weights, but by
other kernels, which add up in another order. In float64 (`Scorer`'s ``float64``, and all that
`entcomp.Tokenizer` does) that moves an entropy by some 1e-14 nats. Where so little could decide on
which float32 an entropy is rounded to, offline scoring reads the span again as it is streamed
(`one_by_one`). So both have the same float32 entropies, bit for bit, and the same groups, as long
as they differ by less than `MARGIN` before rounding. Against entropies that were scored in float32,
which are good to about 1e-6 nats, one decision in a million may differ.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from entcomp.errors import EntcompError
from entcomp.lm.config import LMConfig
from entcomp.lm.model import UnitLM, entropies

MARGIN = 1e-12  # nats; one entropy in a hundred thousand is that near to where rounding turns


class StreamingScorer:
    """Scores one utterance of any length, unit by unit, in constant memory.

    Once a span of ``context`` units is full, the next one begins with its last ``score_overlap``
    units, which are read again at once: then, one unit takes as long as a short batch.
    """

    def __init__(self, model: UnitLM, config: LMConfig) -> None:
        if config.direction != "forward":
            raise EntcompError("a backward LM reads an utterance from its end: it cannot stream")
        self.model = model.eval()
        self.config = config
        self._previous: int | None = None
        self._recent: deque[int] = deque([model.num_clusters], maxlen=config.score_overlap + 1)
        self._span = CachedSpan(model, config.context)
        self._upcoming = self._span.read([model.num_clusters])

    def push(self, units: Iterable[int]) -> np.ndarray:
        """Entropies of the next units, float32 (len(units),), in nats.

        With ``lm_units: dedup``, a unit that repeats the one before it has NaN. Raises EntcompError
        for what is no unit.
        """
        return np.array([self._push(int(unit)) for unit in units], np.float32)

    def _push(self, unit: int) -> float:
        if not 0 <= unit < self.model.num_clusters:
            raise EntcompError(f"unit {unit} is not one of 0..{self.model.num_clusters - 1}")
        if self.config.lm_units == "dedup" and unit == self._previous:
            return float("nan")
        entropy = self._upcoming
        self._previous = unit
        self._recent.append(unit)
        if self._span.length < self.config.context:
            self._upcoming = self._span.read([unit])
        else:
            self._span.length = 0
            self._upcoming = self._span.read(self._recent)
        return entropy


def one_by_one(model: UnitLM, context: int, tokens_T: np.ndarray, together: int) -> Tensor:
    """Entropies (T,) of what comes behind each token of a span, as `StreamingScorer` reads it.

    The first ``together`` tokens are read at once; those before the last of them have NaN.
    """
    span = CachedSpan(model, context)
    first = span.read(tokens_T[:together])
    others = [span.read([token]) for token in tokens_T[together:]]
    found = [float("nan")] * (together - 1) + [first, *others]
    return torch.tensor(found, dtype=torch.float64)


class CachedSpan:
    """`Sequences` of one: new tokens, which attend to all that ``length`` tokens left behind."""

    def __init__(self, model: UnitLM, context: int) -> None:
        self.model = model
        weight = model.embedding.weight
        heads = model.embedding.embedding_dim // model.head_dim
        shape = (len(model.blocks), 2, heads, context, model.head_dim)
        self.length = 0
        self.inputs_T = self.positions_T = torch.empty(0, dtype=torch.int64, device=weight.device)
        self._cache = torch.zeros(shape, dtype=weight.dtype, device=weight.device)
        self._layer = 0

    @torch.inference_mode()
    def read(self, tokens: Iterable[int]) -> float:
        """Go on with tokens; the entropy of what comes behind them."""
        self._go_on_with(tokens)
        return entropies(self.model(self)[-1:]).item()

    def _go_on_with(self, tokens: Iterable[int]) -> None:
        device = self.inputs_T.device
        self.inputs_T = torch.tensor(list(tokens), device=device)
        end = self.length + len(self.inputs_T)
        self.positions_T = torch.arange(self.length, end, device=device)
        self.length = end
        self._layer = 0

    def attend(self, q_THE: Tensor, k_THE: Tensor, v_THE: Tensor) -> Tensor:
        """Attention to all keys so far, which a layer's call adds to; (T, H, E) each."""
        cache = self._cache[self._layer]
        self._layer += 1
        cache[0, :, self.positions_T] = k_THE.transpose(0, 1)
        cache[1, :, self.positions_T] = v_THE.transpose(0, 1)
        keys, values = cache[:, None, :, : self.length]
        mask_TS = torch.arange(self.length, device=keys.device) <= self.positions_T[:, None]
        query = q_THE.transpose(0, 1)[None]
        mixed = F.scaled_dot_product_attention(query, keys, values, attn_mask=mask_TS)
        return mixed[0].transpose(0, 1)
