"""What models read, as dataclasses for `spread`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from entcomp.segmentation import DEFAULT_CRITERION


@dataclass(frozen=True)
class Compression:
    """How groups become vectors, in every task."""

    pooling: Annotated[
        str | None,
        typer.Option(
            metavar="cale|max|average|attention",
            help="How a group becomes a vector; as in the config, for raw and dedup max.",
        ),
    ] = None
    merge_runs: Annotated[
        bool | None,
        typer.Option(help="Merge equal units within a group into one token with a duration."),
    ] = None

    @property
    def changed(self) -> dict[str, Any]:
        """For `Training.changed`."""
        return {"local__pooling": self.pooling, "merge_runs": self.merge_runs}


@dataclass(frozen=True)
class TextStream:
    """What a recogniser or translator reads."""

    segmentation: Annotated[
        str | None,
        typer.Option(metavar="raw|dedup|TAG", help="Plain units, or groups in EXP/segments."),
    ] = None
    random_rates: Annotated[
        str | None,
        typer.Option(
            metavar="LOW-HIGH", help="A new random rate in Hz for each utterance, as in 7-24."
        ),
    ] = None
    learn_boundaries: Annotated[
        float | None,
        typer.Option(
            metavar="HZ",
            help="Units that the model groups itself, by a boundary predictor that is trained "
            "with it at this rate; see segment --criterion learnt, and 'boundaries' in the config.",
        ),
    ] = None
    criterion: Annotated[
        str | None,
        typer.Option(help=f"Of --random-rates, by default {DEFAULT_CRITERION}; see segment."),
    ] = None
    peaks: Annotated[
        bool,
        typer.Option(
            "--peaks", help="Of --random-rates: only where the score has a local maximum."
        ),
    ] = False
