"""``EXP/lm``: the kept weights, the config they belong to, and the codebook behind them."""

from __future__ import annotations

from entcomp.artifacts.experiment import Direction, Experiment
from entcomp.artifacts.models import LMInfo, weights_path
from entcomp.config import load_config
from entcomp.lm.config import LMConfig
from entcomp.lm.model import UnitLM
from entcomp.training.weights import load_weights


def load_lm(experiment: Experiment, direction: Direction) -> tuple[UnitLM, LMConfig, LMInfo]:
    """The LM of an experiment, in eval mode on the CPU.

    Raises EntcompError if there is none, if it was trained on another codebook than the
    experiment's, or if its weights are not those that lm.json tells of.
    """
    folder = experiment.lm(direction)
    info = LMInfo.read(folder)
    info.check_units(experiment.units_info(), folder)
    weights = weights_path(folder, info.lm_sha256)
    config = load_config(LMConfig, folder / "config.yaml")
    model = UnitLM(config, info.num_clusters)
    load_weights(model, weights)
    return model.eval(), config, info
