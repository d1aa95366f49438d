"""Translation: speech units to text in another language. The model stands in tasks/text."""

from __future__ import annotations

from entcomp.tasks import TASKS, Task
from entcomp.tasks.text.info import TextInfo


def _default_config() -> object:
    """A translation keeps case and punctuation, and is trained without CTC: it is not monotonic."""
    from entcomp.tasks.text.config import TextTaskConfig

    config = TextTaskConfig()
    changes = {
        "vocabulary": config.vocabulary.model_copy(update={"normalizer": "none"}),
        "decoding": config.decoding.model_copy(update={"ctc_weight": 0.0}),
        "ctc_weight": 0.0,
    }
    return config.model_copy(update=changes)


TASKS.register("st")(
    Task(
        help="translation, units to text in another language",
        info=TextInfo,
        default_config=_default_config,
        files=("text.model",),
        metric="bleu",
        hub_task="automatic-speech-recognition",  # the hub has no name for its translation
    )
)
