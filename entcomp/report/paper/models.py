"""Which segmentations and models of an experiment read what a row of the paper's tables reads."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from entcomp.artifacts.experiment import Experiment
from entcomp.config import read_yaml
from entcomp.report.paper.figures import Stream
from entcomp.tasks import TaskInfo, read_task_info
from entcomp.training.config import MACHINE_KEYS

TASKS = ("asr", "st", "vc")  # of the tables
# The commands that follow one that makes groups or a model, from the name of what it made.
Then = Callable[[str], Sequence[str]]


class Missing(Exception):  # noqa: N818 - an empty cell is no error
    """Why a cell is empty: the commands that fill it, or what has to be chosen."""


@dataclass(frozen=True)
class Chosen:
    """An experiment, and what of it stands in the tables.

    ``set_name`` is what was recognised, converted and aligned, ``scores`` the folder of align-eval.
    ``models`` are patterns, as in ``asr/*_seed?``, of those that count.
    """

    experiment: Experiment
    set_name: str
    scores: Path
    models: Sequence[str] = ("*",)


def commands(*lines: str) -> str:
    """As Markdown; a line is a command with its options, less DATA and EXP."""
    return ", ".join(f"`entcomp {line}`" for line in lines)


def find_tag(chosen: Chosen, stream: Stream, known: Collection[str], then: Then) -> str:
    """The segmentation that a row is about: ``raw``, ``dedup`` or a tag.

    Of several that fit, those that a stage has results of (``known``) count, else those that any
    model reads, else all; of these the one that has `segment`'s own name for it. Raises Missing,
    with the commands that come ``then``, if there is none, or no telling which.
    """
    if stream.is_plain:
        return stream.criterion
    find = chosen.experiment.find_segmentation
    found = {tag: find(tag) for tag in chosen.experiment.segmentations()}
    fitting = [tag for tag, info in found.items() if info and stream.fits(info)]
    if not fitting:
        raise Missing(commands(f"segment {stream.options}", *then(stream.tag)))
    if len(fitting) == 1:
        return fitting[0]
    read = {read_task_info(model).segments for task in TASKS for model in _models(chosen, task)}
    candidates = ([tag for tag in fitting if tag in some] for some in (known, read, fitting))
    first = next(filter(None, candidates))
    if stream.tag not in first and len(first) > 1:
        raise Missing(f"{', '.join(first)} all fit; call the one that counts {stream.tag}")
    return stream.tag if stream.tag in first else first[0]


def find_models(chosen: Chosen, task: str, lang: str, stream: Stream, then: Then) -> list[str]:
    """Names, as in ``asr/TAG``, of the models of a row: one, or several that differ by their seed.

    Raises Missing, with the commands that come ``then`` for a model's name, if there is none, or no
    telling which.
    """
    pooling = _own_pooling(stream)

    def training(tag: str) -> list[str]:
        options = f"train-{task} --segmentation {tag}"
        options += f" --pooling {pooling}" if pooling else ""
        options += f" --lang {lang}" if lang else ""
        return [options, *then(f"{task}/" + "_".join(filter(None, (lang, tag, pooling))))]

    trained = {
        name: (info, settings)
        for name, info, settings in _trained(chosen, task)
        if info.output.partition(".")[2] == lang
        and stream.pooling in (None, settings["local"]["pooling"])
    }
    tag = find_tag(chosen, stream, {info.segments for info, _ in trained.values()}, training)
    fitting = {
        name: (settings, info.train_sets)
        for name, (info, settings) in trained.items()
        if info.segments == tag
    }
    if not fitting:
        raise Missing(commands(*training(tag)))
    first, *others = fitting.values()
    if any(one != first for one in others):
        raise Missing(
            f"{', '.join(fitting)} differ in more than their seed; name those that count by "
            "`--models`"
        )
    return list(fitting)


def _own_pooling(stream: Stream) -> str:
    """The pooling, if it is not the default of training."""
    return "" if stream.is_plain or stream.pooling in (None, "cale") else stream.pooling


def _models(chosen: Chosen, task: str) -> Iterator[Path]:
    """Folders of the models that count."""
    for path in sorted(chosen.experiment.path.glob(f"{task}/*/task.json")):
        name = f"{task}/{path.parent.name}"
        if any(fnmatchcase(name, pattern) for pattern in chosen.models):
            yield path.parent


def _trained(chosen: Chosen, task: str) -> Iterator[tuple[str, TaskInfo, dict[Any, Any]]]:
    """Models that count: name, what they say of themselves, settings but for seed and machine."""
    for folder in _models(chosen, task):
        settings = read_yaml(folder / "config.yaml")
        for key in {"seed", *MACHINE_KEYS}:
            settings["training"].pop(key, None)
        yield f"{task}/{folder.name}", read_task_info(folder), settings
