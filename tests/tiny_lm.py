"""Entropy LMs with random weights, written as train-lm writes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from entcomp.artifacts.models import WEIGHTS
from entcomp.config import save_config
from entcomp.files import sha256_file
from entcomp.lm.checkpoint import CONFIG, LMInfo
from entcomp.lm.config import LMConfig
from entcomp.lm.export import export_onnx
from entcomp.lm.model import UnitLM
from entcomp.lm.onnx_lm import OnnxLM
from entcomp.lm.score import Scorer
from entcomp.training.weights import write_weights

SMALL = {"layers": 2, "dim": 32, "heads": 2, "ffn_dim": 64, "context": 64, "score_overlap": 24}


def small_config(**values: object) -> LMConfig:
    return LMConfig.model_validate(SMALL | values)


def random_lm(
    config: LMConfig, num_clusters: int = 20, seed: int = 0, scale: float = 0.3
) -> UnitLM:
    """Random weights, large enough that entropies differ from each other."""
    torch.manual_seed(seed)
    model = UnitLM(config, num_clusters).eval()
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=scale)
    return model


def write_lm(
    folder: Path,
    config: LMConfig,
    num_clusters: int,
    codebook: str = "codebook",
    seed: int = 0,
) -> LMInfo:
    """``EXP/lm`` of a `random_lm`."""
    model = random_lm(config, num_clusters, seed)
    write_weights(folder / WEIGHTS, model.state_dict())
    save_config(folder / CONFIG, config)
    info = LMInfo(
        lm_sha256=sha256_file(folder / WEIGHTS),
        codebook_sha256=codebook,
        direction=config.direction,
        lm_units=config.lm_units,
        num_clusters=num_clusters,
        nats_per_unit={"lm": 2.0, "unigram": 3.0, "bigram": 2.5},
    )
    export_onnx(folder, config, info)
    info.write(folder)
    return info


def make_lm(folder: Path, config: LMConfig, num_clusters: int = 20) -> OnnxLM:
    write_lm(folder, config, num_clusters)
    return OnnxLM.open(folder)


def torch_scorer(folder: Path, config: LMConfig) -> Scorer:
    """The same LM by torch, on the CPU."""
    info = LMInfo.read(folder)
    model = UnitLM.load(folder / WEIGHTS, config, info.num_clusters)
    return Scorer(model, config, info, torch.device("cpu"))


def speech_like(length: int, seed: int, clusters: int = 20) -> np.ndarray:
    """Units with repeats, as those of speech have: int32 (length,)."""
    generator = np.random.default_rng(seed)
    runs = generator.geometric(0.45, length)
    return np.repeat(generator.integers(0, clusters, length), runs)[:length].astype(np.int32)
