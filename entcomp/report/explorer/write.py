"""The page as one file: its HTML, style and scripts lie beside this module, its facts in `data`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from entcomp.artifacts.experiment import DIRECTIONS, Direction, Experiment
from entcomp.files import write_text
from entcomp.report import figures
from entcomp.report.explorer.data import Initial, ShownUtterance, page_data
from entcomp.report.explorer.offered import SCRIPTS, describe_criteria

HERE = Path(__file__).parent
COLORS = {
    "forward": figures.BLUE,
    "edge": figures.VERMILLION,
    "grey": figures.GREY,
    "tint": figures.TINTS[0],
    "tint-other": figures.TINTS[1],
    "score": figures.GREEN,
    "backward": "#CC79A7",  # of Okabe and Ito's, too
}


def write_explorer(
    path: Path, experiment: Experiment, utterances: Sequence[ShownUtterance], initial: Initial
) -> None:
    """Write the page of some utterances of one experiment's units.

    The page needs no other file, and its Content-Security-Policy lets it ask for none.
    """
    info = experiment.units_info()
    both = utterances[0].backward is not None
    directions: tuple[Direction, ...] = DIRECTIONS if both else DIRECTIONS[:1]
    criteria = describe_criteria(experiment, info.frame_shift, directions)
    data = page_data(experiment.path.name, info, criteria, initial, utterances)
    scripts = [
        HERE / "groups.js",
        *sorted(SCRIPTS.glob("*.js")),
        HERE / "plot.js",
        HERE / "page.js",
    ]
    colors = "".join(f"  --{name}: {color};\n" for name, color in COLORS.items())
    parts = {
        "STYLE": f":root {{\n{colors}}}\n" + _read(HERE / "page.css"),
        "DATA": json.dumps(data).replace("<", "\\u003c"),
        "SCRIPT": "\n".join(map(_read, scripts)),
    }
    html = _read(HERE / "page.html")
    for name, text in parts.items():
        html = html.replace(f"@{name}@", text)
    write_text(path, html)


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")
