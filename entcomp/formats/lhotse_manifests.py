"""lhotse's manifests, by lhotse: cuts, or recordings and supervisions.

https://lhotse.readthedocs.io; an utterance is a supervision, as in lhotse's own export to Kaldi, or
a cut or recording without any.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from entcomp.errors import EntcompError, naming_missing_packages
from entcomp.files import atomic_path
from entcomp.formats.spoken import Spoken
from entcomp.kaldi.recordings import wav_entry

# Seconds: times of a manifest are rounded to samples here and there.
NEAR = 1e-3
TEXT = "text."  # a translation, as in text.fr, among the custom fields of a supervision


class Manifests:
    """Utterances of one file of cuts, or of one of recordings and one of supervisions.

    Raises EntcompError for other files, for supervisions of recordings that are not there, and
    where lhotse is not installed.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.not_taken: set[str] = set()
        found = {type(one).__name__: one for one in map(_open, paths)}
        kinds = sorted(found)
        if len(found) < len(paths) or kinds not in (
            ["CutSet"],
            ["RecordingSet"],
            ["RecordingSet", "SupervisionSet"],
        ):
            raise EntcompError(
                f"{', '.join(map(str, paths))}: {' and '.join(kinds)}; expected one file of cuts, "
                "or one of recordings and one of supervisions"
            )
        self._cuts = found.get("CutSet")
        self._recordings = found.get("RecordingSet")
        self._supervisions = found.get("SupervisionSet")

    def __iter__(self) -> Iterator[tuple[str, Spoken | str]]:
        if self._cuts is not None:
            for cut in self._cuts:
                yield from self._of_cut(cut)
            return
        recordings = {one.id: one for one in self._recordings or ()}
        if self._supervisions is None:
            for one in recordings.values():
                yield one.id, _spoken(one.id, one, one.channel_ids, 0.0, one.duration)
        for one in self._supervisions or ():
            recording = recordings.get(one.recording_id)
            if recording is None:
                yield one.id, f"its recording {one.recording_id} is not in the manifest"
            else:
                yield one.id, self._supervised(one, recording, one.start)

    def _of_cut(self, cut: Any) -> Iterator[tuple[str, Spoken | str]]:
        if type(cut).__name__ not in ("MonoCut", "MultiCut"):
            yield cut.id, f"a {type(cut).__name__}; save its audio with lhotse first"
        elif not cut.has_recording:
            yield cut.id, "a cut of features, without a recording"
        elif not cut.supervisions:
            yield cut.id, _spoken(cut.id, cut.recording, cut.channel, cut.start, cut.duration)
        else:
            for one in cut.supervisions:
                yield one.id, self._supervised(one, cut.recording, cut.start + one.start)

    def _supervised(self, one: Any, recording: Any, start: float) -> Spoken | str:
        custom = one.custom or {}
        texts = {name: str(custom[name]) for name in custom if name.startswith(TEXT)}
        self.not_taken |= custom.keys() - texts.keys()
        self.not_taken |= {name for name in ("gender", "alignment") if getattr(one, name)}
        if one.text is not None:
            texts["text"] = one.text
        who = {"speaker": one.speaker, "language": one.language, "texts": texts}
        return _spoken(one.id, recording, one.channel, start, one.duration, **who)


def write_manifests(
    folder: Path, name: str, recordings: Iterable[Any], supervisions: Iterable[Any]
) -> list[Path]:
    """``<name>_recordings.jsonl.gz`` and ``<name>_supervisions.jsonl.gz``; equal at every run."""
    paths = []
    for kind, items in (("recordings", recordings), ("supervisions", supervisions)):
        paths.append(folder / f"{name}_{kind}.jsonl.gz")
        with (
            atomic_path(paths[-1]) as temporary,
            open(temporary, "wb") as file,
            gzip.GzipFile("", "wb", fileobj=file, mtime=0) as stream,
        ):
            for one in items:
                line = json.dumps(one.to_dict(), ensure_ascii=False) + "\n"
                stream.write(line.encode())
    return paths


def _open(path: Path) -> Any:
    with naming_missing_packages("lhotse's manifests"):
        from lhotse.serialization import load_manifest_lazy_or_eager
    if path.is_dir():
        raise EntcompError(f"{path}: a folder; name the manifests in it, as cuts.jsonl.gz")
    if not path.is_file():
        raise EntcompError(f"{path}: no such file")
    try:
        found = load_manifest_lazy_or_eager(path)
    except Exception as error:  # whatever the libraries of formats raise
        reason = str(error).partition("\n")[0]
        raise EntcompError(f"{path}: no manifest that lhotse reads ({reason})") from None
    if found is None:
        raise EntcompError(f"{path}: an empty manifest")
    return found


def _spoken(
    utt_id: str,
    recording: Any,
    channel: int | list[int],
    start: float,
    duration: float,
    **who: Any,
) -> Spoken | str:
    """Or why there is no such thing in Kaldi."""
    sources, name = recording.sources, recording.id
    if len(sources) != 1 or sources[0].type not in ("file", "command"):
        kinds = ", ".join(sorted({one.type for one in sources}))
        return f"recording {name} has {len(sources)} sources ({kinds}), instead of one file"
    if recording.transforms:
        return f"recording {name} is to be transformed; save its audio with lhotse first"
    channels = {channel} if isinstance(channel, int) else set(channel)
    if channels != set(recording.channel_ids):
        return (
            f"channel {channel} of {recording.num_channels} in {name}, which would be mixed; save "
            "each channel with lhotse first"
        )
    try:
        wav = _entry(sources[0])
    except EntcompError as error:
        return str(error)
    end = start + duration
    if start < -NEAR or end > recording.duration + NEAR:
        return f"from {start:g} to {end:g} s of {name}, which lasts {recording.duration:g} s"
    if start < NEAR and end > recording.duration - NEAR:
        return Spoken(utt_id, wav, name, **who)
    times = max(0.0, round(start, 6)), round(min(end, recording.duration), 6)
    return Spoken(utt_id, wav, name, *times, **who)


def _entry(source: Any) -> str:
    """In wav.scp. Raises EntcompError for a file whose name such a line cannot hold."""
    return f"{source.source} |" if source.type == "command" else wav_entry(Path(source.source))
