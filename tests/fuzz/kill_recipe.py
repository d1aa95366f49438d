"""What `kill_recipe.sh` does; see there."""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import tiny_configs

ROOT = Path(__file__).resolve().parents[2]
LM = (
    tiny_configs.PROMPT_LM
    + "training: {warmup_steps: 5, val_interval: 10, learning_rate: 3.0e-3}\n"
)
TRAINING = "training: {warmup_steps: %d, val_interval: 1, learning_rate: 1.0e-3}\n"
TEXT, VC = tiny_configs.TEXT + TRAINING % 2, tiny_configs.VC + TRAINING % 1
SETTINGS = {
    "subset": 60,
    "num-clusters": 50,
    "lm-steps": 30,
    "rates": "7",
    "nj": 1,
    "streams": "raw",
    "asr-steps": 3,
    "vc-streams": "raw",
    "vc-steps": 2,
    "vocoder": "griffin-lim",
}
# What is not the same at two undisturbed runs: logs and times.
NOT_COMPARED = ("log", "tensorboard", "latency.json", "latency.md", "__pycache__", ".lock")


@dataclass
class Stage:
    """``operations`` on files that an undisturbed run of it takes, and what came of the points."""

    number: int
    operations: int = 0
    seconds: float = 0.0
    points: int = 0
    reruns: int = 0
    faults: list[str] = field(default_factory=list)


class Recipe:
    """A copy of the recipe in ``folder``, with data, exp and recordings of its own."""

    def __init__(self, folder: Path) -> None:
        self.work = folder / "work"
        self.snapshots = folder / "snapshots"
        self.counter = folder / "operations"
        recipe = folder / "checkout" / "egs" / "asterisk"
        recipe.mkdir(parents=True)
        for name in ("entcomp", "utils", "tools", "conf"):
            (folder / "checkout" / name).symlink_to(ROOT / name)
        source = ROOT / "egs" / "asterisk"
        for name in ("run.sh", "path.sh", "cmd.sh", "local", "mfa", "utils", "conf"):
            (recipe / name).symlink_to(source / name)
        shutil.copy(source / "run.sh", folder / "run.sh")
        (recipe / "run.sh").unlink()  # it goes to the folder where it lies itself
        shutil.move(folder / "run.sh", recipe / "run.sh")
        (recipe / "path.sh").unlink()
        shutil.copy(source / "path.sh", recipe / "path.sh")
        (recipe / "downloads").mkdir()
        (recipe / "downloads" / "prompts").symlink_to((source / "downloads" / "prompts").resolve())
        self.work.mkdir()
        (recipe / "downloads" / "flac").symlink_to(self.work / "flac")
        for name, text in (("lm", LM), ("text", TEXT), ("vc", VC)):
            (folder / f"{name}.yaml").write_text(text)
        self.command = [str(recipe / "run.sh"), "--data", str(self.work / "data")]
        self.command += ["--exp", str(self.work / "exp")]
        for option, name in (("lm", "lm"), ("asr", "text"), ("st", "text"), ("vc", "vc")):
            self.command += [f"--{option}-config", str(folder / f"{name}.yaml")]
        self.command += [
            word for key, value in SETTINGS.items() for word in (f"--{key}", str(value))
        ]

    def run(self, stage: int, point: int = 0) -> tuple[int, int, str]:
        """Run a stage, killed before its ``point``-th operation.

        Returns its exit code, the operations there were, and what it printed last.
        """
        self.counter.unlink(missing_ok=True)
        (where := Path(f"{self.counter}.where")).unlink(missing_ok=True)
        here = ROOT / "tests" / "fuzz" / "kill_points"
        environment = os.environ | {
            "PYTHONPATH": f"{here}:{ROOT}",
            "KILL_FOLDER": f"{self.work}/",
            "KILL_COUNTER": str(self.counter),
            "KILL_AT": str(point),
        }
        words = [*self.command, "--stage", str(stage), "--stop-stage", str(stage)]
        done = subprocess.run(
            words, env=environment, capture_output=True, text=True, check=False, errors="replace"
        )
        count = self.counter.stat().st_size if self.counter.exists() else 0
        said = where.read_text() if where.exists() else ""
        return done.returncode, count, said or (done.stdout + done.stderr)[-2000:]

    def keep(self, stage: int) -> None:
        shutil.copytree(self.work, self.snapshots / str(stage), symlinks=True)

    def restore(self, stage: int) -> None:
        shutil.rmtree(self.work)
        shutil.copytree(self.snapshots / str(stage), self.work, symlinks=True)

    def differences(self, stage: int) -> list[str]:
        """Files that are not as an undisturbed run leaves them."""
        ours, theirs = hashes(self.work), hashes(self.snapshots / str(stage))
        return sorted(name for name in ours | theirs if ours.get(name) != theirs.get(name))


def hashes(folder: Path) -> dict[str, str]:
    found = {}
    for path in folder.rglob("*"):
        name = path.relative_to(folder)
        if path.is_file() and not set(name.parts) & set(NOT_COMPARED):
            found[str(name)] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def measure(recipe: Recipe, last: int) -> list[Stage]:
    """An undisturbed run, with a snapshot after each stage."""
    recipe.keep(0)
    stages = []
    for number in range(1, last + 1):
        begin = time.monotonic()
        code, operations, said = recipe.run(number)
        if code:
            sys.exit(f"stage {number}, undisturbed: exit code {code}\n{said}")
        recipe.keep(number)
        stages.append(Stage(number, operations, time.monotonic() - begin))
        print(f"stage {number}: {operations} operations, {stages[-1].seconds:.1f} s", flush=True)
    return stages


def kill(recipe: Recipe, stage: Stage, most: int, draw: random.Random) -> int:
    """Kill a stage up to three times in a row, then run it to its end; returns the points."""
    recipe.restore(stage.number - 1)
    points = 0
    for _ in range(draw.randint(1, min(3, most))):
        point = draw.randint(1, stage.operations)
        code, count, said = recipe.run(stage.number, point)
        if count < point:  # what was complete is skipped, so that it came to its end
            break
        points += 1
        print(f"stage {stage.number}, operation {point}: {said.splitlines()[0]}", flush=True)
    else:
        code, _, said = recipe.run(stage.number)
    stage.reruns += 1
    faults = [f"exit code {code}: {said.strip().splitlines()[-1]}"] if code else []
    faults += recipe.differences(stage.number)
    stage.faults += faults
    outcome = f"FAULTS: {faults}" if faults else "same bytes"
    print(f"stage {stage.number}, run again after {points} kills: {outcome}", flush=True)
    return points


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--points", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--stages", default="1-14")
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    first, last = map(int, options.stages.split("-"))
    begin = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="kill_recipe.", dir=options.folder)).resolve()
    try:
        recipe = Recipe(folder)
        stages = measure(recipe, last)[first - 1 :]
        draw = random.Random(options.seed)
        # Where the points fall: half of them by operations, half by time; then a turn a stage, so
        # that a run cut short has seen all stages.
        operations, seconds = (
            sum(one.operations for one in stages),
            sum(one.seconds for one in stages),
        )
        weights = [one.operations / operations + one.seconds / seconds for one in stages]
        wanted = Counter(draw.choices(range(len(stages)), weights, k=options.points))
        while any(wanted.values()) and time.monotonic() - begin < options.seconds:
            for index, stage in enumerate(stages):
                if wanted[index] > 0 and time.monotonic() - begin < options.seconds:
                    points = kill(recipe, stage, wanted[index], draw)
                    stage.points += points
                    wanted[index] -= points
    finally:
        shutil.rmtree(folder)
    print("| stage | operations | points | run again | not the same |\n|---|---|---|---|---|")
    for one in stages:
        row = (one.number, one.operations, one.points, one.reruns, len(one.faults))
        print(f"| {' | '.join(map(str, row))} |")
    points, faults = sum(one.points for one in stages), [x for one in stages for x in one.faults]
    spent = time.monotonic() - begin
    print(f"{points} points of {options.points}, {spent:.0f} s, {len(faults)} faults")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
