#!/usr/bin/env python3
"""Word error rates of every recogniser on the four sets, as Markdown: `local/results.py EXP`.

Beside them what ESPnet publishes for discrete units (egs2/librispeech_100/asr2/README.md).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from entcomp.errors import EntcompError
from entcomp.files import read_json, write_text
from entcomp.report.tables import Table

SETS = ("dev_clean", "dev_other", "test_clean", "test_other")
ESPNET = ("ESPnet: WavLM-large 21, K = 2000, dedup, 6000 pieces", "", "3.8", "6.7", "3.9", "7.0")


def results(exp: Path) -> str:
    """A row a model, the one with the most groups a second first; `-` for a set not decoded yet."""
    rows = []
    for folder in {path.parent for path in exp.glob("asr/*/decode_*")}:
        scores = {name: folder / f"decode_{name}" / "scores.json" for name in SETS}
        found = {name: read_json(path) for name, path in scores.items() if path.exists()}
        if found:
            rate = next(iter(found.values()))["rate"]
            cells = [
                f"{found[name]['wer']['percent']:.1f}" if name in found else "-" for name in SETS
            ]
            rows.append((rate, [folder.name, f"{rate:.1f}", *cells]))
    if not rows:
        raise EntcompError(f"{exp / 'asr'}: nothing was decoded; run stage 7")
    rows.sort(key=lambda row: (-row[0], row[1]))
    return Table(["stream", "Hz", *SETS], [*(row for _, row in rows), list(ESPNET)]).markdown()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("exp", type=Path)
    exp = parser.parse_args().exp
    page = results(exp)
    write_text(exp / "results.md", page)
    print(page)


if __name__ == "__main__":
    try:
        main()
    except EntcompError as error:
        sys.exit(f"results.py: error: {error}")
