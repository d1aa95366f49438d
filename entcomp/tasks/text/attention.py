"""ESPnet's relative self-attention without the copies that made up most of its time on a CPU."""

from __future__ import annotations

from torch import Tensor, baddbmm, bmm

from entcomp.tasks.text.espnet_parts import RelPositionMultiHeadedAttention


class RelativeAttention(RelPositionMultiHeadedAttention):
    """The same parameters and, save for rounding, the same values.

    Scores by place are shifted as a view of what was multiplied, not by padding and cutting; scores
    by content are added to them within the product; queries are scaled, not scores.
    Shape suffixes: B utterances, T groups, H heads, d channels of a head, R = 2T - 1 places.
    """

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, pos_emb: Tensor, mask: Tensor
    ) -> Tensor:
        """(B, T, D) three times, (1, R, D) and (B, 1, T), true for what exists -> (B, T, D)."""
        (B, T, _), H, R = query.shape, self.h, pos_emb.shape[1]
        q, k, v = (x.transpose(0, 1) for x in self.forward_qkv(query, key, value))  # each HBTd
        content_HBTd = (q + self.pos_bias_u[:, None, None]) * self.d_k**-0.5
        place_HBTd = (q + self.pos_bias_v[:, None, None]) * self.d_k**-0.5
        p_HRd = self.linear_pos(pos_emb[0]).unflatten(-1, (H, -1)).transpose(0, 1)
        by_place = bmm(place_HBTd.flatten(1, 2), p_HRd.transpose(1, 2))  # (H, B * T, R)
        # Row i takes the places T - 1 - i to 2T - 2 - i: each row begins one earlier.
        shifted_NTT = by_place.as_strided((H * B, T, T), (T * R, R - 1, 1), T - 1)
        scores_NTT = baddbmm(shifted_NTT, content_HBTd.flatten(0, 1), k.flatten(0, 1).mT)
        scores_HBTT = scores_NTT.view(H, B, T, T).masked_fill_(~mask, float("-inf"))
        z_NTd = bmm(self.dropout(scores_HBTT.softmax(-1)).flatten(0, 1), v.flatten(0, 1))
        return self.linear_out(z_NTd.view(H, B, T, -1).permute(1, 2, 0, 3).flatten(2))
