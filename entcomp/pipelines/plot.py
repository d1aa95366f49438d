"""A recording's spectrogram, entropy and groups as a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from entcomp.audio.read import read_wav
from entcomp.errors import EntcompError
from entcomp.files import atomic_path
from entcomp.formats.textgrid import read_textgrid, textgrid_beside
from entcomp.pipelines.tokenizer import Tokenized, Tokenizer
from entcomp.report import figures
from entcomp.report.explorer.data import known_tiers
from entcomp.segmentation.rule import Rule

LONGEST = 60.0  # seconds in one picture


def read_part(
    path: Path, rate: int, start: float, end: float | None, channel: int | None = None
) -> np.ndarray:
    """Samples (samples,) at ``rate`` Hz; raises EntcompError for more than `LONGEST` seconds."""
    if not start < (np.inf if end is None else end) < np.inf and end is not None:
        raise EntcompError(f"--end {end:g}: is not after --start {start:g}")
    if not np.isfinite(start):
        raise EntcompError(f"--start {start:g}: expected seconds")
    waveform = read_wav(path, rate, start, end, channel=channel)
    if len(waveform) > LONGEST * rate:
        raise EntcompError(f"{path}: more than {LONGEST:g} s; choose a part by --start and --end")
    return waveform


def plot_file(
    tokenizer: Tokenizer,
    rule: Rule,
    file: Path,
    output: Path,
    textgrid: Path | None = None,
    start: float = 0.0,
    end: float | None = None,
    channel: int | None = None,
) -> Tokenized:
    """Draw a recording from ``start`` to ``end`` (seconds) as a PNG; returns what is drawn.

    Words and phones are those of ``textgrid``, else of a TextGrid beside the recording. Raises
    EntcompError for more than `LONGEST` seconds, and for criteria that read no entropy.
    """
    rate = tokenizer.info.sample_rate
    waveform = read_part(file, rate, start, end, channel)
    found = tokenizer.encode(waveform, rate, rule=rule, name=str(file))
    if found.entropies is None:
        raise EntcompError(
            f"--criterion {rule.criterion}: groups without entropies, which could be drawn; name "
            "a criterion or a segmentation on entropies"
        )
    grid = textgrid or textgrid_beside(file)
    tiers = {} if grid is None else known_tiers(read_textgrid(grid), start)
    words, phones = (
        [(one.start, one.end, one.label) for one in tiers.get(kind, ())]
        for kind in ("words", "phones")
    )
    figure = figures.entropy_figure(
        waveform,
        rate,
        found.entropies,
        found.groups,
        found.info.frame_shift,
        found.info.receptive_offset,
        words,
        phones,
        found.rule.theta_g,
    )
    with atomic_path(output) as temporary:
        temporary.write_bytes(figures.png(figure))
    return found
