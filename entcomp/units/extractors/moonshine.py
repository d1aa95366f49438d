"""The encoder of Moonshine-tiny, quantised, by onnxruntime: small enough to come with a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from entcomp.downloads import download_folder, fetch
from entcomp.errors import EntcompError
from entcomp.files import sha256_file
from entcomp.units.extractor import FrameGrid, parse_layer, require_file
from entcomp.units.extractors import EXTRACTORS
from entcomp.units.onnx_cut import Model

if TYPE_CHECKING:
    import onnxruntime

ENCODER = "encoder_model.onnx"
INSTALLER = Path(__file__).with_name("install_moonshine.sh")
FINAL_OUTPUT = "last_hidden_state"


@EXTRACTORS.register("moonshine")
class Moonshine:
    """Outputs of one Transformer block, counted from 0; ``last`` is after the final LayerNorm.

    Not causal: every frame attends to all of the chunk that it is in, before and after it.
    One utterance at a time: the quantised matrix products take their scale from everything in the
    batch, so that batched utterances would change each other's features.
    """

    help = "Moonshine-tiny's encoder, quantised, each 24 ms"
    default_layer = "3"  # the best units for phones among the layers
    name = "moonshine"
    sample_rate = 16000
    # Convolutions of kernel 127, 7, 3 and stride 64, 3, 2.
    grid = FrameGrid(shift=384, field=895)

    def __init__(self, layer: str | None, checkpoint: Path | None, device: str) -> None:
        path = require_file(checkpoint) if checkpoint else fetch_encoder()
        model = _load(path)
        blocks = _block_outputs(model)
        if not blocks:
            raise EntcompError(f"{path}: not Moonshine's encoder; see tools/install_moonshine.sh")
        outputs = [*blocks, FINAL_OUTPUT]
        self.layer = parse_layer(layer or self.default_layer, range(len(outputs)), self.name)
        self.checkpoint_sha256 = sha256_file(path)
        self._session = _session(model, outputs[self.layer])
        self.dim = self(np.zeros(self.grid.field, np.float32)).shape[1]

    def __call__(self, waveform: np.ndarray) -> np.ndarray:
        (features,) = self._session.run(None, {"input_values": waveform[None]})
        return features[0]


def find_encoder() -> Path:
    """The encoder, where it is installed. Raises EntcompError where it is not."""
    path = download_folder("moonshine") / ENCODER
    if not path.is_file():
        raise EntcompError(
            f"{path}: no such file; run tools/install_moonshine.sh, or pass --checkpoint"
        )
    return path


def fetch_encoder() -> Path:
    """The encoder, which the installer fetches unless it is there.

    Raises EntcompError if that fails.
    """
    path = download_folder("moonshine") / ENCODER
    return fetch(path, INSTALLER, "Moonshine's encoder", "or pass --checkpoint")


def _load(path: Path) -> Model:
    try:
        return Model(path.read_bytes())
    except ValueError:
        raise EntcompError(f"{path}: not an ONNX file; run tools/install_moonshine.sh") from None


def _block_outputs(model: Model) -> list[str]:
    """Names of the tensors after each block's second residual sum."""
    there = model.tensors()
    names = (f"/layers.{block}/Add_1_output_0" for block in range(len(there)))
    return [name for name in names if name in there]


def _session(model: Model, output: str) -> onnxruntime.InferenceSession:
    """A session that computes one inner tensor, and nothing after it."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # Utterances go in parallel instead: faster, and the sums are always in the same order.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(
        model.cut_at(output), options, providers=["CPUExecutionProvider"]
    )
