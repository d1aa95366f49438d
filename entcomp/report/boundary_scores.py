"""Boundary scores of all segmentations of a set, as ``align-eval`` wrote them, for people."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from entcomp.errors import EntcompError
from entcomp.files import read_json
from entcomp.report.tables import Table
from entcomp.segmentation.chance import chance_names


def read_scores(paths: Iterable[Path]) -> list[dict[str, Any]]:
    """Results of one set, a file a segmentation, the finest first.

    Raises EntcompError for those of a version that did not dither references.
    """
    results = []
    for path in paths:
        results.append(read_json(path))
        if "resolution" not in results[-1]:
            raise EntcompError(
                f"{path}: written by an older version; run align-eval again, or delete it"
            )
    return by_rate(results)


def by_rate(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The finest segmentation first."""
    return sorted(results, key=lambda result: (-result["rate"], result["tag"]))


def by_settings(results: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Those that one table can hold: what `describe_matching` says is true of all of them."""
    found: dict[tuple[str, float], list[dict[str, Any]]] = {}
    for one in results:
        found.setdefault((describe_matching(one), one["resolution"]), []).append(one)
    return list(found.values())


def markdown_page(set_name: str, results: list[dict[str, Any]]) -> str:
    """Tables of all tiers, with what they count; those that were scored otherwise apart."""
    parts = [f"## {set_name}\n"]
    for alike in by_settings(results):
        parts.append(f"{describe_matching(alike[0])}\n")
        for tier in tiers(alike):
            tables = score_tables(alike, tier)
            parts += [f"### {title}\n\n{table.markdown()}" for title, table in tables.items()]
    return "\n".join(parts)


def tiers(results: list[dict[str, Any]]) -> list[str]:
    """Names of all tiers."""
    return sorted({tier for result in results for tier in result["tiers"]})


def score_tables(results: list[dict[str, Any]], tier: str) -> dict[str, Table]:
    """By title: scores with references as intervals, and the plain ones."""
    width = f"{1000 * results[0]['resolution']:g} ms"
    found = [(one, one["tiers"][tier]) for one in results if tier in one["tiers"]]
    dithered = [(one, _dithered(methods)) for one, methods in found]
    return {
        f"{tier}, references {width} wide": _table(dithered),
        f"{tier}, plain": _table(found),
    }


def describe_matching(result: dict[str, Any]) -> str:
    """In words, what the numbers of a result count."""
    grids = "/".join(Path(result["alignments"]).parts[-2:])
    return (
        f"{result['utterances']} utterances, TextGrids of {grids}; {describe_settings(result)}. "
        "P, R: precision and recall. Beside F1 and R-value: the bootstrap interval, and equal and "
        "random groups, as many in each utterance. In 50 ms: share of boundaries that have a "
        "reference one so near. Off, shift: mean absolute and signed distance to the nearest one. "
        "Shares are in percent. Plain scores are for comparison with papers: they jump where "
        "units share the references' grid. Compare other frame shifts and offsets where "
        "references are as wide as their resolution."
    )


def describe_settings(result: dict[str, Any]) -> str:
    """In words, by which options of align-eval a result was made."""
    said = [f"boundaries agree within {1000 * result['tolerance']:g} ms"]
    said.append("many-to-one (lenient)" if result["lenient"] else "one-to-one")
    if result["shift"]:
        said.append(f"boundaries shifted by {1000 * result['shift']:g} ms")
    if result.get("speaker") is not None:
        said.append(f"speaker {result['speaker']} alone")
    if result.get("silences") is not None:
        said.append(f"silences: {result['silences'] or 'none'}")
    return ", ".join(said)


def _dithered(methods: dict[str, Any]) -> dict[str, Any]:
    return {name: scores["dithered"] for name, scores in methods.items()}


def _table(rows: list[tuple[dict[str, Any], dict[str, Any]]]) -> Table:
    """A row a segmentation; columns named like criteria hold chance at the same rate."""
    chance = chance_names()
    header = ["segmentation", "Hz", "P", "R", "F1", "95%", *chance, "R-value", "95%", *chance]
    header += ["in 50 ms", "off ms", "shift ms"]
    return Table(header, [_row(result, methods, chance) for result, methods in rows])


def _row(result: dict[str, Any], methods: dict[str, Any], chance: list[str]) -> list[str]:
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
