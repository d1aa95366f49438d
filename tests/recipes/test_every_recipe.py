"""Every egs/*/run.sh: dry, it goes through its help's stages, and takes all documented options."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from waiting import LOST

REPOSITORY = Path(__file__).resolve().parents[2]
RECIPES = sorted((REPOSITORY / "egs").glob("*/run.sh"))
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


def documented_commands() -> list[str]:
    """Each call of a recipe in README.md, in egs and on the shipped model's card, as it stands."""
    tracked = ["git", "ls-files", "README.md", "egs/*.md", "entcomp/pretrained/*.md"]
    listed = subprocess.check_output(tracked, cwd=REPOSITORY, text=True)
    found = []
    for name in listed.splitlines():
        text = re.sub(r"\\\n\s*", "", (REPOSITORY / name).read_text())
        found += re.findall(r"(?:[A-Z_]+=\S+ )?egs/\w+/run\.sh[^\n`#]*", text)
    return sorted({command.strip() for command in found})


@pytest.mark.parametrize("command", documented_commands())
def test_a_documented_command_was_refused(command: str, tmp_path: Path) -> None:
    """Its options have to parse, and what it calls DIR or EXP may be any folder."""
    command = re.sub(r"\bDIR\b", str(tmp_path), command)
    places = f"--dry-run --data {tmp_path}/data --exp {tmp_path}/exp"
    done = subprocess.run(
        ["bash", "-c", f"{command} {places}"],
        cwd=REPOSITORY,
        env=os.environ | CORPORA,
        capture_output=True,
        text=True,
        timeout=LOST,
    )
    assert done.returncode == 0, done.stderr
    assert "stage " in done.stdout


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


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--nj", "0"), "--nj 0: expected 1 or more"),
        (("--nj", "-2"), "--nj -2: expected a number"),
        (("--stage", "08"), "--stage 08: expected a number"),
    ],
)
def test_numbers_that_the_shell_stumbled_over(words: tuple[str, str], message: str) -> None:
    done = run(REPOSITORY / "egs/asterisk/run.sh", *words, "--dry-run")
    assert done.returncode == 1 and message in done.stderr + done.stdout
