"""entcomp compare"""

from __future__ import annotations

from typing import Annotated

import typer

from entcomp.artifacts.experiment import Experiment
from entcomp.cli.each_set import each_set
from entcomp.cli.options import Data, Exp
from entcomp.files import write_text
from entcomp.kaldi.datadir import DataDir, find_sets
from entcomp.report.comparison import EXPLANATION, comparison_table


def compare(
    data: Data,
    exp: Exp,
    sets: Annotated[
        str | None,
        typer.Option(metavar="NAMES", help="Sets that were decoded.", show_default="test*"),
    ] = None,
    task: Annotated[str, typer.Option(metavar="asr|st", help="Whose models to compare.")] = "asr",
    lang: Annotated[
        str | None, typer.Option(metavar="CODE", help="Of st: to which language.")
    ] = None,
    baseline: Annotated[
        str, typer.Option(metavar="NAME", help="The stream that others are compared with.")
    ] = "raw",
) -> None:
    """Compare streams over all seeds: scores, and differences to a baseline, with intervals.

    Reads what decode wrote for the models <stream>_seed<N>. Writes EXP/compare/TASK_[LANG_]SET.md.
    """

    def write(data_set: DataDir) -> None:
        table = comparison_table(Experiment(exp), data_set, task, lang, baseline).markdown()
        name = "_".join(filter(None, (task, lang, data_set.name)))
        write_text(exp / "compare" / f"{name}.md", f"{table}\n{EXPLANATION}\n")
        print(f"{name}\n\n{table}")

    each_set(find_sets(data, sets or "test*"), sets is not None, write)
    print(EXPLANATION)
