"""The sections of the report, in order; each is None where its stage has not been run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np

from entcomp.artifacts.entropies import Entropies
from entcomp.artifacts.experiment import DIRECTIONS, Experiment
from entcomp.artifacts.models import LMInfo
from entcomp.artifacts.segmentations import SegmentationInfo
from entcomp.artifacts.units import Units
from entcomp.errors import EntcompError
from entcomp.files import atomic_path, read_json, write_text
from entcomp.report import (
    boundary_scores,
    figures,
    page,
    result_figures,
    text_scores,
    unit_scores,
)
from entcomp.report.conversion import SAMPLE_RATE, Sample, label, read_conversions
from entcomp.report.explorer.data import Initial, ShownUtterance
from entcomp.report.explorer.write import write_explorer
from entcomp.report.families import family_of
from entcomp.report.latency import describe_latency, latency_table
from entcomp.report.paper.models import Chosen
from entcomp.report.paper.tables import describe_tables, fill_tables, markdown_page
from entcomp.report.tables import Table
from entcomp.report.text_scores import TextResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Example:
    """One utterance, to look at and listen to; see `figures.entropy_figure`."""

    utt_id: str
    tag: str
    text: str
    waveform: np.ndarray
    sample_rate: int
    entropies: np.ndarray
    group_lengths: np.ndarray
    words: Sequence[figures.Span]
    phones: Sequence[figures.Span]
    explored: tuple[ShownUtterance, Initial] | None = None  # None without units


@dataclass(frozen=True)
class Report:
    """What the sections read, and the folder that takes their PNGs.

    ``paper`` says what stands beside the paper's tables, None to leave them out; ``paper_2000`` is
    the same of an experiment with 2,000 units.
    """

    experiment: Experiment
    set_name: str
    scores: Path
    output: Path
    example: Example | None = None
    samples: Sequence[Sample] = ()
    paper: Chosen | None = None
    paper_2000: Chosen | None = None

    def figure(self, figure: Figure, name: str, caption: str) -> str:
        """Write ``name.png`` and return it as HTML."""
        image = figures.png(figure)
        with atomic_path(self.output / f"{name}.png") as temporary:
            temporary.write_bytes(image)
        return page.figure(figures.inline(image, "image/png"), caption)

    def audio(self, waveform: np.ndarray, sample_rate: int, name: str) -> str:
        """Write ``name.flac`` and return its URL, relative to the page."""
        with atomic_path(self.output / f"{name}.flac") as temporary:
            temporary.write_bytes(page.flac(waveform, sample_rate))
        return quote(f"{name}.flac")

    def text_results(self, task: str) -> list[TextResult]:
        """What ``asr`` or ``st`` made of the set."""
        return text_scores.read_text_results(self.experiment, self.set_name, task)

    def latency(self) -> dict[str, Any]:
        """What bench-latency found; empty where it has not run."""
        path = self.experiment.path / "latency.json"
        return read_json(path) if path.exists() else {}

    def segmentations(self) -> list[tuple[str, SegmentationInfo]]:
        """The tag of each segmentation of the set and the facts about it, the finest first."""
        tags = self.experiment.segmentations()
        found = ((tag, self.experiment.find_segmentation(tag)) for tag in tags)
        there = [(tag, info) for tag, info in found if info and self.set_name in info.rates]
        return sorted(there, key=lambda one: -one[1].rates[self.set_name])


def example(report: Report) -> str | None:
    """The paper's figure 1a, on one utterance of the set."""
    one = report.example
    if one is None:
        return None
    info = report.experiment.units_info()
    drawn = figures.entropy_figure(
        one.waveform,
        one.sample_rate,
        one.entropies,
        one.group_lengths,
        info.frame_shift,
        info.receptive_offset,
        one.words,
        one.phones,
    )
    rate = len(one.group_lengths) / (len(one.entropies) * info.frame_shift)
    said = f", “{one.text}”" if one.text else ""
    caption = f"{one.utt_id}{said}: groups of {one.tag}, {rate:.1f} a second here."
    parts = [
        report.figure(drawn, "entropy", caption),
        page.player(figures.inline(page.flac(one.waveform, one.sample_rate), "audio/flac")),
    ]
    if one.explored:
        path, (utterance, initial) = report.output / "explore.html", one.explored
        write_explorer(path, report.experiment, [utterance], initial)
        parts.append(page.link(path.name, "Move thresholds, and hear the groups that come of them"))
    return page.section("An utterance", *parts)


def boundaries(report: Report) -> str | None:
    """Rate against F1 and R-value, and their tables."""
    results = boundary_scores.read_scores(report.scores.glob(f"*/{report.set_name}.json"))
    if not results:
        return None
    caption = (
        f"Boundaries of groups in {report.set_name}, references as wide as their resolution; "
        "bars are 95% bootstrap intervals."
    )
    parts = []
    for number, alike in enumerate(boundary_scores.by_settings(results)):
        names = boundary_scores.tiers(alike)
        tags = {one["tag"]: family_of(report.experiment, one["tag"], one["tag"]) for one in alike}
        drawn = result_figures.boundary_figure(alike, names, tags)
        parts.append(report.figure(drawn, _numbered("rates", number), caption))
        parts.append(page.paragraph(boundary_scores.describe_matching(alike[0])))
        for tier in names:
            for title, table in boundary_scores.score_tables(alike, tier).items():
                parts += [f"<h3>{title}</h3>", table.html()]
    return page.section("Boundaries against words and phones", *parts)


def entropy(report: Report) -> str | None:
    """Histograms of entropy and of its rise, with the thresholds of the segmentations."""
    found = Entropies.find(report.experiment, report.set_name)
    if found is None:
        return None
    # The first unit follows nothing, and always starts a group.
    vectors = [vector[~np.isnan(vector)][1:] for _, vector in found]
    labels = {"theta_g": "entropy (nats)", "theta_r": "rise of entropy (nats)"}
    values = dict(zip(labels.values(), (vectors, map(np.diff, vectors)), strict=True))
    thresholds = {label: _cuts(report, name) for name, label in labels.items()}
    drawn = figures.histogram_figure(
        {label: np.concatenate(list(many)) for label, many in values.items()}, thresholds
    )
    caption = f"All units of {report.set_name}, and where the criteria cut for a rate."
    return page.section("Entropy", report.figure(drawn, "histogram", caption))


def data(report: Report) -> str | None:
    """Utterances, units and hours of each set."""
    sets = report.experiment.sets()
    if not sets:
        return None
    info = report.experiment.units_info()
    rows = []
    for name in sets:
        units = Units.open(report.experiment, name)
        counts = units.outputs or _count(units)
        hours = counts["frames"] * info.frame_shift / 3600
        sizes = (f"{counts[key]:,}" for key in ("utterances", "frames"))
        rows.append([name, *sizes, f"{hours:.2f}"])
    kind = f"{info.num_clusters} units of {info.extractor}, layer {info.layer}"
    return page.section(
        "Data",
        page.paragraph(f"{kind}, {info.frame_rate:.1f} a second."),
        Table(["set", "utterances", "units", "hours"], rows).html(),
    )


def evaluated_units(report: Report) -> str | None:
    """What evaluate-units found of the units and their streams."""
    path = report.experiment.unit_scores(report.set_name) / "scores.json"
    if not path.exists():
        return None
    parts = []
    for title, words, table in unit_scores.tables(read_json(path)):
        parts += [f"<h3>{title}</h3>", page.paragraph(words), table.html()]
    return page.section("Units", *parts)


def language_model(report: Report) -> str | None:
    """Nats per unit, beside those of n-grams."""
    rows = []
    for direction in DIRECTIONS:
        if lm := LMInfo.find(report.experiment.lm(direction)):
            nats = lm.nats_per_unit
            rows.append([direction, *(f"{nats[key]:.3f}" for key in ("lm", "bigram", "unigram"))])
    if not rows:
        return None
    table = Table(["direction", "LM", "bigram", "unigram"], rows)
    return page.section("Entropy LM", page.paragraph("Nats per unit, dev set."), table.html())


def segmentations(report: Report) -> str | None:
    """Thresholds in nats and the rates reached."""
    rows = [_segmentation(report, *one) for one in report.segmentations()]
    if not rows:
        return None
    header = ["segmentation", "criterion", "theta_g (nats)", "theta_r (nats)", "asked Hz", "Hz"]
    return page.section(f"Segmentations of {report.set_name}", Table(header, rows).html())


def recognition(report: Report) -> str | None:
    """Rate against WER and CER, and their table."""
    results = report.text_results("asr")
    if not results:
        return None
    labels = text_scores.metric_of("asr").labels
    parts = []
    for number, (how, alike) in enumerate(text_scores.by_settings(results).items()):
        points = {label: _points(alike, name) for name, label in labels.items()}
        parts.append(_score_figure(report, points, "recognition", number=number))
        parts += [page.paragraph(how), text_scores.score_table(alike, "asr").html()]
    return page.section("Recognition", *parts)


def translation(report: Report) -> str | None:
    """Rate against BLEU of each language, and their tables."""
    results = report.text_results("st")
    if not results:
        return None
    points, parts = {}, []
    for lang, own in groupby(results, lambda one: one.lang):
        for number, (how, alike) in enumerate(text_scores.by_settings(list(own)).items()):
            title = _numbered(lang, number)
            points[f"BLEU, {title}"] = _points(alike, "bleu")
            parts += [f"<h3>{title}</h3>", page.paragraph(how)]
            parts.append(text_scores.score_table(alike, "st").html())
    return page.section("Translation", _score_figure(report, points, "translation"), *parts)


def latency(report: Report) -> str | None:
    """Bars of the medians of all stages, and the table with their 95th percentiles."""
    found = report.latency()
    if not found:
        return None
    caption = f"From a waveform to its text, on {found['device']}."
    return page.section(
        "Latency",
        report.figure(result_figures.latency_figure(found), "latency", caption),
        page.paragraph(describe_latency(found)),
        latency_table(found).html(),
    )


IN_FIGURE = ("wer_", "similarity_", "distillmos")  # of conversion; the table has more


def conversion(report: Report) -> str | None:
    """Rate against what converted speech came to, its table, and samples of it."""
    found = read_conversions(report.experiment, report.set_name)
    if found is None:
        return None
    points, lines = {}, {}
    for metric in (one for one in found.metrics if one.startswith(IN_FIGURE)):
        own = found.points(metric, report.experiment)
        if own:
            points[label(metric)], lines[label(metric)] = own, found.lines(metric, own)
    parts = [_score_figure(report, points, "conversion", lines)] if points else []
    parts.append(found.table().html())
    parts.append(page.paragraph(f"{'; '.join(found.describe())}."))
    return page.section("Voice conversion", *parts, *_samples(report))


def _samples(report: Report) -> list[str]:
    """Spectrograms beside each other, and a player for each with what was heard in it."""
    if not report.samples:
        return []
    columns = {one.utt_id: one.waveforms for one in report.samples}
    caption = "Spectrograms: the content of the source in the voice of the reference."
    drawn = figures.comparison_figure(columns, SAMPLE_RATE)
    rows = [
        (system, [_play(report, one, system) for one in report.samples])
        for system in report.samples[0].waveforms
    ]
    titles = [f"{one.utt_id}: {one.text}" for one in report.samples]
    grid = page.grid("says", titles, rows)
    return [report.figure(drawn, "conversion_samples", caption), grid]


def _play(report: Report, sample: Sample, system: str) -> str:
    name = f"conversion/{sample.utt_id}/{system}"
    source = report.audio(sample.waveforms[system], SAMPLE_RATE, name)
    return page.player(source, sample.heard.get(system, ""))


def papers_tables(report: Report) -> str | None:
    """Tables 1 to 13 of the paper beside the experiment's, also written to ``paper.md``."""
    if report.paper is None:
        return None
    tables = fill_tables(report.paper, report.paper_2000)
    write_text(report.output / "paper.md", markdown_page(report.paper, tables))
    about = page.paragraph(describe_tables(report.paper))
    return page.section("The paper's tables", about, *(one.html() for one in tables))


SECTIONS = (
    example,
    boundaries,
    recognition,
    translation,
    conversion,
    latency,
    papers_tables,
    evaluated_units,
    entropy,
    segmentations,
    language_model,
    data,
)


def write_report(report: Report) -> Path:
    """Write ``index.html``, the PNGs that it shows and ``results.md``; returns the page's path.

    Raises EntcompError where no stage has left anything to show.
    """
    tasks = report.text_results("asr"), report.text_results("st")
    if any(tasks):
        summary = text_scores.summary_table(*tasks, report.latency())
        notes = text_scores.summary_notes(*tasks)
        write_text(report.output / "results.md", summary.markdown() + notes)
    made = [section(report) for section in SECTIONS]
    if not any(made):
        raise EntcompError(
            f"{report.experiment.path}: no results of {report.set_name}; run a stage first"
        )
    about = f"{report.experiment.path}, set {report.set_name}"
    html = page.render("entcomp report", about, [one for one in made if one])
    path = report.output / "index.html"
    write_text(path, html)
    return path


def _segmentation(report: Report, tag: str, info: SegmentationInfo) -> list[str]:
    thetas = (info.threshold(name) for name in ("theta_g", "theta_r"))
    target = info.target_rate
    return [
        tag,
        info.criterion,
        *("" if theta is None else f"{theta:.3f}" for theta in thetas),
        "" if target is None else f"{target:g}",
        f"{info.rates[report.set_name]:.2f}",
    ]


def _points(results: Sequence[TextResult], metric: str) -> list[result_figures.Point]:
    return [
        result_figures.Point(
            one.kind, one.rate, one.value(metric), *one.interval(metric), family=one.family
        )
        for one in results
    ]


def _score_figure(
    report: Report,
    panels: dict[str, list[result_figures.Point]],
    name: str,
    lines: dict[str, dict[str, list[tuple[float, float]]]] | None = None,
    number: int = 0,
) -> str:
    caption = f"{name.capitalize()} of {report.set_name}; bars are 95% bootstrap intervals."
    drawn = result_figures.score_figure(panels, lines)
    return report.figure(drawn, _numbered(name, number), caption)


def _numbered(name: str, number: int) -> str:
    """Of what was scored in one way ``name``; of what was scored in others ``name_2``, ..."""
    return f"{name}_{number + 1}" if number else name


def _cuts(report: Report, name: str) -> list[figures.Threshold]:
    """Thresholds on forward entropies alone; a bidirectional score is on another scale."""
    return [
        figures.Threshold(info.criterion, nats, info.rates[report.set_name])
        for _, info in report.segmentations()
        if (nats := info.threshold(name)) is not None
    ]


def _count(units: Units) -> dict[str, int]:
    """Counts of a set that came without a manifest."""
    lengths = [len(vector) for _, vector in units]
    return {"utterances": len(lengths), "frames": sum(lengths)}
