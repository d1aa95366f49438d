"""What a recogniser or translator says of itself."""

from __future__ import annotations

from dataclasses import dataclass

from entcomp.tasks import TaskInfo


@dataclass(frozen=True)
class TextInfo(TaskInfo):
    """``EXP/{asr,st}/<tag>/task.json``.

    ``target`` is the text's file, ``text`` or ``text.<lang>``; ``frame_shift`` is in seconds.
    """

    task: str
    target: str
    frame_shift: float

    @property
    def output(self) -> str:
        return self.target
