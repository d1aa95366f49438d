"""HuBERT, WavLM, wav2vec 2.0 and XLS-R, through torchaudio's pipelines."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from entcomp.errors import EntcompError
from entcomp.files import sha256_file
from entcomp.units.device import choose_device
from entcomp.units.extractor import HUBERT_GRID, Extractor, parse_layer, require_file
from entcomp.units.extractors import EXTRACTORS
from entcomp.units.foreign_weights import ForeignWeights, load_arrays, misfits, read_foreign_weights

if TYPE_CHECKING:
    import torch
    import torchaudio


@dataclass(frozen=True)
class Pipeline:
    """A pipeline of torchaudio by its name there, in small letters."""

    name: str
    help: str
    default_layer: str = "last"

    def __call__(self, layer: str | None, checkpoint: Path | None, device: str) -> Extractor:
        return PipelineExtractor(self, layer, checkpoint, device)


class PipelineExtractor:
    """Output of one Transformer layer, counted from 1 as fairseq and ESPnet do.

    One utterance at a time: the group norm of the base models averages over time, padding
    included, so that utterances in a padded batch would change each other's features.
    """

    grid = HUBERT_GRID

    def __init__(
        self, kind: Pipeline, layer: str | None, checkpoint: Path | None, device: str
    ) -> None:
        import torch
        import torchaudio

        pipeline = getattr(torchaudio.pipelines, kind.name.upper())
        self.name = kind.name
        self.sample_rate = int(pipeline.sample_rate)
        self.checkpoint_sha256 = sha256_file(require_file(checkpoint)) if checkpoint else ""
        self._device = choose_device(device)
        self._model = _load(kind.name, checkpoint).to(self._device)
        outputs = self._outputs(torch.zeros(1, self.grid.field), None)
        self.dim = outputs[-1].shape[-1]
        choices = range(1, len(outputs) + 1)
        self.layer = parse_layer(layer or kind.default_layer, choices, self.name)

    def __call__(self, waveform: np.ndarray) -> np.ndarray:
        import torch

        outputs = self._outputs(torch.from_numpy(waveform)[None], self.layer)
        return outputs[-1][0].cpu().numpy()

    def _outputs(self, waveforms: torch.Tensor, num_layers: int | None) -> list[torch.Tensor]:
        import torch

        with torch.inference_mode():
            outputs, _ = self._model.extract_features(
                waveforms.to(self._device), num_layers=num_layers
            )
        return outputs


def _load(name: str, checkpoint: Path | None) -> torchaudio.models.Wav2Vec2Model:
    """The pipeline's model, with weights from a file or from torchaudio's download."""
    import torchaudio

    pipeline = getattr(torchaudio.pipelines, name.upper())
    if checkpoint is not None:
        state = _read_state(name, checkpoint)
        pipeline = copy.copy(pipeline)
        pipeline._get_state_dict = lambda _: state  # in place of what it downloads
    try:
        return pipeline.get_model(dl_kwargs={"map_location": "cpu", "weights_only": True})
    except OSError as error:
        raise EntcompError(
            f"{name}: weights could not be downloaded ({error}); copy torchaudio's file, or "
            "fairseq's, from elsewhere and pass --checkpoint FILE"
        ) from None


def _read_state(name: str, checkpoint: Path) -> dict[str, torch.Tensor]:
    """A state dict for the pipeline of that name, in float32.

    Raises EntcompError for a file without such weights.
    """
    import torch

    found = read_foreign_weights(checkpoint)
    _check_fit(name, checkpoint, found)
    arrays = load_arrays(checkpoint, found.weights)
    return {key: torch.from_numpy(array) for key, array in arrays.items()}


def _check_fit(name: str, checkpoint: Path, found: ForeignWeights) -> None:
    """Raises EntcompError for another model's weights, with the first differences and those
    extractors that they fit.
    """

    def differences(kind: str) -> list[str]:
        is_other = found.family and not kind.startswith(found.family)
        wrong = [f"its names are those of {found.family}"] if is_other else []
        return wrong + misfits(found.weights, _shapes(kind))

    wrong = differences(name)
    if not wrong:
        return
    kinds = {kind.name for _, kind in EXTRACTORS.items() if isinstance(kind, Pipeline)}
    fitting = " or ".join(sorted(kind for kind in kinds if not differences(kind)))
    remedy = f"use --extractor {fitting}" if fitting else "convert it to ONNX, for --extractor onnx"
    more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
    raise EntcompError(
        f"{checkpoint}: weights of {found.toolkit} that are not {name}'s: "
        f"{'; '.join(wrong[:3])}{more}; {remedy}"
    )


def _shapes(name: str) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a pipeline's weights; nothing is allocated."""
    import torch
    from torchaudio import models, pipelines

    pipeline = getattr(pipelines, name.upper())
    make = {"Wav2Vec2": models.wav2vec2_model, "WavLM": models.wavlm_model}[pipeline._model_type]
    with torch.device("meta"):
        state = make(**pipeline._params).state_dict()
    return {key: tuple(value.shape) for key, value in state.items()}


def _register(names: str, text: str, default_layer: str = "last") -> None:
    """Under torchaudio's name, which stands first, and shorter ones."""
    first, *others = names.split()
    EXTRACTORS.register(first, *others)(Pipeline(first, text, default_layer))


_register("hubert_base hubert", "HuBERT, 95 M", "9")  # the paper names no layer
_register("hubert_large", "HuBERT, 317 M")
_register("hubert_xlarge", "HuBERT, 964 M")
_register("wavlm_base", "WavLM, 95 M")
_register("wavlm_base_plus wavlm", "WavLM, 95 M, of 94,000 hours")
_register("wavlm_large", "WavLM, 317 M")
_register("wav2vec2_base wav2vec2", "wav2vec 2.0, 95 M")
_register("wav2vec2_large", "wav2vec 2.0, 317 M")
_register("wav2vec2_large_lv60k", "wav2vec 2.0, 317 M, of 60,000 hours")
_register("wav2vec2_xlsr53 xlsr53", "XLSR, 317 M, 53 languages")
_register("wav2vec2_xlsr_300m xlsr", "XLS-R, 317 M, 128 languages")
_register("wav2vec2_xlsr_1b", "XLS-R, 965 M, 128 languages")
_register("wav2vec2_xlsr_2b", "XLS-R, 2.2 G, 128 languages")
