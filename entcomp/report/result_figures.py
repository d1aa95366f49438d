"""Figures of what segmentations and models came to: scores against rate, and latency."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np

from entcomp.report.figures import BLACK, GREEN, WIDTH, stream_styles
from entcomp.report.latency import STAGES, models_by_rate
from entcomp.segmentation.chance import chance_names
from entcomp.segmentation.criteria import criterion_styles
from entcomp.segmentation.criterion import Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

METRICS = {"f1": "F1", "r_value": "R-value"}
# Colours and markers that no criterion has.
OTHER_LOOKS = tuple(
    zip(("#AA4499", "#999933", "#6699CC", "#994455", "#997700") * 3, "<>p" * 5, strict=True)
)
STAGE_COLORS = ("#BBBBBB", "#0072B2", "#56B4E9", "#E69F00", "#D55E00")


@dataclass(frozen=True)
class Point:
    """A score at a rate (groups a second), with its interval; ``kind`` has a style of its own.

    A line joins those of a ``family``: models that differ in nothing but their rate and seed.
    """

    kind: str
    rate: float
    value: float
    low: float
    high: float
    family: str = ""


def boundary_figure(
    results: Sequence[dict[str, Any]], tiers: Sequence[str], families: Mapping[str, str]
) -> Figure:
    """Rate against F1 and R-value of each criterion and of chance; ``results`` of align-eval.

    ``families`` are those of the tags. With references as intervals: what does not depend on where
    grids lie.
    """
    panels, lines = {}, {}
    for tier in tiers:
        for metric, name in METRICS.items():
            title = f"{tier}, {name} (%)"
            panels[title] = _boundary_points(results, tier, metric, families)
            lines[title] = {
                f"{name} (chance)": _chance_points(results, tier, metric, name)
                for name in chance_names()
            }
    return score_figure(panels, lines)


def score_figure(
    panels: Mapping[str, Sequence[Point]],
    lines: Mapping[str, Mapping[str, Sequence[tuple[float, float]]]] | None = None,
) -> Figure:
    """Rate against a score, ``{title: points}``, two panels a row.

    ``lines``: of a panel, lines through ``(rate, score)``, named as in `line_styles`.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MultipleLocator

    columns = min(2, len(panels))
    rows = ceil(len(panels) / columns)
    figure = Figure(figsize=(WIDTH, 0.8 + 3.3 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True).flatten()
    styles = kind_styles({one.kind for points in panels.values() for one in points})
    for axis, (title, points) in zip(axes, panels.items(), strict=False):
        _draw_lines(axis, (lines or {}).get(title, {}))
        _draw_points(axis, points, styles)
        axis.set_title(title, fontsize=11)
        axis.xaxis.set_major_locator(MultipleLocator(5))
        axis.tick_params(labelbottom=True)
        axis.grid(color="#dddddd", linewidth=0.6)
        axis.set_axisbelow(True)
        axis.set_xlabel("groups a second (Hz)")
    for axis in axes[len(panels) :]:
        axis.remove()
    _draw_legend(figure, axes[: len(panels)])
    return figure


def latency_figure(latency: Mapping[str, Any]) -> Figure:
    """A bar a model of bench-latency, stacked from the medians of its stages."""
    from matplotlib.figure import Figure

    models = models_by_rate(latency)
    names = [name for name, _ in models]
    times = [found["milliseconds"] for _, found in models]
    figure = Figure(figsize=(WIDTH, 1.1 + 0.36 * len(names)), layout="constrained")
    axis = figure.subplots()
    left = np.zeros(len(names))
    for stage, color in zip(STAGES, STAGE_COLORS, strict=True):
        medians = np.array([one[stage]["p50"] for one in times])
        axis.barh(names, medians, left=left, color=color, label=stage, height=0.7)
        left += medians
    for row, (end, one) in enumerate(zip(left, times, strict=True)):
        axis.text(end, row, f"  {one['total']['p50']:.0f} ms", va="center")
    axis.set_xlim(0, 1.12 * max(left))
    axis.invert_yaxis()
    axis.set_xlabel("milliseconds an utterance (medians)")
    axis.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=len(STAGES), frameon=False)
    return figure


def kind_styles(kinds: Collection[str]) -> dict[str, Style]:
    """Of each kind: its criterion's, and for those that are of none, as models of random rates."""
    known = stream_styles()
    others = [kind for kind in sorted(kinds) if kind not in known]
    return {kind: style for kind, style in known.items() if kind in kinds} | {
        kind: Style(*look) for kind, look in zip(others, cycle(OTHER_LOOKS))
    }


def line_styles() -> dict[str, Style]:
    """Of chance at a rate, and of what conversion is compared with."""
    styles = criterion_styles()
    return {f"{name} (chance)": styles[name] for name in chance_names()} | {
        "source": Style(BLACK, line="--"),
        "resynthesis": Style(GREEN, line="-."),
    }


def _boundary_points(
    results: Sequence[dict[str, Any]], tier: str, metric: str, families: Mapping[str, str]
) -> list[Point]:
    points = []
    for one in results:
        if tier in one["tiers"] and one["criterion"] not in chance_names():
            score = one["tiers"][tier]["segmentation"]["dithered"]
            values = np.array([score[metric], *score["interval"][metric]], np.float64)
            value, low, high = (100 * values).tolist()
            family = families[one["tag"]]
            points.append(Point(one["criterion"], one["rate"], value, low, high, family))
    return points


def _chance_points(
    results: Sequence[dict[str, Any]], tier: str, metric: str, name: str
) -> list[tuple[float, float]]:
    """Of segmentations that are chance themselves, if any; else chance at the others' rates."""
    scored = [one for one in results if name in one["tiers"].get(tier, {})]
    own = [one for one in scored if one["criterion"] == name] or scored
    return sorted((one["rate"], 100 * one["tiers"][tier][name]["dithered"][metric]) for one in own)


def _draw_lines(axis: Axes, lines: Mapping[str, Sequence[tuple[float, float]]]) -> None:
    styles = line_styles()
    for name, points in lines.items():
        style = styles[name]
        rates, values = np.array(points).reshape(-1, 2).T
        look: dict[str, Any] = {"color": style.color, "linestyle": style.line, "label": name}
        if len(set(rates)) == 1:  # from one point to itself there is nothing to see
            axis.axhline(values[0], **look)
        else:
            axis.plot(rates, values, **look)


def _draw_points(axis: Axes, points: Sequence[Point], styles: Mapping[str, Style]) -> None:
    """Every point with its interval; the line of a family goes through the means of its seeds."""
    for kind, style in styles.items():
        own = sorted((one for one in points if one.kind == kind), key=lambda one: one.rate)
        if not own:
            continue
        rates = np.array([one.rate for one in own])
        values = np.array([one.value for one in own])
        low, high = np.array([(one.low, one.high) for one in own]).T
        axis.errorbar(
            rates,
            values,
            np.array([values - low, high - values]).clip(0),
            color=style.color,
            marker=style.marker,
            markersize=9 if style.marker in "*12" else 6,
            linestyle="none",
            capsize=2,
            label=kind,
        )
        for family in dict.fromkeys(one.family for one in own):
            some = np.array([one.family == family for one in own])
            places = np.unique(rates[some])
            means = [values[some & (rates == rate)].mean() for rate in places]
            axis.plot(places, means, color=style.color, linewidth=1.3)


def _draw_legend(figure: Figure, axes: Iterable[Axes]) -> None:
    """One legend for all panels, below them."""
    found: dict[str, Any] = {}
    for axis in axes:
        handles, labels = axis.get_legend_handles_labels()
        found = dict(zip(labels, handles, strict=True)) | found
    figure.legend(found.values(), found, loc="outside lower center", ncols=5, frameon=False)
