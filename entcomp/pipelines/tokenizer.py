"""Any recording to units, entropies and groups: all that an experiment has learnt, in one object.

>>> from entcomp import Tokenizer                                        # doctest: +SKIP
>>> found = Tokenizer.from_pretrained().encode(waveform, sample_rate)    # doctest: +SKIP
>>> found.units, found.entropies, found.groups, found.times              # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from entcomp.artifacts.experiment import Direction, Experiment, UnitsInfo
from entcomp.artifacts.hashes import check_same
from entcomp.artifacts.packing import open_model
from entcomp.artifacts.runs import starts_of
from entcomp.audio.read import resample
from entcomp.errors import EntcompError
from entcomp.files import read_json
from entcomp.lm.checkpoint import load_lm
from entcomp.lm.score import BATCH_TOKENS, Scorer
from entcomp.lm.streaming import StreamingScorer
from entcomp.segmentation.calibration import resolve
from entcomp.segmentation.request import Request
from entcomp.segmentation.rows import Rows
from entcomp.segmentation.rule import Rule, group_starts
from entcomp.segmentation.streaming import StreamingGroups
from entcomp.training.evaluation import training_device
from entcomp.units.codebook import Codebook
from entcomp.units.dump import check_checkpoint, read_codebook
from entcomp.units.extractor import Extractor, load_extractor
from entcomp.units.moonshine import fetch_encoder
from entcomp.units.stream import Recording, iter_units

# Streams that need no segmentation: a group a unit, and a group a run of equal units.
PLAIN_RULES = {"raw": Rule("fixed", window=1), "dedup": Rule("dedup")}


@dataclass(frozen=True)
class Tokenized:
    """One recording.

    ``units``: int32 (frames,), 0..K-1. ``entropies``: float32 (frames,), nats, ``H(u_i | u_<i)``
    (eq. 1), NaN where an LM over runs of equal units predicts nothing; None where the groups come
    from units alone. ``groups``: int32 (groups,), lengths in frames, which sum to ``len(units)``.
    ``duration``: seconds of audio.
    """

    units: np.ndarray
    entropies: np.ndarray | None
    groups: np.ndarray
    duration: float
    info: UnitsInfo

    @property
    def starts(self) -> np.ndarray:
        """The frame in which each group starts: int64 (groups,)."""
        return starts_of(self.groups)

    @property
    def times(self) -> np.ndarray:
        """Start and end of each group in seconds: float64 (groups, 2).

        A group ends where the next one starts. Unit ``i`` begins at ``receptive_offset + i *
        frame_shift``, so the first group starts a few milliseconds behind the recording's start.
        """
        frames = np.stack([self.starts, self.starts + self.groups], axis=1)
        return self.info.receptive_offset + frames * self.info.frame_shift

    @property
    def tokens(self) -> list[np.ndarray]:
        """The units of each group."""
        return np.split(self.units, self.starts[1:])

    @property
    def rate(self) -> float:
        """Groups a second."""
        return len(self.groups) / (len(self.units) * self.info.frame_shift)


class Tokenizer:
    """Feature extractor, codebook, entropy LMs and thresholds of an experiment or a pack.

    Entropies are computed in float64 and kept as float32, so that they do not depend on how a
    recording is batched or streamed; see `entcomp.lm.streaming` for what that guarantees.
    """

    def __init__(
        self, experiment: Experiment, info: UnitsInfo, codebook: Codebook, extractor: Extractor
    ) -> None:
        self.experiment = experiment
        self.info = info
        self.codebook = codebook
        self.extractor = extractor
        self._scorers: dict[Direction, Scorer] = {}

    @classmethod
    def from_pretrained(
        cls, name_or_exp: str | Path | None = None, checkpoint: Path | None = None
    ) -> Tokenizer:
        """The tokenizer of a model's name, an experiment or a pack; see `packing.open_model`.

        None is the model that comes with entcomp. ``checkpoint`` are the extractor's weights on
        disk; Moonshine's are fetched when they are first needed. Raises EntcompError where there
        is no such model.
        """
        return cls.open(open_model(name_or_exp).experiment, checkpoint)

    @classmethod
    def open(cls, experiment: Experiment, checkpoint: Path | None = None) -> Tokenizer:
        """The tokenizer of an experiment. Raises EntcompError where it has no codebook."""
        info, codebook = read_codebook(experiment)
        if info.extractor == "moonshine" and checkpoint is None:
            checkpoint = fetch_encoder()
        extractor = load_extractor(info.extractor, str(info.layer), checkpoint)
        check_checkpoint(experiment, extractor)
        return cls(experiment, info, codebook, extractor)

    def rule(self, target_rate: float = 15.0, criterion: str = "global") -> Rule:
        """Thresholds that give ``target_rate`` groups a second on the calibration set.

        Raises EntcompError as `resolve` does.
        """
        rate = None if criterion == "dedup" else target_rate
        return self.resolve(Request(criterion, target_rate=rate))

    def resolve(self, request: Request) -> Rule:
        """The rule that a request means, such as ``Request("fixed", window=4)``.

        Raises EntcompError for options that do not go together, a threshold or rate out of reach,
        and where the experiment has no calibration and one is needed.
        """
        request.check()
        return resolve(request, self.experiment, self.info.frame_shift)

    def stored_rule(self, segments: str) -> Rule:
        """The rule of a segmentation of the experiment: its tag, ``raw`` or ``dedup``.

        Raises EntcompError if there is none, or one that was made with another LM.
        """
        if segments in PLAIN_RULES:
            return PLAIN_RULES[segments]
        path = self.experiment.segments(segments) / "threshold.json"
        if not path.exists():
            there = sorted(one.parent.name for one in path.parents[1].glob("*/threshold.json"))
            known = ", ".join([*PLAIN_RULES, *there])
            raise EntcompError(f"{path}: no such segmentation; there are: {known}")
        stored = read_json(path)
        values = {one.name: stored[one.name] for one in fields(Rule) if one.name in stored}
        if values.get("moments"):
            values["moments"] = tuple(tuple(pair) for pair in values["moments"])
        rule = Rule(**values)
        for direction, key in zip(
            rule.directions, ("lm_sha256", "lm_backward_sha256"), strict=False
        ):
            lm = self._scorer(direction).lm
            check_same(stored.get(key), lm.lm_sha256, "LM", path, "rerun segment")
        return rule

    def encode(
        self,
        waveform: np.ndarray,
        sample_rate: int,
        target_rate: float = 15.0,
        criterion: str = "global",
        rule: Rule | None = None,
        name: str = "waveform",
    ) -> Tokenized:
        """Units, entropies and groups of a mono waveform.

        ``waveform``: (samples,), floats within ±1 or integers, at ``sample_rate`` Hz.
        ``target_rate``: groups a second; ``criterion``: see `entcomp segment`; ``rule`` instead of
        both. Raises EntcompError, naming ``name``, for a waveform shorter than a frame.
        """
        samples = _as_float32(waveform, name)
        given = resample(samples, sample_rate, self.info.sample_rate)
        rule = rule or self.rule(target_rate, criterion)
        ((_, found),) = self.encode_recordings([Recording(name, [given])], rule, num_jobs=1)
        if isinstance(found, EntcompError):
            raise found
        return found

    def encode_recordings(
        self, recordings: Iterable[Recording], rule: Rule, num_jobs: int
    ) -> Iterator[tuple[Recording, Tokenized | EntcompError]]:
        """Tokenize recordings of any length, in little memory; a bad one comes with its error.

        ``num_jobs`` threads extract features, of one recording or of several.
        """
        for one in iter_units(recordings, self.extractor, self.codebook, num_jobs):
            yield one, one.error or self._tokenized(one, rule)

    def stream(self, rule: Rule) -> StreamingTokenizer:
        """A tokenizer of units that arrive one by one; see there."""
        scorer = self._scorer("forward")
        return StreamingTokenizer(StreamingScorer(scorer.model, scorer.config), rule)

    def _tokenized(self, recording: Recording, rule: Rule) -> Tokenized:
        units = recording.units
        entropies = [self._entropy(units, direction) for direction in rule.directions]
        backward = entropies[1] if len(entropies) > 1 else None
        values = entropies[0] if entropies else units
        rows = Rows.join([(recording.utt_id, values, backward)])  # which seeds random ones
        ((_, groups),) = rows.split(group_starts(rows, rule))
        return Tokenized(
            units=units,
            entropies=entropies[0] if entropies else None,
            groups=groups,
            duration=recording.samples / self.info.sample_rate,
            info=self.info,
        )

    def _entropy(self, units: np.ndarray, direction: Direction) -> np.ndarray:
        return next(self._scorer(direction).score([("", units)]))[1]

    def _scorer(self, direction: Direction) -> Scorer:
        if direction not in self._scorers:
            model, config, lm = load_lm(self.experiment, direction)
            device = training_device()
            tokens = BATCH_TOKENS["cpu"]  # float64 takes more memory, and no fast kernel
            self._scorers[direction] = Scorer(model, config, lm, device, tokens, "float64")
        return self._scorers[direction]


class StreamingTokenizer:
    """Groups of one utterance, each as soon as it is certain; in constant memory.

    Equal to those of `Tokenizer.encode` on the same units (see `entcomp.lm.streaming`): with
    ``global``, ``relative`` and ``combined`` certain as soon as the unit behind the group is there,
    with ``peak`` one prediction later: the next unit or, if the LM reads runs of equal units, the
    next run. Other criteria have to know the whole utterance.

    All of this is causal; the units are not. A frame's convolutions see 56 ms (Moonshine) or 25 ms
    (HuBERT, WavLM, MFCC), and MFCC's differences 40 ms more on either side. But the Transformers of
    Moonshine, HuBERT and WavLM attend to all of their chunk, up to 20 seconds and 2 more behind its
    end. Units of live audio therefore come a chunk at a time; see `entcomp.units.extractor`.
    """

    def __init__(self, scorer: StreamingScorer, rule: Rule) -> None:
        self.scorer = scorer
        self.groups = StreamingGroups(rule)

    def push(self, units: Sequence[int] | np.ndarray) -> list[int]:
        """Read the next units; the lengths in frames of the groups that have become certain."""
        return self.groups.push(self.scorer.push(units))

    def finish(self) -> list[int]:
        """The lengths of what is left, at the end of the utterance."""
        return self.groups.finish()


def _as_float32(waveform: np.ndarray, name: str) -> np.ndarray:
    """float32 (samples,) within ±1. Raises EntcompError for another shape, NaN or infinities."""
    samples = np.asarray(waveform)
    if samples.ndim != 1:
        raise EntcompError(f"{name}: expected mono (samples,), got shape {samples.shape}")
    if samples.dtype.kind == "i":
        return (samples / -float(np.iinfo(samples.dtype).min)).astype(np.float32)
    if samples.dtype.kind != "f" or not np.isfinite(samples).all():
        raise EntcompError(f"{name}: NaN, infinite or {samples.dtype} samples are no waveform")
    return samples.astype(np.float32)
