"""A trained pipeline in one tar file or folder, and where `--model` finds one.

A pack is laid out as EXP is, so that whatever reads an experiment reads it: the codebook, the LMs,
their calibration with a sample of its entropies, thresholds, recognisers and translators. Beside
them stand README.md, the model card, and manifest.json with the SHA-256 of every file.
"""

from __future__ import annotations

import atexit
import io
import shutil
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

import entcomp
from entcomp.artifacts.calibration import Calibration
from entcomp.artifacts.experiment import DIRECTIONS, Direction, Experiment, entropy_name
from entcomp.artifacts.hashes import check_same
from entcomp.artifacts.models import WEIGHTS
from entcomp.artifacts.stage import Stage, read_stage
from entcomp.errors import EntcompError
from entcomp.files import atomic_path, read_json, sha256_file, write_json
from entcomp.kaldi.ark import ArkWriter, iter_vectors
from entcomp.kaldi.table import read_table, write_table

PRETRAINED = Path(entcomp.__file__).with_name("pretrained")
DEFAULT_MODEL = "moonshine-l3-k500"
MANIFEST = "manifest.json"
CARD = "README.md"
# Of the calibration sets, the entropies that travel along: criteria other than global and relative
# need them to meet a rate.
SAMPLE_UNITS = 1_000_000
LM_FILES = ("config.yaml", "lm.json", WEIGHTS, "model.onnx")
TASK_FILES = ("config.yaml", "task.json", WEIGHTS)


@dataclass(frozen=True)
class Model:
    """An experiment, or a pack of one, and the recogniser or translator in it (``asr/TAG``)."""

    experiment: Experiment
    task: str | None = None

    def of_task(self, kind: str) -> str:
        """The model of a task, as in ``asr/TAG``: the one that was named, or the only one.

        Raises EntcompError for a model of another task, and where it is not said which.
        """
        there = [one for one in trained_tasks(self.experiment) if one.startswith(f"{kind}/")]
        task = self.task or (there[0] if len(there) == 1 else None)
        if task is None or task not in there:
            known = ", ".join(there) or f"none; run train-{kind}"
            raise EntcompError(f"{self.experiment.path}: name one of its {kind} models: {known}")
        return task


def open_model(source: str | Path | None = None) -> Model:
    """The model of a name, a folder or a tar file, its hashes checked.

    ``source`` is an experiment, a pack, the name of a folder in ``entcomp/pretrained``, or any of
    them with ``/TASK/TAG`` at its end, as in ``/asr/raw``; None is the model that comes with
    entcomp. Where a pack holds one task's model, that is its ``task``. Raises EntcompError for
    anything else, and for a pack whose files are not those that its manifest lists.
    """
    path = Path(source or DEFAULT_MODEL)
    experiment = _open_root(path)
    if experiment is not None:
        tasks = trained_tasks(experiment)
        return Model(experiment, tasks[0] if len(tasks) == 1 else None)
    experiment = _open_root(path.parent.parent)
    if experiment is not None:
        return Model(experiment, check_task(experiment, f"{path.parent.name}/{path.name}"))
    if source is None:
        raise EntcompError(
            f"{PRETRAINED / DEFAULT_MODEL}: no model comes with this installation; pass --model "
            "with an experiment or a pack, or train one by egs/speechocean762/run.sh"
        )
    there = ", ".join(one.parent.name for one in sorted(PRETRAINED.glob(f"*/{MANIFEST}"))) or "none"
    raise EntcompError(
        f"{source}: neither an experiment, nor a pack, nor a model that comes with entcomp "
        f"({there}), nor one of these with /TASK/TAG at its end, as in /asr/raw"
    )


def trained_tasks(experiment: Experiment) -> list[str]:
    """Models of any task in an experiment, as in ``asr/raw``."""
    found = experiment.path.glob("*/*/task.json")
    return sorted(f"{path.parents[1].name}/{path.parent.name}" for path in found)


def default_segmentation(experiment: Experiment) -> str | None:
    """The tag that a pack's maker chose for users who name none; None where nobody chose.

    Raises EntcompError where the pack has no such segmentation.
    """
    path = experiment.path / MANIFEST
    tag = read_json(path).get("default") if path.exists() else None
    if tag is not None and tag not in experiment.segmentations():
        raise EntcompError(f"{path}: no segmentation {tag}; pack it again, or fetch it again")
    return tag


def check_task(experiment: Experiment, task: str) -> str:
    """Raises EntcompError unless ``task`` was trained in the experiment."""
    there = trained_tasks(experiment)
    if task not in there:
        kind = task.partition("/")[0]
        known = ", ".join(there) or f"none; train one first, as by train-{kind}"
        raise EntcompError(f"{experiment.path / task}: no such model; available: {known}")
    return task


def pack(
    experiment: Experiment,
    output: Path,
    tags: Sequence[str],
    tasks: Mapping[str, Sequence[str]],
    card: str,
    default: str | None = None,
) -> dict[str, int]:
    """Write a tar file, or a folder where ``output`` does not end in ``.tar``; bytes by file.

    ``tags`` name thresholds in EXP/segments, ``tasks`` models as in ``asr/TAG``, with the files
    that each needs beside `TASK_FILES`; ``card`` is the model card; ``default`` the tag that is
    meant where a user names none. Equal experiments give equal bytes. Raises EntcompError for what
    is missing, or was made with another codebook or LM, and for an ``output`` that is something
    else than a pack.
    """
    output = output.absolute()
    _check_output(experiment, output)
    with tempfile.TemporaryDirectory() as folder:
        root = Experiment(Path(folder))
        for source in _sources(experiment, tags, tasks):
            target = root.path / source.relative_to(experiment.path)
            target.parent.mkdir(parents=True, exist_ok=True)
            _copy(source, target)
        for direction in DIRECTIONS:
            if root.calibration(direction).exists():
                _sample_entropies(experiment, root, direction)
        (root.path / CARD).write_text(card, encoding="utf-8")
        files = {name: sha256_file(root.path / name) for name in _names(root.path)}
        _check_hashes(root, files)
        manifest = {"entcomp": entcomp.__version__, "default": default, "files": files}
        write_json(root.path / MANIFEST, manifest)
        _write(root.path, output)
        return {name: (root.path / name).stat().st_size for name in _names(root.path)}


def _sources(
    experiment: Experiment, tags: Sequence[str], tasks: Mapping[str, Sequence[str]]
) -> Iterator[Path]:
    """All files that are taken over as they are."""
    yield from (experiment.codebook, experiment.units_json)
    if (manifest := experiment.codebook.with_name("stage.json")).exists():
        yield manifest  # it names the extractor's checkpoint
    for direction in DIRECTIONS:
        if (folder := experiment.lm(direction)).is_dir():
            yield from (folder / name for name in LM_FILES)
            if (calibration := experiment.calibration(direction)).exists():
                yield calibration
    yield from (experiment.threshold(tag) for tag in tags)
    for task, files in tasks.items():
        yield from (experiment.path / task / name for name in (*TASK_FILES, *files))


def _copy(source: Path, target: Path) -> None:
    try:
        shutil.copyfile(source, target)
    except FileNotFoundError:
        raise EntcompError(f"{source}: no such file; run the stage that makes it first") from None


def _sample_entropies(experiment: Experiment, root: Experiment, direction: Direction) -> None:
    """The first entropies of each calibration set, with the manifest that names their LM."""
    name, manifest = entropy_name(direction), entropy_name(direction, "stage")
    sets = Calibration.read(experiment.calibration(direction)).sets
    for set_name in sets:
        folder = root.entropy(set_name)
        with ArkWriter(folder, name) as ark:
            for utt_id, entropy in iter_vectors(experiment.entropy(set_name) / f"{name}.scp"):
                ark.write(utt_id, entropy)
                if ark.frames >= SAMPLE_UNITS // len(sets):
                    break
        # Without the folder, which is another one at every run and at every place.
        entries = read_table(ark.scp).items()
        write_table(ark.scp, ((utt_id, Path(entry).name) for utt_id, entry in entries))
        inputs = read_stage(experiment.entropy(set_name), manifest)["inputs"]
        Stage(folder, inputs, manifest).finish(ark.summary)


def _check_hashes(root: Experiment, files: Mapping[str, str]) -> None:
    """Raises EntcompError unless everything goes back to one codebook and the LMs at hand.

    ``files``: hashes of all files by name.
    """

    def hash_of(path: Path) -> str:
        return files[path.relative_to(root.path).as_posix()]

    hashes = {"codebook_sha256": hash_of(root.codebook)}
    for direction, key in zip(DIRECTIONS, ("lm_sha256", "lm_backward_sha256"), strict=True):
        weights = root.lm(direction) / WEIGHTS
        if weights.exists():
            hashes[key] = hash_of(weights)
            _check(weights.with_name("lm.json"), hashes | {"lm_sha256": hashes[key]})
        if root.calibration(direction).exists():
            _check(root.calibration(direction), hashes | {"lm_sha256": hashes[key]})
    others = ("units/units.json", "segments/*/threshold.json", "*/*/task.json")
    for path in (path for pattern in others for path in root.path.glob(pattern)):
        _check(path, hashes)


def _check(path: Path, hashes: dict[str, str]) -> None:
    stored = read_json(path)
    for key, expected in hashes.items():
        what = "codebook" if key == "codebook_sha256" else "LM"
        where = Path(*path.parts[-3:])
        check_same(expected, stored.get(key), what, where, "rerun the stage that makes it")


def _check_output(experiment: Experiment, output: Path) -> None:
    """A folder is replaced as a whole; so it must be a pack, or nothing yet."""
    if output.suffix in (".gz", ".tgz", ".zip"):
        raise EntcompError(f"{output}: packs are folders or .tar files; name it so")
    if not output.exists() or (output.suffix == ".tar" and output.is_file()):
        return
    is_pack = output.suffix != ".tar" and output.is_dir() and (output / MANIFEST).exists()
    is_empty = output.suffix != ".tar" and output.is_dir() and not any(output.iterdir())
    if not (is_pack or is_empty) or output.resolve() == experiment.path.resolve():
        raise EntcompError(f"{output}: something else than a pack is there; name another OUT")


def _write(root: Path, output: Path) -> None:
    if output.suffix != ".tar":
        temporary, older = (output.with_name(f".{output.name}.{one}") for one in ("tmp", "old"))
        for left in (temporary, older):  # by a run that was killed
            shutil.rmtree(left, ignore_errors=True)
        shutil.copytree(root, temporary)
        if output.exists():  # as a whole: half a pack would be taken for an experiment
            output.rename(older)
        temporary.rename(output)
        shutil.rmtree(older, ignore_errors=True)
        return
    with atomic_path(output) as temporary, tarfile.open(temporary, "w") as archive:
        for name in [MANIFEST, *_names(root)]:
            content = (root / name).read_bytes()
            entry = tarfile.TarInfo(name)  # of no owner and no time: equal content, equal bytes
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


def _names(root: Path) -> list[str]:
    """All files but the manifest, sorted."""
    files = (path for path in root.rglob("*") if path.is_file())
    names = (path.relative_to(root).as_posix() for path in files)
    return sorted(name for name in names if name != MANIFEST)


def _open_root(path: Path) -> Experiment | None:
    """The experiment in a tar file or a folder, or None where there is none."""
    if path.suffix == ".tar" and path.is_file():
        stat = path.stat()
        return Experiment(_unpack(path.resolve(), stat.st_mtime_ns, stat.st_size))
    for folder in (path, PRETRAINED / path):
        if (folder / MANIFEST).exists():
            _verify(folder, folder)
        if Experiment(folder).units_json.exists():
            return Experiment(folder)
    return None


@cache
def _unpack(path: Path, *_changes: int) -> Path:
    """Unpack a tar file to a folder that lives as long as the program, and verify it."""
    folder = Path(tempfile.mkdtemp(prefix="entcomp-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    try:
        with tarfile.open(path, "r:") as archive:
            for member in archive:
                _extract(archive, member, folder, path)
    except (tarfile.TarError, OSError, ValueError, OverflowError) as error:
        raise EntcompError(f"{path}: not a pack ({error}); make it again by entcomp pack") from None
    _verify(folder, path)
    return folder


def _extract(archive: tarfile.TarFile, member: tarfile.TarInfo, folder: Path, where: Path) -> None:
    """Only plain files, and only inside of the folder."""
    name = PurePosixPath(member.name)
    content = archive.extractfile(member) if member.isfile() else None
    if content is None or name.is_absolute() or ".." in name.parts:
        raise EntcompError(f"{where}: {name}: not a plain file in this pack; do not trust it")
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    with content, open(target, "wb") as stream:
        shutil.copyfileobj(content, stream)


def _verify(folder: Path, where: Path) -> None:
    """The model card apart, which people edit on a hub, and what a hub adds (.gitattributes)."""
    try:
        files: Any = read_json(folder / MANIFEST).get("files", {})
    except EntcompError:
        files = None
    if not isinstance(files, dict):
        raise EntcompError(f"{where}: no {MANIFEST}, or none that can be read; pack it again")
    found = {name: sha256_file(folder / name) for name in _names(folder)}
    for name in sorted({*files, *found} - {CARD, ".gitattributes"}):
        if files.get(name) != found.get(name):
            raise EntcompError(
                f"{where}: {name}: not as it was packed; pack it again, or fetch it again"
            )
