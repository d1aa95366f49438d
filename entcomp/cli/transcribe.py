"""entcomp transcribe"""

from __future__ import annotations

from entcomp.cli.grouping import Grouping
from entcomp.cli.recordings import Files
from entcomp.cli.speech_to_text import TextOptions, run
from entcomp.cli.spread import spread
from entcomp.pipelines import recognizer


@spread
def transcribe(files: Files, options: TextOptions, grouping: Grouping) -> None:
    """Write the words that are spoken in recordings."""
    run(recognizer.Recognizer, files, options, grouping)
