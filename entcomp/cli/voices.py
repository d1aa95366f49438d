"""The options that convert and synthesize share."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Any

import typer

from entcomp.cli.options import Checkpoint, Seed
from entcomp.tasks.vc.vocoders import describe_vocoders


@dataclass(frozen=True)
class VoiceOptions:
    """How speech is made; what is None is as the model's config says."""

    vocoder: Annotated[str | None, typer.Option(metavar="NAME|PATH", help=describe_vocoders())] = (
        None
    )
    steps: Annotated[int | None, typer.Option(min=1, help="Euler steps.")] = None
    guidance: Annotated[
        float | None, typer.Option(min=0, help="Classifier-free guidance; 0 is none.")
    ] = None
    voice_guidance: Annotated[
        float | None, typer.Option(min=0, help="Guidance towards the voice alone; 0 is none.")
    ] = None
    temperature: Annotated[
        float | None, typer.Option(min=0, help="Standard deviation of the initial noise.")
    ] = None
    sample_rate: Annotated[
        int | None,
        typer.Option(
            "--sample-rate",
            min=1000,
            max=768_000,
            metavar="HZ",
            help="Of the speech; there is nothing above the model's own 8 kHz.",
            show_default="the model's, 22050",
        ),
    ] = None
    checkpoint: Checkpoint = None
    seed: Seed = 0

    @property
    def settings(self) -> dict[str, Any]:
        """Keyword arguments of `VoiceConverter`."""
        return asdict(self)
