"""The time from a waveform to its text, as ``bench-latency`` measured it, for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from entcomp.report.tables import Table

STAGES = ("extraction", "lm", "segmentation", "encoder", "decoder")


def models_by_rate(latency: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Names and measurements, the finest stream first."""
    return sorted(latency["models"].items(), key=lambda one: (-one[1]["rate"], one[0]))


def latency_table(latency: Mapping[str, Any]) -> Table:
    """A row a model: median and 95th percentile of each stage and of their sum."""
    rows = []
    for model, found in models_by_rate(latency):
        times = (found["milliseconds"][name] for name in (*STAGES, "total"))
        cells = [f"{one['p50']:.1f} / {one['p95']:.1f}" for one in times]
        size = [f"{found['rate']:.1f}", str(found["beam"]), f"{found['pieces']:.1f}"]
        rows.append([model, *size, *cells])
    return Table(("model", "Hz", "beam", "pieces", *STAGES, "total"), rows)


def describe_latency(latency: Mapping[str, Any]) -> str:
    """In words, what the numbers are."""
    return (
        "Milliseconds an utterance, median / 95th percentile: "
        f"{latency['utterances']} utterances of {latency['mean_seconds']:.2f} s in the mean, one "
        f"at a time, {latency['clock']} on {latency['device']}. Each model decodes as many text "
        "pieces as the reference has, with CTC at most as many as there are groups; 'pieces' is "
        "their mean."
    )
