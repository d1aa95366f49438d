"""Every YAML file that comes with the project loads as what it is meant for."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path, PurePath

import pytest

from entcomp.config import load_config

REPOSITORY = Path(__file__).resolve().parents[2]
# The first pattern that fits says which class a file is for.
CLASSES = {
    "librispeech_100/conf/lm.yaml": ("entcomp.lm.config", "LMConfig"),
    "librispeech_100/conf/asr.yaml": ("entcomp.tasks.text.config", "TextTaskConfig"),
    "lm/*": ("entcomp.lm.config", "LMConfig"),
    "asr/*": ("entcomp.tasks.text.config", "TextTaskConfig"),
    "st/*": ("entcomp.tasks.text.config", "TextTaskConfig"),
    "vc/hifigan_*": ("entcomp.tasks.vc.vocoder_training", "VocoderTrainingConfig"),
    "vc/*": ("entcomp.tasks.vc.config", "VcConfig"),
}
FILES = sorted(
    path.relative_to(REPOSITORY)
    for pattern in ("conf/**/*.yaml", "egs/*/conf/**/*.yaml")
    for path in REPOSITORY.glob(pattern)
)


def test_there_are_configs() -> None:
    assert PurePath("conf/lm/paper.yaml") in FILES
    assert PurePath("conf/lm/small.yaml") in FILES


def test_chinese_differs_by_its_coverage_alone() -> None:
    config = import_module("entcomp.tasks.text.config").TextTaskConfig
    paper, chinese = (
        load_config(config, REPOSITORY / f"conf/st/{name}.yaml").model_dump()
        for name in ("paper", "paper_zh")
    )
    assert chinese["vocabulary"].pop("character_coverage") == 0.9995
    assert paper["vocabulary"].pop("character_coverage") == 1.0
    assert paper == chinese


@pytest.mark.parametrize("path", FILES, ids=str)
def test_config_loads(path: PurePath) -> None:
    module, name = next(target for pattern, target in CLASSES.items() if path.match(pattern))
    load_config(getattr(import_module(module), name), REPOSITORY / path)
