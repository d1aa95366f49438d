#!/usr/bin/env python3
"""Data dirs of HuBERT units of VCTK and LJSpeech: train, dev, test_vctk and test_lj.

Of LJSpeech alone, which has TextGrids, there are train_lj and dev_lj besides.

    local/prepare_data.py SOURCE DATA

SOURCE holds vctk and lj_val, each with units.txt, text and utt2spk. Of VCTK the speakers are dealt
out, by the hash of their name: 10 for the test, 2 for dev. Of LJSpeech, which has one, every second
utterance is for the test, and every twentieth for dev. Many of VCTK's speakers read the same
sentences: one that several sets have stays where most read it, and the others lose it. What is left
out stands in DATA/skipped.txt.
"""

from __future__ import annotations

import argparse
import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from entcomp.artifacts.stage import Stage
from entcomp.errors import EntcompError
from entcomp.files import sha256_files
from entcomp.kaldi.table import read_table, write_table
from entcomp.skipped import SkippedUtterances

TABLES = ("units.txt", "text", "utt2spk")
TEST_SPEAKERS, DEV_SPEAKERS = 10, 2
SETS = ("test_vctk", "test_lj", "dev", "train")
LJ_PARTS = ("train_lj", "dev_lj")
FRAME_SHIFT = 0.02  # seconds


@dataclass(frozen=True)
class Utterance:
    """Its units as in the file, its speaker and its words."""

    units: str
    speaker: str
    text: str

    @property
    def sentence(self) -> str:
        """Letters and digits alone: what is equal of sentences that are spelt differently."""
        return "".join(re.findall(r"\w", self.text.casefold()))


def main() -> None:
    parser = argparse.ArgumentParser(description="Data dirs of HuBERT units.")
    parser.add_argument("source", type=Path)
    parser.add_argument("data", type=Path)
    arguments = parser.parse_args()
    prepare(arguments.source, arguments.data)


def prepare(source: Path, data: Path) -> None:
    """Write the data dirs, and print what is in them."""
    files = [source / corpus / table for corpus in ("vctk", "lj_val") for table in TABLES]
    for path in files:
        if not path.exists():
            raise EntcompError(f"{path}: no such file; --source is the folder of vctk and lj_val")
    stage = Stage(data, {"source_sha256": sha256_files(files), "sets": [*SETS, *LJ_PARTS]})
    if stage.is_complete():
        print(f"{data}: complete, skipped")
        return
    stage.start()
    skipped = SkippedUtterances(skip_bad=True)
    vctk, lj = (read_corpus(source / name, skipped) for name in ("vctk", "lj_val"))
    utterances = vctk | lj
    sets = keep_sentences_apart(split_speakers(vctk) | split_in_turn(lj), utterances, skipped)
    for name in SETS:
        chosen = {utt_id: utterances[utt_id] for utt_id in sorted(sets) if sets[utt_id] == name}
        write_set(data / name, chosen)
        if (part := f"{name}_lj") in LJ_PARTS:
            write_set(data / part, {utt_id: chosen[utt_id] for utt_id in chosen if utt_id in lj})
    skipped.write(data / "skipped.txt")
    reasons = Counter(skipped.reasons.values()).most_common()
    listed = ", ".join(f"{count} {reason}" for reason, count in reasons)
    print(f"{data / 'skipped.txt'}: {len(skipped)} utterances left out ({listed or 'none'})")
    stage.finish({"utterances": len(sets)})


def read_corpus(folder: Path, skipped: SkippedUtterances) -> dict[str, Utterance]:
    """By id; an utterance without units, text or speaker is skipped."""
    units, texts, speakers = (read_table(folder / table) for table in TABLES)
    found = {}
    for utt_id in sorted(units.keys() | texts.keys()):
        if utt_id not in texts:
            skipped.add(utt_id, "without a text")
        elif utt_id not in units:
            skipped.add(utt_id, "without units")
        elif utt_id not in speakers:
            skipped.add(utt_id, "without a speaker")
        else:
            text = texts[utt_id]
            # Some of VCTK's sentences end in a bracket that nobody opened.
            text = text if "(" in text else text.removesuffix(")").strip()
            found[utt_id] = Utterance(units[utt_id], speakers[utt_id], text)
    return found


def split_speakers(utterances: Mapping[str, Utterance]) -> dict[str, str]:
    """Utterance to set: the first hashes are the test's speakers, the next ones dev's."""
    speakers = {one.speaker for one in utterances.values()}
    if len(speakers) <= TEST_SPEAKERS + DEV_SPEAKERS:
        raise EntcompError(
            f"vctk: {len(speakers)} speakers are too few for {TEST_SPEAKERS} test and "
            f"{DEV_SPEAKERS} dev; take more of the corpus"
        )
    order = sorted(speakers, key=lambda one: hashlib.sha256(one.encode()).hexdigest())
    held_back = ["test_vctk"] * TEST_SPEAKERS + ["dev"] * DEV_SPEAKERS
    names = dict(zip(order, held_back, strict=False))
    return {utt_id: names.get(one.speaker, "train") for utt_id, one in utterances.items()}


def split_in_turn(utterances: Mapping[str, Utterance]) -> dict[str, str]:
    """Utterance to set, by its place: 2, 4, 6, ... to the test, 1, 21, 41, ... to dev."""
    turns = dict.fromkeys(range(1, 20, 2), "test_lj") | {0: "dev"}
    return {utt_id: turns.get(place % 20, "train") for place, utt_id in enumerate(utterances)}


def keep_sentences_apart(
    sets: Mapping[str, str], utterances: Mapping[str, Utterance], skipped: SkippedUtterances
) -> dict[str, str]:
    """Those of ``sets`` whose sentence stays in its set: where most read it, else not in train."""
    readers: dict[str, Counter[str]] = defaultdict(Counter)
    for utt_id, name in sets.items():
        readers[utterances[utt_id].sentence][name] += 1
    kept = {}
    for utt_id, name in sets.items():
        counts = readers[utterances[utt_id].sentence]
        home = max(SETS, key=lambda one: counts[one])  # the first of equals
        if name == home:
            kept[utt_id] = name
        else:
            skipped.add(utt_id, f"of {name} that {home} has, too")
    return kept


def write_set(folder: Path, utterances: Mapping[str, Utterance]) -> None:
    for table, field in zip(TABLES, ("units", "text", "speaker"), strict=True):
        rows = ((utt_id, getattr(one, field)) for utt_id, one in utterances.items())
        write_table(folder / table, rows)
    speakers = {one.speaker for one in utterances.values()}
    units = sum(len(one.units.split()) for one in utterances.values())
    print(
        f"{folder}: {len(utterances)} utterances of {len(speakers)} speakers, "
        f"{units * FRAME_SHIFT / 3600:.2f} h"
    )


if __name__ == "__main__":
    try:
        main()
    except EntcompError as error:
        raise SystemExit(f"prepare_data.py: error: {error}") from None
