"""References as intervals of their resolution: the mean of plain counts, wherever grids lie."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from command_line import run
from fake_alignment import make_aligned
from fake_experiment import write_vectors
from hypothesis import given
from hypothesis import strategies as st

from entcomp.artifacts.experiment import UnitsInfo
from entcomp.artifacts.ticks import to_ticks
from entcomp.errors import EntcompError
from entcomp.evaluation.boundaries.dither import mean_matches, shares_near
from entcomp.evaluation.boundaries.evaluate import Matching, evaluate
from entcomp.evaluation.boundaries.matching import match_one_to_one
from entcomp.evaluation.boundaries.metrics import COUNTS, count_boundaries
from entcomp.evaluation.boundaries.references import References
from entcomp.files import read_json, write_json
from entcomp.report.boundary_scores import read_scores
from entcomp.segmentation.chance import chance_groups

TOLERANCE, HALF = to_ticks(0.02), to_ticks(0.005)
POINTS = st.lists(st.integers(1, 80), unique=True, max_size=20).map(
    lambda points: np.array(sorted(points), np.int64)
)


def milliseconds(*times: float) -> np.ndarray:
    return np.array([to_ticks(one / 1000) for one in times], np.int64)


@pytest.mark.parametrize(
    ("distance", "share"),
    [
        (0, 1),
        (10, 1),
        (-15, 1),
        (17.5, 0.75),
        (20, 0.5),
        (-20, 0.5),
        (22.5, 0.25),
        (25, 0),
        (40, 0),
    ],
)
def test_a_pair_counts_by_the_share_of_the_dither(distance: float, share: float) -> None:
    reference, hypothesis = milliseconds(300), milliseconds(300 + distance)
    row = count_boundaries(reference, hypothesis, TOLERANCE, dither=HALF)
    assert row[:4].tolist() == [1, 1, share, share]


def test_a_tolerance_below_the_resolution() -> None:
    """Of 10 ms, 4 lie within 2 ms of a boundary."""
    pair = milliseconds(300), milliseconds(301)
    assert mean_matches(*pair, to_ticks(0.002), HALF) == pytest.approx(0.4)


def test_boundaries_that_compete_by_hand() -> None:
    """Midway of 40 ms: wherever the reference is, one of both agrees, and never both."""
    sides, middle = milliseconds(280, 320), milliseconds(300)
    assert mean_matches(middle, sides, TOLERANCE, HALF) == 1
    assert mean_matches(sides, middle, TOLERANCE, HALF) == 1
    # Two agree while the dither is above -1 ms: 6 of 10; else the first alone.
    reference, hypothesis = milliseconds(300, 310), milliseconds(305, 329)
    assert mean_matches(reference, hypothesis, TOLERANCE, HALF) == pytest.approx(1.6)


@given(POINTS, POINTS, st.integers(0, 6), st.integers(1, 5), st.booleans())
def test_it_is_the_mean_of_plain_counts(
    reference: np.ndarray, hypothesis: np.ndarray, tolerance: int, dither: int, lenient: bool
) -> None:
    """Between whole ticks nothing changes, so the midpoints between them are all there is."""
    found = count_boundaries(reference, hypothesis, tolerance, lenient, dither)
    plain = [
        count_boundaries(2 * reference + moved, 2 * hypothesis, 2 * tolerance, lenient)
        for moved in range(1 - 2 * dither, 2 * dither, 2)
    ]
    assert found[:4] == pytest.approx(np.mean(plain, axis=0)[:4])
    exact = count_boundaries(reference, hypothesis, tolerance, lenient)
    assert found[COUNTS.index("compared") :].tolist() == exact[COUNTS.index("compared") :].tolist()


@given(POINTS, POINTS, st.integers(0, 9), st.integers(1, 9))
def test_shares_near_any_target(
    points: np.ndarray, targets: np.ndarray, tolerance: int, dither: int
) -> None:
    moved = np.arange(1 - 2 * dither, 2 * dither, 2)
    distances = 2 * points[:, None, None] + moved[:, None] - 2 * targets
    near = (np.abs(distances) <= 2 * tolerance).any(-1).mean(-1)
    assert shares_near(points, targets, tolerance, dither) == pytest.approx(near)


@given(POINTS, POINTS, st.integers(0, 6), st.integers(0, 5), st.integers(-(10**12), 10**12))
def test_a_shift_of_both_changes_nothing(
    reference: np.ndarray, hypothesis: np.ndarray, tolerance: int, dither: int, shift: int
) -> None:
    for lenient in (False, True):
        rows = [
            count_boundaries(reference + one, hypothesis + one, tolerance, lenient, dither)
            for one in (0, shift)
        ]
        assert rows[0].tolist() == rows[1].tolist()


@given(POINTS, POINTS, st.integers(0, 6), st.integers(1, 5))
def test_neither_side_nor_direction_matters(
    reference: np.ndarray, hypothesis: np.ndarray, tolerance: int, dither: int
) -> None:
    found = mean_matches(reference, hypothesis, tolerance, dither)
    assert found == pytest.approx(mean_matches(hypothesis, reference, tolerance, dither))
    assert found == pytest.approx(
        mean_matches(-reference[::-1], -hypothesis[::-1], tolerance, dither)
    )


def spoken(generator: np.random.Generator, utterances: int) -> list[np.ndarray]:
    """Boundaries of about 12 phones a second, multiples of 10 ms, in ticks."""
    lengths = generator.gamma(3, 0.027, (utterances, 100))
    edges = np.cumsum(np.maximum(3, np.round(100 * lengths)), axis=1).astype(np.int64)
    return list(edges * to_ticks(0.01))


def test_uncontested_boundaries_are_a_sum_of_trapezoids() -> None:
    """Further apart than 2 * tolerance + resolution: exact for any law of the dither."""
    generator = np.random.default_rng(0)
    reference = np.cumsum(generator.integers(51, 200, 500)) * 1_000_000
    hypothesis = reference + generator.integers(-40_000_000, 40_000_000, 500)
    hypothesis = hypothesis[np.diff(hypothesis, prepend=hypothesis[0] - 10**9) > 50_000_000]
    distances = np.abs(np.subtract.outer(reference, hypothesis))
    shares = np.clip((TOLERANCE + HALF - distances) / (2 * HALF), 0, 1)
    assert mean_matches(reference, hypothesis, TOLERANCE, HALF) == pytest.approx(shares.sum())


def test_monte_carlo_dithering_of_each_boundary_by_itself() -> None:
    """It keeps no distances between references, and finds 0.5% fewer pairs here, no more."""
    generator = np.random.default_rng(1)
    closed, drawn = 0.0, 0.0
    for reference in spoken(generator, 30):
        hypothesis = np.arange(1, int(reference[-1] // to_ticks(0.08))) * to_ticks(0.08)
        closed += mean_matches(reference, hypothesis, TOLERANCE, HALF)
        for _ in range(40):
            moved = np.sort(reference + generator.integers(-HALF, HALF, len(reference)))
            drawn += match_one_to_one(moved, hypothesis, TOLERANCE) / 40
    assert 1 <= closed / drawn < 1.01


def test_monte_carlo_dithering_of_utterances() -> None:
    generator = np.random.default_rng(3)
    for reference in spoken(generator, 5):
        hypothesis = np.unique(reference + generator.integers(-2 * TOLERANCE, 2 * TOLERANCE, 100))
        moves = generator.integers(-HALF, HALF, 2000)
        drawn = [match_one_to_one(reference + move, hypothesis, TOLERANCE) for move in moves]
        margin = 4 * np.std(drawn) / np.sqrt(len(drawn))
        found = mean_matches(reference, hypothesis, TOLERANCE, HALF)
        assert margin > 0 and found == pytest.approx(np.mean(drawn), abs=margin)


def f1(rows: list[np.ndarray]) -> float:
    counts = dict(zip(COUNTS, np.sum(rows, axis=0), strict=True))
    return 200 * counts["matched_reference"] / (counts["reference"] + counts["hypothesis"])


def test_equal_spacing_on_and_off_the_grid_of_references() -> None:
    """Plain scores differ by a fifth: five multiples of 10 ms are within 20 ms, or four."""
    references = spoken(np.random.default_rng(2), 200)
    found = {}
    for shift in (0, -2.5, -5, -7.5):
        pairs = [
            (one, np.arange(1, 100) * to_ticks(0.08) + to_ticks(shift / 1000)) for one in references
        ]
        found[shift] = [
            f1([count_boundaries(*pair, TOLERANCE, dither=dither) for pair in pairs])
            for dither in (0, HALF)
        ]
    plain, dithered = np.array(list(found.values())).T
    assert plain[0] - plain[3] > 7
    assert np.ptp(dithered) < 0.5
    assert dithered[0] == pytest.approx(plain[3], abs=0.5)


def test_on_and_off_the_grid_of_real_textgrids(prompt_data: Path, prompt_grids: Path) -> None:
    """Groups of 20 ms frames against MFA's times, moved by 7.5 ms."""
    info = UnitsInfo("imported", 0, 100, 16000, 320, 0, "c0de")
    lengths = [line.split() for line in (prompt_data / "units.txt").read_text().splitlines()]
    equal = chance_groups(0)["uniform"]
    groups = []
    for utt_id, *units in lengths:  # of 24 ms
        frames = round(len(units) * 1.2)
        own = np.ones(round(frames * 0.25), np.int32)
        own[-1] += frames - len(own)
        groups += [(utt_id, one) for one in equal(utt_id, own)]
    references = References(prompt_grids, ("phones",))
    scores = []
    for shift in (0, -0.0075):
        matching = Matching(TOLERANCE, shift=to_ticks(shift), dither=HALF)
        found = evaluate(groups, references, info, matching, {})["tiers"]["phones"]["segmentation"]
        scores.append((found["f1"], found["dithered"]["f1"]))
    plain, dithered = np.abs(np.subtract(*scores))
    assert plain > 0.06 and dithered < 0.01


def test_both_scores_stand_in_the_results(tmp_path: Path) -> None:
    """Groups 20 ms late agree for half of the dither; as exact references, always."""
    fake = make_aligned(tmp_path)
    UnitsInfo("imported", 0, 500, 16000, 320, 320, "c0de").write(fake.experiment.units_json)
    every_fifth = {
        utt_id: np.diff(np.append(np.arange(0, len(units), 5), len(units))).astype(np.int32)
        for utt_id, units in fake.units["test"].items()
    }
    write_vectors(fake.experiment.segments("phones") / "test", "groups", every_fifth, "c0de")
    page, file = fake.experiment.path / "align_eval/test.md", "align_eval/phones/test.json"
    code, _, err = run("align-eval", "--segmentation", "phones", *fake.arguments)
    assert code == 0, err
    found = read_json(fake.experiment.path / file)
    own = found["tiers"]["phones"]["segmentation"]
    assert (found["resolution"], own["f1"], own["dithered"]["f1"]) == (0.01, 1, 0.5)
    assert own["dithered"]["interval"]["f1"] == [0.5, 0.5]
    assert found["tiers"]["phones"]["random"]["dithered"]["f1"] < 0.5
    text = page.read_text()
    assert text.index("### phones, references 10 ms wide") < text.index("### phones, plain")
    assert run("align-eval", "--resolution", 0, *fake.arguments)[0] == 0
    own = read_json(fake.experiment.path / file)["tiers"]["phones"]["segmentation"]
    assert own["dithered"] == {name: value for name, value in own.items() if name != "dithered"}


def test_results_of_an_older_version_are_refused(tmp_path: Path) -> None:
    write_json(tmp_path / "test.json", {"tiers": {}, "tolerance": 0.02})
    with pytest.raises(EntcompError, match=r"test\.json: .*older version; run align-eval again"):
        read_scores([tmp_path / "test.json"])
