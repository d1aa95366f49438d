"""Features of many utterances: read and extracted in parallel, yielded in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import numpy as np

from entcomp.audio.read import read_utterance
from entcomp.kaldi.datadir import Utterance
from entcomp.skipped import SkippedUtterances
from entcomp.units.extractor import Extractor, extract

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Features:
    """``values`` is float32 (frames, dim), ``samples`` the length of the waveform."""

    utt_id: str
    samples: int
    values: np.ndarray


def iter_features(
    utterances: Iterable[Utterance],
    extractor: Extractor,
    skipped: SkippedUtterances,
    num_jobs: int,
    allow_pipes: bool = False,
) -> Iterator[Features]:
    """Features in the order of ``utterances``, the same for any ``num_jobs``.

    A bad utterance goes to ``skipped``, or raises EntcompError with its file and id.
    """

    def work(utterance: Utterance) -> Features:
        waveform = read_utterance(utterance, extractor.sample_rate, allow_pipes)
        values = extract(extractor, waveform, utterance.wav)
        return Features(utterance.utt_id, len(waveform), values)

    for utterance, future in parallel(work, utterances, num_jobs):
        with skipped.guard(utterance.utt_id):
            yield future.result()


def parallel(
    function: Callable[[Item], Result], items: Iterable[Item], num_jobs: int
) -> Iterator[tuple[Item, Future[Result]]]:
    """Run ``function`` on a few items ahead of the one yielded, in constant memory.

    Threads do: decoding, resampling and the models let go of the interpreter's lock.
    """
    remaining = iter(items)
    pool = ThreadPoolExecutor(num_jobs)
    try:
        waiting = deque((item, pool.submit(function, item)) for item in islice(remaining, num_jobs))
        for item in remaining:
            waiting.append((item, pool.submit(function, item)))
            yield waiting.popleft()
        yield from waiting
    finally:
        pool.shutdown(cancel_futures=True)
