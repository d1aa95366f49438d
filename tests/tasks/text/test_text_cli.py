"""train-asr, train-st and decode as a user calls them; each mistake is one clear line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from fake_experiment import Fake, make_fake
from text_experiment import SMALLEST, TextExperiment, toy_experiment
from typer.testing import CliRunner

from entcomp.artifacts.streams import read_streams
from entcomp.cli.app import app
from entcomp.encoder.local import LocalEncoder, LocalEncoderConfig
from entcomp.errors import EntcompError
from entcomp.files import read_json, write_json
from entcomp.kaldi.ark import ArkWriter
from entcomp.kaldi.table import read_table
from entcomp.pipelines.random_rates import draw_groups, random_streams, rate_rules
from entcomp.skipped import SkippedUtterances
from entcomp.training.weights import read_weights

QUICK = {
    "max_steps": 4,
    "learning_rate": 1e-3,
    "warmup_steps": 2,
    "val_interval": 2,
    "keep_best": 2,
}


@pytest.fixture
def toy(tmp_path: Path) -> TextExperiment:
    return toy_experiment(tmp_path)


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def train(one: TextExperiment, *options: object, task: str = "asr", **changes: Any) -> str:
    config = one.config(**(SMALLEST | {"training": QUICK} | changes))
    return run(f"train-{task}", *one.arguments, "--config", config, *options)


def write_groups(one: TextExperiment, tag: str, length: int = 3, codebook: str = "c0de") -> None:
    folder = one.experiment.segments(tag)
    for name in ("train", "dev", "test"):
        with ArkWriter(folder / name, "groups") as ark:
            for utt_id, units, _ in read_streams(one.experiment, name, "raw"):
                ark.write(utt_id, np.full(len(units) // length, length, np.int32))
    write_json(folder / "threshold.json", {"criterion": "fixed", "codebook_sha256": codebook})


def test_files_of_a_model_and_of_its_decoding(toy: TextExperiment) -> None:
    write_groups(toy, "by3")
    assert "6 utterances" in train(toy, "--segmentation", "by3")
    folder = toy.experiment.task("asr", "by3")
    assert read_json(folder / "task.json")["codebook_sha256"] == "c0de"
    assert {"config.yaml", "text.model", "model.safetensors"} <= {p.name for p in folder.iterdir()}
    assert not list(folder.glob(".*.jsonl"))
    output = run("decode", *toy.arguments, "--model", "asr/by3")
    assert "decode_test: WER" in output and "16.67 groups a second" in output
    decoded = folder / "decode_test"
    assert list(read_table(decoded / "text", empty_values=True)) == list(toy.texts)
    trn = (decoded / "ref.trn").read_text().splitlines()
    assert trn == [f"{text} ({utt_id})" for utt_id, text in toy.texts.items()]
    assert json.loads((decoded / "scores.json").read_text())["rate"] == pytest.approx(50 / 3)


def test_what_is_whole_is_not_repeated(toy: TextExperiment) -> None:
    train(toy, "--segmentation", "dedup")
    weights = toy.experiment.task("asr", "dedup") / "model.safetensors"
    before = weights.stat().st_mtime_ns, weights.read_bytes()
    train(toy, "--segmentation", "dedup")
    assert (weights.stat().st_mtime_ns, weights.read_bytes()) == before
    decode = ("decode", *toy.arguments, "--model", "asr/dedup")
    assert "skipped" not in run(*decode)
    assert "decode_test: complete, skipped" in run(*decode)
    assert "skipped" not in run(*decode, "--beam", "1")
    (toy.data / "test" / "text").write_text("".join(f"{utt_id} a\n" for utt_id in toy.texts))
    assert "skipped" not in run(*decode)


def test_what_was_not_scored_is_said(toy: TextExperiment) -> None:
    """Utterances without units, which an earlier stage left out, left the scores in silence."""
    train(toy, "--segmentation", "raw")
    text = toy.data / "test" / "text"
    first = next(iter(toy.texts))
    text.write_text(text.read_text().replace(f"{first} ", f"new-{first} "))
    output = run("decode", *toy.arguments, "--model", "asr/raw")
    assert f"not scored: 1 utterance without units: new-{first}" in output
    assert f"not scored: 1 utterance without a reference: {first}" in output
    assert "decode_test: WER" in output


def test_fewer_steps_than_were_trained_renamed_a_model(toy: TextExperiment) -> None:
    train(toy, "--segmentation", "raw")
    config = (toy.experiment.task("asr", "raw") / "config.yaml").read_text()
    with pytest.raises(EntcompError, match="trained for 4 steps already; give --max-steps 4 or"):
        train(toy, "--segmentation", "raw", "--max-steps", 2)
    assert (toy.experiment.task("asr", "raw") / "config.yaml").read_text() == config


def test_options_of_a_search_that_change_nothing(toy: TextExperiment) -> None:
    train(toy, "--segmentation", "raw", ctc_weight=0.0)
    decode = ("decode", *toy.arguments, "--model", "asr/raw")
    beam = yaml.safe_load((toy.experiment.task("asr", "raw") / "config.yaml").read_text())
    run(*decode)
    assert "complete, skipped" in run(*decode, "--beam", beam["decoding"]["beam"])
    with pytest.raises(EntcompError, match="asr/raw was trained without CTC; leave it out"):
        run(*decode, "--ctc-weight", 0.3)


def test_interrupted_training_ends_in_the_same_weights(tmp_path: Path) -> None:
    one, other = (toy_experiment(tmp_path / name) for name in ("one", "other"))
    for toy, steps in ((one, (4,)), (other, (2, 4))):
        for max_steps in steps:
            train(
                toy, "--segmentation", "raw", mask_fraction=0.3, dropout=0.1,
                training=QUICK | {"max_steps": max_steps, "final_lr_ratio": 1.0},
            )  # fmt: skip
    weights = [(toy.experiment.task("asr", "raw") / "model.safetensors") for toy in (one, other)]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_names_tell_models_apart(toy: TextExperiment) -> None:
    train(toy, "--segmentation", "dedup", "--pooling", "cale", "--seed", "2")
    assert toy.experiment.task("asr", "dedup_cale_seed2").is_dir()
    train(toy, "--segmentation", "raw", "--lang", "eo", task="st")
    assert toy.experiment.task("st", "eo_raw").is_dir()
    output = run("decode", *toy.arguments, "--model", "st/eo_raw", "--ctc-weight", "0.1")
    assert "decode_test_ctc_weight0.1: BLEU" in output


def test_set_changes_any_key_of_the_config(toy: TextExperiment) -> None:
    """Named options win over --set, and both over the file; names tell them apart alike."""
    changes = ("--set", "training.max_steps=3", "--set", "training.seed=2", "--set", "dim=16")
    output = train(toy, "--segmentation", "raw", *changes, "--max-steps", "2")
    assert "asr/raw_seed2: step 2, dev" in output
    config = yaml.safe_load((toy.experiment.task("asr", "raw_seed2") / "config.yaml").read_text())
    assert (config["dim"], config["training"]["seed"]) == (16, 2)
    arguments = ("train-asr", *toy.arguments, "--segmentation", "raw", "--set")
    known = "unknown key 'trainin'; known keys: batch_frames, boundaries, ctc_weight"
    fails(known, *arguments, "trainin.x=1")
    fails("--set dim: expected KEY=VALUE, as in training.max_steps=100", *arguments, "dim")


def test_imported_units_had_no_embeddings_to_begin_from(toy: TextExperiment) -> None:
    """They have no centroids, and `embedding: codebook` asked for a learn-kmeans run."""
    arguments = ("--segmentation", "raw", "--set")
    config = toy.config(**SMALLEST, training=QUICK)
    command = ("train-asr", *toy.arguments, "--config", config, *arguments)
    fails(
        "kmeans.npz: no such file, as imported units have no centroids; train with "
        "--set local.embedding=lm",
        *command,
        "local.embedding=codebook",
    )
    fails("train-lm", *command, "local.embedding=lm")
    lm = ("--set", "dim=16", "--set", "layers=1", "--set", "heads=2", "--max-steps", "2")
    run("train-lm", *toy.arguments, *lm)
    run(*command, "local.embedding=lm", "--max-steps", 1, "--set", "training.learning_rate=1e-9")
    made = read_weights(toy.experiment.task("asr", "raw") / "model.safetensors")
    start = read_weights(toy.experiment.lm() / "model.safetensors")["embedding.weight"][:6]
    expected = LocalEncoder(LocalEncoderConfig(), num_tokens=7, dim=32)
    expected.start_from_vectors(start)
    # The rotation is drawn: distances stay.
    found, wanted = (
        torch.cdist(one[:6], one[:6])
        for one in (made["local.embedding.weight"], expected.embedding.weight)
    )
    torch.testing.assert_close(found, wanted.detach(), atol=1e-3, rtol=1e-3)
    run("train-lm", *toy.arguments, *lm, "--max-steps", "4")  # another LM: another model
    fails(
        "begun with another embeddings_sha256",
        *(*command, "local.embedding=lm", "--max-steps", 1),
        *("--set", "training.learning_rate=1e-9"),
    )


def test_a_set_without_references_is_decoded_but_not_scored(toy: TextExperiment) -> None:
    train(toy, "--segmentation", "raw")
    (toy.data / "test" / "text").rename(toy.data / "test" / "wav.scp")
    run("decode", *toy.arguments, "--model", "asr/raw")
    decoded = toy.experiment.task("asr", "raw") / "decode_test"
    assert (decoded / "text").exists() and not (decoded / "scores.json").exists()


def test_utterances_without_text_are_left_out_and_counted(toy: TextExperiment) -> None:
    path = toy.data / "train" / "text.eo"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]))
    output = train(toy, "--segmentation", "raw", "--lang", "eo", task="st")
    assert "train: 5 utterances; left out: 1 without a text" in output


def test_skip_bad_lists_empty_transcripts(toy: TextExperiment) -> None:
    (toy.data / "train" / "text").write_text("toy-0\ntoy-1 ...\ntoy-2 a b\n")
    train(toy, "--segmentation", "raw", "--skip-bad")
    skipped = read_table(toy.experiment.task("asr", "raw") / "skipped.txt")
    assert list(skipped) == ["toy-0", "toy-1"]


def fails(message: str, *arguments: object) -> None:
    with pytest.raises(EntcompError, match=message) as error:
        run(*arguments)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--segmentation", "rate15"],
            "segments/rate15: no such segmentation; available: raw, dedup;",
        ),
        ([], "give either --segmentation raw.dedup.TAG or --random-rates"),
        (["--segmentation", "raw", "--random-rates", "7-24"], "give either --segmentation"),
        (["--segmentation", "raw", "--peaks"], "--peaks goes with --random-rates"),
        (["--segmentation", "raw", "--criterion", "peak"], "--criterion goes with --random-rates"),
        (["--random-rates", "7-9", "--peaks"], "--peaks goes with --criterion"),
        (["--random-rates", "24"], "--random-rates 24: expected LOW-HIGH in Hz"),
        (["--random-rates", "24-7"], "--random-rates 24-7: expected LOW-HIGH in Hz"),
        (["--segmentation", "raw", "--pooling", "median"], "key 'local.pooling': Input should be"),
        (
            ["--segmentation", "raw", "--sets", "trian"],
            "no set 'trian'; available: dev, test, train",
        ),
        (["--segmentation", "raw", "--config", "no.yaml"], "no.yaml: no such config"),
    ],
)
def test_mistaken_options(toy: TextExperiment, options: list[str], message: str) -> None:
    fails(message, "train-asr", *toy.arguments, *options)


def test_language_that_is_not_there(toy: TextExperiment) -> None:
    options = ["--segmentation", "raw", "--lang", "fr"]
    fails(
        r"train/text.fr: no such file; texts .*: text, text.eo",
        "train-st",
        *toy.arguments,
        *options,
    )


def test_empty_transcript(toy: TextExperiment) -> None:
    (toy.data / "train" / "text").write_text("toy-0 a\ntoy-1\n")
    message = r"train/text: empty transcript \(utterance toy-1\); fix it or pass --skip-bad"
    fails(message, "train-asr", *toy.arguments, "--segmentation", "raw")


def test_streams_shorter_than_their_text(toy: TextExperiment) -> None:
    """Two words of three letters and a space are eight pieces; groups of 15 frames are two."""
    write_groups(toy, "by15", 15)
    options = ["--segmentation", "by15", "--config", toy.config(**SMALLEST, training=QUICK)]
    message = (
        r"every stream is shorter than its text \(utterance toy-0, and 5 more\).*ctc_weight: 0"
    )
    fails(message, "train-asr", *toy.arguments, *options)
    train(toy, "--segmentation", "by15", ctc_weight=0.0)


def test_some_streams_shorter_than_their_text_are_counted(toy: TextExperiment) -> None:
    lines = [f"toy-{index} {'a' if index else 'abcde abcde abcde abcde'}\n" for index in range(6)]
    (toy.data / "train" / "text").write_text("".join(lines))
    output = train(toy, "--segmentation", "dedup")
    assert "1 of 6 streams are shorter than their text and are trained without CTC (toy-0" in output


def test_model_of_another_codebook(toy: TextExperiment) -> None:
    train(toy, "--segmentation", "raw")
    units = read_json(toy.experiment.units_json)
    write_json(toy.experiment.units_json, units | {"codebook_sha256": "other"})
    decode = ("decode", *toy.arguments, "--model", "asr/raw")
    fails("asr/raw/task.json: made with another codebook", *decode)


def test_groups_of_another_codebook(toy: TextExperiment) -> None:
    write_groups(toy, "by3", codebook="other")
    fails(
        "threshold.json: made with another codebook",
        "train-asr",
        *toy.arguments,
        "--segmentation",
        "by3",
    )


def test_groups_that_do_not_fit(toy: TextExperiment) -> None:
    write_groups(toy, "by4", 4)  # of 30 units
    fails(
        "groups.scp: groups do not fit the units",
        "train-asr",
        *toy.arguments,
        "--segmentation",
        "by4",
    )


def test_model_that_is_not_there(toy: TextExperiment) -> None:
    fails(
        "asr/rwa/task.json: no such file; run its training",
        "decode",
        *toy.arguments,
        "--model",
        "asr/rwa",
    )
    train(toy, "--segmentation", "raw")
    fails("available: raw", "decode", *toy.arguments, "--model", "asr/rwa")
    decode = ("decode", *toy.arguments, "--model", "asr/raw", "--segmentation", "rate7")
    fails("rate7: no such segmentation", *decode)


def test_training_goes_on_from_another_model(toy: TextExperiment) -> None:
    """The first step is taken from its weights; of pieces only where they are the same ones."""
    train(toy, "--segmentation", "raw", "--seed", "1")
    options = (
        "--segmentation", "raw", "--pooling", "max", "--max-steps", "1", "--init", "asr/raw_seed1",
    )  # fmt: skip
    others = {"kind": "unigram", "size": 30}
    train(toy, *options, "--tag", "same")
    train(toy, *options, "--lang", "eo", "--tag", "other", task="st", vocabulary=others)
    start, same, other = (
        read_weights(toy.experiment.path / name / "model.safetensors")
        for name in ("asr/raw_seed1", "asr/same", "st/other")
    )

    def near(one: torch.Tensor, another: torch.Tensor) -> bool:
        return one.shape == another.shape and bool((one - another).abs().max() < 0.01)

    pieces = {name for name in start if name.startswith(("decoder.embed", "decoder.output", "ctc"))}
    assert len(pieces) == 5 and len(start) > 30
    assert all(near(same[name], start[name]) for name in start)
    assert {name for name in start if not near(other[name], start[name])} == pieces


def test_a_model_to_start_from_that_does_not_fit(toy: TextExperiment) -> None:
    train(toy, "--segmentation", "raw")
    arguments = ("train-asr", *toy.arguments, "--segmentation", "raw", "--tag", "next", "--config")
    config = toy.config(**(SMALLEST | {"training": QUICK, "dim": 16}))
    fails(
        "asr/raw: the model to start from has another size", *arguments, config, "--init", "asr/raw"
    )
    fails("asr/x: no such model; available: raw", *arguments, config, "--init", "asr/x")


def test_another_training_in_the_same_folder(toy: TextExperiment) -> None:
    train(toy, "--segmentation", "raw")
    with pytest.raises(EntcompError, match="begun with another"):
        train(toy, "--segmentation", "dedup", "--tag", "raw")
    assert not list(toy.experiment.task("asr", "raw").glob(".*.jsonl"))


@pytest.fixture
def fake(tmp_path: Path) -> Fake:
    fake = make_fake(tmp_path, {"train": 12, "dev": 4, "test": 4}, length=300)
    for name in ("train", "dev", "test"):
        lines = (f"{utt_id} ab {utt_id[-1]}\n" for utt_id in fake.units[name])
        (fake.data / name / "text").write_text("".join(lines))
    return fake


def test_random_rates_draw_what_segment_would_make(fake: Fake) -> None:
    run("segment", *fake.arguments, "--target-rate", "7", "--criterion", "global")
    lowest = {
        utt: groups for utt, _, groups in read_streams(fake.experiment, "train", "rate7_global")
    }
    rules = rate_rules(fake.experiment, "global", "7-20")
    streams = list(random_streams(fake.experiment, "train", rules[0], SkippedUtterances(False)))
    rates = []
    for index, stream in enumerate(streams):
        np.testing.assert_array_equal(stream.groups, lowest[stream.utt_id])
        np.testing.assert_array_equal(stream.units, fake.units["train"][stream.utt_id])
        generators = (np.random.default_rng([index, seed]) for seed in range(30))
        assert stream.row is not None
        draws = [draw_groups(rules, stream.row, one) for one in generators]
        assert all(groups.sum() == len(stream.units) for groups in draws)
        rates += [len(groups) / (len(stream.units) * 0.02) for groups in draws]
    assert min(rates) < 9 and max(rates) > 17 and np.mean(rates) == pytest.approx(13.5, abs=1.5)


@pytest.mark.parametrize(
    ("criterion", "rates", "peaks"),
    [
        ("global", (7, 20), []),
        ("uniform", (7, 20), []),
        ("bidirectional", (7, 20), []),
        ("bidirectional", (7, 12), ["--peaks"]),
    ],
)
def test_one_model_decodes_at_any_rate(
    fake: Fake, criterion: str, rates: tuple[int, int], peaks: list[str]
) -> None:
    config = TextExperiment(fake.data, fake.experiment, {}).config(**SMALLEST, training=QUICK)
    low, high = rates
    options = ["--random-rates", f"{low}-{high}", "--criterion", criterion, "--config", config]
    run("train-asr", *fake.arguments, *options, *peaks)
    name = f"{criterion}{'_peaks' if peaks else ''}{low}-{high}"
    decode = ("decode", *fake.arguments, "--model", f"asr/{name}")
    fails("no such segmentation", *decode)
    for rate in (low + 1, high - 2):
        segment = ("--criterion", criterion, *peaks, "--target-rate", rate, "--tag", f"at{rate}")
        run("segment", *fake.arguments, *segment)
        assert f"decode_test_at{rate}: WER" in run(*decode, "--segmentation", f"at{rate}")


def test_random_rates_beyond_the_units(fake: Fake) -> None:
    options = ["--random-rates", "7-60", "--criterion", "uniform"]
    fails("--target-rate 50.5: there are only 50 units", "train-asr", *fake.arguments, *options)


def test_a_training_that_learnt_nothing_ended_in_silence(toy: TextExperiment) -> None:
    """CTC at the frequency of pieces, as after a few steps; and below it, once it has learnt."""
    said = "warning: CTC has not learnt from the units"
    assert said in train(toy, "--segmentation", "raw", "--tag", "short")
    longer = QUICK | {"max_steps": 150, "learning_rate": 3e-3, "val_interval": 50}
    assert said not in train(toy, "--segmentation", "raw", "--tag", "long", training=longer)
