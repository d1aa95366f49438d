"""The page's JavaScript makes the groups and scores that Python makes; run by node."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_experiment import Fake, make_fake

from entcomp.artifacts.runs import lengths_of
from entcomp.artifacts.ticks import group_boundaries
from entcomp.evaluation.boundaries.metrics import count_boundaries, scores
from entcomp.formats.textgrid import read_textgrid
from entcomp.report.explorer.offered import SCRIPTS, describe_criteria
from entcomp.segmentation.calibration import resolve
from entcomp.segmentation.criteria import criterion_names, find_criterion
from entcomp.segmentation.criterion import EntropyCriterion
from entcomp.segmentation.request import Request
from entcomp.segmentation.rows import Rows
from entcomp.segmentation.rule import Rule, group_starts

FILES = [SCRIPTS.with_name("groups.js"), *sorted(SCRIPTS.glob("*.js"))]
OFFERED = [path.stem for path in FILES[1:]]
# NaN is no JSON; units and entropies come as lists, with null for NaN.
PRELUDE = """
const floats = (list) => list && Float32Array.from(list, (one) => one ?? NaN);
const rowOf = ({ units, forward, backward }) => ({
  units, predictions: predictionsOf(floats(forward), floats(backward)) });
const input = JSON.parse(require("fs").readFileSync(0, "utf8"));
"""


def node(script: str, given: Any) -> Any:
    """What ``script``, an expression of ``input``, comes to after the page's own scripts."""
    code = "\n".join([*(path.read_text(encoding="utf-8") for path in FILES), PRELUDE])
    code += f"console.log(JSON.stringify({script}));"
    done = subprocess.run(
        ["node", "-e", code], input=json.dumps(given), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def random_row(generator: np.random.Generator, dedup: bool) -> dict[str, np.ndarray]:
    """Units and entropies with ties and plateaus; with NaN where a unit repeats, if ``dedup``."""
    units = generator.integers(0, 4, generator.integers(1, 60)).astype(np.int32)
    row = {"units": units}
    for direction in ("forward", "backward"):
        values = generator.choice(5 * generator.random(12), len(units)).astype(np.float32)
        # The first of each run by the forward LM, the last by the backward one.
        change = units[1:] == units[:-1]
        repeats = np.append(False, change) if direction == "forward" else np.append(change, False)
        row[direction] = np.where(repeats & dedup, np.nan, values).astype(np.float32)
    return row


def random_rule(generator: np.random.Generator, name: str) -> Rule:
    def number() -> float:
        return float(np.float32(generator.normal(1.5, 1.5)))

    moments = ((number(), abs(number()) + 0.1), (number(), abs(number()) + 0.1))
    return Rule(
        name,
        theta_g=number(),
        theta_r=number() - 1,
        theta_z=number() - 1,
        moments=moments,
        peaks=bool(generator.integers(2)),
        window=int(generator.integers(1, 9)),
        groups_per_unit=float(generator.random()),
        min_length=int(generator.integers(1, 5)),
        max_length=generator.choice([None, 4, 9]),
    )


def for_json(row: dict[str, np.ndarray]) -> dict[str, list[float | None]]:
    """With null for NaN."""
    return {
        name: [None if np.isnan(one) else float(one) for one in values]
        for name, values in row.items()
    }


def names_of(name: str) -> list[str]:
    kind = find_criterion(name)
    return [one.name for one in kind.thresholds] if isinstance(kind, EntropyCriterion) else []


def test_every_script_is_a_criterion() -> None:
    assert set(OFFERED) <= set(criterion_names())
    assert {"global", "relative", "combined", "peak", "bidirectional"} <= set(OFFERED)


@pytest.mark.parametrize("dedup", [False, True])
@pytest.mark.parametrize("name", OFFERED)
def test_groups_equal_pythons(name: str, dedup: bool) -> None:
    generator = np.random.default_rng(len(name))
    rows = [random_row(generator, dedup) for _ in range(200)]
    rules = [random_rule(generator, name) for _ in rows]
    reads = bool(find_criterion(name).directions)
    expected = [
        group_starts(
            Rows.join([("x", row["forward" if reads else "units"], row["backward"])]), rule
        )
        for row, rule in zip(rows, rules, strict=True)
    ]
    cases = [
        {"row": for_json(row), "rule": rule.as_json()}
        for row, rule in zip(rows, rules, strict=True)
    ]
    script = "input.cases.map(({row, rule}) => groupStarts(rowOf(row), rule, input.names))"
    found = node(script, {"cases": cases, "names": names_of(name)})
    assert found == [one.tolist() for one in expected]
    assert len({sum(one) for one in found}) > 1


def test_boundary_scores_equal_pythons() -> None:
    generator = np.random.default_rng(0)
    cases = []
    for number in range(100):
        counts = (number % 7, generator.integers(0, 20))  # now and then none
        times = [np.unique(generator.integers(0, 10**9, count)).tolist() for count in counts]
        cases.append(times)
    found = node("input.map(([one, other]) => boundaryScores(one, other, 2e7))", cases)
    for (reference, hypothesis), one in zip(cases, found, strict=True):
        row = count_boundaries(np.array(reference), np.array(hypothesis), 20_000_000)
        for name, value in one.items():
            expected = scores(row)[name]
            assert (value is None) == bool(np.isnan(expected))
            assert value is None or value == pytest.approx(float(expected), abs=1e-12)


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Fake:
    return make_fake(tmp_path_factory.mktemp("fake"), {"dev": 20}, dedup=True)


def test_boundaries_are_those_of_align_eval(fake: Fake) -> None:
    info = fake.experiment.units_info()
    starts = np.random.default_rng(0).random(400) < 0.3
    starts[0] = True
    facts = {
        name: getattr(info, name)
        for name in ("sample_rate", "frame_shift_samples", "receptive_offset_samples")
    }
    given = {"info": facts, "starts": starts.tolist()}
    found = node("groupBoundaries(startFrames(input.starts), input.info, 7e9)", given)
    expected = group_boundaries(lengths_of(starts), info)
    assert found == expected[expected < 7 * 10**9].tolist()


@pytest.mark.parametrize("rate", [4.0, 7.5])
def test_a_rate_means_the_thresholds_of_the_command_line(fake: Fake, rate: float) -> None:
    shift = fake.experiment.units_info().frame_shift
    described = describe_criteria(fake.experiment, shift, ("forward", "backward"))
    asked = 0
    for one in described:
        for variant, curve in one.get("curves", {}).items():
            request = Request(one["name"], target_rate=rate, peaks=variant == "peaks")
            rule = resolve(request, fake.experiment, shift)
            given = {"curve": curve, "rate": rate}
            found = node("thresholdsOnCalibration(input.curve, input.rate)", given)
            expected = {name: rule.threshold(name) for name in names_of(one["name"])}
            assert found == pytest.approx(expected, abs=0.03)
            asked += 1
    assert asked >= 6


@pytest.mark.parametrize("name", ["global", "combined", "peak", "bidirectional"])
def test_a_rate_is_matched_on_the_very_row(name: str) -> None:
    """As near as thresholds can come to it: no level gives more groups, yet not too many."""
    generator = np.random.default_rng(7)
    row = {"units": np.arange(300)} | {
        direction: generator.random(300) for direction in ("forward", "backward")
    }
    rule = {"criterion": name, "moments": [[0.5, 0.3], [0.5, 0.3]], "peaks": False}
    given = {"row": for_json(row), "rule": rule, "names": names_of(name)}
    script = """[5, 20, 60].map((count) => {
      const row = rowOf(input.row), found = thresholdsHere(row, input.rule, input.names, count);
      return groupStarts(row, {...input.rule, ...found}, input.names).filter(Boolean).length; })"""
    assert node(script, given) == pytest.approx([5, 20, 60], abs=1)


def test_a_row_of_one_unit_has_one_group() -> None:
    row = {"units": [3], "forward": [1.0], "backward": [2.0]}
    for criterion in ("global", "combined"):
        given = {"row": row, "rule": {"criterion": criterion}, "names": names_of(criterion)}
        found = node("thresholdsHere(rowOf(input.row), input.rule, input.names, 1)", given)
        assert all(isinstance(one, int | float) for one in found.values())
        given["rule"] |= found
        assert node("groupStarts(rowOf(input.row), input.rule, input.names)", given) == [True]


def test_textgrid_is_read_back(tmp_path: Path) -> None:
    tiers = {"groups": [[0.1, 0.5, "1 2"], [0.5, 0.9, 'say "x"']], "words": [[0.25, 0.5, "ñ"]]}
    path = tmp_path / "a.TextGrid"
    path.write_text(node("textGrid(input, 1.25)", tiers), encoding="utf-8")
    grid = read_textgrid(path)
    assert grid.duration == 1.25
    for name, spans in tiers.items():
        assert [[one.start, one.end, one.label] for one in grid.tier(name)] == spans
