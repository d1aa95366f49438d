"""train-lm and score-entropy from the command line: files, reruns, kills and mistakes."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from kills import killed_at
from typer.testing import CliRunner, Result

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lm"))
from lm_toys import SMALL, TRAINING, make_experiment

from entcomp.artifacts.experiment import Experiment
from entcomp.cli.app import app
from entcomp.errors import EntcompError
from entcomp.files import read_json
from entcomp.kaldi.ark import ArkWriter, iter_vectors
from entcomp.lm import score

SETS = {"train_a": 40, "train_b": 20, "dev": 12, "test": 9}


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(one) for one in arguments])


def run(*arguments: object) -> str:
    result = call(*arguments)
    if result.exception:
        raise result.exception
    return result.output


def in_child(folder: Path, *arguments: object, point: int | None = None) -> bool:
    """Run a command in a forked process; True if it was killed, see `killed_at`."""

    def work() -> None:
        score.POOL_BATCHES = 1
        run(*arguments)

    return killed_at(point, folder, work)


def kill_until_done(folder: Path, *arguments: object) -> int:
    """Start a command and kill it, each time a few steps later; returns how often."""
    kills = 0
    while in_child(folder, *arguments, point=3 + 6 * kills):
        kills += 1
    return kills


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("conf") / "lm.yaml"
    path.write_text(yaml.safe_dump(SMALL | {"training": TRAINING}))
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, config: Path) -> tuple[Path, Experiment]:
    """DATA and EXP with a trained LM each way and all entropies; nobody may change it."""
    data, experiment = make_experiment(tmp_path_factory.mktemp("trained"), SETS)
    for direction in ("forward", "backward"):
        command = ("train-lm", "--config", config, "--direction", direction, data, experiment.path)
        in_child(data, *command)
        in_child(data, "score-entropy", "--direction", direction, data, experiment.path)
    return data, experiment


@pytest.fixture
def copy(trained: tuple[Path, Experiment], tmp_path: Path) -> tuple[Path, Experiment]:
    data, experiment = trained
    shutil.copytree(experiment.path, tmp_path / "exp")
    return data, Experiment(tmp_path / "exp")


def test_what_is_written(trained: tuple[Path, Experiment]) -> None:
    _, experiment = trained
    for direction, stem in (("forward", "entropy"), ("backward", "entropy_backward")):
        folder = experiment.lm(direction)
        lm = read_json(folder / "lm.json")
        assert (lm["direction"], lm["lm_units"], lm["num_clusters"]) == (direction, "raw", 20)
        assert lm["codebook_sha256"] == "codebook"
        assert yaml.safe_load((folder / "config.yaml").read_text())["dim"] == SMALL["dim"]
        assert lm["nats_per_unit"]["lm"] < lm["nats_per_unit"]["unigram"]
        assert read_json(experiment.calibration(direction))["sets"] == ["dev"]
        for name, count in SETS.items():
            entropies = dict(iter_vectors(experiment.entropy(name) / f"{stem}.scp"))
            units = dict(iter_vectors(experiment.units(name) / "units.scp"))
            assert list(entropies) == list(units) and len(units) == count
            for utt_id, entropy in entropies.items():
                assert entropy.dtype == np.float32 and len(entropy) == len(units[utt_id])
                assert (entropy >= 0).all() and (entropy <= np.log(20) + 1e-5).all()


def test_whole_stages_are_skipped_and_changed_units_are_not(
    copy: tuple[Path, Experiment], config: Path
) -> None:
    data, experiment = copy
    assert "complete, skipped" in run("train-lm", "--config", config, data, experiment.path)
    output = run("score-entropy", data, experiment.path)
    assert output.count("complete, skipped") == len(SETS) + 1
    with ArkWriter(experiment.units("test"), "units") as ark:
        ark.write("test-000", np.array([1, 2, 3], np.int32))
    output = run("score-entropy", data, experiment.path)
    assert output.count("complete, skipped") == len(SETS)
    assert "test: 1 utterances, 3 units" in output


def test_training_killed_at_any_moment_ends_with_the_same_bytes(
    trained: tuple[Path, Experiment], config: Path, tmp_path: Path
) -> None:
    _, whole = trained
    data, experiment = make_experiment(tmp_path, SETS)
    command = ("train-lm", "--config", config, data, experiment.path)
    assert kill_until_done(experiment.path, *command) >= 5
    for name in ("model.safetensors", "lm.json", "log.jsonl", "config.yaml", "packed/train.units"):
        assert (experiment.lm() / name).read_bytes() == (whole.lm() / name).read_bytes(), name


@pytest.mark.parametrize("left", ["of earlier weights", "damaged"])
def test_a_training_killed_before_its_description_could_never_be_mended(
    copy: tuple[Path, Experiment], config: Path, left: str
) -> None:
    """The weights were new, lm.json was not, and train-lm said "complete, skipped"."""
    data, experiment = copy
    path = experiment.lm() / "lm.json"
    whole = path.read_bytes()
    older = read_json(path) | {"lm_sha256": "older"}
    path.write_text(json.dumps(older) if left == "of earlier weights" else "{")
    run("train-lm", "--config", config, data, experiment.path)
    assert path.read_bytes() == whole


def test_scoring_killed_at_any_moment_ends_with_the_same_bytes(
    copy: tuple[Path, Experiment],
) -> None:
    data, experiment = copy
    before = {path: path.read_bytes() for path in experiment.path.glob("entropy/*/*.ark")}
    calibration = experiment.calibration().read_bytes()
    command = ("score-entropy", "--batch-tokens", 4096, data, experiment.path)
    shutil.rmtree(experiment.path / "entropy")
    assert kill_until_done(experiment.path, *command) >= 5
    run("score-entropy", "--direction", "backward", data, experiment.path)
    assert {path: path.read_bytes() for path in before} == before
    assert experiment.calibration().read_bytes() == calibration
    assert not list(experiment.path.rglob(".*.tmp"))


def test_shards_make_the_same_entropies(copy: tuple[Path, Experiment]) -> None:
    data, experiment = copy
    whole = dict(iter_vectors(experiment.entropy("train_a") / "entropy.scp"))
    for shard in (1, 2, 3):
        command = ("--shard", f"{shard}/3", "--sets", "train_a", data, experiment.path)
        assert "calibration" not in run("score-entropy", *command)
    shards = [experiment.entropy("train_a") / f"entropy.{i}of3.scp" for i in (1, 2, 3)]
    merged = {utt_id: one for scp in shards for utt_id, one in iter_vectors(scp)}
    assert list(merged) == list(whole)
    for utt_id, entropy in merged.items():
        np.testing.assert_allclose(entropy, whole[utt_id], atol=1e-5)
    (experiment.entropy("train_a") / "entropy.scp").unlink()
    run("merge-shards", "entropy", "--shards", 3, "--sets", "train_a", data, experiment.path)
    output = run("score-entropy", "--sets", "train_a", data, experiment.path)
    assert output.count("complete, skipped") == 2  # the set and its calibration, on dev


def test_more_steps_go_on_from_the_last(copy: tuple[Path, Experiment], config: Path) -> None:
    data, experiment = copy
    run("train-lm", "--config", config, "--max-steps", 50, data, experiment.path)
    lines = (experiment.lm() / "log.jsonl").read_text().splitlines()
    steps = [json.loads(line)["step"] for line in lines if '"dev"' in line]
    assert steps == [10, 20, 30, 40, 50]


def test_entropies_of_another_lm_are_made_again(
    copy: tuple[Path, Experiment], config: Path
) -> None:
    data, experiment = copy
    shutil.rmtree(experiment.lm())
    run("train-lm", "--config", config, "--seed", 1, data, experiment.path)
    assert "complete, skipped" not in run("score-entropy", data, experiment.path)


def test_another_config_in_the_same_folder_is_refused(
    copy: tuple[Path, Experiment], config: Path
) -> None:
    data, experiment = copy
    with pytest.raises(EntcompError, match=r"another .*model.*; remove"):
        run("train-lm", "--config", config, "--lm-units", "dedup", data, experiment.path)
    assert "complete, skipped" in run("train-lm", "--config", config, data, experiment.path)


def test_the_calibration_was_on_what_the_lm_had_learnt_from(
    copy: tuple[Path, Experiment], tmp_path: Path
) -> None:
    """Whose entropies are lower: rates were a tenth too high on other speech."""
    data, experiment = copy
    shutil.rmtree(experiment.path / "entropy")
    output = run("score-entropy", "--sets", "train_*", data, experiment.path)
    assert "put off until dev are scored" in output
    assert not experiment.calibration().exists()
    run("score-entropy", "--sets", "dev", data, experiment.path)
    assert read_json(experiment.calibration())["sets"] == ["dev"]
    experiment.calibration().unlink()
    data = shutil.copytree(data, tmp_path / "data", ignore=shutil.ignore_patterns("dev"))
    assert "on train_a, train_b" in run("score-entropy", data, experiment.path)


def test_scoring_one_more_set_moved_the_calibration(copy: tuple[Path, Experiment]) -> None:
    data, experiment = copy
    named = ("score-entropy", "--calibration-sets", "test", data, experiment.path)
    assert "calibration.json: on test" in run(*named)
    chosen = experiment.calibration().read_bytes()
    for sets in ("test", "train_*", "dev"):
        output = run("score-entropy", "--sets", sets, data, experiment.path)
        assert "calibration.json: complete, skipped" in output
    assert experiment.calibration().read_bytes() == chosen


def test_without_dev_and_training_sets_all_are_calibrated_on(
    copy: tuple[Path, Experiment], tmp_path: Path
) -> None:
    data, experiment = copy
    data = shutil.copytree(data, tmp_path / "data", ignore=shutil.ignore_patterns("train_*"))
    (data / "dev").rename(data / "eval")
    for folder in (experiment.path / "units", experiment.path / "entropy"):
        shutil.copytree(folder / "dev", folder / "eval")
    shutil.rmtree(experiment.path / "entropy")
    output = run("score-entropy", "--sets", "eval", data, experiment.path)
    assert "put off until test are scored as well; or name others by" in output
    output = run("score-entropy", "--sets", "test", data, experiment.path)
    assert "calibration.json: on eval, test" in output


def test_bad_units_are_named_or_left_out(copy: tuple[Path, Experiment]) -> None:
    data, experiment = copy
    with ArkWriter(experiment.units("test"), "units") as ark:
        ark.write("test-000", np.array([1, 2, 99], np.int32))
        ark.write("test-001", np.array([1, 2, 3], np.int32))
    command = ("--sets", "test", data, experiment.path)
    with pytest.raises(EntcompError, match=r"units.scp: unit 99 outside 0..19.*test-000"):
        run("score-entropy", *command)
    assert not (experiment.entropy("test") / "stage.json").exists()
    assert "1 utterances skipped" in run("score-entropy", "--skip-bad", *command)
    assert list(dict(iter_vectors(experiment.entropy("test") / "entropy.scp"))) == ["test-001"]
    skipped = (experiment.entropy("test") / "skipped.txt").read_text()
    assert skipped.startswith("test-000 ") and "unit 99" in skipped


def test_an_lm_of_another_codebook_is_refused(copy: tuple[Path, Experiment]) -> None:
    data, experiment = copy
    units = read_json(experiment.units_json)
    experiment.units_json.write_text(json.dumps(units | {"codebook_sha256": "new"}))
    with pytest.raises(EntcompError, match=r"lm.json: made with another codebook; rerun train-lm"):
        run("score-entropy", data, experiment.path)


def test_weights_that_are_not_those_of_lm_json_are_refused(copy: tuple[Path, Experiment]) -> None:
    data, experiment = copy
    shutil.copy(
        experiment.lm("backward") / "model.safetensors", experiment.lm() / "model.safetensors"
    )
    with pytest.raises(EntcompError, match=r"model.safetensors: not the weights that were trained"):
        run("score-entropy", data, experiment.path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--config", "nowhere.yaml"), r"nowhere.yaml: no such config"),
        (("--direction", "sideways"), r"key 'direction'"),
        (("--sets", "nothing*"), r"no set 'nothing\*'"),
        (("--dev-sets", "valid*"), r"no set 'valid\*'"),
        (("--max-steps", "0"), r"key 'training.max_steps'"),
    ],
)
def test_mistakes_of_train_lm(
    copy: tuple[Path, Experiment], arguments: tuple[str, ...], message: str
) -> None:
    data, experiment = copy
    with pytest.raises(EntcompError, match=message):
        run("train-lm", *arguments, data, experiment.path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("layer: 3", r"lm.yaml: unknown key 'layer'"),
        ("heads: 5", r"lm.yaml: key 'heads'.*no multiple"),
        ("score_overlap: 512", r"lm.yaml: key 'score_overlap'.*less than context"),
        ("training: {steps: 3}", r"lm.yaml: unknown key 'training.steps'"),
    ],
)
def test_mistakes_in_the_config(
    copy: tuple[Path, Experiment], tmp_path: Path, text: str, message: str
) -> None:
    data, experiment = copy
    path = tmp_path / "lm.yaml"
    path.write_text(text)
    with pytest.raises(EntcompError, match=message):
        run("train-lm", "--config", path, data, experiment.path)


def test_units_or_an_lm_that_are_not_there(tmp_path: Path, config: Path) -> None:
    data, experiment = make_experiment(tmp_path, {"train": 3, "dev": 2})
    with pytest.raises(EntcompError, match=r"lm.json: no such file; run train-lm first"):
        run("score-entropy", data, experiment.path)
    shutil.rmtree(experiment.units("dev"))
    with pytest.raises(EntcompError, match=r"units.scp: no such file; run dump-units on dev"):
        run("train-lm", "--config", config, data, experiment.path)
