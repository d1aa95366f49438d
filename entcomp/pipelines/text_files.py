"""Recordings to lines of text, the long ones in pieces: what `transcribe` and `translate` do."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Literal

from entcomp.audio.silence import split_at_silences
from entcomp.errors import EntcompError
from entcomp.pipelines.recognizer import Piece, SpeechToText, join_texts
from entcomp.pipelines.recordings import Reader, Recordings, open_lines
from entcomp.units.stream import Recording

# ``text`` is Kaldi's: an id and its text a line; ``json`` tells the times of the pieces.
TextFormat = Literal["text", "json"]


def write_texts(
    model: SpeechToText,
    files: Sequence[Path],
    form: TextFormat,
    output: Path | None,
    longest: float,
    num_jobs: int,
    channel: int | None = None,
) -> None:
    """Write the text of each recording that is not broken; pieces last ``longest`` seconds at most.

    Raises EntcompError at the end if any was broken, naming it.
    """
    recordings = Recordings(files, channel)
    verb = "transcribe" if model.task == "asr" else "translate"
    rate = model.tokenizer.info.sample_rate
    with recordings.progress(verb, rate) as read, open_lines(output, files) as stream:
        pieces = _pieces(recordings, read, rate, longest)
        rows = model.read_recordings(pieces, num_jobs)
        for utt_id, own in groupby(rows, lambda row: row[0].utt_id):
            found = []
            for recording, piece in own:
                if recording.error:
                    recordings.fail(utt_id, recording.error)
                found.append(piece)
            if utt_id not in recordings.errors:
                line = _line(utt_id, recordings.paths[utt_id], found, form)
                print(line, file=stream, flush=True)


def _pieces(
    recordings: Recordings, read: Reader, sample_rate: int, longest: float
) -> Iterator[Recording]:
    """Pieces of all recordings, in order; a broken one ends where it breaks."""
    for utt_id, path in recordings.paths.items():
        try:
            for first, piece in split_at_silences(read(utt_id), sample_rate, longest):
                yield Recording(str(path), [piece], utt_id, first)
        except EntcompError as error:
            recordings.fail(utt_id, error)


def _line(utt_id: str, path: Path, pieces: Sequence[Piece], form: TextFormat) -> str:
    text = join_texts(pieces)
    if form == "text":
        return f"{utt_id} {text}".rstrip()
    times = [
        {"start": round(one.start, 4), "end": round(one.end, 4), "text": one.text} for one in pieces
    ]
    values = {"utt_id": utt_id, "path": str(path), "text": text, "pieces": times}
    return json.dumps(values, ensure_ascii=False)
