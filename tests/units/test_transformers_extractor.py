"""Encoders of transformers, on small checkpoints with random weights."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from babbling import babble

from entcomp.errors import EntcompError
from entcomp.units.extractor import HUBERT_GRID, FrameGrid, extract
from entcomp.units.extractors import load_extractor

SMALL: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 16,
    "num_conv_pos_embedding_groups": 4,
    "num_conv_pos_embeddings": 16,
    "conv_dim": [8] * 7,
}
LARGE = {"do_stable_layer_norm": True, "feat_extract_norm": "layer"}
KINDS = {
    "hubert": ("Hubert", SMALL),  # as hubert-base and mHuBERT-147
    "hubert-large": ("Hubert", SMALL | LARGE),
    "wavlm": ("WavLM", SMALL),
    "wavlm-large": ("WavLM", SMALL | LARGE),
    "xlsr": ("Wav2Vec2", SMALL | LARGE),
    "w2v-bert": ("Wav2Vec2Bert", SMALL | {"conv_depthwise_kernel_size": 7}),
}


def write_checkpoint(folder: Path, kind: str) -> Any:
    """The model, and its folder as ``save_pretrained`` leaves it."""
    name, values = KINDS[kind]
    torch.manual_seed(0)
    model = getattr(transformers, f"{name}Model")(getattr(transformers, f"{name}Config")(**values))
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(folder)
    prepare: Any = transformers.Wav2Vec2FeatureExtractor(do_normalize="large" in kind)
    if kind == "w2v-bert":
        prepare = transformers.SeamlessM4TFeatureExtractor(feature_size=80, num_mel_bins=80)
    prepare.save_pretrained(folder)
    return model.eval()


@pytest.mark.parametrize("kind", KINDS)
def test_gives_the_models_own_layers(tmp_path: Path, kind: str) -> None:
    model = write_checkpoint(tmp_path, kind)
    grid = FrameGrid(320, 560) if kind == "w2v-bert" else HUBERT_GRID
    outputs: dict[int, torch.Tensor] = {}

    def keep(number: int) -> Any:
        def hook(module: Any, inputs: Any, output: Any) -> None:
            outputs[number] = output[0] if isinstance(output, tuple) else output

        return hook

    for number, one in enumerate(model.encoder.layers, start=1):
        one.register_forward_hook(keep(number))
    prepare = transformers.AutoFeatureExtractor.from_pretrained(tmp_path)
    for layer in ("1", "2", "last"):
        extractor = load_extractor("transformers", layer, tmp_path, "cpu")
        assert (extractor.grid, extractor.dim, extractor.sample_rate) == (grid, 32, 16000)
        for samples in (grid.field, grid.field + grid.shift - 1, 12345):
            waveform = babble(1.0, 0)[:samples]
            found = extract(extractor, waveform, "a.wav")
            assert found.shape == (grid.count(samples), 32) and found.dtype == np.float32
        given = prepare(waveform, sampling_rate=16000, return_tensors="pt")
        with torch.inference_mode():
            model(**given)
        expected = outputs[extractor.layer].reshape(-1, 32)[: len(found)]
        if kind != "w2v-bert":  # of which the last frame, half of it padding, is left out
            np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
    assert extractor.layer == 3


def test_w2v_bert_on_whole_pairs_of_mel_frames(tmp_path: Path) -> None:
    model = write_checkpoint(tmp_path, "w2v-bert")
    waveform = babble(1.0, 0)[: 560 + 20 * 320]
    prepare = transformers.AutoFeatureExtractor.from_pretrained(tmp_path)
    given = prepare(waveform, sampling_rate=16000, return_tensors="pt")
    with torch.inference_mode():
        expected = model(**given).last_hidden_state[0]
    found = load_extractor("transformers", None, tmp_path, "cpu")(waveform)
    assert found.shape == (21, 32)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_a_name_is_stored_and_a_folder_is_not(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "a", "hubert")
    write_checkpoint(tmp_path / "b", "wavlm")
    by_name = load_extractor(f"transformers:{tmp_path / 'a'}", "2", None, "cpu")
    by_folder = load_extractor("transformers", "2", tmp_path / "a", "cpu")
    assert by_name.name == f"transformers:{tmp_path / 'a'}" and by_folder.name == "transformers"
    assert by_name.checkpoint_sha256 == by_folder.checkpoint_sha256
    other = load_extractor("transformers", "2", tmp_path / "b", "cpu")
    assert other.checkpoint_sha256 != by_name.checkpoint_sha256


def test_refuses(tmp_path: Path) -> None:
    with pytest.raises(EntcompError, match="give transformers:NAME, or --checkpoint FOLDER"):
        load_extractor("transformers")
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(EntcompError, match=f"a file; give the folder .* --checkpoint {tmp_path}$"):
        load_extractor("transformers", None, tmp_path / "model.safetensors")
    with pytest.raises(EntcompError, match="a folder, where a file is wanted; --extractor transfo"):
        load_extractor("hubert", None, tmp_path)
    with pytest.raises(EntcompError, match="mfcc takes nothing after a colon"):
        load_extractor("mfcc:x")
    with pytest.raises(EntcompError, match="no checkpoint that transformers loads"):
        load_extractor("transformers", None, tmp_path)
    transformers.BertConfig().save_pretrained(tmp_path / "bert")
    with pytest.raises(
        EntcompError, match="a bert is not one of the supported speech encoders: data2vec-audio"
    ):
        load_extractor("transformers", None, tmp_path / "bert")
    model = write_checkpoint(tmp_path / "part", "hubert")
    weights = {name: value for name, value in model.state_dict().items() if "layers.2." not in name}
    model.save_pretrained(tmp_path / "part", state_dict=weights)
    with pytest.raises(EntcompError, match=r"weights are missing: encoder\.layers\.2\."):
        load_extractor("transformers", None, tmp_path / "part")
    write_checkpoint(tmp_path / "whole", "hubert")
    with pytest.raises(EntcompError, match="has layers 1 to 3, or 'last'"):
        load_extractor("transformers", "4", tmp_path / "whole")


def test_is_quiet(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    write_checkpoint(tmp_path, "hubert")
    capfd.readouterr()
    with caplog.at_level(logging.WARNING):
        load_extractor("transformers", None, tmp_path)(babble(1.0, 0))
    assert capfd.readouterr() == ("", "") and not caplog.messages
