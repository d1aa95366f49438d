"""The figures of the paper, as ``figures.yaml`` has them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from entcomp.artifacts.groups import PLAIN_STREAMS
from entcomp.artifacts.segmentations import SegmentationInfo
from entcomp.config import Config, load_config
from entcomp.errors import EntcompError

FILE = Path(__file__).with_name("figures.yaml")


class Stream(Config):
    """What a model reads: ``rate`` is asked for (groups a second), ``window`` in units.

    ``pooling`` makes a vector of a group; None is any.
    """

    criterion: str
    rate: float | None = None
    window: int | None = None
    pooling: str | None = None

    @property
    def is_plain(self) -> bool:
        return self.criterion in PLAIN_STREAMS

    @property
    def tag(self) -> str:
        """What `segment` calls these groups by default."""
        if self.is_plain:
            return self.criterion
        if self.window:
            return f"{self.criterion}{self.window}"
        return f"rate{self.rate:g}_{self.criterion}"

    @property
    def options(self) -> str:
        """Options of `segment` that make these groups."""
        how = f"--window {self.window}" if self.window else f"--target-rate {self.rate:g}"
        return f"--criterion {self.criterion} {how}"

    def fits(self, info: SegmentationInfo) -> bool:
        """Is this how a segmentation was made?"""
        asked = info.rule.get("window") if self.window else info.target_rate
        return info.label == self.criterion and asked == (self.window or self.rate)


class Column(Config):
    """What is measured, as in ``asr.wer`` (see `scores.find_source`), and the paper's name."""

    measure: str
    name: str


class Row(Config):
    """A figure for each column, None where the paper has none; ``reads`` names the stream.

    Whole numbers are figures that the paper prints without decimals.
    """

    label: str
    reads: str
    figures: list[int | float | None]


class PaperTable(Config):
    """``clusters`` is the size of the codebook, where a table is about another than the others."""

    number: int
    title: str
    columns: list[Column]
    rows: list[Row]
    clusters: int | None = None
    note: str = ""


class Paper(Config):
    """All tables; ``streams`` by the names that rows have."""

    source: str
    streams: dict[str, Stream]
    tables: list[PaperTable]


@cache
def read_paper() -> Paper:
    """Raises EntcompError where a row has another stream, or not a figure a column."""
    paper = load_config(Paper, FILE)
    for table in paper.tables:
        for row in table.rows:
            if row.reads not in paper.streams or len(row.figures) != len(table.columns):
                raise EntcompError(f"{FILE}: table {table.number}, row '{row.label}' does not fit")
    return paper
