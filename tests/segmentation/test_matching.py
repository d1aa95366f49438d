"""`segment --match-rate`: rates that are met on speech unlike that of the calibration set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import run
from fake_experiment import Fake, make_fake, write_entropies, write_vectors
from hypothesis import given, settings
from hypothesis import strategies as st

from entcomp.kaldi.ark import iter_vectors
from entcomp.kaldi.table import read_table, write_table
from entcomp.segmentation import matching
from entcomp.segmentation.criteria import criterion_names, find_criterion
from entcomp.segmentation.criterion import EntropyCriterion
from entcomp.segmentation.rows import Rows
from entcomp.segmentation.rule import Rule, group_one, group_starts, match

SHIFT = 0.02
SPEAKERS = ("anna", "ben", "carl")
SCOPES = ("set", "speaker", "utterance")


def make(folder: Path, dedup: bool = False) -> Fake:
    """A calibration set, and a test set whose speakers, in turns, are less and less predictable."""
    fake = make_fake(folder, {"dev": 20, "test": 18}, length=400, dedup=dedup)
    for name in fake.units:
        speakers = {utt: SPEAKERS[i % 3] for i, utt in enumerate(fake.units[name])}
        write_table(fake.data / name / "utt2spk", speakers.items())
        for direction, sets in fake.entropies.items():
            for utt, entropy in sets[name].items() if name == "test" else ():
                entropy *= 0.4 + 0.25 * SPEAKERS.index(speakers[utt])
                entropy += 0.3
            write_entropies(fake, name, direction)
    return fake


@pytest.fixture(scope="module", params=["raw", "dedup"])
def fake(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Fake:
    return make(tmp_path_factory.mktemp(request.param), request.param == "dedup")


def groups(fake: Fake, tag: str, name: str = "test") -> dict[str, np.ndarray]:
    return dict(iter_vectors(fake.experiment.segments(tag) / name / "groups.scp"))


def rates(found: dict[str, np.ndarray], names: dict[str, str]) -> dict[str, float]:
    """Hz by the name that each utterance has."""
    counts: dict[str, list[int]] = {}
    for utt, vector in found.items():
        one = counts.setdefault(names[utt], [0, 0])
        one[0] += len(vector)
        one[1] += int(vector.sum())
    return {name: count / (units * SHIFT) for name, (count, units) in counts.items()}


def names_of(fake: Fake, scope: str, name: str = "test") -> dict[str, str]:
    if scope == "speaker":
        return read_table(fake.data / name / "utt2spk")
    return {utt: name if scope == "set" else utt for utt in fake.units[name]}


CRITERIA = [
    (name, option)
    for name in criterion_names()
    if isinstance(kind := find_criterion(name), EntropyCriterion)
    for option in ((), ("--peaks",))
    if not option or "peaks" in kind.takes
]
EXTRA = [
    ("global", ("--boundary", "last")),
    ("peak", ("--boundary", "last", "--min-length", "3")),
    ("global", ("--min-length", "2", "--max-length", "20")),
]


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize(("criterion", "options"), [*CRITERIA, *EXTRA])
def test_every_criterion_meets_the_rate(
    fake: Fake, scope: str, criterion: str, options: tuple[str, ...]
) -> None:
    """Within 2% of each set and speaker, and within a group of each utterance."""
    asked = ("--criterion", criterion, "--target-rate", 6, *options, "--match-rate", scope)
    code, out, err = run("segment", *asked, "--tag", "one", "--sets", "test", *fake.arguments)
    assert code == 0, err
    names, found = names_of(fake, scope), groups(fake, "one")
    assert {utt: vector.sum() for utt, vector in found.items()} == {
        utt: len(units) for utt, units in fake.units["test"].items()
    }
    table = read_table(fake.experiment.segments("one") / "test" / "thresholds.txt")
    assert table.keys() == set(names.values())
    for name, rate in rates(found, names).items():
        seconds = SHIFT * sum(int(found[utt].sum()) for utt in found if names[utt] == name)
        assert rate == pytest.approx(6, rel=0.02, abs=0.51 / seconds), name
        assert float(table[name].rpartition("hz=")[2]) == pytest.approx(rate, abs=1e-4)
    plain = f"{len(table)} {scope}" + ("s" if len(table) > 1 else "")
    assert f"; {plain} at " in out and f"{criterion}, thresholds by {scope}" in out


def test_what_is_stored(fake: Fake) -> None:
    """The target and the rule for all sets, thresholds beside the groups; a tag of its own."""
    asked = ("segment", "--target-rate", 15, "--match-rate", "speaker", *fake.arguments)
    assert run(*asked)[0] == 0
    folder = fake.experiment.segments("rate15_global_matchspeaker")
    stored = json.loads((folder / "threshold.json").read_text())
    assert stored["target_rate"] == 15 and stored["theta_g"] is None
    assert (stored["match_rate"], stored["groups_per_unit"]) == ("speaker", 0.3)
    assert stored["rates"] == {name: pytest.approx(15, rel=0.02) for name in ("dev", "test")}
    table = read_table(folder / "test" / "thresholds.txt")
    thetas = {name: dict(part.split("=") for part in line.split()) for name, line in table.items()}
    assert list(thetas) == list(SPEAKERS)
    for utt, speaker in read_table(fake.data / "test" / "utt2spk").items():
        rule = Rule("global", theta_g=float(thetas[speaker]["theta_g"]))
        again = group_one(utt, fake.entropies["forward"]["test"][utt], None, rule)
        np.testing.assert_array_equal(again, groups(fake, folder.name)[utt])
    assert "complete, skipped" in run(*asked)[1]
    assert run("info", fake.experiment.path)[0] == 0


def test_a_theta_of_the_paper_is_a_rate(fake: Fake) -> None:
    asked = ("--theta-g", "9.7", "--match-rate", "set", "--sets", "test")
    code, out, _ = run("segment", *asked, *fake.arguments)
    assert code == 0 and out.startswith("theta_g9.7_matchset: global, thresholds by set")
    assert rates(groups(fake, "theta_g9.7_matchset"), names_of(fake, "set")) == {
        "test": pytest.approx(7, rel=0.02)
    }


def test_it_needs_no_calibration(tmp_path: Path) -> None:
    fake = make(tmp_path)
    fake.experiment.calibration().unlink()
    asked = ("--criterion", "combined", "--target-rate", 9, "--match-rate", "set")
    assert run("segment", *asked, *fake.arguments)[0] == 0
    for name in ("dev", "test"):
        found = groups(fake, "rate9_combined_matchset", name)
        assert rates(found, names_of(fake, "set", name))[name] == pytest.approx(9, rel=0.02)


@pytest.mark.parametrize("scope", SCOPES)
def test_shards_have_the_thresholds_of_the_complete_set(tmp_path: Path, scope: str) -> None:
    """Speakers are spread over all shards here."""
    fake = make(tmp_path)
    asked = ("segment", "--target-rate", 12, "--match-rate", scope, *fake.arguments)
    for part in ("3/3", "1/3", "2/3"):
        assert run(*asked, "--tag", "parts", "--shard", part)[0] == 0
    assert run("merge-shards", "groups", *fake.arguments, "--shards", 3, "--tag", "parts")[0] == 0
    assert run(*asked, "--tag", "complete")[0] == 0
    parts, complete = (fake.experiment.segments(tag) / "test" for tag in ("parts", "complete"))
    assert (parts / "thresholds.txt").read_bytes() == (complete / "thresholds.txt").read_bytes()
    for utt, vector in groups(fake, "complete").items():
        np.testing.assert_array_equal(groups(fake, "parts")[utt], vector)


def test_another_speaker_is_noticed(tmp_path: Path) -> None:
    fake = make(tmp_path)
    asked = ("segment", "--target-rate", 12, "--match-rate", "speaker", *fake.arguments)
    assert run(*asked)[0] == 0
    utt2spk = fake.data / "test" / "utt2spk"
    write_table(utt2spk, ((utt, "all") for utt in fake.units["test"]))
    lines = dict(line.split(": ", 1) for line in run(*asked)[1].splitlines())
    assert "complete, skipped" in lines["dev"] and "1 speaker at " in lines["test"]
    write_table(utt2spk, list(read_table(utt2spk).items())[:-1])
    code, _, err = run(*asked)
    last = list(fake.units["test"])[-1]
    assert code == 1 and f"utt2spk: {last} is not there; add it, or match by set" in err
    utt2spk.unlink()
    code, _, err = run(*asked)
    assert code == 1 and "test has no utt2spk; match by set" in err and err.count("\n") == 1


def test_a_tag_that_matched_before_keeps_no_thresholds(tmp_path: Path) -> None:
    fake = make(tmp_path)
    asked = ("segment", "--target-rate", 12, "--tag", "mine", *fake.arguments)
    table = fake.experiment.segments("mine") / "test" / "thresholds.txt"
    assert run(*asked, "--match-rate", "set")[0] == 0 and table.exists()
    assert run(*asked)[0] == 0 and not table.exists()


@pytest.mark.parametrize("scope", SCOPES)
def test_peaks_cannot_reach_every_rate(tmp_path: Path, scope: str) -> None:
    fake = make(tmp_path)
    asked = ("--criterion", "peak", "--target-rate", 30, "--match-rate", scope)
    code, _, err = run("segment", *asked, "--sets", "test", *fake.arguments)
    assert code == 1 and err.count("\n") == 1
    assert "test: a rate of 30 Hz is out of reach: the nearest that this criterion gives" in err
    assert not list(fake.experiment.path.glob("segments/*/test/groups.*"))


def test_one_utterance_that_cannot_reach_the_rate_is_named(tmp_path: Path) -> None:
    """A flat one has no peak; the others are as asked."""
    fake = make(tmp_path)
    flat = next(iter(fake.units["test"]))
    fake.entropies["forward"]["test"][flat] = np.ones(60, np.float32)
    fake.units["test"][flat] = fake.units["test"][flat][:60]
    write_vectors(fake.experiment.units("test"), "units", fake.units["test"], "c0de")
    write_entropies(fake, "test", "forward")
    asked = ("--criterion", "peak", "--target-rate", 8, "--match-rate", "utterance")
    code, _, err = run("segment", *asked, "--sets", "test", *fake.arguments)
    assert code == 0, err
    assert "test: 1 of 18 utterances cannot reach 8 Hz, the nearest was taken" in err
    assert f"{flat} has 0.83 Hz" in err
    found = groups(fake, "rate8_peak_matchutterance")
    assert found.pop(flat).tolist() == [60]
    for rate in rates(found, names_of(fake, "utterance")).values():
        assert rate == pytest.approx(8, abs=0.3)


def test_a_long_set_is_matched_on_its_first_units(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In bounded memory; which is said."""
    fake = make(tmp_path)
    monkeypatch.setattr(matching, "SAMPLE_UNITS", 3000)
    asked = ("--target-rate", 10, "--match-rate", "set", "--sets", "test")
    code, out, err = run("segment", *asked, *fake.arguments)
    assert code == 0 and "warning: test: matched on its first 3," in err
    assert "Hz (" in out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--criterion uniform --target-rate 7", "--criterion uniform has no threshold to resolve"),
        ("--theta-g 2 --theta-unit nats", "--theta-g in nats is no rate; give --target-rate"),
        ("--target-rate 90", "--target-rate 90: there are only 50 units a second to group"),
    ],
)
def test_mistakes(fake: Fake, options: str, message: str) -> None:
    asked = (*options.split(), "--match-rate", "set", "--tag", "wrong")
    code, out, err = run("segment", *asked, *fake.arguments)
    assert (code, out) == (1, "") and message in err and err.count("\n") == 1
    assert not fake.experiment.segments("wrong").exists()


VALUES = st.lists(st.sampled_from([0.0, 0.5, 0.75, 1.0, 1.5, 2.0, float("nan")]), max_size=40)


@settings(deadline=None, max_examples=300)
@given(
    rows=st.lists(VALUES, min_size=1, max_size=3),
    name=st.sampled_from(["global", "relative", "peak"]),
    boundary=st.sampled_from(["first", "last"]),
    share=st.floats(0.01, 1.0),
)
def test_no_threshold_comes_nearer(
    rows: list[list[float]], name: str, boundary: str, share: float
) -> None:
    """With ties, in utterances down to a single unit."""
    block: list[Any] = [
        (str(i), np.array([1.0, *row], np.float32), None) for i, row in enumerate(rows)
    ]
    flat = Rows.join(block)
    rule = Rule(name, boundary=boundary, match_rate="set", groups_per_unit=share)

    def distance(one: Rule) -> float:
        return abs(np.count_nonzero(group_starts(flat, one)) - share * len(flat.values))

    thetas = np.arange(-2.125, 2.5, 0.25)
    best = min(
        distance(Rule(name, boundary=boundary, theta_g=theta, theta_r=theta)) for theta in thetas
    )
    assert distance(match(rule, flat)) == pytest.approx(best)
