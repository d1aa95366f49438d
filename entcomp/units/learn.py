"""learn-kmeans: from recordings, or another codebook, to ``kmeans.npz`` and ``units.json``."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from entcomp.artifacts.experiment import IMPORTED, Experiment, UnitsInfo
from entcomp.artifacts.stage import Stage
from entcomp.errors import EntcompError
from entcomp.files import sha256_file
from entcomp.formats.kmeans import read_centroids
from entcomp.kaldi.datadir import DataDir, audio_bytes
from entcomp.progress import track
from entcomp.skipped import SkippedUtterances, skip_inputs
from entcomp.units.codebook import Codebook, learn_codebook
from entcomp.units.extractor import Extractor
from entcomp.units.features import iter_features
from entcomp.units.sampling import FrameSample


@dataclass(frozen=True)
class KmeansOptions:
    """What the codebook's bytes depend on, beside the extractor and the recordings."""

    num_clusters: int
    max_frames: int
    seed: int
    skip_bad: bool
    whiten: float = 0.0


def learn_kmeans(
    sets: list[DataDir],
    exp: Experiment,
    extractor: Extractor,
    learning: KmeansOptions,
    num_jobs: int,
    allow_pipes: bool = False,
) -> dict[str, Any] | None:
    """Learn the codebook of EXP; returns what the stage's manifest says, None if it was complete.

    Raises EntcompError for a bad utterance (unless they are skipped) or too few frames.
    """
    if learning.max_frames < learning.num_clusters:
        raise EntcompError(
            f"--max-frames {learning.max_frames}: fewer than --num-clusters "
            f"{learning.num_clusters}; take more"
        )
    stage = _stage(exp, _inputs(sets, extractor, learning, allow_pipes))
    if _is_complete(stage, exp):
        return None
    stage.start()
    skipped = SkippedUtterances(learning.skip_bad)
    sample = FrameSample(learning.max_frames, learning.seed)
    for data_set in sets:
        total = sum(1 for _ in data_set.ids())
        found = iter_features(data_set.utterances(), extractor, skipped, num_jobs, allow_pipes)
        for features in track(found, f"{data_set.name}: features", total):
            sample.add(f"{data_set.name}/{features.utt_id}", features.values)
    if not sample.seen:
        raise EntcompError(f"{sets[0].path}: no utterance to learn from")
    frames = sample.frames()
    codebook = learn_codebook(frames, learning.num_clusters, learning.seed, learning.whiten)
    sha256 = _write(codebook, extractor, exp)
    skipped.write(exp.codebook.with_name("skipped.txt"))
    outputs = _summary(codebook, frames) | {
        "frames_seen": sample.seen,
        "skipped": len(skipped),
        "sha256": sha256,
    }
    stage.finish(outputs)
    return outputs


def import_kmeans(
    path: Path, exp: Experiment, extractor: Extractor, num_clusters: int | None = None
) -> dict[str, Any] | None:
    """Make a codebook that others have published EXP's own; its manifest, None if complete.

    Raises EntcompError for a file that holds none (see `read_centroids`), or one of another
    dimension than the extractor's features, or of another size than ``num_clusters``.
    """
    centroids = read_centroids(path)
    if num_clusters not in (None, len(centroids)):
        raise EntcompError(
            f"{path}: {len(centroids)} clusters, not {num_clusters}; "
            f"give --num-clusters {len(centroids)}, or another file"
        )
    inputs = {"source_sha256": sha256_file(path), **_extractor_inputs(extractor)}
    stage = _stage(exp, inputs)
    if _is_complete(stage, exp):
        return None
    if centroids.shape[1] != extractor.dim:
        raise EntcompError(
            f"{path}: centroids of {centroids.shape[1]} dimensions, but {extractor.name} has "
            f"features of {extractor.dim}; give the --extractor that it was learnt with"
        )
    stage.start()
    sha256 = _write(Codebook(centroids), extractor, exp)
    outputs = {"num_clusters": len(centroids), "sha256": sha256}
    stage.finish(outputs)
    return outputs


def _stage(exp: Experiment, inputs: dict[str, Any]) -> Stage:
    """Raises EntcompError where the experiment has units that were imported."""
    info = _described(exp)
    if info is not None and info.extractor == IMPORTED:
        raise EntcompError(
            f"{exp.units_json}: the units of this experiment were imported; use another EXP"
        )
    return Stage(exp.codebook.parent, inputs, files=(exp.codebook.name, exp.units_json.name))


def _is_complete(stage: Stage, exp: Experiment) -> bool:
    """Also true to its bytes: a codebook is small, and all units depend on it."""
    info = _described(exp)
    if info is None or not stage.is_complete():
        return False
    return info.codebook_sha256 == sha256_file(exp.codebook)


def _described(exp: Experiment) -> UnitsInfo | None:
    """What units.json says; None where there is none, or a damaged one, to be written anew."""
    try:
        return exp.units_info()
    except EntcompError:
        return None


def _inputs(
    sets: list[DataDir], extractor: Extractor, learning: KmeansOptions, allow_pipes: bool
) -> dict[str, Any]:
    recordings = {
        data_set.name: [data_set.audio_sha256(), audio_bytes(data_set.utterances())]
        for data_set in sets
    }
    skipping = skip_inputs(learning.skip_bad, allow_pipes)
    known = asdict(learning) | _extractor_inputs(extractor) | skipping
    return {**known, "recordings": recordings}


def _extractor_inputs(extractor: Extractor) -> dict[str, Any]:
    return {
        "extractor": extractor.name,
        "layer": extractor.layer,
        "checkpoint_sha256": extractor.checkpoint_sha256,
    }


def _write(codebook: Codebook, extractor: Extractor, exp: Experiment) -> str:
    """The codebook, and units.json that names it; returns its hash."""
    codebook.write(exp.codebook)
    sha256 = sha256_file(exp.codebook)
    info = UnitsInfo(
        extractor=extractor.name,
        layer=extractor.layer,
        num_clusters=len(codebook.centroids),
        sample_rate=extractor.sample_rate,
        frame_shift_samples=extractor.grid.shift,
        receptive_offset_samples=extractor.grid.offset,
        codebook_sha256=sha256,
    )
    info.write(exp.units_json)
    return sha256


def _summary(codebook: Codebook, frames: np.ndarray) -> dict[str, Any]:
    units = codebook.assign(frames)
    return {
        "frames": len(frames),
        "inertia": codebook.inertia(frames, units),
        "clusters_used": len(np.unique(units)),
    }
