"""What `transcribe` and `translate` do: recordings to texts, the long ones in pieces."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from entcomp.cli.grouping import Grouping, Segments
from entcomp.cli.options import Checkpoint, NumJobs
from entcomp.cli.recordings import Output, Recordings
from entcomp.cli.token_files import open_lines
from entcomp.errors import EntcompError

if TYPE_CHECKING:
    from entcomp.cli.recordings import Reader
    from entcomp.pipelines.recognizer import UnitsRecogniser
    from entcomp.pipelines.tokenizer import Tokenized, Tokenizer
    from entcomp.segmentation.rule import Rule
    from entcomp.units.stream import Recording

TOGETHER = 32  # pieces, at most, that wait for each other
VERBS = {"asr": "transcribe", "st": "translate"}


class TextFormat(str, Enum):
    """``text`` is Kaldi's: an id and its text a line; ``json`` tells the times of the pieces."""

    text = "text"
    json = "json"


@dataclass(frozen=True)
class TextOptions:
    """The options of transcribe and translate, but for the groups."""

    model: Annotated[
        str, typer.Option(metavar="EXP/asr/TAG|TAR", help="An experiment's model, or a pack.")
    ]
    segments: Segments = None
    longest: Annotated[
        float,
        typer.Option(min=2, metavar="SECONDS", help="Longer recordings are split at silences."),
    ] = 20.0
    form: Annotated[
        TextFormat, typer.Option("--format", help="json: with the times of pieces.")
    ] = TextFormat.text
    output: Output = None
    checkpoint: Checkpoint = None
    num_jobs: NumJobs = os.cpu_count() or 1


def write_texts(files: list[Path], kind: str, options: TextOptions, grouping: Grouping) -> None:
    """Write the text of each recording that is not broken; ``kind`` is ``asr`` or ``st``.

    Groups are those that the model was trained on, unless others are asked for.
    """
    recogniser = _open_recogniser(kind, options, grouping)
    recordings = Recordings(files)
    rate = recogniser.tokenizer.info.sample_rate
    with recordings.progress(VERBS[kind], rate) as read, open_lines(options.output) as stream:
        pieces = _pieces(recordings, read, rate, options.longest)
        for utt_id, rows in groupby(_texts(recogniser, pieces, recordings, options), _first):
            found = [piece for _, piece in rows]
            if utt_id not in recordings.errors:
                line = _line(utt_id, recordings.paths[utt_id], found, options.form)
                print(line, file=stream, flush=True)


def _open_recogniser(kind: str, options: TextOptions, grouping: Grouping) -> UnitsRecogniser:
    """Raises EntcompError for a model of the other task, or where it is not said which."""
    from entcomp.artifacts.packing import open_model, trained_tasks
    from entcomp.pipelines.recognizer import UnitsRecogniser

    def choose(tokenizer: Tokenizer) -> Rule:
        return grouping.rule(tokenizer, options.segments)

    model = open_model(options.model)
    there = [one for one in trained_tasks(model.experiment) if one.startswith(f"{kind}/")]
    task = model.task or (there[0] if len(there) == 1 else None)
    if task is None or task not in there:
        known = ", ".join(there) or "none"
        raise EntcompError(
            f"--model {options.model}: give one with /{kind}/TAG behind; there are: {known}"
        )
    given = options.segments is not None or grouping.is_given
    return UnitsRecogniser.open(
        model.experiment, task, options.checkpoint, choose if given else None
    )


def _pieces(
    recordings: Recordings, read: Reader, sample_rate: int, longest: float
) -> Iterator[Recording]:
    """Pieces of all recordings, in order; a broken one ends where it breaks."""
    from entcomp.audio.silence import split_at_silences
    from entcomp.units.stream import Recording

    for utt_id, path in recordings.paths.items():
        try:
            for first, piece in split_at_silences(read(utt_id), sample_rate, longest):
                yield Recording(str(path), [piece], utt_id, first)
        except EntcompError as error:
            recordings.fail(utt_id, error)


def _texts(
    recogniser: UnitsRecogniser,
    pieces: Iterator[Recording],
    recordings: Recordings,
    options: TextOptions,
) -> Iterator[tuple[str, dict[str, Any]]]:
    """``(utt_id, start, end and text)`` of every piece, in seconds; `TOGETHER` are read at once."""
    tokenizer = recogniser.tokenizer
    found = tokenizer.encode_recordings(pieces, recogniser.rule, options.num_jobs)
    whole = _without_errors(found, recordings)
    while some := list(islice(whole, TOGETHER)):
        texts = recogniser.read([result for _, result in some])
        for (piece, result), text in zip(some, texts, strict=True):
            start = piece.first / tokenizer.info.sample_rate
            times = {"start": round(start, 4), "end": round(start + result.duration, 4)}
            yield piece.utt_id, {**times, "text": text}


def _without_errors(
    found: Iterable[tuple[Recording, Tokenized | EntcompError]], recordings: Recordings
) -> Iterator[tuple[Recording, Tokenized]]:
    for piece, result in found:
        if isinstance(result, EntcompError):
            recordings.fail(piece.utt_id, result)
        else:
            yield piece, result


def _first(row: tuple[str, Any]) -> str:
    return row[0]


def _line(utt_id: str, path: Path, pieces: list[dict[str, Any]], form: TextFormat) -> str:
    text = " ".join(piece["text"] for piece in pieces if piece["text"])
    if form == TextFormat.text:
        return f"{utt_id} {text}".rstrip()
    values = {"utt_id": utt_id, "path": str(path), "text": text, "pieces": pieces}
    return json.dumps(values, ensure_ascii=False)
