"""Files of recordings: their ids, a bar, what becomes of broken ones, and where results go."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import numpy as np

from entcomp.audio.decode import audio_seconds
from entcomp.audio.read import iter_wav
from entcomp.errors import EntcompError
from entcomp.files import atomic_path
from entcomp.progress import progress_bar

Reader = Callable[[str], Iterator[np.ndarray]]


def check_output(
    output: Path | None, folder: bool = False, inputs: Iterable[Path | None] = (), ending: str = ""
) -> None:
    """Raises EntcompError, before any work, for a folder in the place of a file or vice versa.

    Also for one of the ``inputs``, for devices, such as /dev/null, whose place the file would take,
    and for a name with another ``ending`` than that of what is written.
    """
    if output is None:
        return
    if ending and output.suffix.lower() not in ("", ending):
        raise EntcompError(f"--output {output}: only {ending} is written; name it so")
    if not output.exists():
        return
    if any(one and one.exists() and output.samefile(one) for one in inputs):
        raise EntcompError(f"--output {output}: is an input, too; name another file or folder")
    if output.is_dir() != folder:
        found, wanted = ("file", "folder") if folder else ("folder", "file")
        raise EntcompError(f"--output {output}: is a {found}; name a {wanted}")
    if output.is_relative_to("/dev") or not (output.is_dir() or output.is_file()):
        raise EntcompError(f"--output {output}: cannot be written to; leave it out, and redirect")


def named_after(recording: Path, suffix: str) -> Path:
    """Its name with another ending, in the working directory. Raises EntcompError for a folder."""
    if recording.is_dir():
        raise EntcompError(f"{recording}: is a folder; name a recording")
    return Path(recording.with_suffix(suffix).name)


@contextmanager
def open_lines(output: Path | None, inputs: Iterable[Path] = ()) -> Iterator[TextIO]:
    """A text file that appears when the block has ended well, or the standard output.

    Raises EntcompError as `check_output` does.
    """
    if output is None:
        yield sys.stdout
        return
    check_output(output, inputs=inputs)
    with atomic_path(output) as temporary, open(temporary, "w", encoding="utf-8") as stream:
        yield stream


class Recordings:
    """Files by distinct ids; an error in one is reported, and the others are still processed."""

    def __init__(self, files: Sequence[Path], channel: int | None = None) -> None:
        self.channel = channel
        self.files = len(files)
        named = {path: _unnameable(path) for path in files}
        self.paths = _by_id([path for path in files if named[path] is None])
        # By id or, of files that have none, by their printable names.
        self.errors = {_printable(path): one for path, one in named.items() if one is not None}

    def fail(self, utt_id: str, error: EntcompError) -> None:
        self.errors[utt_id] = error

    @contextmanager
    def bar(self, description: str) -> Iterator[Callable[[float], None]]:
        """A bar over all recordings; yields what is called with the seconds that are done.

        When the block ends, raises EntcompError if any recording has failed, naming it.
        """
        with progress_bar(description, sum(map(audio_seconds, self.paths.values()))) as advance:
            yield advance
        self._report()

    @contextmanager
    def progress(self, description: str, sample_rate: int) -> Iterator[Reader]:
        """As `bar`; yields what reads a recording, by id, in blocks."""
        with self.bar(description) as advance:

            def read(utt_id: str) -> Iterator[np.ndarray]:
                for block in iter_wav(self.paths[utt_id], sample_rate, channel=self.channel):
                    yield block
                    advance(len(block) / sample_rate)

            yield read

    def _report(self) -> None:
        if not self.errors:
            return
        if self.files == 1:
            raise next(iter(self.errors.values()))
        for error in self.errors.values():
            print(error, file=sys.stderr)
        names = ", ".join(str(self.paths.get(utt_id, utt_id)) for utt_id in self.errors)
        raise EntcompError(f"{len(self.errors)} of {self.files} recordings failed: {names}")


def _unnameable(path: Path) -> EntcompError | None:
    """Names that tables and messages, which are UTF-8 and have a line each, cannot hold."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return EntcompError(f"{_printable(path)}: a name that is not UTF-8; rename the file")
    if "".join(str(path).splitlines()) != str(path):
        return EntcompError(f"{_printable(path)}: a name with a line break; rename the file")
    return None


def _printable(path: Path) -> str:
    return "".join(str(path).encode("utf-8", "backslashreplace").decode().splitlines())


def _by_id(files: Sequence[Path]) -> dict[str, Path]:
    """An id for each file: its name without ending or spaces; the second of a name has ``-2``."""
    named: dict[str, Path] = {}
    for path in files:
        path = Path("/dev/stdin") if str(path) == "-" else path
        stem = "_".join(path.stem.split()) or "recording"
        utt_id, count = stem, 1
        while utt_id in named:
            count += 1
            utt_id = f"{stem}-{count}"
        named[utt_id] = path
    return named
