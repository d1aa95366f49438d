"""The model card of a pack: what is in it, what it was measured at, and what its maker says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from entcomp.artifacts.experiment import DIRECTIONS, Experiment
from entcomp.artifacts.models import LMInfo
from entcomp.evaluation.text.metric import score_value
from entcomp.files import read_json
from entcomp.report.boundary_scores import (
    by_settings,
    describe_matching,
    read_scores,
    score_tables,
    tiers,
)
from entcomp.report.tables import Table
from entcomp.tasks import read_task_info, task_of


def model_card(
    experiment: Experiment,
    tags: Sequence[str],
    tasks: Sequence[str],
    notes: str,
    default: str | None = None,
) -> str:
    """Markdown. ``notes`` (data, licence, commands) come first; ``tags`` and ``tasks`` are packed.

    ``default`` is the tag that is meant where a user names none.

    Figures are those that the stages left: nats per unit of the LMs, rates of the segmentations,
    boundary scores of all sets that `align-eval` has seen, scores of `decode`.
    """
    sections = [notes.strip(), *_units(experiment), *_lms(experiment)]
    sections += [*_rates(experiment, tags, default), *_boundaries(experiment, tags)]
    sections += [section for task in tasks for section in _task(experiment, task)]
    return "\n\n".join(section for section in sections if section) + "\n"


def hub_card(
    card: str, experiment: Experiment, tasks: Sequence[str], license_id: str | None = None
) -> str:
    """A model card with the YAML header that the Hugging Face hub reads, before its text.

    What an own header of ``card`` says stays, ``license_id`` apart.
    """
    kinds = {kind for one in tasks if (kind := task_of(one).hub_task)}
    extractor = experiment.units_info().extractor
    header: dict[str, Any] = {
        "library_name": "entcomp",
        "tags": ["audio", "speech", "speech-units", extractor, *sorted(kinds)],
    }
    if len(kinds) == 1:
        header["pipeline_tag"] = kinds.pop()
    if card.startswith("---\n"):
        own, _, card = card.removeprefix("---\n").partition("\n---\n")
        header |= yaml.safe_load(own) or {}
    if license_id:
        header["license"] = license_id
    return f"---\n{yaml.safe_dump(header, sort_keys=False)}---\n\n{card.lstrip()}"


def _units(experiment: Experiment) -> Iterator[str]:
    info = experiment.units_info()
    yield (
        f"## Units\n\n{info.extractor}, layer {info.layer}, K = {info.num_clusters}: "
        f"{info.frame_rate:.2f} units a second. Codebook SHA-256 `{info.codebook_sha256}`."
    )


def _lms(experiment: Experiment) -> Iterator[str]:
    rows = []
    for direction in DIRECTIONS:
        if lm := LMInfo.find(experiment.lm(direction)):
            nats = [f"{lm.nats_per_unit[name]:.3f}" for name in ("lm", "unigram", "bigram")]
            rows.append([lm.direction, lm.lm_units, *nats])
    if rows:
        header = ("direction", "reads", "nats per unit", "unigram", "bigram")
        yield f"## Entropy LM (dev set)\n\n{Table(header, rows).markdown()}"


def _rates(experiment: Experiment, tags: Sequence[str], default: str | None) -> Iterator[str]:
    rates = {tag: experiment.segmentation(tag).rates for tag in tags}
    rows = [
        [name, *(f"{own[name]:.2f}" if name in own else "" for own in rates.values())]
        for name in sorted({name for own in rates.values() for name in own})
    ]
    if rows:
        yield f"## Rates (Hz)\n\n{Table(('set', *rates), rows).markdown()}"
    if default:
        yield f"Where a user asks for no others, groups are those of `{default}`."


def _boundaries(experiment: Experiment, tags: Sequence[str]) -> Iterator[str]:
    paths = sorted(path for tag in tags for path in experiment.alignment_scores(tag).glob("*.json"))
    for set_name in sorted({path.stem for path in paths}):
        results = read_scores(path for path in paths if path.stem == set_name)
        yield f"## Boundaries: {set_name}"
        for alike in by_settings(results):
            yield describe_matching(alike[0])
            for tier in tiers(alike):
                for title, table in score_tables(alike, tier).items():
                    yield f"### {title}\n\n{table.markdown()}"


def _task(experiment: Experiment, task: str) -> Iterator[str]:
    info = read_task_info(experiment.path / task)
    sets = ", ".join(info.train_sets)
    yield f"## {task}\n\nReads {info.segments}, writes {info.output}; trained on {sets}."
    for path in sorted((experiment.path / task).glob("decode_*/scores.json")):
        figures = [
            f"{name.upper()} {score_value(one):.2f}"
            for name, one in read_json(path).items()
            if isinstance(one, dict)
        ]
        yield f"{path.parent.name.removeprefix('decode_')}: {', '.join(figures)}"
