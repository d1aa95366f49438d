"""Which criterion options mean, and the tags that tell groups apart."""

from __future__ import annotations

import ast
import json
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from entcomp.errors import EntcompError
from entcomp.segmentation.criteria import criterion_names, describe_criteria, find_criterion
from entcomp.segmentation.criterion import EntropyCriterion
from entcomp.segmentation.request import STRENGTHS, Request
from entcomp.segmentation.rule import Rule, thresholds_of

VALUES: dict[str, Any] = {"theta_g": 8.5, "theta_r": 0.65, "target_rate": 15.0, "window": 4}


def requests() -> list[Request]:
    """Every criterion with every set of options that it takes, and with what it takes besides."""
    found = []
    for name in criterion_names():
        kind = find_criterion(name)
        for strength in kind.strengths:
            values = {option: VALUES[option] for option in strength}
            found.append(Request(name, **values))
            if "peaks" in kind.takes:
                found.append(Request(name, **values, peaks=True))
            if "seed" in kind.takes:
                found.append(Request(name, **values, seed=3))
            if isinstance(kind, EntropyCriterion):
                found.append(Request(name, **values, boundary="last"))
    return found


def test_no_two_requests_have_one_tag() -> None:
    tags = [request.tag for request in requests()]
    assert len(set(tags)) == len(tags) > 15


def test_a_tag_without_a_criterion_means_the_one_that_its_options_imply() -> None:
    for request in requests():
        request.check()
        if request.criterion not in request.tag:
            values = {name: getattr(request, name) for name in request.strength}
            assert Request.make(**values).criterion == request.criterion


def test_every_set_of_options_has_a_criterion_or_a_message() -> None:
    for size in range(len(STRENGTHS) + 1):
        for names in combinations(STRENGTHS, size):
            values = {name: VALUES[name] for name in names}
            if any(one.strength == names for one in requests()):
                request = Request.make(default_rate=15.0, **values)
                assert request.strength == (names or ("target_rate",))
            else:
                with pytest.raises(EntcompError, match=r"--criterion [a-z]+ needs --"):
                    Request.make(default_rate=15.0, **values)


@pytest.mark.parametrize(
    ("criterion", "rate"), [(None, 15.0), ("global", 15.0), ("random", 15.0), ("dedup", None)]
)
def test_the_default_rate_is_for_those_that_take_one(
    criterion: str | None, rate: float | None
) -> None:
    assert Request.make(criterion, default_rate=15.0).target_rate == rate


def test_requests_and_rules_are_keys() -> None:
    request, rule = Request("global", options={"a": "1"}), Rule("global", options={"a": 1})
    assert {request: 1, rule: 2} == {Request("global", options={"a": "1"}): 1, rule: 2}
    assert request != Request("global")


def test_a_line_of_help_each() -> None:
    lines = dict(describe_criteria())
    assert list(lines) == criterion_names() and all(lines.values())
    assert lines["bidirectional"].endswith("(--theta-g or --target-rate; --peaks)")


def test_a_stored_rule_is_read_again() -> None:
    """Also one that an earlier version wrote: among other facts, without the newer keys."""
    rule = Rule("bidirectional", theta_z=1.5, moments=((1.0, 2.0), (3.0, 4.0)), peaks=True)
    assert Rule.from_json({**rule.as_json(), "rates": {"dev": 7.0}, "given": {}}) == rule
    assert not {"options", "boundary"} & rule.as_json().keys()
    last = Rule("global", theta_g=1.0, boundary="last")
    assert last.as_json()["boundary"] == "last" and Rule.from_json(last.as_json()) == last
    with pytest.raises(EntcompError, match=r"threshold.json: a boundary 'middle'; rerun segment"):
        Rule.from_json({"criterion": "global", "theta_g": 1.0, "boundary": "middle"})
    own = Rule("global", theta_g=1.0, options={"width": 3})
    assert Rule.from_json(own.as_json()) == own
    assert Rule.from_json({"criterion": "dedup", "peaks": False}) == Rule("dedup")


def test_the_rules_of_the_model_that_comes_with_entcomp(repository: Path) -> None:
    paths = sorted((repository / "entcomp" / "pretrained").glob("*/segments/*/threshold.json"))
    assert paths
    for path in paths:
        rule = Rule.from_json(json.loads(path.read_text()))
        assert rule.criterion in path.parent.name
        assert thresholds_of(rule)
        assert all(np.isfinite(rule.threshold(name)) for name in thresholds_of(rule))


def test_no_name_of_a_criterion_stands_outside_its_file(repository: Path) -> None:
    """But that of the default, in one place."""
    found = []
    for room in ("segmentation", "report"):
        for path in sorted((repository / "entcomp" / room).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Constant) and node.value in criterion_names():
                    found.append(f"{path.parent.name}/{path.stem} {node.value}")
    elsewhere = {one for one in found if not one.startswith("criteria/")}
    assert elsewhere == {"segmentation/__init__ global"}
    own = {one.split()[1]: one for one in found if one.startswith("criteria/")}
    assert len(set(found) - elsewhere) == len(own) == len(criterion_names())
