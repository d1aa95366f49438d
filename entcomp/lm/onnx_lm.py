"""The entropy LM without torch: ``model.onnx`` by onnxruntime, one sequence at a time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as failures

from entcomp.artifacts.hashes import check_same
from entcomp.artifacts.packing import MANIFEST
from entcomp.errors import EntcompError
from entcomp.files import locked
from entcomp.lm.checkpoint import LMInfo, read_lm
from entcomp.lm.config import LMConfig
from entcomp.lm.spans import Reading

ONNX = "model.onnx"
LM_KEY = "lm_sha256"  # of the file's metadata: whose weights it reads
FAILURES = (
    failures.Fail,
    failures.InvalidArgument,
    failures.InvalidGraph,
    failures.InvalidProtobuf,
    failures.NoSuchFile,
    failures.NotImplemented,
    failures.RuntimeException,
    UnicodeDecodeError,  # of a message that quotes the file
)

# Keys and values of the tokens read so far, float32 (heads, tokens, channels) of each layer, by the
# names of the graph's inputs.
Cache = dict[str, np.ndarray]


class OnnxLM:
    """A trained LM on one thread; safe to call from several. See `entcomp.lm.export`."""

    def __init__(self, path: Path, config: LMConfig, lm: LMInfo) -> None:
        """Raises EntcompError for a file that is no such LM, or another one's."""
        self.config = config
        self.lm = lm
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4  # what is wrong is raised
        try:
            self._session = onnxruntime.InferenceSession(
                path, options, providers=["CPUExecutionProvider"]
            )
            stored = self._session.get_modelmeta().custom_metadata_map.get(LM_KEY, "none")
        except FAILURES as error:
            reason = str(error).splitlines()[0]
            raise EntcompError(
                f"{path}: cannot be read ({reason}); delete it and run again"
            ) from None
        check_same(lm.lm_sha256, stored, "LM", path, "delete it and run again")
        self.empty_cache: Cache = {}
        for one in self._session.get_inputs()[2:]:
            heads, _, channels = one.shape
            self.empty_cache[one.name] = np.zeros((heads, 0, channels), np.float32)

    @classmethod
    def open(cls, folder: Path, codebook_sha256: str | None = None) -> OnnxLM:
        """The LM in ``EXP/lm``; where it was never exported, that is done now, by torch.

        Raises EntcompError as `read_lm` does, and where an export is missing and torch too.
        """
        config, lm = read_lm(folder, codebook_sha256)
        if not (folder / ONNX).exists():
            _export(folder, config, lm)
        return cls(folder / ONNX, config, lm)

    def entropies(self, tokens_T: np.ndarray, first: int = 0) -> np.ndarray:
        """Entropies of what comes after ``tokens_T[first:]``: int64 (T,) to float32 (T - first,).

        Tokens are units, and K for the beginning of an utterance.
        """
        feeds = {"tokens": tokens_T, "first": np.array([first])}
        (found,) = self._session.run(["entropies"], feeds | self.empty_cache)
        return found

    def step(self, tokens_T: np.ndarray, cache: Cache) -> tuple[float, Cache]:
        """Read on after what a cache holds: the entropy of what comes next, and the cache then."""
        feeds = {"tokens": tokens_T, "first": np.array([len(tokens_T) - 1])}
        (entropy,), *held = self._session.run(None, feeds | cache)
        return float(entropy), dict(zip(self.empty_cache, held, strict=True))

    def score(self, units: np.ndarray) -> np.ndarray:
        """`Reading.entropy` of an utterance: (frames,) units to (frames,) float32 nats."""
        reading = Reading(units, self.config, self.lm.num_clusters)
        for span in reading.spans:
            tokens, _ = reading.piece(span)
            reading.keep(span, self.entropies(tokens, first=span.keep_from - span.start))
        return reading.entropy


def _export(folder: Path, config: LMConfig, lm: LMInfo) -> None:
    """Raises EntcompError in a pack, which has to stay as it is, and where torch is missing."""
    if (folder.parent / MANIFEST).exists():
        raise EntcompError(f"{folder / ONNX}: no such file; pack the experiment again")
    try:
        from entcomp.lm.export import export_onnx
    except ImportError as error:
        raise EntcompError(
            f"{folder / ONNX}: no such file, and it cannot be made without {error.name}; install "
            "entcomp[lm], or take an LM that train-lm or pack has exported"
        ) from None
    with locked(folder):  # several jobs may all come to need it
        if not (folder / ONNX).exists():
            export_onnx(folder, config, lm)
