from __future__ import annotations

import dataclasses
import sys

import numpy as np
import pytest
import torch
import torchaudio
from babbling import babble
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from entcomp.cli.app import app
from entcomp.errors import EntcompError
from entcomp.files import sha256_file
from entcomp.units.extractor import (
    CHUNK_SECONDS,
    CONTEXT_SECONDS,
    FrameGrid,
    extract,
    iter_chunks,
)
from entcomp.units.extractors import load_extractor


class Ruler:
    """Each frame tells the first and the last sample of its field, which the ramp numbers."""

    name = "ruler"
    layer = 0
    dim = 2
    sample_rate = 100
    checkpoint_sha256 = ""

    def __init__(self, shift: int, field: int) -> None:
        self.grid = FrameGrid(shift, field)
        self.longest = 0

    def __call__(self, waveform: np.ndarray) -> np.ndarray:
        self.longest = max(self.longest, len(waveform))
        first = np.arange(self.grid.count(len(waveform))) * self.grid.shift
        return np.stack([waveform[first], waveform[first + self.grid.field - 1]], axis=1)


@given(st.integers(1, 50_000), st.integers(1, 90), st.integers(0, 150))
def test_chunks_lose_no_frame(samples, shift, more):
    ruler = Ruler(shift, shift + more)
    ramp = np.arange(samples, dtype=np.float32)
    if samples < ruler.grid.field:
        with pytest.raises(EntcompError, match=r"a\.wav: wav shorter than a frame"):
            extract(ruler, ramp, "a.wav")
        return
    found = extract(ruler, ramp, "a.wav")
    np.testing.assert_array_equal(found, Ruler(shift, shift + more)(ramp))
    most = (CHUNK_SECONDS + 2 * CONTEXT_SECONDS) * ruler.sample_rate
    assert ruler.longest <= most + 2 * (shift + ruler.grid.field)


@pytest.mark.parametrize("block", [1, 7, 500, 100_000])
def test_chunks_do_not_depend_on_blocks_or_on_what_is_far_behind(block):
    ramp = np.arange(7000, dtype=np.float32)
    grid = FrameGrid(20, 40)

    def chunks(samples: int) -> list[tuple[list[float], int, int]]:
        blocks = [ramp[first : min(first + block, samples)] for first in range(0, samples, block)]
        found = iter_chunks(grid, 100, blocks)
        return [(one.waveform.tolist(), one.first, one.last) for one in found]

    whole = [(one.waveform.tolist(), one.first, one.last) for one in iter_chunks(grid, 100, [ramp])]
    assert chunks(7000) == whole
    # Two chunks are certain as soon as there is a frame behind the context of the second one.
    assert chunks(4000 + 200 + 40)[:2] == whole[:2]


def test_a_checkpoint_with_other_strides_is_refused():
    claimed = Claimed(Ruler(20, 20))
    with pytest.raises(EntcompError, match=r"5 frames, expected 9; is the checkpoint"):
        extract(claimed, np.zeros(100, np.float32), "a.wav")


class Claimed(Ruler):
    """Says that it has frames of 10 samples, and uses those of another extractor."""

    def __init__(self, other: Ruler) -> None:
        super().__init__(10, 20)
        self.other = other

    def __call__(self, waveform: np.ndarray) -> np.ndarray:
        return self.other(waveform)


def test_where_frames_begin():
    assert FrameGrid(shift=320, field=400).offset == 40
    assert FrameGrid(shift=320, field=400, measured=144).offset == 144
    assert FrameGrid(shift=320, field=400).count(399) == 0
    assert FrameGrid(shift=320, field=400).count(719) == 1
    assert FrameGrid(shift=320, field=400).count(720) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("moonshin",),
            "extractor moonshin: unknown; available: .*moonshine, .*hubert",
        ),
        (("mfcc", "3"), "mfcc: has no layers"),
        (("hubert", None, "nowhere.pt"), r"nowhere\.pt: no such checkpoint"),
    ],
)
def test_refuses(tmp_path, arguments, message):
    name, layer, checkpoint = (*arguments, None, None)[:3]
    with pytest.raises(EntcompError, match=message):
        load_extractor(name, layer, checkpoint and tmp_path / checkpoint)


def test_a_package_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchaudio", None)
    with pytest.raises(EntcompError, match="--extractor hubert: needs the Python package torcha"):
        load_extractor("hubert")


class TestMfcc:
    def test_against_torchaudios_module(self):
        waveform = babble(1.0, 0)
        features = load_extractor("mfcc")(waveform)
        assert features.shape == (98, 39)
        assert features.dtype == np.float32
        cepstra = torchaudio.compliance.kaldi.mfcc(torch.from_numpy(waveform)[None])
        np.testing.assert_allclose(features[:, :13], cepstra, rtol=1e-4, atol=1e-4)

    def test_differences_of_a_known_slope(self):
        """Away from the edges, the regression over two frames each side gives the slope."""
        features = load_extractor("mfcc")(babble(1.0, 0))
        weights = np.array([-2, -1, 0, 1, 2]) / 10
        for first in (0, 13):
            expected = sum(
                weight * features[place : len(features) - 4 + place, first : first + 13]
                for place, weight in enumerate(weights)
            )
            np.testing.assert_allclose(
                features[2:-2, first + 13 : first + 26], expected, rtol=1e-3, atol=1e-3
            )

    def test_chunks_change_nothing(self):
        waveform = babble(2.5 * CHUNK_SECONDS, 1)
        mfcc = load_extractor("mfcc")
        whole, chunked = mfcc(waveform), extract(mfcc, waveform, "a.wav")
        np.testing.assert_allclose(chunked, whole, rtol=1e-3, atol=1e-3)


class TestMoonshine:
    def test_frames_of_any_length(self, moonshine_encoder):
        moonshine = load_extractor("moonshine", checkpoint=moonshine_encoder)
        assert (moonshine.layer, moonshine.dim) == (3, 288)
        for samples in (895, 896, 1278, 1279, 16000, 16001):
            features = moonshine(babble(samples / 16000, 0))
            assert features.shape == (moonshine.grid.count(samples), 288)
            assert features.dtype == np.float32

    @pytest.mark.parametrize("layer", ["0", "5", "last"])
    def test_other_layers(self, moonshine_encoder, layer):
        waveform = babble(1.0, 0)
        other = load_extractor("moonshine", layer, moonshine_encoder)
        assert other.layer == {"last": 6}.get(layer) or other.layer == int(layer)
        default = load_extractor("moonshine", checkpoint=moonshine_encoder)
        assert not np.allclose(other(waveform), default(waveform))

    def test_last_layer_is_the_models_own_output(self, moonshine_encoder):
        import onnxruntime

        waveform = babble(1.0, 0)
        session = onnxruntime.InferenceSession(moonshine_encoder)
        (expected,) = session.run(["last_hidden_state"], {"input_values": waveform[None]})
        found = load_extractor("moonshine", "last", moonshine_encoder)(waveform)
        np.testing.assert_allclose(found, expected[0], rtol=1e-4, atol=1e-4)

    @pytest.mark.parametrize("layer", ["7", "-1", "third"])
    def test_refuses_layers(self, moonshine_encoder, layer):
        with pytest.raises(EntcompError, match="moonshine has layers 0 to 6, or 'last'"):
            load_extractor("moonshine", layer, moonshine_encoder)

    def test_long_recordings_lose_no_frame(self, moonshine_encoder):
        moonshine = load_extractor("moonshine", checkpoint=moonshine_encoder)
        waveform = babble(2.2 * CHUNK_SECONDS, 2)
        whole, chunked = moonshine(waveform), extract(moonshine, waveform, "a.wav")
        assert whole.shape == chunked.shape
        # Frames see a chunk, not the recording, so they differ a little, but frame by frame.
        away = np.linalg.norm(whole - chunked, axis=1)
        beside = np.linalg.norm(whole[1:] - chunked[:-1], axis=1)
        assert np.median(away) < 0.5 * np.median(beside)

    def test_looks_in_moonshine_dir(self, monkeypatch, tmp_path, moonshine_encoder):
        monkeypatch.setenv("MOONSHINE_DIR", str(tmp_path))
        (tmp_path / "encoder_model.onnx").symlink_to(moonshine_encoder)
        assert load_extractor("moonshine").name == "moonshine"

    def test_refuses_what_is_no_encoder(self, tmp_path):
        import onnx

        (tmp_path / "text.onnx").write_text("this is no model")
        with pytest.raises(EntcompError, match="not an ONNX file"):
            load_extractor("moonshine", checkpoint=tmp_path / "text.onnx")
        graph = onnx.helper.make_graph([], "empty", [], [])
        onnx.save(onnx.helper.make_model(graph), tmp_path / "empty.onnx")
        with pytest.raises(EntcompError, match="not Moonshine's encoder"):
            load_extractor("moonshine", checkpoint=tmp_path / "empty.onnx")


@pytest.fixture(params=["HUBERT_BASE", "HUBERT_LARGE", "WAVLM_BASE_PLUS"])
def small_pipeline(request, monkeypatch):
    """A pipeline of torchaudio with the real strides and layers, and few channels."""
    pipeline = getattr(torchaudio.pipelines, request.param)
    strides = pipeline._params["extractor_conv_layer_config"]
    small = {
        "extractor_conv_layer_config": [(8, kernel, stride) for _, kernel, stride in strides],
        "encoder_embed_dim": 32,
        "encoder_num_heads": 4,
        "encoder_ff_interm_features": 16,
        "encoder_pos_conv_groups": 4,
    }
    pipeline = dataclasses.replace(pipeline, _params=pipeline._params | small)
    monkeypatch.setattr(torchaudio.pipelines, request.param, pipeline)
    return request.param, pipeline


class TestBundle:
    @pytest.fixture(autouse=True)
    def no_download(self, monkeypatch):
        def download(*_: object) -> None:
            pytest.fail("tried to download")

        monkeypatch.setattr(torch.hub, "download_url_to_file", download)

    def random_model(self, pipeline) -> torch.nn.Module:
        torch.manual_seed(0)
        kinds = {
            "Wav2Vec2": torchaudio.models.wav2vec2_model,
            "WavLM": torchaudio.models.wavlm_model,
        }
        return kinds[pipeline._model_type](**pipeline._params).eval()

    def test_local_weights(self, small_pipeline, tmp_path):
        name, pipeline = small_pipeline
        model = self.random_model(pipeline)
        torch.save(model.state_dict(), tmp_path / "weights.pt")
        extractor = load_extractor(name.lower(), "9", tmp_path / "weights.pt", device="cpu")
        assert (extractor.layer, extractor.dim, extractor.name) == (9, 32, name.lower())
        assert extractor.checkpoint_sha256 == sha256_file(tmp_path / "weights.pt")
        for samples in (400, 719, 720, 16000):
            waveform = babble(samples / 16000, 0)
            features = extract(extractor, waveform, "a.wav")
            assert features.shape == (extractor.grid.count(samples), 32)
            assert features.dtype == np.float32
        if name == "HUBERT_LARGE":  # whose pipeline takes waveforms of mean 0 and variance 1
            waveform = (waveform - waveform.mean()) / waveform.std()
        with torch.inference_mode():
            layers, _ = model.extract_features(torch.from_numpy(waveform)[None])
        np.testing.assert_allclose(features, layers[8][0], rtol=1e-3, atol=1e-4)

    def test_begins_where_import_units_says_that_huberts_units_do(
        self, monkeypatch, small_pipeline, tmp_path
    ):
        name, pipeline = small_pipeline
        torch.save(self.random_model(pipeline).state_dict(), tmp_path / "weights.pt")
        grid = load_extractor(name.lower(), None, tmp_path / "weights.pt").grid
        monkeypatch.setenv("COLUMNS", "200")
        shown = CliRunner().invoke(app, ["import-units", "--help"]).stdout
        assert f"{grid.offset / 16000:g} for HuBERT at 16 kHz" in shown

    def test_layers(self, small_pipeline, tmp_path):
        name, pipeline = small_pipeline
        path = tmp_path / "weights.pt"
        torch.save(self.random_model(pipeline).state_dict(), path)
        last = pipeline._params["encoder_num_layers"]
        assert load_extractor(name.lower(), "last", path).layer == last
        default = load_extractor(name.lower(), None, path)
        assert default.layer == (9 if name == "HUBERT_BASE" else last)
        for layer in ("0", str(last + 1)):
            with pytest.raises(EntcompError, match=rf"has layers 1 to {last}, or 'last'"):
                load_extractor(name.lower(), layer, path)

    def test_refuses_devices(self, monkeypatch, tmp_path):
        (tmp_path / "weights.pt").touch()
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        for device, message in (("cuda", "torch sees no GPU"), ("tpu", "expected auto, cpu")):
            with pytest.raises(EntcompError, match=message):
                load_extractor("hubert", None, tmp_path / "weights.pt", device)
