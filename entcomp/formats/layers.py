"""Tokens of several codebooks: which numbers of a frame make its unit.

vq-wav2vec has two groups of 320 entries, SpeechTokenizer eight layers of 1024 (the first of which
is about what is said, the others about how).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from entcomp.errors import EntcompError

# As in 17-305, fairseq's vq-wav2vec; other scripts write 17_305 or 17,305.
SEPARATOR = re.compile("[-_,]")
# The entropy LM's data hold units in 16 bits.
MOST_UNITS = 1 << 16


@dataclass(frozen=True)
class Layers:
    """The codebooks that units are made of; each has ``num_clusters`` entries.

    One layer's number is the unit. Of several, a frame of ``a`` and ``b`` becomes ``a * K + b``,
    the first one named being the coarsest.
    """

    chosen: tuple[int, ...]
    num_clusters: int

    @classmethod
    def parse(cls, text: str, num_clusters: int) -> Layers:
        """Of numbers from 0 on, divided by commas, as in ``0,1``.

        Raises EntcompError for anything else, and for more units than the entropy LM can hold.
        """
        try:
            chosen = tuple(int(one) for one in text.split(","))
        except ValueError:
            chosen = ()
        if not chosen or min(chosen) < 0 or len(set(chosen)) != len(chosen):
            raise EntcompError(f"--layers {text}: expected numbers from 0 on, as in 0 or 0,1")
        found = cls(chosen, num_clusters)
        if len(chosen) > 1 and found.num_units > MOST_UNITS:
            raise EntcompError(
                f"--layers {text}: {num_clusters} entries in each of {len(chosen)} codebooks make "
                f"{found.num_units} units, more than {MOST_UNITS}; name one layer"
            )
        return found

    @property
    def num_units(self) -> int:
        """How many units there can be."""
        return self.num_clusters ** len(self.chosen)

    def unit(self, frame: Sequence[object]) -> int:
        """The unit of a frame, which has a number for each codebook.

        Raises EntcompError for a frame without one of the layers, and for a number outside 0..K-1.
        """
        found = 0
        for layer in self.chosen:
            if layer >= len(frame):
                raise EntcompError(f"{len(frame)} numbers a frame, and none of layer {layer}")
            value = frame[layer]
            if type(value) is not int or not 0 <= value < self.num_clusters:
                raise EntcompError(
                    f"layer {layer}: {value!r} is not one of 0..{self.num_clusters - 1}"
                )
            found = found * self.num_clusters + value
        return found
