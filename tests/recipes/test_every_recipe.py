"""Every egs/*/run.sh: dry, it goes through the stages that its help lists."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from waiting import LOST

RECIPES = sorted((Path(__file__).resolve().parents[2] / "egs").glob("*/run.sh"))
CORPORA = {
    "MLS": "/mls",
    "LIBRISPEECH": "/ls",
    "CVSS": "/cvss",
    "COVOST": "/c",
    "COMMON_VOICE": "/v",
}


def run(recipe: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [recipe, *words], env=os.environ | CORPORA, capture_output=True, text=True, timeout=LOST
    )


def test_there_are_recipes() -> None:
    assert {"asterisk", "librispeech_100", "mls_en"} <= {recipe.parent.name for recipe in RECIPES}


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.parent.name)
def test_dry_it_goes_through_the_stages_of_its_help(
    recipe: Path, tmp_path: Path, repository: Path
) -> None:
    said = run(recipe, "--help")
    assert said.returncode == 0
    starts = [line.split()[0] for line in said.stdout.splitlines() if line[:5].strip().isdigit()]
    (tmp_path / "corpus").mkdir()
    needed = [name for name in ("--corpus", "--source") if f"{name} DIR" in said.stdout]
    options = [word for name in needed for word in (name, tmp_path / "corpus")]
    dry = run(recipe, "--dry-run", *options)
    assert dry.returncode == 0, dry.stderr
    titles = [line.split(":")[0] for line in dry.stdout.splitlines() if line.startswith("stage ")]
    assert titles == [f"stage {number}" for number in starts] != []
