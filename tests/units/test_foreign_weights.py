"""Checkpoints of fairseq and others as --checkpoint, written here under their own names."""

from __future__ import annotations

import argparse
import dataclasses
import os
import pickle
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
import torchaudio
from babbling import babble

from entcomp.errors import EntcompError
from entcomp.units.extractors import load_extractor

SMALL = {
    "encoder_embed_dim": 32,
    "encoder_num_heads": 4,
    "encoder_ff_interm_features": 16,
    "encoder_pos_conv_groups": 4,
    "encoder_num_layers": 2,
}
PIPELINES = (
    "HUBERT_BASE",
    "HUBERT_LARGE",
    "WAV2VEC2_BASE",
    "WAV2VEC2_XLSR_300M",
    "WAVLM_BASE_PLUS",
)


@pytest.fixture(autouse=True)
def small_pipelines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pipelines of torchaudio with the real strides, two layers and few channels; large ones have
    three.
    """
    for name in dir(torchaudio.pipelines):
        pipeline = getattr(torchaudio.pipelines, name)
        if not name.startswith(("HUBERT", "WAV2VEC2", "WAVLM")) or "ASR" in name:
            continue
        strides = pipeline._params["extractor_conv_layer_config"]
        small = {"extractor_conv_layer_config": [(8, *one) for _, *one in strides], **SMALL}
        if pipeline._params["encoder_num_layers"] > 12:
            small["encoder_num_layers"] = 3
        changed = dataclasses.replace(pipeline, _params=pipeline._params | small)
        monkeypatch.setattr(torchaudio.pipelines, name, changed)


def random_model(name: str) -> torch.nn.Module:
    pipeline = getattr(torchaudio.pipelines, name)
    make = {"Wav2Vec2": torchaudio.models.wav2vec2_model, "WavLM": torchaudio.models.wavlm_model}
    torch.manual_seed(0)
    model = make[pipeline._model_type](**pipeline._params)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, 0.5, std=0.3)
    return model.eval()


def layer_weights(layer: Any, is_wavlm: bool) -> dict[str, torch.Tensor]:
    """Names within a layer as fairseq and WavLM's authors have them."""
    found = {
        f"{there}.{kind}": getattr(getattr(layer, here), kind)
        for there, here in (
            ("self_attn_layer_norm", "layer_norm"),
            ("final_layer_norm", "final_layer_norm"),
        )
        for kind in ("weight", "bias")
    }
    for kind in ("weight", "bias"):
        found[f"fc1.{kind}"] = getattr(layer.feed_forward.intermediate_dense, kind)
        found[f"fc2.{kind}"] = getattr(layer.feed_forward.output_dense, kind)
    attention = layer.attention
    if not is_wavlm:
        return found | {f"self_attn.{name}": one for name, one in attention.state_dict().items()}
    found["self_attn.grep_a"] = attention.gru_rel_pos_const
    for kind in ("weight", "bias"):
        found[f"self_attn.grep_linear.{kind}"] = getattr(attention.gru_rel_pos_linear, kind)
        found[f"self_attn.out_proj.{kind}"] = getattr(attention.attention.out_proj, kind)
        stacked = getattr(attention.attention, f"in_proj_{kind}")
        for one, part in zip("qkv", stacked.chunk(3), strict=True):
            found[f"self_attn.{one}_proj.{kind}"] = part.clone()
    if attention.rel_attn_embed is not None:
        found["self_attn.relative_attention_bias.weight"] = attention.rel_attn_embed.weight
    return found


def as_fairseq(model: Any, name: str) -> dict[str, torch.Tensor]:
    """A state dict under the names that published checkpoints have, with what pre-training adds."""
    found: dict[str, torch.Tensor] = {"mask_emb": torch.zeros(32)}
    for number, block in enumerate(model.feature_extractor.conv_layers):
        first = f"feature_extractor.conv_layers.{number}"
        found |= {f"{first}.0.{key}": one for key, one in block.conv.state_dict().items()}
        if block.layer_norm is not None:
            norm = (
                f"{first}.2" if isinstance(block.layer_norm, torch.nn.GroupNorm) else f"{first}.2.1"
            )
            found |= {f"{norm}.{key}": one for key, one in block.layer_norm.state_dict().items()}
    transformer, projection = model.encoder.transformer, model.encoder.feature_projection
    convolution = transformer.pos_conv_embed.conv
    found |= {
        "encoder.pos_conv.0.bias": convolution.bias,
        "encoder.pos_conv.0.weight_g": convolution.parametrizations.weight.original0,
        "encoder.pos_conv.0.weight_v": convolution.parametrizations.weight.original1,
    }
    for kind in ("weight", "bias"):
        found[f"layer_norm.{kind}"] = getattr(projection.layer_norm, kind)
        found[f"post_extract_proj.{kind}"] = getattr(projection.projection, kind)
        found[f"encoder.layer_norm.{kind}"] = getattr(transformer.layer_norm, kind)
    for number, layer in enumerate(transformer.layers):
        weights = layer_weights(layer, "WAVLM" in name)
        found |= {f"encoder.layers.{number}.{key}": one for key, one in weights.items()}
    if "HUBERT" in name:
        found |= {"label_embs_concat": torch.zeros(4, 2), "final_proj.weight": torch.zeros(2, 32)}
    if "WAV2VEC2" in name:
        found |= {"quantizer.vars": torch.zeros(1, 4, 2), "project_q.weight": torch.zeros(2, 2)}
    return {key: one.detach() for key, one in found.items()}


class DictConfig:
    """Pickled as omegaconf's is: a class that a reader may not have, and its state."""

    def __init__(self, **content: Any) -> None:
        self.__dict__.update(_content=content, _metadata={"ref_type": Any, "optional": True})


@pytest.fixture
def omegaconf(monkeypatch: pytest.MonkeyPatch) -> type:
    module = types.ModuleType("omegaconf.dictconfig")
    monkeypatch.setattr(DictConfig, "__module__", module.__name__)
    module.DictConfig = DictConfig  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "omegaconf", types.ModuleType("omegaconf"))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return DictConfig


def features(name: str, path: Path, layer: str = "2") -> np.ndarray:
    extractor = load_extractor(name.lower(), layer, path, "cpu")
    return extractor(babble(0.5, 0))


@pytest.mark.parametrize("name", PIPELINES)
@pytest.mark.parametrize("is_zip", [True, False])
def test_fairseqs_checkpoints_give_the_features_of_torchaudios_weights(
    tmp_path: Path, omegaconf: type, name: str, is_zip: bool
) -> None:
    """In both formats of torch.save: HuBERT's published files are of the old one."""
    model = random_model(name)
    torch.save(model.state_dict(), tmp_path / "torchaudio.pt")
    optimizer = torch.optim.Adam(model.parameters())
    checkpoint = {
        "args": argparse.Namespace(arch="hubert", final_dim=256),
        "cfg": omegaconf(model={"_name": "hubert", "layer_norm_first": False}),
        "model": as_fairseq(model, name),
        "task_state": {"dictionaries": [argparse.Namespace(symbols=["0", "1"])]},
        "last_optimizer_state": optimizer.state_dict(),
    }
    torch.save(checkpoint, tmp_path / "fairseq.pt", _use_new_zipfile_serialization=is_zip)
    expected = features(name, tmp_path / "torchaudio.pt")
    assert np.ptp(expected) > 0.1
    np.testing.assert_array_equal(features(name, tmp_path / "fairseq.pt"), expected)


@pytest.mark.parametrize(
    "kind",
    ["s3prl", "fine-tuned", "bare", "half", "bfloat16", "parameters", "wrapped", "old names"],
)
def test_other_forms_of_the_same_weights(tmp_path: Path, kind: str) -> None:
    model = random_model("HUBERT_BASE")
    torch.save(model.state_dict(), tmp_path / "torchaudio.pt")
    expected = features("HUBERT_BASE", tmp_path / "torchaudio.pt")
    names = as_fairseq(model, "HUBERT_BASE")
    fine_tuned = {f"w2v_encoder.w2v_model.{key}": one for key, one in names.items()}
    state = model.state_dict()
    parts = (
        ("parametrizations.weight.original0", "weight_g"),
        (
            "parametrizations.weight.original1",
            "weight_v",
        ),
    )
    old = {key.replace(*parts[0]).replace(*parts[1]): one for key, one in state.items()}
    forms: dict[str, Any] = {
        "s3prl": {"task_cfg": {}, "model_cfg": {}, "model_weight": names},
        "fine-tuned": {"model": fine_tuned | {"w2v_encoder.proj.weight": torch.zeros(3, 32)}},
        "bare": names,
        "half": {"model": {key: one.half() for key, one in names.items()}},
        "bfloat16": {"model": {key: one.bfloat16() for key, one in names.items()}},
        "parameters": {"model": {key: torch.nn.Parameter(one) for key, one in names.items()}},
        "wrapped": {f"model.{key}": one for key, one in state.items()},
        "old names": old,
    }
    torch.save(forms[kind], tmp_path / "other.pt")
    rounded = {"half": 0.02, "bfloat16": 0.2}.get(kind, 0)
    np.testing.assert_allclose(features("HUBERT_BASE", tmp_path / "other.pt"), expected, 0, rounded)


def test_tensors_that_are_views_or_share_memory(tmp_path: Path) -> None:
    model = random_model("HUBERT_BASE")
    torch.save(model.state_dict(), tmp_path / "torchaudio.pt")
    names = as_fairseq(model, "HUBERT_BASE")
    for key, one in names.items():
        if one.ndim == 2:
            names[key] = torch.cat([one, one]).t().contiguous().t()[len(one) :]
    names["encoder.layers.0.fc1.weight"] = names["encoder.layers.0.fc1.weight"].contiguous()
    expected = features("HUBERT_BASE", tmp_path / "torchaudio.pt")
    for is_zip in (True, False):
        path = tmp_path / f"views{is_zip}.pt"
        torch.save({"model": names}, path, _use_new_zipfile_serialization=is_zip)
        np.testing.assert_array_equal(features("HUBERT_BASE", path), expected)


def message(name: str, path: Path) -> str:
    with pytest.raises(EntcompError) as caught:
        load_extractor(name, None, path, "cpu")
    found = str(caught.value)
    assert found.startswith(f"{path}: ") and found.isprintable() and len(found) < 400
    return found.removeprefix(f"{path}: ")


def test_weights_of_another_size_or_kind_name_the_extractors_that_they_fit(tmp_path: Path) -> None:
    path = tmp_path / "fairseq.pt"
    torch.save({"args": None, "model": as_fairseq(random_model("HUBERT_LARGE"), "HUBERT")}, path)
    found = message("hubert", path)
    assert found.startswith("weights of fairseq that are not hubert_base's: ")
    assert "feature_extractor.conv_layers.1.layer_norm.weight is unknown" in found
    assert found.count(" is ") == 3 and " more; use --extractor hubert_large or hubert_xl" in found
    # Of the same names and shapes, but not that encoder.
    torch.save({"model": as_fairseq(random_model("WAV2VEC2_BASE"), "WAV2VEC2")}, path)
    found = message("hubert", path)
    assert found.endswith("its names are those of wav2vec2; use --extractor wav2vec2_base")


def test_shapes_and_names_that_do_not_fit_are_listed(tmp_path: Path) -> None:
    path = tmp_path / "fairseq.pt"
    names = as_fairseq(random_model("HUBERT_BASE"), "HUBERT_BASE")
    names["layer_norm.bias"] = torch.zeros(9)
    names["encoder.layers.0.adapter.weight"] = names.pop("encoder.layers.0.fc1.weight")
    torch.save({"model": names}, path)
    assert message("hubert", path) == (
        "weights of fairseq that are not hubert_base's: "
        "encoder.transformer.layers.0.feed_forward.intermediate_dense.weight is missing; "
        "encoder.transformer.layers.0.adapter.weight is unknown; "
        "encoder.feature_projection.layer_norm.bias is (9,), not (8,); "
        "convert it to ONNX, for --extractor onnx"
    )


def test_files_of_transformers_name_its_extractor(tmp_path: Path) -> None:
    weights = {
        "hubert.feature_extractor.conv_layers.0.conv.weight": torch.zeros(2),
        "hubert.feature_projection.projection.weight": torch.zeros(2),
        "hubert.encoder.layers.0.attention.k_proj.weight": torch.zeros(2),
    }
    torch.save(weights, tmp_path / "pytorch_model.bin")
    torch.save(weights, tmp_path / "old.bin", _use_new_zipfile_serialization=False)
    safetensors.torch.save_file(weights, tmp_path / "model.safetensors")
    (tmp_path / "model.safetensors").rename(tmp_path / "renamed.pt")
    for name in ("pytorch_model.bin", "old.bin", "renamed.pt"):
        found = message("hubert", tmp_path / name)
        assert "transformers" in found
        assert found.endswith(f"use --extractor transformers --checkpoint {tmp_path}")


@pytest.mark.parametrize("is_zip", [True, False])
def test_a_model_saved_with_its_code_is_not_run(tmp_path: Path, is_zip: bool) -> None:
    path = tmp_path / "module.pt"
    torch.save(
        random_model("HUBERT_BASE").feature_extractor, path, _use_new_zipfile_serialization=is_zip
    )
    assert message("hubert", path) == (
        "a model pickled with its code (torchaudio.models.wav2vec2.components.FeatureExtractor), "
        "which is not run; save its weights: torch.save(model.state_dict(), FILE)"
    )


def test_what_is_no_checkpoint_of_an_encoder(tmp_path: Path) -> None:
    path = tmp_path / "other.pt"
    for saved, expected in (
        ({"weight": torch.zeros(2)}, "holds no HuBERT, WavLM or wav2vec 2.0 .*, but weight"),
        ({"Upstream_Config": {}, "Transformer": {}}, "but Transformer, Upstream_Config"),
        ({}, "but nothing"),
        ([1, 2], "holds a list, no state dict"),
    ):
        torch.save(saved, path)
        with pytest.raises(EntcompError, match=expected):
            load_extractor("hubert", None, path, "cpu")
    for content in (b"", b"no weights", pickle.dumps({"model": 1}), b"PK\x03\x04 and so on"):
        path.write_bytes(content)
        assert "not a checkpoint that torch.save has written" in message("hubert", path)


class Trap:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mknod, (str(self.path),)


@pytest.mark.parametrize("is_zip", [True, False])
@pytest.mark.parametrize("place", ["root", "args", "model"])
def test_an_evil_checkpoint_is_named_and_does_nothing(
    tmp_path: Path, is_zip: bool, place: str
) -> None:
    touched, path = tmp_path / "touched", tmp_path / "evil.pt"
    pickle.loads(pickle.dumps(Trap(touched)))
    touched.unlink()  # it does work
    weights = as_fairseq(random_model("HUBERT_BASE"), "HUBERT_BASE")
    forms: dict[str, Any] = {
        "root": Trap(touched),
        "args": {"args": argparse.Namespace(user_dir=Trap(touched)), "model": weights},
        "model": {"model": weights | {"mask_emb": Trap(touched)}},
    }
    torch.save(forms[place], path, _use_new_zipfile_serialization=is_zip)
    found = message("hubert", path)
    assert found == (
        f"names {os.name}.mknod, which no checkpoint of a speech encoder needs; not loaded; "
        "if you trust the file, save the state dict in it alone"
    )
    assert not touched.exists()


@pytest.mark.parametrize("is_zip", [True, False])
def test_a_checkpoint_that_breaks_off(tmp_path: Path, is_zip: bool) -> None:
    path = tmp_path / "fairseq.pt"
    weights = as_fairseq(random_model("HUBERT_BASE"), "HUBERT_BASE")
    torch.save({"model": weights}, path, _use_new_zipfile_serialization=is_zip)
    complete = path.read_bytes()
    for size in (1, 20, 300, len(complete) // 2, len(complete) - 1000, len(complete) - 1):
        path.write_bytes(complete[:size])
        assert message("hubert", path)
