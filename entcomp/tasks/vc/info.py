"""What a voice converter says of itself."""

from __future__ import annotations

from dataclasses import dataclass

from entcomp.tasks import TaskInfo

# What score-vc judges beside models, and its folder among theirs.
RESERVED = ("source", "resynthesis", "scores")


@dataclass(frozen=True)
class VcInfo(TaskInfo):
    """``EXP/vc/<tag>/task.json``."""

    @property
    def output(self) -> str:
        return "speech"
