"""HiFi-GAN: ESPnet's generator, and the checkpoints of three makes that fill it.

- ``config.yaml`` in a folder: ``entcomp train-vocoder``;
- ``config.json`` beside the file: jik876/hifi-gan and its descendants (``g_02500000``);
- ``config.yml`` beside the file: kan-bayashi/ParallelWaveGAN (``checkpoint-*.pkl``, ``stats.h5``).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from entcomp.artifacts.models import WEIGHTS
from entcomp.audio.mel import MelConfig, check_same_mel
from entcomp.config import Config, make_config, read_yaml
from entcomp.errors import EntcompError, reason_of
from entcomp.files import read_json, sha256_file
from entcomp.tasks.vc.vocoder import VocoderKind, delay, fold_weight_norm
from entcomp.tasks.vc.vocoders import VOCODERS

if TYPE_CHECKING:
    from espnet2.gan_tts.hifigan.hifigan import HiFiGANGenerator
    from torch import Tensor

# jik876's names of modules, and ESPnet's
JIK876_NAMES = [
    (r"^conv_pre\.", "input_conv."),
    (r"^ups\.(\d+)\.", r"upsamples.\1.1."),
    (r"^resblocks\.(\d+)\.convs\.(\d+)\.", r"blocks.\1.convs1.\2.1."),  # of its resblock 2
    (r"^resblocks\.(\d+)\.(convs[12])\.(\d+)\.", r"blocks.\1.\2.\3.1."),
    (r"^conv_post\.", "output_conv.1."),
]


class GeneratorConfig(Config):
    """Size of a generator in ESPnet's words; the default is HiFi-GAN V1."""

    channels: int = 512
    kernel_size: int = 7
    upsample_scales: list[int] = [8, 8, 2, 2]  # noqa: RUF012 - frozen
    upsample_kernel_sizes: list[int] = [16, 16, 4, 4]  # noqa: RUF012 - frozen
    resblock_kernel_sizes: list[int] = [3, 7, 11]  # noqa: RUF012 - frozen
    resblock_dilations: list[list[int]] = [[1, 3, 5], [1, 3, 5], [1, 3, 5]]  # noqa: RUF012 - frozen
    use_additional_convs: bool = True
    bias: bool = True


class HifiGan:
    """A trained generator; ``prepare`` makes the mel that its training used out of ours."""

    def __init__(
        self,
        name: str,
        sha256: str,
        generator: HiFiGANGenerator,
        prepare: Callable[[Tensor], Tensor] | None = None,
        delayed_by: int = 0,
    ) -> None:
        self.name, self.sha256 = name, sha256
        self.generator = generator.eval()
        self.prepare = prepare
        self.delayed_by = delayed_by

    def __call__(self, mel_MN: Tensor) -> Tensor:
        """Samples (frames * hop_length,) of a log mel (frames, n_mels)."""
        import torch

        with torch.no_grad():
            given_MN = mel_MN if self.prepare is None else self.prepare(mel_MN)
            return delay(self.generator.inference(given_MN)[:, 0], self.delayed_by)


class VocoderConfig(Config):
    """The part of train-vocoder's ``config.yaml`` that is needed to run its generator."""

    mel: MelConfig = MelConfig()
    generator: GeneratorConfig = GeneratorConfig()


def build_generator(config: GeneratorConfig, mel: MelConfig, weight_norm: bool) -> HiFiGANGenerator:
    """ESPnet's generator.

    Raises EntcompError for an upsampling that is not the mel's hop, or that its kernels do not fit.
    """
    from espnet2.gan_tts.hifigan.hifigan import HiFiGANGenerator

    if math.prod(config.upsample_scales) != mel.hop_length:
        raise EntcompError(
            f"a generator that makes {math.prod(config.upsample_scales)} samples of a mel frame of "
            f"{mel.hop_length}; the product of upsample_scales must be hop_length"
        )
    if config.upsample_kernel_sizes != [2 * one for one in config.upsample_scales]:
        raise EntcompError("upsample_kernel_sizes must be twice the upsample_scales, one by one")
    return HiFiGANGenerator(
        in_channels=mel.n_mels, use_weight_norm=weight_norm, **config.model_dump()
    )


def _filled(
    config: GeneratorConfig, mel: MelConfig, weights: dict[str, Tensor], path: Path
) -> HiFiGANGenerator:
    """A generator with weights, whether or not weight norm was removed before they were saved."""
    from entcomp.training.weights import MISFITS, fill

    try:
        folded = fold_weight_norm(weights)
        return fill(lambda: build_generator(config, mel, weight_norm=False), folded)
    except EntcompError as error:
        raise EntcompError(f"{path}: {error}") from None
    except (*MISFITS, AttributeError) as error:
        reason = reason_of(error)
        raise EntcompError(f"{path}: not a HiFi-GAN generator of its config ({reason})") from None


def _load_own(path: Path, config_path: Path, mel: MelConfig) -> HifiGan:
    from entcomp.training.weights import read_weights

    values = read_yaml(config_path)
    known = {name: values[name] for name in VocoderConfig.model_fields if name in values}
    config = make_config(VocoderConfig, known, str(config_path))
    check_same_mel(mel, config.mel, str(path))
    folder = config_path.parent  # its weights may be what was named
    prefix, weights_path = "generator.", folder / WEIGHTS
    weights = {
        name.removeprefix(prefix): value
        for name, value in read_weights(weights_path).items()
        if name.startswith(prefix)
    }
    name, sha256 = f"HiFi-GAN {folder.parent.name}/{folder.name}", sha256_file(weights_path)
    return HifiGan(name, sha256, _filled(config.generator, mel, weights, path))


def _load_jik876(path: Path, config_path: Path, mel: MelConfig) -> HifiGan:
    from entcomp.training.weights import read_checkpoint

    values = read_json(config_path)
    with _missing_keys(config_path):
        theirs = MelConfig(
            sample_rate=values["sampling_rate"],
            n_fft=values["n_fft"],
            win_length=values["win_size"],
            hop_length=values["hop_size"],
            n_mels=values["num_mels"],
            f_min=float(values["fmin"]),
            f_max=float(values["fmax"] or values["sampling_rate"] / 2),
        )
        config = GeneratorConfig(
            channels=values["upsample_initial_channel"],
            upsample_scales=values["upsample_rates"],
            upsample_kernel_sizes=values["upsample_kernel_sizes"],
            resblock_kernel_sizes=values["resblock_kernel_sizes"],
            resblock_dilations=values["resblock_dilation_sizes"],
            use_additional_convs=str(values["resblock"]) == "1",
        )
    check_same_mel(mel, theirs, str(path))
    stored = read_checkpoint(path, "a generator of jik876's HiFi-GAN", "generator")
    weights = {_espnet_name(name): value for name, value in stored.items()}
    generator = _filled(config, mel, weights, path)
    return HifiGan(f"HiFi-GAN {path.name}", sha256_file(path), generator)


def _load_parallel_wavegan(path: Path, config_path: Path, mel: MelConfig) -> HifiGan:
    """Its mel has a logarithm to base 10, normalised, and frames centred on their first sample."""
    from entcomp.training.weights import read_checkpoint

    values = read_yaml(config_path)
    with _missing_keys(config_path):
        theirs = MelConfig(
            sample_rate=values["sampling_rate"],
            n_fft=values["fft_size"],
            win_length=values["win_length"] or values["fft_size"],
            hop_length=values["hop_size"],
            n_mels=values["num_mels"],
            f_min=float(values["fmin"] or 0),
            f_max=float(values["fmax"] or values["sampling_rate"] / 2),
        )
        known = values["generator_params"]
        config = GeneratorConfig(
            **{name: known[name] for name in GeneratorConfig.model_fields if name in known}
        )
    check_same_mel(mel, theirs, str(path))
    mean_N, scale_N = _statistics(path.parent / "stats.h5")

    def prepare(mel_MN: Tensor) -> Tensor:
        return (mel_MN / math.log(10) - mean_N.to(mel_MN)) / scale_N.to(mel_MN)

    weights = read_checkpoint(path, "a generator of ParallelWaveGAN", "model", "generator")
    generator = _filled(config, mel, weights, path)
    name, delayed_by = f"HiFi-GAN {path.name}", mel.hop_length // 2
    return HifiGan(name, sha256_file(path), generator, prepare, delayed_by)


def _espnet_name(name: str) -> str:
    for pattern, replacement in JIK876_NAMES:
        name, found = re.subn(pattern, replacement, name)
        if found:
            return name
    return name


def _statistics(path: Path) -> tuple[Tensor, Tensor]:
    """Mean and scale (n_mels,) of ParallelWaveGAN's ``stats.h5``."""
    import h5py
    import torch

    try:
        with h5py.File(path) as stored:
            mean, scale = np.array(stored["mean"]), np.array(stored["scale"])
    except (OSError, KeyError) as error:
        raise EntcompError(f"{path}: no mean and scale of mels ({error})") from None
    return torch.from_numpy(mean), torch.from_numpy(scale)


@contextmanager
def _missing_keys(path: Path) -> Iterator[None]:
    try:
        yield
    except KeyError as error:
        raise EntcompError(f"{path}: no key {error}; not a config of a HiFi-GAN") from None
    except (ArithmeticError, TypeError, ValueError) as error:  # pydantic's among them
        raise EntcompError(f"{path}: not a config of a HiFi-GAN ({error})") from None


MAKES = {
    "config.yaml": _load_own,
    "config.json": _load_jik876,
    "config.yml": _load_parallel_wavegan,
}


def load_hifigan(path: Path | None, mel: MelConfig) -> HifiGan:
    """The HiFi-GAN at ``path``, a file or a folder that train-vocoder made.

    Raises EntcompError for one of other mel settings (naming those that differ), or whose weights
    do not fit its config.
    """
    path = _given(path)
    config_path = _configs(path)[0]
    return MAKES[config_path.name](path, config_path, mel)


def _given(path: Path | None) -> Path:
    if path is None:
        raise EntcompError("--vocoder hifigan: give the path of a checkpoint instead")
    return path


def _configs(path: Path) -> list[Path]:
    """The configs of known names that lie with a checkpoint."""
    folder = path if path.is_dir() else path.parent
    return [folder / name for name in MAKES if (folder / name).exists()]


VOCODERS.register("hifigan")(
    VocoderKind(
        help="HiFi-GAN by its path, with config.yaml of train-vocoder, config.json of jik876, or "
        "config.yml of ParallelWaveGAN beside it",
        load=load_hifigan,
        recognises=lambda path: bool(_configs(path)),
    )
)
