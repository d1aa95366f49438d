"""Waveforms of a data dir: any format, rate and channel count, to mono float32 at one rate."""

from __future__ import annotations

import io
import logging
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from entcomp.audio.decode import Source, open_audio
from entcomp.errors import EntcompError
from entcomp.kaldi.datadir import Utterance
from entcomp.kaldi.recordings import open_recording, split_entry

log = logging.getLogger(__name__)


def read_utterance(utterance: Utterance, sample_rate: int, allow_pipes: bool = False) -> np.ndarray:
    """Samples of an utterance, float32 of shape (samples,), mono, at ``sample_rate`` Hz.

    Raises EntcompError for a missing, empty or unreadable recording, for one with NaN or infinite
    samples, for a segment that is not all in it, for channels that cancel each other, and for a
    command without ``allow_pipes``. A recording of nothing but zeros is named in a warning.
    """
    return read_wav(
        _open(utterance.wav, allow_pipes),
        sample_rate,
        utterance.start,
        utterance.end,
        name=utterance.wav,
        channel=utterance.channel,
    )


def read_wav(
    source: Source,
    sample_rate: int,
    start: float | None = None,
    end: float | None = None,
    name: str | None = None,
    channel: int | None = None,
) -> np.ndarray:
    """Samples of a recording between two times in seconds; see `read_utterance`."""
    return np.concatenate(list(iter_wav(source, sample_rate, start, end, name, channel)))


def iter_wav(
    source: Source,
    sample_rate: int,
    start: float | None = None,
    end: float | None = None,
    name: str | None = None,
    channel: int | None = None,
) -> Iterator[np.ndarray]:
    """The samples of `read_wav` in blocks of some seconds, however long the recording is."""
    name = name or str(source)
    if isinstance(source, Path) and not source.exists():
        raise EntcompError(f"{name}: no such file")
    rate, decoded = open_audio(source, start, end, name, channel)
    empty = True
    for block in iter_resampled(_checked(decoded, name), rate, sample_rate):
        empty = False
        yield block
    if empty:
        raise EntcompError(f"{name}: no samples")


def iter_resampled(
    blocks: Iterable[np.ndarray], rate: int, sample_rate: int
) -> Iterator[np.ndarray]:
    """`resample` of a waveform that comes in blocks; the same samples, in other blocks."""
    if rate == sample_rate:
        yield from blocks
        return
    import soxr

    stream = soxr.ResampleStream(rate, sample_rate, 1, dtype="float32")
    for block in blocks:
        yield from _unless_empty(stream.resample_chunk(block))
    yield from _unless_empty(stream.resample_chunk(np.empty(0, np.float32), last=True))


def as_float32(waveform: np.ndarray, name: str) -> np.ndarray:
    """float32 (samples,) within ±1, of floats or integers.

    Raises EntcompError, naming ``name``, for another shape, NaN or infinities.
    """
    samples = np.asarray(waveform)
    if samples.ndim != 1:
        raise EntcompError(f"{name}: expected mono (samples,), got shape {samples.shape}")
    if samples.dtype.kind == "i":
        return (samples / -float(np.iinfo(samples.dtype).min)).astype(np.float32)
    if samples.dtype.kind != "f":
        raise EntcompError(f"{name}: {samples.dtype} samples; give floats within ±1, or integers")
    if not np.isfinite(samples).all():
        raise EntcompError(f"{name}: NaN or infinite samples are not a waveform")
    return samples.astype(np.float32)


def resample(waveform: np.ndarray, rate: int, sample_rate: int) -> np.ndarray:
    """Band-limited resampling of (samples,) from ``rate`` to ``sample_rate`` Hz, by soxr.

    Raises EntcompError for a rate that is none.
    """
    if rate == sample_rate:
        return waveform
    if rate <= 0:
        raise EntcompError(f"a sample rate of {rate} Hz; give that of the waveform")
    import soxr

    return soxr.resample(waveform, rate, sample_rate).astype(np.float32)


def _unless_empty(block: np.ndarray) -> Iterator[np.ndarray]:
    if len(block):
        yield block


def _checked(blocks: Iterable[np.ndarray], name: str) -> Iterator[np.ndarray]:
    silent = None
    for block in blocks:
        if not np.isfinite(block).all():
            raise EntcompError(f"{name}: NaN or infinite samples; convert the recording again")
        silent = silent is not False and not block.any()
        yield block
    if silent:
        log.warning("%s: nothing but silence", name)


def check_pipe(wav: str, allow_pipes: bool) -> None:
    """Raises EntcompError for a command in the place of a recording, unless they are allowed."""
    if wav.endswith("|") and not allow_pipes:
        raise EntcompError(f"'{wav}' is a shell command; pass --allow-pipes if you trust it")


def _open(wav: str, allow_pipes: bool) -> Source:
    """What an entry of wav.scp stands for."""
    if wav.endswith("|"):
        return _run_pipe(wav, allow_pipes)
    archive = split_entry(wav)
    return Path(wav) if archive is None else open_recording(*archive)


def _run_pipe(command: str, allow_pipes: bool) -> io.BytesIO:
    check_pipe(command, allow_pipes)
    result = subprocess.run(command.rstrip("| "), shell=True, capture_output=True, check=False)
    if result.returncode != 0:
        reason = result.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise EntcompError(f"'{command}' exited with {result.returncode} {''.join(reason)}")
    return io.BytesIO(result.stdout)
