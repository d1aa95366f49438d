"""Thousands of damaged files: each is read, or refused by one line that names a file.

A kind's cases are a function of their seeds. To look into one: ``pytest tests/fuzz -k KIND``, and
`judge.Judge().outcome(KIND, SEED)`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

import pytest
from judge import Judge, Kind, Outcome, all_kinds

CASES = 100  # of a kind, unless --fuzz says how many of all together
SHOWN = 5
KINDS = all_kinds()
found: dict[str, Counter[str]] = {}


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    judge = Judge()
    yield judge
    judge.close()


def cases(kind: Kind, total: int | None) -> int:
    if total is None:
        return math.ceil(CASES * kind.part)
    return math.ceil(total * kind.part / sum(one.part for one in KINDS.values()))


@pytest.mark.parametrize("name", KINDS)
def test_damaged_files(name: str, judge: Judge, pytestconfig: pytest.Config) -> None:
    count = cases(KINDS[name], pytestconfig.getoption("--fuzz"))
    outcomes = [judge.outcome(name, seed) for seed in range(count)]
    found[name] = Counter(one.verdict for one in outcomes)
    bad = [one for one in outcomes if one.verdict == "bad"]
    assert not bad, describe(bad, count)
    assert found[name]["refused"] or count < 20  # the damage does harm


def describe(bad: list[Outcome], count: int) -> str:
    """The first seeds of each thing that went wrong."""
    alike: dict[str, list[int]] = {}
    for one in bad:
        alike.setdefault(one.said, []).append(one.seed)
    shown = [f"seeds {seeds[:3]}: {said}" for said, seeds in list(alike.items())[:SHOWN]]
    return "\n".join([f"{len(bad)} of {count}, such as", *shown])


def test_table_of_outcomes(pytestconfig: pytest.Config, capsys: pytest.CaptureFixture[str]) -> None:
    """Comes last, and prints what the tests above have counted."""
    if pytestconfig.getoption("--fuzz") is None:
        return
    rows = [(name, sum(one.values()), one) for name, one in found.items()]
    rows.append(("all", sum(row[1] for row in rows), sum(found.values(), Counter())))
    with capsys.disabled():
        print("\n| kind | cases | fine | refused | bad |\n|---|---|---|---|---|")
        for name, count, one in rows:
            print(f"| {name} | {count} | {one['fine']} | {one['refused']} | {one['bad']} |")
