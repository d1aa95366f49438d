"""Text files: tables of data dirs, units and alignments of other toolkits, transcripts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from damage import damage_text
from fake_alignment import write_grid
from judge import Kind, none_lost

from entcomp.evaluation.text.recognition import error_rates
from entcomp.formats.ctm import parse_ctm
from entcomp.formats.nlsyms import read_nlsyms, remove_nlsyms
from entcomp.formats.textgrid import read_textgrid
from entcomp.formats.units import read_units, tsv_ids
from entcomp.kaldi.datadir import DataDir
from entcomp.kaldi.table import iter_table, read_table
from entcomp.skipped import SkippedUtterances
from entcomp.tasks.text.corpus import read_texts

IDS = [f"anna-{number:02d}" for number in range(12)]
K = 50


def write(path: Path, rows: Iterator[str]) -> Path:
    path.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
    return path


def lines(path: Path) -> int:
    """How many there are, as Kaldi and Python divide them."""
    with open(path, encoding="utf-8-sig") as stream:
        return sum(1 for _ in stream)


def make_wav_scp(folder: Path) -> Path:
    return write(folder / "wav.scp", (f"{one} {folder}/{one}.wav" for one in IDS))


def read_wav_scp(path: Path) -> None:
    data = DataDir("dev", path.parent)
    found = list(data.utterances())
    none_lost(lines(path), len(found))
    data.audio_sha256()


def make_segments(folder: Path) -> Path:
    make_wav_scp(folder)
    times = ((i, f"{one}-{part}", one) for i, one in enumerate(IDS) for part in (0, 1))
    return write(
        folder / "segments", (f"{utt} {one} {i * 0.5} {i * 0.5 + 1.25}" for i, utt, one in times)
    )


def read_segments(path: Path) -> None:
    found = list(DataDir("dev", path.parent).utterances())
    none_lost(lines(path), len(found))
    for one in found:
        for time in (one.start, one.end):
            assert time is None or 0 <= time < float("inf"), one


def make_text(folder: Path) -> Path:
    make_wav_scp(folder)
    return write(folder / "text", (f"{one} naïve words, <noise> number {one[-2:]}" for one in IDS))


def read_text(path: Path) -> int:
    skipped = SkippedUtterances(skip_bad=True)
    found = list(read_texts(DataDir("dev", path.parent), "text", str.strip, skipped))
    none_lost(lines(path), len(found) + len(skipped))
    DataDir("dev", path.parent).ids_without_audio()
    return len(skipped)


def make_utt2spk(folder: Path) -> Path:
    return write(folder / "utt2spk", (f"{one} anna" for one in IDS))


def read_utt2spk(path: Path) -> None:
    found = sum(1 for _ in iter_table(path))
    none_lost(lines(path), found)


def read_score(path: Path) -> None:
    """As references, against the hypotheses of a sound file."""
    references = read_table(path, empty_values=True)
    texts = list(references.values())
    none_lost(lines(path), len(texts))
    if texts:
        error_rates(texts, ["words"] * len(texts), "basic")


def make_nlsyms(folder: Path) -> Path:
    return write(folder / "nlsyms.txt", iter(["<noise>", "[laughter]", "+hes+", "NOISE"]))


def read_nlsyms_txt(path: Path) -> None:
    remove_nlsyms("so <noise> I [laughter] said +hes+ yes", read_nlsyms(path))


def units_of(number: int) -> list[int]:
    return np.random.default_rng(number).integers(0, K, 20 + number).tolist()


def make_units_text(folder: Path) -> Path:
    rows = (f"{one} {' '.join(map(str, units_of(i)))}" for i, one in enumerate(IDS))
    return write(folder / "pseudo_labels.txt", rows)


def make_units_jsonl(folder: Path) -> Path:
    rows = (json.dumps({"key": one, "code": units_of(i)}) for i, one in enumerate(IDS))
    return write(folder / "part_1_of_1", rows)


def units_reader(kind: str) -> Callable[[Path], int]:
    def read(path: Path) -> int:
        skipped = SkippedUtterances(skip_bad=True)
        found = [one for one, _ in read_units([path], kind, K, skipped)]
        assert found == sorted(set(found))
        with open(path, encoding="utf-8-sig") as stream:
            none_lost(len({line.strip() for line in stream}), len(found) + len(skipped))
        return len(skipped)

    return read


def make_tsv(folder: Path) -> Path:
    return write(folder / "train.tsv", iter([str(folder), *(f"{one}.wav\t16000" for one in IDS)]))


def read_tsv(path: Path) -> None:
    (ids,) = tsv_ids([path])
    none_lost(lines(path) - 1, len(ids))


def make_km(folder: Path) -> Path:
    make_tsv(folder)
    return write(folder / "train.km", (" ".join(map(str, units_of(i))) for i in range(len(IDS))))


def read_km(path: Path) -> int:
    skipped = SkippedUtterances(skip_bad=True)
    (ids,) = tsv_ids([path.with_suffix(".tsv")])
    found = list(read_units([path], "km", K, skipped, {path: ids}))
    none_lost(len(IDS), len(found) + len(skipped))
    return len(skipped)


def make_textgrid(folder: Path) -> Path:
    words = [(0.25 * i, 0.25 * i + 0.2, f"word{i}") for i in range(8)]
    phones = [(0.1 * i, 0.1 * (i + 1), "AH1") for i in range(20)]
    path = folder / "anna-00.TextGrid"
    write_grid(path, 2.0, words=words, phones=phones)
    return path


def make_short_textgrid(folder: Path) -> Path:
    path = folder / "anna-00.TextGrid"
    spans = [f'{0.25 * i}\n{0.25 * (i + 1)}\n"say ""word{i}"""' for i in range(8)]
    tiers = [
        f'"IntervalTier"\n"{name}"\n0\n2\n8\n' + "\n".join(spans) for name in ("words", "phones")
    ]
    head = 'File type = "ooTextFile"\nObject class = "TextGrid"\n\n0\n2\n<exists>\n2\n'
    path.write_text(head + "\n".join(tiers) + "\n", encoding="utf-8")
    return path


def make_ctm(folder: Path) -> Path:
    rows = (f"{one} 1 {0.25 * i:.2f} 0.20 word{i}" for one in IDS for i in range(4))
    return write(folder / "words.ctm", rows)


def read_ctm(path: Path) -> None:
    found = parse_ctm(path.read_bytes(), str(path))
    counted = [line for line in path.read_bytes().decode("utf-8-sig").splitlines() if line.split()]
    comments = sum(line.split()[0].startswith(";;") for line in counted)
    none_lost(len(counted) - comments, sum(map(len, found.values())))


def read_grid(path: Path) -> None:
    grid = read_textgrid(path)
    assert 0 < grid.duration < float("inf")
    for kind in ("words", "phones"):
        for one in grid.tier(kind):
            assert one.start < one.end and one.label
        grid.passed_over(kind)


KINDS = [
    Kind("wav.scp", make_wav_scp, read_wav_scp, damage_text),
    Kind("segments", make_segments, read_segments, damage_text),
    Kind("text", make_text, read_text, damage_text),
    Kind("text, to be scored", make_text, read_score, damage_text, part=0.3),
    Kind("utt2spk", make_utt2spk, read_utt2spk, damage_text),
    Kind("nlsyms.txt", make_nlsyms, read_nlsyms_txt, damage_text),
    Kind("ESPnet's units", make_units_text, units_reader("text"), damage_text),
    Kind("S3Tokenizer's jsonl", make_units_jsonl, units_reader("jsonl"), damage_text),
    Kind("fairseq's tsv", make_tsv, read_tsv, damage_text),
    Kind("fairseq's km", make_km, read_km, damage_text),
    Kind("CTM", make_ctm, read_ctm, damage_text),
    Kind("TextGrid, long", make_textgrid, read_grid, damage_text),
    Kind("TextGrid, short", make_short_textgrid, read_grid, damage_text),
]
