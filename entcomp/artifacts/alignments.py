"""TextGrids of a folder, by utterance, and whether they fit its units."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from entcomp.artifacts.experiment import UnitsInfo
from entcomp.artifacts.ticks import to_ticks
from entcomp.errors import EntcompError
from entcomp.formats.textgrid import TextGrid, find_textgrids, read_textgrid

# Seconds that a TextGrid may be longer or shorter than its units. Resampling, the padding of
# codecs and frames that do not fill up leave less (0.06 s for HuBERT on LJSpeech); a TextGrid of
# another recording, or of another cut of it, differs by more. Two frames are always allowed.
MAX_DIFFERENCE = 0.1


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


def compare_durations(
    source: str, duration: float, frames: int, info: UnitsInfo, max_difference: float, remedy: str
) -> str | None:
    """Both durations, where those of a file and of its units differ by more than two frames.

    ``duration`` and ``max_difference`` are in seconds, ``source`` names the file. Raises
    EntcompError, with the remedy, where they differ by more than ``max_difference`` as well.
    """
    seconds, two_frames = frames * info.frame_shift, to_ticks(2 * info.frame_shift)
    difference = abs(to_ticks(duration) - to_ticks(seconds))
    if difference > max(to_ticks(max_difference), two_frames):
        raise EntcompError(f"{source}: lasts {duration:.2f} s, the units {seconds:.2f} s; {remedy}")
    if difference > two_frames:
        return f"{seconds:.2f} s, TextGrid {duration:.2f} s"
    return None
