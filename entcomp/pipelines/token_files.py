"""Recordings to files of tokens: JSON, TextGrid, CTM, and Kaldi's archives."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, Literal, TextIO

import numpy as np

from entcomp.artifacts.experiment import UnitsInfo
from entcomp.artifacts.runs import run_lengths
from entcomp.errors import EntcompError
from entcomp.formats.textgrid import Interval, TextGrid, write_textgrid
from entcomp.kaldi.ark import ArkWriter
from entcomp.kaldi.recordings import wav_entry
from entcomp.kaldi.table import write_table
from entcomp.pipelines.recordings import Recordings, check_output, open_lines
from entcomp.pipelines.tokenizer import Tokenized, Tokenizer
from entcomp.segmentation.rule import Rule, thresholds_of
from entcomp.units.stream import Recording

Write = Callable[[str, Path, Tokenized], None]


TokenFormat = Literal["json", "textgrid", "ctm", "kaldi"]


def tokenize_files(
    tokenizer: Tokenizer,
    rule: Rule,
    files: Sequence[Path],
    kind: TokenFormat,
    output: Path | None,
    num_jobs: int,
    channel: int | None = None,
) -> None:
    """Write the tokens of each recording that is not broken, by `open_writer`.

    Raises EntcompError at the end if any was broken, naming it.
    """
    recordings = Recordings(files, channel)
    paths = recordings.paths
    ids = sorted(paths) if kind == "kaldi" else list(paths)
    with (
        recordings.progress("tokenize", tokenizer.info.sample_rate) as read,
        open_writer(kind, output, files) as write,
    ):
        sources = (Recording(str(paths[one]), read(one), one) for one in ids)
        for source, found in tokenizer.encode_recordings(sources, rule, num_jobs):
            if isinstance(found, EntcompError):
                recordings.fail(source.utt_id, found)
            else:
                try:
                    write(source.utt_id, paths[source.utt_id], found)
                except EntcompError as error:  # of a name that the format cannot hold
                    recordings.fail(source.utt_id, error)


@contextmanager
def open_writer(kind: TokenFormat, output: Path | None, inputs: Sequence[Path]) -> Iterator[Write]:
    """Yields what writes one recording: ``write(utt_id, path, tokenized)``.

    JSON (an object a line) and CTM go to a file or the standard output, complete or not at all;
    TextGrids and Kaldi's archives to a folder. Kaldi's want ids sorted.
    """
    if kind in ("json", "ctm"):
        with open_lines(output, inputs) as stream:
            yield partial(_write_lines, stream, _json if kind == "json" else _ctm)
        return
    if output is None:
        raise EntcompError(f"--format {kind}: give an output folder: -o OUT")
    check_output(output, folder=True)
    output.mkdir(parents=True, exist_ok=True)
    if kind == "textgrid":
        yield partial(_write_textgrid, output)
        return
    with _open_archives(output) as write:
        yield write


def _write_lines(
    stream: TextIO,
    lines: Callable[[str, Path, Tokenized], Iterator[str]],
    utt_id: str,
    path: Path,
    found: Tokenized,
) -> None:
    stream.writelines(f"{line}\n" for line in lines(utt_id, path, found))
    stream.flush()


def _json(utt_id: str, path: Path, found: Tokenized) -> Iterator[str]:
    """One object; seconds, nats, and null where there is no prediction."""
    entropies = None
    if found.entropies is not None:
        shortest = (float(f"{one:.9g}") for one in found.entropies)  # that float32 comes back from
        entropies = [None if one != one else one for one in shortest]
    values: dict[str, Any] = {
        "utt_id": utt_id,
        "path": str(path),
        "duration": found.duration,
        "frame_shift": found.info.frame_shift,
        "receptive_offset": found.info.receptive_offset,
        "codebook_sha256": found.info.codebook_sha256,
        "rate": round(found.rate, 4),
        "units": found.units.tolist(),
        "entropies": entropies,
        "groups": found.groups.tolist(),
        "times": found.times.round(6).tolist(),
    }
    if found.rule.groups_per_unit and (names := thresholds_of(found.rule)):  # matched, here
        values["thresholds"] = {name: found.rule.threshold(name) for name in names}
    yield json.dumps(values, ensure_ascii=False, allow_nan=False)


def _ctm(utt_id: str, _: Path, found: Tokenized) -> Iterator[str]:
    """``utt_id channel start duration label``, a group a line."""
    for (start, end), units in zip(found.times, found.tokens, strict=True):
        yield f"{utt_id} 1 {start:.4f} {end - start:.4f} {'_'.join(_label(units))}"


def _write_textgrid(folder: Path, utt_id: str, _: Path, found: Tokenized) -> None:
    """Tiers of groups and of runs of equal units."""
    tiers = {
        "groups": tuple(_intervals(found, found.groups)),
        "units": tuple(_intervals(found, run_lengths(found.units))),
    }
    write_textgrid(folder / f"{utt_id}.TextGrid", TextGrid(found.duration, tiers))


def _intervals(found: Tokenized, lengths: np.ndarray) -> Iterator[Interval]:
    other = replace(found, groups=lengths)
    for (start, end), units in zip(other.times.tolist(), other.tokens, strict=True):
        yield Interval(start, end, " ".join(_label(units)))


def _label(units: np.ndarray) -> list[str]:
    """The units of a group without repeats."""
    return [str(unit) for unit, _ in groupby(units.tolist())]


@contextmanager
def _open_archives(folder: Path) -> Iterator[Write]:
    """``units``, ``groups`` and ``entropy`` as ark and scp, and what they are of: ``wav.scp``,
    ``utt2dur``, ``units.json``.
    """
    recordings: list[tuple[str, str]] = []
    durations: list[tuple[str, str]] = []
    infos: set[UnitsInfo] = set()  # one, or none without recordings
    with ExitStack() as stack:
        arks: dict[str, ArkWriter] = {}

        def write(utt_id: str, path: Path, found: Tokenized) -> None:
            entry = wav_entry(path)
            infos.add(found.info)
            vectors = {"units": found.units, "groups": found.groups, "entropy": found.entropies}
            for name, vector in vectors.items():
                if vector is not None:
                    if name not in arks:
                        arks[name] = stack.enter_context(ArkWriter(folder, name))
                    arks[name].write(utt_id, vector)
            recordings.append((utt_id, entry))
            durations.append((utt_id, f"{found.duration:.4f}"))

        yield write
    write_table(folder / "wav.scp", recordings)
    write_table(folder / "utt2dur", durations)
    for info in infos:
        info.write(folder / "units.json")
