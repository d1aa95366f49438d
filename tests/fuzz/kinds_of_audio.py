"""Recordings of every format; the libraries that decode them are C, and may crash."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import soundfile
from damage import damage_binary
from judge import Kind

from entcomp.audio.decode import audio_info, audio_seconds, count_samples
from entcomp.audio.read import read_utterance
from entcomp.kaldi.datadir import DataDir

RATE = 16000
SECONDS = 1.0
# A decoder may make up some sound from damage, but not for ever.
LONGEST = 100 * SECONDS


def tone() -> np.ndarray:
    time = np.arange(round(SECONDS * RATE)) / RATE
    noise = np.random.default_rng(0).normal(size=len(time))
    return (0.3 * np.sin(2 * np.pi * 300 * time) + 0.05 * noise).astype(np.float32)


def make_soundfile(folder: Path, name: str, **options: str) -> Path:
    path = folder / name
    soundfile.write(path, tone(), RATE, **options)
    (folder / "wav.scp").write_text(f"anna {path}\n")
    return path


def make_m4a(folder: Path) -> Path:
    import av

    path = folder / "a.m4a"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=RATE)
        samples = tone()[None]
        for begin in range(0, samples.shape[1], 1024):
            part = np.ascontiguousarray(samples[:, begin : begin + 1024])
            frame = av.AudioFrame.from_ndarray(part, format="fltp", layout="mono")
            frame.sample_rate, frame.pts = RATE, begin
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    (folder / "wav.scp").write_text(f"anna {path}\n")
    return path


def make_archive(folder: Path) -> Path:
    """Two WAV files, and a FLAC after its length, as Kaldi and ESPnet write them."""
    rows, content = [], b""
    for number, name in enumerate(("a.wav", "b.wav", "c.flac")):
        part = make_soundfile(folder, name).read_bytes()
        head = f"utt{number} ".encode()
        if name.endswith("flac"):
            size = len(part).to_bytes(4, "little")
            head += b"AUDIO\4" + size
            rows.append(f"utt{number} {folder}/wav.ark:{len(content) + len(head) - 10}")
        else:
            rows.append(f"utt{number} {folder}/wav.ark:{len(content) + len(head)}")
        content += head + part
        (folder / name).unlink()
    (folder / "wav.ark").write_bytes(content)
    (folder / "wav.scp").write_text("".join(f"{row}\n" for row in rows))
    return folder / "wav.ark"


def read_recordings(path: Path) -> None:
    """Each alone, as --skip-bad does; the first that is refused is raised at the end."""
    refused = None
    for utterance in DataDir("dev", path.parent).utterances():
        from entcomp.errors import EntcompError

        try:
            waveform = read_utterance(utterance, RATE)
            assert waveform.dtype == np.float32 and np.isfinite(waveform).all()
            assert 0 < len(waveform) <= LONGEST * RATE, len(waveform)
        except EntcompError as error:
            refused = refused or error
    if refused:
        raise refused


def read_alone(path: Path) -> None:
    audio_seconds(path)
    read_recordings(path)
    count_samples(path)
    audio_info(path)


FORMATS = {
    "wav": {},
    "wav, float": {"subtype": "FLOAT"},
    "flac": {},
    "ogg": {"format": "OGG", "subtype": "VORBIS"},
    "opus": {"format": "OGG", "subtype": "OPUS"},
    "mp3": {"format": "MP3"},
}


def _kind(name: str, options: dict[str, str]) -> Kind:
    def make(folder: Path) -> Path:
        return make_soundfile(folder, f"a.{name.partition(',')[0]}", **options)

    return Kind(name, make, read_alone, damage_binary)


KINDS = [
    *(_kind(name, options) for name, options in FORMATS.items()),
    *([Kind("m4a", make_m4a, read_alone, damage_binary)] if find_spec("av") else []),
    Kind("wav.ark", make_archive, read_recordings, damage_binary),
]
