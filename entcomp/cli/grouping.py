"""How units are to be grouped: one list of options, for all commands that take it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from entcomp.config import parse_pairs
from entcomp.errors import EntcompError
from entcomp.segmentation import DEFAULT_CRITERION, DEFAULT_RATE
from entcomp.segmentation.criteria import describe_criteria
from entcomp.segmentation.request import Request

if TYPE_CHECKING:
    from entcomp.pipelines.tokenizer import Tokenizer
    from entcomp.segmentation.rule import Rule


Segments = Annotated[
    str | None,
    typer.Option(metavar="raw|dedup|TAG", help="Groups as a segmentation of the model has them."),
]


def _criteria_help() -> str:
    """A paragraph for each criterion."""
    first = f"By default what the other options imply, else {DEFAULT_CRITERION}:"
    return "\n\n".join([first, *(f"{name}: {line}" for name, line in describe_criteria())])


@dataclass(frozen=True)
class Grouping:
    """The options of `segment` that say what groups to make; see `Request`."""

    target_rate: Annotated[
        float | None, typer.Option(metavar="HZ", help="Groups a second to aim at.")
    ] = None
    criterion: Annotated[
        str | None,
        typer.Option(metavar="NAME", help=_criteria_help()),
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
        bool,
        typer.Option(
            "--peaks",
            help="Of --criterion bidirectional: only where the score peaks.",
        ),
    ] = False
    window: Annotated[
        int | None, typer.Option(metavar="FRAMES", help="Group length, where all are equal.")
    ] = None
    min_length: Annotated[
        int, typer.Option(metavar="FRAMES", help="No shorter groups but an utterance's last.")
    ] = 1
    max_length: Annotated[int | None, typer.Option(metavar="FRAMES", help="Cut longer groups.")] = (
        None
    )
    boundary: Annotated[
        Literal["first", "last"],
        typer.Option(
            metavar="first|last",
            help="A unit that fires is the first of its group, or the last: section 3.3 of the "
            "paper to the letter. --min-length and --max-length hold for the groups that result.",
        ),
    ] = "first"
    match_rate: Annotated[
        Literal["set", "speaker", "utterance"] | None,
        typer.Option(
            metavar="set|speaker|utterance",
            help="Resolve thresholds on each, so that it has the rate; not on the calibration set.",
        ),
    ] = None
    seed: Annotated[int, typer.Option(min=0, help="Seed of all random choices.")] = 0
    option: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="An option of the criterion's own; repeatable."),
    ] = None

    @property
    def is_given(self) -> bool:
        return self != Grouping()

    def request(self, default_rate: float | None = None, default: Request | None = None) -> Request:
        """What is asked for, checked; the defaults are those of `Request.make`."""
        values = asdict(self)
        options = parse_pairs(values.pop("option") or (), "--option", "NAME=VALUE")
        return Request.make(default_rate=default_rate, default=default, **values, options=options)

    def rule(self, tokenizer: Tokenizer, segments: str | None) -> Rule:
        """The thresholds asked for, or else the model's own, made as the other options say.

        Raises EntcompError for ``segments`` and others beside it.
        """
        if self.match_rate == "speaker":
            raise EntcompError("--match-rate speaker: who speaks is not known; give set, utterance")
        if segments is None and not self.is_given:
            return tokenizer.default_rule()
        if segments is None:
            return tokenizer.resolve(self.request(DEFAULT_RATE, tokenizer.default_request()))
        if self.is_given:
            raise EntcompError(
                f"--segmentation {segments}: leave out rate and criterion: it has its own"
            )
        return tokenizer.stored_rule(segments)
