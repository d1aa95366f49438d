"""Reads damaged files in a process of its own, and says what came of each."""

from __future__ import annotations

import atexit
import importlib
import io
import logging
import random
import resource
import shutil
import signal
import tempfile
import traceback
import warnings
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from damage import Damage

from entcomp.errors import EntcompError
from entcomp.evaluation.alignment.worker import Worker, WorkerDiedError

SECONDS = 20  # that a file may take to be read or refused
MEMORY = 1 << 30  # bytes beyond what the libraries take
MODULES = ("kinds_of_tables", "kinds_of_artifacts", "kinds_of_models", "kinds_of_audio")


class LostError(Exception):
    """Utterances that went without a word."""


def none_lost(expected: int, found: int) -> None:
    if expected != found:
        raise LostError(f"{found} of {expected} utterances")


@dataclass(frozen=True)
class Kind:
    """A kind of file: ``make`` writes a sound one with all that it needs, and returns its path.

    ``read`` does with it what a command does, and returns how many utterances it has listed as bad
    ones, if it can. It raises EntcompError for a file that is refused, and LostError where
    utterances went without a word.
    """

    name: str
    make: Callable[[Path], Path]
    read: Callable[[Path], int | None]
    damage: Damage
    part: float = 1.0  # of the cases, of kinds that are slow to read


@dataclass(frozen=True)
class Outcome:
    """``verdict`` is fine, refused (or bad utterances listed) or bad; ``said`` is what is wrong."""

    kind: str
    seed: int
    verdict: str
    said: str = ""


def all_kinds() -> dict[str, Kind]:
    kinds: Sequence[Kind] = [one for name in MODULES for one in importlib.import_module(name).KINDS]
    return {one.name: one for one in kinds}


class Judge:
    """Asks a process for the outcome of a case; one that it does not survive is bad."""

    def __init__(self) -> None:
        self._worker = Worker(make_reader)

    def outcome(self, kind: str, seed: int) -> Outcome:
        try:
            return self._worker.ask((kind, seed), SECONDS + 40)  # samples are made at first
        except WorkerDiedError:
            return Outcome(kind, seed, "bad", f"crashed, or took more than {SECONDS} s")

    def close(self) -> None:
        self._worker.close()


class _SlowError(BaseException):
    """Raised by the alarm; no reader of files catches it."""


class _Sample:
    """A sound file of a kind; each case damages it anew."""

    def __init__(self, kind: Kind, folder: Path) -> None:
        self.kind, self.folder = kind, folder
        folder.mkdir(parents=True)
        self.path = kind.make(folder)
        self.sound = self.path.read_bytes()

    def read(self, seed: int) -> int | None:
        """Damage the file, and read it within the time."""
        self.path.write_bytes(
            self.kind.damage(self.sound, random.Random(f"{self.kind.name} {seed}"))
        )
        signal.alarm(SECONDS)
        try:
            return self.read_quietly()
        finally:
            signal.alarm(0)

    def read_quietly(self) -> int | None:
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            return self.kind.read(self.path)

    @cached_property
    def names(self) -> set[str]:
        return {path.name for path in self.folder.rglob("*")} | {str(self.folder)}

    def fault(self, message: str) -> str:
        """Is it one line, of printable characters, that names a file?"""
        if len(message.splitlines()) != 1 or not message.isprintable():
            return f"not a printable line: {message!r}"
        if not any(name in message for name in self.names):
            return f"names no file: {message}"
        return (
            f"a line of {len(message)} characters: {message[:200]}" if len(message) > 2000 else ""
        )


def make_reader() -> Callable[[Any], Outcome]:
    """Called in the process: samples are made when their kind is asked for first."""
    root = Path(tempfile.mkdtemp(prefix="entcomp-fuzz-"))
    kinds = all_kinds()
    samples: dict[str, _Sample] = {}
    signal.signal(signal.SIGALRM, _too_slow)
    warnings.simplefilter("ignore")
    logging.getLogger("entcomp").setLevel(logging.ERROR)  # no bars
    atexit.register(shutil.rmtree, root, ignore_errors=True)

    def read(case: tuple[str, int]) -> Outcome:
        name, seed = case
        if name not in samples:
            _limit_memory(None)
            try:
                samples[name] = _Sample(kinds[name], root / name)
                assert not samples[name].read_quietly(), "utterances of a sound file are bad"
            except Exception:
                return Outcome(name, -1, "bad", f"a sound file: {traceback.format_exc()}")
            _limit_memory(MEMORY)
        return _judge(samples[name], seed)

    return read


def _judge(sample: _Sample, seed: int) -> Outcome:
    name = sample.kind.name
    try:
        told = sample.read(seed)
    except EntcompError as error:
        fault = sample.fault(str(error))
        return Outcome(name, seed, "bad" if fault else "refused", fault)
    except _SlowError:
        return Outcome(name, seed, "bad", f"took more than {SECONDS} s")
    except BaseException as error:
        frames = list(traceback.extract_tb(error.__traceback__))
        last = [one for one in frames if "/site-packages/" not in one.filename][-1]
        where = f"{Path(last.filename).name}:{last.lineno}"
        return Outcome(
            name, seed, "bad", f"{type(error).__name__} at {where}: {str(error)[:200]!r}"
        )
    return Outcome(name, seed, "refused" if told else "fine")


def _too_slow(*_: object) -> None:
    raise _SlowError


def _limit_memory(more: int | None) -> None:
    """What the process has now may grow by so many bytes."""
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    status = Path("/proc/self/status").read_text()
    now = int(status.partition("VmData:")[2].split()[0]) * 1024
    resource.setrlimit(resource.RLIMIT_DATA, (hard if more is None else now + more, hard))
