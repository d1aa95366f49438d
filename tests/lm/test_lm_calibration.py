"""calibration.json against plain numpy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from lm_toys import K, make_experiment

from entcomp.artifacts.experiment import Experiment, entropy_name
from entcomp.artifacts.models import LMInfo
from entcomp.artifacts.stage import Stage
from entcomp.errors import EntcompError
from entcomp.files import read_json
from entcomp.kaldi.ark import ArkWriter
from entcomp.lm import calibrate as module
from entcomp.lm.calibrate import LEVELS, calibrate

Vectors = dict[str, list[np.ndarray]]


def info(direction: str = "forward") -> LMInfo:
    return LMInfo("lm-hash", "codebook", direction, "raw", K, {})


def write_entropies(experiment: Experiment, vectors: Vectors, direction: str = "forward") -> None:
    for name, found in vectors.items():
        (experiment.units(name) / "units.scp").unlink(missing_ok=True)  # these are of no units
        folder = experiment.entropy(name)
        with ArkWriter(folder, entropy_name(direction)) as ark:
            for index, entropy in enumerate(found):
                ark.write(f"{name}{index:04d}", entropy)
        stage = Stage(folder, {"lm_sha256": "lm-hash"}, entropy_name(direction, "stage"))
        stage.finish(ark.summary)


def random_vectors(*lengths: int, nan: float = 0.0, seed: int = 0) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    vectors = [random.uniform(0, 3, length).astype(np.float32) for length in lengths]
    for one in vectors:
        one[1:][random.random(len(one) - 1) < nan] = np.nan
    return vectors


@pytest.mark.parametrize("nan", [0.0, 0.4])
def test_quantiles_and_moments_are_exact(tmp_path: Path, nan: float) -> None:
    _, experiment = make_experiment(tmp_path, {"a": 1, "b": 1})
    vectors = {"a": random_vectors(30, 1, 200, nan=nan), "b": random_vectors(50, nan=nan, seed=1)}
    write_entropies(experiment, vectors)
    assert calibrate(experiment, ["b", "a"], info())
    found = read_json(experiment.calibration())
    predicted = [one[~np.isnan(one)] for part in vectors.values() for one in part]
    values = np.concatenate([one[1:] for one in predicted]).astype(np.float64)
    rises = np.concatenate([np.diff(one) for one in predicted])
    assert found["sets"] == ["a", "b"] and found["utterances"] == 4 and found["units"] == 281
    assert found["predictions"] == len(values) + 4
    assert found["mean"] == pytest.approx(values.mean())
    assert found["std"] == pytest.approx(values.std())
    levels = np.linspace(0, 1, LEVELS)
    assert np.allclose(found["entropy_quantiles"], np.quantile(values, levels), atol=1e-6)
    assert np.allclose(found["rise_quantiles"], np.quantile(rises, levels), atol=1e-6)
    assert found["frame_shift"] == 0.02 and found["num_clusters"] == K
    assert found["lm_sha256"] == "lm-hash" and found["codebook_sha256"] == "codebook"


def test_backward_leaves_out_the_last_unit_which_is_read_first(tmp_path: Path) -> None:
    _, experiment = make_experiment(tmp_path, {"a": 1})
    vectors = {"a": random_vectors(30)}
    write_entropies(experiment, vectors, "backward")
    calibrate(experiment, ["a"], info("backward"))
    found = read_json(experiment.calibration("backward"))
    assert found["mean"] == pytest.approx(vectors["a"][0][:-1].mean())


def test_a_sample_stands_for_too_many_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, experiment = make_experiment(tmp_path, {"a": 1})
    vectors = {"a": random_vectors(*[1000] * 40)}
    write_entropies(experiment, vectors)
    monkeypatch.setattr(module, "EXACT_VALUES", 10_000)
    calibrate(experiment, ["a"], info())
    first = experiment.calibration().read_bytes()
    experiment.calibration().unlink()
    calibrate(experiment, ["a"], info())
    assert experiment.calibration().read_bytes() == first
    found = read_json(experiment.calibration())
    levels = np.linspace(0, 3, LEVELS)  # uniform between 0 and 3
    assert np.allclose(found["entropy_quantiles"], levels, atol=0.05)
    assert found["predictions"] == 40_000


def test_a_calibration_of_the_same_entropies_is_not_repeated(tmp_path: Path) -> None:
    _, experiment = make_experiment(tmp_path, {"a": 1})
    write_entropies(experiment, {"a": random_vectors(30)})
    assert calibrate(experiment, ["a"], info())
    assert not calibrate(experiment, ["a"], info())
    write_entropies(experiment, {"a": random_vectors(31)})
    assert calibrate(experiment, ["a"], info())


def test_entropies_of_another_lm_are_refused(tmp_path: Path) -> None:
    _, experiment = make_experiment(tmp_path, {"a": 1})
    write_entropies(experiment, {"a": random_vectors(30)})
    other = LMInfo("other-hash", "codebook", "forward", "raw", K, {})
    with pytest.raises(EntcompError, match=r"entropy.scp: made with another LM; rerun"):
        calibrate(experiment, ["a"], other)


def test_single_units_are_too_little_to_calibrate_on(tmp_path: Path) -> None:
    _, experiment = make_experiment(tmp_path, {"a": 1})
    write_entropies(experiment, {"a": random_vectors(1, 1)})
    with pytest.raises(EntcompError, match="no utterance of two units"):
        calibrate(experiment, ["a"], info())
