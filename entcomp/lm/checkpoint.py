"""``EXP/lm``: the kept weights, the config they belong to, and the codebook behind them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from entcomp.artifacts.experiment import Direction, Experiment, check_same
from entcomp.config import load_config
from entcomp.errors import EntcompError
from entcomp.files import read_json, sha256_file, write_json
from entcomp.lm.config import LMConfig, LmUnits
from entcomp.lm.model import UnitLM
from entcomp.training.weights import load_weights


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


def load_lm(experiment: Experiment, direction: Direction) -> tuple[UnitLM, LMConfig, LMInfo]:
    """The LM of an experiment, in eval mode on the CPU.

    Raises EntcompError if there is none, if it was trained on another codebook than the
    experiment's, or if its weights are not those that lm.json tells of.
    """
    folder = experiment.lm(direction)
    info = LMInfo.read(folder)
    codebook = experiment.units_info().codebook_sha256
    remedy = "rerun train-lm, or use another EXP"
    check_same(codebook, info.codebook_sha256, "codebook", folder / "lm.json", remedy)
    weights = folder / "model.safetensors"
    config = load_config(LMConfig, folder / "config.yaml")
    model = UnitLM(config, info.num_clusters)
    load_weights(model, weights)
    check_same(info.lm_sha256, sha256_file(weights), "LM", weights, "rerun train-lm")
    return model.eval(), config, info
