"""`entcomp info`: what an experiment holds, and what of it is complete."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from command_line import run
from fake_experiment import make_fake, write_entropies
from tiny_pipeline import TAG, add_converter, add_recogniser, make_pipeline

from entcomp.artifacts.experiment import Experiment
from entcomp.artifacts.models import LMInfo
from entcomp.files import read_json, write_json


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    experiment = make_pipeline(tmp_path_factory.mktemp("pipeline"))
    add_recogniser(experiment, "asr")
    add_converter(experiment)
    return experiment


@pytest.fixture
def experiment(made: Experiment, tmp_path: Path) -> Experiment:
    return Experiment(shutil.copytree(made.path, tmp_path / "exp"))


def info(experiment: Experiment) -> dict[str, Any]:
    code, out, err = run("info", experiment.path, "--json")
    assert code == 0, err
    return json.loads(out)


def text(experiment: Experiment) -> list[str]:
    return run("info", experiment.path)[1].splitlines()


def test_all_that_a_pipeline_made(experiment: Experiment) -> None:
    found = info(experiment)
    units = found["units"]
    assert (units["extractor"], units["num_clusters"], units["frame_rate"]) == ("mfcc", 20, 100.0)
    assert units["codebook_sha256"] == experiment.units_info().codebook_sha256
    assert units["has_centroids"]
    train = units["sets"]["train"]
    assert train["complete"] and train["utterances"] == 8 and train["frames"] > 2000
    assert found["lms"]["forward"]["complete"] and found["lms"]["backward"]["calibrated"]
    assert found["entropies"]["forward"]["train"] == found["entropies"]["backward"]["train"]
    segmentation = found["segmentations"][TAG]
    assert (segmentation["criterion"], segmentation["target_rate"]) == ("global", 15.0)
    rates = read_json(experiment.segments(TAG) / "threshold.json")["rates"]
    assert segmentation["sets"]["train"]["rate"] == rates["train"]
    assert found["models"]["asr/tiny"] == {"complete": True, "reads": TAG, "writes": "text"}
    assert found["models"]["vc/tiny"] == {"complete": True, "reads": TAG, "writes": "speech"}
    lines = text(experiment)
    assert lines[0] == str(experiment.path)
    assert f"model asr/tiny: reads {TAG}, writes text" in lines
    assert not any("not complete" in line or "another" in line for line in lines)


def test_what_was_left_unfinished_says_so(experiment: Experiment) -> None:
    (experiment.units("train") / "units.scp").unlink()
    (experiment.lm("backward") / "lm.json").unlink()
    (experiment.path / "asr" / "tiny" / "task.json").unlink()
    (experiment.path / "asr" / "tiny" / "decode_test").mkdir()
    lines = text(experiment)
    assert any(line.startswith("  train: not complete, utterances 8") for line in lines)
    assert "LM, backward: not complete" in lines
    assert "model asr/tiny: not complete" in lines
    assert "  test: not complete" in lines
    assert info(experiment)["models"]["asr/tiny"]["decodes"]["test"]["complete"] is False


def test_shards_that_wait_to_be_merged_are_not_complete(tmp_path: Path) -> None:
    fake = make_fake(tmp_path, {"train": 2})
    folder = fake.experiment.units("train")
    (folder / "stage.json").rename(folder / "stage.1of2.json")
    assert info(fake.experiment)["units"]["sets"]["train"]["complete"] is False


def test_files_of_another_lm_or_codebook_are_named(tmp_path: Path) -> None:
    fake = make_fake(tmp_path, {"train": 2, "dev": 2})
    fake.experiment.lm().mkdir()
    LMInfo("lm_forward", "c0de", "forward", "raw", 500, {"lm": 2.0}).write(fake.experiment.lm())
    write_entropies(fake, "dev", "forward", lm="older")
    entropies = info(fake.experiment)["entropies"]["forward"]
    assert "made_with_another" not in entropies["train"]
    assert entropies["dev"]["made_with_another"] == ["lm"]
    assert any(line.endswith("made with another lm") for line in text(fake.experiment))
    units = read_json(fake.experiment.units_json)
    write_json(fake.experiment.units_json, units | {"codebook_sha256": "other"})
    assert info(fake.experiment)["units"]["sets"]["train"]["made_with_another"] == ["codebook"]


def test_what_is_no_experiment(tmp_path: Path) -> None:
    code, _, err = run("info", tmp_path)
    assert code == 1
    assert err == (f"entcomp: error: {tmp_path}: not an experiment: it has no units/units.json\n")
