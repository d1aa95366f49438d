"""A trained pipeline to one file, with its model card."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from entcomp.artifacts import packing
from entcomp.artifacts.experiment import Experiment
from entcomp.errors import EntcompError
from entcomp.lm.onnx_lm import OnnxLM
from entcomp.report.model_card import model_card
from entcomp.segmentation.criteria import find_criterion
from entcomp.segmentation.criterion import Criterion
from entcomp.segmentation.intervals import IntervalCriterion
from entcomp.tasks import read_task_info, task_of


def pack(
    experiment: Experiment,
    output: Path,
    models: Sequence[str] = (),
    segmentations: Sequence[str] = (),
    notes: Path | None = None,
    default: str | None = None,
) -> dict[str, int]:
    """Write a tar file, or a folder where ``output`` does not end in ``.tar``; bytes by file.

    ``models`` are as in ``asr/TAG``, and take the thresholds of their groups along;
    ``segmentations`` are tags; ``notes`` open the model card; ``default`` is one more tag, that
    is meant where a user of the pack names none. Raises EntcompError for what is missing, or was
    made with another codebook or LM.
    """
    if notes is not None and not notes.is_file():
        raise EntcompError(f"--notes {notes}: no such file")
    text = notes.read_text(encoding="utf-8") if notes else f"# {output.stem}"
    files = {one: task_of(packing.check_task(experiment, one)).files for one in models}
    own = {read_task_info(experiment.path / one).segments for one in models}
    default = default or packing.default_segmentation(experiment)  # of a pack that is packed again
    if default and isinstance(_criterion(experiment, default), IntervalCriterion):
        raise EntcompError(
            f"--default {default}: its groups come from files, and no recording has others; "
            "name another segmentation"
        )
    chosen = {*segmentations, *([default] if default else [])}
    tags = sorted({*chosen, *(tag for tag in own if experiment.threshold(tag).exists())})
    for folder in filter(Path.is_dir, map(experiment.lm, packing.DIRECTIONS)):
        OnnxLM.open(folder)  # which exports it, if it never was
    card = model_card(experiment, tags, models, text, default)
    return packing.pack(experiment, output, tags, files, card, default)


def _criterion(experiment: Experiment, tag: str) -> Criterion | None:
    """What made a segmentation; None where nothing says it, or there is none."""
    if not experiment.threshold(tag).exists():
        return None
    return find_criterion(experiment.segmentation(tag).criterion)
