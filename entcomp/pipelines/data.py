"""import-data and export-data: Kaldi data dirs from other libraries' data, and back."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from entcomp.artifacts.stage import Stage
from entcomp.audio.channels import check_channel
from entcomp.audio.decode import audio_info, count_samples
from entcomp.audio.read import read_utterance
from entcomp.errors import EntcompError, naming_missing_packages
from entcomp.files import atomic_path, sha256_files
from entcomp.formats.audiofolder import AudioFolder, write_metadata
from entcomp.formats.lhotse_manifests import NEAR, Manifests, write_manifests
from entcomp.formats.spoken import Source, Spoken
from entcomp.kaldi.datadir import DataDir, Utterance
from entcomp.kaldi.table import read_table, safe_id, write_table
from entcomp.progress import track
from entcomp.skipped import SkippedUtterances

# What `audiofolder` takes for a recording; others are written as FLAC.
AUDIO = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a", ".aiff")

# Tables that not every data dir has.
OPTIONAL = ("segments", "utt2lang", "text", "text.*")

log = logging.getLogger(__name__)


def import_data(
    sources: Sequence[Path],
    kind: str,
    data: Path,
    text_column: str | None = None,
    skip_bad: bool = False,
) -> dict[str, Any] | None:
    """Write the data dir ``data``; its counts, or None if it was complete.

    ``kind`` is ``lhotse``, with one file of cuts or two of recordings and supervisions, or
    ``audiofolder``, with one folder. White space in names becomes ``_``, with a warning. Raises
    EntcompError for names that are then equal, for what `Manifests` and `AudioFolder` do, for a
    recording that is not there, and for a folder ``data`` that is something else.
    """
    if kind == "audiofolder":
        if len(sources) != 1 or not sources[0].is_dir():
            raise EntcompError("--format audiofolder: give one folder")
        folder = AudioFolder(sources[0], text_column)
        found: Source = folder
        files = [folder.metadata]
    else:
        found, files = Manifests(sources), list(sources)
    names = [str(path.absolute()) for path in files]
    inputs = {"sources": names, "sha256": sha256_files(files), "text_column": text_column}
    stage = Stage(data, inputs | {"skip_bad": skip_bad})
    if not stage.manifest.exists() and data.exists() and any(data.iterdir()):
        raise EntcompError(f"{data}: not empty, and not by import-data; name another data dir")
    if stage.is_complete():
        return None
    skipped = SkippedUtterances(skip_bad)
    rows = _Names(skipped).safe(found)
    stage.start()
    for one in (path for name in OPTIONAL for path in data.glob(name)):
        one.unlink()  # of an earlier import, which had segments, texts or languages
    _write_data_dir(data, rows)
    skipped.write(data / "skipped.txt")
    if found.not_taken:
        log.warning("%s: has no place for %s", data, ", ".join(sorted(found.not_taken)))
    counts = {"utterances": len(rows), "skipped": len(skipped)}
    stage.finish(counts)
    return counts


class _Names:
    """Ids that tables can hold, and whose they were before."""

    def __init__(self, skipped: SkippedUtterances) -> None:
        self.skipped = skipped
        self.taken: dict[str, Spoken] = {}
        self.changed: dict[str, set[str]] = {}

    def safe(self, source: Source) -> list[Spoken]:
        """All utterances that can be taken, sorted; says how many names were changed.

        One that stands twice counts once: lhotse's cuts that overlap share their supervisions.
        """
        rows: list[Spoken] = []
        for name, one in track(source, "importing"):
            if isinstance(one, str):
                self.skipped.add(name, f"{name}: {one}")
                continue
            with self.skipped.guard(name):
                if self._is_new(one):
                    rows.append(self._renamed(one))
        if not rows:
            raise EntcompError("no utterance is left to import")
        for kind, names in self.changed.items():
            example = min(names)
            log.warning(
                "%d %s had white space in their names, which is _ now, as in %s (%r)",
                *(len(names), kind, safe_id(example), example),
            )
        return sorted(rows, key=lambda one: one.utt_id)

    def _is_new(self, one: Spoken) -> bool:
        """Raises EntcompError for another utterance of an id, and for a recording that is gone."""
        if not one.wav.endswith("|") and not Path(one.wav).is_file():
            raise EntcompError(f"{one.wav}: no such file")
        utt_id = safe_id(one.utt_id)
        other = self.taken.setdefault(utt_id, one)
        if not _is_same(one, other):
            raise EntcompError(
                f"{one.utt_id!r} and {other.utt_id!r} would both be {utt_id}; rename one"
            )
        return other is one

    def _renamed(self, one: Spoken) -> Spoken:
        return Spoken(
            self._id(one.utt_id, "utterances"),
            one.wav,
            self._id(one.recording, "recordings"),
            one.start,
            one.end,
            self._id(one.speaker, "speakers") if one.speaker else None,
            one.language,
            {name: " ".join(text.split()) for name, text in one.texts.items()},
        )

    def _id(self, name: str, kind: str) -> str:
        found = safe_id(name)
        if found != name:
            self.changed.setdefault(kind, set()).add(name)
        return found


def _is_same(one: Spoken, other: Spoken) -> bool:
    """Are both the same utterance, up to the rounding of its times?"""
    near = all(
        (a is None) == (b is None) and abs((a or 0.0) - (b or 0.0)) < NEAR
        for a, b in ((one.start, other.start), (one.end, other.end))
    )
    return near and replace(one, start=other.start, end=other.end) == other


def _write_data_dir(data: Path, rows: Sequence[Spoken]) -> None:
    """``segments`` only where an utterance is a part of its recording, or one of several in it."""
    whole = all(one.start is None for one in rows)
    if whole and len({one.recording for one in rows}) == len(rows):
        write_table(data / "wav.scp", [(one.utt_id, one.wav) for one in rows])
    else:
        wavs: dict[str, str] = {}
        for one in rows:
            if wavs.setdefault(one.recording, one.wav) != one.wav:
                raise EntcompError(f"recording {one.recording}: two of that name; rename one")
        write_table(data / "wav.scp", wavs.items())
        write_table(data / "segments", [(one.utt_id, _segment(one)) for one in rows])
    write_table(data / "utt2spk", [(one.utt_id, one.speaker or one.utt_id) for one in rows])
    speakers: dict[str, list[str]] = {}
    for one in rows:
        speakers.setdefault(one.speaker or one.utt_id, []).append(one.utt_id)
    write_table(data / "spk2utt", [(name, " ".join(ids)) for name, ids in speakers.items()])
    languages = [(one.utt_id, one.language) for one in rows if one.language]
    if languages:
        write_table(data / "utt2lang", languages)
    for name in sorted({name for one in rows for name in one.texts}):
        texts = [(one.utt_id, one.texts[name]) for one in rows if name in one.texts]
        write_table(data / name, texts)


def _segment(one: Spoken) -> str:
    """``recording start end``; an end of -1 is the recording's own."""
    end = "-1" if one.end is None else f"{one.end:.6f}"
    return f"{one.recording} {one.start or 0:.6f} {end}"


def export_data(
    data_set: DataDir, kind: str, folder: Path, sample_rate: int, allow_pipes: bool = False
) -> str:
    """Write a set as ``kind``, ``lhotse`` or ``audiofolder``; says what.

    lhotse's manifests name the recordings; an audiofolder ``<folder>/<set>`` gets copies of them,
    or FLAC at ``sample_rate`` (Hz) of segments, single channels, archives and commands. Raises
    EntcompError for recordings that are not there, for two that would be one file, and for lhotse
    also for archives and commands.
    """
    if kind == "lhotse":
        return _export_lhotse(data_set, folder)
    tables = _Tables(data_set)
    folder = folder / data_set.name
    rows = []
    names: dict[str, str] = {}
    for utterance in track(data_set.utterances(), f"{data_set.name}: recordings"):
        other = names.setdefault(utterance.utt_id.replace("/", "_"), utterance.utt_id)
        if other != utterance.utt_id:
            raise EntcompError(
                f"{data_set.path}: {other} and {utterance.utt_id} would be one file; rename one"
            )
        name = _copy_recording(utterance, folder, sample_rate, allow_pipes)
        rows.append(tables.spoken(utterance, name))
    return f"{len(rows)} utterances, {write_metadata(folder, rows)}"


class _Tables:
    """What the tables of a set know of each utterance."""

    def __init__(self, data_set: DataDir) -> None:
        path = data_set.path
        self.texts = {
            one.name: read_table(one, empty_values=True)
            for one in sorted(path.glob("text*"))
            if one.name == "text" or one.name.startswith("text.")
        }
        self.speakers, self.languages = (
            read_table(path / name) if (path / name).exists() else {}
            for name in ("utt2spk", "utt2lang")
        )

    def spoken(self, one: Utterance, wav: str) -> Spoken:
        texts = {
            name: table[one.utt_id] for name, table in self.texts.items() if one.utt_id in table
        }
        speaker, language = self.speakers.get(one.utt_id), self.languages.get(one.utt_id)
        return Spoken(one.utt_id, wav, one.utt_id, one.start, one.end, speaker, language, texts)


def _copy_recording(one: Utterance, folder: Path, sample_rate: int, allow_pipes: bool) -> str:
    """The name of the file in the folder."""
    source = Path(one.wav)
    name = one.utt_id.replace("/", "_")
    is_whole = one.start is None and one.channel is None
    if is_whole and source.is_file() and source.suffix.lower() in AUDIO:
        name += source.suffix.lower()
        with atomic_path(folder / name) as temporary:
            shutil.copyfile(source, temporary)
        return name
    import soundfile

    samples = read_utterance(one, sample_rate, allow_pipes)
    with atomic_path(folder / f"{name}.flac") as temporary:
        soundfile.write(temporary, samples, sample_rate, format="FLAC")
    return f"{name}.flac"


def _export_lhotse(data_set: DataDir, folder: Path) -> str:
    with naming_missing_packages("lhotse's manifests"):
        from lhotse import SupervisionSegment
    tables = _Tables(data_set)
    recordings: dict[str, Any] = {}
    supervisions = []
    for utterance, name in track(_recordings(data_set), f"{data_set.name}: recordings"):
        recording = recordings.get(name)
        if recording is None:
            recording = recordings[name] = _lhotse_recording(utterance, name)
        one = tables.spoken(utterance, utterance.wav)
        start = utterance.start or 0.0
        end = recording.duration if utterance.end is None else utterance.end
        channels = recording.channel_ids
        if utterance.channel is not None:
            check_channel(utterance.channel, len(channels), utterance.wav)
            channels = [utterance.channel]
        supervisions.append(
            SupervisionSegment(
                id=one.utt_id,
                recording_id=name,
                start=start,
                duration=round(end - start, 8),
                channel=channels[0] if len(channels) == 1 else channels,
                text=one.texts.pop("text", None),
                speaker=one.speaker,
                language=one.language,
                custom=one.texts or None,
            )
        )
    paths = write_manifests(folder, data_set.name, recordings.values(), supervisions)
    return f"{len(supervisions)} utterances, {' '.join(map(str, paths))}"


def _recordings(data_set: DataDir) -> Iterator[tuple[Utterance, str]]:
    """Each utterance, and its recording's id in wav.scp."""
    segments = data_set.path / "segments"
    owners = read_table(segments) if segments.exists() else {}
    for one in data_set.utterances():
        yield one, owners[one.utt_id].split()[0] if owners else one.utt_id


def _lhotse_recording(one: Utterance, name: str) -> Any:
    from lhotse import Recording
    from lhotse.audio import AudioSource

    path = Path(one.wav)
    if not path.is_file():
        raise EntcompError(
            f"{one.wav} ({name}): no file; lhotse's manifests cannot name a command or a part of "
            "an archive: use --format audiofolder"
        )
    info = audio_info(path)
    channels = list(range(info.channels))
    samples = count_samples(path)
    source = AudioSource("file", channels, str(path.absolute()))
    return Recording(name, [source], info.sample_rate, samples, samples / info.sample_rate)
