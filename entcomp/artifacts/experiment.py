"""Where each stage's files lie in EXP, and the facts about units that every later stage reads."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from entcomp.errors import EntcompError
from entcomp.files import read_json, write_json

Direction = Literal["forward", "backward"]


@dataclass(frozen=True)
class UnitsInfo:
    """``EXP/units/units.json``: what the units of an experiment are.

    Unit ``i`` stands for the audio around ``receptive_offset + i * frame_shift`` seconds, its
    frame beginning there; ``codebook_sha256`` is the hash of ``kmeans.npz``.
    """

    extractor: str
    layer: int
    num_clusters: int
    sample_rate: int
    frame_shift_samples: int
    receptive_offset_samples: int
    codebook_sha256: str

    @property
    def frame_shift(self) -> float:
        """Seconds from one unit to the next."""
        return self.frame_shift_samples / self.sample_rate

    @property
    def frame_rate(self) -> float:
        """Units a second."""
        return self.sample_rate / self.frame_shift_samples

    @property
    def receptive_offset(self) -> float:
        """Seconds to add to ``i * frame_shift`` for the time at which unit ``i`` begins."""
        return self.receptive_offset_samples / self.sample_rate

    def write(self, path: Path) -> None:
        write_json(path, asdict(self))

    @classmethod
    def read(cls, path: Path) -> UnitsInfo:
        values = read_json(path)
        try:
            return cls(**values)
        except TypeError as error:
            raise EntcompError(f"{path}: {error}; rerun learn-kmeans") from None


@dataclass(frozen=True)
class Experiment:
    """The folder EXP and the names in it; each property says what lies there."""

    path: Path

    @property
    def codebook(self) -> Path:
        return self.path / "units" / "kmeans.npz"

    @property
    def units_json(self) -> Path:
        return self.path / "units" / "units.json"

    def units_info(self) -> UnitsInfo:
        """Raises EntcompError where no codebook was learnt or imported yet."""
        return UnitsInfo.read(self.units_json)

    def units(self, set_name: str) -> Path:
        """Folder of ``units.{ark,scp}``."""
        return self.path / "units" / set_name

    def lm(self, direction: Direction = "forward") -> Path:
        return self.path / ("lm" if direction == "forward" else "lm_backward")

    def entropy(self, set_name: str) -> Path:
        """Folder of ``entropy.{ark,scp}`` and ``entropy_backward.{ark,scp}``."""
        return self.path / "entropy" / set_name

    def calibration(self, direction: Direction = "forward") -> Path:
        return self.path / "entropy" / f"{entropy_name(direction, 'calibration')}.json"

    def segments(self, tag: str) -> Path:
        """Folder of ``threshold.json`` and of ``<set>/groups.{ark,scp}``."""
        return self.path / "segments" / tag

    def criterion(self, tag: str) -> str:
        """What made a segmentation, as in ``bidirectional peaks``; its tag where nothing says."""
        path = self.segments(tag) / "threshold.json"
        threshold = read_json(path) if path.exists() else {}
        peaks = " peaks" if threshold.get("peaks") else ""
        return threshold.get("criterion", tag) + peaks

    def task(self, task: str, tag: str) -> Path:
        """Folder of a trained model: ``asr/<tag>``, ``st/<tag>``, ``vc/<tag>``."""
        return self.path / task / tag

    def voices(self, set_name: str) -> Path:
        """Folder of ``speaker.{ark,scp}``, embeddings of each utterance's voice."""
        return self.path / "speaker" / set_name

    def alignments(self, set_name: str) -> Path:
        """Folder of ``<utt_id>.TextGrid``."""
        return self.path / "align" / set_name

    def alignment_scores(self, tag: str) -> Path:
        return self.path / "align_eval" / tag


def entropy_name(direction: Direction, stem: str = "entropy") -> str:
    """``entropy`` or ``entropy_backward``: the name of a direction's files."""
    return stem if direction == "forward" else f"{stem}_backward"


def check_same(expected: Any, found: Any, what: str, where: Path, remedy: str) -> None:
    """Refuse to mix one codebook, LM or segmentation with another's.

    Raises EntcompError if both hashes are known and differ.
    """
    if expected and found and expected != found:
        raise EntcompError(f"{where}: made with another {what}; {remedy}")
