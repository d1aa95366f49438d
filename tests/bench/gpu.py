"""What the GPU paths do, as a Markdown table: beside what one would write first, beside a CPU.

gpu.sh calls it. Comparisons of functions run in this process; trainings are commands as a user
types them, on units of a made-up language whose entropy is known, each run twice: the time of few
steps is taken off that of many, so that start and compilation do not count. Each part stands alone:
one that fails says why in its row, and the others go on.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import numpy as np
import torch
from local_encoder import compare_pooling
from score_entropy import compare_scoring, compare_training
from timing import seconds

from entcomp.artifacts.models import LMInfo
from entcomp.artifacts.stage import read_stage
from entcomp.config import load_config
from entcomp.files import write_text
from entcomp.kaldi.table import write_table
from entcomp.lm.config import LMConfig
from entcomp.lm.model import UnitLM
from entcomp.lm.score import BATCH_TOKENS, Scorer

ROOT = Path(__file__).resolve().parents[2]
CONF = ROOT / "conf"
ENTCOMP = [sys.executable, "-c", "from entcomp.cli.app import main; main()"]
CPU = torch.device("cpu")
K = 100
ENTROPY = math.log(2) + 0.5 * math.log(3)  # nats a unit, of the made-up language


@dataclass(frozen=True)
class Size:
    """How much of each: steps of trainings, of which `few` are taken off; what configs change.

    Without ``few`` each training runs once, start and all: no measure, but every path runs.
    """

    few: int
    steps: int  # of the LM, in each precision
    asr: int
    utterances: int
    lms: dict[str, dict[str, object]]  # those beside Llama, and what their configs change
    lm: dict[str, object] = field(default_factory=dict)
    text: dict[str, object] = field(default_factory=dict)
    hubert: dict[str, object] = field(default_factory=dict)  # of transformers' HubertConfig


SMALLEST = {"layers": 1, "dim": 32, "heads": 2, "ffn_dim": 32, "context": 64, "score_overlap": 16}
SIZES = {
    "full": Size(few=100, steps=2_000, asr=200, utterances=2_000, lms={"small": {}, "paper": {}}),
    "tiny": Size(
        few=0,
        steps=4,
        asr=3,
        utterances=40,
        lms={"small": SMALLEST},
        lm=SMALLEST,
        text={
            "dim": 16,
            "parameters": None,
            "local.layers": 1,
            "encoder.layers": 1,
            "encoder.feed_forward": 16,
            "decoder.layers": 1,
            "decoder.feed_forward": 16,
            "vocabulary.size": 30,
            "batch_frames": 2_000,
        },
        hubert={
            "hidden_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 16,
            "conv_dim": (8,) * 7,
            "num_conv_pos_embeddings": 16,
            "num_conv_pos_embedding_groups": 2,
        },
    ),
}


@dataclass(frozen=True)
class Row:
    """``ours`` and ``theirs`` are so many of something a second, or a text that says what is so."""

    what: str
    ours: float | str
    beside: str = ""
    theirs: float | None = None

    def cells(self) -> list[str]:
        ours = self.ours if isinstance(self.ours, str) else f"{self.ours:,.4g}"
        theirs = "" if self.theirs is None else f"{self.theirs:,.4g}"
        ratio = ""
        if isinstance(self.ours, float) and self.theirs is not None:
            ratio = f"{self.ours / self.theirs:.2f}"
        return [self.what, ours, self.beside, theirs, ratio]


@dataclass(frozen=True)
class Bench:
    """``out`` gets the table, and in ``work`` the experiments and the commands' output."""

    size: Size
    device: torch.device
    out: Path

    @property
    def work(self) -> Path:
        return self.out / "work"

    def command(self, *words: object, **environment: str) -> float:
        """Run entcomp; the seconds it took. Raises RuntimeError with its last line if it fails."""
        begin = time.perf_counter()
        done = subprocess.run(
            [*ENTCOMP, *map(str, words)],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | environment,
        )
        with open(self.work / "commands.log", "a", encoding="utf-8") as log:
            log.write(f"entcomp {' '.join(map(str, words))}\n{done.stdout}{done.stderr}\n")
        if done.returncode:
            raise RuntimeError((done.stderr.strip().splitlines() or ["no message"])[-1])
        return time.perf_counter() - begin

    def rate(self, run: Callable[[int, str], float], steps: int) -> float:
        """Steps a second of ``run(steps, name)``; NaN where more steps took no more time."""
        few = min(self.size.few, steps // 4)
        more = run(steps, "") - (run(few, "_few") if few else 0.0)
        return (steps - few) / more if more > 0 else math.nan

    def experiment(self, name: str) -> Path:
        """A fresh copy of the made-up units."""
        folder = self.work / f"exp_{name}"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.work / "units", folder)
        return folder


def lm_config(name: str, changes: dict[str, object]) -> LMConfig:
    """conf/lm/NAME.yaml, changed."""
    config = load_config(LMConfig, CONF / "lm" / f"{name}.yaml")
    return LMConfig.model_validate(config.model_dump() | changes)


def settings(changes: dict[str, object]) -> list[str]:
    """As ``--set`` options."""
    return [f"--set={key}={json.dumps(value)}" for key, value in changes.items()]


def prepare(bench: Bench) -> None:
    """Write DATA and units of a language of Markov chains, whose entropy is `ENTROPY`.

    A unit stays with probability 1/2, or goes to one of three others. A text spells a fourth of
    the runs.
    """
    random = np.random.default_rng(0)
    successors = np.array([random.choice(K, 3, replace=False) for _ in range(K)])
    successors = np.where(successors == np.arange(K)[:, None], (successors + 1) % K, successors)
    data = bench.work / "data"
    for name, count in (("train", bench.size.utterances), ("dev", bench.size.utterances // 10)):
        (data / name).mkdir(parents=True, exist_ok=True)
        units, texts = [], []
        for number in range(count):
            chain = [int(random.integers(K))]
            for draw in random.random(int(random.integers(150, 450))):
                chain.append(
                    chain[-1] if draw < 0.5 else int(successors[chain[-1], int(draw * 6) - 3])
                )
            runs = [one for one, before in zip(chain, [-1, *chain], strict=False) if one != before]
            spelled = "".join(chr(ord("a") + one % 26) for one in runs[::4])
            words = " ".join(spelled[first : first + 5] for first in range(0, len(spelled), 5))
            units.append((f"{name}{number:05d}", " ".join(map(str, chain))))
            texts.append((f"{name}{number:05d}", words))
        write_table(data / name / "units.txt", units)
        write_table(data / name / "text", texts)
        options = ("--format", "text", "--num-clusters", K, "--frame-shift", 0.02)
        files = (data / name / "units.txt", data / name, bench.work / "units")
        bench.command("import-units", *options, *files)


def scoring(bench: Bench) -> Iterator[Row]:
    for name, changes in bench.size.lms.items():
        config = lm_config(name, changes)
        rates = compare_scoring(config, bench.device)
        for peer in ("padded", "one by one"):
            beside = f"transformers' Llama, {peer}"
            yield Row(f"score-entropy, {name} LM: units", rates["ours"], beside, rates[peer])


def agreement(bench: Bench) -> Iterator[Row]:
    config = lm_config("small", bench.size.lm)
    torch.manual_seed(0)
    weights = UnitLM(config, K).state_dict()
    random = np.random.default_rng(0)
    units = [("a", random.integers(0, K, 1_000).astype(np.int32))]

    def scores(device: torch.device, precision: str) -> np.ndarray:
        model = UnitLM(config, K)
        model.load_state_dict(weights)
        info = LMInfo("", "", "forward", "raw", K, {})
        scorer = Scorer(model, config, info, device, BATCH_TOKENS[device.type], precision)
        return next(iter(scorer.score(units)))[1]

    truth = scores(CPU, "float32")
    for precision in ("float32", "bfloat16") if bench.device.type == "cuda" else ("float32",):
        largest = np.abs(scores(bench.device, precision) - truth).max()
        yield Row(f"entropies in {precision}: largest difference to a CPU's", f"{largest:.1e} nats")


def training(bench: Bench) -> Iterator[Row]:
    for name, changes in bench.size.lms.items():
        config = lm_config(name, changes)
        rates = compare_training(config, bench.device)
        what = f"training step, {name} LM: units"
        yield Row(what, rates["ours"], "transformers' Llama", rates["llama"])


def extraction(bench: Bench) -> Iterator[Row]:
    """HuBERT of random weights, to its third quarter, as dump-units calls it."""
    from transformers import HubertConfig, HubertModel, Wav2Vec2FeatureExtractor

    from entcomp.units.extractors import load_extractor

    folder = bench.work / "hubert"
    config = HubertConfig(**bench.size.hubert)
    torch.manual_seed(0)
    HubertModel(config).save_pretrained(folder)
    Wav2Vec2FeatureExtractor().save_pretrained(folder)
    layer = max(1, config.num_hidden_layers * 3 // 4)
    extractor = load_extractor("transformers", str(layer), folder, bench.device.type)
    model = HubertModel.from_pretrained(folder).to(bench.device).eval()
    random = np.random.default_rng(0)
    waveforms = [
        0.1 * random.standard_normal(16_000 * one).astype(np.float32) for one in (2, 6, 12)
    ]

    @torch.inference_mode()
    def whole(waveform: np.ndarray) -> np.ndarray:
        values = torch.from_numpy(waveform)[None].to(bench.device)
        hidden: torch.Tensor = model(values, output_hidden_states=True).hidden_states[layer][0]
        return hidden.cpu().numpy()

    def speed(extract: Callable[[np.ndarray], np.ndarray]) -> float:
        took = seconds(lambda: [extract(one) for one in waveforms], bench.device, repeats=3)
        return sum(map(len, waveforms)) / 16_000 / took

    beside = "all its layers, of which one is kept"
    yield Row(f"HuBERT's layer {layer}: seconds of speech", speed(extractor), beside, speed(whole))


def pooling(bench: Bench) -> Iterator[Row]:
    rates = compare_pooling(bench.device)
    yield Row("CALE, a step: tokens", rates["ours"], "a dense mask", rates["dense mask"])


def precisions(bench: Bench) -> Iterator[Row]:
    """Whole trainings of an LM: what they reach, and how fast."""
    base = None
    paths = {"float32": {}, "bfloat16": {}, "bfloat16, compiled": {"training.compile": True}}
    if bench.device.type == "cpu":
        del paths["bfloat16, compiled"]
    for title, changes in paths.items():
        name = title.replace(", ", "_")
        options = {"training.precision": title.partition(",")[0], **changes}
        rate = _lm_rate(bench, name, options, bench.size.steps)
        base = rate if base is None else base
        yield Row(f"train-lm in {title}: steps", rate, "float32", base)
        metrics = read_stage(bench.work / f"exp_{name}/lm", "training")["outputs"]["metrics"]
        reached = f"{metrics['loss']:.3f} nats, {ENTROPY:.3f} at best"
        yield Row(f"train-lm in {title}: after {bench.size.steps} steps", reached)


def ranks(bench: Bench) -> Iterator[Row]:
    """The same batches on one device and on all."""
    cuda = bench.device.type == "cuda"
    count = torch.cuda.device_count() if cuda else 2
    if count < 2:
        yield Row("train-lm on several GPUs", "there is one")
        return
    one, several = (
        _lm_rate(bench, f"devices{devices}", {"training.devices": devices}, bench.size.steps // 4)
        for devices in (1, count)
    )
    kind = "GPUs" if cuda else "CPU processes"
    yield Row(f"train-lm on {count} {kind}: steps", several, "one", one)


def _lm_rate(bench: Bench, name: str, changes: dict[str, object], steps: int) -> float:
    options = ["--config", CONF / "lm" / "small.yaml", *settings(bench.size.lm | changes)]
    never = settings({"training.val_interval": 1_000_000, "training.patience": None})

    def run(steps: int, suffix: str) -> float:
        exp = bench.experiment(name + suffix)
        data = bench.work / "data"
        return bench.command("train-lm", *options, *never, "--max-steps", steps, data, exp)

    return bench.rate(run, steps)


def recognition(bench: Bench) -> Iterator[Row]:
    """From units to words: all commands of a recogniser of 12 M parameters."""
    data, exp = bench.work / "data", bench.experiment("asr")
    lm = ["--config", CONF / "lm" / "small.yaml", *settings(bench.size.lm)]
    bench.command("train-lm", *lm, "--max-steps", bench.size.asr, data, exp)
    bench.command("score-entropy", "--calibration-sets", "dev", data, exp)
    bench.command("segment", "--target-rate", 15, data, exp)
    text = bench.size.text | {"local.embedding": "lm", "training.val_interval": 1_000_000}

    def runs(precision: str, **environment: str) -> Callable[[int, str], float]:
        options = ["--config", CONF / "asr" / "small.yaml"]
        options += settings(text | {"training.precision": precision})

        def run(steps: int, suffix: str) -> float:
            tag = f"{precision}{suffix}_{'_'.join(environment) or 'here'}"
            more = ("--segmentation", "rate15_global", "--tag", tag, "--max-steps", steps)
            return bench.command("train-asr", *options, *more, data, exp, **environment)

        return run

    full = bench.rate(runs("float32"), bench.size.asr)
    half = bench.rate(runs("bfloat16"), bench.size.asr)
    cpu = bench.rate(runs("float32", CUDA_VISIBLE_DEVICES=""), max(1, bench.size.asr // 20))
    yield Row("train-asr, conf/asr/small.yaml in float32: steps", full, "a CPU", cpu)
    yield Row("train-asr in bfloat16: steps", half, "float32", full)
    took = bench.command("decode", "--model", "asr/float32_here", "--sets", "dev", data, exp)
    yield Row("decode: utterances, start included", bench.size.utterances // 10 / took)


def describe(device: torch.device) -> str:
    """Machine, versions, commit and date: a line."""
    git = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    name = torch.cuda.get_device_name() if device.type == "cuda" else "no GPU"
    cores = len(os.sched_getaffinity(0))
    return (
        f"{name}, {cores} CPU cores, torch {torch.__version__}; commit {commit or 'unknown'}, "
        f"{date.today()}"
    )


def table(rows: list[Row], title: str) -> str:
    header = ["what, a second", "entcomp", "beside", "its rate", "times as fast"]
    lines = [header, ["---", "---:", "---", "---:", "---:"], *(row.cells() for row in rows)]
    return f"{title}\n\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def write_table_of(bench: Bench, parts: dict[str, Part]) -> bool:
    """Write and print the table, row by row; False if a part failed."""
    title, rows, all_well = describe(bench.device), [], True
    for name, part in parts.items():
        begin = time.perf_counter()
        try:
            for row in part(bench):
                rows.append(row)
                write_text(bench.out / "gpu.md", table(rows, title))
        except Exception as error:  # a part may lack a package here; the others tell something
            all_well = False
            rows.append(Row(name, f"failed: {type(error).__name__}: {error}"))
        write_text(bench.out / "gpu.md", table(rows, title))
        print(f"{name}: {time.perf_counter() - begin:.0f} s", flush=True)
    print(f"\n{table(rows, title)}")
    return all_well


Part = Callable[[Bench], Iterator[Row]]
PARTS: dict[str, Part] = {
    "agreement": agreement,
    "scoring": scoring,
    "training": training,
    "pooling": pooling,
    "extraction": extraction,
    "recognition": recognition,
    "precisions": precisions,
    "ranks": ranks,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--size", choices=SIZES, default="full")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    arguments = parser.parse_args()
    if arguments.device == "cuda" and not torch.cuda.is_available():
        print(
            "gpu.py: error: torch sees no GPU; --device cpu --size tiny tries it", file=sys.stderr
        )
        return 1
    bench = Bench(SIZES[arguments.size], torch.device(arguments.device), arguments.out)
    shutil.rmtree(bench.work, ignore_errors=True)
    bench.work.mkdir(parents=True)
    prepare(bench)
    return 0 if write_table_of(bench, PARTS) else 1


if __name__ == "__main__":
    sys.exit(main())
