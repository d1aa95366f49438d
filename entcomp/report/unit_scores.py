"""What `evaluate-units` found, as a page for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from entcomp.report.tables import Table

# Names, decimals and a factor: shares are in percent.
PHONES = {
    "pnmi": ("PNMI (%)", 1, 100),
    "phone_purity": ("phone purity (%)", 1, 100),
    "cluster_purity": ("cluster purity (%)", 1, 100),
    "mutual_information": ("information about the phone (nats)", 3, 1),
    "phone_entropy": ("entropy of phones (nats)", 3, 1),
}
SPEAKERS = {
    "information": ("information about the speaker (nats)", 4, 1),
    "chance": ("that of speakers dealt out anew, taken off above", 4, 1),
    "speaker_entropy": ("entropy of speakers (nats)", 3, 1),
    "share": ("share of that known from a unit (%)", 2, 100),
}
STREAMS = {
    "rate": ("Hz", 1, 1),
    "entropy": ("nats", 3, 1),
    "bits_per_second": ("bit/s", 0, 1),
    "entropy_with_lengths": ("nats, with lengths", 3, 1),
    "bits_per_second_with_lengths": ("bit/s, with lengths", 0, 1),
    "kept": ("frames kept (%)", 1, 100),
}
ABX = {
    "within": ("within speakers (%)", 2, 100),
    "across": ("across speakers (%)", 2, 100),
}

STREAM_WORDS = (
    "A group is sent as its most frequent unit, without or with its length in frames, by the best "
    "code for one group at a time (the entropy of this set). Frames kept: those whose unit is that "
    "of their group. CALE's vectors are continuous: their stream has a rate, and no bit rate."
)
ABX_WORDS = (
    "How often a triphone is nearer to one with another phone in its middle than to itself, said "
    "again by the same speaker or by another. A frame's vector has the share of each unit in the "
    "frame's group, so that raw units and their runs are alike; cosine and DTW of ZeroSpeech's "
    "libri-light-abx2. Intervals are over contexts of phones."
)


class Part(NamedTuple):
    """A table, its title, and what it counts."""

    title: str
    words: str
    table: Table


def markdown_page(result: Mapping[str, Any]) -> str:
    """The tables of a ``scores.json``."""
    parts = [
        f"### {title}\n\n{words}\n\n{table.markdown()}" for title, words, table in tables(result)
    ]
    return "\n".join([f"## {result['set']}\n", *parts])


def tables(result: Mapping[str, Any]) -> list[Part]:
    """Of the units and of their streams, the finest first; those that were scored."""
    parts = []
    for kind, names in (("phones", PHONES), ("speakers", SPEAKERS)):
        if kind in result:
            rows = [[names[key][0], *_cells(result[kind], key, names)] for key in names]
            table = Table(["measure", "value", "95%"], rows)
            parts.append(Part(kind, _describe(kind, result[kind]), table))
    streams = result["streams"]
    tags = sorted(streams, key=lambda tag: (-streams[tag]["rate"], tag))
    parts.append(Part("streams", STREAM_WORDS, _streams(streams, tags, STREAMS)))
    if "abx" in result:
        parts.append(Part("ABX", ABX_WORDS, _streams(result["abx"], tags, ABX)))
    return parts


def _describe(kind: str, found: Mapping[str, Any]) -> str:
    if kind == "speakers":
        return f"{found['speakers']} speakers; of one frame's unit."
    return (
        f"{found['scored']} utterances, {found['frames']} frames in one of {found['labels']} "
        "phones; frames in no phone do not count."
    )


def _streams(
    streams: Mapping[str, Mapping[str, Any]],
    tags: Sequence[str],
    names: Mapping[str, tuple[str, int, int]],
) -> Table:
    """A row a stream, in the order of ``tags``."""
    header = ["stream"]
    for name, _, _ in names.values():
        header += [name, "95%"]
    rows = [
        [tag, *(cell for key in names for cell in _cells(streams[tag], key, names))] for tag in tags
    ]
    return Table(header, rows)


def _cells(
    found: Mapping[str, Any], key: str, names: Mapping[str, tuple[str, int, int]]
) -> tuple[str, str]:
    _, places, factor = names[key]
    if found[key] is None:
        return "", ""
    low, high = found["interval"][key]
    value, low, high = (f"{factor * one:.{places}f}" for one in (found[key], low, high))
    return value, f"[{low}, {high}]"
