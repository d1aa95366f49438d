"""train-vc, convert, score-vc and train-vocoder from the command line, on made-up speakers."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml
from own_package import environment_with, install_package
from typer.testing import CliRunner, Result
from vc_toys import tone

from entcomp.audio.read import resample
from entcomp.cli.app import app
from entcomp.errors import EntcompError
from entcomp.evaluation.voices import mos, speaker
from entcomp.files import read_json
from entcomp.kaldi.datadir import find_sets
from entcomp.kaldi.table import read_table
from entcomp.skipped import SkippedUtterances
from entcomp.training.weights import read_weights

# Units of MFCCs come every 10 ms, faster than mel frames of the default hop.
MEL = {"hop_length": 128}
CONFIG = {
    "mel": MEL,
    "local": {"layers": 1},
    "merge_runs": False,
    "layout": "zero_insert",
    "dit": {"dim": 16, "depth": 1, "heads": 2},
    "batch": {"size": 2, "max_target": 0.8, "max_prompt": 0.5},
    "sampler": {"steps": 2},
    "training": {"max_steps": 2, "val_interval": 1, "log_interval": 1, "warmup_steps": 1},
}
VOCODER = {
    "mel": MEL,
    "generator": {
        "channels": 16,
        "upsample_scales": [8, 4, 2, 2],
        "upsample_kernel_sizes": [16, 8, 4, 4],
        "resblock_kernel_sizes": [3],
        "resblock_dilations": [[1]],
    },
    "discriminator": {"periods": [2], "scales": 1, "channels": 4, "max_channels": 16},
    "batch_size": 2,
    "segment": 8,
    "training": {"max_steps": 1, "val_interval": 1, "monitor": "mel"},
}
RECOGNISER = {
    "vocabulary": {"kind": "char", "size": 20},
    "local": {"layers": 1, "heads": 1},
    "dim": 16,
    "encoder": {"layers": 1, "heads": 2, "feed_forward": 16},
    "decoder": {"layers": 1, "heads": 2, "feed_forward": 16},
    "parameters": None,
    "ctc_weight": 0.0,
    "decoding": {"beam": 1, "ctc_weight": 0.0, "max_tokens": 8},
    "training": {"max_steps": 1, "warmup_steps": 1, "val_interval": 1},
}
PITCHES = {"ann": 200, "bob": 100}


class PitchEncoder:
    """Stands in for Resemblyzer, which hears no voice in a buzz: its spectrum, coarsely."""

    name = "pitch"

    def embed(self, waveform: np.ndarray) -> np.ndarray:
        if np.abs(waveform).max() < 1e-3:
            raise speaker.TooLittleSpeechError("0.00 s of speech")
        spectrum = np.abs(np.fft.rfft(waveform, 16000))[:4096].reshape(256, 16).sum(axis=1)
        return (spectrum / np.linalg.norm(spectrum)).astype(np.float32)


class Meter:
    key, name = "meter", "loudness"

    def predict(self, waveform: np.ndarray) -> float:
        return float(np.abs(waveform).mean())


@pytest.fixture(autouse=True)
def _light_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speaker, "SpeakerEncoder", PitchEncoder)
    monkeypatch.setattr(mos, "mos_predictors", lambda utmos: [Meter()])


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(one) for one in arguments])


def run(*arguments: object) -> str:
    result = call(*arguments)
    if result.exception:
        raise result.exception
    return result.stdout


def fails(*arguments: object) -> str:
    """The message of the user error that a call ends in."""
    result = call(*arguments)
    assert isinstance(result.exception, EntcompError), result.output
    return str(result.exception)


def write_set(folder: Path, each: int) -> None:
    folder.mkdir(parents=True)
    tables: dict[str, list[str]] = {"wav.scp": [], "utt2spk": [], "text": []}
    for name, pitch in PITCHES.items():
        for number in range(each):
            utt_id = f"{name}_{number}"
            soundfile.write(folder / f"{utt_id}.wav", tone(1.1 + 0.1 * number, pitch), 16000)
            tables["wav.scp"].append(f"{utt_id} {folder / utt_id}.wav\n")
            tables["utt2spk"].append(f"{utt_id} {name}\n")
            tables["text"].append(f"{utt_id} hello there\n")
    for table, lines in tables.items():
        (folder / table).write_text("".join(lines))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """DATA, EXP with units, two segmentations and a trained model, and configs."""
    root = tmp_path_factory.mktemp("vc")
    for name, each in (("train", 3), ("dev", 2), ("test", 2)):
        write_set(root / "data" / name, each)
    (root / "vc.yaml").write_text(yaml.safe_dump(CONFIG))
    (root / "vocoder.yaml").write_text(yaml.safe_dump(VOCODER))
    data, exp = root / "data", root / "exp"
    run("learn-kmeans", data, exp, "--extractor", "mfcc", "--num-clusters", 8, "--nj", 1)
    run("dump-units", data, exp, "--nj", 1)
    run("segment", data, exp, "--criterion", "fixed", "--window", 4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(speaker, "SpeakerEncoder", PitchEncoder)
        run("train-vc", data, exp, "--segmentation", "fixed4", "--config", root / "vc.yaml")
    return root


def samples(path: Path) -> np.ndarray:
    waveform, rate = soundfile.read(path, dtype="float32")
    assert rate == 22050
    return waveform


def loudness(waveform: np.ndarray) -> float:
    return math.sqrt(np.mean(np.square(waveform, dtype=np.float64)))


def test_a_whole_training_is_not_repeated(world: Path) -> None:
    folder = world / "exp" / "vc" / "fixed4"
    before = (folder / "model.safetensors").stat().st_mtime_ns
    output = run(
        "train-vc", world / "data", world / "exp", "--segmentation", "fixed4",
        "--config", world / "vc.yaml",
    )  # fmt: skip
    assert "voices complete, skipped" in output and "step 2, dev flow" in output
    assert (folder / "model.safetensors").stat().st_mtime_ns == before
    assert not list(folder.glob(".*.jsonl"))
    assert read_json(folder / "task.json")["segments"] == "fixed4"


@pytest.mark.parametrize("segments", ["raw", "dedup"])
def test_plain_streams_train_without_a_segmentation(world: Path, segments: str) -> None:
    output = run(
        "train-vc", world / "data", world / "exp", "--segmentation", segments, "--layout", "repeat",
        "--config", world / "vc.yaml", "--max-steps", 1,
    )  # fmt: skip
    assert f"vc/{segments}_repeat: step 1" in output
    config = yaml.safe_load((world / "exp/vc" / f"{segments}_repeat" / "config.yaml").read_text())
    assert config["layout"] == "repeat" and config["local"]["pooling"] == "max"
    assert config["merge_runs"] == (segments == "dedup")


def test_voices_are_written_once_by_trainings_side_by_side(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trainings of two streams found no voices, and both wrote the same archive."""
    heard = []
    both_asked = threading.Barrier(2)

    class Listening(PitchEncoder):
        def embed(self, waveform: np.ndarray) -> np.ndarray:
            heard.append(len(waveform))
            return super().embed(waveform)

    def write(_: int) -> str | None:
        both_asked.wait()
        return speaker.write_embeddings(data_set, tmp_path, SkippedUtterances(False))

    monkeypatch.setattr(speaker, "SpeakerEncoder", Listening)
    (data_set,) = find_sets(world / "data", "test")
    with ThreadPoolExecutor(2) as pool:
        made = list(pool.map(write, range(2)))
    assert sorted(map(str, made)) == ["4 voices, 0 utterances with too little speech", "None"]
    assert len(heard) == 4


def behind_pipes(world: Path, tmp_path: Path, set_name: str) -> tuple[Path, Path]:
    """DATA, where a set's recordings come from commands; and the file that these touch."""
    data, ran = tmp_path / "data", tmp_path / "ran"
    shutil.copytree(world / "data", data)
    table = data / set_name / "wav.scp"
    rows = (line.split() for line in table.read_text().splitlines())
    table.write_text("".join(f"{utt} touch {ran}; cat {wav} |\n" for utt, wav in rows))
    return data, ran


def test_train_vc_ran_shell_commands_without_allow_pipes_once_there_were_voices(
    world: Path, tmp_path: Path
) -> None:
    """What made the voices refused commands, and nothing else did."""
    data, ran = behind_pipes(world, tmp_path, "train")
    exp = tmp_path / "exp"
    shutil.copytree(world / "exp" / "units", exp / "units")
    train = ["train-vc", data, exp, "--segments", "raw", "--config", world / "vc.yaml"]
    train += ["--max-steps", 1]
    assert "pass --allow-pipes if you trust it" in fails(*train)
    for one in find_sets(data, "train,dev"):
        folder = exp / "speaker" / one.name
        speaker.write_embeddings(one, folder, SkippedUtterances(False), allow_pipes=True)
    ran.unlink()
    assert "pass --allow-pipes if you trust it" in fails(*train)
    assert not ran.exists() and not list(exp.rglob("model.safetensors"))
    assert "step 1" in run(*train, "--allow-pipes") and ran.exists()


def test_train_vocoder_runs_shell_commands_with_allow_pipes_only(
    world: Path, tmp_path: Path
) -> None:
    data, ran = behind_pipes(world, tmp_path, "dev")
    train = ["train-vocoder", data, tmp_path / "exp", "--config", world / "vocoder.yaml"]
    assert "pass --allow-pipes if you trust it" in fails(*train)
    assert not ran.exists()
    assert "step 1" in run(*train, "--allow-pipes") and ran.exists()


@pytest.mark.parametrize(
    ("train", "config"),
    [(["train-vc", "--segmentation", "raw"], "vc.yaml"), (["train-vocoder"], "vocoder.yaml")],
)
def test_trainings_of_voices_died_of_a_bad_recording_they_did_not_name(
    world: Path, tmp_path: Path, train: list[str], config: str
) -> None:
    """In the middle, where it was first drawn; and they knew no --skip-bad."""
    data, exp = tmp_path / "data", tmp_path / "exp"
    shutil.copytree(world / "data", data)
    shutil.copytree(world / "exp" / "units", exp / "units")
    for table in data.glob("*/wav.scp"):
        table.write_text(table.read_text().replace(str(world), str(tmp_path)))
    bad = data / "train" / "ann_1.wav"
    good = bad.read_bytes()
    bad.write_text("no audio")
    command = [*train, "--config", world / config, "--max-steps", 1, "--tag", "t", data, exp]
    reason = "ann_1.wav: unreadable audio"
    for _ in range(2):
        said = fails(*command)
        assert reason in said and "(utterance ann_1); fix it or pass --skip-bad" in said
        assert not list(exp.glob("*/t/checkpoints"))
    assert "step 1" in run(*command, "--skip-bad")
    (listed,) = exp.glob("*/t/skipped.txt")
    assert listed.read_text().startswith("ann_1 ") and reason in listed.read_text()
    weights = listed.with_name("model.safetensors").stat().st_mtime_ns
    assert "step 1" in run(*command, "--skip-bad")  # complete
    assert listed.with_name("model.safetensors").stat().st_mtime_ns == weights
    assert reason in fails(*command)
    bad.write_bytes(good)
    shutil.rmtree(listed.parent)
    assert "step 1" in run(*command) and not listed.exists()


def test_units_of_an_unknown_utterance_had_no_remedy(world: Path, tmp_path: Path) -> None:
    shutil.copytree(world / "data", tmp_path / "data")
    table = tmp_path / "data" / "train" / "wav.scp"
    table.write_text("".join(table.read_text().splitlines(keepends=True)[1:]))
    shutil.copytree(world / "exp" / "units", tmp_path / "exp" / "units")
    train = ["train-vc", tmp_path / "data", tmp_path / "exp", "--segmentation", "raw"]
    said = fails(*train, "--config", world / "vc.yaml")
    assert "ann_0 has units, but is not here; add it, or give the data dir" in said


def test_training_goes_on_from_another_stream(world: Path) -> None:
    """The first step of the new model is taken from the old one's weights."""
    train = [
        "train-vc", world / "data", world / "exp", "--segmentation", "raw", "--config",
        world / "vc.yaml", "--max-steps", 1, "--seed", 1,
    ]  # fmt: skip
    run(*train, "--pooling", "cale", "--tag", "scratch")
    run(*train, "--pooling", "cale", "--tag", "next", "--init", "vc/fixed4")
    start, nothing, after = (
        read_weights(world / "exp/vc" / tag / "model.safetensors")
        for tag in ("fixed4", "scratch", "next")
    )
    name = "average.local.embedding.weight"
    near, far = ((after[name] - one[name]).abs().max() for one in (start, nothing))
    assert near < 0.01 < far
    assert after["mel_mean"] == start["mel_mean"] and after["updates"] == 1
    another = [*train, "--tag", "another"]
    message = fails(*another, "--init", "vc/fixed4")  # its pooling is max
    assert "the model to start from has another size" in message
    assert "vc/x: no such model; available: " in fails(*another, "--init", "vc/x")


def test_conversion_keeps_length_loudness_and_texts(world: Path, tmp_path: Path) -> None:
    reference = world / "data" / "train" / "bob_2.wav"
    command = [
        "convert", world / "data", world / "exp", "--model", "vc/fixed4", "--sets", "test",
        "--reference", reference, "--output", tmp_path / "out",
    ]  # fmt: skip
    assert "4 utterances to" in run(*command)
    made = tmp_path / "out" / "test"
    assert sorted(read_table(made / "wav.scp")) == ["ann_0", "ann_1", "bob_0", "bob_1"]
    assert set(read_table(made / "utt2ref").values()) == {str(reference)}
    assert (made / "text").read_text() == (world / "data/test/text").read_text()
    for utt_id, path in read_table(made / "wav.scp").items():
        source, rate = soundfile.read(world / "data" / "test" / f"{utt_id}.wav")
        waveform = samples(Path(path))
        assert len(waveform) == len(source) * 22050 // rate
        assert loudness(waveform) == pytest.approx(loudness(source), rel=0.02)
    first = {path.name: path.read_bytes() for path in made.glob("wav/*.wav")}
    assert "test: complete, skipped" in run(*command)
    (made / "stage.json").unlink()  # as if it had been killed
    run(*command)
    assert {path.name: path.read_bytes() for path in made.glob("wav/*.wav")} == first


def test_one_file_is_converted_as_in_its_set(world: Path, tmp_path: Path) -> None:
    """The path from audio to groups in one go is the path by way of files."""
    reference = world / "data" / "train" / "bob_2.wav"
    common = [world / "exp", "--model", "vc/fixed4", "--reference", reference, "-o"]
    run("convert", world / "data", *common, tmp_path / "out", "--sets", "test")
    output = run("convert", world / "data/test/ann_1.wav", *common, tmp_path / "one.wav")
    assert "1 channel at 16000 Hz: resampled to 22050 Hz" in output
    assert "Griffin-Lim" in output
    one = (tmp_path / "one.wav").read_bytes()
    assert one == (tmp_path / "out/test/wav/ann_1.wav").read_bytes()


def test_stereo_and_telephone_speech_are_taken_and_said_so(world: Path, tmp_path: Path) -> None:
    stereo = np.stack([tone(1.2, 100), tone(1.2, 100)], axis=1)[::2]
    soundfile.write(tmp_path / "phone.wav", stereo, 8000)
    output = run(
        "convert", world / "data/test/ann_0.wav", world / "exp", "--model", "vc/fixed4",
        "--reference", tmp_path / "phone.wav", "-o", tmp_path / "one.wav",
    )  # fmt: skip
    assert "2 channels at 8000 Hz: mixed down to mono, resampled to 22050 Hz" in output
    assert "nothing above 4000 Hz" in output
    assert len(samples(tmp_path / "one.wav")) == int(1.1 * 22050)


@pytest.mark.parametrize(("rate", "channels"), [(8000, 2), (48000, 2), (44100, 1), (16000, 6)])
def test_sources_of_any_rate_and_channels(
    world: Path, tmp_path: Path, rate: int, channels: int
) -> None:
    source = resample(tone(1.3, 180), 16000, rate)
    soundfile.write(tmp_path / "in.wav", np.stack([source] * channels, axis=1), rate)
    output = run(
        "convert", tmp_path / "in.wav", world / "exp", "--model", "vc/fixed4", "--reference",
        world / "data/train/bob_2.wav", "-o", tmp_path / "out.wav",
    )  # fmt: skip
    assert f"at {rate} Hz: " in output and ("mixed down" in output) == (channels > 1)
    made = samples(tmp_path / "out.wav")
    assert abs(len(made) / 22050 - len(source) / rate) <= 1 / 22050
    assert loudness(made) == pytest.approx(loudness(source), rel=0.03)


def test_one_channel_of_a_call_is_converted(world: Path, tmp_path: Path) -> None:
    loud, quiet = tone(1.3, 180), 0.1 * tone(1.3, 120)
    soundfile.write(tmp_path / "in.wav", np.stack([loud, quiet], axis=1), 16000)
    call = ["convert", tmp_path / "in.wav", world / "exp", "--model", "vc/fixed4"]
    call += ["--reference", world / "data/train/bob_2.wav", "-o", tmp_path / "out.wav"]
    levels = []
    for number, side in enumerate(("left", "right"), 1):
        output = run(*call, "--channel", side)
        assert f"2 channels at 16000 Hz: channel {number} taken, resampled" in output  # mixed down
        levels.append(loudness(samples(tmp_path / "out.wav")))
    assert levels == pytest.approx([loudness(loud), loudness(quiet)], rel=0.03)


@pytest.mark.parametrize("rate", [8000, 16000, 48000])
def test_the_sampling_rate_that_was_asked_for_comes_out(
    world: Path, tmp_path: Path, rate: int
) -> None:
    source, exp = world / "data/test/ann_0.wav", world / "exp"
    common = ["--model", "vc/fixed4", "--reference", world / "data/train/bob_2.wav"]
    own = ["convert", source, exp, *common, "-o"]
    run(*own, tmp_path / "own.wav")
    output = run(*own, tmp_path / "other.wav", "--sample-rate", rate)
    assert f" samples at {rate} Hz, " in output
    found, found_rate = soundfile.read(tmp_path / "other.wav", dtype="float32")
    assert found_rate == rate
    expected = resample(samples(tmp_path / "own.wav"), 22050, rate)
    np.testing.assert_allclose(found, expected, atol=1e-3)
    out = tmp_path / "out"
    of_set = ["convert", world / "data", exp, *common, "--sets", "test", "-o", out]
    run(*of_set, "--sample-rate", rate)
    assert soundfile.info(out / "test/wav/ann_0.wav").samplerate == rate
    assert "complete, skipped" in run(*of_set, "--sample-rate", rate)
    assert "complete, skipped" not in run(*of_set)
    assert soundfile.info(out / "test/wav/ann_0.wav").samplerate == 22050


def test_recordings_are_converted_in_one_call(world: Path, tmp_path: Path) -> None:
    """A folder of them, each as alone; a broken one is named at the end, the others are there."""
    (tmp_path / "broken.wav").write_text("no audio")
    wavs = [world / "data/test" / f"{name}.wav" for name in ("ann_0", "bob_1")]
    common = ["--model", "vc/fixed4", "--reference", world / "data/train/bob_2.wav", "-o"]
    for wav in wavs:
        run("convert", wav, world / "exp", *common, tmp_path / f"{wav.stem}.wav")
    many = tmp_path / "many"
    message = fails(
        "convert", wavs[0], tmp_path / "broken.wav", wavs[1], world / "exp", *common, many
    )
    assert f"1 of 3 recordings failed: {tmp_path / 'broken.wav'}" in message
    assert sorted(one.name for one in many.iterdir()) == ["ann_0.wav", "bob_1.wav"]
    for wav in wavs:
        assert (many / wav.name).read_bytes() == (tmp_path / wav.name).read_bytes()
    taken = fails("convert", *wavs, world / "exp", *common, tmp_path / "ann_0.wav")
    assert "is a file; name a folder" in taken
    mixed = fails("convert", wavs[0], world / "data", world / "exp", *common, many)
    assert "convert one data dir at a time, without recordings" in mixed
    mistyped = fails("convert", wavs[0], world / "expp", *common, many)
    assert f"{world / 'expp'}: no such file or folder" in mistyped, "it was taken for a recording"


def test_a_table_gives_each_utterance_its_reference(world: Path, tmp_path: Path) -> None:
    table = tmp_path / "references.scp"
    wav = {name: world / "data/train" / f"{name}_2.wav" for name in PITCHES}
    rows = {"ann_0": "bob", "ann_1": "bob", "bob_0": "ann"}
    table.write_text("".join(f"{utt_id} {wav[name]}\n" for utt_id, name in rows.items()))
    command = [
        "convert", world / "data", world / "exp", "--model", "vc/fixed4", "--sets", "test",
        "--reference", table, "--output", tmp_path / "out",
    ]  # fmt: skip
    assert "no reference for bob_1; add a line" in fails(*command)
    assert "3 utterances to" in run(*command, "--skip-bad")
    used = read_table(tmp_path / "out/test/utt2ref")
    assert used == {utt_id: str(wav[name]) for utt_id, name in rows.items()}


def test_a_changed_recording_of_a_table_was_not_heard_again(world: Path, tmp_path: Path) -> None:
    """Its conversions were complete, and so were their scores."""
    table, voice, out = tmp_path / "references", tmp_path / "voice.wav", tmp_path / "out"
    utt_ids = [f"{name}_{number}" for name in PITCHES for number in range(2)]
    table.write_text("".join(f"{utt_id} {voice}\n" for utt_id in utt_ids))
    convert = [
        "convert", world / "data", world / "exp", "--model", "vc/fixed4", "--sets", "test",
        "--reference", table, "--output", out,
    ]  # fmt: skip
    score = ["score-vc", world / "data", world / "exp", "--sets", "test", "--asr", "none"]
    score += ["--converted", out]
    similarities = []
    for name in PITCHES:
        shutil.copy(world / "data/train" / f"{name}_2.wav", voice)
        assert "4 utterances to" in run(*convert)
        assert "complete, skipped" in run(*convert)
        run(*score)
        scores = read_json(world / "exp/vc/scores/test/source.json")["outputs"]
        similarities.append(scores["ann_0"]["similarity_reference"])
    assert similarities[0] > similarities[1]


def test_bad_references(world: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "short.wav", tone(0.5, 100), 16000)
    soundfile.write(tmp_path / "silence.wav", np.zeros(32000), 16000)
    (tmp_path / "text.wav").write_text("no audio")
    for name, message in {
        "short.wav": "short.wav: 0.50 s are too short",
        "silence.wav": "silence.wav: 0.00 s of speech",
        "text.wav": "text.wav: unreadable audio",
        "none.wav": "none.wav: no such file",
    }.items():
        said = fails(
            "convert", world / "data/test/ann_0.wav", world / "exp", "--model", "vc/fixed4",
            "--reference", tmp_path / name, "-o", tmp_path / "one.wav",
        )  # fmt: skip
        assert message in said
        assert not (tmp_path / "one.wav").exists()


def test_mistakes_in_the_call(world: Path, tmp_path: Path) -> None:
    data, exp = world / "data", world / "exp"
    reference = data / "train" / "bob_2.wav"
    convert = ["convert", data / "test/ann_0.wav", exp, "--reference", reference]
    assert "-o OUT.wav" in fails(*convert, "--model", "vc/fixed4")
    assert "vc/x: no such model; available: " in fails(*convert, "--model", "vc/x", "-o", "x.wav")
    voice = ["--model", "vc/fixed4", "--vocoder", tmp_path / "g", "-o", tmp_path / "x.wav"]
    assert "no such vocoder" in fails(*convert, *voice)
    train = ["train-vc", data, exp, "--config", world / "vc.yaml"]
    assert "no such segmentation; available: raw, dedup, fixed4" in fails(
        *train, "--segmentation", "x"
    )
    layout = fails(*train, "--segmentation", "fixed4", "--layout", "spread")
    assert "key 'layout'" in layout
    lonely = tmp_path / "data"
    write_set(lonely / "train", 3)
    speakers = (lonely / "train/utt2spk").read_text().split("\n")
    (lonely / "train/utt2spk").write_text(
        "\n".join(f"{r} {r}" if r else "" for r in (x.split(" ")[0] for x in speakers))
    )
    message = fails("train-vc", lonely, exp, "--segmentation", "raw", "--dev-sets", "train")
    assert "no speaker has two utterances" in message


def test_a_set_without_the_models_segmentation_was_a_traceback(world: Path, tmp_path: Path) -> None:
    exp = tmp_path / "exp"
    shutil.copytree(world / "exp", exp)
    call = ["convert", world / "data", exp, "--model", "vc/fixed4", "--sets", "test"]
    call += ["--reference", world / "data/train/bob_2.wav"]
    shutil.rmtree(exp / "segments/fixed4/test")
    assert "fixed4/test/groups.scp: no such file; run segment on test first" in fails(*call)
    shutil.rmtree(exp / "units/test")
    assert "units/test/units.scp: no such file; run dump-units on test" in fails(*call)


def test_scores_stand_beside_source_and_resynthesis(world: Path, tmp_path: Path) -> None:
    data, exp = world / "data", world / "exp"
    reference = data / "train" / "bob_2.wav"
    run("convert", data, exp, "--model", "vc/fixed4", "--sets", "test", "--reference", reference)
    score = ["score-vc", data, exp, "--sets", "test", "--asr", "none"]
    table = run(*score)
    stored = read_json(exp / "vc/scores/test/scores.json")
    assert list(stored["systems"]) == ["fixed4", "resynthesis", "source"]
    assert stored["models"]["vocoder"].startswith("Griffin-Lim")
    source = stored["systems"]["source"]
    assert source["similarity_source"]["mean"] == pytest.approx(1.0, abs=1e-4)
    copy = stored["systems"]["resynthesis"]
    assert 0.8 < copy["similarity_source"]["mean"] < 1.0
    assert "\n| resynthesis " in table and "- vocoder: Griffin-Lim" in table
    assert "- similarity: pitch (not independent: the model is conditioned on it)\n" in table
    assert "| closer by F0 median (%) |" in table and "| spectrum to reference (dB) |" in table
    assert source["closer_f0_median"]["percent"] == 0.0  # nobody is nearer to itself than itself
    assert stored["systems"]["resynthesis"]["ltas_reference"]["mean"] > 0
    assert "- 4 utterances; " in table
    model = stored["systems"]["fixed4"]
    assert model["segments"] == "fixed4" and model["rate"] == pytest.approx(25, rel=0.1)
    copies = read_table(exp / "vc/scores/test/resynthesis/wav.scp")
    assert sorted(copies) == ["ann_0", "ann_1", "bob_0", "bob_1"]
    assert len(samples(Path(copies["ann_0"]))) == int(1.1 * 22050)
    assert (exp / "vc/scores/test/table.md").read_text() in table + "\n"
    before = (exp / "vc/scores/test/fixed4.json").read_bytes()
    assert run(*score) == table
    assert (exp / "vc/scores/test/fixed4.json").read_bytes() == before
    assert "nothing converted of dev" in fails(
        "score-vc", data, exp, "--sets", "dev", "--asr", "none"
    )


def test_the_report_took_paths_from_the_working_directory(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Recordings that had been converted with a relative EXP were found from there only."""
    data = world / "data"
    shutil.copytree(world / "exp", tmp_path / "exp")
    shutil.copy(data / "train" / "bob_2.wav", tmp_path)
    monkeypatch.chdir(tmp_path)
    call = ["convert", data, "exp", "--model", "vc/fixed4", "--sets", "test"]
    run(*call, "--reference", "bob_2.wav")
    run("score-vc", data, "exp", "--sets", "test", "--asr", "none", "--metric", "none")
    monkeypatch.chdir(world)
    run("report", data, tmp_path / "exp", "--set", "test")
    assert any((tmp_path / "exp/report/conversion").rglob("fixed4.flac"))


def test_a_trained_recogniser_and_utmos_judge(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The recogniser was trained in EXP, on the units that it hears in converted speech."""

    class Toy(torch.nn.Module):
        def forward(self, waveform: torch.Tensor) -> torch.Tensor:
            return waveform.float().abs().mean(dim=1) / 2**15 + 3

    data, exp = world / "data", world / "exp"
    torch.jit.script(Toy()).save(tmp_path / "utmos.jit")
    monkeypatch.setattr(mos, "mos_predictors", lambda utmos: [mos.Utmos(utmos)])
    (tmp_path / "asr.yaml").write_text(yaml.safe_dump(RECOGNISER))
    run("train-asr", data, exp, "--segmentation", "fixed4", "--config", tmp_path / "asr.yaml")
    reference = data / "train" / "bob_2.wav"
    run("convert", data, exp, "--model", "vc/fixed4", "--sets", "test", "--reference", reference)
    score = ["score-vc", data, exp, "--sets", "test", "--utmos", tmp_path / "utmos.jit"]
    table = run(*score, "--asr", "asr/fixed4")
    stored = read_json(exp / "vc/scores/test/scores.json")
    assert stored["models"]["fixed4"].startswith("asr/fixed4 ")
    assert "(not independent: it reads the units that the model speaks)" in table
    assert stored["models"]["utmos"] == "UTMOS utmos.jit"
    for name in ("source", "resynthesis", "fixed4"):
        rows = read_json(exp / f"vc/scores/test/{name}.json")["outputs"]
        assert all(isinstance(one["text_fixed4"], str) for one in rows.values())
        assert 3 < stored["systems"][name]["utmos"]["mean"] < 4
        assert stored["systems"][name]["wer_fixed4"]["reference_length"] == 8
    header = [cell.strip() for cell in table.splitlines()[0].strip("|").split("|")]
    assert header[2:4] == ["WER (%), fixed4", "CER (%), fixed4"] and header[-1] == "UTMOS"
    few = run(*score, "--asr", "none", "--metric", "spectrum")
    assert "closer by spectrum (%)" in few and "F0" not in few
    assert "F0" not in run(*score, "--asr", "none", "--metric", "none")
    assert "voice metric x: unknown" in fails(*score, "--asr", "none", "--metric", "x")
    assert "asr/x" in fails(*score, "--asr", "asr/x")
    assert "--asr whisper: one of moonshine, pocketsphinx, asr/TAG, none" in fails(
        *score, "--asr", "whisper"
    )


def test_a_trained_vocoder_converts_and_must_be_named_in_scoring(
    world: Path, tmp_path: Path
) -> None:
    data, exp = world / "data", world / "exp"
    output = run("train-vocoder", data, exp, "--config", world / "vocoder.yaml")
    assert "vocoder/hifigan: step 1, dev log mel distance" in output
    reference = data / "train" / "bob_2.wav"
    vocoder = ["--vocoder", exp / "vocoder" / "hifigan"]
    output = run(
        "convert", data, exp, "--model", "vc/fixed4", "--sets", "test", "--reference", reference,
        "--output", tmp_path / "out", *vocoder,
    )  # fmt: skip
    assert "HiFi-GAN vocoder/hifigan" in output
    score = ["score-vc", data, exp, "--sets", "test", "--asr", "none"]
    score += ["--converted", tmp_path / "out"]
    assert "made with another vocoder; pass the --vocoder" in fails(*score)
    run(*score, *vocoder)
    stored = json.loads((exp / "vc/scores/test/scores.json").read_text())
    assert stored["models"]["vocoder"] == "HiFi-GAN vocoder/hifigan"
    assert set(stored["systems"]) == {"source", "resynthesis", "out"}


CLICKS = '''
import torch

from entcomp.tasks.vc.vocoder import VocoderKind


class Clicks:
    """A click a frame, as loud as the frame."""

    name = "clicks"
    sha256 = ""

    def __init__(self, gain, mel):
        self.gain, self.hop = gain, mel.hop_length

    def __call__(self, mel_MN):
        waveform_MH = torch.zeros(len(mel_MN), self.hop)
        waveform_MH[:, 0] = self.gain * mel_MN.exp().mean(dim=1)
        return waveform_MH.flatten()


def load(path, mel):
    return Clicks(1.0 if path is None else float(path.read_text()), mel)


CLICKS = VocoderKind(
    help="a click a frame",
    load=load,
    recognises=lambda path: path.suffix == ".clicks",
)
'''
# The stand-in for Resemblyzer, in a process of its own.
MAIN = """
from test_vc_cli import PitchEncoder, app
from entcomp.evaluation.voices import speaker
speaker.SpeakerEncoder = PitchEncoder
app()
"""


def test_a_vocoder_of_one_file_in_a_package_of_its_own(world: Path, tmp_path: Path) -> None:
    """By its name, and by a checkpoint that it recognises."""
    install_package(tmp_path / "site", "clicks", CLICKS, "entcomp.vocoders", "clicks = CLICKS")
    environment = environment_with(tmp_path / "site")
    environment["PYTHONPATH"] += ":" + ":".join(filter(None, sys.path))
    (tmp_path / "quiet.clicks").write_text("0.25")

    def entcomp(*arguments: object) -> str:
        command = [sys.executable, "-c", MAIN, *map(str, arguments)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return done.stdout

    assert "clicks: a click a frame" in entcomp("convert", "--help")
    source, reference = (world / "data" / name for name in ("test/ann_0.wav", "train/bob_2.wav"))
    for name in ("clicks", tmp_path / "quiet.clicks"):
        output = tmp_path / f"{Path(name).stem}.wav"
        shown = entcomp(
            "convert", source, world / "exp", "--model", "vc/fixed4", "--reference", reference,
            "--output", output, "--vocoder", name,
        )  # fmt: skip
        assert shown.endswith("Hz, clicks\n")
    loud, quiet = samples(tmp_path / "clicks.wav"), samples(tmp_path / "quiet.wav")
    assert np.abs(loud[::128]).max() > 0 and not np.delete(loud, np.s_[::128]).any()
    assert len(loud) == len(quiet)
