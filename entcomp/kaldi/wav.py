"""Waveforms of a data dir: any format, rate and channel count, to mono float32 at one rate."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path

import numpy as np

from entcomp.errors import EntcompError
from entcomp.kaldi.datadir import Utterance


def read_utterance(utterance: Utterance, sample_rate: int, allow_pipes: bool = False) -> np.ndarray:
    """Samples of an utterance, float32 of shape (samples,), mono, at ``sample_rate`` Hz.

    Raises EntcompError for a missing, empty or unreadable recording, for one with NaN or infinite
    samples, for a segment that starts behind its end, and for a command without ``allow_pipes``.
    """
    source: Path | io.BytesIO = Path(utterance.wav)
    if utterance.wav.endswith("|"):
        source = _run_pipe(utterance.wav, allow_pipes)
    return read_wav(source, sample_rate, utterance.start, utterance.end, name=utterance.wav)


def read_wav(
    source: Path | io.BytesIO,
    sample_rate: int,
    start: float | None = None,
    end: float | None = None,
    name: str | None = None,
) -> np.ndarray:
    """Samples of a recording between two times in seconds; see `read_utterance`."""
    import soundfile

    name = name or str(source)
    if isinstance(source, Path) and not source.exists():
        raise EntcompError(f"{name}: no such file")
    try:
        with soundfile.SoundFile(source) as stream:
            first = round((start or 0.0) * stream.samplerate)
            last = stream.frames if end is None else round(end * stream.samplerate)
            if first >= stream.frames > 0:
                raise EntcompError(f"{name}: starts at {start} s, but the recording ends before")
            stream.seek(first)
            samples = stream.read(last - first, dtype="float32", always_2d=True)
            rate = stream.samplerate
    except (soundfile.SoundFileError, OSError) as error:
        raise EntcompError(f"{name}: unreadable audio ({error})") from None
    if len(samples) == 0:
        raise EntcompError(f"{name}: no samples")
    mono = samples.mean(axis=1)
    if not np.isfinite(mono).all():
        raise EntcompError(f"{name}: NaN or infinite samples; convert the recording again")
    return resample(mono, rate, sample_rate)


def resample(waveform: np.ndarray, rate: int, sample_rate: int) -> np.ndarray:
    """Band-limited resampling of (samples,) from ``rate`` to ``sample_rate`` Hz, by soxr."""
    if rate == sample_rate:
        return waveform
    import soxr

    return soxr.resample(waveform, rate, sample_rate).astype(np.float32)


def _run_pipe(command: str, allow_pipes: bool) -> io.BytesIO:
    if not allow_pipes:
        raise EntcompError(f"'{command}' is a shell command; pass --allow-pipes if you trust it")
    result = subprocess.run(command.rstrip("| "), shell=True, capture_output=True, check=False)
    if result.returncode != 0:
        reason = result.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise EntcompError(f"'{command}' exited with {result.returncode} {''.join(reason)}")
    return io.BytesIO(result.stdout)
