"""entcomp report"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from entcomp.cli.options import AllowPipes, Data, Exp

if TYPE_CHECKING:
    from entcomp.artifacts.alignments import Alignments
    from entcomp.artifacts.experiment import Experiment
    from entcomp.artifacts.groups import Groups
    from entcomp.kaldi.datadir import DataDir, Utterance
    from entcomp.report.figures import Span
    from entcomp.report.sections import Example

SAMPLE_RATE = 16_000
# What is shown unless asked otherwise: a rate in the middle of the paper's, and an utterance that
# fits on a page.
RATE = 15.0
SECONDS = (2.0, 6.0)


def report(
    data: Data,
    exp: Exp,
    set_name: Annotated[
        str | None,
        typer.Option("--set", metavar="NAME", show_default="the first that was aligned"),
    ] = None,
    utterance: Annotated[
        str | None, typer.Option(metavar="ID", help="To show.", show_default="a short one")
    ] = None,
    segments: Annotated[
        str | None, typer.Option(metavar="TAG", help="To show.", show_default="the nearest 15 Hz")
    ] = None,
    alignments: Annotated[
        Path | None, typer.Option(metavar="DIR", show_default="EXP/align/SET")
    ] = None,
    scores: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Of align-eval.", show_default="EXP/align_eval"),
    ] = None,
    output: Annotated[Path | None, typer.Option(metavar="DIR", show_default="EXP/report")] = None,
    allow_pipes: AllowPipes = False,
) -> None:
    """Tables and figures as one page, EXP/report/index.html; PNGs and samples beside it."""
    from entcomp.artifacts.experiment import Experiment
    from entcomp.report.conversion import read_samples
    from entcomp.report.sections import Report, write_report

    experiment = Experiment(exp)
    scores = scores or exp / "align_eval"
    data_set = _choose_set(data, experiment, set_name, scores)
    folder = alignments or experiment.alignments(data_set.name)
    tag = segments or _choose_tag(experiment, data_set.name)
    example = _example(experiment, data_set, tag, folder, utterance, allow_pipes) if tag else None
    samples = read_samples(experiment, data_set, allow_pipes)
    page = Report(experiment, data_set.name, scores, output or exp / "report", example, samples)
    print(write_report(page))


def _choose_set(data: Path, experiment: Experiment, wanted: str | None, scores: Path) -> DataDir:
    """The set asked for; else the first with boundary scores, with entropies, or at all."""
    from entcomp.kaldi.datadir import find_sets

    sets = find_sets(data, wanted)
    for there in (
        [one for one in sets if any(scores.glob(f"*/{one.name}.json"))],
        [one for one in sets if experiment.entropy(one.name).is_dir()],
    ):
        if there:
            return there[0]
    return sets[0]


def _choose_tag(experiment: Experiment, set_name: str) -> str | None:
    """The segmentation nearest to `RATE`, of the paper's default criterion if there is one."""
    from entcomp.files import read_json

    found = {}
    for path in sorted(experiment.path.glob("segments/*/threshold.json")):
        threshold = read_json(path)
        if set_name in threshold.get("rates", {}):
            distance = abs(threshold["rates"][set_name] - RATE)
            found[path.parent.name] = (threshold["criterion"] != "global", distance)
    return min(found, key=lambda tag: found[tag], default=None)


def _example(
    experiment: Experiment,
    data_set: DataDir,
    tag: str,
    alignments: Path,
    wanted: str | None,
    allow_pipes: bool,
) -> Example | None:
    """The utterance asked for, or one that is neither short nor long; None without recordings.

    Raises EntcompError if the one asked for has no entropies, groups or recording.
    """
    from entcomp.artifacts.alignments import Alignments
    from entcomp.artifacts.archive import find_row
    from entcomp.artifacts.entropies import Entropies
    from entcomp.artifacts.groups import Groups
    from entcomp.audio.read import read_utterance
    from entcomp.kaldi.table import read_table
    from entcomp.report.sections import Example

    entropies = Entropies.find(experiment, data_set.name)
    if not (data_set.path / "wav.scp").exists() or entropies is None:
        return None
    groups = Groups.open(experiment, data_set.name, tag)
    grids = Alignments(alignments)
    utt_id = wanted or _choose_utterance(groups, experiment.units_info().frame_shift, grids)
    utterance = _find_utterance(data_set, utt_id)
    text = data_set.path / "text"
    return Example(
        utt_id,
        tag,
        read_table(text, empty_values=True).get(utt_id, "") if text.exists() else "",
        read_utterance(utterance, SAMPLE_RATE, allow_pipes),
        SAMPLE_RATE,
        find_row(entropies, utt_id, experiment.entropy(data_set.name)),
        find_row(groups, utt_id, experiment.segments(tag) / data_set.name),
        *(_spans(grids, utt_id, tier) for tier in ("words", "phones")),
    )


def _choose_utterance(groups: Groups, frame_shift: float, grids: Alignments) -> str:
    """The first that lasts `SECONDS`, of those with a TextGrid if there are any."""
    seconds = {utt_id: float(lengths.sum()) * frame_shift for utt_id, lengths in groups}
    aligned = [utt_id for utt_id in seconds if utt_id in grids] or list(seconds)
    fitting = [utt_id for utt_id in aligned if SECONDS[0] <= seconds[utt_id] <= SECONDS[1]]
    return (fitting or aligned)[0]


def _find_utterance(data_set: DataDir, utt_id: str) -> Utterance:
    from entcomp.errors import EntcompError

    for utterance in data_set.utterances():
        if utterance.utt_id == utt_id:
            return utterance
    raise EntcompError(f"{data_set.path}: no utterance {utt_id}; name one of its own")


def _spans(grids: Alignments, utt_id: str, tier: str) -> list[Span]:
    """Start, end and label of what an aligner found; nothing where none has run."""
    if utt_id not in grids:
        return []
    return [(one.start, one.end, one.label) for one in grids.grid(utt_id).tier(tier)]
