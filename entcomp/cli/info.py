"""entcomp info"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from entcomp.artifacts.experiment import Experiment
from entcomp.pipelines.hub import open_model
from entcomp.report.info import describe_info, experiment_info


def info(
    exp: Annotated[
        str, typer.Argument(metavar="EXP|TAR|USER/NAME", help="An experiment, or a model.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="All facts, as JSON.")] = False,
) -> None:
    """Say what an experiment holds, and what of it is complete.

    Units and codebook, entropy LMs, entropies, segmentations with their rates, alignments, models
    and what they decoded; hashes tell which belong together.
    """
    is_here = Path(exp).is_dir()  # whose hashes need not be checked
    found = experiment_info(Experiment(Path(exp)) if is_here else open_model(exp).experiment)
    found["experiment"] = exp  # not where a pack was unpacked to
    if as_json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        print(*describe_info(found), sep="\n")
