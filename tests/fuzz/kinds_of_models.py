"""Trained models: configs, weights, graphs, vocabularies, checkpoints, packs, vocoders."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from damage import (
    damage_binary,
    damage_json,
    damage_safetensors,
    damage_text,
    damage_zip,
)
from judge import Kind
from tiny_lm import small_config, write_lm
from tiny_pipeline import add_converter, add_recogniser, make_pipeline
from toy_onnx import write_model

from entcomp.artifacts.experiment import Experiment, UnitsInfo
from entcomp.artifacts.packing import open_model, pack
from entcomp.config import load_config
from entcomp.lm.checkpoint import LMInfo, read_lm
from entcomp.lm.config import LMConfig
from entcomp.lm.model import UnitLM
from entcomp.lm.onnx_lm import OnnxLM
from entcomp.pipelines.tokenizer import Tokenizer
from entcomp.report.info import experiment_info
from entcomp.tasks.text.train import TrainedTextModel
from entcomp.tasks.text.vocabulary import Vocabulary
from entcomp.tasks.vc.durations import Durations
from entcomp.tasks.vc.train import load_converter
from entcomp.training.checkpoints import Checkpoints
from entcomp.training.config import TrainingConfig
from entcomp.units.foreign_weights import load_arrays, read_foreign_weights

K = 20


def make_lm(folder: Path, name: str) -> Path:
    write_lm(folder, small_config(layers=1), K)
    return folder / name


def read_lm_files(path: Path) -> None:
    """As score-entropy loads it; hashes of weights are left to lm.json."""
    config, info = read_lm(path.parent)
    UnitLM.load(path.parent / "model.safetensors", config, info.num_clusters)


def read_weights(path: Path) -> None:
    """Weights that lm.json tells of: the damage is no accident."""
    config, info = load_config(LMConfig, path.parent / "config.yaml"), LMInfo.read(path.parent)
    UnitLM.load(path, config, info.num_clusters)


def read_onnx(path: Path) -> None:
    lm = OnnxLM.open(path.parent)
    entropy = lm.score(np.arange(10) % K)
    assert entropy.shape == (10,)


def with_units(folder: Path) -> Experiment:
    experiment = Experiment(folder / "exp")
    UnitsInfo("mfcc", 0, K, 16000, 160, 0, "c0de").write(experiment.units_json)
    return experiment


def make_text_model(folder: Path, name: str) -> Path:
    experiment = with_units(folder)
    add_recogniser(experiment, "asr")
    return experiment.task("asr", "tiny") / name


def read_text_model(path: Path) -> None:
    TrainedTextModel.load(path.parent)
    experiment_info(Experiment(path.parents[2]))


def read_vocabulary(path: Path) -> None:
    vocabulary = Vocabulary.load(path)
    ids = vocabulary.encode("a few words")
    vocabulary.decode(ids)
    vocabulary.decode(range(len(vocabulary)))


def make_converter(folder: Path, name: str) -> Path:
    experiment = with_units(folder)
    add_converter(experiment)
    return experiment.task("vc", "tiny") / name


def read_converter(path: Path) -> None:
    load_converter(path.parent, Experiment(path.parents[2]).units_info())


def read_durations(path: Path) -> None:
    found = Durations.read(path.parent, Experiment(path.parents[2]).units_info())
    found.expand(np.arange(K, dtype=np.int32))


def make_pack(folder: Path) -> Path:
    with tempfile.TemporaryDirectory() as elsewhere:
        pack(make_pipeline(Path(elsewhere)), folder / "pack.tar", [], {}, "a card")
    return folder / "pack.tar"


def read_pack(path: Path) -> None:
    """Unpacked folders are removed at once, as there will be thousands."""
    from entcomp.artifacts import packing

    os.utime(path, ns=(0, 0))
    packing._unpack.cache_clear()
    before = set(Path(tempfile.gettempdir()).glob("entcomp-*"))
    try:
        experiment = open_model(path).experiment
        Tokenizer.open(experiment)
    finally:
        for folder in set(Path(tempfile.gettempdir()).glob("entcomp-*")) - before:
            if not folder.name.startswith("entcomp-fuzz-"):
                shutil.rmtree(folder, ignore_errors=True)


class Toy(torch.nn.Linear):
    def __init__(self) -> None:
        super().__init__(4, 3)


RUN = {"data": "toy", "training": {"seed": 0}}


def make_checkpoint(folder: Path, name: str) -> Path:
    torch.manual_seed(0)
    model = Toy()
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(2, 4)).sum().backward()
    optimizer.step()
    checkpoints = Checkpoints(folder, TrainingConfig(), RUN)
    checkpoints.save(1, {"loss": 1.5}, model, optimizer)
    return folder / name


def read_checkpoint(path: Path) -> None:
    """Go on from it for a step."""
    checkpoints = Checkpoints(path.parent, TrainingConfig(), RUN)
    checkpoints.is_done()
    model = Toy()
    optimizer = torch.optim.AdamW(model.parameters())
    checkpoints.restore(model, optimizer)
    model(torch.ones(2, 4)).sum().backward()
    optimizer.step()
    assert all(isinstance(one, Path) for one in checkpoints.kept_files())


JIK876 = {
    "resblock": "1",
    "upsample_rates": [8, 4, 2, 2],
    "upsample_kernel_sizes": [16, 8, 4, 4],
    "upsample_initial_channel": 16,
    "resblock_kernel_sizes": [3],
    "resblock_dilation_sizes": [[1, 3, 5]],
    "num_mels": 80,
    "n_fft": 1024,
    "hop_size": 128,
    "win_size": 1024,
    "sampling_rate": 16000,
    "fmin": 0,
    "fmax": 8000,
}
GENERATOR = {
    "channels": 16,
    "upsample_scales": [8, 4, 2, 2],
    "upsample_kernel_sizes": [16, 8, 4, 4],
    "resblock_kernel_sizes": [3],
    "resblock_dilations": [[1, 3, 5]],
}


def make_hifigan(folder: Path, name: str) -> Path:
    from entcomp.tasks.vc.vocoders.hifigan import GeneratorConfig, build_generator

    mel = mel_of_hifigan()
    config = GeneratorConfig.model_validate(GENERATOR)
    generator = build_generator(config, mel, weight_norm=False)
    (folder / "config.json").write_text(json.dumps(JIK876, indent=1))
    torch.save({"generator": generator.state_dict()}, folder / "g_00000001")
    return folder / name


def mel_of_hifigan():  # type: ignore[no-untyped-def]
    from entcomp.audio.mel import MelConfig

    return MelConfig(
        sample_rate=16000,
        n_fft=1024,
        win_length=1024,
        hop_length=128,
        n_mels=80,
        f_min=0,
        f_max=8000,
    )


def read_hifigan(path: Path) -> None:
    from entcomp.tasks.vc.vocoders import load_vocoder

    load_vocoder(path.parent / "g_00000001", mel_of_hifigan())


def make_own_vocoder(folder: Path, name: str) -> Path:
    from entcomp.config import save_config
    from entcomp.tasks.vc.vocoders.hifigan import VocoderConfig, build_generator
    from entcomp.training.weights import write_weights

    values = {"mel": mel_of_hifigan().model_dump(), "generator": GENERATOR}
    config = VocoderConfig.model_validate(values)
    generator = build_generator(config.generator, config.mel, weight_norm=False)
    weights = {f"generator.{key}": one for key, one in generator.state_dict().items()}
    write_weights(folder / "model.safetensors", weights)
    save_config(folder / "config.yaml", config)
    return folder / name


def read_own_vocoder(path: Path) -> None:
    from entcomp.tasks.vc.vocoders import load_vocoder

    load_vocoder(path.parent, mel_of_hifigan())


def make_extractor(folder: Path) -> Path:
    return write_model(folder / "a.onnx")


def read_extractor(path: Path) -> None:
    from entcomp.units.extractors import load_extractor

    extractor = load_extractor("onnx:output=frames,shift=160", None, path)
    extractor(np.ones(16000, np.float32))  # type: ignore[operator]


def make_fairseq(folder: Path, is_zip: bool) -> Path:
    path = folder / "fairseq.pt"
    names = ("feature_extractor.conv_layers.0.0.weight", "encoder.layers.0.fc1.bias")
    checkpoint = {
        "args": argparse.Namespace(arch="hubert"),
        "model": {name: torch.ones(3, 5) for name in names},
        "optimizer_history": [{"num_updates": 1}],
    }
    torch.save(checkpoint, path, _use_new_zipfile_serialization=is_zip)
    return path


def read_fairseq(path: Path) -> None:
    found = read_foreign_weights(path)
    assert found.toolkit
    for array in load_arrays(path, found.weights).values():
        assert array.dtype == np.float32


def of(make: Callable[..., Path], name: str) -> Callable[[Path], Path]:
    return partial(make, name=name)


KINDS = [
    Kind("lm.json", of(make_lm, "lm.json"), read_lm_files, damage_json),
    Kind("config.yaml of an LM", of(make_lm, "config.yaml"), read_lm_files, damage_text),
    Kind("model.safetensors", of(make_lm, "model.safetensors"), read_weights, damage_safetensors),
    Kind("model.onnx", of(make_lm, "model.onnx"), read_onnx, damage_binary, 0.5),
    Kind("extractor.onnx", make_extractor, read_extractor, damage_binary, 0.3),
    Kind("fairseq.pt", partial(make_fairseq, is_zip=True), read_fairseq, damage_zip),
    Kind("old fairseq.pt", partial(make_fairseq, is_zip=False), read_fairseq, damage_binary),
    Kind(
        "task.json of a recogniser",
        of(make_text_model, "task.json"),
        read_text_model,
        damage_json,
        0.5,
    ),
    Kind(
        "config.yaml of a recogniser",
        of(make_text_model, "config.yaml"),
        read_text_model,
        damage_text,
        0.5,
    ),
    Kind("text.model", of(make_text_model, "text.model"), read_vocabulary, damage_binary),
    Kind(
        "config.yaml of a converter",
        of(make_converter, "config.yaml"),
        read_converter,
        damage_text,
        0.3,
    ),
    Kind(
        "task.json of a converter",
        of(make_converter, "task.json"),
        read_converter,
        damage_json,
        0.3,
    ),
    Kind(
        "durations.json of a converter",
        of(make_converter, "durations.json"),
        read_durations,
        damage_json,
        0.3,
    ),
    Kind("pack.tar", make_pack, read_pack, damage_binary, 0.5),
    Kind("last.ckpt", of(make_checkpoint, "last.ckpt"), read_checkpoint, damage_safetensors),
    Kind("run.json", of(make_checkpoint, "run.json"), read_checkpoint, damage_json),
    Kind(
        "config.json of HiFi-GAN", of(make_hifigan, "config.json"), read_hifigan, damage_json, 0.5
    ),
    Kind("checkpoint of HiFi-GAN", of(make_hifigan, "g_00000001"), read_hifigan, damage_zip, 0.5),
    Kind(
        "config.yaml of a vocoder",
        of(make_own_vocoder, "config.yaml"),
        read_own_vocoder,
        damage_text,
        0.3,
    ),
]
