"""What an experiment holds: units, LMs, entropies, segmentations, alignments, models, decodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from entcomp.artifacts.experiment import DIRECTIONS, Direction, Experiment, entropy_name
from entcomp.artifacts.models import WEIGHTS, LMInfo
from entcomp.artifacts.stage import read_stage
from entcomp.errors import EntcompError
from entcomp.evaluation.text.metric import score_value
from entcomp.files import read_json
from entcomp.kaldi.table import iter_table
from entcomp.tasks import TASKS, read_task_info

SHORT = 12  # characters of a hash that tell it from others

Facts = dict[str, Any]


def experiment_info(experiment: Experiment) -> Facts:
    """All facts as JSON has them; ``complete`` is false of what a stage has left unfinished.

    Rates are in groups a second, entropies in nats a unit. Raises EntcompError where there is no
    experiment.
    """
    if not experiment.units_json.exists():
        raise EntcompError(f"{experiment.path}: not an experiment: it has no units/units.json")
    return {
        "experiment": str(experiment.path),
        "units": _units(experiment),
        "lms": {one: _lm(experiment, one) for one in DIRECTIONS if experiment.lm(one).is_dir()},
        "entropies": {one: _entropies(experiment, one) for one in DIRECTIONS},
        "segmentations": {
            path.name: _segmentation(experiment, path)
            for path in _folders(experiment.path / "segments")
        },
        "alignments": {
            path.name: _alignments(path) for path in _folders(experiment.path / "align")
        },
        "models": {
            f"{kind}/{path.name}": _model(path)
            for kind in (*TASKS, "vocoder")
            for path in _folders(experiment.path / kind)
            if path.name != "scores"
        },
    }


def _units(experiment: Experiment) -> Facts:
    info = experiment.units_info()
    return {
        "extractor": info.extractor,
        "layer": info.layer,
        "num_clusters": info.num_clusters,
        "frame_rate": info.frame_rate,
        "codebook_sha256": info.codebook_sha256,
        "has_centroids": experiment.codebook.exists(),
        "sets": {
            path.name: _archive(path, "units", {"codebook": info.codebook_sha256})
            for path in _folders(experiment.path / "units")
        },
    }


def _archive(folder: Path, name: str, hashes: Facts, manifest: str = "stage") -> Facts:
    """Counts of an archive from its manifest or, of another toolkit's files, from its table.

    ``made_with_another`` lists what of ``hashes`` its manifest has other ones of.
    """
    stage = read_stage(folder, manifest)
    scp = folder / f"{name}.scp"
    is_shard = any(folder.glob(f"{manifest}.*of*.json"))
    outputs = stage["outputs"]
    if not outputs and scp.exists():
        outputs = {"utterances": sum(1 for _ in iter_table(scp))}
    kept: Facts = {
        key: outputs[key] for key in ("utterances", "frames", "skipped") if key in outputs
    }
    # Files without a manifest are another toolkit's, unless shards wait to be merged.
    complete = scp.exists() and (bool(stage["outputs"]) or not is_shard)
    made_with = {key: stage["inputs"].get(f"{key}_sha256") for key in hashes}
    others = [key for key, one in made_with.items() if one and hashes[key] not in (None, one)]
    return {"complete": complete, **kept, **({"made_with_another": others} if others else {})}


def _lm(experiment: Experiment, direction: Direction) -> Facts:
    lm = LMInfo.find(experiment.lm(direction))
    if lm is None:
        return {"complete": False}
    kept = {key: getattr(lm, key) for key in ("lm_units", "lm_sha256", "nats_per_unit")}
    return {"complete": True, **kept, "calibrated": experiment.calibration(direction).exists()}


def _entropies(experiment: Experiment, direction: Direction) -> Facts:
    name, manifest = entropy_name(direction), entropy_name(direction, "stage")
    hashes = {
        "codebook": experiment.units_info().codebook_sha256,
        "lm": _lm(experiment, direction).get("lm_sha256"),
    }
    return {
        path.name: _archive(path, name, hashes, manifest)
        for path in _folders(experiment.path / "entropy")
        if any(path.glob(f"{name}.*")) or any(path.glob(f"{manifest}.*"))
    }


def _segmentation(experiment: Experiment, folder: Path) -> Facts:
    kept: Facts = {}
    rates: dict[str, float] = {}
    if info := experiment.find_segmentation(folder.name):
        names = ("theta_g", "theta_r", "theta_z", "window", "boundary", "match_rate")
        kept = {"criterion": info.criterion, "target_rate": info.target_rate}
        kept |= {name: info.rule.get(name) for name in names}
        kept = {name: value for name, value in kept.items() if value is not None}
        if info.codebook_sha256 not in (None, experiment.units_info().codebook_sha256):
            kept["made_with_another"] = ["codebook"]
        rates = info.rates
    sets = {
        path.name: _archive(path, "groups", {})
        | ({"rate": rates[path.name]} if path.name in rates else {})
        for path in _folders(folder)
    }
    return {**kept, "sets": sets}


def _alignments(folder: Path) -> Facts:
    outputs = read_stage(folder)["outputs"]
    count = outputs.get("aligned", sum(1 for _ in folder.glob("*.TextGrid")))
    return {"complete": bool(outputs), "aligned": count, "unaligned": outputs.get("unaligned", 0)}


def _model(folder: Path) -> Facts:
    is_task = folder.parent.name in TASKS
    last = folder / ("task.json" if is_task else "config.yaml")  # written when training has ended
    complete = last.exists() and (folder / WEIGHTS).exists()
    kept: Facts = {}
    if is_task and last.exists():
        info = read_task_info(folder)
        kept = {"reads": info.segments, "writes": info.output}
    decodes = {
        path.name.removeprefix("decode_"): _decode(path)
        for path in _folders(folder)
        if path.name.startswith("decode_")
    }
    return {"complete": complete, **kept, **({"decodes": decodes} if decodes else {})}


def _decode(folder: Path) -> Facts:
    stage, scores = read_stage(folder), folder / "scores.json"
    values = read_json(scores) if scores.exists() else {}
    found = {name: score_value(one) for name, one in values.items() if isinstance(one, Mapping)}
    rate = stage["outputs"].get("rate")
    return {"complete": bool(stage["outputs"]), "rate": rate, **found}


def _folders(path: Path) -> list[Path]:
    return sorted(one for one in path.glob("*") if one.is_dir())


def describe_info(info: Facts) -> Iterator[str]:
    """The facts as lines of text, an entry a line; what is not complete says so."""
    units = info["units"]
    yield info["experiment"]
    yield (
        f"units: {units['num_clusters']} of {units['extractor']}, layer {units['layer']}, "
        f"{units['frame_rate']:.2f} Hz, codebook {units['codebook_sha256'][:SHORT] or 'unknown'}"
        + ("" if units["has_centroids"] else ", imported")
    )
    yield from _lines(units["sets"])
    for direction, lm in info["lms"].items():
        yield f"LM, {direction}: {_lm_line(lm)}"
    for direction, sets in info["entropies"].items():
        if sets:
            yield f"entropies, {direction}:"
            yield from _lines(sets)
    for tag, one in info["segmentations"].items():
        facts = (
            f"{key.replace('_', ' ')} {_show(value)}" for key, value in one.items() if key != "sets"
        )
        yield f"segmentation {tag}: {', '.join(facts)}"
        yield from _lines(one["sets"])
    if info["alignments"]:
        yield "alignments:"
        yield from _lines(info["alignments"])
    for name, model in info["models"].items():
        yield f"model {name}: {_line({k: v for k, v in model.items() if k != 'decodes'})}"
        yield from _lines(model.get("decodes", {}))


def _lm_line(lm: Facts) -> str:
    if not lm["complete"]:
        return "not complete"
    nats = ", ".join(f"{name} {value:.3f}" for name, value in lm["nats_per_unit"].items())
    calibrated = "calibrated" if lm["calibrated"] else "not calibrated"
    hashed = lm["lm_sha256"][:SHORT]
    return f"reads {lm['lm_units']} units, {hashed}, nats a unit: {nats}; {calibrated}"


def _lines(entries: Mapping[str, Facts]) -> Iterator[str]:
    yield from (f"  {name}: {_line(facts)}" for name, facts in entries.items())


def _line(facts: Facts) -> str:
    shown = [
        f"{key.replace('_', ' ')} {_show(value)}"
        for key, value in facts.items()
        if _tells(key, value)
    ]
    return ", ".join([*([] if facts["complete"] else ["not complete"]), *shown]) or "complete"


def _tells(key: str, value: Any) -> bool:
    return key != "complete" and value is not None and (key, value) != ("skipped", 0)


def _show(value: Any) -> str:
    if isinstance(value, list):
        return " and ".join(value)
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
