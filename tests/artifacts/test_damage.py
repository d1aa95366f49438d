"""Every flipped bit of an archive is an error that names a file, or another valid value."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from fake_experiment import write_vectors

from entcomp.artifacts.entropies import Entropies
from entcomp.artifacts.experiment import Experiment, UnitsInfo
from entcomp.artifacts.groups import Groups
from entcomp.artifacts.units import LONGEST, Units
from entcomp.errors import EntcompError
from entcomp.skipped import SkippedUtterances

MEMORY = 1 << 30  # bytes that one reader may take
UNITS = {"a": np.array([3, 3, 4, 0, 0], np.int32), "b": np.array([1, 2], np.int32)}
ENTROPY = {"a": np.array([1.0, 0.5, 1, 1.5, 0], np.float32), "b": np.array([1, 1.2], np.float32)}
GROUPS = {"a": np.array([2, 3], np.int32), "b": np.array([1, 1], np.int32)}

READERS: dict[str, Callable[[Experiment], object]] = {
    "units/dev/units": lambda experiment: Units.open(experiment, "dev"),
    "entropy/dev/entropy": lambda experiment: Entropies.open(experiment, "dev"),
    "segments/by/dev/groups": lambda experiment: Groups.open(experiment, "dev", "by"),
}


def make_experiment(folder: Path) -> Experiment:
    experiment = Experiment(folder)
    UnitsInfo("imported", 0, 5, 16000, 320, 0, "c0de").write(experiment.units_json)
    write_vectors(experiment.units("dev"), "units", UNITS, "c0de")
    write_vectors(experiment.entropy("dev"), "entropy", ENTROPY, "c0de")
    write_vectors(experiment.segments("by") / "dev", "groups", GROUPS, "c0de")
    return experiment


def flips(path: Path) -> Iterator[str]:
    """Flip each bit of a file in turn; the file is as it was in the end."""
    sound = path.read_bytes()
    for bit in range(8 * len(sound)):
        damaged = bytearray(sound)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        yield f"{path.name}, bit {bit}"
    path.write_bytes(sound)


def read_all(experiment: Experiment, name: str, skipped: SkippedUtterances | None) -> None:
    """What a stage does with the rows: anything but an EntcompError is a fault of ours."""
    for utt_id, *vectors in READERS[name](experiment).rows(skipped):
        for vector in vectors[0] if name.startswith("entropy") else vectors:
            assert utt_id and 0 < len(vector) <= LONGEST and not np.isinf(vector).any()


def try_flips(folder: str) -> None:
    """Called in a process of its own, whose memory is limited."""
    experiment = make_experiment(Path(folder))
    for name in READERS:
        errors = values = 0
        for suffix in ("ark", "scp"):
            for where in flips(experiment.path / f"{name}.{suffix}"):
                for skipped in (None, SkippedUtterances(skip_bad=True)):
                    try:
                        read_all(experiment, name, skipped)
                        values += 1
                    except EntcompError as error:
                        message = str(error)
                        assert len(message.splitlines()) == 1, where
                        assert ".ark" in message or ".scp" in message, where
                        errors += 1
        assert errors > 200 and values > 20, (name, errors, values)


def test_any_flipped_bit_is_an_error_or_another_value(tmp_path: Path) -> None:
    call = (
        "import resource, sys; sys.path.insert(0, sys.argv[2]); import test_damage; "
        f"limit = {MEMORY} + resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024; "
        "resource.setrlimit(resource.RLIMIT_DATA, (limit, limit)); "
        "test_damage.try_flips(sys.argv[1])"
    )
    here = Path(__file__).parent
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([*sys.path, str(here)])}
    result = subprocess.run(
        [sys.executable, "-c", call, str(tmp_path), str(here)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    ("groups", "reason"),
    [
        ([2, 4], "groups do not fit the units (6 frames, 5 units)"),
        ([2, -1, 4], "a group of -1 frames"),
        ([5, 0], "a group of 0 frames"),
        ([], "no groups"),
        ([2**31 - 1, 2**31 - 1], "groups do not fit the units (4294967294 frames, 5 units)"),
    ],
)
def test_groups_that_asked_for_43_gigabytes(tmp_path: Path, groups: list, reason: str) -> None:
    experiment = make_experiment(tmp_path)
    vectors = {"a": np.array(groups, np.int32), "b": GROUPS["b"]}
    write_vectors(experiment.segments("by") / "dev", "groups", vectors, "c0de")
    with pytest.raises(EntcompError) as caught:
        list(Groups.open(experiment, "dev", "by"))
    assert str(caught.value).startswith(f"{tmp_path}/segments/by/dev/groups.scp: {reason}")
    skipped = SkippedUtterances(skip_bad=True)
    assert [row[0] for row in Groups.open(experiment, "dev", "by").rows(skipped)] == ["b"]
    assert reason in skipped.reasons["a"]


def test_groups_without_units_are_bounded(tmp_path: Path) -> None:
    experiment = make_experiment(tmp_path)
    (experiment.units("dev") / "units.scp").unlink()
    assert len(list(Groups.open(experiment, "dev", "by"))) == 2
    vectors = {"a": np.array([2**31 - 1], np.int32)}
    write_vectors(experiment.segments("by") / "dev", "groups", vectors, "c0de")
    with pytest.raises(
        EntcompError, match="groups of 2147483647 frames are too long for one utterance"
    ):
        list(Groups.open(experiment, "dev", "by"))
    with pytest.raises(EntcompError, match=r"units\.scp: no such file; run dump-units on dev"):
        list(Groups.open(experiment, "dev", "raw"))


NAN, INF = np.nan, np.inf


@pytest.mark.parametrize(
    ("entropy", "reason"),
    [
        ([1, 1, 1, 1], "4 entropies for 5 units; rerun score-entropy"),
        ([1, 1, NAN, 1, 1], "no entropy (NaN) elsewhere than where a unit repeats"),
        ([1, NAN, 1, 1, 1], "no entropy (NaN) elsewhere than where a unit repeats"),
        ([NAN, 1, 1, 1, 1], "no entropy for unit 0"),
        ([1, 2, 3, INF, 5], "an infinite entropy"),
        ([1, 1, -3, 1, 1], "an entropy of -3 nats; rerun"),
        ([1, 1, 1, 1.8, 1], "an entropy of 1.8 nats, but at most 1.609 are possible"),
        ([], "no entropies"),
    ],
)
def test_entropies_fit_their_units(tmp_path: Path, entropy: list, reason: str) -> None:
    experiment = make_experiment(tmp_path)
    vectors = {"a": np.array(entropy, np.float32), "b": ENTROPY["b"]}
    write_vectors(experiment.entropy("dev"), "entropy", vectors, "c0de")
    with pytest.raises(EntcompError) as caught:
        list(Entropies.open(experiment, "dev"))
    assert f"entropy.scp: {reason}" in str(caught.value) and "utterance a" in str(caught.value)


def test_entropies_of_runs_have_nan_where_units_repeat(tmp_path: Path) -> None:
    experiment = make_experiment(tmp_path)
    vectors = {"a": np.array([1, NAN, 1, 0, NAN], np.float32), "b": ENTROPY["b"]}
    write_vectors(experiment.entropy("dev"), "entropy", vectors, "c0de")
    found = dict(Entropies.open(experiment, "dev"))
    np.testing.assert_array_equal(found["a"], vectors["a"])


@pytest.mark.parametrize(
    ("units", "reason"),
    [
        (np.array([1, 5], np.int32), "unit 5 outside 0..4"),
        (np.array([1, -5], np.int32), "unit -5 is negative"),
        (np.array([1, 2], np.float32), "float32 values are not units"),
        (np.zeros(0, np.int32), "no units"),
    ],
)
def test_units_outside_the_codebook(tmp_path: Path, units: np.ndarray, reason: str) -> None:
    experiment = make_experiment(tmp_path)
    write_vectors(experiment.units("dev"), "units", {"a": units}, "c0de")
    with pytest.raises(EntcompError, match=rf"units\.scp: {reason}.*utterance a"):
        list(Units.open(experiment, "dev"))


def test_an_utterance_that_the_units_lack(tmp_path: Path) -> None:
    experiment = make_experiment(tmp_path)
    write_vectors(experiment.units("dev"), "units", {"a": UNITS["a"]}, "c0de")
    with pytest.raises(EntcompError, match=r"units/dev/units\.scp: b is not there"):
        list(Groups.open(experiment, "dev", "by"))


def test_units_are_compared_unless_the_manifest_names_them(tmp_path: Path) -> None:
    experiment = make_experiment(tmp_path)
    assert not Entropies.open(experiment, "dev").match_units
    named = {"units_sha256": str(Units.open(experiment, "dev").sha256)}
    short = {"a": ENTROPY["a"][:4], "b": ENTROPY["b"]}
    write_vectors(experiment.entropy("dev"), "entropy", short, "c0de", **named)
    entropies = Entropies.open(experiment, "dev")
    assert entropies.match_units
    with pytest.raises(EntcompError, match="4 entropies for 5 units"):
        list(entropies.rows())
    assert [row[0] for row in entropies.rows(compare_units=False)] == ["a", "b"]
