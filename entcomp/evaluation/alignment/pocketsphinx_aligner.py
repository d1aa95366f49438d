"""Forced alignment of English by pocketsphinx, with the model and dictionary that it ships."""

from __future__ import annotations

import queue
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from entcomp.evaluation.alignment.aligner import SAMPLE_RATE, Outcomes, Transcript, Unaligned
from entcomp.evaluation.alignment.worker import Worker, WorkerDiedError
from entcomp.formats.nlsyms import remove_nlsyms
from entcomp.formats.textgrid import Interval, TextGrid

FRAMES_PER_SECOND = 100
PUNCTUATION = '.,;:!?"()[]{}<>…«»“”„‚‘¿¡-–—_'
JOINTS = re.compile(r"[-–—/_…]+|\.{2,}")
VARIANT = re.compile(r"\(\d+\)$")  # the(2) is the second pronunciation of "the"
# Longer numbers can be read in several ways.
DIGITS = {
    "0": "zero",
    "1": "one",
    "2": "two",
    "3": "three",
    "4": "four",
    "5": "five",
    "6": "six",
    "7": "seven",
    "8": "eight",
    "9": "nine",
}
# A bad alignment can be slow; a crash is noticed at once.
SECONDS_TO_START, SECONDS_PER_SECOND = 60, 20

# Text and 16-bit PCM in; a tier of words and one of phones out, or why there are none.
Request = tuple[str, bytes]
Tiers = dict[str, tuple[Interval, ...]]
Answer = Callable[[Request], Tiers | Unaligned]


def align(transcripts: Sequence[Transcript], num_jobs: int) -> Outcomes:
    """Align in ``num_jobs`` processes; outcomes come in the order of ``transcripts``.

    An outcome depends on its own utterance only. A word that the dictionary lacks leaves its
    whole utterance unaligned.
    """
    workers: queue.SimpleQueue[Worker] = queue.SimpleQueue()
    for _ in range(num_jobs):
        workers.put(Worker(make_aligner))

    def align_one(transcript: Transcript) -> TextGrid | Unaligned:
        waveform = transcript.read()
        if isinstance(waveform, Unaligned):
            return waveform
        worker = workers.get()
        try:
            return _ask(worker, transcript.text, waveform)
        finally:
            workers.put(worker)

    with ThreadPoolExecutor(num_jobs) as pool:
        try:
            outcomes = pool.map(align_one, transcripts)
            for transcript, outcome in zip(transcripts, outcomes, strict=True):
                yield transcript.utt_id, outcome
        finally:
            pool.shutdown(cancel_futures=True)
            for _ in range(num_jobs):
                workers.get().close()


def _ask(worker: Worker, text: str, waveform: np.ndarray) -> TextGrid | Unaligned:
    pcm = (np.clip(waveform, -1, 1) * 32767).astype(np.int16).tobytes()
    duration = len(waveform) / SAMPLE_RATE
    try:
        tiers = worker.ask((text, pcm), SECONDS_TO_START + SECONDS_PER_SECOND * duration)
    except WorkerDiedError as error:
        return Unaligned(str(error))
    return tiers if isinstance(tiers, Unaligned) else TextGrid(duration, _clipped(tiers, duration))


def make_aligner() -> Answer:
    """The function that runs in the worker process."""
    from pocketsphinx import Decoder

    # Without "bestpath" off and equal beams, the second pass often finds words too short for
    # their phones, and fails.
    decoder = Decoder(
        lm=None, loglevel="FATAL", bestpath=False, beam=1e-64, wbeam=1e-64, pbeam=1e-64
    )

    def answer(request: Request) -> Tiers | Unaligned:
        text, pcm = request
        words, unknown = dictionary_words(text, lambda word: decoder.lookup_word(word) is not None)
        if unknown:
            return Unaligned(f"not in the dictionary: {' '.join(unknown)}")
        if not words:
            return Unaligned("no words in its text")
        try:
            return _two_passes(decoder, words, pcm)
        except RuntimeError as error:
            return Unaligned(f"pocketsphinx: {error}")

    return answer


def dictionary_words(text: str, known: Callable[[str], bool]) -> tuple[list[str], list[str]]:
    """Words of ``text`` as a lower-case dictionary spells them, and those it does not have.

    Punctuation and non-linguistic symbols (``<noise>``, ``[laughter]``) go; a compound that is
    unknown as a whole is split at its hyphens; a digit on its own is spelt out. Whatever else is
    not in the dictionary, longer numbers and symbols too, may be spoken, and counts as unknown.
    """
    words: list[str] = []
    unknown: list[str] = []
    for token in remove_nlsyms(text).lower().replace("’", "'").split():
        whole = token.strip(PUNCTUATION)
        for part in [whole] if known(whole) else JOINTS.split(whole):
            part = part.strip(PUNCTUATION)
            spelling = DIGITS.get(part, part if known(part) else part.strip("'"))
            if spelling:
                (words if known(spelling) else unknown).append(spelling)
    return words, unknown


def _two_passes(decoder, words: list[str], pcm: bytes) -> Tiers | Unaligned:  # type: ignore[no-untyped-def]
    """Words, then their phones; the order of the calls matters, others crash pocketsphinx."""
    decoder.reinit_feat()  # else the mean of the utterances before would colour this one
    decoder.set_align_text(" ".join(words))
    _decode(decoder, pcm)
    if decoder.hyp() is None:
        return Unaligned("pocketsphinx: the text does not fit the audio")
    decoder.set_alignment()
    _decode(decoder, pcm)
    words_found: list[Interval] = []
    phones: list[Interval] = []
    alignment = decoder.get_alignment()
    for word in alignment:  # entries are only valid in their turn, while the alignment lives
        if word.name[0] not in "<[+":
            words_found.append(_interval(word))
            phones += [_interval(phone) for phone in word]
    return {"words": tuple(words_found), "phones": tuple(phones)}


def _decode(decoder, pcm: bytes) -> None:  # type: ignore[no-untyped-def]
    decoder.start_utt()
    decoder.process_raw(pcm, full_utt=True)
    decoder.end_utt()


def _interval(entry) -> Interval:  # type: ignore[no-untyped-def]
    start, end = entry.start, entry.start + entry.duration
    return Interval(start / FRAMES_PER_SECOND, end / FRAMES_PER_SECOND, VARIANT.sub("", entry.name))


def _clipped(tiers: Tiers, duration: float) -> Tiers:
    """The last frame may reach over the end of the recording."""
    return {
        name: tuple(Interval(one.start, min(one.end, duration), one.label) for one in intervals)
        for name, intervals in tiers.items()
    }
