"""Any recording to units, entropies and groups: what an experiment has learnt, in one object."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from entcomp.artifacts.experiment import Direction, Experiment, UnitsInfo
from entcomp.artifacts.packing import default_segmentation
from entcomp.artifacts.runs import starts_of
from entcomp.audio.read import as_float32, resample
from entcomp.errors import EntcompError
from entcomp.lm.onnx_lm import OnnxLM
from entcomp.lm.streaming import StreamingScorer
from entcomp.pipelines.hub import open_model
from entcomp.segmentation import DEFAULT_CRITERION, DEFAULT_RATE
from entcomp.segmentation.calibration import resolve
from entcomp.segmentation.criteria.dedup import RUNS
from entcomp.segmentation.criteria.fixed import EVERY_UNIT
from entcomp.segmentation.matching import Matched
from entcomp.segmentation.request import Request
from entcomp.segmentation.rows import Row, Rows, row_of
from entcomp.segmentation.rule import Rule, group_one
from entcomp.segmentation.streaming import StreamingGroups
from entcomp.units.codebook import Codebook
from entcomp.units.dump import read_codebook
from entcomp.units.extractor import Extractor
from entcomp.units.extractors import load_extractor
from entcomp.units.stream import Recording, iter_units

log = logging.getLogger(__name__)

# Streams that need no segmentation: a group a unit, and a group a run of equal units.
PLAIN_RULES = {"raw": EVERY_UNIT, "dedup": RUNS}


@dataclass(frozen=True)
class Tokenized:
    """One recording.

    ``units``: int32 (frames,), 0..K-1. ``entropies``: float32 (frames,), nats, ``H(u_i | u_<i)``
    (eq. 1), NaN where an LM over runs of equal units predicts nothing; None where the groups come
    from units alone. ``groups``: int32 (groups,), lengths in frames, which sum to ``len(units)``.
    ``duration``: seconds of audio. ``rule``: what made the groups, with its thresholds.
    """

    units: np.ndarray
    entropies: np.ndarray | None
    groups: np.ndarray
    duration: float
    info: UnitsInfo
    rule: Rule

    @property
    def starts(self) -> np.ndarray:
        """The frame in which each group starts: int64 (groups,)."""
        return starts_of(self.groups)

    @property
    def times(self) -> np.ndarray:
        """Start and end of each group in seconds: float64 (groups, 2).

        A group ends where the next one starts. Unit ``i`` begins at ``receptive_offset + i *
        frame_shift``, so the first group starts a few milliseconds after the recording's start.
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


class Grouper:
    """Entropy LMs and thresholds of an experiment or a pack: groups of units, whoever made these.

    The LMs are those that `entcomp.lm.export` wrote, and run without torch.
    """

    def __init__(self, experiment: Experiment, info: UnitsInfo) -> None:
        self.experiment = experiment
        self.info = info
        self._lms: dict[Direction, OnnxLM] = {}
        self._rules: dict[Request, Rule] = {}

    def rule(
        self,
        target_rate: float | None = None,
        criterion: str = DEFAULT_CRITERION,
        match_rate: str | None = None,
    ) -> Rule:
        """Thresholds that give ``target_rate`` groups a second on the calibration set.

        Without a rate `DEFAULT_RATE`, where the criterion takes one. With a ``match_rate`` on what
        is tokenized: on each ``utterance`` or on the ``set`` of one call. Raises EntcompError as
        `resolve` does.
        """
        request = Request.make(
            criterion, default_rate=DEFAULT_RATE, target_rate=target_rate, match_rate=match_rate
        )
        return self.resolve(request)

    def default_rule(self) -> Rule:
        """What the maker of the model chose (`entcomp pack --default`), else as `rule` has it."""
        tag = default_segmentation(self.experiment)
        return self.rule() if tag is None else self.stored_rule(tag)

    def default_request(self) -> Request | None:
        """What the groups of `default_rule` were asked for; None where nobody chose any."""
        tag = default_segmentation(self.experiment)
        return None if tag is None else Request.of(self.experiment.segmentation(tag))

    def resolve(self, request: Request) -> Rule:
        """The rule that a request means, such as ``Request("fixed", window=4)``; found once.

        Raises EntcompError for options that do not go together, a threshold or rate out of reach,
        and where the experiment has no calibration and one is needed.
        """
        if request not in self._rules:
            request.check()
            self._rules[request] = resolve(request, self.experiment, self.info.frame_shift)
        return self._rules[request]

    def stored_rule(self, segments: str) -> Rule:
        """The rule of a segmentation of the experiment: its tag, ``raw`` or ``dedup``.

        Recordings have no speakers here, so one that matched the rate by speaker, which is said,
        does so by utterance.
        Raises EntcompError if there is none, or one that was made with another LM.
        """
        if segments in PLAIN_RULES:
            return PLAIN_RULES[segments]
        path = self.experiment.threshold(segments)
        if not path.exists():
            there = sorted(one.parent.name for one in path.parents[1].glob("*/threshold.json"))
            known = ", ".join(dict.fromkeys([*PLAIN_RULES, *there]))
            raise EntcompError(f"{path}: no such segmentation; available: {known}")
        stored = self.experiment.segmentation(segments)
        rule = Rule.from_json(stored.rule, path)
        stored.check_lms(*(self._lm(direction).lm.lm_sha256 for direction in rule.directions))
        if rule.match_rate == "speaker":
            log.warning(f"{segments}: each recording is taken for a speaker of its own")
            rule = replace(rule, match_rate="utterance")
        return rule

    def group(
        self, units: np.ndarray, rule: Rule, utt_id: str = "units"
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Groups of units (frames,), int32 (groups,) in frames, and the entropies they are from.

        Entropies are those of `entropies`, forward, or None where the groups are of units alone.
        A rule that matches its rate does so on these units.
        """
        row = self._row(units, rule, utt_id)
        groups, _ = self._grouped(row, rule, utt_id)
        return groups, row[1] if rule.directions else None

    def stream(self, rule: Rule) -> StreamingTokenizer:
        """A tokenizer of units that arrive one by one; see there."""
        scorer = StreamingScorer(self._lm("forward")) if rule.directions else None
        return StreamingTokenizer(scorer, rule)

    def entropies(self, units: np.ndarray, direction: Direction = "forward") -> np.ndarray:
        """Entropy of each unit in nats, float32 (frames,), of ``units`` (frames,).

        NaN where an LM over runs of equal units predicts nothing. Raises EntcompError where there
        is no LM of this direction.
        """
        return self._lm(direction).score(units)

    def _row(self, units: np.ndarray, rule: Rule, utt_id: str) -> Row:
        """What the rule's criterion reads."""
        entropies = [self.entropies(units, direction) for direction in rule.directions]
        return row_of(utt_id, entropies or [units])

    def _grouped(self, row: Row, rule: Rule, name: str) -> tuple[np.ndarray, Rule]:
        """Groups, and the rule that made them: of its own thresholds, if it matches its rate."""
        if rule.match_rate:
            rule = self._matched(rule, Rows.join([row]), name)
        return group_one(*row, rule), rule

    def _matched(self, rule: Rule, rows: Rows, name: str) -> Rule:
        """With the thresholds that come nearest to its rate; says where that is not near."""
        found = Matched.of(rule, rows)
        if found.missed:
            rate, shift = rule.groups_per_unit or 0, self.info.frame_shift
            log.warning(f"{name}: {found.hz(shift):.2f} Hz, the nearest to {rate / shift:g} Hz")
        return found.rule

    def _lm(self, direction: Direction) -> OnnxLM:
        if direction not in self._lms:
            folder = self.experiment.lm(direction)
            self._lms[direction] = OnnxLM.open(folder, self.info.codebook_sha256)
        return self._lms[direction]


class Tokenizer(Grouper):
    """Feature extractor, codebook, entropy LMs and thresholds of an experiment or a pack.

    >>> from entcomp import Tokenizer
    >>> tokenizer = Tokenizer.from_pretrained("exp")  # without a name, the one of entcomp itself
    >>> found = tokenizer.encode(waveform, sample_rate, target_rate=15.0)
    >>> found.units.shape, found.entropies.shape, int(found.groups.sum())
    ((298,), (298,), 298)
    >>> found.times[:2].shape, found.tokens[0].dtype  # seconds; the units of a group
    ((2, 2), dtype('int32'))
    """

    def __init__(
        self, experiment: Experiment, info: UnitsInfo, codebook: Codebook, extractor: Extractor
    ) -> None:
        super().__init__(experiment, info)
        self.codebook = codebook
        self.extractor = extractor

    @classmethod
    def from_pretrained(
        cls,
        name_or_exp: str | Path | None = None,
        checkpoint: Path | None = None,
        local_files_only: bool = False,
    ) -> Tokenizer:
        """The tokenizer of a model's name, an experiment, a pack, or of the hub's ``user/name``.

        See `hub.open_model`; None is the model that comes with entcomp. ``checkpoint`` are the
        extractor's weights on disk; Moonshine's are fetched when they are first needed. Raises
        EntcompError where there is no such model.
        """
        return cls.open(open_model(name_or_exp, local_files_only).experiment, checkpoint)

    @classmethod
    def open(cls, experiment: Experiment, checkpoint: Path | None = None) -> Tokenizer:
        """The tokenizer of an experiment. Raises EntcompError where it has no codebook."""
        info, codebook = read_codebook(experiment)
        extractor = load_extractor(info.extractor, str(info.layer), checkpoint)
        experiment.check_checkpoint(extractor.checkpoint_sha256)
        return cls(experiment, info, codebook, extractor)

    def encode(
        self,
        waveform: np.ndarray,
        sample_rate: int,
        target_rate: float | None = None,
        criterion: str | None = None,
        rule: Rule | None = None,
        name: str = "waveform",
    ) -> Tokenized:
        """Units, entropies and groups of a mono waveform.

        ``waveform``: (samples,), floats within ±1 or integers, at ``sample_rate`` Hz.
        ``target_rate``: groups a second, and ``criterion``: see `rule`; ``rule`` instead of both;
        without any, see `default_rule`. Raises EntcompError, naming ``name``, for a waveform
        shorter than a frame.
        """
        samples = as_float32(waveform, name)
        given = resample(samples, sample_rate, self.info.sample_rate)
        if rule is None and target_rate is None and criterion is None:
            rule = self.default_rule()
        rule = rule or self.rule(target_rate, criterion or DEFAULT_CRITERION)
        ((_, found),) = self.encode_recordings([Recording(name, [given])], rule, num_jobs=1)
        if isinstance(found, EntcompError):
            raise found
        return found

    def encode_recordings(
        self, recordings: Iterable[Recording], rule: Rule, num_jobs: int
    ) -> Iterator[tuple[Recording, Tokenized | EntcompError]]:
        """Tokenize recordings of any length, in little memory; a bad one comes with its error.

        ``num_jobs`` threads extract features, of one recording or of several. A rule that matches
        the rate of the set waits for all of them.
        """
        found = iter_units(recordings, self.extractor, self.codebook, num_jobs)
        rows: Iterable[tuple[Recording, Row | None]]
        rows = (
            (one, None if one.error else self._row(one.units, rule, one.utt_id)) for one in found
        )
        if rule.match_rate == "set":
            rows = list(rows)
            if block := [row for _, row in rows if row]:
                rule = self._matched(rule, Rows.join(block), "these recordings")
        for one, row in rows:
            if one.error:
                yield one, one.error
            elif row:
                yield one, self._tokenized(one, row, rule)

    def _tokenized(self, recording: Recording, row: Row, rule: Rule) -> Tokenized:
        groups, rule = self._grouped(row, rule, recording.name)
        return Tokenized(
            units=recording.units,
            entropies=row[1] if rule.directions else None,
            groups=groups,
            duration=recording.samples / self.info.sample_rate,
            info=self.info,
            rule=rule,
        )


class StreamingTokenizer:
    """Groups of one utterance, each as soon as it is certain; in constant memory.

    For the next utterance make another; after `finish` nothing can be pushed.

    >>> from entcomp import StreamingTokenizer
    >>> stream = StreamingTokenizer.from_pretrained("exp", target_rate=15.0)
    >>> lengths = [length for unit in units for length in stream.push([unit])]
    >>> sum(lengths + stream.finish()) == len(units)  # frames
    True

    Those of `Tokenizer.encode` on the same units, with the same rate and criterion, but for one
    decision in a million (see `entcomp.lm.streaming`). The grouping that a model's maker chose is
    not taken, as it may need the whole utterance. A group is certain as soon as the unit after it
    is there and, where the criterion looks ahead, so many predictions more: units or, if the LM
    reads runs of equal units, runs. Criteria without a lookahead of their own have to know the
    complete utterance.

    With ``match_rate="utterance"`` thresholds follow what was heard, not what is to come: see
    `entcomp.segmentation.streaming.RunningRule`. Groups are then other ones than those of `encode`.

    All of this is causal; the units are not. A frame's convolutions see 56 ms (Moonshine) or 25 ms
    (HuBERT, WavLM, MFCC), and MFCC's differences 40 ms more on either side. But the Transformers of
    Moonshine, HuBERT and WavLM attend to all of their chunk, up to 20 seconds and 2 more after its
    end. Units of live audio therefore come a chunk at a time; see `entcomp.units.extractor`.
    """

    def __init__(self, scorer: StreamingScorer | None, rule: Rule) -> None:
        """``scorer`` is None where the rule reads units, not entropies."""
        self.scorer = scorer
        self.groups = StreamingGroups(rule)

    @classmethod
    def from_pretrained(
        cls,
        name_or_exp: str | Path | None = None,
        checkpoint: Path | None = None,
        target_rate: float | None = None,
        criterion: str = DEFAULT_CRITERION,
        local_files_only: bool = False,
        match_rate: str | None = None,
    ) -> StreamingTokenizer:
        """See `Tokenizer.from_pretrained` and `Tokenizer.rule`.

        Raises EntcompError as they do, and for a criterion that has to know the whole utterance.
        """
        tokenizer = Tokenizer.from_pretrained(name_or_exp, checkpoint, local_files_only)
        return tokenizer.stream(tokenizer.rule(target_rate, criterion, match_rate))

    def push(self, units: Sequence[int] | np.ndarray) -> list[int]:
        """Read the next units; the lengths in frames of the groups that have become certain."""
        return self.groups.push(self.scorer.push(units) if self.scorer else np.asarray(units))

    def finish(self) -> list[int]:
        """The lengths of what is left, at the end of the utterance."""
        return self.groups.finish()
