"""What a metric of voices has to offer; entcomp/evaluation/voices/metrics holds them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

SAMPLE_RATE = 16_000


class VoiceMetric(ABC):
    """Distances between how two utterances sound, whatever is said in them.

    ``help`` is its line in ``score-vc --help``, ``model`` its line under tables; ``labels`` name
    its distances there, the main one first.
    """

    help: ClassVar[str]
    model: ClassVar[str]
    labels: ClassVar[Mapping[str, str]]

    @classmethod
    def is_ready(cls) -> bool:
        """Is all there that it needs, so that it counts where nobody names it?"""
        return True

    @abstractmethod
    def describe(self, waveform: Any) -> Any:
        """What is compared, of (samples,) at SAMPLE_RATE; None where there is too little of it."""

    @abstractmethod
    def distances(self, one: Any, other: Any) -> dict[str, float]:
        """Each of ``labels``, of two descriptions; 0 where they are alike."""
