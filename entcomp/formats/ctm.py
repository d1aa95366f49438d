"""CTM files of NIST's, as Kaldi, MFA and tokenizers write them: intervals line by line.

A line is ``utt_id channel start duration label``, in seconds; what follows (a confidence) is not
read. Lines that begin with ``;;`` are comments. Names and times have to be those of utterances, not
of longer recordings that utterances were cut from.
"""

from __future__ import annotations

import math

from entcomp.errors import EntcompError
from entcomp.formats.textgrid import Interval
from entcomp.kaldi.table import check_id


def parse_ctm(content: bytes, source: str) -> dict[str, tuple[Interval, ...]]:
    """Intervals by utterance, in the order of lines. ``source`` is what errors call the file.

    Raises EntcompError, naming file and line, for what is no such line, for an utterance in two
    channels, and for bytes that are not UTF-8.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise EntcompError(f"{source}: not UTF-8 text; was a CTM expected?") from None
    found: dict[str, list[Interval]] = {}
    channels: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split()
        if not words or words[0].startswith(";;"):
            continue
        where = f"{source}:{number}"
        utt_id, channel, interval = _parse(words, line, where)
        if channels.setdefault(utt_id, channel) != channel:
            raise EntcompError(
                f"{where}: {utt_id} in channel {channel}, and in {channels[utt_id]} before; keep "
                "one of them"
            )
        found.setdefault(utt_id, []).append(interval)
    return {utt_id: tuple(intervals) for utt_id, intervals in found.items()}


def _parse(words: list[str], line: str, where: str) -> tuple[str, str, Interval]:
    try:
        utt_id, channel, start, duration, label = words[:5]
        times = float(start), float(duration)
        if not all(math.isfinite(one) for one in times):
            raise ValueError
    except ValueError:
        raise EntcompError(
            f"{where}: expected 'utt_id channel start duration label', got {line[:80]!r}"
        ) from None
    check_id(utt_id, where)
    return utt_id, channel, Interval(times[0], times[0] + times[1], label)
