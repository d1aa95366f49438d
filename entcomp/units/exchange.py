"""import-units and export-units: units of other toolkits in, and ours out."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from entcomp.artifacts.experiment import IMPORTED, Experiment, UnitsInfo
from entcomp.artifacts.hashes import check_same
from entcomp.artifacts.stage import Stage
from entcomp.artifacts.units import Units
from entcomp.audio.decode import count_samples
from entcomp.errors import EntcompError
from entcomp.files import sha256_files, sha256_of
from entcomp.formats.layers import Layers
from entcomp.formats.units import read_units, tsv_ids, write_tsv, write_units
from entcomp.kaldi.ark import ArkWriter
from entcomp.kaldi.datadir import MARKERS, DataDir, set_name
from entcomp.kaldi.table import read_table, write_table
from entcomp.progress import track
from entcomp.skipped import SkippedUtterances, describe_utterances

LONGEST = 10.0  # seconds that a unit may last
log = logging.getLogger(__name__)


def imported_info(
    num_clusters: int,
    frame_shift: float,
    receptive_offset: float,
    sample_rate: int,
    codebook_name: str | None,
    layers: Layers | None = None,
) -> UnitsInfo:
    """What is known of units from elsewhere; times in seconds.

    ``codebook_name`` stands for the codebook that is not there: units of different names, or of
    different ``layers``, do not mix. Raises EntcompError if a time is no whole number of samples.
    """
    samples = []
    for option, seconds in (
        ("--frame-shift", frame_shift),
        ("--receptive-offset", receptive_offset),
    ):
        if not 0 <= seconds < LONGEST:
            raise EntcompError(f"{option} {seconds:g}: expected 0 to {LONGEST:g} seconds")
        samples.append(round(seconds * sample_rate))
        if abs(samples[-1] - seconds * sample_rate) > 1e-6 * sample_rate:
            raise EntcompError(
                f"{option} {seconds:g}: not a whole number of samples at {sample_rate} Hz; give "
                "--sample-rate"
            )
    if samples[0] <= 0:
        raise EntcompError(f"--frame-shift {frame_shift:g}: must be positive")
    codebook = sha256_of([codebook_name, num_clusters]) if codebook_name else ""
    layer = 0
    if layers is not None:
        codebook = sha256_of([codebook_name, num_clusters, layers.chosen])
        num_clusters = layers.num_units
        layer = layers.chosen[0] if len(layers.chosen) == 1 else 0
    return UnitsInfo(IMPORTED, layer, num_clusters, sample_rate, samples[0], samples[1], codebook)


def import_units(
    files: Sequence[Path],
    tsvs: Sequence[Path],
    kind: str,
    data: Path,
    experiment: Experiment,
    info: UnitsInfo,
    skip_bad: bool = False,
    layers: Layers | None = None,
) -> dict[str, Any] | None:
    """Write ``EXP/units/<set>/units.{ark,scp}``; its counts, or None if it was complete.

    The set is named as the folder DATA, which is made, with ``utt2spk`` (each utterance its own
    speaker), where it is not there. Raises EntcompError for what `read_units` does, and if EXP has
    units of another kind.
    """
    folder = experiment.units(set_name(data))
    inputs = {
        "codebook_sha256": info.codebook_sha256,
        "num_clusters": info.num_clusters,
        "source_sha256": _source_sha256([*files, *tsvs]),
        "skip_bad": skip_bad,
    }
    _check_info(experiment, info)
    is_set = any((data / marker).exists() for marker in MARKERS)
    ids = _km_ids(files, tsvs, data) if kind == "km" else None
    if ids is not None:
        inputs["ids_sha256"] = sha256_of(list(ids.values()))
    stage = Stage(folder, inputs, files=("units.scp",), withdrawn=("units.scp",))
    if not is_set and data.exists() and any(data.iterdir()):
        raise EntcompError(f"{data}: not a data dir; name one, or one that is to be made")
    if stage.is_complete():
        return None
    stage.start()
    skipped = SkippedUtterances(skip_bad)
    utt_ids = []
    with ArkWriter(folder, "units") as ark:
        found = read_units(files, kind, info.num_clusters, skipped, ids, layers)
        for utt_id, units in track(found, f"{folder.name}: units"):
            ark.write(utt_id, units)
            utt_ids.append(utt_id)
        if (data / "wav.scp").exists():
            _compare_ids(utt_ids, data)
    if not is_set or _is_by_import(data):
        write_table(data / "utt2spk", ((utt_id, utt_id) for utt_id in utt_ids))
    if not experiment.units_json.exists():
        info.write(experiment.units_json)
    skipped.write(folder / "skipped.txt")
    counts = ark.summary | {"skipped": len(skipped)}
    stage.finish(counts)
    return counts


def _compare_ids(utt_ids: list[str], data: Path) -> None:
    """Say which utterances DATA does not know. Raises EntcompError where it knows none."""
    known = set(DataDir(set_name(data), data).ids())
    strange = [one for one in utt_ids if one not in known]
    if utt_ids and len(strange) == len(utt_ids):
        raise EntcompError(
            f"{data}: has none of the {len(utt_ids)} utterances, as {utt_ids[0]}; name their set"
        )
    if strange:
        found = describe_utterances(strange, "is not there", "are not there")
        log.warning(f"{data}: {found}")


def _is_by_import(data: Path) -> bool:
    """Nothing but ``utt2spk`` of an earlier import is there, which may know fewer utterances."""
    if [one for one in MARKERS if (data / one).exists()] != ["utt2spk"]:
        return False
    return all(utt_id == speaker for utt_id, speaker in read_table(data / "utt2spk").items())


def export_units(data_set: DataDir, experiment: Experiment, kind: str, folder: Path) -> Path:
    """Write ``<set>.km`` and ``<set>.tsv``, ``<set>.txt`` or ``<set>.jsonl``; returns its path.

    Raises EntcompError where units are missing, or for ``km`` their recordings.
    """
    units = Units.open(experiment, data_set.name)
    path = folder / f"{data_set.name}.{'txt' if kind == 'text' else kind}"
    if kind == "km":
        write_tsv(path.with_suffix(".tsv"), _recordings(data_set, units))
    write_units(path, kind, track(units, f"{data_set.name}: {kind}"))
    return path


def _recordings(data_set: DataDir, units: Units) -> Iterator[tuple[str, int]]:
    """Path and samples of those of the utterances that have units."""
    if not (data_set.path / "wav.scp").exists():
        raise EntcompError(f"{data_set.path}: no wav.scp for the .tsv; use --format text")
    recordings = {utterance.utt_id: utterance for utterance in data_set.utterances()}
    for utt_id in units.ids():
        one = recordings.get(utt_id)
        if one is None:
            raise EntcompError(f"{units.scp}: {utt_id} is not in wav.scp; use --format text")
        if one.start is not None or not Path(one.wav).is_file():
            raise EntcompError(
                f"{data_set.path}: {utt_id} is a segment, a command or part of an archive, or not "
                f"there ({one.wav}), so that a .tsv cannot name it; use --format text"
            )
        yield one.wav, count_samples(Path(one.wav))


def _km_ids(files: Sequence[Path], tsvs: Sequence[Path], data: Path) -> dict[Path, list[str]]:
    """Names of the lines of each ``.km``."""
    if len(files) != len(tsvs):
        raise EntcompError(f"{len(files)} .km files and {len(tsvs)} --tsv; give one for each")
    utterances = None
    if (data / "wav.scp").exists():
        utterances = list(DataDir(set_name(data), data).utterances())
    return dict(zip(files, tsv_ids(tsvs, utterances), strict=True))


def _source_sha256(paths: Sequence[Path]) -> str:
    for path in paths:
        if not path.exists():
            raise EntcompError(f"{path}: no such file")
    return sha256_files(paths)


def _check_info(experiment: Experiment, info: UnitsInfo) -> None:
    """All sets of an experiment have units of one kind."""
    path = experiment.units_json
    if not path.exists():
        return
    found = experiment.units_info()
    check_same(info.codebook_sha256, found.codebook_sha256, "codebook", path, "use another EXP")
    for name in ("num_clusters", "frame_shift", "receptive_offset"):
        if getattr(info, name) != getattr(found, name):
            raise EntcompError(
                f"{path}: {name} is {getattr(found, name)} there, not {getattr(info, name)}; use "
                "another EXP"
            )
