"""Recordings as one HTML page with sliders, sound and boundary scores."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from entcomp.artifacts.packing import default_segmentation
from entcomp.errors import EntcompError
from entcomp.formats.textgrid import read_textgrid, textgrid_beside
from entcomp.pipelines.plot import read_part
from entcomp.pipelines.recordings import Recordings
from entcomp.pipelines.tokenizer import PLAIN_RULES, Tokenizer
from entcomp.progress import progress_bar
from entcomp.report.explorer.data import Initial, ShownUtterance, known_tiers
from entcomp.report.explorer.write import write_explorer
from entcomp.segmentation import DEFAULT_CRITERION

log = logging.getLogger(__name__)


def explore_files(
    tokenizer: Tokenizer,
    files: Sequence[Path],
    output: Path,
    textgrid: Path | None = None,
    start: float = 0.0,
    end: float | None = None,
    channel: int | None = None,
) -> list[ShownUtterance]:
    """Write the page of ``files``, each from ``start`` to ``end`` (seconds); what it shows.

    It opens with the groups that `Tokenizer` makes by default, and warns about settings of these
    that the page does not support.

    ``channel`` counts from 0; None is the mean of all.

    Words and phones are those of ``textgrid``, of one recording, else of the TextGrids beside the
    recordings. Raises EntcompError for a recording that cannot be read or lasts more than
    `plot.LONGEST` seconds, and for ``textgrid`` with several.
    """
    if textgrid is not None and len(files) > 1:
        raise EntcompError(
            f"--textgrid {textgrid}: {len(files)} recordings; put TextGrids beside them instead"
        )
    recordings = Recordings(files)
    for error in recordings.errors.values():
        raise error
    utterances = []
    with progress_bar("explore", len(files)) as advance:
        for utt_id, path in recordings.paths.items():
            grid = textgrid or textgrid_beside(path)
            waveform = read_part(path, tokenizer.info.sample_rate, start, end, channel)
            utterances.append(_describe(tokenizer, utt_id, path, waveform, grid, start, end))
            advance(1)
    tag = default_segmentation(tokenizer.experiment)
    initial = Initial.of(tokenizer.experiment, tag) if tag else Initial(DEFAULT_CRITERION)
    if tag and {"boundary", "match_rate"} & tokenizer.experiment.segmentation(tag).rule.keys():
        log.warning(
            "%s: the page matches no rates and starts groups where a unit fires, unlike %s",
            output,
            tag,
        )
    write_explorer(output, tokenizer.experiment, utterances, initial)
    return utterances


def _describe(
    tokenizer: Tokenizer,
    utt_id: str,
    path: Path,
    waveform: np.ndarray,
    textgrid: Path | None,
    start: float,
    end: float | None,
) -> ShownUtterance:
    rate = tokenizer.info.sample_rate
    # The plainest grouping, as the page makes its own.
    units = tokenizer.encode(waveform, rate, rule=PLAIN_RULES["raw"], name=str(path)).units
    backward = tokenizer.experiment.lm("backward").is_dir()
    grid = None if textgrid is None else read_textgrid(textgrid)
    return ShownUtterance(
        utt_id,
        "",
        waveform,
        rate,
        units,
        tokenizer.entropies(units),
        tokenizer.entropies(units, "backward") if backward else None,
        {} if grid is None else known_tiers(grid, start),
        None if grid is None else min(grid.duration, end or grid.duration) - start,
    )
