"""Trained models: what each says of itself, and which weights belong to it.

A trained model is a folder with ``config.yaml``, ``model.safetensors`` and one JSON file, which is
written last: ``lm.json`` for the entropy LM, ``task.json`` for tasks.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

from entcomp.artifacts.experiment import Direction, UnitsInfo
from entcomp.artifacts.hashes import check_same
from entcomp.artifacts.record import read_record
from entcomp.artifacts.stage import read_stage
from entcomp.errors import EntcompError
from entcomp.files import sha256_file, write_json

WEIGHTS = "model.safetensors"
LmUnits = Literal["raw", "dedup"]
InfoT = TypeVar("InfoT", bound="ModelInfo")


class ModelInfo:
    """Base of the frozen dataclasses that such a JSON file holds.

    A task adds its own fields to ``codebook_sha256`` and ``num_clusters``, which name the units
    that the model reads.
    """

    FILE: ClassVar[str] = "task.json"
    STAGE: ClassVar[str] = "its training"
    codebook_sha256: str
    num_clusters: int

    @classmethod
    def read(cls: type[InfoT], folder: Path) -> InfoT:
        """Raises EntcompError where there is no model, or its training has not ended."""
        path = folder / cls.FILE
        if not path.exists():
            there = sorted(one.parent.name for one in folder.parent.glob(f"*/{cls.FILE}"))
            if there:
                raise EntcompError(f"{folder}: no such model; available: {', '.join(there)}")
            raise EntcompError(f"{path}: no such file; run {cls.STAGE} first")
        return read_record(cls, path, f"rerun {cls.STAGE}")

    @classmethod
    def find(cls: type[InfoT], folder: Path) -> InfoT | None:
        """As `read`; None where its file is not there."""
        return cls.read(folder) if (folder / cls.FILE).exists() else None

    def write(self, folder: Path) -> None:
        """Write it after the weights, so that it never stands beside older ones."""
        values: Any = self
        write_json(folder / self.FILE, asdict(values))

    def check_units(self, units: UnitsInfo, folder: Path) -> None:
        """Raises EntcompError if the model was trained on units of another codebook."""
        self.check_codebook(units.codebook_sha256, folder)
        if units.num_clusters != self.num_clusters:
            raise EntcompError(
                f"{folder / self.FILE}: made for {self.num_clusters} units, not "
                f"{units.num_clusters}; {self._remedy}"
            )

    def check_codebook(self, codebook_sha256: str | None, folder: Path) -> None:
        """Raises EntcompError if the model reads the units of another codebook."""
        path = folder / self.FILE
        check_same(codebook_sha256, self.codebook_sha256, "codebook", path, self._remedy)

    @property
    def _remedy(self) -> str:
        return f"rerun {self.STAGE}, or use another EXP"


@dataclass(frozen=True)
class LMInfo(ModelInfo):
    """``EXP/lm/lm.json``."""

    FILE: ClassVar[str] = "lm.json"
    STAGE: ClassVar[str] = "train-lm"

    lm_sha256: str  # of its weights
    codebook_sha256: str
    direction: Direction
    lm_units: LmUnits
    num_clusters: int
    nats_per_unit: dict[str, float]  # on the dev set: lm, unigram, bigram


def checked_weights(folder: Path, expected_sha256: str | None = None) -> tuple[Path, str]:
    """The weights of a trained model, their bytes checked, and their SHA-256.

    ``expected_sha256`` is, by default, what the training noted of them, if that is there. Raises
    EntcompError where there are none, or others.
    """
    path = folder / WEIGHTS
    if not path.exists():
        raise EntcompError(f"{path}: no such file; train the model first")
    expected = expected_sha256 or read_stage(folder, "training")["outputs"].get("sha256")
    found = sha256_file(path)
    if expected and found != expected:
        raise EntcompError(f"{path}: not the weights that were trained; train the model again")
    return path, found
