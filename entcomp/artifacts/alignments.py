"""TextGrids of a folder, by utterance."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from entcomp.errors import EntcompError
from entcomp.formats.textgrid import TextGrid, find_textgrids, read_textgrid


class Alignments:
    """TextGrids of ``folder``, named ``<utt_id>.TextGrid`` at any depth, as MFA leaves them.

    A TextGrid is read when it is asked for. Raises EntcompError for a file name that is there
    twice, since either could be meant.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._paths = find_textgrids(folder)

    def __contains__(self, utt_id: object) -> bool:
        return utt_id in self._paths

    def __len__(self) -> int:
        return len(self._paths)

    def __iter__(self) -> Iterator[str]:
        """Ids, sorted."""
        return iter(sorted(self._paths))

    def grid(self, utt_id: str) -> TextGrid:
        """Raises EntcompError if there is no TextGrid, or it is unreadable."""
        if utt_id not in self._paths:
            raise EntcompError(f"{self.folder}: no {utt_id}.TextGrid; run align")
        return read_textgrid(self._paths[utt_id])
