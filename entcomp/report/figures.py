"""Figures of utterances and their entropy, and what all figures share.

The colours are Okabe and Ito's, which colour-blind people can tell.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np

from entcomp.artifacts.runs import starts_of
from entcomp.segmentation.criteria import criterion_styles
from entcomp.segmentation.criterion import Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Span = tuple[float, float, str]  # start and end in seconds, label

WIDTH = 10.0  # inches, shown at the width of a page
SECONDS_A_ROW = 3.0
BLUE, VERMILLION, BLACK, GREY = "#0072B2", "#D55E00", "#000000", "#777777"
TINTS = "#f6c9a8", "#fdf0e6"
GREEN = "#009E73"
DECIBELS = -75, 5  # of white and of black in spectrograms


@dataclass(frozen=True)
class Threshold:
    """Where a criterion cuts, in nats; ``rate`` is the groups a second that come of it."""

    criterion: str
    value: float
    rate: float


def stream_styles() -> dict[str, Style]:
    """By criterion (see `Experiment.criterion`), and of plain units."""
    return criterion_styles() | {"raw": Style(BLACK, "H")}


def png(figure: Figure) -> bytes:
    """The figure as a PNG, the same bytes each time."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=160, metadata={"Software": None})
    return buffer.getvalue()


def inline(data: bytes, kind: str) -> str:
    """A ``data:`` URL, so that a page needs no other file."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def entropy_figure(
    waveform: np.ndarray,
    sample_rate: int,
    entropies: np.ndarray,
    group_lengths: np.ndarray,
    frame_shift: float,
    offset: float,
    words: Sequence[Span] = (),
    phones: Sequence[Span] = (),
    threshold: float | None = None,
) -> Figure:
    """Entropy over a spectrogram, with the groups, words and phones of an utterance below.

    ``waveform``: (samples,); ``entropies``: (frames,) in nats, NaN where there is no prediction;
    ``group_lengths``: (groups,) in frames; ``frame_shift`` and ``offset`` in seconds;
    ``threshold`` in nats. Long utterances go over several rows.
    """
    from matplotlib.figure import Figure

    duration = len(waveform) / sample_rate
    rows = ceil(duration / SECONDS_A_ROW)
    below = 0.25 * (1 + bool(words) + 2 * bool(phones))  # inches
    figure = Figure(figsize=(WIDTH, 0.5 + (2.6 + below) * rows), layout="constrained")
    axes = figure.subplots(
        2 * rows, 1, squeeze=False, gridspec_kw={"height_ratios": [2.3, below] * rows}
    )[:, 0]
    times = offset + np.arange(len(entropies) + 1) * frame_shift
    starts = times[starts_of(group_lengths)]
    groups = [(*edges, "") for edges in zip(starts, [*starts[1:], times[-1]], strict=True)]
    decibels = spectrogram(waveform, sample_rate)
    for row in range(rows):
        upper, lower = axes[2 * row], axes[2 * row + 1]
        _draw_spectrogram(upper, decibels, duration, sample_rate)
        right = _draw_entropy(upper, times[:-1], entropies, starts, threshold)
        limits = row * duration / rows, (row + 1) * duration / rows
        _draw_labels(lower, groups, words, phones, limits)
        for axis in (upper, lower):
            axis.set_xlim(*limits)
        lower.set_xlabel("seconds" if row == rows - 1 else "")
        upper.tick_params(labelbottom=False)
    handles, labels = right.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False)
    return figure


def histogram_figure(
    values: Mapping[str, np.ndarray], thresholds: Mapping[str, Sequence[Threshold]]
) -> Figure:
    """Histograms side by side, ``{axis label: values}``, each under its thresholds.

    A row of rates stands above each histogram for every criterion, over the lines that it cuts at.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, 4.2), layout="constrained")
    for axis, (label, numbers) in zip(
        figure.subplots(1, len(values), squeeze=False)[0], values.items(), strict=True
    ):
        # In float32, an LM that has learnt nothing has too narrow a range for so many bins.
        axis.hist(numbers.astype(np.float64), bins=120, color="#bbbbbb", density=True)
        axis.set_xlabel(label)
        axis.set_yticks([])
        axis.spines[["left", "top", "right"]].set_visible(False)
        _draw_thresholds(axis, thresholds[label])
    return figure


def comparison_figure(columns: Mapping[str, Mapping[str, np.ndarray]], sample_rate: int) -> Figure:
    """Spectrograms of ``{utterance: {system: waveform (samples,)}}``: a column an utterance.

    All utterances have the same systems, a row each.
    """
    from matplotlib.figure import Figure

    systems = list(next(iter(columns.values())))
    figure = Figure(figsize=(WIDTH, 0.8 + 1.15 * len(systems)), layout="constrained")
    axes = figure.subplots(len(systems), len(columns), squeeze=False)
    for column, (title, waveforms) in enumerate(columns.items()):
        for row, system in enumerate(systems):
            axis, waveform = axes[row, column], waveforms[system]
            duration = len(waveform) / sample_rate
            _draw_spectrogram(axis, spectrogram(waveform, sample_rate), duration, sample_rate)
            name = system if column == 0 else ""
            axis.set_ylabel(name, rotation="horizontal", ha="right", va="center")
            axis.tick_params(labelleft=False, labelsize=7)
        axes[0, column].set_title(title, fontsize=9)
        axes[-1, column].set_xlabel("seconds")
    return figure


def spectrogram(waveform: np.ndarray, sample_rate: int) -> np.ndarray:
    """Decibels below the loudest, (frequencies, frames): 25 ms Hann windows every 4 ms."""
    size, hop = int(0.025 * sample_rate), int(0.004 * sample_rate)
    padded = np.pad(waveform, (size // 2, size))
    windows = np.lib.stride_tricks.sliding_window_view(padded, size)[:: max(hop, 1)]
    frames = windows[: len(waveform) // hop + 1] * np.hanning(size)
    power = np.abs(np.fft.rfft(frames, 512)) ** 2
    decibels = 10 * np.log10(power / max(power.max(), 1e-12) + 1e-12)
    return decibels.T


def _draw_spectrogram(axis: Axes, decibels: np.ndarray, duration: float, sample_rate: int) -> None:
    extent = (0, duration, 0, sample_rate / 2000)
    white, black = DECIBELS
    axis.imshow(
        decibels, origin="lower", aspect="auto", extent=extent, cmap="Greys", vmin=white, vmax=black
    )
    axis.set_ylabel("kHz")


def _draw_entropy(
    axis: Axes,
    times: np.ndarray,
    entropies: np.ndarray,
    starts: np.ndarray,
    threshold: float | None,
) -> Axes:
    """The axis of the entropies, whose lines have the labels of a legend."""
    right = axis.twinx()
    for number, time in enumerate(starts):
        label = "" if number else "a group starts"
        right.axvline(time, color=VERMILLION, linewidth=1, label=label)
    if threshold is not None:
        style = (0, (4, 3))
        right.axhline(threshold, color=BLUE, linewidth=1, linestyle=style, label="threshold")
    there = ~np.isnan(entropies)
    right.plot(
        times[there],
        entropies[there],
        color=BLUE,
        linewidth=1.5,
        marker="o",
        markersize=2.5,
        path_effects=_outline(3),
        label="entropy of each unit given those before it",
    )
    right.set_ylabel("nats", color=BLUE)
    right.tick_params(axis="y", colors=BLUE)
    right.set_ylim(0, 1.08 * max(np.nanmax(entropies), 1e-3))
    return right


def _draw_labels(
    axis: Axes,
    groups: Sequence[Span],
    words: Sequence[Span],
    phones: Sequence[Span],
    limits: tuple[float, float],
) -> None:
    """Groups as a band of two tints; below them what is known of words and phones.

    Phones stand in two staggered lines, as short ones leave no room for text. A label stands in
    the middle of what lies within ``limits``, if that is most of its span.
    """
    top, ticks = 0.0, {}
    for name, spans, lines in (("groups", groups, 1), ("words", words, 1), ("phones", phones, 2)):
        if not spans:
            continue
        ticks[name] = top - lines / 2
        axis.vlines([edge for span in spans for edge in span[:2]], top - lines, top, BLACK, lw=0.6)
        axis.axhline(top, color=BLACK, linewidth=0.6)
        for number, (start, end, label) in enumerate(spans):
            if name == "groups":
                tint = TINTS[number % 2]
                axis.fill_between([start, end], top - 1, top, color=tint, linewidth=0)
            elif limits[0] <= (start + end) / 2 < limits[1]:
                middle = (max(start, limits[0]) + min(end, limits[1])) / 2
                height = top - (0.5 if number % 2 or lines == 1 else 1.5)
                style: dict[str, Any] = {"ha": "center", "va": "center_baseline"}
                size = 9 if lines == 1 else 8
                axis.text(middle, height, label, size=size, path_effects=_outline(2), **style)
        top -= lines
    axis.set_ylim(top, 0)
    axis.set_yticks(list(ticks.values()), list(ticks))
    axis.tick_params(axis="y", length=0)


def _draw_thresholds(axis: Axes, thresholds: Sequence[Threshold]) -> None:
    criteria, styles = list(dict.fromkeys(one.criterion for one in thresholds)), stream_styles()
    top, (left, right) = axis.get_ylim()[1], axis.get_xlim()
    axis.set_xlim(left - 0.25 * (right - left), right)  # room for names
    for number, criterion in enumerate(criteria):
        color = styles.get(criterion, Style()).color
        height = top * (1.08 + 0.1 * number)
        name = f"{criterion}, Hz"
        style: dict[str, Any] = {"color": color, "va": "center", "path_effects": _outline(3)}
        axis.text(0, height, name, ha="left", transform=axis.get_yaxis_transform(), **style)
        for one in (one for one in thresholds if one.criterion == criterion):
            axis.plot([one.value] * 2, [0, height - 0.05 * top], color=color, linewidth=1.2)
            axis.text(one.value, height, f"{one.rate:.0f}", ha="center", **style)


def _outline(width: float) -> list[Any]:
    """White around lines and letters, so that they can be told from what lies beneath."""
    from matplotlib.patheffects import Normal, Stroke

    return [Stroke(linewidth=width, foreground="white"), Normal()]
