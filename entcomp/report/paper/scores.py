"""What stands beside a figure of the paper, under its own name: each source reads one stage."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from entcomp.artifacts.stage import read_stage
from entcomp.evaluation.text.metric import score_value
from entcomp.evaluation.text.metrics import score_labels
from entcomp.files import read_json
from entcomp.report.boundary_scores import describe_settings
from entcomp.report.conversion import ConversionScores, label, read_conversions, voice_score
from entcomp.report.paper.figures import Stream
from entcomp.report.paper.models import (
    Chosen,
    Missing,
    commands,
    find_models,
    find_tag,
)
from entcomp.report.text_scores import metric_of
from entcomp.segmentation.chance import chance_names


@dataclass(frozen=True)
class Cell:
    """A score, its 95% interval if it has one, and at how many groups a second it was reached.

    ``chance`` are scores of groups that know nothing of speech; ``about`` says what was measured.
    """

    value: float
    interval: tuple[float, float] | None = None
    rate: float | None = None
    chance: tuple[float | None, ...] = ()
    about: str = ""


class Source(ABC):
    """Scores of one stage; measures have names, as in ``wer``."""

    has_rate: ClassVar[bool] = True
    places: ClassVar[Mapping[str, int]] = {}  # decimals, where it is not one

    def __init__(self, chosen: Chosen) -> None:
        self.chosen = chosen

    @abstractmethod
    def label(self, measure: str) -> str:
        """What is measured, for a column's head."""

    def chance(self, measure: str) -> Sequence[str]:
        """Names of the scores in `Cell.chance`."""
        return ()

    @abstractmethod
    def cell(self, stream: Stream, measure: str) -> Cell:
        """Raises Missing where the stage has not been run."""


def find_source(chosen: Chosen, name: str) -> Source:
    """By name: ``asr``, ``st.LANG``, ``vc``, ``latency``, ``boundaries``."""
    kind, _, lang = name.partition(".")
    if kind in ("asr", "st"):
        return TextScores(chosen, kind, lang)
    sources: dict[str, type[Source]] = {
        "vc": VoiceScores,
        "latency": Latency,
        "boundaries": BoundaryScores,
    }
    return sources[kind](chosen)


def mean_cell(cells: Sequence[Cell]) -> Cell:
    """The mean over seeds; its interval reaches from the lowest end of theirs to the highest."""
    first = cells[0]
    if len(cells) == 1:
        return first
    intervals = [one.interval for one in cells if one.interval]
    return Cell(
        sum(one.value for one in cells) / len(cells),
        (min(low for low, _ in intervals), max(high for _, high in intervals))
        if intervals
        else None,
        None if first.rate is None else sum(one.rate or 0.0 for one in cells) / len(cells),
        about=f"{first.about}; means over {len(cells)} seeds" if first.about else "",
    )


class TextScores(Source):
    """WER and CER of recognition, BLEU of translation."""

    def __init__(self, chosen: Chosen, task: str, lang: str = "") -> None:
        super().__init__(chosen)
        self.task = task
        self.lang = lang

    def label(self, measure: str) -> str:
        return " ".join(filter(None, (score_labels()[measure], self.lang)))

    def cell(self, stream: Stream, measure: str) -> Cell:
        decode = self._decode
        names = find_models(self.chosen, self.task, self.lang, stream, lambda one: [decode(one)])
        return mean_cell([self._of_model(name, measure) for name in names])

    def _of_model(self, name: str, measure: str) -> Cell:
        set_name = self._decoded_set(name)
        found = read_json(self._scores(name, set_name))
        score = found[measure]
        how = metric_of(self.task).settings(score)
        what = f"{self.task}{self.lang and f' to {self.lang}'}"
        about = f"{what}: {set_name}, {score['utterances']} utterances, {how}"
        return Cell(score_value(score), tuple(score["interval"]), found["rate"], about=about)

    def _decoded_set(self, name: str) -> str:
        """The set of the tables, or the only one that was decoded."""
        sets = [self.chosen.set_name, *self.chosen.experiment.sets()]
        decoded = [one for one in dict.fromkeys(sets) if self._scores(name, one).exists()]
        if self.chosen.set_name in decoded:
            return self.chosen.set_name
        if not decoded:
            raise Missing(commands(self._decode(name)))
        if len(decoded) > 1:
            raise Missing(f"{name} decoded {', '.join(decoded)}; choose by `--set`")
        return decoded[0]

    def _decode(self, model: str) -> str:
        return f"decode --model {model} --sets {self.chosen.set_name}"

    def _scores(self, name: str, set_name: str) -> Path:
        return self.chosen.experiment.path / name / f"decode_{set_name}" / "scores.json"


class VoiceScores(Source):
    """Converted speech: what a recogniser hears, predicted opinions, likeness of the voice."""

    places: ClassVar[Mapping[str, int]] = {"quality": 2, "speaker": 2, "utmos": 2}
    keys: ClassVar[Mapping[str, str]] = {
        "wer": "wer_",
        "cer": "cer_",
        "quality": "distillmos",
        "speaker": "similarity_reference",
        "utmos": "utmos",
    }

    def label(self, measure: str) -> str:
        scores = read_conversions(self.chosen.experiment, self.chosen.set_name)
        if measure in ("wer", "cer"):
            return label(_column(scores, self.keys[measure]) or f"{self.keys[measure]}recogniser")
        if measure == "speaker":
            return "cosine of voices"
        return f"{label(self.keys[measure])}, predicted"

    def cell(self, stream: Stream, measure: str) -> Cell:
        chosen = self.chosen
        scores = read_conversions(chosen.experiment, chosen.set_name)
        systems = scores.systems if scores else {}
        score = f"score-vc --sets {chosen.set_name}"
        if measure == "utmos" or _column(scores, "utmos"):  # which it forgets without
            score += " --utmos FILE"
        names = find_models(chosen, "vc", "", stream, lambda one: [self._convert(one), score])
        lacking = [one for one in names if _tag(one) not in systems]
        if scores is None or lacking:
            raise Missing(commands(*map(self._convert, lacking), score))
        key = _column(scores, self.keys[measure])
        if key is None or any(key not in systems[_tag(one)] for one in names):
            raise Missing(commands(score))
        about = f"vc: {chosen.set_name}, {'; '.join(scores.describe())}"
        return mean_cell([_voice_cell(systems[_tag(one)], key, about) for one in names])

    def _convert(self, model: str) -> str:
        return f"convert --model {model} --sets {self.chosen.set_name} --reference FILE"


def _tag(model: str) -> str:
    return model.partition("/")[2]


def _voice_cell(system: Mapping[str, Any], key: str, about: str) -> Cell:
    interval = tuple(system[key]["interval"])
    return Cell(voice_score(system[key]), interval, system.get("rate"), about=about)


def _column(scores: ConversionScores | None, prefix: str) -> str | None:
    """The first column that is called so."""
    metrics = scores.metrics if scores else []
    return next((one for one in metrics if one.startswith(prefix)), None)


class Latency(Source):
    """What the encoder and the decoder take, without extraction and entropy LM.

    bench-latency measures all models anew that it is given, and forgets others: its command names
    those, too, that it has measured.
    """

    def label(self, measure: str) -> str:
        return "encoder and decoder, mean ms"

    def cell(self, stream: Stream, measure: str) -> Cell:
        path = self.chosen.experiment.path / "latency.json"
        found = read_json(path) if path.exists() else {"models": {}}

        def bench(*models: str) -> list[str]:
            named = ",".join(dict.fromkeys([*found["models"], *models]))
            return [f"bench-latency --models {named} --sets {self.chosen.set_name}"]

        names = find_models(self.chosen, "asr", "", stream, bench)
        cells = []
        for name in names:
            times = found["models"].get(name, {}).get("milliseconds")
            if times is None or "mean" not in times["decoder"]:
                raise Missing(commands(*bench(*names)))
            spent = times["encoder"]["mean"] + times["decoder"]["mean"]
            rate = found["models"][name]["rate"]
            cells.append(Cell(spent, rate=rate, about=_timed(found)))
        return mean_cell(cells)


def _timed(found: Mapping[str, Any]) -> str:
    return (
        f"latency: {found['utterances']} utterances of {found['mean_seconds']:.2f} s in the mean, "
        f"one at a time, {found['clock']} on {found['device']}; as many text pieces as the "
        "reference has; without extraction and entropy LM"
    )


class BoundaryScores(Source):
    """Boundaries of groups beside those of words and phones, plain as in the paper."""

    has_rate = False
    tiers: ClassVar[Mapping[str, tuple[str, str, float]]] = {
        "words": ("words", "within_50ms", 100.0),
        "phones": ("phones", "within_50ms", 100.0),
        "deviation": ("phones", "mean_absolute_deviation_ms", 1.0),
    }
    labels: ClassVar[Mapping[str, str]] = {
        "rate": "Hz",
        "span": "span, ms",
        "words": "within 50 ms of a word's, %",
        "phones": "of a phone's, %",
        "deviation": "off a phone's, ms",
    }

    def label(self, measure: str) -> str:
        return self.labels[measure]

    def chance(self, measure: str) -> Sequence[str]:
        return chance_names() if measure in self.tiers else ()

    def cell(self, stream: Stream, measure: str) -> Cell:
        if stream.criterion == "raw" and measure not in self.tiers:
            info = self.chosen.experiment.units_info()
            return Cell(info.frame_rate if measure == "rate" else 1000 * info.frame_shift)
        score = f"align-eval --sets {self.chosen.set_name}"
        known = {
            one.parent.name for one in self.chosen.scores.glob(f"*/{self.chosen.set_name}.json")
        }
        tag = find_tag(self.chosen, stream, known, lambda _: [score])
        path = self.chosen.scores / tag / f"{self.chosen.set_name}.json"
        if not path.exists():
            raise Missing(commands(f"align --sets {self.chosen.set_name}", score))
        found = read_json(path)
        about = f"boundaries: {self.chosen.set_name}, {found['utterances']} utterances, "
        about += f"{_aligner(Path(found['alignments']))}, {describe_settings(found)}"
        if measure not in self.tiers:
            return Cell(found[{"rate": "rate", "span": "mean_span_ms"}[measure]], about=about)
        tier, name, scale = self.tiers[measure]
        methods = found["tiers"].get(tier, {})
        own = methods.get("segmentation", {})
        if own.get(name) is None:
            raise Missing(f"{path}: no {tier}, or no boundary of any")
        low, high = (scale * one for one in own["interval"][name])
        beside = (methods.get(one, {}).get(name) for one in self.chance(measure))
        chance = tuple(None if one is None else scale * one for one in beside)
        return Cell(scale * own[name], (low, high), chance=chance, about=about)


def _aligner(folder: Path) -> str:
    """What made the TextGrids of a folder, as far as it says."""
    aligner = read_stage(folder)["inputs"].get("aligner")
    if aligner is None:
        return f"TextGrids of {folder.name}"
    return f"aligned by {' '.join(str(one) for one in aligner.values())}"
