"""``EXP/lm``: the kept weights, the config they belong to, and the codebook behind them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from entcomp.artifacts.experiment import Direction, check_same
from entcomp.config import load_config
from entcomp.errors import EntcompError
from entcomp.files import read_json, sha256_file, write_json
from entcomp.lm.config import LMConfig, LmUnits

WEIGHTS = "model.safetensors"
CONFIG = "config.yaml"


@dataclass(frozen=True)
class LMInfo:
    """``lm.json``, which is written last."""

    lm_sha256: str  # of model.safetensors
    codebook_sha256: str
    direction: Direction
    lm_units: LmUnits
    num_clusters: int
    nats_per_unit: dict[str, float]  # on the dev set: lm, unigram, bigram

    def write(self, folder: Path) -> None:
        write_json(folder / "lm.json", asdict(self))

    @classmethod
    def read(cls, folder: Path) -> LMInfo:
        path = folder / "lm.json"
        if not path.exists():
            raise EntcompError(f"{path}: no such file; run train-lm first")
        try:
            return cls(**read_json(path))
        except TypeError as error:
            raise EntcompError(f"{path}: {error}; rerun train-lm") from None


def read_lm(folder: Path, codebook_sha256: str | None = None) -> tuple[LMConfig, LMInfo]:
    """What the LM in ``EXP/lm`` is, its weights checked but not loaded.

    Raises EntcompError if there is none, if it was trained on another codebook than the one given,
    or if its weights are not those that lm.json tells of.
    """
    info = LMInfo.read(folder)
    remedy = "rerun train-lm, or use another EXP"
    check_same(codebook_sha256, info.codebook_sha256, "codebook", folder / "lm.json", remedy)
    weights = folder / WEIGHTS
    if not weights.exists():
        raise EntcompError(f"{weights}: no such file; train the model first")
    check_same(info.lm_sha256, sha256_file(weights), "LM", weights, "rerun train-lm")
    return load_config(LMConfig, folder / CONFIG), info
