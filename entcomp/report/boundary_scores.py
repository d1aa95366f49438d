"""Boundary scores of all segmentations of a set, as ``align-eval`` wrote them, for people."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from entcomp.files import read_json
from entcomp.report.tables import Table
from entcomp.segmentation.chance import chance_names


def read_scores(folder: Path, set_name: str) -> list[dict[str, Any]]:
    """Results of one set, ``folder/<tag>/<set>.json``, the finest first."""
    return by_rate([read_json(path) for path in folder.glob(f"*/{set_name}.json")])


def by_rate(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The finest segmentation first."""
    return sorted(results, key=lambda result: (-result["rate"], result["tag"]))


def markdown_page(set_name: str, results: list[dict[str, Any]]) -> str:
    """Tables of all tiers, with what they count."""
    tables = [f"### {tier}\n\n{score_table(results, tier).markdown()}" for tier in tiers(results)]
    return "\n".join([f"## {set_name}\n\n{describe_matching(results[0])}\n", *tables])


def tiers(results: list[dict[str, Any]]) -> list[str]:
    """Names of all tiers."""
    return sorted({tier for result in results for tier in result["tiers"]})


def score_table(results: list[dict[str, Any]], tier: str) -> Table:
    """A row a segmentation; columns named like criteria hold chance at the same rate."""
    chance = chance_names()
    header = ["segmentation", "Hz", "P", "R", "F1", "95%", *chance, "R-value", "95%", *chance]
    rows = [_row(result, tier, chance) for result in results if tier in result["tiers"]]
    return Table([*header, "in 50 ms", "off ms", "shift ms"], rows)


def describe_matching(result: dict[str, Any]) -> str:
    """In words, what the numbers of a result count."""
    how = "many-to-one (lenient)" if result["lenient"] else "one-to-one"
    shift = f", boundaries shifted by {1000 * result['shift']:g} ms" if result["shift"] else ""
    return (
        f"{result['utterances']} utterances; boundaries agree within "
        f"{1000 * result['tolerance']:g} ms, {how}{shift}. P, R: precision and recall. Beside F1 "
        "and R-value: the bootstrap interval, and equal and random groups, as many in each "
        "utterance. In 50 ms: share of boundaries that have a reference one so near. Off, shift: "
        "mean absolute and signed distance to the nearest one. Shares are in percent."
    )


def _row(result: dict[str, Any], tier: str, chance: list[str]) -> list[str]:
    methods = result["tiers"][tier]
    own = methods["segmentation"]
    row = [result["tag"], f"{result['rate']:.1f}", _percent(own["precision"])]
    row.append(_percent(own["recall"]))
    for name in ("f1", "r_value"):
        low, high = own["interval"][name]
        row += [_percent(own[name]), f"[{_percent(low)}, {_percent(high)}]"]
        row += [_percent(methods.get(one, {}).get(name)) for one in chance]
    row += [_percent(own["within_50ms"])]
    row += [_number(own[f"mean_{kind}_deviation_ms"]) for kind in ("absolute", "signed")]
    return row


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"
