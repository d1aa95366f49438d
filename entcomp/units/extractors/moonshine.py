"""The encoder of Moonshine-tiny, quantised, by onnxruntime: small enough to come with a recipe."""

from __future__ import annotations

from pathlib import Path

from entcomp.downloads import download_folder, fetch
from entcomp.errors import EntcompError
from entcomp.units.extractor import FrameGrid, parse_layer, require_file
from entcomp.units.extractors import EXTRACTORS
from entcomp.units.extractors.onnx_file import OnnxExtractor, read_model, runner
from entcomp.units.onnx_cut import Model

ENCODER = "encoder_model.onnx"
INSTALLER = Path(__file__).with_name("install_moonshine.sh")
FINAL_OUTPUT = "last_hidden_state"
GRID = FrameGrid(shift=384, field=895)  # convolutions of kernel 127, 7, 3 and stride 64, 3, 2


@EXTRACTORS.register("moonshine")
class Moonshine(OnnxExtractor):
    """Outputs of one Transformer block, counted from 0; ``last`` is after the final LayerNorm.

    Not causal: every frame attends to all of the chunk that it is in, before and after it.
    """

    help = "Moonshine-tiny's encoder, quantised, each 24 ms"
    default_layer = "3"  # the best units for phones among the layers

    def __init__(self, layer: str | None, checkpoint: Path | None, device: str) -> None:
        path = require_file(checkpoint) if checkpoint else fetch_encoder()
        model = read_model(path, "run tools/install_moonshine.sh")
        blocks = _block_outputs(model)
        if not blocks:
            raise EntcompError(f"{path}: not Moonshine's encoder; see tools/install_moonshine.sh")
        outputs = [*blocks, FINAL_OUTPUT]
        number = parse_layer(layer or self.default_layer, range(len(outputs)), "moonshine")
        super().__init__("moonshine", number, path, runner(model, outputs[number]), 16000, GRID)


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


def _block_outputs(model: Model) -> list[str]:
    """Names of the tensors after each block's second residual sum."""
    there = model.tensors()
    names = (f"/layers.{block}/Add_1_output_0" for block in range(len(there)))
    return [name for name in names if name in there]
