"""entcomp info"""

from __future__ import annotations

import json
from typing import Annotated

import typer

from entcomp.artifacts.experiment import Experiment
from entcomp.cli.options import Exp
from entcomp.report.info import describe_info, experiment_info


def info(
    exp: Exp,
    as_json: Annotated[bool, typer.Option("--json", help="All facts, as JSON.")] = False,
) -> None:
    """Say what an experiment holds, and what of it is complete.

    Units and codebook, entropy LMs, entropies, segmentations with their rates, alignments, models
    and what they decoded; hashes tell which belong together.
    """
    found = experiment_info(Experiment(exp))
    if as_json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        print(*describe_info(found), sep="\n")
