"""entcomp translate"""

from __future__ import annotations

from entcomp.cli.grouping import Grouping
from entcomp.cli.options import spread
from entcomp.cli.recordings import Files
from entcomp.cli.speech_to_text import TextOptions, run
from entcomp.pipelines.recognizer import Translator


@spread
def translate(files: Files, options: TextOptions, grouping: Grouping) -> None:
    """Write what is said in recordings, in the language that the model was trained on."""
    run(Translator, files, options, grouping)
