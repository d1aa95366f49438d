"""Beam search over text pieces, of many utterances at a time.

Scores are ESPnet's: its decoder, its CTC prefixes, a length bonus; so is the end of the search. Its
own batch search takes one utterance at a time, and CTC prefixes then go over the frames once for
each: most of its time. Shape suffixes: B utterances, W hypotheses of each, N = B * W of them, L
pieces, V vocabulary, M groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from entcomp.encoder.packed import GroupedTokens, PackedTokens
from entcomp.progress import track
from entcomp.tasks.text.config import DecodingConfig
from entcomp.tasks.text.decoder_steps import DecoderSteps
from entcomp.tasks.text.espnet_parts import CTCPrefixScoreTH, end_detect
from entcomp.tasks.text.model import TextModel
from entcomp.tasks.text.vocabulary import Vocabulary

# Of hypotheses: so many pieces that the decoder likes best are scored by CTC.
PRE_BEAM = 1.5


class TextSearch:
    """Turns streams into text, with a model in eval mode; ``groups`` counts those it has read."""

    def __init__(self, model: TextModel, vocabulary: Vocabulary, config: DecodingConfig) -> None:
        self.model, self.vocabulary, self.config = model, vocabulary, config
        self.ctc_weight = config.ctc_weight if model.config.ctc_weight > 0 else 0.0
        self.groups = 0

    def texts(self, streams: Sequence[GroupedTokens], title: str | None = None) -> list[str]:
        """The text of each stream, in batches of similar length; ``title`` shows a bar."""
        texts = [""] * len(streams)
        batches = self.batches(streams)
        for batch in track(batches, title) if title else batches:
            found = self.transcribe([streams[one] for one in batch])
            for one, text in zip(batch, found, strict=True):
                texts[one] = text
        return texts

    def batches(self, streams: Sequence[GroupedTokens]) -> list[list[int]]:
        """Numbers of the streams, longest first; padded, a batch is as large as in training."""
        batches: list[list[int]] = []
        for one in sorted(range(len(streams)), key=lambda one: -len(streams[one].tokens)):
            longest = len(streams[batches[-1][0]].tokens) if batches else 0
            if batches and longest * (len(batches[-1]) + 1) <= self.model.config.batch_frames:
                batches[-1].append(one)
            else:
                batches.append([one])
        return batches

    def transcribe(self, streams: Sequence[GroupedTokens]) -> list[str]:
        """The texts of one batch of streams."""
        states_BMD, lengths_B = self.encode(streams)
        self.groups += int(lengths_B.sum())
        found = self.best(states_BMD, lengths_B)
        return [self.vocabulary.decode(one) for one in found]

    @torch.inference_mode()
    def encode(self, streams: Sequence[GroupedTokens]) -> tuple[Tensor, Tensor]:
        """Encoder states (B, M, D), one for each group, and their numbers (B,)."""
        device = next(self.model.parameters()).device
        return self.model.encode(PackedTokens.pack(streams).to(device))

    @torch.inference_mode()
    def best(
        self, states_BMD: Tensor, lengths_B: Tensor, exactly: int | None = None
    ) -> list[list[int]]:
        """The ids of the best text for each utterance's encoder states; empty if none ends.

        With CTC, a text has at most as many pieces as the stream has groups. Texts of ``exactly``
        so many pieces make the time that two models take comparable.
        """
        longest = exactly or self.config.max_tokens
        limits = [min(one, longest) if self.ctc_weight else longest for one in lengths_B.tolist()]
        ended: list[list[dict[str, Any]]] = [[] for _ in limits]
        running = list(range(len(limits)))
        beams = _Beams(self, states_BMD, lengths_B)
        for step in range(max(limits)):
            self._extend(beams, may_end=exactly is None)
            done = [
                beams.pop_ended(row, ended[one], last=step == limits[one] - 1)
                or end_detect(ended[one], step)
                for row, one in enumerate(running)
            ]
            if all(done):
                break
            if any(done):
                rows = [row for row, is_done in enumerate(done) if not is_done]
                beams.keep(torch.tensor(rows, device=states_BMD.device))
                running = [running[row] for row in rows]
        return [
            max(texts, key=lambda one: one["score"])["yseq"][1:-1] if texts else []
            for texts in ended
        ]

    def _extend(self, beams: _Beams, may_end: bool) -> None:
        """Let each utterance have the best of all hypotheses that are one piece longer."""
        scores_NV = beams.scores_BW.new_full(
            (beams.scores_BW.numel(), len(self.vocabulary)), self.config.length_bonus
        )
        if self.ctc_weight < 1:
            scores_NV += (1 - self.ctc_weight) * beams.decoder_scores()
        if self.ctc_weight > 0:
            count = int(PRE_BEAM * self.config.beam)
            some = self.ctc_weight < 1 and count < len(self.vocabulary)
            scores_NV += self.ctc_weight * beams.ctc_scores(
                scores_NV.topk(count)[1] if some else None
            )
        if not may_end:
            scores_NV[:, Vocabulary.eos] = float("-inf")
        beams.extend(scores_NV)


class _Beams:
    """The running hypotheses; those of an utterance that has fewer are at minus infinity.

    ``prefixes`` are CTC's forward probabilities, for each hypothesis.
    """

    def __init__(self, search: TextSearch, states_BMD: Tensor, lengths_B: Tensor) -> None:
        shape = len(states_BMD), search.config.beam
        self.lengths_B = lengths_B
        self.pieces_BWL = lengths_B.new_full((*shape, 1), Vocabulary.eos)
        self.scores_BW = states_BMD.new_full(shape, float("-inf"))
        self.scores_BW[:, 0] = 0  # one empty hypothesis for each utterance
        self.decoder = DecoderSteps(search.model.decoder, states_BMD, lengths_B, shape[1])
        self.log_BMV = search.model.ctc.log_softmax(states_BMD)
        self.prefixes: Any = None
        self._start_ctc()

    def _start_ctc(self) -> None:
        self.ctc = CTCPrefixScoreTH(
            self.log_BMV.clone(), self.lengths_B, Vocabulary.blank, Vocabulary.eos
        )

    def decoder_scores(self) -> Tensor:
        """(N, V) log-probabilities of the next piece."""
        return self.decoder(self.pieces_BWL.flatten(0, 1))

    def ctc_scores(self, chosen_NP: Tensor | None) -> Tensor:
        """(N, V) log-probabilities of the next piece; only the P chosen ones are not tiny."""
        pieces_NL = self.pieces_BWL.flatten(0, 1).tolist()
        scores_NV, self.prefixes = self.ctc(pieces_NL, self.prefixes, chosen_NP)
        return scores_NV

    def extend(self, scores_NV: Tensor) -> None:
        """Keep the best W of each utterance's W * V, given the scores of their last piece."""
        B, W, L = self.pieces_BWL.shape
        total_BWV = self.scores_BW[..., None] + scores_NV.view(B, W, -1)
        self.scores_BW, best_BW = total_BWV.flatten(1).topk(W)
        first_B1 = torch.arange(0, B * W, W, device=best_BW.device)[:, None]
        from_N = (first_B1 + best_BW // scores_NV.shape[1]).flatten()
        pieces_BWL = self.pieces_BWL.flatten(0, 1)[from_N].view(B, W, L)
        self.pieces_BWL = torch.cat([pieces_BWL, best_BW[..., None] % scores_NV.shape[1]], 2)
        self.decoder.select(from_N)
        if self.prefixes is not None:
            self.prefixes = self.ctc.index_select_state(self.prefixes, best_BW)

    def pop_ended(self, row: int, ended: list[dict[str, Any]], last: bool) -> bool:
        """Move what has ended, or all if this piece was the last; true if none is left."""
        pieces_WL, scores_W = self.pieces_BWL[row].tolist(), self.scores_BW[row].tolist()
        for one, (pieces, score) in enumerate(zip(pieces_WL, scores_W, strict=True)):
            is_complete = pieces[-1] == Vocabulary.eos
            if score > float("-inf") and (is_complete or last):
                pieces += [] if is_complete else [Vocabulary.eos]
                ended.append({"score": score, "yseq": pieces})
                self.scores_BW[row, one] = float("-inf")
        return bool(self.scores_BW[row].isneginf().all())

    def keep(self, rows: Tensor) -> None:
        """Keep some utterances only."""
        count = self.scores_BW.shape[1]
        rows_N = (rows[:, None] * count + torch.arange(count, device=rows.device)).flatten()
        self.lengths_B = self.lengths_B[rows]
        self.pieces_BWL, self.scores_BW = self.pieces_BWL[rows], self.scores_BW[rows]
        groups = int(self.lengths_B.max())
        self.decoder.keep(rows, groups)
        self.decoder.select(rows_N)
        self.log_BMV = self.log_BMV[rows, :groups]
        self._start_ctc()
        if self.prefixes is not None:
            forward, scores, *window = self.prefixes
            self.prefixes = forward[:groups, :, rows_N], scores[rows_N], *window
