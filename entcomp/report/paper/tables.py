"""The paper's tables filled from an experiment, as Markdown and as HTML."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby

from entcomp.errors import EntcompError
from entcomp.report.page import paragraph
from entcomp.report.paper.figures import Column, PaperTable, Row, read_paper
from entcomp.report.paper.models import Chosen, Missing, commands
from entcomp.report.paper.scores import Cell, Source, find_source
from entcomp.report.tables import Table


@dataclass(frozen=True)
class FilledTable:
    """A table, what was measured in it, how its empty cells are filled, a word on the paper's."""

    title: str
    table: Table
    about: Sequence[str]
    missing: Sequence[str]
    note: str

    def markdown(self) -> str:
        lines = [*self.about, *self.missing]
        parts = [f"## {self.title}", self.note, self.table.markdown().strip()]
        parts.append("\n".join(f"- {line}" for line in lines))
        return "\n\n".join(part for part in parts if part)

    def html(self) -> str:
        notes = [self.note, *self.about, *self.missing]
        words = [paragraph(note) for note in notes if note]
        return "\n".join([f"<h3>{escape(self.title)}</h3>", self.table.html(), *words])


def fill_tables(chosen: Chosen, with_2000: Chosen | None = None) -> list[FilledTable]:
    """Tables 1 to 13 of an experiment; ``with_2000`` is one with a codebook of 2,000 for table 10.

    Raises EntcompError if that one has another codebook.
    """
    return [_filling(table, chosen, with_2000).fill() for table in read_paper().tables]


def describe_tables(chosen: Chosen) -> str:
    """What the reader of all tables has to know."""
    info = chosen.experiment.units_info()
    return (
        f"{chosen.experiment.path}, set {chosen.set_name}: {info.num_clusters} units of "
        f"{info.extractor}, layer {info.layer}, {info.frame_rate:.1f} a second; the paper has 500 "
        f"of HuBERT, 50 a second. Columns called 'paper' hold its figures ({read_paper().source}). "
        "Hz: groups a second, as reached in that set. Brackets: 95% bootstrap intervals over "
        "utterances; of a mean over seeds, from the lowest end of theirs to the highest. An empty "
        "cell has not been measured: the list below its table has the commands that do it, to be "
        "followed by DATA EXP and the options that a recipe gives them."
    )


def markdown_page(chosen: Chosen, tables: Sequence[FilledTable]) -> str:
    parts = ["# The paper's tables", describe_tables(chosen), *(one.markdown() for one in tables)]
    return "\n\n".join(parts) + "\n"


def _filling(table: PaperTable, chosen: Chosen, with_2000: Chosen | None) -> _Filling:
    """The table, with the experiment that it is of."""
    if table.clusters in (None, chosen.experiment.units_info().num_clusters):
        return _Filling(table, chosen)
    if with_2000 is None:
        make = commands(f"learn-kmeans --num-clusters {table.clusters}")
        other = f"an experiment of its own, from {make} on, named by `--exp-k2000`"
        return _Filling(table, chosen, other)
    found = with_2000.experiment.units_info().num_clusters
    if found != table.clusters:
        path = with_2000.experiment.path
        raise EntcompError(f"{path}: {found} units; table {table.number} is of {table.clusters}")
    return _Filling(table, with_2000)


class _Filling:
    """A table while its cells are looked up; they stay empty where it takes another experiment."""

    def __init__(self, table: PaperTable, chosen: Chosen, other: str = "") -> None:
        self.paper = table
        self.chosen = chosen
        self.other = other
        self.about: dict[str, None] = {}
        self.missing: dict[str, dict[str, list[str]]] = {}  # columns, by reason and row

    def fill(self) -> FilledTable:
        header = [""]
        cells = [[row.label] for row in self.paper.rows]
        for name, columns in self._parts():
            head, part = self._part(find_source(self.chosen, name), columns)
            header += head
            for row, own in zip(cells, part, strict=True):
                row += own
        missing = [f"Empty: {_spell(rows)}: {how}" for how, rows in self.missing.items()]
        title = f"Table {self.paper.number}: {self.paper.title}"
        return FilledTable(title, Table(header, cells), list(self.about), missing, self.paper.note)

    def _parts(self) -> Iterator[tuple[str, list[tuple[int, Column]]]]:
        """Neighbouring columns of one source: its name, and their places and themselves."""
        columns = enumerate(self.paper.columns)
        for name, part in groupby(columns, lambda one: one[1].measure.rpartition(".")[0]):
            yield name, list(part)

    def _part(
        self, source: Source, columns: list[tuple[int, Column]]
    ) -> tuple[list[str], list[list[str]]]:
        """Heads of a source's columns, and their cells row by row."""
        head = ["Hz"] if source.has_rate else []
        for _, column in columns:
            measure = _measure(column)
            head += [source.label(measure), *source.chance(measure), f"paper: {column.name}"]
        rows = []
        for row in self.paper.rows:
            found = [self._cell(source, row, place, column) for place, column in columns]
            rates = [cell.rate for cell in found if cell and cell.rate is not None]
            cells = [f"{rates[0]:.1f}" if rates else ""] if source.has_rate else []
            for (place, column), cell in zip(columns, found, strict=True):
                cells += _texts(source, _measure(column), cell, row.figures[place])
            rows.append(cells)
        return head, rows

    def _cell(self, source: Source, row: Row, place: int, column: Column) -> Cell | None:
        """None where the paper has no figure, or the experiment none."""
        if row.figures[place] is None:
            return None
        try:
            if self.other:
                raise Missing(self.other)
            cell = source.cell(read_paper().streams[row.reads], _measure(column))
        except Missing as reason:
            rows = self.missing.setdefault(str(reason), {})
            rows.setdefault(row.label, []).append(column.name)
            return None
        if cell.about:
            self.about[cell.about] = None
        return cell


def _spell(rows: Mapping[str, Sequence[str]]) -> str:
    """Cells by row, as in ``24 Hz (WER, CER)``."""
    return ", ".join(f"{row} ({', '.join(columns)})" for row, columns in rows.items())


def _measure(column: Column) -> str:
    return column.measure.rpartition(".")[2]


def _texts(source: Source, measure: str, cell: Cell | None, paper: float | None) -> list[str]:
    """A score with its interval, chance, and the paper's figure."""
    places = source.places.get(measure, 1)

    def text(value: float | None) -> str:
        if value is None or isinstance(value, int):
            return "" if value is None else str(value)
        return f"{value:.{places}f}"

    chance = source.chance(measure)
    if cell is None:
        return ["", *("" for _ in chance), text(paper)]
    own = text(cell.value)
    if cell.interval:
        low, high = cell.interval
        own += f" [{text(low)}, {text(high)}]"
    return [own, *map(text, cell.chance), text(paper)]
