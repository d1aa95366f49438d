"""A task and a metric from another package, as entcomp/tasks/README.md shows them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from own_package import environment_with, install_package
from tiny_pipeline import TAG, make_pipeline

from entcomp.errors import EntcompError
from entcomp.evaluation.text.metrics import METRICS
from entcomp.tasks import TASKS, read_task_info

README = Path(__file__).parents[2] / "entcomp" / "tasks" / "README.md"


def readme_code() -> list[str]:
    return re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The README's two examples, each as pip would have installed it."""
    folder = tmp_path_factory.mktemp("packages")
    task, metric = readme_code()
    task = task.replace('TASKS.register("emotion")(\n    Task(', "EMOTION = (\n    Task(")
    metric = metric.replace('@METRICS.register("accuracy")\n', "")
    install_package(folder, "emotions", task, "entcomp.tasks", "emotion = EMOTION")
    install_package(folder, "accuracies", metric, "entcomp.metrics", "accuracy = Accuracy")
    return folder


def entcomp(packages: Path, *arguments: object) -> str:
    command = [sys.executable, "-m", "entcomp.cli.app", *map(str, arguments)]
    done = subprocess.run(
        command, env=environment_with(packages), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def exp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An experiment with a model of the task, as its training would leave it."""
    experiment = make_pipeline(tmp_path_factory.mktemp("own"))
    folder = experiment.task("emotion", "tiny")
    folder.mkdir(parents=True)
    info = {
        "segments": TAG,
        "train_sets": ["train"],
        "dev_sets": ["dev"],
        "num_clusters": experiment.units_info().num_clusters,
        "codebook_sha256": experiment.units_info().codebook_sha256,
        "classes": ["calm", "glad"],
    }
    (folder / "task.json").write_text(json.dumps(info))
    for name in ("config.yaml", "model.safetensors", "classes.txt"):
        (folder / name).write_text("calm\nglad\n")
    return experiment.path


def test_info_tells_of_an_own_task(packages: Path, exp: Path) -> None:
    assert f"model emotion/tiny: reads {TAG}, writes emotion" in entcomp(packages, "info", exp)


def test_pack_takes_an_own_tasks_files(packages: Path, exp: Path, tmp_path: Path) -> None:
    out = tmp_path / "pack"
    entcomp(packages, "pack", exp, out, "--model", "emotion/tiny")
    names = ("classes.txt", "config.yaml", "model.safetensors", "task.json")
    assert sorted(one.name for one in (out / "emotion" / "tiny").iterdir()) == sorted(names)
    assert (out / "segments" / TAG / "threshold.json").exists()
    card = (out / "README.md").read_text()
    assert f"## emotion/tiny\n\nReads {TAG}, writes emotion; trained on train." in card


def test_score_by_an_own_metric(packages: Path, tmp_path: Path) -> None:
    (tmp_path / "ref").write_text("a calm\nb glad\nc calm\nd glad\n")
    (tmp_path / "hyp").write_text("a calm\nb glad\nc glad\nd glad\n")
    options = ["--ref", tmp_path / "ref", "--hyp", tmp_path / "hyp", "--metric", "accuracy"]
    assert entcomp(packages, "score", *options) == "accuracy 75.00%\n"
    words = " ".join(entcomp(packages, "score", "--help").replace("│", " ").split())
    assert "accuracy: share of texts that are exactly right" in words


def test_our_tasks_and_metrics() -> None:
    assert {"asr", "st", "vc"} <= set(TASKS) and {"wer", "bleu"} <= set(METRICS)
    for name, task in TASKS.items():
        assert task.metric is None or task.metric in METRICS, name


def test_models_of_unknown_tasks(tmp_path: Path) -> None:
    with pytest.raises(EntcompError, match="task emotion: unknown; available: asr, st, vc"):
        read_task_info(tmp_path / "emotion" / "tiny")


def test_tasks_are_listed_without_torch() -> None:
    code = (
        "import sys; from entcomp.tasks import TASKS; "
        "from entcomp.evaluation.text.metrics import METRICS; print(*TASKS, *METRICS); "
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
