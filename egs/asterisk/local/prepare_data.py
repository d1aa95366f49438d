#!/usr/bin/env python3
"""Turn the unpacked Asterisk prompts into data dirs: {train,dev,test}_{en,es,fr,it,ru}.

A prompt has the same id in every language, so an id is in the same split in all of them, and
prompts that read alike in any language go to one split too.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from entcomp.artifacts.stage import Stage
from entcomp.errors import EntcompError
from entcomp.files import atomic_path, sha256_file
from entcomp.kaldi.table import write_table
from entcomp.progress import track
from entcomp.skipped import SkippedUtterances

SAMPLE_RATE = 16_000
SPLITS = {"train": 0.8, "dev": 0.1, "test": 0.1}
# A remark of whoever wrote the transcripts: [tones], (simple tone sound plays), <beep>.
REMARK = r"\[[^]]*\]|\([^)]*\)|<[^>]*>"


@dataclass(frozen=True)
class Voice:
    """A language's folder of prompts and who reads them, as the packages' copyright file says."""

    language: str
    folder: str
    speaker: str

    def utt_id(self, prompt: str) -> str:
        return f"{self.speaker}_{prompt.replace('/', '_')}"


# Allison Smith speaks English and Spanish; two names keep the utterance ids apart.
VOICES = (
    Voice("en", "en_US_f_Allison", "allison"),
    Voice("es", "es_MX_f_Allison", "allison-es"),
    Voice("fr", "fr_CA_f_June", "june"),
    Voice("it", "it_IT_m_Carlo", "carlo"),
    Voice("ru", "ru_RU_f_IvrvoiceRU", "ivrvoice"),
)


@dataclass
class Prompts:
    """One language: transcripts and G.722 files, each by prompt id (``digits/7``)."""

    voice: Voice
    texts: dict[str, str] = field(default_factory=dict)
    audio: dict[str, Path] = field(default_factory=dict)


def main() -> None:
    arguments = parse_arguments()
    stage = Stage(arguments.data, stage_inputs(arguments))
    if stage.is_complete():
        print(f"{arguments.data}: complete, skipped")
        return
    stage.start()
    skipped = SkippedUtterances(skip_bad=True)
    languages = [read_prompts(arguments.prompts, voice, skipped) for voice in VOICES]
    skipped.write(arguments.data / "skipped.txt")
    splits = split_prompts([one.texts for one in languages], arguments.seed)
    chosen = choose_prompts(languages, splits, arguments.subset)
    decode_all(chosen, arguments.audio)
    translations = {one.voice.language: one.texts for one in languages[1:]}
    for split in SPLITS:
        for one in chosen:
            part = {prompt for prompt in one.audio if splits[prompt] == split}
            folder = arguments.data / f"{split}_{one.voice.language}"
            write_set(folder, one, part, arguments.audio)
            if one.voice.language == "en":
                write_translations(folder, one.voice, part, translations)
    report(chosen, splits, skipped, arguments.data)
    stage.finish({"utterances": sum(len(one.audio) for one in chosen)})


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("prompts", type=Path, help="folder that local/download.sh filled")
    parser.add_argument("audio", type=Path, help="folder for the decoded recordings (FLAC)")
    parser.add_argument("data", type=Path, help="folder for the data dirs")
    parser.add_argument("--subset", type=int, default=0, help="about N prompts a language; 0: all")
    parser.add_argument("--seed", type=int, default=0, help="seed of the split")
    return parser.parse_args()


def stage_inputs(arguments: argparse.Namespace) -> dict[str, object]:
    return {
        "transcripts": [sha256_file(transcripts(arguments.prompts, voice)) for voice in VOICES],
        "audio": str(arguments.audio.resolve()),
        "subset": arguments.subset,
        "seed": arguments.seed,
    }


def transcripts(root: Path, voice: Voice) -> Path:
    name = f"core-sounds-{voice.language}"
    path = root / voice.language / "usr/share/doc" / f"asterisk-{name}" / f"{name}.txt.gz"
    if not path.exists():
        raise EntcompError(f"{path}: no such file; run local/download.sh {root}")
    return path


def read_prompts(root: Path, voice: Voice, skipped: SkippedUtterances) -> Prompts:
    """The prompts of a language whose words are known; the others go to ``skipped``."""
    prompts = Prompts(voice)
    sounds = root / voice.language / "usr/share/asterisk/sounds" / voice.folder
    for path in sounds.rglob("*.g722"):
        prompts.audio[path.relative_to(sounds).with_suffix("").as_posix()] = path
    written = read_transcripts(transcripts(root, voice))
    for prompt in sorted(written.keys() | prompts.audio.keys()):
        try:
            prompts.texts[prompt] = spoken_text(written.get(prompt, []))
            if prompt not in prompts.audio:
                raise EntcompError("no audio")
        except EntcompError as error:
            skipped.add(voice.utt_id(prompt), str(error))
            prompts.audio.pop(prompt, None)
    return prompts


def read_transcripts(path: Path) -> dict[str, list[str]]:
    """All texts that stand under each prompt id, in a file of ``id: text`` and ``; comment``."""
    written: dict[str, list[str]] = {}
    for line in gzip.decompress(path.read_bytes()).decode("utf-8-sig").splitlines():
        if line.strip() and not line.startswith(";"):
            prompt, colon, text = line.partition(":")
            if not colon:
                raise EntcompError(f"{path}: expected 'id: text', got {line!r}")
            text = " ".join(unicodedata.normalize("NFC", text).split())
            written.setdefault(prompt.strip(), []).append(text)
    return written


def spoken_text(written: list[str]) -> str:
    """The words of a prompt, without remarks. Raises EntcompError where they are not known."""
    if not any(written):
        raise EntcompError("no transcript")
    if len(written) > 1:
        raise EntcompError(f"{len(written)} transcripts: {' | '.join(written)}")
    text = re.sub(rf"(?:{REMARK})[\s.]*$", "", written[0])
    text = re.sub(REMARK, lambda remark: remark[0] if re.search(r"\w", remark[0]) else "", text)
    if not re.search(r"\w", text):
        raise EntcompError(f"not speech: {written[0]}")
    if re.search(REMARK, text):
        raise EntcompError(f"perhaps not all spoken: {text}")
    if re.search(r"[a-z]-[a-z]+: ", text):
        raise EntcompError(f"two prompts in one line: {text}")
    return " ".join(text.split())


def split_prompts(languages: Iterable[Mapping[str, str]], seed: int) -> dict[str, str]:
    """Split of each prompt id; ids joined by an equal text, in any language, stay together."""
    parent: dict[str, str] = {}

    def root(prompt: str) -> str:
        while parent.setdefault(prompt, prompt) != prompt:
            prompt = parent[prompt]
        return prompt

    for texts in languages:
        first: dict[str, str] = {}
        for prompt, text in texts.items():
            one, other = sorted((root(prompt), root(first.setdefault(bare(text), prompt))))
            parent[other] = one
    return {prompt: draw_split(root(prompt), seed) for prompt in parent}


def bare(text: str) -> str:
    """Letters and digits alone, for the question whether two texts are equal."""
    return "".join(re.findall(r"\w", unicodedata.normalize("NFKC", text).casefold()))


def draw_split(key: str, seed: int) -> str:
    """A split by the hash of ``key``, so that it depends on no other prompt."""
    digest = hashlib.sha256(f"{seed} {key}".encode()).digest()
    position = int.from_bytes(digest[:8], "big") / 2**64
    for split, share in SPLITS.items():
        if position < share:
            return split
        position -= share
    return split


def choose_prompts(
    languages: list[Prompts], splits: Mapping[str, str], subset: int
) -> list[Prompts]:
    """The first prompts of each split, ``subset`` in all a language; 0 keeps every prompt."""
    if subset == 0:
        return languages
    chosen = []
    for one in languages:
        audio: dict[str, Path] = {}
        for split, share in SPLITS.items():
            members = [prompt for prompt in sorted(one.audio) if splits[prompt] == split]
            for prompt in members[: max(1, round(subset * share))]:
                audio[prompt] = one.audio[prompt]
        chosen.append(Prompts(one.voice, one.texts, audio))
    return chosen


def flac_path(audio: Path, voice: Voice, prompt: str) -> Path:
    return audio.resolve() / voice.language / f"{prompt}.flac"


def decode_all(languages: list[Prompts], audio: Path) -> None:
    pairs = [
        (source, flac_path(audio, one.voice, prompt))
        for one in languages
        for prompt, source in sorted(one.audio.items())
    ]
    missing = [pair for pair in pairs if not pair[1].exists()]
    if missing:
        with ThreadPoolExecutor() as pool:
            decoded = pool.map(decode, *zip(*missing, strict=True))
            for _ in track(decoded, f"decoding to {audio}", len(missing)):
                pass


def decode(source: Path, target: Path) -> None:
    """Headerless G.722 (two 16 kHz samples a byte) to FLAC."""
    import av
    import numpy as np
    import soundfile

    with av.open(str(source), format="g722") as container:
        frames = [frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)]
    with atomic_path(target) as temporary:
        soundfile.write(temporary, np.concatenate(frames), SAMPLE_RATE, format="FLAC")


def write_set(folder: Path, prompts: Prompts, part: Iterable[str], audio: Path) -> None:
    voice = prompts.voice
    ids = {voice.utt_id(prompt): prompt for prompt in part}
    tables = {
        "wav.scp": {one: str(flac_path(audio, voice, prompt)) for one, prompt in ids.items()},
        "text": {one: prompts.texts[prompt] for one, prompt in ids.items()},
        "utt2spk": dict.fromkeys(ids, voice.speaker),
        "spk2utt": {voice.speaker: " ".join(sorted(ids))},
        "utt2dur": {one: duration(prompts.audio[prompt]) for one, prompt in ids.items()},
    }
    for name, table in tables.items():
        write_table(folder / name, table.items())


def duration(source: Path) -> str:
    return f"{2 * source.stat().st_size / SAMPLE_RATE:.4f}"


def write_translations(
    folder: Path, voice: Voice, part: Iterable[str], translations: Mapping[str, Mapping[str, str]]
) -> None:
    """``text.<language>``: the same prompts in another language, where there is a transcript."""
    for language, texts in translations.items():
        rows = [(voice.utt_id(prompt), texts[prompt]) for prompt in part if prompt in texts]
        write_table(folder / f"text.{language}", rows)


def report(
    languages: list[Prompts], splits: Mapping[str, str], skipped: SkippedUtterances, data: Path
) -> None:
    print(f"{'':10}" + "".join(f"{split:>16}" for split in SPLITS))
    for one in languages:
        row = f"{one.voice.language:10}"
        for split in SPLITS:
            files = [path for prompt, path in one.audio.items() if splits[prompt] == split]
            minutes = sum(path.stat().st_size for path in files) * 2 / SAMPLE_RATE / 60
            row += f"{len(files):>7} {minutes:>4.1f} min"
        print(row)
    reasons = Counter(reason.partition(":")[0] for reason in skipped.reasons.values())
    counts = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
    print(f"skipped {len(skipped)} prompts ({counts}); listed in {data / 'skipped.txt'}")


if __name__ == "__main__":
    try:
        main()
    except EntcompError as error:
        sys.exit(f"prepare_data.py: error: {error}")
