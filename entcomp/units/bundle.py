"""HuBERT and WavLM, through torchaudio's pipelines."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchaudio

from entcomp.errors import EntcompError
from entcomp.files import sha256_file
from entcomp.units.extractor import FrameGrid, parse_layer

DEFAULT_LAYERS = {"hubert_base": "9"}  # the paper's; the last one for the rest


class Bundle:
    """Output of one Transformer layer, counted from 1 as fairseq and ESPnet do.

    One utterance at a time: the group norm of the base models averages over time, padding
    included, so that utterances in a padded batch would change each other's features.
    """

    # Convolutions of kernel 10, 3, 3, 3, 3, 2, 2 and stride 5, 2, 2, 2, 2, 2, 2.
    grid = FrameGrid(shift=320, field=400)

    def __init__(self, name: str, layer: str | None, checkpoint: Path | None, device: str) -> None:
        pipeline = getattr(torchaudio.pipelines, name.upper())
        self.name = name
        self.sample_rate = int(pipeline.sample_rate)
        self.checkpoint_sha256 = sha256_file(checkpoint) if checkpoint else ""
        self._device = choose_device(device)
        if self._device.type == "cpu":
            torch.set_num_threads(1)  # utterances go in parallel instead
        self._model = _load(pipeline, checkpoint).to(self._device)
        outputs = self._outputs(torch.zeros(1, self.grid.field), None)
        self.dim = outputs[-1].shape[-1]
        choices = range(1, len(outputs) + 1)
        self.layer = parse_layer(layer or DEFAULT_LAYERS.get(name, "last"), choices, name)

    def __call__(self, waveform: np.ndarray) -> np.ndarray:
        outputs = self._outputs(torch.from_numpy(waveform)[None], self.layer)
        return outputs[-1][0].cpu().numpy()

    def _outputs(self, waveforms: torch.Tensor, num_layers: int | None) -> list[torch.Tensor]:
        with torch.inference_mode():
            outputs, _ = self._model.extract_features(
                waveforms.to(self._device), num_layers=num_layers
            )
        return outputs


def choose_device(name: str) -> torch.device:
    """``auto`` is the GPU where there is one. Raises EntcompError for a device not there."""
    if name not in ("auto", "cpu", "cuda"):
        raise EntcompError(f"--device {name}: expected auto, cpu or cuda")
    there = torch.cuda.is_available()
    if name == "cuda" and not there:
        raise EntcompError("--device cuda: torch sees no GPU; use --device cpu")
    return torch.device("cuda" if there and name != "cpu" else "cpu")


def _load(pipeline: Any, checkpoint: Path | None) -> torchaudio.models.Wav2Vec2Model:
    """The pipeline's model, from a state dict on disk or from torchaudio's download."""
    options: dict[str, Any] = {"map_location": "cpu", "weights_only": True}
    if checkpoint is not None:
        # torch.hub takes the file that is already there, and downloads nothing.
        options |= {"model_dir": str(checkpoint.parent), "file_name": checkpoint.name}
    try:
        return pipeline.get_model(dl_kwargs=options)
    except (RuntimeError, pickle.UnpicklingError, AttributeError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise EntcompError(
            f"{checkpoint or 'torchaudio'}: not a state dict of this model ({reason})"
        ) from None
    except OSError as error:
        raise EntcompError(
            f"weights could not be downloaded ({error}); download them and pass --checkpoint"
        ) from None
