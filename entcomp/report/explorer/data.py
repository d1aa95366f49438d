"""What the page knows: the JSON inside of it.

``{"model": str, "info": {...}, "criteria": [...], "initial": {...}, "utterances": [...]}``

- ``info``: ``sample_rate`` (Hz), ``frame_shift_samples`` and ``receptive_offset_samples`` (see
  `UnitsInfo`), ``num_clusters``, ``tolerance`` (ticks, within which boundaries agree).
- ``criteria``: all that are registered. ``name``, ``help`` and, for one that the page cannot offer,
  ``problem``. Else ``strength``, what says how much it compresses: ``target_rate``,
  ``window`` or null; ``peaks``, whether it takes ``--peaks``; ``thresholds``, of ``{"name",
  "unit"}`` (nats, or ``sd``), none for one on units. One on entropies has ``curves`` by ``all`` and
  ``peaks``, with ``rates`` (Hz on the calibration set) and ``thresholds`` by name, at 129 evenly
  spaced levels, between which the page goes in straight lines; ``moments``, as `Rule` has them; or
  ``uncalibrated``: why there are no curves.
- ``initial``: where sliders stand, see `Initial`.
- ``utterances``: ``utt_id``, ``text``, ``sample_rate`` (Hz) and ``duration`` (seconds) of the
  audio; ``units``, ``forward`` and ``backward`` (null without such an LM): base64 of little-endian
  int32 and float32 (frames,), entropies in nats, NaN where the LM predicts nothing; ``audio`` and
  ``spectrogram``: ``data:`` URLs of a FLAC and of a PNG; ``tiers``: ``{"words":
  [[start, end, label], ...], "phones": ...}`` in seconds, without silences; ``boundaries``: those
  of each tier in ticks, as align-eval takes them, and ``end``, of the reference, in ticks.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from entcomp.artifacts.experiment import Experiment, UnitsInfo
from entcomp.artifacts.ticks import reference_boundaries, to_ticks
from entcomp.formats.textgrid import TIER_NAMES, Interval, TextGrid
from entcomp.report.figures import DECIBELS, inline, spectrogram
from entcomp.report.page import flac

TOLERANCE = 0.02  # seconds within which boundaries agree


@dataclass(frozen=True)
class ShownUtterance:
    """What is shown of a recording.

    ``waveform``: (samples,) within ±1, at ``sample_rate`` Hz. ``units``: int32 (frames,);
    ``forward`` and ``backward``: float32 (frames,), nats. ``tiers``: words and phones without
    silences; ``end``: seconds, of what they are an alignment of.
    """

    utt_id: str
    text: str
    waveform: np.ndarray
    sample_rate: int
    units: np.ndarray
    forward: np.ndarray
    backward: np.ndarray | None = None
    tiers: Mapping[str, Sequence[Interval]] = field(default_factory=dict)
    end: float | None = None


@dataclass(frozen=True)
class Initial:
    """Where the sliders stand when the page is opened.

    ``rate`` in Hz, ``window`` and the limits of a group's length in frames; ``thresholds`` by name,
    where the rate is not to say them.
    """

    criterion: str
    rate: float = 15.0
    peaks: bool = False
    window: int = 4
    thresholds: Mapping[str, float] = field(default_factory=dict)
    min_length: int = 1
    max_length: int | None = None

    @classmethod
    def of(cls, experiment: Experiment, tag: str) -> Initial:
        """Where a segmentation has them. Raises EntcompError where there is none of that name."""
        info = experiment.segmentation(tag)
        rule = info.rule
        return cls(
            info.criterion,
            info.target_rate or next(iter(info.rates.values())),
            bool(rule.get("peaks")),
            rule.get("window") or cls.window,
            {key: one for key, one in rule.items() if key.startswith("theta_") and one is not None},
            rule.get("min_length", 1),
            rule.get("max_length"),
        )


def page_data(
    model: str,
    info: UnitsInfo,
    criteria: list[dict[str, Any]],
    initial: Initial,
    utterances: Sequence[ShownUtterance],
) -> dict[str, Any]:
    """The JSON of the page, as above; ``criteria`` as `offered.describe_criteria` has them."""
    names = ("sample_rate", "frame_shift_samples", "receptive_offset_samples", "num_clusters")
    facts = {name: getattr(info, name) for name in names}
    facts["tolerance"] = to_ticks(TOLERANCE)
    return {
        "model": model,
        "info": facts,
        "criteria": criteria,
        "initial": asdict(initial),
        "utterances": [_utterance(one) for one in utterances],
    }


def known_tiers(grid: TextGrid, start: float = 0.0) -> dict[str, list[Interval]]:
    """Words and phones, whichever there are, with their times from ``start`` (seconds) on."""
    there = {name.split(" - ")[-1] for name in grid.tiers}
    return {
        kind: [
            Interval(one.start - start, one.end - start, one.label)
            for one in grid.tier(kind)
            if one.end > start
        ]
        for kind, names in TIER_NAMES.items()
        if there & set(names)
    }


def _utterance(one: ShownUtterance) -> dict[str, Any]:
    duration = len(one.waveform) / one.sample_rate
    end = duration if one.end is None else one.end
    return {
        "utt_id": one.utt_id,
        "text": one.text,
        "sample_rate": one.sample_rate,
        "duration": duration,
        "units": _base64(one.units, "<i4"),
        "forward": _base64(one.forward, "<f4"),
        "backward": None if one.backward is None else _base64(one.backward, "<f4"),
        "audio": inline(flac(one.waveform, one.sample_rate), "audio/flac"),
        "spectrogram": inline(_picture(one.waveform, one.sample_rate), "image/png"),
        "tiers": {
            name: [
                [max(0.0, each.start), min(each.end, duration), each.label]
                for each in spans
                if each.start < duration
            ]
            for name, spans in one.tiers.items()
        },
        "boundaries": {
            name: reference_boundaries(spans, end).tolist() for name, spans in one.tiers.items()
        },
        "end": to_ticks(end),
    }


def _base64(vector: np.ndarray, kind: str) -> str:
    return base64.b64encode(vector.astype(kind).tobytes()).decode()


def _picture(waveform: np.ndarray, sample_rate: int) -> bytes:
    """The spectrogram as a PNG of 32 greys, a pixel for each of its numbers."""
    from PIL import Image

    white, black = DECIBELS
    darkness = np.clip((spectrogram(waveform, sample_rate) - white) / (black - white), 0, 1)
    greys = 255 - 8 * np.round(31 * darkness[::-1]).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(greys).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
