"""Tiny trees in the layout of the real archives: MLS, LibriSpeech, CVSS-C, CoVoST 2.

As a program: `make_tiny_mls.py DATA_DIR FOLDER` makes `FOLDER/mls_english` and
`FOLDER/LibriSpeech` of a dozen short recordings of a Kaldi data dir.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from entcomp.audio.read import read_utterance
from entcomp.kaldi.datadir import DataDir
from entcomp.kaldi.table import read_table

SAMPLE_RATE = 16_000
FORMATS = {"opus": ("OGG", "OPUS"), "flac": ("FLAC", "PCM_16"), "wav": ("WAV", "PCM_16")}
SEGMENT_URL = "http://www.archive.org/download/book_{book}_librivox/chapter_64kb.mp3"


@dataclass(frozen=True)
class Recording:
    """Mono speech of shape (samples,) at 16 kHz, with LibriVox's numbers for reader and book."""

    reader: int
    book: int
    text: str
    samples: np.ndarray

    @property
    def seconds(self) -> float:
        return len(self.samples) / SAMPLE_RATE


def made_recordings(readers: Iterable[int] = (61, 610, 4800), books: int = 2) -> list[Recording]:
    """Half a second of noise each, two utterances a book."""
    noise = np.random.default_rng(0)
    return [
        Recording(reader, book, f"reader {reader} reads book {book} line {line}", samples)
        for reader in readers
        for book in range(1000, 1000 + books)
        for line in range(2)
        if (samples := noise.uniform(-0.1, 0.1, SAMPLE_RATE // 2).astype(np.float32)).size
    ]


def real_recordings(
    data_dir: Path,
    count: int = 12,
    longest: float = 4.0,
    shortest: float = 0.0,
    first_reader: int = 1000,
) -> list[Recording]:
    """The first ``count`` utterances of such lengths (s); a reader for each two of them."""
    texts = read_table(data_dir / "text")
    found: list[Recording] = []
    for utterance in DataDir(data_dir.name, data_dir).utterances():
        samples = read_utterance(utterance, SAMPLE_RATE)
        if shortest <= len(samples) / SAMPLE_RATE <= longest:
            reader = first_reader + len(found) // 2
            found.append(Recording(reader, 7, texts[utterance.utt_id].lower(), samples))
        if len(found) == count:
            break
    return found


def write_audio(path: Path, samples: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    container, codec = FORMATS[path.suffix[1:]]
    soundfile.write(path, samples, SAMPLE_RATE, format=container, subtype=codec)


def append(path: Path, line: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a", encoding="utf-8") as stream:
        stream.write(line + "\n")


def make_mls(
    root: Path, recordings: Iterable[Recording], split: str = "train", codec: str = "opus"
) -> list[str]:
    """Add recordings to a split, the first half to the 9hr list, the next to 1hr; their handles."""
    handles: list[str] = []
    recordings = list(recordings)
    for position, one in enumerate(recordings):
        prefix = f"{one.reader}_{one.book}"
        line = sum(handle.rpartition("_")[0] == prefix for handle in handles)
        handle = f"{prefix}_{line:06d}"
        handles.append(handle)
        folder = root / split / "audio" / str(one.reader) / str(one.book)
        write_audio(folder / f"{handle}.{codec}", one.samples)
        start, url = 12.5 * line, SEGMENT_URL.format(book=one.book)
        append(root / split / "transcripts.txt", f"{handle}\t{one.text}")
        times = f"{start:.2f}\t{start + one.seconds:.2f}"
        append(root / split / "segments.txt", f"{handle}\t{url}\t{times}")
        title = f" {one.reader:^9} | F | {split} | 17.148 | {one.book} | A Book | Chapter I"
        append(root / "metainfo.txt", title)
        half = position < len(recordings) // 2
        listed = "9hr" if half else f"1hr/{position % 2}"
        append(root / split / "limited_supervision" / listed / "handles.txt", handle)
    return handles


def make_librispeech(part: Path, recordings: Iterable[Recording]) -> list[str]:
    """Fill a part (``LibriSpeech/test-clean``), a chapter a book, text in capitals; the ids."""
    ids: list[str] = []
    for one in recordings:
        chapter = f"{one.reader}-{one.book}"
        line = sum(utt_id.rpartition("-")[0] == chapter for utt_id in ids)
        ids.append(f"{chapter}-{line:04d}")
        folder = part / str(one.reader) / str(one.book)
        write_audio(folder / f"{ids[-1]}.flac", one.samples)
        append(folder / f"{chapter}.trans.txt", f"{ids[-1]} {one.text.upper()}")
    return ids


COMMON_VOICE_HEADER = "client_id\tpath\tsentence\tup_votes\tdown_votes\tage\tgender\taccent"


def make_common_voice(root: Path, language: str, sentences: dict[str, str]) -> list[str]:
    """``validated.tsv`` of Common Voice 4.0, a client for each two clips; the clips' names."""
    if not (root / "validated.tsv").exists():
        append(root / "validated.tsv", COMMON_VOICE_HEADER)
    for position, (clip, sentence) in enumerate(sentences.items()):
        client = f"{position // 2:x}" * 128
        append(root / "validated.tsv", f"{client[:128]}\t{clip}\t{sentence}\t2\t0\t\t\t")
    return list(sentences)


def make_cvss(
    archive: Path, root: Path, language: str, split: str, recordings: Iterable[Recording]
) -> None:
    """Add English recordings to a split of CVSS-C, and what they translate to Common Voice."""
    for one in recordings:
        clip = f"common_voice_{language}_{one.reader}{one.book}{len(one.samples)}.mp3"
        make_common_voice(root, language, {clip: f"« {one.text} »"})
        append(archive / f"{split}.tsv", f"{clip}\t{one.text}")
        write_audio(archive / split / f"{clip}.wav", one.samples)


def make_covost(table: Path, root: Path, split: str, recordings: Iterable[Recording]) -> None:
    """Add clips to Common Voice in English, and translations of a split to CoVoST 2."""
    if not table.exists():
        append(table, "path\ttranslation\tsplit")
    for one in recordings:
        clip = f"common_voice_en_{one.reader}{one.book}{len(one.samples)}.mp3"
        make_common_voice(root, "en", {clip: one.text})
        append(table, f"{clip}\t{one.text[::-1]}\t{split}")
        write_audio(root / "clips" / f"{clip}.wav", one.samples)
        (root / "clips" / f"{clip}.wav").rename(root / "clips" / clip)


def main() -> None:
    recordings = real_recordings(Path(sys.argv[1]))
    folder = Path(sys.argv[2])
    make_mls(folder / "mls_english", recordings[:8])
    make_librispeech(folder / "LibriSpeech" / "dev-clean", recordings[8:10])
    make_librispeech(folder / "LibriSpeech" / "test-clean", recordings[10:])


if __name__ == "__main__":
    main()
