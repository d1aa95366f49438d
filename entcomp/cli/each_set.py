"""What commands do that take all sets by default."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from entcomp.errors import LackingError
from entcomp.kaldi.datadir import DataDir


def each_set(data_sets: Sequence[DataDir], named: bool, do: Callable[[DataDir], None]) -> None:
    """Do it to each set; those that lack what it takes are said, and passed over.

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
