"""utils/parse_options.sh: what a user may write, and what each mistake says."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

SCRIPT = """#!/usr/bin/env bash
# What the script does.
#
#   script.sh [--stage N]
set -euo pipefail
# Not part of the help.
stage=0
stop_stage=8
exp=exp
rate=0.5
full=false
. "{parse_options}"
echo "$stage|$stop_stage|$exp|$rate|$full|$#|$*"
"""


@pytest.fixture
def script(repository: Path, tmp_path: Path) -> Path:
    path = tmp_path / "script.sh"
    path.write_text(SCRIPT.format(parse_options=repository / "utils" / "parse_options.sh"))
    path.chmod(0o755)
    return path


def call(script: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([script, *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "0|8|exp|0.5|false|0|"),
        (["--stage", "2", "--stop-stage", "3"], "2|3|exp|0.5|false|0|"),
        (["--stop_stage", "3"], "0|3|exp|0.5|false|0|"),
        (["--stop-stage=3", "--exp=a=b"], "0|3|a=b|0.5|false|0|"),
        (["--stage", "-1"], "-1|8|exp|0.5|false|0|"),
        (["--exp", "with space"], "0|8|with space|0.5|false|0|"),
        (["--exp", ""], "0|8||0.5|false|0|"),
        (["--exp=--odd"], "0|8|--odd|0.5|false|0|"),
        (["--rate", "24"], "0|8|exp|24|false|0|"),
        (["--full"], "0|8|exp|0.5|true|0|"),
        (["--full", "--stage", "1"], "1|8|exp|0.5|true|0|"),
        (["--full", "true", "rest"], "0|8|exp|0.5|true|1|rest"),
        (["--full", "false"], "0|8|exp|0.5|false|0|"),
        (["--full", "rest"], "0|8|exp|0.5|true|1|rest"),
        (["--stage", "1", "a", "--stage", "2"], "1|8|exp|0.5|false|3|a --stage 2"),
        (["--", "--stage", "2"], "0|8|exp|0.5|false|2|--stage 2"),
    ],
)
def test_options_reach_their_variables(script: Path, arguments: list[str], expected: str) -> None:
    done = call(script, *arguments)
    assert done.stdout == expected + "\n"
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--stagee", "1"], "unknown option --stagee"),
        (["--PATH", "/"], "unknown option --PATH"),
        (["--_name", "x"], "unknown option --_name"),
        (["-s", "1"], "unknown option -s"),
        (["--a[0$(echo x)]", "1"], "unknown option"),
        (["--stage"], "--stage needs a value"),
        (["--exp", "--stage", "1"], "--exp needs a value"),
        (["--stage", "two"], "--stage two: expected a whole number"),
        (["--full=maybe"], "--full maybe: expected true or false"),
    ],
)
def test_mistakes_end_in_one_line(script: Path, arguments: list[str], reason: str) -> None:
    done = call(script, *arguments)
    assert done.returncode == 1
    assert done.stdout == ""
    assert reason in done.stderr
    assert done.stderr.count("\n") == 1


def test_values_are_never_run(script: Path, tmp_path: Path) -> None:
    made = tmp_path / "made"
    value = f"$(touch {made}); `touch {made}`"
    done = call(script, "--exp", value)
    assert value in done.stdout
    assert not made.exists()


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_is_the_head_of_the_script(script: Path, option: str) -> None:
    done = call(script, "--stage", "1", option)
    assert done.stdout == "What the script does.\n\n  script.sh [--stage N]\n"
    assert done.returncode == 0
