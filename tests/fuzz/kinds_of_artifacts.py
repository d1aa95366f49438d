"""What lies between stages: archives, their manifests, and JSON that says what they are."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from damage import damage_binary, damage_json, damage_text, damage_zip
from fake_experiment import make_fake, write_vectors
from judge import Kind, none_lost
from kinds_of_tables import lines

from entcomp.artifacts.calibration import Calibration
from entcomp.artifacts.entropies import Entropies
from entcomp.artifacts.experiment import Experiment, UnitsInfo
from entcomp.artifacts.groups import Groups
from entcomp.artifacts.segmentations import SegmentationInfo
from entcomp.artifacts.stage import Stage
from entcomp.artifacts.units import LONGEST, Units
from entcomp.formats.kmeans import read_centroids
from entcomp.kaldi.ark import iter_vectors
from entcomp.lm.calibrate import calibrate, is_scored
from entcomp.lm.checkpoint import LMInfo
from entcomp.report.info import experiment_info
from entcomp.segmentation.calibration import resolve
from entcomp.segmentation.request import Request
from entcomp.segmentation.rule import Rule, group_one
from entcomp.segmentation.stage import segment_sets
from entcomp.skipped import SkippedUtterances
from entcomp.training.utterances import ArchiveOffset, UtteranceDataset, stored_datasets
from entcomp.units.codebook import Codebook

DIM = 8


def make_experiment(folder: Path) -> Experiment:
    """Units, entropies in both directions, calibrations and a segmentation of ``dev``."""
    fake = make_fake(folder, {"dev": 6}, length=60)
    list(segment_sets(fake.experiment, ["dev"], Request("peak", target_rate=10.0), tag="by"))
    return fake.experiment


def make(name: str) -> Callable[[Path], Path]:
    return lambda folder: make_experiment(folder).path / name


def experiment_of(path: Path) -> Experiment:
    """The experiment that a file lies in, at any depth."""
    return Experiment(next(one for one in path.parents if one.name == "exp"))


def read_units(path: Path) -> int:
    experiment, skipped = experiment_of(path), SkippedUtterances(skip_bad=True)
    units = Units.open(experiment, "dev")
    rows = list(units.rows(skipped))
    none_lost(lines(units.scp), len(rows) + len(skipped))
    for _, vector in rows:
        assert 0 < len(vector) <= LONGEST and vector.min() >= 0
    again = SkippedUtterances(skip_bad=True)
    # Their own groups are of other units, and so bad utterances.
    rows = [(row[0], row[1]) for row in Groups.open(experiment, "dev", "by").with_units(again)]
    none_lost(6, len(rows) + len(again))
    return len(skipped) + len(again)


def segment(path: Path, criterion: str) -> int:
    """As the command does it; counts what it wrote, and what it has listed."""
    experiment = experiment_of(path)
    shutil.rmtree(experiment.segments("again"), ignore_errors=True)
    options = {"window": 2} if criterion == "fixed" else {"target_rate": 10.0}
    request = Request(criterion, **options)  # type: ignore[arg-type]
    said = list(segment_sets(experiment, ["dev"], request, tag="again", skip_bad=True))
    assert len(said) == 2
    folder = experiment.segments("again") / "dev"
    skipped = folder / "skipped.txt"
    left_out = lines(skipped) if skipped.exists() else 0
    source = "units/dev/units.scp" if criterion == "fixed" else "entropy/dev/entropy.scp"
    none_lost(lines(experiment.path / source), lines(folder / "groups.scp") + left_out)
    for _, groups in iter_vectors(folder / "groups.scp"):
        assert groups.min() > 0
    return left_out


def read_and_segment_units(path: Path) -> int:
    return segment(path, "fixed") + read_units(path)


def read_entropies(path: Path) -> int:
    experiment, skipped = experiment_of(path), SkippedUtterances(skip_bad=True)
    entropies = Entropies.open(experiment, "dev", ["forward", "backward"])
    rows = list(entropies.rows(skipped))
    none_lost(lines(experiment.entropy("dev") / "entropy.scp"), len(rows) + len(skipped))
    return len(skipped) + segment(path, "global") + segment(path, "bidirectional")


def read_groups(path: Path) -> int:
    experiment, skipped = experiment_of(path), SkippedUtterances(skip_bad=True)
    groups = Groups.open(experiment, "dev", "by")
    rows = list(groups.with_units(skipped))
    none_lost(lines(experiment.segments("by") / "dev" / "groups.scp"), len(rows) + len(skipped))
    return len(skipped)


def make_voices(folder: Path) -> Path:
    vectors = {f"dev-{i}": np.full(512, 0.25 + i, np.float32) for i in range(4)}
    write_vectors(folder, "speaker", vectors, "c0de")
    return folder / "speaker.ark"


def make_voices_scp(folder: Path) -> Path:
    return make_voices(folder).with_suffix(".scp")


def read_voices(path: Path) -> None:
    scp = path.with_suffix(".scp")
    found = sum(1 for _ in iter_vectors(scp))
    none_lost(lines(scp), found)


def read_units_json(path: Path) -> None:
    """What every later stage does with the sizes of units."""
    info = UnitsInfo.read(path)
    assert info.frame_shift > 0 and info.frame_rate > 0
    experiment_info(experiment_of(path))
    segment(path, "fixed")


def read_manifest(path: Path) -> None:
    experiment = experiment_of(path)
    units = Units.open(experiment, "dev")
    Stage(path.parent, {"some": "inputs"}).is_complete()
    assert units.sha256
    Groups.open(experiment, "dev", "by").sha256  # noqa: B018
    experiment_info(experiment)
    segment(path, "fixed")


def read_entropy_manifest(path: Path) -> None:
    experiment = experiment_of(path)
    info = LMInfo("lm_forward", "c0de", "forward", "raw", 500, {})
    if is_scored(experiment, "dev", info):
        calibrate(experiment, ["dev"], info)
    experiment_info(experiment)
    segment(path, "global")


def read_calibration(path: Path) -> None:
    experiment = experiment_of(path)
    calibration = Calibration.read(path)
    for criterion in ("global", "relative", "combined", "peak", "bidirectional"):
        resolve(Request(criterion, target_rate=9.0), experiment, 0.02)
    for unit, theta in (("nats", 1.0), ("bits", 1.0), ("quantile", 0.5), ("paper", 8.5)):
        resolve(Request("global", theta_g=theta, theta_unit=unit), experiment, 0.02)
    assert np.isfinite(calibration.moments).all()
    segment(path, "global")


def read_threshold(path: Path) -> None:
    experiment = experiment_of(path)
    rule = Rule.from_json(SegmentationInfo.read(path).rule, path)
    values = np.linspace(0, 3, 40, dtype=np.float32)
    if not rule.directions:
        values = np.arange(40, dtype=np.int32)
    backward = values[::-1] if len(rule.directions) > 1 else None
    groups = group_one("anna", values, backward, rule)
    assert groups.sum() == 40
    experiment_info(experiment)
    Groups.open(experiment, "dev", "by")


def make_rule(folder: Path, criterion: str) -> Path:
    experiment = make_experiment(folder)
    list(segment_sets(experiment, ["dev"], Request(criterion, target_rate=8.0), tag="by"))
    return experiment.threshold("by")


def make_codebook(folder: Path, whitened: bool) -> Path:
    centroids = np.random.default_rng(0).normal(size=(20, DIM)).astype(np.float32)
    path = folder / "kmeans.npz"
    Codebook(centroids, np.eye(DIM, dtype=np.float32) if whitened else None).write(path)
    return path


def read_codebook(path: Path) -> None:
    codebook = Codebook.read(path)
    units = codebook.assign(np.ones((3, DIM), np.float32))
    assert units.dtype == np.int32 and 0 <= units.min() <= units.max() < len(codebook.centroids)


def make_published(folder: Path, how: str) -> Path:
    import joblib
    import torch
    from sklearn.cluster import MiniBatchKMeans

    frames = np.random.default_rng(0).normal(size=(200, DIM)).astype(np.float32)
    model = MiniBatchKMeans(n_clusters=5, n_init=2, random_state=0).fit(frames)
    path = folder / "km.bin"
    if how == "torch":
        torch.save({"cluster_centers_": torch.from_numpy(model.cluster_centers_)}, path)
    else:
        joblib.dump(model, path, compress=3 if how == "compressed" else 0)
    return path


def read_published(path: Path) -> None:
    read_centroids(path)


def make_utterances(folder: Path) -> Path:
    vectors = {f"dev-{i}": np.arange(5 + i, dtype=np.int32) for i in range(4)}
    write_vectors(folder, "units", vectors, "c0de")
    rows = [[one, "words", ArchiveOffset(folder / "units.ark", 6)] for one in vectors]
    with stored_datasets(folder / "model", rows, rows, make=list_of):
        content = (folder / "model" / ".train.jsonl").read_bytes()
    path = folder / "table.jsonl"
    path.write_bytes(content)
    return path


def list_of(*values: object) -> list[object]:
    return list(values)


def read_utterances(path: Path) -> None:
    utterances = UtteranceDataset(path, list_of)
    assert len([utterances[one] for one in range(len(utterances))]) == len(utterances)


KINDS = [
    Kind("units.ark", make("units/dev/units.ark"), read_and_segment_units, damage_binary),
    Kind("units.scp", make("units/dev/units.scp"), read_and_segment_units, damage_text),
    Kind("entropy.ark", make("entropy/dev/entropy.ark"), read_entropies, damage_binary, 0.5),
    Kind("entropy.scp", make("entropy/dev/entropy.scp"), read_entropies, damage_text, 0.5),
    Kind(
        "entropy_backward.ark",
        make("entropy/dev/entropy_backward.ark"),
        read_entropies,
        damage_binary,
        0.3,
    ),
    Kind("groups.ark", make("segments/by/dev/groups.ark"), read_groups, damage_binary),
    Kind("groups.scp", make("segments/by/dev/groups.scp"), read_groups, damage_text),
    Kind("speaker.ark", make_voices, read_voices, damage_binary),
    Kind("speaker.scp", make_voices_scp, read_voices, damage_text),
    Kind("units.json", make("units/units.json"), read_units_json, damage_json),
    Kind("stage.json of units", make("units/dev/stage.json"), read_manifest, damage_json),
    Kind(
        "stage.json of entropies",
        make("entropy/dev/stage.json"),
        read_entropy_manifest,
        damage_json,
        0.5,
    ),
    Kind("calibration.json", make("entropy/calibration.json"), read_calibration, damage_json, 0.5),
    Kind(
        "threshold.json, global",
        partial(make_rule, criterion="global"),
        read_threshold,
        damage_json,
    ),
    Kind(
        "threshold.json, bidirectional",
        partial(make_rule, criterion="bidirectional"),
        read_threshold,
        damage_json,
        0.5,
    ),
    Kind(
        "threshold.json, random",
        partial(make_rule, criterion="random"),
        read_threshold,
        damage_json,
        0.5,
    ),
    Kind("kmeans.npz", partial(make_codebook, whitened=False), read_codebook, damage_zip),
    Kind("kmeans.npz, whitened", partial(make_codebook, whitened=True), read_codebook, damage_zip),
    Kind("joblib k-means", partial(make_published, how="plain"), read_published, damage_binary),
    Kind(
        "joblib k-means, compressed",
        partial(make_published, how="compressed"),
        read_published,
        damage_binary,
        0.3,
    ),
    Kind("torch k-means", partial(make_published, how="torch"), read_published, damage_zip),
    Kind("utterance table", make_utterances, read_utterances, damage_text),
]
