"""Speech encoders of the transformers library, by the name of a checkpoint or its folder.

``--extractor transformers:utter-project/mHuBERT-147``, or ``--extractor transformers --checkpoint
FOLDER``. The name is stored with the units; a folder has to be given again.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from entcomp.errors import EntcompError, reason_of
from entcomp.units.device import choose_device
from entcomp.units.extractor import HUBERT_GRID, Extractor, FrameGrid, parse_layer
from entcomp.units.extractors import EXTRACTORS

if TYPE_CHECKING:
    import torch

# Those that read waveforms through convolutions, and the one that reads pairs of mel frames.
OF_WAVEFORMS = ("data2vec-audio", "hubert", "unispeech", "unispeech-sat", "wav2vec2", "wavlm")
OF_MELS = "wav2vec2-bert"
MEL_FIELD, MEL_SHIFT = 400, 160  # samples, of Kaldi's mel frames
UNTRAINED = {"masked_spec_embed"}  # only training uses it; checkpoints may lack it


@dataclass(frozen=True)
class Transformers:
    """Checkpoints on a hub or on disk; ``source`` is the name of one, empty for --checkpoint's."""

    source: str = ""
    help: str = (
        "transformers:NAME, or --checkpoint FOLDER: HuBERT, WavLM, wav2vec 2.0, w2v-BERT 2.0"
    )
    default_layer: str = "last"

    def of(self, text: str) -> Transformers:
        """The kind that ``transformers:text`` means."""
        return Transformers(text)

    def __call__(self, layer: str | None, checkpoint: Path | None, device: str) -> Extractor:
        source = str(checkpoint or self.source)
        if not source:
            raise EntcompError(
                "--extractor transformers: give transformers:NAME, or --checkpoint FOLDER"
            )
        if checkpoint is not None and checkpoint.is_file():
            raise EntcompError(
                f"{checkpoint}: a file; give the folder that has its config.json, too: "
                f"--checkpoint {checkpoint.parent}"
            )
        name = f"transformers:{self.source}" if self.source else "transformers"
        return TransformersExtractor(name, source, layer or self.default_layer, device)


class TransformersExtractor:
    """Output of one Transformer layer, counted from 1; layers after it are not computed.

    The last layer's is what it gives itself, before a final LayerNorm where the model has one. One
    utterance at a time, see `PipelineExtractor`.
    """

    def __init__(self, name: str, source: str, layer: str, device: str) -> None:
        import torch

        self.name = name
        self._prepare, model = _load(source)
        self.sample_rate = int(self._prepare.sampling_rate)
        self.grid = _grid(model.config, source)
        self.dim = int(model.config.hidden_size)
        layers = model.encoder.layers
        self.layer = parse_layer(layer, range(1, len(layers) + 1), name)
        self.checkpoint_sha256 = _sha256(model)
        model.encoder.layers = layers[: self.layer]
        if getattr(model.config, "do_stable_layer_norm", False):
            model.encoder.layer_norm = torch.nn.Identity()  # the one after all layers
        self._device = choose_device(device)
        self._model = model.to(self._device)

    def __call__(self, waveform: np.ndarray) -> np.ndarray:
        import torch

        options: dict[str, Any] = {"sampling_rate": self.sample_rate, "return_tensors": "pt"}
        if self._model.config.model_type == OF_MELS:
            options["pad_to_multiple_of"] = None  # a mel frame without a second one is left out
        (values, *_) = self._prepare(waveform, **options).values()
        with torch.inference_mode():
            found = self._model(values.to(self._device)).last_hidden_state
        return found[0].cpu().numpy()


def _load(source: str) -> tuple[Any, Any]:
    """What prepares waveforms for a model, and the model.

    Raises EntcompError if either is not there, of a kind that is not known, or incomplete.
    """
    from transformers import AutoConfig, AutoFeatureExtractor, AutoModel
    from transformers.utils import logging

    logging.set_verbosity_error()  # it reports weights of heads, which nothing here reads
    logging.disable_progress_bar()
    try:
        kind = AutoConfig.from_pretrained(source).model_type
        if kind not in (*OF_WAVEFORMS, OF_MELS):
            known = ", ".join((*OF_WAVEFORMS, OF_MELS))
            raise EntcompError(
                f"{source}: a {kind} is not one of the supported speech encoders: {known}"
            )
        prepare = AutoFeatureExtractor.from_pretrained(source)
        model, info = AutoModel.from_pretrained(source, output_loading_info=True)
    except (OSError, ValueError, RuntimeError) as error:
        reason = reason_of(error)
        raise EntcompError(f"{source}: no checkpoint that transformers loads ({reason})") from None
    missing = sorted(set(info["missing_keys"]) - UNTRAINED)
    if missing:
        raise EntcompError(f"{source}: weights are missing: {', '.join(missing[:3])} ...")
    return prepare, model.eval().float()


def _grid(config: Any, source: str) -> FrameGrid:
    """Frames of a model, from its convolutions or its mel frames."""
    if getattr(config, "add_adapter", False):
        raise EntcompError(f"{source}: has an adapter after its layers, which is not supported")
    if config.model_type == OF_MELS:
        return FrameGrid(shift=2 * MEL_SHIFT, field=MEL_FIELD + MEL_SHIFT)
    shift, field = 1, 1
    for kernel, stride in zip(config.conv_kernel, config.conv_stride, strict=True):
        field += (kernel - 1) * shift
        shift *= stride
    grid = FrameGrid(shift, field)
    return HUBERT_GRID if (shift, field) == (HUBERT_GRID.shift, HUBERT_GRID.field) else grid


def _sha256(model: torch.nn.Module) -> str:
    """What names the weights, in whatever files they lie."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


EXTRACTORS.register("transformers")(Transformers())
