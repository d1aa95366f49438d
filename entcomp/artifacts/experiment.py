"""Where each stage's files lie in EXP, and the facts about units that every later stage reads."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from entcomp.artifacts.hashes import check_same
from entcomp.artifacts.record import read_record
from entcomp.artifacts.segmentations import SegmentationInfo
from entcomp.artifacts.stage import read_stage
from entcomp.errors import EntcompError
from entcomp.files import sha256_file, write_json

Direction = Literal["forward", "backward"]
DIRECTIONS: tuple[Direction, Direction] = ("forward", "backward")
IMPORTED = "imported"  # in the place of an extractor


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
    def has_extractor(self) -> bool:
        """Can units be made of audio? Those from elsewhere cannot."""
        return self.extractor != IMPORTED

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
        """Raises EntcompError for a missing or damaged file, and for sizes that cannot be."""
        info = read_record(cls, path, "rerun learn-kmeans")
        for name in ("num_clusters", "sample_rate", "frame_shift_samples"):
            if getattr(info, name) < 1:
                raise EntcompError(f"{path}: {name} must be positive; rerun learn-kmeans")
        return info


@dataclass(frozen=True)
class Experiment:
    """The folder EXP and the names in it; each property says what lies there."""

    path: Path

    @property
    def codebook(self) -> Path:
        return self.path / "units" / "kmeans.npz"

    def checked_codebook(self) -> Path:
        """Raises EntcompError if the codebook is missing, or not that which units.json names."""
        expected = self.units_info().codebook_sha256
        if not self.codebook.exists():
            raise EntcompError(f"{self.codebook}: no such file; run learn-kmeans first")
        found = sha256_file(self.codebook)
        check_same(expected, found, "codebook", self.units_json, "rerun learn-kmeans")
        return self.codebook

    def check_checkpoint(self, checkpoint_sha256: str | None) -> None:
        """Raises EntcompError if the codebook was learnt with other weights of the extractor."""
        learnt = read_stage(self.codebook.parent)["inputs"].get("checkpoint_sha256")
        what, remedy = (
            "checkpoint of the extractor",
            "pass --checkpoint with the one that learn-kmeans had",
        )
        check_same(learnt, checkpoint_sha256, what, self.codebook, remedy)

    @property
    def units_json(self) -> Path:
        return self.path / "units" / "units.json"

    def units_info(self) -> UnitsInfo:
        """Raises EntcompError where no codebook was learnt or imported yet."""
        if not self.units_json.exists():
            raise EntcompError(
                f"{self.units_json}: no such file; run learn-kmeans or import-units first"
            )
        return UnitsInfo.read(self.units_json)

    def find_units_info(self) -> UnitsInfo | None:
        """As `units_info`; None where there is no units.json."""
        return self.units_info() if self.units_json.exists() else None

    def sets(self) -> list[str]:
        """Names of the sets that have units, sorted."""
        return sorted(scp.parent.name for scp in self.path.glob("units/*/units.scp"))

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

    def threshold(self, tag: str) -> Path:
        """What a segmentation was made by, and the rates that it reached."""
        return self.segments(tag) / "threshold.json"

    def segmentations(self) -> list[str]:
        """Tags of all segmentations, sorted."""
        return sorted(path.name for path in self.path.glob("segments/*") if path.is_dir())

    def segmentation(self, tag: str) -> SegmentationInfo:
        """Raises EntcompError where no groups were made under this tag."""
        return SegmentationInfo.read(self.threshold(tag))

    def find_segmentation(self, tag: str) -> SegmentationInfo | None:
        """As `segmentation`; None where nothing says what made the groups."""
        return self.segmentation(tag) if self.threshold(tag).exists() else None

    def criterion(self, tag: str) -> str:
        """What made a segmentation, as in ``bidirectional peaks``; its tag where nothing says."""
        info = self.find_segmentation(tag)
        return info.label if info else tag

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

    def unit_scores(self, set_name: str) -> Path:
        """Folder of ``scores.json`` and ``table.md``, as evaluate-units writes them."""
        return self.path / "unit_eval" / set_name


def entropy_name(direction: Direction, stem: str = "entropy") -> str:
    """``entropy`` or ``entropy_backward``: the name of a direction's files."""
    return stem if direction == "forward" else f"{stem}_backward"


def check_folder_name(tag: str) -> None:
    """Raises EntcompError for a ``--tag`` that does not name one folder."""
    if not tag or tag in (".", "..") or "/" in tag:
        raise EntcompError(f"--tag {tag}: no name of a folder; name another, without /")
