"""Which segmentations and models of an experiment read what a row of the paper's tables reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from entcomp.artifacts.experiment import Experiment
from entcomp.config import read_yaml
from entcomp.report.paper.figures import Stream
from entcomp.tasks import TaskInfo, read_task_info
from entcomp.training.config import MACHINE_KEYS


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


def find_tag(experiment: Experiment, stream: Stream, *then: str) -> str:
    """The segmentation that a row is about: ``raw``, ``dedup`` or a tag.

    Raises Missing, with the commands that come ``then``, if there is none, or no telling which.
    """
    if stream.is_plain:
        return stream.criterion
    found = {tag: experiment.find_segmentation(tag) for tag in experiment.segmentations()}
    fitting = [tag for tag, info in found.items() if info and stream.fits(info)]
    if not fitting:
        raise Missing(commands(f"segment {stream.options}", *then))
    if stream.tag not in fitting and len(fitting) > 1:
        raise Missing(f"{', '.join(fitting)} all fit; call the one that counts {stream.tag}")
    return stream.tag if stream.tag in fitting else fitting[0]


def default_model(task: str, lang: str, stream: Stream) -> str:
    """What training calls a model of this stream, as in ``st/fr_fixed2_max``."""
    return f"{task}/" + "_".join(filter(None, (lang, stream.tag, _own_pooling(stream))))


def find_models(chosen: Chosen, task: str, lang: str, stream: Stream, *then: str) -> list[str]:
    """Names, as in ``asr/TAG``, of the models of a row: one, or several that differ by their seed.

    Raises Missing, with the commands that come ``then``, if there is none, or no telling which.
    """
    options = f"train-{task} --segmentation {stream.tag}"
    options += "".join(f" --pooling {one}" for one in [_own_pooling(stream)] if one)
    options += f" --lang {lang}" if lang else ""
    tag = find_tag(chosen.experiment, stream, options, *then)
    fitting: dict[str, Any] = {}
    for name, info, settings in _trained(chosen, task):
        pooling = settings["local"]["pooling"]
        own_lang = info.output.partition(".")[2]
        if (info.segments, own_lang) == (tag, lang) and stream.pooling in (None, pooling):
            fitting[name] = settings, info.train_sets
    if not fitting:
        raise Missing(commands(options, *then))
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


def _trained(chosen: Chosen, task: str) -> Iterator[tuple[str, TaskInfo, dict[Any, Any]]]:
    """Models that count: name, what they say of themselves, settings but for seed and machine."""
    for path in sorted(chosen.experiment.path.glob(f"{task}/*/task.json")):
        name = f"{task}/{path.parent.name}"
        if any(fnmatchcase(name, pattern) for pattern in chosen.models):
            settings = read_yaml(path.parent / "config.yaml")
            for key in {"seed", *MACHINE_KEYS}:
                settings["training"].pop(key, None)
            yield name, read_task_info(path.parent), settings
