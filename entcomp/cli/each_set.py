"""What commands do that take all sets by default."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from entcomp.errors import LackingError
from entcomp.kaldi.datadir import DataDir


def each_set(data_sets: Sequence[DataDir], named: bool, do: Callable[[DataDir], None]) -> None:
    """Call ``do`` for each set; those whose input is missing are reported and skipped.

    Raises LackingError where the user has ``named`` them, and where all of them do.
    """
    lacking = 0
    for data_set in data_sets:
        try:
            do(data_set)
        except LackingError as error:
            lacking += 1
            if named or lacking == len(data_sets):
                raise
            print(f"{data_set.name}: passed over; {error}", flush=True)
