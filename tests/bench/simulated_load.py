"""Time and peak memory of what grows with the corpus, on made-up files of its size.

    python tests/bench/simulated_load.py FOLDER [--utterances 11000000] [--hours 500]
        [--training 1000000]

FOLDER receives about 10 GB, which stay there for another run, and 0.4 GB more for a while. Each
line of the table is a process of its own; those of trainings end before their first step, and leave
SentencePiece out.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[1]))

from fake_experiment import Fake, write_calibration

from entcomp.artifacts.experiment import Experiment, UnitsInfo
from entcomp.artifacts.shard import Shard
from entcomp.artifacts.stage import Stage
from entcomp.kaldi.ark import ArkWriter

SHARDS = 8
SECONDS = 14.8  # of an utterance of MLS English
FRAME_RATE = 50
GROUP_RATE = 15
LETTERS = 230  # of a text
BLOCK = 2_000  # utterances made at once
CODE = {
    "wav.scp, one after the other": "from entcomp.kaldi.datadir import find_sets\n"
    "print(sum(1 for _ in find_sets(data / 'many')[0].utterances()))",
    "wav.scp as a dict": "from entcomp.kaldi.table import read_table\n"
    "print(len(read_table(data / 'many/wav.scp')))",
    "units.scp and its archives": "from entcomp.kaldi.ark import iter_vectors\n"
    "print(sum(1 for _ in iter_vectors(exp / 'units/many/units.scp')))",
    "packing units for the LM": "from entcomp.artifacts.experiment import Experiment\n"
    "from entcomp.artifacts.units import Units\n"
    "from entcomp.lm.corpus import pack_corpus\n"
    "units = Units.open(Experiment(exp), 'many')\n"
    "print(len(pack_corpus([units], 'raw', exp / 'packed', 'train', False)))",
}

TRAINING = {
    "corpus and a batch of train-asr": "from simulated_load import *; read_for_asr(data, exp)",
    "corpus of train-vc": "from simulated_load import *; read_for_vc(data, exp)",
}


def utt_id_of(number: int) -> str:
    """As long as those of MLS."""
    return f"{number // 500:06d}_{number // 100:06d}_{number:09d}"


def make_many(data: Path, experiment: Experiment, utterances: int) -> None:
    """``wav.scp`` of so many utterances, and the shards of their units, two for each.

    One after the other: what this process holds would count as its children's memory.
    """
    (data / "many").mkdir(parents=True)
    with open(data / "many/wav.scp", "w", encoding="utf-8") as stream:
        for utt_id in map(utt_id_of, range(utterances)):
            reader, book, _ = utt_id.split("_")
            path = f"/corpora/mls_english_opus/train/audio/{reader}/{book}/{utt_id}.opus"
            stream.write(f"{utt_id} {path}\n")
    units = np.array([3, 7], np.int32)
    folder = experiment.units("many")
    for index in range(1, SHARDS + 1):
        shard = Shard(index, SHARDS)
        with ArkWriter(folder, f"units{shard.suffix}") as ark:
            for number in range(*shard.bounds(utterances)):
                ark.write(utt_id_of(number), units)
        Stage(folder, {"codebook_sha256": "c0de"}, f"stage{shard.suffix}").finish(ark.summary)


def entropies(hours: float) -> Iterator[tuple[str, np.ndarray]]:
    """Utterances of 14.8 s; a long tail, below ln 500."""
    generator = np.random.default_rng(0)
    length = round(SECONDS * FRAME_RATE)
    for first in range(0, round(hours * 3600 / SECONDS), BLOCK):
        block = np.minimum(generator.gamma(2.0, 0.7, (BLOCK, length)), 6.2).astype(np.float32)
        for number, row in enumerate(block, start=first):
            yield f"utt{number:09d}", row


def make_training(data: Path, experiment: Experiment, utterances: int) -> None:
    """Units, groups, texts and voices of so many utterances, of the same length and content."""
    frames, groups = (round(SECONDS * rate) for rate in (FRAME_RATE, GROUP_RATE))
    folder = data / "training"
    folder.mkdir()
    row = np.bincount(np.arange(frames) * groups // frames).astype(np.int32)
    places = [experiment.units("training"), experiment.segments("rate15") / "training"]
    with (
        ArkWriter(places[0], "units") as units_ark,
        ArkWriter(places[1], "groups") as groups_ark,
        ArkWriter(experiment.voices("training"), "speaker") as voices_ark,
        open(folder / "wav.scp", "w", encoding="utf-8") as wavs,
        open(folder / "utt2spk", "w", encoding="utf-8") as speakers,
        open(folder / "text", "w", encoding="utf-8") as texts,
    ):
        for number, utt_id in enumerate(map(utt_id_of, range(utterances))):
            units_ark.write(utt_id, (np.arange(frames) + number).astype(np.int32) % 500)
            groups_ark.write(utt_id, row)
            voices_ark.write(utt_id, np.full(256, 1 / 16, np.float32))
            wavs.write(f"{utt_id} /corpora/mls_english_opus/train/audio/{utt_id}.opus\n")
            speakers.write(f"{utt_id} {utt_id.split('_')[0]}\n")
            texts.write(f"{utt_id} {('b' * 4 + ' ') * (LETTERS // 5)}\n")


def make_long(fake: Fake, hours: float) -> None:
    """Entropies of so many hours, and their calibration, on a part of them."""
    folder = fake.experiment.entropy("long")
    (fake.data / "long").mkdir()
    (fake.data / "long/text").write_text("utt x\n")
    stage = Stage(folder, {"codebook_sha256": "c0de", "lm_sha256": "lm_forward"})
    stage.start()
    part = {}
    with ArkWriter(folder, "entropy") as ark:
        for utt_id, row in entropies(hours):
            ark.write(utt_id, row)
            if len(part) < BLOCK:
                part[utt_id] = row
    stage.finish(ark.summary)
    fake.entropies["forward"]["long"] = part
    write_calibration(fake, "long", "forward")


def read_for_asr(data: Path, exp: Path) -> None:
    """What train-asr makes of its training set, up to a batch; without the vocabulary's pieces."""
    from entcomp.kaldi.datadir import find_sets
    from entcomp.skipped import SkippedUtterances
    from entcomp.tasks.text.config import TextTaskConfig
    from entcomp.tasks.text.corpus import (
        Corpus,
        RowDecoder,
        SegmentedStreams,
        read_rows,
        read_texts,
    )
    from entcomp.tasks.text.data import TextBatches
    from entcomp.tasks.text.vocabulary import Vocabulary
    from entcomp.training.utterances import stored_datasets

    config = TextTaskConfig()
    char = config.vocabulary.model_copy(update={"kind": "char"})
    (one,) = find_sets(data, "training")
    source = SegmentedStreams(Experiment(exp), "rate15")
    texts = read_texts(one, "text", str.strip, SkippedUtterances(False))
    rows = read_rows(source, one.name, texts, config.longest)
    with stored_datasets(exp / "asr", rows, [], make=RowDecoder(source)) as (utterances, _):
        vocabulary = Vocabulary.train(["a b"], char)
        TextBatches(Corpus(utterances), vocabulary, config, mask=500).batch(0)


def read_for_vc(data: Path, exp: Path) -> None:
    """What train-vc makes of its training set, up to a target and its prompts."""
    from entcomp.kaldi.datadir import find_sets
    from entcomp.tasks.vc.config import VcConfig
    from entcomp.tasks.vc.content import FrameMap
    from entcomp.tasks.vc.corpus import RowDecoder, read_rows
    from entcomp.tasks.vc.dataset import VcBatches
    from entcomp.training.utterances import stored_datasets

    experiment, config = Experiment(exp), VcConfig()
    (one,) = find_sets(data, "training")
    voices = experiment.voices(one.name) / "speaker.scp"
    rows = read_rows(experiment, one, "rate15", voices)
    with stored_datasets(exp / "vc", rows, [], make=RowDecoder("rate15")) as (utterances, _):
        batches = VcBatches(
            utterances, FrameMap.between(experiment.units_info(), config.mel), config
        )
        batches._prompts(batches._target(0))


def measure(what: str, command: list[str]) -> None:
    """Run a command; a row of the table of its time and peak memory."""
    begin = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    said = process.stderr.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{what}: {said}")
    seconds = time.monotonic() - begin
    print(
        f"| {what} | {seconds:.0f} s | {usage.ru_utime + usage.ru_stime:.0f} s "
        f"| {usage.ru_maxrss / 2**20:.2f} GB |",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--utterances", type=int, default=11_000_000)
    parser.add_argument("--hours", type=float, default=500)
    parser.add_argument("--training", type=int, default=1_000_000)
    arguments = parser.parse_args()
    fake = Fake(
        arguments.folder / "data",
        Experiment(arguments.folder / "exp"),
        {},
        {"forward": {}, "backward": {}},
    )
    if not arguments.folder.exists():
        UnitsInfo("imported", 0, 500, 16000, 320, 0, "c0de").write(fake.experiment.units_json)
        make_many(fake.data, fake.experiment, arguments.utterances)
        make_long(fake, arguments.hours)
        make_training(fake.data, fake.experiment, arguments.training)
    print("| what | wall | processor | peak memory |\n|---|---:|---:|---:|")
    entcomp = str(Path(sys.executable).with_name("entcomp"))
    places = [str(fake.data), str(fake.experiment.path)]
    merge = ["merge-shards", "units", "--shards", str(SHARDS), "--sets", "many"]
    many, long = f"{arguments.utterances:,} utterances", f"{arguments.hours:g} h"
    some = f"{arguments.training:,} utterances of {SECONDS} s"
    start = "import sys; from pathlib import Path\ndata, exp = map(Path, sys.argv[1:])\n"
    measure(f"merge-shards units, {many}", [entcomp, *merge, *places])
    for what, code in CODE.items():
        measure(f"{what}, {many}", [sys.executable, "-c", start + code, *places])
    for criterion in ("global", "peak"):
        options = ["--criterion", criterion, "--target-rate", "10", "--sets", "long"]
        measure(f"segment, {criterion}, {long}", [entcomp, "segment", *options, *places])
    libraries = "import entcomp.tasks.text.data, entcomp.tasks.vc.dataset"
    measure("the libraries of a training alone", [sys.executable, "-c", libraries])
    for what, code in TRAINING.items():
        here = f"sys.path.append({str(Path(__file__).parent)!r})\n"
        measure(f"{what}, {some}", [sys.executable, "-c", start + here + code, *places])


if __name__ == "__main__":
    main()
