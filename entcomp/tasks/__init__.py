"""Tasks: what models of units or groups learn. Each is one package; see README.md."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from entcomp.artifacts.models import ModelInfo
from entcomp.registry import Registry


@dataclass(frozen=True)
class TaskInfo(ModelInfo):
    """``EXP/<task>/<tag>/task.json``: what any task's model reads, and was trained on.

    ``segments`` is ``raw``, ``dedup``, the tag of a segmentation, what ``--random-rates`` drew, or
    ``learnt12`` where the model groups units itself.
    """

    segments: str
    train_sets: list[str]
    dev_sets: list[str]
    num_clusters: int
    codebook_sha256: str

    @property
    def output(self) -> str:
        """What the model writes, in a word: ``text.fr``, ``speech``."""
        return ""


@dataclass(frozen=True)
class Task:
    """A kind of model, which lies in ``EXP/<task>/<tag>``.

    ``info`` reads its ``task.json``; ``files`` are what a trained model needs beside
    ``config.yaml``, ``task.json`` and ``model.safetensors``. ``metric`` (a name of `METRICS`)
    scores its texts; None where it writes none. ``default_config`` makes its config. ``hub_task``
    is what the Hugging Face hub calls the task, if it has a name there.
    """

    help: str
    info: type[TaskInfo]
    default_config: Callable[[], Any]
    files: tuple[str, ...] = ()
    metric: str | None = None
    hub_task: str | None = None


TASKS: Registry[Task] = Registry("task", "entcomp.tasks", "entcomp.tasks")


def task_of(model: str) -> Task:
    """The task of a model as in ``asr/TAG``. Raises EntcompError for one that is not known."""
    return TASKS[model.partition("/")[0]]


def read_task_info(folder: Path) -> TaskInfo:
    """What the model in ``EXP/<task>/<tag>`` says of itself; see `ModelInfo.read`."""
    return TASKS[folder.parent.name].info.read(folder)
