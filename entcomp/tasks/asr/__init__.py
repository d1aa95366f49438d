"""Recognition: speech units to the words that are said. The model stands in tasks/text."""

from __future__ import annotations

from entcomp.tasks import TASKS, Task
from entcomp.tasks.text.info import TextInfo


def _default_config() -> object:
    from entcomp.tasks.text.config import TextTaskConfig

    return TextTaskConfig()


TASKS.register("asr")(
    Task(
        help="recognition, units to the words that are said",
        info=TextInfo,
        default_config=_default_config,
        files=("text.model",),
        metric="wer",
        hub_task="automatic-speech-recognition",
    )
)
