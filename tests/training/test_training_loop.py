"""The loop: the same bytes whatever happens on the way."""

from __future__ import annotations

import json
import multiprocessing
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from kills import killed_at
from safetensors.torch import load_file
from toy_training import Toy, ToyBatches, run_toy, terminate, toy_dev
from waiting import LOST

from entcomp.config import make_config
from entcomp.errors import EntcompError
from entcomp.training.config import TrainingConfig
from entcomp.training.evaluation import evaluate
from entcomp.training.loop import fit
from entcomp.training.weights import write_mean, write_weights


def log_lines(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    killed_at(None, folder, partial(run_toy, folder))
    return folder


def test_killed_at_any_moment_and_rerun_gives_the_same_bytes(tmp_path: Path) -> None:
    """Killed before each operation on a file, from the first to the last."""

    def train(folder: Path) -> None:
        run_toy(folder, max_steps=6, val_interval=2, log_interval=3, keep_best=1)

    killed_at(None, tmp_path, partial(train, tmp_path / "undisturbed"))
    point = 0
    while killed_at(point + 1, tmp_path, partial(train, tmp_path / f"{point + 1}")):
        point += 1
        folder = tmp_path / f"{point}"
        assert not killed_at(None, folder, partial(train, folder))
        for name in ("model.safetensors", "log.jsonl", "training.json"):
            before = (tmp_path / "undisturbed" / name).read_bytes()
            assert (folder / name).read_bytes() == before, (name, point)
        assert not list(folder.rglob("*.tmp"))
    assert point >= 40


def test_a_terminated_training_is_no_success(tmp_path: Path) -> None:
    """It would leave with 0 after SIGTERM, and a recipe would go on to the next stage."""
    process = multiprocessing.get_context("fork").Process(
        target=run_toy, args=(tmp_path, ToyBatches(terminate))
    )
    process.start()
    process.join()
    assert process.exitcode == 128 + signal.SIGTERM
    assert [one["step"] for one in log_lines(tmp_path)] == [1, 2, 3, 4, 5]


def test_two_trained_in_one_folder_at_once(tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    """The second waits for the first, and finds the model complete."""
    context = multiprocessing.get_context("fork")
    begun, go_on = context.Event(), context.Event()

    def hold(step: int, rank: int) -> None:
        begun.set()
        assert go_on.wait(60)

    first = context.Process(target=run_toy, args=(tmp_path, ToyBatches(hold)))
    first.start()
    assert begun.wait(60)
    second = context.Process(target=run_toy, args=(tmp_path, ToyBatches(terminate)))
    second.start()
    second.join(0.5)
    assert second.is_alive()
    go_on.set()
    first.join()
    second.join()
    assert (first.exitcode, second.exitcode) == (0, 0)
    assert "another process works there" in capfd.readouterr().err


def test_loss_falls_and_the_learning_rate_follows_its_schedule(undisturbed: Path) -> None:
    lines = log_lines(undisturbed)
    dev = [line["loss"] for line in lines if line["split"] == "dev"]
    rates = [line["learning_rate"] for line in lines if line["split"] == "train"]
    assert len(dev) == 6 and dev[-1] < 0.2 * dev[0]
    assert rates[:5] == pytest.approx([0.004, 0.008, 0.012, 0.016, 0.02])
    assert rates[-1] == pytest.approx(0.002, rel=0.02)


def test_the_mean_of_the_best_weights_is_kept(undisturbed: Path) -> None:
    kept = sorted((undisturbed / "checkpoints").glob("step-*.safetensors"))
    first, second = (load_file(path) for path in kept)
    mean = load_file(undisturbed / "model.safetensors")
    for name, tensor in mean.items():
        torch.testing.assert_close(tensor, (first[name] + second[name]) / 2)
    dev = {line["step"]: line["loss"] for line in log_lines(undisturbed) if line["split"] == "dev"}
    assert sorted(dev, key=dev.__getitem__)[:2] == sorted(
        (int(path.stem[5:]) for path in kept), key=dev.__getitem__
    )


def test_a_whole_run_is_skipped_and_more_steps_go_on(undisturbed: Path, tmp_path: Path) -> None:
    whole = run_toy(tmp_path, max_steps=20)
    before = (tmp_path / "log.jsonl").read_bytes()
    assert run_toy(tmp_path, max_steps=20) == whole
    assert (tmp_path / "log.jsonl").read_bytes() == before
    longer = run_toy(tmp_path, max_steps=30)
    assert longer.step == 30
    assert (tmp_path / "log.jsonl").read_bytes().startswith(before)
    assert [line["step"] for line in log_lines(tmp_path) if line["split"] == "train"] == list(
        range(1, 31)
    )


def test_result_holds_the_metrics_of_the_kept_weights(tmp_path: Path) -> None:
    config = make_config(TrainingConfig, {"max_steps": 5}, "test")
    model = Toy()
    result = fit(model, ToyBatches(), toy_dev(), config, tmp_path, {})
    again = evaluate(model, toy_dev(), config, torch.device("cpu"))
    assert again == result.metrics and set(again) == {"loss", "absolute"}
    loaded = load_file(result.weights)
    assert all(torch.equal(loaded[name], value) for name, value in model.state_dict().items())


def test_other_inputs_in_the_same_folder_are_refused(tmp_path: Path) -> None:
    run_toy(tmp_path, max_steps=10)
    with pytest.raises(EntcompError, match=r"another learning_rate; remove"):
        run_toy(tmp_path, max_steps=10, learning_rate=0.5)


def test_patience_ends_the_training_and_stays_so(tmp_path: Path) -> None:
    stopped = run_toy(tmp_path, learning_rate=1e-9, patience=2, val_interval=5, keep_best=1)
    assert stopped.step < 60
    longer = run_toy(
        tmp_path, learning_rate=1e-9, patience=2, val_interval=5, keep_best=1, max_steps=90
    )
    assert longer.step == stopped.step


def test_accumulated_steps_resume_in_the_right_place(tmp_path: Path) -> None:
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    settings = {"accumulate": 3, "warmup_steps": 1, "final_lr_ratio": 1.0}  # no end in the schedule
    run_toy(straight, max_steps=20, **settings)
    for steps in (7, 10, 20):
        run_toy(broken, max_steps=steps, **settings)
    losses = [
        [(one["step"], one["loss"]) for one in log_lines(folder) if one["split"] == "train"]
        for folder in (straight, broken)
    ]
    assert losses[0] == losses[1]


def test_the_logged_loss_was_divided_by_the_batches_of_a_step(tmp_path: Path) -> None:
    """Of a step of three batches it is the last one's, as the other losses are."""
    run_toy(tmp_path, max_steps=1, dropout=0.0, accumulate=3)
    torch.manual_seed(0)
    third = Toy(0.0).loss(ToyBatches().batch(2))
    line = log_lines(tmp_path)[0]
    assert line["loss"] == pytest.approx(third["loss"].item())
    assert line["absolute"] == pytest.approx(third["absolute"].item())


def test_nan_loss_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(EntcompError, match=r"loss is (nan|inf) at step \d+; lower"):
        run_toy(tmp_path, learning_rate=1e30, clip_norm=None)


def test_dev_metrics_are_weighted_by_count() -> None:
    class Constant(torch.nn.Module):
        def loss(self, batch: tuple[float, int]) -> dict[str, torch.Tensor]:
            return {"loss": torch.tensor(batch[0]), "count": torch.tensor(batch[1])}

    config = make_config(TrainingConfig, {}, "test")
    metrics = evaluate(Constant(), [(1.0, 1), (4.0, 3)], config, torch.device("cpu"))
    assert metrics == {"loss": pytest.approx(3.25)}


def test_mean_of_weights_by_hand(tmp_path: Path) -> None:
    for index, value in enumerate((0.0, 3.0, 6.0)):
        weights = {"w": torch.tensor([value, 1.0]), "steps": torch.tensor(index)}
        write_weights(tmp_path / f"{index}.safetensors", weights)
    write_mean(tmp_path / "mean.safetensors", [tmp_path / f"{i}.safetensors" for i in range(3)])
    mean = load_file(tmp_path / "mean.safetensors")
    assert mean["w"].tolist() == [3.0, 1.0] and mean["steps"].item() == 2


def test_two_processes_train_on_the_same_global_batches(tmp_path: Path) -> None:
    """Without dropout's ranks differing (rate 0), two ranks give the losses of one."""
    program = Path(__file__).with_name("toy_training.py")
    command = [sys.executable, str(program), str(tmp_path / "two"), "devices=2", "dropout=0.0"]
    subprocess.run(command, check=True, capture_output=True, timeout=LOST)
    run_toy(tmp_path / "one", dropout=0.0)
    dev = [
        [one["loss"] for one in log_lines(tmp_path / name) if one["split"] == "dev"]
        for name in ("one", "two")
    ]
    assert dev[0] == pytest.approx(dev[1], rel=1e-4)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_an_error_in_a_worker_was_a_traceback(tmp_path: Path, num_workers: int) -> None:
    def fail(step: int, rank: int) -> None:
        if step == 3:
            raise EntcompError("utt7: no samples")

    with pytest.raises(EntcompError, match=r"^utt7: no samples$"):
        run_toy(tmp_path, ToyBatches(fail), num_workers=num_workers)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("able", [True, False])
def test_what_the_machine_cannot_do_is_said_to_be_left_out(
    able: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": able})
    run_toy(tmp_path / "rough", max_steps=2, precision="bfloat16", compile=True, clip_norm=1.0)
    said = capsys.readouterr().err
    assert "no GPU: not compiled" in said
    assert ("no bfloat16 on this CPU: float32 instead" in said) != able
    run_toy(tmp_path / "exact", max_steps=2, clip_norm=1.0)
    rough, exact = (log_lines(tmp_path / name)[-1]["loss"] for name in ("rough", "exact"))
    assert (rough != exact) == able and rough == pytest.approx(exact, rel=0.02)


def test_progress_and_advice_stay_off_standard_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_toy(tmp_path, max_steps=10)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "step 10: dev loss" in captured.err
