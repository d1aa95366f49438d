"""entcomp translate"""

from __future__ import annotations

from entcomp.cli.grouping import Grouping
from entcomp.cli.recordings import Files
from entcomp.cli.speech_to_text import TextOptions, run
from entcomp.cli.spread import spread
from entcomp.pipelines import recognizer


@spread
def translate(files: Files, options: TextOptions, grouping: Grouping) -> None:
    """Write what is said in recordings, in the language that the model was trained on."""
    run(recognizer.Translator, files, options, grouping)
