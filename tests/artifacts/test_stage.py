from __future__ import annotations

from pathlib import Path

import pytest

from entcomp.artifacts.experiment import Experiment, UnitsInfo
from entcomp.artifacts.models import LMInfo, checked_weights
from entcomp.artifacts.stage import Stage, read_stage
from entcomp.errors import EntcompError
from entcomp.files import read_json, sha256_file, write_json

LM = LMInfo("hash", "c0de", "forward", "raw", 100, {"lm": 2.5})


def test_a_manifest_there_and_back(tmp_path: Path) -> None:
    stage = Stage(tmp_path, {"codebook_sha256": "c0de", "list": [1, 2]})
    assert not stage.is_complete()
    stage.finish({"frames": 3})
    assert stage.is_complete()
    assert read_stage(tmp_path) == {"inputs": stage.inputs, "outputs": {"frames": 3}}
    assert read_stage(tmp_path, "other") == {"inputs": {}, "outputs": {}}
    stage.start()
    assert not stage.is_complete()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[1]", "not a JSON object"),
        ("[" * 100_000, "not JSON"),
        ('{"outputs": 1' + "0" * 5000 + "}", "not JSON"),
        ('{"outputs": [1]}', "outputs is not an object"),
        ('{"outputs": {"groups": 3}}', "no 'frames'"),
        ('{"inputs": {}}', "no 'frames'"),
    ],
)
def test_damaged_manifests_are_one_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "stage.json").write_text(text)
    with pytest.raises(EntcompError) as caught:
        _ = read_stage(tmp_path)["outputs"]["frames"]
    assert str(caught.value).startswith(f"{tmp_path}/stage.json: {message}")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_clusters": "100"}, "key 'num_clusters': Input should be a valid integer"),
        ({"direction": "sideways"}, "key 'direction': Input should be 'forward' or 'backward'"),
        ({"nats_per_unit": {"lm": None}}, "key 'nats_per_unit.lm': Input should be a valid number"),
        ({"novel": 1}, "unknown key 'novel'"),
    ],
)
def test_damaged_lm_json(tmp_path: Path, changes: dict, message: str) -> None:
    LM.write(tmp_path)
    assert LMInfo.read(tmp_path) == LM
    write_json(tmp_path / "lm.json", read_json(tmp_path / "lm.json") | changes)
    with pytest.raises(EntcompError) as caught:
        LMInfo.read(tmp_path)
    assert str(caught.value) == f"{tmp_path}/lm.json: {message}; rerun train-lm"


def test_models_of_other_units(tmp_path: Path) -> None:
    units = UnitsInfo("mfcc", 0, 100, 16000, 320, 160, "c0de")
    LM.check_units(units, tmp_path)
    with pytest.raises(EntcompError, match=r"lm\.json: made with another codebook; rerun train-lm"):
        LM.check_units(UnitsInfo("mfcc", 0, 100, 16000, 320, 160, "other"), tmp_path)
    with pytest.raises(EntcompError, match=r"lm\.json: made for 100 units, not 50; rerun train-lm"):
        LM.check_units(UnitsInfo("mfcc", 0, 50, 16000, 320, 160, "c0de"), tmp_path)


def test_weights_are_those_that_were_trained(tmp_path: Path) -> None:
    with pytest.raises(EntcompError, match=r"model\.safetensors: no such file; train the model"):
        checked_weights(tmp_path)
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"weights")
    assert checked_weights(tmp_path)[0] == path  # nobody knows better
    Stage(tmp_path, {}, "training").finish({"sha256": sha256_file(path)})
    assert checked_weights(tmp_path)[0] == path
    path.write_bytes(b"weightz")
    for expected in (None, "other"):
        with pytest.raises(EntcompError, match="not the weights that were trained"):
            checked_weights(tmp_path, expected)


@pytest.mark.parametrize("key", ["num_clusters", "sample_rate", "frame_shift_samples"])
def test_sizes_in_units_json_are_positive(tmp_path: Path, key: str) -> None:
    experiment = Experiment(tmp_path)
    UnitsInfo("mfcc", 0, 100, 16000, 320, 160, "c0de").write(experiment.units_json)
    write_json(experiment.units_json, read_json(experiment.units_json) | {key: 0})
    with pytest.raises(EntcompError, match=rf"units\.json: {key} must be positive"):
        experiment.units_info()
