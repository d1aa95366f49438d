"""The encoder of Moonshine-tiny, quantised, by onnxruntime: small enough to come with a recipe."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import entcomp
from entcomp.errors import EntcompError
from entcomp.files import sha256_file
from entcomp.units.extractor import FrameGrid, parse_layer
from entcomp.units.onnx_cut import Model

if TYPE_CHECKING:
    import onnxruntime

ENCODER = "encoder_model.onnx"
INSTALLER = Path(__file__).with_name("install_moonshine.sh")
DEFAULT_LAYER = "3"  # the best units for phones among the layers
FINAL_OUTPUT = "last_hidden_state"


class Moonshine:
    """Outputs of one Transformer block, counted from 0; ``last`` is behind the final LayerNorm.

    Not causal: every frame attends to all of the chunk that it is in, before and after it.
    One utterance at a time: the quantised matrix products take their scale from everything in the
    batch, so that batched utterances would change each other's features.
    """

    name = "moonshine"
    sample_rate = 16000
    # Convolutions of kernel 127, 7, 3 and stride 64, 3, 2.
    grid = FrameGrid(shift=384, field=895)

    def __init__(self, layer: str | None = None, checkpoint: Path | None = None) -> None:
        path = checkpoint or find_encoder()
        model = _load(path)
        blocks = _block_outputs(model)
        if not blocks:
            raise EntcompError(f"{path}: not Moonshine's encoder; see tools/install_moonshine.sh")
        outputs = [*blocks, FINAL_OUTPUT]
        self.layer = parse_layer(layer or DEFAULT_LAYER, range(len(outputs)), self.name)
        self.checkpoint_sha256 = sha256_file(path)
        self._session = _session(model, outputs[self.layer])
        self.dim = self(np.zeros(self.grid.field, np.float32)).shape[1]

    def __call__(self, waveform: np.ndarray) -> np.ndarray:
        (features,) = self._session.run(None, {"input_values": waveform[None]})
        return features[0]


def encoder_folder() -> Path:
    """``$MOONSHINE_DIR``, or where the installer puts the encoder: in a checkout or the cache."""
    checkout = Path(entcomp.__file__).resolve().parents[1]
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    default = cache / "entcomp" / "moonshine"
    if (checkout / "tools" / INSTALLER.name).exists():
        default = checkout / "tools" / "downloads" / "moonshine"
    return Path(os.environ.get("MOONSHINE_DIR", default))


def find_encoder() -> Path:
    """The encoder, where it is installed. Raises EntcompError where it is not."""
    path = encoder_folder() / ENCODER
    if not path.is_file():
        raise EntcompError(
            f"{path}: no such file; run tools/install_moonshine.sh, or pass --checkpoint"
        )
    return path


def fetch_encoder() -> Path:
    """The encoder, which the installer fetches unless it is there.

    Raises EntcompError if that fails.
    """
    path = encoder_folder() / ENCODER
    if not path.is_file():
        print(f"{path.parent}: fetching Moonshine's encoder, once", file=sys.stderr)
        command = ["bash", str(INSTALLER), str(path.parent)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise EntcompError(f"{path}: could not be fetched ({reason}); or pass --checkpoint")
    return path


def _load(path: Path) -> Model:
    try:
        return Model(path.read_bytes())
    except ValueError:
        raise EntcompError(f"{path}: not an ONNX file; run tools/install_moonshine.sh") from None


def _block_outputs(model: Model) -> list[str]:
    """Names of the tensors behind each block's second residual sum."""
    there = model.tensors()
    names = (f"/layers.{block}/Add_1_output_0" for block in range(len(there)))
    return [name for name in names if name in there]


def _session(model: Model, output: str) -> onnxruntime.InferenceSession:
    """A session that computes one inner tensor, and nothing behind it."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # Utterances go in parallel instead: faster, and the sums are always in the same order.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(
        model.cut_at(output), options, providers=["CPUExecutionProvider"]
    )
