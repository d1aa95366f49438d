"""`entcomp segment` as a user calls it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import run
from fake_experiment import Fake, make_fake, write_calibration, write_entropies, write_vectors

from entcomp.artifacts.groups import Groups
from entcomp.errors import EntcompError
from entcomp.kaldi.ark import iter_vectors


@pytest.fixture
def fake(tmp_path: Path) -> Fake:
    return make_fake(tmp_path, {"dev": 20, "test": 8}, length=200)


def groups(fake: Fake, tag: str, name: str) -> dict[str, np.ndarray]:
    return dict(iter_vectors(fake.experiment.segments(tag) / name / "groups.scp"))


def threshold(fake: Fake, tag: str) -> dict[str, Any]:
    return json.loads((fake.experiment.segments(tag) / "threshold.json").read_text())


def tree(folder: Path) -> dict[str, bytes]:
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def test_as_it_stands_without_torch(fake: Fake) -> None:
    """The command of the README, in a process of its own that must not import torch."""
    code = (
        "import sys; from entcomp.cli.app import app;"
        f"app(['segment', '--theta-g', '9.7', *{fake.arguments!r}], standalone_mode=False);"
        "heavy = {'torch', 'scipy', 'entcomp.lm', 'entcomp.units'} & sys.modules.keys();"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "theta_g9.7: global, theta_g = " in done.stdout
    rates = threshold(fake, "theta_g9.7")["rates"]
    assert rates["dev"] == pytest.approx(7, rel=0.03) and rates["test"] > 0


@pytest.mark.parametrize(
    ("options", "tag"),
    [
        ("--theta-g 9.7", "theta_g9.7"),
        ("--theta-r 0.69", "theta_r0.69"),
        ("--theta-g 8.2 --theta-r 0.65", "theta_g8.2_theta_r0.65"),
        ("--theta-g 2.5 --theta-unit nats", "theta_g2.5nats"),
        ("--criterion peak --theta-g 9.7", "theta_g9.7_peak"),
        ("--target-rate 15", "rate15_global"),
        ("--target-rate 12.5 --criterion peak", "rate12.5_peak"),
        ("--target-rate 7 --criterion bidirectional --peaks", "rate7_bidirectional_peaks"),
        ("--target-rate 15 --min-length 2 --max-length 9", "rate15_global_min2_max9"),
        ("--criterion dedup", "dedup"),
        ("--criterion fixed --window 4", "fixed4"),
        ("--window 4", "fixed4"),
        ("--criterion uniform --target-rate 15", "uniform15"),
        ("--criterion random --target-rate 15", "random15"),
        ("--criterion random --target-rate 15 --seed 2", "random15_seed2"),
        ("--target-rate 15 --boundary last", "rate15_global_last"),
        ("--theta-g 9.7 --min-length 2 --boundary last", "theta_g9.7_min2_last"),
        ("--target-rate 15 --tag mine", "mine"),
    ],
)
def test_every_criterion_and_its_tag(fake: Fake, options: str, tag: str) -> None:
    code, out, err = run("segment", *options.split(), *fake.arguments)
    assert code == 0, err
    assert out.startswith(f"{tag}: ")
    stored = threshold(fake, tag)
    shift = stored["frame_shift"]
    for name, units in fake.units.items():
        found = groups(fake, tag, name)
        assert {utt_id: vector.sum() for utt_id, vector in found.items()} == {
            utt_id: len(vector) for utt_id, vector in units.items()
        }
        assert all(vector.dtype == np.int32 for vector in found.values())
        seconds = sum(len(vector) for vector in units.values()) * shift
        rate = sum(len(vector) for vector in found.values()) / seconds
        assert stored["rates"][name] == pytest.approx(rate)
        assert f"{rate:.2f} Hz" in out
    if stored["target_rate"] is not None:
        assert stored["rates"]["dev"] == pytest.approx(stored["target_rate"], rel=0.01)


def test_threshold_json(fake: Fake) -> None:
    run("segment", "--theta-g", "9.7", *fake.arguments)
    stored = threshold(fake, "theta_g9.7")
    assert stored["criterion"] == "global"
    assert stored["given"] == {"theta_g": 9.7, "theta_unit": "paper"}
    assert stored["target_rate"] == 7
    assert 0 < stored["theta_g"] < np.log(500) and stored["theta_r"] is None
    assert (stored["lm_sha256"], stored["codebook_sha256"]) == ("lm_forward", "c0de")
    run("segment", "--target-rate", "7", "--criterion", "bidirectional", *fake.arguments)
    assert threshold(fake, "rate7_bidirectional")["lm_backward_sha256"] == "lm_backward"


def test_the_unit_that_fires_is_the_last_of_its_group(fake: Fake) -> None:
    """Section 3.3 of the paper to the letter; the default writes what it always wrote."""
    for boundary in ("first", "last"):
        options = ("--theta-g", 2, "--theta-unit", "nats", "--boundary", boundary)
        assert run("segment", *options, *fake.arguments)[0] == 0
    assert "boundary" not in threshold(fake, "theta_g2nats")
    assert threshold(fake, "theta_g2nats_last")["boundary"] == "last"
    for name, entropies in fake.entropies["forward"].items():
        first, last = (groups(fake, tag, name) for tag in ("theta_g2nats", "theta_g2nats_last"))
        for utt_id, entropy in entropies.items():
            fires = np.flatnonzero(entropy > 2)
            np.testing.assert_array_equal(np.cumsum(first[utt_id])[:-1], fires[fires > 0])
            ends = fires[fires < len(entropy) - 1] + 1
            np.testing.assert_array_equal(np.cumsum(last[utt_id])[:-1], ends)


def test_rerun_is_skipped_and_redone_with_the_same_bytes(fake: Fake) -> None:
    arguments = ["--target-rate", "7", "--criterion", "peak", *fake.arguments]
    run("segment", *arguments)
    folder = fake.experiment.segments("rate7_peak")
    before = tree(folder)
    written = (folder / "dev" / "groups.ark").stat().st_mtime_ns
    code, out, _ = run("segment", *arguments)
    assert code == 0 and out.count("complete, skipped") == 2
    assert (folder / "dev" / "groups.ark").stat().st_mtime_ns == written
    shutil.rmtree(folder / "dev")  # as after a kill
    (folder / "test" / "stage.json").unlink()
    code, out, _ = run("segment", *arguments)
    assert code == 0 and "complete, skipped" not in out
    assert tree(folder) == before


def test_new_entropies_are_segmented_again(fake: Fake) -> None:
    arguments = ["--theta-g", "2", "--theta-unit", "nats", *fake.arguments]
    run("segment", *arguments)
    for vector in fake.entropies["forward"]["test"].values():
        vector[:] = vector[::-1].copy()
    write_entropies(fake, "test", "forward")
    _, out, _ = run("segment", *arguments)
    lines = dict(line.split(": ", 1) for line in out.splitlines())
    assert "complete, skipped" in lines["dev"] and "complete, skipped" not in lines["test"]


def test_foreign_entropies_need_a_frame_shift_only(tmp_path: Path) -> None:
    """No marks, no units.json, no calibration; new bytes are noticed all the same."""
    fake = make_fake(tmp_path, {"dev": 5})
    fake.experiment.units_json.unlink()
    fake.experiment.calibration().unlink()
    (fake.experiment.entropy("dev") / "stage.json").unlink()
    arguments = ["--theta-g", "2", "--theta-unit", "nats", *fake.arguments]
    code, _, err = run("segment", *arguments)
    assert code == 1 and "--frame-shift" in err
    code, out, _ = run("segment", "--frame-shift", "0.04", *arguments)
    assert code == 0 and "complete, skipped" not in out
    seconds = 0.04 * sum(len(vector) for vector in fake.units["dev"].values())
    stored = threshold(fake, "theta_g2nats")
    assert stored["frame_shift"] == 0.04 and stored["lm_sha256"] is None
    found = sum(len(vector) for vector in groups(fake, "theta_g2nats", "dev").values())
    assert stored["rates"]["dev"] == pytest.approx(found / seconds)
    assert "complete, skipped" in run("segment", "--frame-shift", "0.04", *arguments)[1]
    entropies = {utt_id: vector + 1 for utt_id, vector in fake.entropies["forward"]["dev"].items()}
    write_vectors(fake.experiment.entropy("dev"), "entropy", entropies, "c0de")
    (fake.experiment.entropy("dev") / "stage.json").unlink()
    assert "complete, skipped" not in run("segment", "--frame-shift", "0.04", *arguments)[1]


def test_shards_are_the_whole(fake: Fake) -> None:
    arguments = ["--target-rate", "15", *fake.arguments]
    run("segment", *arguments)
    run("segment", *arguments, "--tag", "whole")
    for shard in ("3/3", "1/3", "2/3"):
        assert run("segment", *arguments, "--tag", "parts", "--shard", shard)[0] == 0
    folder = fake.experiment.segments("parts")
    whole = fake.experiment.segments("whole") / "dev" / "groups.ark"
    shards = [folder / "dev" / f"groups.{index}of3.ark" for index in (1, 2, 3)]
    assert b"".join(path.read_bytes() for path in shards) == whole.read_bytes()
    assert threshold(fake, "parts")["theta_g"] == threshold(fake, "whole")["theta_g"]


def test_sets_are_added_to_the_rates(fake: Fake) -> None:
    run("segment", "--target-rate", "15", "--sets", "test", *fake.arguments)
    assert threshold(fake, "rate15_global")["rates"].keys() == {"test"}
    run("segment", "--target-rate", "15", "--sets", "dev", *fake.arguments)
    assert threshold(fake, "rate15_global")["rates"].keys() == {"dev", "test"}
    write_calibration(fake, "test", "forward")  # other thresholds: test is stale now
    run("segment", "--target-rate", "15", "--sets", "dev", *fake.arguments)
    assert threshold(fake, "rate15_global")["rates"].keys() == {"dev"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("", "--criterion global needs --theta-g or --target-rate, got none"),
        ("--criterion peeks --target-rate 7", "--criterion peeks: one of global, bidirectional,"),
        ("--theta-g 9.7 --target-rate 7", "got --theta-g and --target-rate"),
        ("--criterion fixed --target-rate 7", "--criterion fixed needs --window"),
        ("--criterion combined --theta-g 9.7", "needs --theta-g and --theta-r or --target-rate"),
        ("--criterion dedup --target-rate 7", "--criterion dedup needs no threshold or rate"),
        ("--theta-g 9.7 --theta-unit hartley", "--theta-unit hartley: one of paper, nats"),
        ("--theta-g 9.7 --theta-unit nats", "no entropy over 500 units exceeds ln 500 = 6.215"),
        ("--theta-g 2.5", "the paper's thetas run from 7.5 (30 Hz) to 10.5 (6 Hz)"),
        ("--theta-g nan", "--theta-g nan: not a number"),
        ("--target-rate 0", "--target-rate 0: must be positive"),
        ("--target-rate 7 --peaks", "--peaks goes with --criterion bidirectional"),
        (
            "--criterion random --target-rate 7 --boundary last",
            "--boundary last: no unit fires in --criterion random; leave it out",
        ),
        ("--target-rate 7 --min-length 0", "--min-length 0: must be positive"),
        ("--target-rate 7 --min-length 5 --max-length 3", "--max-length 3 is below"),
        ("--target-rate 90 --criterion peak", "90 Hz is out of reach: on the calibration set"),
        ("--target-rate 90 --criterion random", "only 50 units a second"),
        ("--target-rate 7 --shard 3", "--shard 3: expected i/N"),
        ("--target-rate 7 --sets nope", "no set 'nope'; available: dev, test"),
        (
            "--theta-g 1 --theta-unit nats --criterion bidirectional",
            "--criterion bidirectional counts in sd; give --target-rate",
        ),
    ],
)
def test_mistakes_in_the_call(fake: Fake, options: str, message: str) -> None:
    code, out, err = run("segment", *options.split(), *fake.arguments)
    assert code == 1 and out == ""
    assert err.startswith("entcomp: error: ") and err.count("\n") == 1
    assert message in err
    assert not (fake.experiment.path / "segments").exists()


def break_lm(fake: Fake) -> None:
    write_entropies(fake, "test", "forward", lm="another")


def break_codebook(fake: Fake) -> None:
    vectors = fake.entropies["forward"]["test"]
    write_vectors(fake.experiment.entropy("test"), "entropy", vectors, "another")


def dump_other_units(fake: Fake) -> None:
    vectors = {utt_id: units[::-1].copy() for utt_id, units in fake.units["test"].items()}
    write_vectors(fake.experiment.units("test"), "units", vectors, "c0de")


def break_calibration(fake: Fake) -> None:
    write_calibration(fake, "dev", "forward", codebook_sha256="another")


def lose_entropies(fake: Fake) -> None:
    (fake.experiment.entropy("test") / "entropy.scp").unlink()


def lose_backward(fake: Fake) -> None:
    (fake.experiment.entropy("dev") / "entropy_backward.scp").unlink()


def lose_calibration(fake: Fake) -> None:
    fake.experiment.calibration().unlink()


def shorten_backward(fake: Fake) -> None:
    vectors = fake.entropies["backward"]["test"]
    vectors["test-00003"] = vectors["test-00003"][1:]
    write_entropies(fake, "test", "backward")


@pytest.mark.parametrize(
    ("harm", "criterion", "messages"),
    [
        (break_lm, "global", ["test/entropy.scp: made with another LM", "rerun score-entropy"]),
        (break_codebook, "global", ["test/entropy.scp: made with another codebook"]),
        (dump_other_units, "peak", ["test/entropy.scp: made with another units"]),
        (break_calibration, "global", ["calibration.json: made with another codebook"]),
        (lose_entropies, "global", ["test/entropy.scp: no such file; run score-entropy first"]),
        (lose_backward, "bidirectional", ["train-lm --direction backward"]),
        (lose_calibration, "global", ["calibration.json: no such file; run score-entropy first"]),
        (shorten_backward, "bidirectional", ["utterance test-00003", "backward entropies"]),
    ],
)
def test_mistakes_in_the_files(fake: Fake, harm: Any, criterion: str, messages: list[str]) -> None:
    harm(fake)
    code, _, err = run("segment", "--criterion", criterion, "--target-rate", "15", *fake.arguments)
    assert code == 1
    assert "Traceback" not in err
    for message in messages:
        assert message in err.splitlines()[-1]
    assert not list(fake.experiment.path.glob("segments/*/test/groups.*"))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.array([np.nan, 1.0], np.float32), "no entropy for unit 0 (NaN)"),
        (np.array([1.0, np.inf], np.float32), "an infinite entropy"),
        (np.array([], np.float32), "no entropies"),
        (np.array([1, 2], np.int32), "int32 values are not entropies"),
    ],
)
def test_bad_utterances(fake: Fake, bad: np.ndarray, message: str) -> None:
    fake.entropies["forward"]["test"]["test-00003"] = bad
    write_entropies(fake, "test", "forward")
    arguments = ["--target-rate", "15", *fake.arguments]
    folder = fake.experiment.segments("rate15_global") / "test"
    code, _, err = run("segment", *arguments)
    assert code == 1
    assert message in err and "utterance test-00003" in err and "--skip-bad" in err
    assert not list(folder.glob("groups*"))
    code, out, _ = run("segment", *arguments, "--skip-bad")
    assert code == 0 and "1 utterances skipped" in out
    assert "test-00003" not in groups(fake, "rate15_global", "test")
    assert len(groups(fake, "rate15_global", "test")) == 7
    assert (folder / "skipped.txt").read_text().startswith("test-00003 ")


def test_only_dedup_has_a_bit_rate(fake: Fake) -> None:
    out = run("segment", "--criterion", "dedup", *fake.arguments)[1]
    rate = threshold(fake, "dedup")["rates"]["dev"]
    assert f"{rate * np.log2(500):.0f} bit/s" in out
    assert "bit/s" not in run("segment", "--target-rate", "15", *fake.arguments)[1]


def test_a_tag_of_two_rules_was_read_as_one(fake: Fake) -> None:
    asked = ("segment", "--tag", "mine", "--sets")
    assert run(*asked, "dev,test", "--target-rate", 15, *fake.arguments)[0] == 0
    assert run(*asked, "dev", "--target-rate", 7, *fake.arguments)[0] == 0
    read = ("evaluate-units", "--segmentation", "mine", "--sets")
    assert run(*read, "dev", *fake.arguments)[0] == 0
    code, _, err = run(*read, "test", *fake.arguments)
    assert code == 1 and "made by another rule than" in err and "run segment on all sets" in err
    assert run(*asked, "test", "--target-rate", 7, *fake.arguments)[0] == 0
    assert run(*read, "dev,test", *fake.arguments)[0] == 0


@pytest.mark.parametrize("tag", ["raw", "dedup", "a/b", "../x", "..", "."])
def test_tags_that_name_nothing_or_something_else(fake: Fake, tag: str) -> None:
    before = tree(fake.experiment.path)
    code, _, err = run("segment", "--target-rate", 10, "--tag", tag, *fake.arguments)
    assert code == 1 and err.startswith(f"entcomp: error: --tag {tag}: ")
    assert tree(fake.experiment.path) == before


def test_runs_of_equal_units_keep_their_name(fake: Fake) -> None:
    assert run("segment", "--criterion", "dedup", *fake.arguments)[0] == 0
    assert run("segment", "--criterion", "dedup", "--tag", "dedup", *fake.arguments)[0] == 0


def test_joined_shards_had_no_rates(fake: Fake) -> None:
    asked = ("segment", "--target-rate", 10, "--tag")
    assert run(*asked, "whole", *fake.arguments)[0] == 0
    for shard in ("1/2", "2/2"):
        assert run(*asked, "parts", "--shard", shard, *fake.arguments)[0] == 0
    merge = ("merge-shards", "groups", "--tag", "parts", "--shards", 2, *fake.arguments)
    assert run(*merge)[0] == 0
    assert threshold(fake, "parts") == threshold(fake, "whole")


def test_a_shard_of_a_complete_set_leaves_it(fake: Fake) -> None:
    asked = ("segment", "--target-rate", 10, "--tag", "mine", *fake.arguments)
    assert run(*asked)[0] == 0
    assert run(*asked, "--shard", "1/2")[0] == 0
    assert run(*asked)[1].count("complete, skipped") == 2


@pytest.mark.parametrize("command", ["segment --criterion random --target-rate 9", "align-eval"])
def test_a_negative_seed_was_a_traceback(fake: Fake, command: str) -> None:
    code, _, err = run(*command.split(), "--seed", "-1", *fake.arguments)
    assert code != 0 and "Traceback" not in err and "--seed" in err


def test_groups_of_other_units_were_read(fake: Fake) -> None:
    """Units of a replaced recording, as long as before: only their hash tells."""
    assert run("segment", "--criterion", "fixed", "--window", 3, *fake.arguments)[0] == 0
    assert Groups.open(fake.experiment, "test", "fixed3")
    others = {utt_id: vector[::-1].copy() for utt_id, vector in fake.units["test"].items()}
    write_vectors(fake.experiment.units("test"), "units", others, "c0de")
    with pytest.raises(EntcompError, match=r"fixed3.*made with another units; rerun segment"):
        Groups.open(fake.experiment, "test", "fixed3")
    assert run("segment", "--criterion", "fixed", "--window", 3, *fake.arguments)[0] == 0
    assert Groups.open(fake.experiment, "test", "fixed3")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--criterion fixed --window 99999999999999999999", "9: at most 16777216"),
        ("--target-rate 15 --max-length 99999999999999999999", "at most 16777216"),
        ("--target-rate 15 --min-length 999999999999999999999", "at most 16777216"),
        ("--criterion dedup --frame-shift inf", "--frame-shift inf: expected seconds"),
        ("--criterion dedup --frame-shift 1e-320", "expected seconds, as in 0.02"),
        ("--target-rate 15 --frame-shift 0.5", "units.json says 0.02; leave it out"),
        (f"--target-rate 15 --tag {'x' * 300}", "File name too long"),
    ],
)
def test_numbers_and_names_that_were_tracebacks_or_believed(
    fake: Fake, options: str, message: str
) -> None:
    code, _, err = run("segment", *options.split(), *fake.arguments)
    assert code == 1 and message in err and "Traceback" not in err
