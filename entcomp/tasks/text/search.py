"""Beam search over text pieces: ESPnet's, with the decoder, CTC prefixes and a length bonus."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from entcomp.encoder.packed import GroupedTokens, PackedTokens
from entcomp.tasks.text.config import DecodingConfig
from entcomp.tasks.text.espnet_parts import (
    BatchBeamSearch,
    BatchHypothesis,
    CTCPrefixScorer,
    LengthBonus,
    end_detect,
)
from entcomp.tasks.text.model import TextModel
from entcomp.tasks.text.vocabulary import Vocabulary


class _Search(BatchBeamSearch):
    """Ends when no better hypothesis is to be expected, whatever the bound on the length.

    ESPnet looks for the end only where the number of encoder states is that bound; but a
    compressed stream can be shorter than its text.
    """

    def post_process(
        self,
        i: int,
        maxlen: int,
        minlen: int,
        maxlenratio: float,
        running_hyps: BatchHypothesis,
        ended_hyps: list[Any],
    ) -> BatchHypothesis:
        running = super().post_process(i, maxlen, minlen, maxlenratio, running_hyps, ended_hyps)
        ended = end_detect([hypothesis.asdict() for hypothesis in ended_hyps], i)
        return BatchHypothesis() if ended else running


class TextSearch:
    """Turns streams into text, with a model in eval mode."""

    def __init__(self, model: TextModel, vocabulary: Vocabulary, config: DecodingConfig) -> None:
        self.model, self.vocabulary, self.config = model, vocabulary, config
        weight = config.ctc_weight if model.config.ctc_weight > 0 else 0.0
        self.search = _Search(
            scorers={
                "decoder": model.decoder,
                "ctc": CTCPrefixScorer(model.ctc, Vocabulary.eos),
                "length_bonus": LengthBonus(len(vocabulary)),
            },
            weights={"decoder": 1 - weight, "ctc": weight, "length_bonus": config.length_bonus},
            beam_size=config.beam,
            vocab_size=len(vocabulary),
            sos=Vocabulary.eos,
            eos=Vocabulary.eos,
            pre_beam_score_key="full" if weight < 1 else None,
        )

    def transcribe(self, stream: GroupedTokens) -> str:
        """The text of one stream."""
        return self.vocabulary.decode(self.best(self.encode(stream)))

    @torch.inference_mode()
    def encode(self, stream: GroupedTokens) -> Tensor:
        """Encoder states (M, D) of one stream, one for each group."""
        device = next(self.model.parameters()).device
        states_BMD, _ = self.model.encode(PackedTokens.pack([stream]).to(device))
        return states_BMD[0]

    @torch.inference_mode()
    def best(self, states_MD: Tensor) -> list[int]:
        """The ids of the best text for one utterance's encoder states; empty if none ends.

        With CTC, a text has at most as many pieces as the stream has groups.
        """
        groups = len(states_MD) if "ctc" in self.search.scorers else self.config.max_tokens
        longest = min(groups, self.config.max_tokens)
        hypotheses = self.search(states_MD, maxlenratio=-float(longest))
        return hypotheses[0].yseq[1:-1].tolist() if hypotheses else []
