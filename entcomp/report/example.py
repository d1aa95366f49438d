"""What the report shows unless asked otherwise: a set, a segmentation, and an utterance."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from entcomp.artifacts.alignments import Alignments
from entcomp.artifacts.archive import find_row
from entcomp.artifacts.entropies import Entropies
from entcomp.artifacts.experiment import DIRECTIONS, Experiment
from entcomp.artifacts.groups import Groups
from entcomp.artifacts.units import Units
from entcomp.audio.read import read_utterance
from entcomp.errors import EntcompError
from entcomp.kaldi.datadir import DataDir, Utterance, find_sets
from entcomp.kaldi.table import read_table
from entcomp.report.explorer.data import Initial, ShownUtterance, known_tiers
from entcomp.report.figures import Span
from entcomp.report.sections import Example
from entcomp.segmentation import DEFAULT_CRITERION

SAMPLE_RATE = 16_000
# A rate in the middle of the paper's, and an utterance that fits on a page.
RATE = 15.0
SECONDS = (2.0, 6.0)


def choose_set(
    data: Path, experiment: Experiment, wanted: str | None, scores: Path, channel: int | None = None
) -> DataDir:
    """The set asked for; else the first with boundary scores, with entropies, or at all."""
    sets = find_sets(data, wanted, channel)
    for there in (
        [one for one in sets if any(scores.glob(f"*/{one.name}.json"))],
        [one for one in sets if experiment.entropy(one.name).is_dir()],
    ):
        if there:
            return there[0]
    return sets[0]


def choose_tag(experiment: Experiment, set_name: str) -> str | None:
    """The segmentation nearest to `RATE`, of the paper's default criterion if there is one."""
    found = {}
    for tag in experiment.segmentations():
        info = experiment.find_segmentation(tag)
        if info and set_name in info.rates:
            distance = abs(info.rates[set_name] - RATE)
            found[tag] = (info.criterion != DEFAULT_CRITERION, distance)
    return min(found, key=lambda tag: found[tag], default=None)


def find_example(
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
    entropies = Entropies.find(experiment, data_set.name)
    if not (data_set.path / "wav.scp").exists() or entropies is None:
        return None
    groups = Groups.open(experiment, data_set.name, tag)
    grids = Alignments(alignments)
    utt_id = wanted or _choose_utterance(groups, experiment.units_info().frame_shift, grids)
    utterance = _find_utterance(data_set, utt_id)
    path = data_set.path / "text"
    text = read_table(path, empty_values=True).get(utt_id, "") if path.exists() else ""
    waveform = read_utterance(utterance, SAMPLE_RATE, allow_pipes)
    entropy = find_row(entropies, utt_id, experiment.entropy(data_set.name))
    shown = _shown(experiment, data_set.name, utt_id, text, waveform, entropy, grids)
    return Example(
        utt_id,
        tag,
        text,
        waveform,
        SAMPLE_RATE,
        entropy,
        find_row(groups, utt_id, experiment.segments(tag) / data_set.name),
        _spans(grids, utt_id, "words"),
        _spans(grids, utt_id, "phones"),
        explored=None if shown is None else (shown, Initial.of(experiment, tag)),
    )


def _shown(
    experiment: Experiment,
    set_name: str,
    utt_id: str,
    text: str,
    waveform: np.ndarray,
    entropy: np.ndarray,
    grids: Alignments,
) -> ShownUtterance | None:
    """The same for the page with sliders; None where the experiment has no units of the set."""
    units = Units.find(experiment, set_name)
    if units is None:
        return None
    both = Entropies.find(experiment, set_name, DIRECTIONS)
    backward = both and ((found, vectors[1]) for found, vectors in both.rows())
    folder = experiment.entropy(set_name)
    grid = grids.grid(utt_id) if utt_id in grids else None
    return ShownUtterance(
        utt_id,
        text,
        waveform,
        SAMPLE_RATE,
        find_row(units, utt_id, experiment.units(set_name)),
        entropy,
        None if backward is None else find_row(backward, utt_id, folder),
        {} if grid is None else known_tiers(grid),
        None if grid is None else grid.duration,
    )


def _choose_utterance(groups: Groups, frame_shift: float, grids: Alignments) -> str:
    """The first that lasts `SECONDS`, of those with a TextGrid if there are any."""
    seconds = {utt_id: float(lengths.sum()) * frame_shift for utt_id, lengths in groups}
    aligned = [utt_id for utt_id in seconds if utt_id in grids] or list(seconds)
    fitting = [utt_id for utt_id in aligned if SECONDS[0] <= seconds[utt_id] <= SECONDS[1]]
    return (fitting or aligned)[0]


def _find_utterance(data_set: DataDir, utt_id: str) -> Utterance:
    for utterance in data_set.utterances():
        if utterance.utt_id == utt_id:
            return utterance
    raise EntcompError(f"{data_set.path}: no utterance {utt_id}; name one of its own")


def _spans(grids: Alignments, utt_id: str, tier: str) -> list[Span]:
    """Start, end and label of what an aligner found; nothing where none has run."""
    if utt_id not in grids:
        return []
    return [(one.start, one.end, one.label) for one in grids.grid(utt_id).tier(tier)]
