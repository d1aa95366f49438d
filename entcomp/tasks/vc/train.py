"""Train a voice converter, and what its folder says of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from entcomp.artifacts.experiment import UnitsInfo
from entcomp.artifacts.models import checked_weights
from entcomp.config import load_config
from entcomp.encoder.local import embeddings_inputs
from entcomp.tasks.vc.config import VcConfig
from entcomp.tasks.vc.content import FrameMap
from entcomp.tasks.vc.corpus import VcUtterance
from entcomp.tasks.vc.dataset import VcBatches, mel_statistics
from entcomp.tasks.vc.durations import Durations
from entcomp.tasks.vc.info import VcInfo
from entcomp.tasks.vc.model import VoiceConverter, build_converter
from entcomp.training.description import write_description
from entcomp.training.evaluation import training_device
from entcomp.training.loop import FitResult, fit
from entcomp.training.ranks import is_first_rank
from entcomp.training.weights import load_model

MAX_DEV_BATCHES = 16


def train_voice_converter(
    folder: Path,
    info: VcInfo,
    config: VcConfig,
    units: UnitsInfo,
    train: Sequence[VcUtterance],
    dev: Sequence[VcUtterance],
    data_sha256: dict[str, Any],
    start: Path | None,
    vectors_KF: np.ndarray | None,
    allow_pipes: bool = False,
) -> FitResult:
    """Train in ``folder``, or continue there; prints what it found.

    ``data_sha256`` names all that the utterances were read from; ``start`` is the folder of a
    converter to begin with; ``vectors_KF`` (K, features) are what the embeddings are to begin from,
    if not at random. Raises EntcompError if no speaker has two utterances, if ``start`` is of
    another codebook or another size, for sizes that cannot be, and for what `fit` does.
    """
    frame_map = FrameMap.between(units, config.mel)
    batches, dev_batches = (VcBatches(one, frame_map, config, allow_pipes) for one in (train, dev))
    count = min(MAX_DEV_BATCHES, -(-len(dev_batches.targets) // config.batch.size))
    model = build_converter(config, info.num_clusters)
    init: dict[str, str] = {}
    if start is None:
        model.set_mel_statistics(*mel_statistics(train, config, allow_pipes))
        if vectors_KF is not None:
            model.start_from_vectors(torch.from_numpy(vectors_KF))
    else:
        converter, _, init_sha256 = load_converter(start, units)
        model.start_from(converter, start)
        init = {"init_sha256": init_sha256}
    size = sum(one.numel() for one in model.network.parameters())
    print(f"{folder}: {size / 1e6:.2f} M parameters, {len(batches.targets)} utterances")
    inputs = {
        "task": asdict(info),
        "model": config.model_dump(mode="json", exclude={"training", "sampler"}),
        "data": data_sha256,
        **init,
    }
    inputs |= embeddings_inputs(config.local, vectors_KF)
    fixed = [dev_batches.batch(step) for step in range(count)]
    result = fit(model, batches, fixed, config.training, folder, inputs)
    if is_first_rank():
        Durations.learn((one.units for one in train), info.num_clusters).write(folder)
    write_description(folder, config, info)
    return result


def load_converter(folder: Path, units: UnitsInfo) -> tuple[VoiceConverter, VcInfo, str]:
    """The model that was trained in ``folder``, ready for use, and the SHA-256 of its weights.

    Raises EntcompError if there is none, or if it was trained on another codebook's units.
    """
    info = VcInfo.read(folder)
    info.check_units(units, folder)
    config = load_config(VcConfig, folder / "config.yaml")
    weights, sha256 = checked_weights(folder)
    model = load_model(lambda: VoiceConverter(config, info.num_clusters), weights)
    return model.to(training_device()).eval(), info, sha256
