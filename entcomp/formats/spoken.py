"""What data of other libraries hold: recordings, and who says what in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True)
class Spoken:
    """An utterance of a manifest, by its own names, which Kaldi's tables perhaps cannot hold.

    ``wav`` is a path or ``command |``; ``start`` and ``end`` are seconds in ``recording``, or None
    where the utterance is all of it. ``texts`` has the transcript by ``text`` and translations by
    ``text.fr`` and the like.
    """

    utt_id: str
    wav: str
    recording: str
    start: float | None = None
    end: float | None = None
    speaker: str | None = None
    language: str | None = None
    texts: dict[str, str] = field(default_factory=dict)


class Source(Protocol):
    """A manifest that is open; ``not_taken`` names what is in it and has no place in a data dir."""

    not_taken: set[str]

    def __iter__(self) -> Iterator[tuple[str, Spoken | str]]:
        """Each utterance's name, and itself or why it cannot be taken."""
        ...
