"""How units are to be grouped: one list of options, for all commands that take it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from entcomp.pipelines.tokenizer import Tokenizer
    from entcomp.segmentation.request import Request
    from entcomp.segmentation.rule import Rule

RATE = 15.0  # Hz, where a command has a default

Segments = Annotated[
    str | None,
    typer.Option(metavar="raw|dedup|TAG", help="Groups as a segmentation of the model has them."),
]


@dataclass(frozen=True)
class Grouping:
    """The options of `segment` that say what groups to make; see `Request`."""

    target_rate: Annotated[
        float | None, typer.Option(metavar="HZ", help="Groups a second to aim at.")
    ] = None
    criterion: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="global, relative, combined, peak, bidirectional, or a baseline: dedup, fixed, "
            "uniform, random. The default is what the other options imply, else global.",
        ),
    ] = None
    theta_g: Annotated[float | None, typer.Option(help="Threshold on entropy.")] = None
    theta_r: Annotated[float | None, typer.Option(help="Threshold on its rise.")] = None
    theta_unit: Annotated[
        str,
        typer.Option(
            metavar="UNIT",
            help="paper (9.7 means 7 Hz), nats, bits, normalized (H / ln K) or quantile.",
        ),
    ] = "paper"
    peaks: Annotated[
        bool, typer.Option("--peaks", help="Only at peaks of the bidirectional score.")
    ] = False
    window: Annotated[int | None, typer.Option(metavar="FRAMES", help="Group length of fixed.")] = (
        None
    )
    min_length: Annotated[
        int, typer.Option(metavar="FRAMES", help="No shorter groups but an utterance's last.")
    ] = 1
    max_length: Annotated[int | None, typer.Option(metavar="FRAMES", help="Cut longer groups.")] = (
        None
    )
    seed: Annotated[int, typer.Option(help="Seed of all random choices.")] = 0

    @property
    def is_given(self) -> bool:
        return self != Grouping()

    def request(self, default_rate: float | None = None) -> Request:
        """What is asked for, checked; ``default_rate`` (Hz) where nothing says how much."""
        from entcomp.segmentation.request import STRENGTH, Request, default_criterion

        values = asdict(self)
        criterion = self.criterion or default_criterion(self.theta_g, self.theta_r, self.window)
        values["criterion"] = criterion
        strengths = (self.target_rate, self.theta_g, self.theta_r, self.window)
        if strengths == (None,) * 4 and ("target_rate",) in STRENGTH.get(criterion, ()):
            values["target_rate"] = default_rate
        request = Request(**values)
        request.check()
        return request

    def rule(self, tokenizer: Tokenizer, segments: str | None) -> Rule:
        """The thresholds asked for. Raises EntcompError for ``segments`` and others beside it."""
        from entcomp.errors import EntcompError

        if segments is None:
            return tokenizer.resolve(self.request(RATE))
        if self.is_given:
            raise EntcompError(f"--segmentation {segments}: says all; leave out rate and criterion")
        return tokenizer.stored_rule(segments)
