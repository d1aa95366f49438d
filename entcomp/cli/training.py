"""The options that trainings share, as dataclasses for `spread`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from entcomp.config import parse_changes
from entcomp.kaldi.datadir import DataDir, find_sets

if TYPE_CHECKING:
    from entcomp.training.loop import FitResult


Tag = Annotated[
    str | None, typer.Option(help="Name of the model; by default, from the options that differ.")
]
Init = Annotated[
    str | None,
    typer.Option(
        metavar="TASK/TAG",
        help="Start from the weights of a model of that size, as in asr/TAG or vc/TAG; of text "
        "pieces only if it has the same ones.",
    ),
]


@dataclass(frozen=True)
class Training:
    """What every training takes: sets, a config, and what is said over it."""

    config: Annotated[
        Path | None,
        typer.Option(metavar="YAML", help="See conf/; by default the small model."),
    ] = None
    changes: Annotated[
        list[str],
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Changes the config, as in training.max_steps=100; may be repeated.",
        ),
    ] = ()  # type: ignore[assignment]  # an immutable default
    sets: Annotated[str, typer.Option(metavar="NAMES", help="Sets to train on.")] = "train*"
    dev_sets: Annotated[
        str, typer.Option(metavar="NAMES", help="Validation sets: they choose the checkpoints.")
    ] = "dev*"
    max_steps: Annotated[
        int | None,
        typer.Option(help="Steps to train; a larger number continues a finished training."),
    ] = None
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of weights and batches.")] = None
    devices: Annotated[
        int | None, typer.Option(min=1, help="GPUs, or CPU processes, on each node.")
    ] = None
    num_nodes: Annotated[
        int | None,
        typer.Option(min=1, help="Nodes; if more than one, start a task for each device by srun."),
    ] = None

    def changed(self, **more: Any) -> dict[str, Any]:
        """What the command line says of the config, by dotted keys; ``more`` wins over --set.

        In names of ``more``, two underscores stand for a dot; what is None was not given.
        """
        named = {f"training__{name}": getattr(self, name) for name in TRAINING_KEYS} | more
        given = {name.replace("__", "."): one for name, one in named.items() if one is not None}
        return parse_changes(self.changes) | given

    def find_sets(
        self, data: Path, channel: int | None = None
    ) -> tuple[list[DataDir], list[DataDir]]:
        """Those to train on, and those that decide."""
        return find_sets(data, self.sets, channel), find_sets(data, self.dev_sets, channel)


TRAINING_KEYS = ("max_steps", "seed", "devices", "num_nodes")


def describe(folder: Path, result: FitResult) -> str:
    """One line on what a training came to."""
    metrics = ", ".join(f"{name} {value:.4f}" for name, value in result.metrics.items())
    return f"{folder}: step {result.step}, dev {metrics}"
