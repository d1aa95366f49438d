"""Transcripts by Moonshine, an English recogniser that runs from two ONNX files.

``tools/install_moonshine.sh`` fetches them and the vocabulary (MIT licence).
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from entcomp.errors import EntcompError

SAMPLE_RATE = 16000
START, END = 1, 2
TOKENS_PER_SECOND = 6.5  # no speech has more; a loop of the decoder does
BYTE = re.compile(r"<0x([0-9A-F]{2})>")


class MoonshineAsr:
    """Greedy decoding, one utterance at a time, with the decoder's keys and values cached.

    It refuses to transcribe one in seven short utterances of accented speech, by ending at once;
    as there is speech in what is scored, it may not.
    """

    key = "moonshine"
    name = "Moonshine tiny (quantized), greedy, never empty"

    def __init__(self, folder: Path, threads: int = 1) -> None:
        """Raises EntcompError if one of the files is missing."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        paths = [folder / f"{name}.onnx" for name in ("encoder_model", "decoder_model_merged")]
        for path in (*paths, folder / "vocabulary.txt"):
            if not path.exists():
                raise EntcompError(f"{path}: no such file; run tools/install_moonshine.sh")
        self.encoder, self.decoder = (
            onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"]) for path in paths
        )
        self.vocabulary = read_vocabulary(folder / "vocabulary.txt")

    def transcribe(self, waveform: np.ndarray) -> str:
        """The words in (samples,) at 16 kHz, with case and punctuation."""
        heard = self.encoder.run(None, {"input_values": waveform[None].astype(np.float32)})[0]
        tokens = [START]
        cache = self._empty_cache()
        for _ in range(max(1, int(len(waveform) / SAMPLE_RATE * TOKENS_PER_SECOND))):
            logits, cache = self._step(tokens[-1], heard, cache, first=len(tokens) == 1)
            if len(tokens) == 1:
                logits[0, -1, END] = -np.inf
            tokens.append(int(logits[0, -1].argmax()))
            if tokens[-1] == END:
                break
        return decode(tokens, self.vocabulary)

    def _empty_cache(self) -> dict[str, np.ndarray]:
        return {
            one.name: np.zeros((0, one.shape[1], 1, one.shape[3]), np.float32)
            for one in self.decoder.get_inputs()
            if one.name.startswith("past_key_values.")
        }

    def _step(
        self, token: int, heard: np.ndarray, cache: dict[str, np.ndarray], first: bool
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Logits of the next token, and the cache with this one; the audio's part stays."""
        names = [one.name for one in self.decoder.get_outputs()]
        inputs = {
            "input_ids": np.array([[token]]),
            "encoder_hidden_states": heard,
            "use_cache_branch": np.array([not first]),
        }
        outputs = dict(zip(names, self.decoder.run(None, inputs | cache), strict=True))
        now = {
            name: outputs[name.replace("past_key_values", "present")]
            for name in cache
            if first or ".decoder." in name
        }
        return outputs["logits"], cache | now


def read_vocabulary(path: Path) -> list[str]:
    """The tokens in order of id, one a line. Raises EntcompError if they are not Moonshine's."""
    vocabulary = path.read_text(encoding="utf-8").split("\n")
    if vocabulary[START] != "<s>" or vocabulary[END] != "</s>":
        raise EntcompError(f"{path}: not Moonshine's vocabulary; run tools/install_moonshine.sh")
    return vocabulary


def decode(tokens: list[int], vocabulary: list[str]) -> str:
    """Text of token ids: ``▁`` is a space, ``<0xE2>`` a byte; ids outside and up to END nothing."""
    pieces = (vocabulary[token] for token in tokens if END < token < len(vocabulary))
    text = b"".join(
        bytes.fromhex(byte[1]) if (byte := BYTE.fullmatch(piece)) else piece.encode()
        for piece in pieces
    )
    return text.decode("utf-8", errors="replace").replace("▁", " ").strip()
