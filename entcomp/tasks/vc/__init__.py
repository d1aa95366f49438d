"""Voice conversion: units and another speaker's voice to speech."""

from __future__ import annotations

from entcomp.tasks import TASKS, Task
from entcomp.tasks.vc.info import VcInfo


def _default_config() -> object:
    from entcomp.tasks.vc.config import VcConfig

    return VcConfig()


TASKS.register("vc")(
    Task(
        help="voice conversion, units to speech in another voice",
        info=VcInfo,
        default_config=_default_config,
        files=("durations.json",),
        hub_task="audio-to-audio",
    )
)
