#!/usr/bin/env python3
"""Translations of English data dirs by Apertium, as references: SET/text.es, SET/text.ca.

    local/translate.py --apertium COMMAND --lang es SET...

An utterance is a paragraph, so that sentences begin and end with it. Apertium leaves the words that
it does not know in English.
"""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path

from entcomp.artifacts.stage import Stage
from entcomp.errors import EntcompError
from entcomp.files import sha256_file, sha256_of
from entcomp.kaldi.table import read_table, write_table

DIRECTIONS = {"es": "eng-spa", "ca": "eng-cat"}


def main() -> None:
    parser = argparse.ArgumentParser(description="Translations of English data dirs by Apertium.")
    parser.add_argument("sets", type=Path, nargs="+", metavar="SET")
    parser.add_argument("--apertium", required=True, metavar="COMMAND")
    parser.add_argument("--lang", required=True, choices=list(DIRECTIONS))
    arguments = parser.parse_args()
    command = [arguments.apertium, "-f", "txt", "-u", DIRECTIONS[arguments.lang]]
    for folder in arguments.sets:
        translate_set(folder, arguments.lang, command)


def translate_set(folder: Path, lang: str, command: list[str]) -> None:
    """Write ``text.<lang>``, unless that was done from the same text."""
    target = folder / f"text.{lang}"
    inputs = {"text_sha256": sha256_file(folder / "text"), "command": command}
    stage = Stage(folder, inputs, f"text_{lang}")
    if stage.is_complete() and target.exists():
        print(f"{target}: complete, skipped")
        return
    stage.start()
    texts = read_table(folder / "text")
    translations = translate(list(texts.values()), command)
    write_table(target, zip(texts, translations, strict=True))
    stage.finish({"utterances": len(texts), "sha256": sha256_of(translations)})
    print(f"{target}: {len(texts)} utterances")


def translate(texts: list[str], command: list[str]) -> list[str]:
    """Each text by itself. Raises EntcompError if the command fails, or loses one."""
    try:
        done = subprocess.run(
            command, input="\n\n".join(texts) + "\n", capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise EntcompError(
            f"{command[0]}: {error.strerror}; run tools/install_apertium.sh"
        ) from None
    if done.returncode != 0:
        raise EntcompError(f"{' '.join(command)}: {done.stderr.strip() or done.returncode}")
    found = [" ".join(one.split()) for one in done.stdout.strip("\n").split("\n\n")]
    if len(found) != len(texts) or not all(found):
        raise EntcompError(
            f"{' '.join(command)}: {len(found)} paragraphs, some of them perhaps empty, for "
            f"{len(texts)} texts; is it Apertium 3.8?"
        )
    return found


if __name__ == "__main__":
    try:
        main()
    except EntcompError as error:
        raise SystemExit(f"translate.py: error: {error}") from None
