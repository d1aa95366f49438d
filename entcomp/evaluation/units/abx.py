"""ABX (Schatz et al. 2013): is what was said nearer to the same said again than to something else?

Computed by ZeroSpeech's libri-light-abx2, whose score over a file this is, with intervals.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from entcomp.artifacts.experiment import UnitsInfo
from entcomp.artifacts.ticks import TICKS_PER_SECOND, to_ticks
from entcomp.errors import EntcompError
from entcomp.evaluation.bootstrap import with_intervals
from entcomp.formats.textgrid import Interval

# The library's own for these; of more occurrences it draws as many.
LARGEST_GROUP = 10


@dataclass(frozen=True)
class Triphone:
    """A phone between two others, from ``start`` to ``end`` of all three, in frames."""

    start: float
    end: float
    phone: int
    before: int
    after: int


def triphones(
    intervals: Sequence[Interval], info: UnitsInfo, numbers: dict[str, int]
) -> list[Triphone]:
    """All that no silence interrupts. ``intervals``: phones by time; ``numbers``: of labels."""

    def frames(seconds: float) -> float:
        samples = to_ticks(seconds) * info.sample_rate / TICKS_PER_SECOND
        return (samples - info.receptive_offset_samples) / info.frame_shift_samples

    found = []
    for three in zip(intervals, intervals[1:], intervals[2:], strict=False):
        if all(to_ticks(one.end) == to_ticks(after.start) for one, after in pairwise(three)):
            first, middle, last = three
            labels = (one.label for one in (middle, first, last))
            phones = (numbers.setdefault(label, len(numbers)) for label in labels)
            found.append(Triphone(frames(first.start), frames(last.end), *phones))
    return found


def shares_of_units(units: np.ndarray, lengths: np.ndarray, num_clusters: int) -> np.ndarray:
    """How much of its group each unit is, for every frame: (frames, num_clusters), float32.

    ``units``: (frames,); ``lengths``: (groups,) in frames. Raw units, and runs of one, give one-hot
    vectors.
    """
    owners = np.repeat(np.arange(len(lengths)), lengths)
    shares = np.zeros((len(lengths), num_clusters), np.float32)
    np.add.at(shares, (owners, units), 1)
    return (shares / lengths[:, None])[owners]


def abx_scores(
    features: Callable[[str], np.ndarray],
    spoken: Mapping[str, Sequence[Triphone]],
    speakers: Mapping[str, str],
    seed: int = 0,
) -> dict[str, Any]:
    """Error rates of ABX on triphones, with intervals over the contexts of phones; for JSON.

    ``features`` gives those of an utterance in ``spoken``, (frames, D). A and X are the same phone
    between the same two others, B another phone between these; an error is B nearer to X than A is,
    by the mean angle along the best alignment in time. ``within``: of one speaker; ``across``: X is
    somebody else's. Means over contexts, then over speakers, then over pairs of phones; None if
    there is no triple. ``triphones`` is how many there are. Raises EntcompError if there are none,
    and if the library is not installed.
    """
    if not any(one.end - one.start >= 3 for found in spoken.values() for one in found):
        raise EntcompError(
            "ABX needs three phones in a row, of three frames or more; there are none"
        )
    try:
        dataset = _dataset(features, spoken, speakers)
    except ModuleNotFoundError as error:
        raise EntcompError(
            f"ABX needs the Python package {error.name}: pip install 'entcomp[abx]', with a C "
            "compiler (in a checkout, install one and call tools/install.sh)"
        ) from None
    result: dict[str, Any] = {"triphones": len(dataset), "interval": {}}
    for mode in ("within", "across"):
        triples = _Triples.of(dataset, mode, seed)
        found: dict[str, Any] = {mode: None, "interval": {mode: [None, None]}}
        if triples is not None:
            contexts = 1 + int(triples.contexts.max())
            found = with_intervals(partial(triples.errors_of, mode), contexts, seed, (mode,))
        result[mode] = found[mode]
        result["interval"] |= found["interval"]
    return result


def _dataset(
    features: Callable[[str], np.ndarray],
    spoken: Mapping[str, Sequence[Triphone]],
    speakers: Mapping[str, str],
) -> Any:
    """The library's, of features that are in no file."""
    import torch
    from zrc_abx2.ABX_src.ABXDataset.abx_feature_loader import ABXFeatureLoader
    from zrc_abx2.ABX_src.models import Pooling

    lines = ["utt_id start end phone before after speaker"]
    for utt_id, found in spoken.items():
        for one in found:
            place = f"{one.start!r} {one.end!r} {one.phone} {one.before} {one.after}"
            lines.append(f"{utt_id} {place} {speakers[utt_id]}")
    with tempfile.NamedTemporaryFile("w", suffix=".item") as items:
        items.write("\n".join(lines))
        items.flush()
        names = [(utt_id, utt_id) for utt_id in spoken]
        loader = ABXFeatureLoader(
            *(Pooling.NONE, items.name, names),
            feature_maker=lambda utt_id: torch.from_numpy(features(utt_id)),
            stepFeature=1.0,  # times are in frames
            normalize=True,
        )
        with contextlib.redirect_stdout(io.StringIO()):  # it prints what it does
            return loader.loadFromFileData()


@dataclass(frozen=True)
class _Triples:
    """The library's errors of all A, B and X of one context, two phones, one or two speakers.

    ``errors``, ``contexts``: (entries,). ``cells`` numbers the speaker of A and the two phones of
    each entry, ``pairs`` (cells,) the two phones of a cell.
    """

    errors: np.ndarray
    contexts: np.ndarray
    cells: np.ndarray
    pairs: np.ndarray

    @classmethod
    def of(cls, dataset: Any, mode: str, seed: int) -> _Triples | None:
        """``mode``: within or across speakers. None if there are none."""
        from zrc_abx2.ABX_src import abx_group_computation as library
        from zrc_abx2.ABX_src.ABXIterators.abx_iterator_factory import IteratorFactory
        from zrc_abx2.ABX_src.models import Pooling

        triples = IteratorFactory.get_iterator(dataset, "within", mode, LARGEST_GROUP, seed)
        if not len(triples):
            return None
        distance = library.get_distance_function_from_name("cosine")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch, at the library's way to make tensors
            found = library.get_abx_scores_dtw_on_group(
                triples, distance, triples.symmetric, Pooling.NONE
            )
        speakers, first, second, between = found._indices().numpy()[:4]
        contexts = np.unique(between, return_inverse=True)[1]
        keys, cells = np.unique(np.stack([first, second, speakers]), axis=1, return_inverse=True)
        pairs = np.unique(keys[:2], axis=1, return_inverse=True)[1]
        return cls(found._values().numpy(), contexts, cells.ravel(), pairs.ravel())

    def errors_of(self, mode: str, weights: np.ndarray) -> dict[str, float]:
        """The error rate, under the name of ``mode``, of contexts counted ``weights`` times."""
        counts = weights[self.contexts]
        whole = np.bincount(self.cells, counts)
        cells = np.bincount(self.cells, counts * self.errors)[whole > 0] / whole[whole > 0]
        pairs = self.pairs[whole > 0]
        speakers = np.bincount(pairs)
        means = np.bincount(pairs, cells)[speakers > 0] / speakers[speakers > 0]
        return {mode: float(means.mean())}
