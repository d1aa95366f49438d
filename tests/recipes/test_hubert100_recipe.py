"""egs/hubert100: its splits and references, its choices, and all of it on a tiny tree."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
import tiny_configs
from fake_alignment import equal_spans, write_grid
from waiting import LOST

from entcomp.files import read_json
from entcomp.kaldi.table import read_table, write_table
from entcomp.units.extractor import HUBERT_GRID

RECIPE = Path(__file__).resolve().parents[2] / "egs/hubert100"
SETS = ("train", "dev", "test_vctk", "test_lj")
# Who reads which sentence: everyone, two neighbours, or one speaker alone.
SPEAKERS = [f"p{number}" for number in range(225, 241)]
WORDS = "one two three four five six seven eight nine ten".split()  # noqa: SIM905


def sentences(number: int) -> dict[str, str]:
    """Of the speaker with that number; the id says who else reads it."""
    own, pair = WORDS[number % 10], WORDS[number // 2 % 10]
    return {
        "all": "The rainbow is a division of white light.",
        "pair": f"Ask {pair} people for {number // 2} things.  )",
        "own": f"{own.title()} or {number} (more or less)",
    }


def write_units(folder: Path, texts: dict[str, str], speakers: dict[str, str]) -> None:
    """The three tables; units of 20 words of six out of 100, in runs."""
    generator = np.random.default_rng(len(texts))
    words = np.random.default_rng(0).integers(0, 100, (20, 6))
    rows = {}
    for utt_id in texts:
        runs = words[generator.integers(0, len(words), 5)].ravel()
        units = np.repeat(runs, generator.integers(1, 4, 30))
        rows[utt_id] = " ".join(map(str, units))
    for name, table in (("units.txt", rows), ("text", texts), ("utt2spk", speakers)):
        write_table(folder / name, table.items())


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixteen speakers with three sentences each, and forty utterances of LJSpeech."""
    folder = tmp_path_factory.mktemp("source")
    texts = {
        f"{speaker}_{name}": text
        for number, speaker in enumerate(SPEAKERS)
        for name, text in sentences(number).items()
    }
    write_units(folder / "vctk", texts, {utt_id: utt_id[:4] for utt_id in texts})
    texts = {f"LJ001-{number:04d}": f"Utterance {number} of forty" for number in range(40)}
    write_units(folder / "lj_val", texts, dict.fromkeys(texts, "lj"))
    with tarfile.open(folder / "lj_val/textgrids.tar.xz", "w:xz") as archive:
        for utt_id, units in read_table(folder / "lj_val/units.txt").items():
            duration, name = len(units.split()) * 0.02, f"textgrids/{utt_id}.TextGrid"
            tiers = {
                "words": equal_spans(duration, 0.2, "w"),
                "phones": equal_spans(duration, 0.1, "AH"),
            }
            write_grid(folder / name, duration, **tiers)
            archive.add(folder / name, name)
    return folder


def call(*words: object, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        list(map(str, words)), capture_output=True, text=True, check=False, timeout=LOST, **options
    )  # type: ignore[call-overload]


def prepare(source: Path, data: Path) -> subprocess.CompletedProcess[str]:
    return call(sys.executable, RECIPE / "local/prepare_data.py", source, data)


@pytest.fixture(scope="module")
def data(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    done = prepare(source, folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_no_speaker_of_vctk_and_no_sentence_is_in_two_sets(data: Path) -> None:
    speakers = {name: set(read_table(data / name / "utt2spk").values()) - {"lj"} for name in SETS}
    assert {name: len(one) for name, one in speakers.items()} == {
        **{"train": 4, "dev": 2},
        **{"test_vctk": 10, "test_lj": 0},
    }
    texts = [set(read_table(data / name / "text").values()) for name in SETS]
    assert len(set.union(*texts)) == sum(map(len, texts))


def test_every_second_utterance_of_ljspeech_is_held_back(data: Path) -> None:
    held_back = [f"LJ001-{number:04d}" for number in range(1, 40, 2)]
    assert list(read_table(data / "test_lj/utt2spk")) == held_back
    assert [one for one in read_table(data / "dev/text") if one.startswith("LJ")] == [
        *("LJ001-0000", "LJ001-0020")
    ]


def test_a_sentence_stays_where_most_read_it(data: Path) -> None:
    """Ten of sixteen are of the test, so that it keeps what all read, and draws between pairs."""
    readers = {name: set(read_table(data / name / "text")) for name in SETS}
    assert len([one for one in readers["test_vctk"] if one.endswith("all")]) == 10
    assert not [one for one in readers["train"] | readers["dev"] if one.endswith("all")]
    skipped = read_table(data / "skipped.txt")
    assert len(skipped) + sum(map(len, readers.values())) == 16 * 3 + 40
    assert skipped.keys().isdisjoint(set.union(*readers.values()))
    train = next(one for one in skipped if one.endswith("all"))
    assert skipped[train] in ("of train that test_vctk has, too", "of dev that test_vctk has, too")


def test_tables_are_those_of_the_corpus(source: Path, data: Path) -> None:
    units = read_table(source / "vctk/units.txt") | read_table(source / "lj_val/units.txt")
    for name in SETS:
        found = read_table(data / name / "units.txt")
        assert found == {utt_id: units[utt_id] for utt_id in found}
        assert found.keys() == read_table(data / name / "text").keys()
    pairs = [text for text in read_table(data / "test_vctk/text").values() if "Ask" in text]
    assert pairs and all(text.endswith("things.") for text in pairs)  # no bracket is left
    assert any("(more or less)" in text for text in read_table(data / "test_vctk/text").values())


def test_a_second_run_writes_nothing(source: Path, data: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in data.rglob("*")}
    assert "complete, skipped" in prepare(source, data).stdout
    assert {path: path.stat().st_mtime_ns for path in data.rglob("*")} == before


def test_what_is_incomplete_is_listed(source: Path, tmp_path: Path) -> None:
    incomplete = tmp_path / "source"
    for corpus in ("vctk", "lj_val"):
        for name in ("units.txt", "text", "utt2spk"):
            table = read_table(source / corpus / name)
            table.pop("p225_own" if name == "text" else "p226_own", None)
            write_table(incomplete / corpus / name, table.items())
    done = prepare(incomplete, tmp_path / "data")
    assert done.returncode == 0, done.stderr
    assert read_table(tmp_path / "data/skipped.txt")["p225_own"] == "without a text"
    (incomplete / "lj_val/text").unlink()
    done = prepare(incomplete, tmp_path / "data")
    assert done.returncode == 1
    assert "lj_val/text: no such file; --source is the folder of vctk and lj_val" in done.stderr


def test_too_few_speakers(source: Path, tmp_path: Path) -> None:
    for corpus in ("vctk", "lj_val"):
        for name in ("units.txt", "text", "utt2spk"):
            rows = read_table(source / "lj_val" / name)
            write_table(tmp_path / corpus / name, rows.items())
    done = prepare(tmp_path, tmp_path / "data")
    assert done.returncode == 1
    assert "1 speakers are too few for 10 test and 2 dev" in done.stderr


@pytest.fixture
def shouting(tmp_path: Path) -> Path:
    """In Apertium's place: what it reads, in capitals."""
    return command(tmp_path / "apertium", "tr a-z A-Z")


def command(path: Path, line: str) -> Path:
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)
    return path


def translate(apertium: Path, *sets: Path) -> subprocess.CompletedProcess[str]:
    script = RECIPE / "local/translate.py"
    return call(sys.executable, script, "--apertium", apertium, "--lang", "es", *sets)


def test_each_utterance_is_translated_by_itself(data: Path, shouting: Path, tmp_path: Path) -> None:
    english = read_table(data / "test_lj/text")
    write_table(tmp_path / "set/text", english.items())
    assert translate(shouting, tmp_path / "set").returncode == 0
    assert read_table(tmp_path / "set/text.es") == {
        utt_id: text.upper() for utt_id, text in english.items()
    }
    assert "complete, skipped" in translate(shouting, tmp_path / "set").stdout


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("head -n 2", "1 paragraphs, some of them perhaps empty, for 2 texts"),
        ("cat > /dev/null; echo no such mode >&2; exit 3", "eng-spa: no such mode"),
    ],
)
def test_a_translator_that_fails(line: str, reason: str, tmp_path: Path) -> None:
    write_table(tmp_path / "set/text", [("a", "one"), ("b", "two")])
    done = translate(command(tmp_path / "apertium", line), tmp_path / "set")
    assert done.returncode == 1 and reason in done.stderr
    assert not (tmp_path / "set/text.es").exists()
    done = translate(tmp_path / "nothing", tmp_path / "set")
    assert "No such file or directory; run tools/install_apertium.sh" in done.stderr


def run(*words: object) -> subprocess.CompletedProcess[str]:
    return call(RECIPE / "run.sh", *words, env=os.environ | {"OMP_NUM_THREADS": "1"})


def test_every_stream_encoder_and_seed_has_a_model() -> None:
    options = ("--streams", "raw fixed3/max", "--st-streams", "dedup", "--seeds", "0 1")
    dry = run("--dry-run", "--stage", 7, *options, "--encoders", "default none").stdout
    tags = [f"{kind}{one}_seed{seed}" for kind in ("", "none_") for seed in (0, 1)
            for one in ("raw", "fixed3_max")]  # fmt: skip
    assert [tag for tag in tags if f"train-asr --tag {tag} " in dry] == tags
    assert dry.count("train-asr") == len(tags) and dry.count("train-st") == 2 * 2 * 2
    translator = "--tag ca_none_dedup_seed1 --segmentation dedup --seed 1"
    assert f"{translator} --init asr/none_dedup_seed1 --sets train " in dry
    assert dry.count("--init") == dry.count("train-st")
    from_nothing = run("--dry-run", "--stage", 10, "--st-init", "", *options).stdout
    assert "train-st" in from_nothing and "--init" not in from_nothing
    assert dry.count("--set encoder.kind=none") == 4 + 4
    assert "compare --sets test_\\* --baseline raw " in dry
    assert "--lang ca --sets test_\\* --baseline dedup " in dry
    only = run("--dry-run", "--stage", 8, "--encoders", "none").stdout
    assert "--baseline none_raw " in only


def test_poolings_and_no_encoder_of_what_is_studied() -> None:
    """Also where other options name the same models, which are trained once."""
    options = ("--streams", "raw fixed3 fixed3/max", "--seeds", 0)
    words = ("--dry-run", "--stage", 7, "--stop-stage", 7, *options, "--studied", "fixed3 fixed5")
    for encoders in ("default", "default none"):
        lines = run(*words, "--encoders", encoders).stdout.splitlines()
        tags = [line.split()[4] for line in lines if "train-asr --tag" in line]
        assert len(tags) == len(set(tags))
        wanted = {"raw_seed0", "fixed3_seed0", "none_fixed3_seed0", "none_fixed5_seed0"}
        wanted |= {
            f"{stream}_{pooling}_seed0"
            for stream in ("fixed3", "fixed5")
            for pooling in ("max", "average", "attention")
        }
        more = {"none_raw_seed0", "none_fixed3_max_seed0"} if "none" in encoders else set()
        assert set(tags) == wanted | more
    default = run("--dry-run", "--stage", 7, "--stop-stage", 7, "--seeds", 0).stdout
    for tag in ("fixed4_attention", "rate12_bpe_runs_average", "none_rate12_bidirectional_peaks"):
        assert f"--tag {tag}_seed0 " in default


def test_matched_rates_are_in_the_names_of_streams() -> None:
    dry = run("--dry-run", "--stage", 5, "--stop-stage", 5, "--match-rate", "set", "--source", "x")
    wanted = [
        line for line in dry.stdout.splitlines() if "--match-rate set --target-rate 12" in line
    ]
    assert len(wanted) == 6
    dry = run("--dry-run", "--stage", 7, "--match-rate", "set", "--seeds", 0)
    for tag in ("rate12_global_matchset_seed0", "es_rate12_bidirectional_peaks_matchset_seed0"):
        assert f"--tag {tag} " in dry.stdout
    assert "_match" not in run("--dry-run", "--stage", 7).stdout


def test_phones_are_known_of_ljspeech_alone() -> None:
    words = ("--dry-run", "--stage", 5, "--stop-stage", 7, "--source", "x", "--seeds", 0)
    dry = run(*words, "--streams", "raw", "--lj-streams", "fixed4 oracle_words").stdout
    oracles = [line for line in dry.splitlines() if "--criterion oracle" in line]
    assert len(oracles) == 1 and "tier=words" in oracles[0]
    assert "--sets train_lj\\,dev_lj\\,test_lj" in oracles[0]
    models = [line for line in dry.splitlines() if "--tag lj_" in line]
    assert [line.split()[4] for line in models] == ["lj_fixed4_seed0", "lj_oracle_words_seed0"]
    for line in models:
        assert "--sets train_lj --dev-sets dev_lj" in line and "--sets test_lj" in line
    none = run(*words, "--lj-streams", "").stdout
    assert "--criterion oracle" not in none and "--tag lj_" not in none


def test_streams_of_ljspeech_came_unasked_beside_others() -> None:
    """At a rate that need not be there."""
    words = ("--dry-run", "--stage", 7, "--stop-stage", 7, "--seeds", 0)
    asked = run(*words, "--streams", "fixed5 rate10_global").stdout
    assert asked.count("train-asr") == 2 and "rate12" not in asked
    by_default = run(*words).stdout
    assert "--tag lj_rate12_bidirectional_peaks_seed0 " in by_default


def test_several_rates_or_none_are_learnt() -> None:
    """Options said that they wanted one whole number."""
    words = ("--dry-run", "--stage", 5, "--stop-stage", 7, "--source", "x", "--seeds", 0)
    for options, rates in (((), ["12"]), (("--learnt", "12.5 7"), ["12.5", "7"]),
                           (("--learnt", ""), [])):  # fmt: skip
        done = run(*words, *options)
        assert done.returncode == 0, done.stderr
        assert re.findall(r"--learn-boundaries (\S+)", done.stdout) == rates
        assert re.findall(r"--tag rate(\S+)_learnt_seed0 ", done.stdout) == rates


def test_abx_only_where_it_is_asked_for() -> None:
    words = ("--dry-run", "--stage", 6, "--stop-stage", 6, "--source", "x")
    assert "evaluate-units --sets test_lj " in run(*words).stdout
    assert "--abx" not in run(*words).stdout and " --abx " in run(*words, "--abx").stdout


def test_units_begin_where_huberts_do() -> None:
    dry = run("--dry-run", "--stage", 2, "--stop-stage", 2).stdout
    offset, shift = (one / 16000 for one in (HUBERT_GRID.offset, HUBERT_GRID.shift))
    assert dry.count(f"--frame-shift {shift:g} --receptive-offset {offset:g} ") == 6


def test_the_source_is_needed_for_its_stages() -> None:
    for words in ((), ("--stage", 5, "--stop-stage", 5), ("--stage", 6)):
        done = run("--dry-run", *words)
        assert done.returncode == 1 and "--source is needed for stages 1, 5 and 6" in done.stderr
    assert run("--dry-run", "--stage", 2, "--stop-stage", 4).returncode == 0


def test_all_stages(source: Path, shouting: Path, tmp_path: Path) -> None:
    for name, text in {"lm": tiny_configs.LM, "text": tiny_configs.TRAINED_TEXT}.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    options = {
        "source": source,
        "data": tmp_path / "data",
        "exp": tmp_path / "exp",
        "lm-config": tmp_path / "lm.yaml",
        "asr-config": tmp_path / "text.yaml",
        "st-config": tmp_path / "text.yaml",
        "apertium": shouting,
        "streams": "fixed3/max",
        "lj-streams": "oracle_phones",
        "st-streams": "fixed3/max",
        "encoders": "default none",
        "seeds": "0",
        "langs": "ca",
        "rates": "7",
        "nj": "1",
    }
    done = run(*(f"--{name}={value}" for name, value in options.items()))
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    exp = tmp_path / "exp"
    tags = {path.name for path in (exp / "segments").iterdir()}
    assert {"dedup", "fixed2", "fixed5", "uniform7", "rate7_global"} <= tags
    phones = read_json(exp / "align_eval/rate7_global/test_lj.json")["tiers"]["phones"]
    assert "dithered" in phones["segmentation"]
    assert "phones" in read_json(exp / "unit_eval/test_lj/scores.json")
    for name in ("asr_test_vctk", "asr_test_lj", "st_ca_test_vctk", "st_ca_test_lj"):
        rows = (exp / "compare" / f"{name}.md").read_text().partition("\n\n")[0].splitlines()[2:]
        streams = {row.split("|")[1].strip() for row in rows}
        oracle = {"lj_oracle_phones"} if name == "asr_test_lj" else set()
        assert streams == {"fixed3_max", "none_fixed3_max"} | oracle
    assert read_table(tmp_path / "data/train/text.ca").keys() == read_table(
        tmp_path / "data/train/text"
    ).keys()  # fmt: skip
