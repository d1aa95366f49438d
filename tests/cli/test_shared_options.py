"""Options that commands share have one name, and mean the same."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from command_line import run

from entcomp.cli.app import app

GROUP = typer.main.get_command(app)
TRAININGS = ["train-lm", "train-asr", "train-st", "train-vc", "train-vocoder"]
ON_SEGMENTATIONS = ["decode", "align-eval", "report", "tokenize", "plot", "transcribe", "pack"]


def options(command: str) -> set[str]:
    context = GROUP.commands[command].make_context(command, [], resilient_parsing=True)
    return {name for one in context.command.params for name in one.opts}


@pytest.mark.parametrize("command", TRAININGS)
def test_every_training_takes_changes_of_its_config(command: str, tmp_path: Path) -> None:
    shared = {"--config", "--set", "--sets", "--dev-sets", "--max-steps", "--seed", "--devices"}
    assert options(command) >= shared | {"--num-nodes"}
    units = '{"extractor": "imported", "layer": 0, "num_clusters": 5, "sample_rate": 16000, '
    units += '"frame_shift_samples": 320, "receptive_offset_samples": 0, "codebook_sha256": "c"}'
    for path, content in (("exp/units/units.json", units), ("data/train/wav.scp", "")):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text(content)
    arguments = [tmp_path / "data", tmp_path / "exp", "--dev-sets", "train"]
    arguments += {"train-st": ["--lang", "fr"]}.get(command, [])
    if command in ("train-asr", "train-st", "train-vc"):
        arguments += ["--segmentation", "raw"]
    code, _, err = run(command, *arguments, "--set", "training.max_stpes=1")
    assert code == 1
    assert "unknown key 'training.max_stpes'; known keys: accumulate, betas, " in err


@pytest.mark.parametrize("command", [*ON_SEGMENTATIONS, "train-asr", "train-st", "train-vc"])
def test_a_way_to_group_is_a_segmentation(command: str) -> None:
    assert "--segmentation" in options(command)


@pytest.mark.parametrize("command", sorted(GROUP.commands))
def test_no_option_has_an_old_name(command: str) -> None:
    assert "--segments" not in options(command)
