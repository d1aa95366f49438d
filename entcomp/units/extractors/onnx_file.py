"""Any encoder in an ONNX file, by onnxruntime: waveforms (1, samples) in, (1, frames, dim) out.

``--extractor onnx:output=NAME,shift=320 --checkpoint FILE``: ``output`` is any float tensor of the
file, ``shift`` the samples from frame to frame, and ``rate`` Hz of its waveforms, if not 16000.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from entcomp.errors import EntcompError, reason_of
from entcomp.files import sha256_file
from entcomp.units.extractor import Extractor, FrameGrid, require_file
from entcomp.units.extractors import EXTRACTORS
from entcomp.units.onnx_cut import Model

USAGE = "--extractor onnx:output=NAME,shift=SAMPLES --checkpoint FILE"


class OnnxExtractor:
    """One tensor of a file, called by its output's name in ``run``.

    One utterance at a time: a quantised model's matrix products take their scale from everything
    in the batch, so that batched utterances would change each other's features.
    """

    def __init__(
        self, name: str, layer: int, path: Path, run: Run, sample_rate: int, grid: FrameGrid
    ) -> None:
        self.name, self.layer = name, layer
        self.sample_rate, self.grid = sample_rate, grid
        self.checkpoint_sha256 = sha256_file(path)
        self._run = run
        self.dim = self(np.zeros(max(grid.field, 1), np.float32)).shape[1]

    def __call__(self, waveform: np.ndarray) -> np.ndarray:
        return self._run(waveform)


# From a waveform (samples,) to frames (frames, dim).
Run = Callable[[np.ndarray], np.ndarray]


def read_model(path: Path, remedy: str) -> Model:
    """Raises EntcompError, with the remedy, for a file that is no ONNX model."""
    try:
        return Model(path.read_bytes())
    except ValueError:
        raise EntcompError(f"{path}: not an ONNX file; {remedy}") from None


def runner(model: Model, output: str) -> Run:
    """Computes one tensor of a model, and nothing after it.

    Raises EntcompError for a model with other inputs than one.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # Utterances go in parallel instead: faster, and the sums are always in the same order.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.cut_at(output), options, providers=["CPUExecutionProvider"]
    )
    inputs = [one.name for one in session.get_inputs()]
    if len(inputs) != 1:
        raise EntcompError(
            f"--extractor onnx: {output} needs {', '.join(inputs)}, where one waveform is given"
        )

    def run(waveform: np.ndarray) -> np.ndarray:
        (features,) = session.run(None, {inputs[0]: waveform[None]})
        return features[0]

    return run


@dataclass(frozen=True)
class OnnxFile:
    """The kind that ``onnx:text`` means."""

    text: str = ""
    help: str = "onnx:output=NAME,shift=SAMPLES, and --checkpoint FILE: a tensor of an ONNX file"
    default_layer: str = ""  # the output says which

    def of(self, text: str) -> OnnxFile:
        return OnnxFile(text)

    def __call__(self, layer: str | None, checkpoint: Path | None, device: str) -> Extractor:
        """Raises EntcompError for wrong options, or a model that does not fit them."""
        given = dict(one.split("=", 1) for one in self.text.split(",") if "=" in one)
        if layer not in (None, "0") or not {"output", "shift"} <= {*given}:
            known = f"; its outputs: {_outputs(checkpoint)}" if checkpoint else ""
            raise EntcompError(f"--extractor onnx: give {USAGE}, and no --layer{known}")
        if checkpoint is None:
            raise EntcompError(
                f"--extractor onnx:{self.text}: pass --checkpoint FILE, which no experiment holds"
            )
        path, output = require_file(checkpoint), given.pop("output")
        shift, rate = (_samples(name, given.pop(name, "16000")) for name in ("shift", "rate"))
        if given:
            raise EntcompError(f"--extractor onnx: {', '.join(given)}: unknown; give {USAGE}")
        model = read_model(path, "give another --checkpoint")
        try:
            if output not in model.tensors():
                raise EntcompError(
                    f"{path}: no tensor {output}; available, the last ones: {_last(model)}"
                )
            run = _checked(runner(model, output), path, output)
        except EntcompError:
            raise
        except Exception as error:  # onnxruntime has its own
            raise EntcompError(
                f"{path}: not an ONNX model that can run ({error}); give another --checkpoint"
            ) from None
        grid = FrameGrid(shift, _field(run, shift, rate, path))
        return OnnxExtractor(f"onnx:{self.text}", 0, path, run, rate, grid)


def _samples(name: str, text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise EntcompError(f"--extractor onnx: {name}={text}: expected a number of samples")
    return int(text)


def _checked(run: Run, path: Path, output: str) -> Run:
    """Names the file for whatever onnxruntime, which has exceptions of its own, cannot compute."""

    def checked(waveform: np.ndarray) -> np.ndarray:
        try:
            found = run(waveform)
        except Exception as error:
            reason = reason_of(error)
            raise EntcompError(
                f"{path}: {output} cannot be computed of {len(waveform)} samples ({reason})"
            ) from None
        if found.ndim != 2 or found.dtype != np.float32:
            raise EntcompError(
                f"{path}: {output} is {found.dtype} of shape {(1, *found.shape)}, where float32 "
                f"(1, frames, dim) is wanted"
            )
        return found

    return checked


def _field(run: Run, shift: int, rate: int, path: Path) -> int:
    """The receptive field: the fewest samples that make a frame, found where there are many.

    It is at most 0 for a model that pads its waveforms. Raises EntcompError where frames do not
    come each ``shift`` samples.
    """

    def count(samples: int) -> int:
        return len(run(np.zeros(samples, np.float32)))

    few, many = rate - shift, rate
    frames = count(many)
    if (count(few), count(many + shift)) != (frames - 1, frames + 1):
        raise EntcompError(
            f"{path}: {count(few)} frames of {few} samples, {frames} of {many} and "
            f"{count(many + shift)} of {many + shift}; what is the shift?"
        )
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (few, middle) if count(middle) == frames else (middle, many)
    return many - (frames - 1) * shift


def _outputs(path: Path) -> str:
    return ", ".join(read_model(require_file(path), "give another --checkpoint").outputs())


def _last(model: Model) -> str:
    return ", ".join(sorted(model.tensors())[-5:])


EXTRACTORS.register("onnx")(OnnxFile())
