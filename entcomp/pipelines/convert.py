"""Speech in another voice: recordings and sets through a trained converter and a vocoder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from entcomp.artifacts.stage import Stage
from entcomp.artifacts.streams import Stream, group_rate, read_streams, stream_sha256
from entcomp.audio.decode import audio_info
from entcomp.audio.read import read_utterance
from entcomp.errors import EntcompError
from entcomp.files import atomic_path, sha256_file, sha256_of
from entcomp.kaldi.datadir import DataDir
from entcomp.kaldi.table import iter_table, read_table, write_table
from entcomp.pipelines.recordings import Recordings, check_output
from entcomp.pipelines.voice_converter import VoiceConverter
from entcomp.progress import track
from entcomp.skipped import SkippedUtterances
from entcomp.tasks.vc.convert import Recording, Reference
from entcomp.tasks.vc.corpus import REMEDY


def convert_files(
    converter: VoiceConverter,
    files: Sequence[Path],
    reference: Path,
    output: Path,
    channel: int | None = None,
) -> Iterator[str]:
    """Convert recordings; yields lines on what was done.

    ``output`` is a file or, of several recordings, a folder that receives ``<utt_id>.wav``.
    ``reference`` is a recording, or a table of ``utt_id wav``, where ids are names of files without
    their endings. Raises EntcompError at the end if any recording was broken, naming it.
    """
    is_folder = len(files) > 1 or output.is_dir()
    check_output(output, folder=is_folder)
    recordings = Recordings(files, channel)
    outputs = {one: output / f"{one}.wav" if is_folder else output for one in recordings.paths}
    voices = Voices(converter, reference)
    for to in outputs.values():
        check_output(to, inputs=[*files, *reference_files(reference)], ending=".wav")
    with recordings.bar("convert") as advance:
        for utt_id, path in recordings.paths.items():
            to = outputs[utt_id]
            try:
                known = len(voices.heard)
                voice = voices.of(utt_id)
                yield from (_describe(one, converter) for one in list(voices.heard)[known:])
                yield _describe(path, converter, channel)
                source = converter.record(path, channel)
                seconds = len(source.waveform) / converter.mel_rate
                waveform = converter.speak(source, voice, utt_id, _scaled(advance, seconds))
                write_wav(to, waveform, converter.sample_rate)
            except EntcompError as error:
                recordings.fail(utt_id, error)
                continue
            rate, vocoder = converter.sample_rate, converter.facts["vocoder"]
            yield f"{to}: {len(waveform)} samples at {rate} Hz, {vocoder}"


def _scaled(advance: Callable[[float], None], seconds: float) -> Callable[[float], None]:
    """What is called with parts of a recording and tells a bar the seconds."""
    return lambda done: advance(seconds * done)


class Voices:
    """The references that speech is made with, each heard once: a recording, or a table of them."""

    def __init__(self, converter: VoiceConverter, reference: Path) -> None:
        self.converter = converter
        self.path_of = references(reference)
        self.heard: dict[Path, Reference] = {}

    def of(self, utt_id: str) -> Reference:
        """Raises EntcompError for one that is not in the table, or has no voice to hear."""
        path = self.path_of(utt_id)
        if path not in self.heard:
            self.heard[path] = self.converter.listen(path)
        return self.heard[path]


def convert_set(
    converter: VoiceConverter,
    data_set: DataDir,
    reference: Path,
    folder: Path,
    skip_bad: bool,
    allow_pipes: bool,
) -> str:
    """Make ``folder`` a data dir of converted utterances; returns a line on what was done.

    ``utt2ref`` names each one's reference, and ``text`` is the source's.
    """
    stream = stream_sha256(converter.experiment, data_set.name, converter.facts["segments"])
    inputs = {**converter.facts, **reference_inputs(reference), "stream": stream}
    if data_set.channel is not None:
        inputs["channel"] = data_set.channel
    stage = Stage(folder, inputs, files=("wav.scp",), withdrawn=("wav.scp",))
    if stage.is_complete():
        return "complete, skipped"
    stage.start()
    skipped = SkippedUtterances(skip_bad)
    streams = list(read_streams(converter.experiment, data_set.name, converter.facts["segments"]))
    sources = list(_sources(converter, data_set, streams, allow_pipes))
    used = dict(_converted(converter, data_set.name, sources, reference, folder, skipped))
    write_tables(folder, used, data_set.path / "text")
    skipped.write(folder / "skipped.txt")
    rate = group_rate(streams, converter.info.frame_shift)
    stage.finish({"utterances": len(used), "skipped": len(skipped), "rate": rate})
    return (
        f"{len(used)} utterances to {folder}, {len(skipped)} skipped, {converter.facts['vocoder']}"
    )


def _converted(
    converter: VoiceConverter,
    set_name: str,
    sources: Sequence[tuple[str, Callable[[], Recording]]],
    reference: Path,
    folder: Path,
    skipped: SkippedUtterances,
) -> Iterator[tuple[str, Path]]:
    """Write ``wav/<utt_id>.wav`` one by one; yields ``(utt_id, its reference)``."""
    voices = Voices(converter, reference)
    for utt_id, read in track(sources, f"{set_name}: convert"):
        with skipped.guard(utt_id):
            voice = voices.of(utt_id)
            waveform = converter.speak(read(), voice, utt_id)
            write_wav(wav_path(folder, utt_id), waveform, converter.sample_rate)
            yield utt_id, voices.path_of(utt_id)


def _sources(
    converter: VoiceConverter, data_set: DataDir, streams: Iterable[Stream], allow_pipes: bool
) -> Iterator[tuple[str, Callable[[], Recording]]]:
    """The utterances of a set that have units and groups, and how to read each."""

    def read(audio: Any, units: np.ndarray, groups: np.ndarray) -> Recording:
        return Recording(read_utterance(audio, converter.mel_rate, allow_pipes), units, groups)

    audio = {one.utt_id: one for one in data_set.utterances()}
    for utt_id, units, groups in streams:
        if utt_id not in audio:
            raise EntcompError(
                f"{data_set.path / 'wav.scp'}: {utt_id} has units, but is not here; {REMEDY}"
            )
        yield utt_id, partial(read, audio[utt_id], units, groups)


def references(path: Path) -> Callable[[str], Path]:
    """One recording for all, or a table of ``utt_id wav``: the reference of an utterance."""
    if not path.is_file():
        raise EntcompError(f"reference {path}: no such file")
    if not _is_table(path):
        return lambda utt_id: path
    table = read_table(path)

    def find(utt_id: str) -> Path:
        if utt_id not in table:
            raise EntcompError(f"{path}: no reference for {utt_id}; add a line '{utt_id} WAV'")
        return Path(table[utt_id])

    return find


def reference_files(path: Path) -> list[Path]:
    """The recordings that are references, and the table of them, if it is one."""
    return [path, *map(Path, read_table(path).values())] if _is_table(path) else [path]


def _is_table(path: Path) -> bool:
    return path.suffix.lower() in ("", ".scp", ".txt")


def reference_inputs(path: Path) -> dict[str, Any]:
    """What speech depends on of its references, for a manifest: of a table, its recordings too."""
    inputs = {"reference_sha256": sha256_file(path)}
    if _is_table(path):
        inputs["references_sha256"] = recordings_sha256(read_table(path).values())
    return inputs


def recordings_sha256(paths: Iterable[str]) -> str:
    """Of the content of recordings, some of which may not be there."""
    there = (Path(path) for path in sorted(set(paths)))
    return sha256_of([sha256_file(path) if path.is_file() else None for path in there])


def write_tables(folder: Path, used: dict[str, Path], text: Path | None = None) -> None:
    """``wav.scp``, ``utt2ref`` and, of those in ``used`` (utt_id to reference), ``text``.

    Paths are absolute, so that they hold from any working directory.
    """
    paths = {one: wav_path(folder, one).absolute() for one in used}
    write_table(folder / "wav.scp", ((one, str(path)) for one, path in paths.items()))
    write_table(folder / "utt2ref", ((one, str(path.absolute())) for one, path in used.items()))
    if text and text.exists():
        rows = iter_table(text, empty_values=True)
        write_table(folder / "text", (row for row in rows if row[0] in used))


def wav_path(folder: Path, utt_id: str) -> Path:
    """Where an utterance's audio lies in a folder that `convert_set` or score-vc has written.

    Raises EntcompError for an id that would lead out of the folder.
    """
    if utt_id.startswith("/") or ".." in utt_id.split("/"):
        raise EntcompError(f"{utt_id}: an id that cannot be a file's name; rename it")
    return folder / "wav" / f"{utt_id}.wav"


def write_wav(path: Path, waveform: np.ndarray, sample_rate: int) -> None:
    """A 16-bit WAV file, complete or not at all."""

    with atomic_path(path) as temporary:
        soundfile.write(temporary, waveform, sample_rate, format="WAV", subtype="PCM_16")


def _describe(path: Path, converter: VoiceConverter, channel: int | None = None) -> str:
    """What is done to a recording before it is used."""
    found, sample_rate = audio_info(path), converter.mel_rate
    taken = "mixed down to mono" if channel is None else f"channel {channel + 1} taken"
    steps = [taken] if found.channels > 1 else []
    if found.sample_rate != sample_rate:
        lost = f" (it has nothing above {found.sample_rate // 2} Hz)"
        lost = lost if found.sample_rate < 16000 else ""
        steps.append(f"resampled to {sample_rate} Hz{lost}")
    channels = f"{found.channels} channel" + ("s" if found.channels > 1 else "")
    done = ", ".join(steps) or "used as it is"
    return f"{path}: {found.seconds:.2f} s, {channels} at {found.sample_rate} Hz: {done}"
