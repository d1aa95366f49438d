from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from babbling import RATE, babble
from kills import killed_at
from recordings import write_scp

from entcomp.artifacts.experiment import Experiment
from entcomp.audio.read import read_utterance
from entcomp.kaldi.ark import iter_vectors
from entcomp.kaldi.datadir import DataDir
from entcomp.kaldi.table import read_table
from entcomp.units.extractor import extract
from entcomp.units.extractors import load_extractor

PROGRAM = Path(sys.executable).with_name("entcomp")
FILES = ("units.ark", "units.scp", "stage.json")


def units_of(exp: Path, name: str = "train") -> dict[str, list[int]]:
    vectors = iter_vectors(exp / "units" / name / "units.scp")
    return {utt_id: vector.tolist() for utt_id, vector in vectors}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_what_it_leaves(cli, data, exp):
    outcome = cli("dump-units", data, exp)
    assert outcome.code == 0
    dev, train = outcome.out.splitlines()
    assert dev.startswith("dev: 2 utterances, 296 units, 0.00 h, ")
    assert train.startswith("train: 6 utterances, 1038 units, 0.00 h, ")
    assert " x real time, " in train
    assert train.endswith(" Hz without repeats, 0 utterances skipped")
    units = units_of(exp)
    assert {utt_id: len(vector) for utt_id, vector in units.items()} == {
        f"utt{number}": 98 + 30 * number for number in range(6)
    }
    assert {unit for vector in units.values() for unit in vector} <= set(range(20))
    assert set(contents(exp / "units/train")) == set(FILES)


def test_units_are_the_nearest_centroids(cli, data, exp):
    cli("dump-units", data, exp)
    mfcc = load_extractor("mfcc")
    with np.load(exp / "units/kmeans.npz") as stored:
        centroids = stored["centroids"].astype(float)
    for utterance in DataDir("train", data / "train").utterances():
        features = extract(mfcc, read_utterance(utterance, RATE), "")
        distances = np.linalg.norm(features[:, None] - centroids, axis=2)
        assert units_of(exp)[utterance.utt_id] == distances.argmin(axis=1).tolist()


def test_whole_sets_are_skipped(cli, data, exp):
    cli("dump-units", data, exp)
    before = (exp / "units/train/units.ark").stat().st_mtime_ns
    assert cli("dump-units", data, exp).out == "dev: complete, skipped\ntrain: complete, skipped\n"
    assert (exp / "units/train/units.ark").stat().st_mtime_ns == before


@pytest.mark.parametrize("change", ["recording", "wav.scp", "codebook"])
def test_what_has_changed_is_done_again(cli, data, exp, change):
    cli("dump-units", data, exp)
    if change == "recording":
        soundfile.write(data / "train/utt0.wav", babble(3, 9), RATE)
    elif change == "wav.scp":
        write_scp(data / "train", {"utt0": "utt0.wav"})
    else:
        learn = ("learn-kmeans", "--extractor", "mfcc", "--num-clusters", 20, "--seed", 5)
        cli(*learn, "--sets", "train", data, exp)
    dev, train = cli("dump-units", data, exp).out.splitlines()
    assert ("skipped" in dev.split(", ")) is (change != "codebook")
    assert " units, " in train
    assert len(units_of(exp)["utt0"]) == (298 if change == "recording" else 98)


@pytest.mark.parametrize("extractor", ["mfcc", "moonshine"])
def test_units_depend_on_no_other_utterance_and_no_number_of_jobs(
    cli, data, tmp_path, extractor, request
):
    if extractor == "moonshine":
        request.getfixturevalue("moonshine_encoder")
    learn = ("learn-kmeans", "--extractor", extractor, "--num-clusters", 20, "--sets", "train")
    cli(*learn, data, tmp_path / "exp")
    found = []
    for nj in (1, 3):
        cli("dump-units", "--nj", nj, data, tmp_path / "exp")
        found.append(contents(tmp_path / "exp/units/train"))
        shutil.rmtree(tmp_path / "exp/units/train")
    assert found[0] == found[1]
    cli("dump-units", data, tmp_path / "exp")
    together = units_of(tmp_path / "exp")
    for utt_id in together:
        write_scp(data / "train", {utt_id: f"{utt_id}.wav"})
        cli("dump-units", "--sets", "train", data, tmp_path / "exp")
        assert units_of(tmp_path / "exp") == {utt_id: together[utt_id]}


@pytest.mark.parametrize(
    ("extension", "options"),
    [
        ("flac", {"subtype": "PCM_24"}),
        ("ogg", {"subtype": "VORBIS"}),
        ("opus", {"format": "OGG", "subtype": "OPUS"}),
        ("mp3", {}),
        ("wav", {"subtype": "ULAW"}),
    ],
)
@pytest.mark.parametrize(("rate", "channels"), [(16000, 2), (48000, 1), (8000, 2)])
def test_any_format(cli, data, exp, extension, options, rate, channels):
    samples = np.tile(babble(2, 1)[:: 16000 // rate or 1, None], channels)
    soundfile.write(data / f"dev/x.{extension}", samples, rate, **options)
    write_scp(data / "dev", {"x": f"x.{extension}"})
    assert cli("dump-units", "--sets", "dev", data, exp).code == 0
    units = units_of(exp, "dev")["x"]
    assert len(units) == pytest.approx(100 * len(samples) / rate, abs=16)
    assert len(set(units)) > 1


def test_segments(cli, data, exp):
    cli("dump-units", data, exp)
    whole = units_of(exp, "dev")["b"]
    (data / "dev/segments").write_text("b-1 b 0.5 1.5\nb-2 b 1.5 -1\n")
    assert cli("dump-units", "--sets", "dev", data, exp).code == 0
    parts = units_of(exp, "dev")
    # Differences see two frames further on either side, twice.
    assert parts["b-1"][4:-4] == whole[54:144]
    assert parts["b-2"][4:] == whole[154:]


def test_pipes(cli, data, exp):
    write_scp(data / "dev", {"a": f"cat {data}/dev/a.wav |"})
    message = cli("dump-units", "--sets", "dev", data, exp).message
    assert "is a shell command; pass --allow-pipes if you trust it (utterance a)" in message
    assert cli("dump-units", "--sets", "dev", "--allow-pipes", data, exp).code == 0


def test_long_recordings(cli, data, exp):
    soundfile.write(data / "dev/long.flac", babble(65, 3), RATE)
    write_scp(data / "dev", {"long": "long.flac"})
    cli("dump-units", "--sets", "dev", data, exp)
    assert len(units_of(exp, "dev")["long"]) == 6498


def break_utterance(folder: Path, kind: str) -> str:
    """Make an utterance of ``folder`` a bad one; returns its id."""
    wav = folder / "utt3.wav"
    if kind == "missing":
        wav.unlink()
    elif kind == "empty":
        wav.write_bytes(b"")
    elif kind == "no samples":
        soundfile.write(wav, np.zeros(0), RATE)
    elif kind == "short":
        soundfile.write(wav, np.zeros(399), RATE)
    elif kind == "unreadable":
        wav.write_bytes(os.urandom(2000))
    elif kind == "nan":
        samples = babble(1, 0)
        samples[8000] = np.nan
        soundfile.write(wav, samples, RATE, "FLOAT")
    elif kind == "segment":
        rows = [f"utt{number} utt{number} 0 1\n" for number in range(6)]
        rows[3] = "utt3 utt3 7 8\n"
        (folder / "segments").write_text("".join(rows))
    elif kind == "text":
        (folder / "text").write_text("utt0 one\nutt9 nine\n")
        return "utt9"
    return "utt3"


BAD = {
    "missing": "utt3.wav: no such file",
    "empty": "utt3.wav: unreadable audio",
    "no samples": "utt3.wav: no samples",
    "short": "utt3.wav: wav shorter than a frame (399 samples at 16000 Hz, mfcc needs 400)",
    "unreadable": "utt3.wav: unreadable audio",
    "nan": "utt3.wav: NaN or infinite samples",
    "segment": "utt3.wav: starts at 7.0 s, but the recording ends before",
    "text": "text: no recording in wav.scp or segments",
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_utterance_ends_it_or_is_listed(cli, data, exp, kind):
    utt_id = break_utterance(data / "train", kind)
    message = cli("dump-units", "--sets", "train", data, exp).message
    assert BAD[kind] in message
    assert message.endswith(f"(utterance {utt_id}); fix it or pass --skip-bad")
    assert contents(exp / "units/train") == {}
    outcome = cli("dump-units", "--sets", "train", "--skip-bad", data, exp)
    assert outcome.code == 0
    assert outcome.out.rstrip().endswith(", 1 utterances skipped")
    skipped = read_table(exp / "units/train/skipped.txt")
    assert list(skipped) == [utt_id]
    assert BAD[kind] in skipped[utt_id]
    assert set(units_of(exp)) == {f"utt{number}" for number in range(6)} - {utt_id}


def test_a_mended_utterance_is_dumped_at_the_next_run(cli, data, exp):
    wav = data / "train/utt3.wav"
    whole = wav.read_bytes()
    wav.unlink()
    cli("dump-units", "--sets", "train", "--skip-bad", data, exp)
    wav.write_bytes(whole)
    assert ", 0 utterances" in cli("dump-units", "--sets", "train", "--skip-bad", data, exp).out
    assert "utt3" in units_of(exp)
    assert not (exp / "units/train/skipped.txt").exists()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("a a.wav\na b.wav\n", "wav.scp:2: duplicate id a; keep one of them"),
        ("b b.wav\na a.wav\n", "wav.scp:2: a after b; run LC_ALL=C sort"),
        ("a\n", "wav.scp:1: expected 'key value', got 'a\\n'"),
        ("", "dev: no utterances"),
    ],
)
def test_a_bad_table_ends_it_even_with_skip_bad(cli, data, exp, rows, message):
    (data / "dev/wav.scp").write_text(rows)
    for options in ((), ("--skip-bad",)):
        assert message in cli("dump-units", "--sets", "dev", *options, data, exp).message
    assert not (exp / "units/dev").exists()


def test_without_a_codebook(cli, data, tmp_path):
    message = cli("dump-units", data, tmp_path / "exp").message
    assert message.endswith("units.json: no such file; run learn-kmeans or import-units first")


def test_refuses_a_codebook_that_units_json_does_not_tell_of(cli, data, exp, tmp_path):
    learn = ("learn-kmeans", "--extractor", "mfcc", "--num-clusters", 10)
    cli(*learn, data, tmp_path / "other")
    shutil.copy(tmp_path / "other/units/kmeans.npz", exp / "units/kmeans.npz")
    message = cli("dump-units", data, exp).message
    assert message.endswith("units.json: made with another codebook; rerun learn-kmeans")


def test_refuses_another_checkpoint(cli, data, tmp_path, moonshine_encoder):
    import onnx

    assert cli("learn-kmeans", "--num-clusters", 20, data, tmp_path / "exp").code == 0
    model = onnx.load(moonshine_encoder)
    model.producer_name = "somebody else"
    onnx.save(model, tmp_path / "other.onnx")
    dump = ("dump-units", "--checkpoint", tmp_path / "other.onnx", data, tmp_path / "exp")
    assert "made with another checkpoint of the extractor; pass --checkpoint" in cli(*dump).message


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
@pytest.mark.parametrize("name", ["units.ark", "units.scp", "stage.json"])
def test_full_disk(cli, data, exp, name):
    folder = exp / "units/train"
    folder.mkdir()
    (folder / f".{name}.tmp").symlink_to("/dev/full")
    message = cli("dump-units", "--sets", "train", data, exp).message
    named = name.replace("scp", "ark")
    assert message == f"{folder / named}: No space left on device; free some space and run again"
    assert not (folder / "stage.json").exists()
    assert not list(folder.glob(".*"))
    assert cli("dump-units", "--sets", "train", data, exp).code == 0


def test_a_folder_that_may_not_be_written(cli, data, exp):
    (exp / "units/train").write_text("a file in the way")
    done = cli("dump-units", "--sets", "train", data, exp)
    assert done.code == 1
    assert "units/train: File exists; fix that and run again" in done.err


class TestShards:
    def dump(self, cli, data, exp, count: int, *options: str) -> None:
        for index in range(1, count + 1):
            dump = ("dump-units", "--sets", "train", "--shard", f"{index}/{count}")
            assert cli(*dump, *options, data, exp).code == 0

    @pytest.mark.parametrize("count", [2, 8])
    def test_merged_are_one_run(self, cli, data, exp, tmp_path, count):
        shutil.copytree(exp, tmp_path / "one")
        cli("dump-units", "--sets", "train", data, tmp_path / "one")
        self.dump(cli, data, exp, count)
        merge = ("merge-shards", "units", "--shards", count, "--sets", "train", data, exp)
        assert cli(*merge).out == f"train: 6 utterances of {count} shards merged\n"
        assert units_of(exp) == units_of(tmp_path / "one")
        mark = "units/train/stage.json"
        assert (exp / mark).read_bytes() == (tmp_path / "one" / mark).read_bytes()
        assert "complete, skipped" in cli("dump-units", "--sets", "train", data, exp).out

    def test_skipped_utterances_are_not_lost_ones(self, cli, data, exp):
        for kind in ("missing", "text"):
            break_utterance(data / "train", kind)
        self.dump(cli, data, exp, 3, "--skip-bad")
        merge = ("merge-shards", "units", "--shards", 3, "--sets", "train", data, exp)
        assert cli(*merge).out == "train: 5 utterances of 3 shards merged\n"
        assert set(read_table(exp / "units/train/skipped.txt")) == {"utt3", "utt9"}

    def test_refuses_a_missing_shard(self, cli, data, exp):
        self.dump(cli, data, exp, 3)
        (exp / "units/train/stage.2of3.json").unlink()
        merge = ("merge-shards", "units", "--shards", 3, "--sets", "train", data, exp)
        assert "stage.2of3.json: no such file; run this shard to its end" in cli(*merge).message

    def test_only_groups_have_a_tag(self, cli, data, exp):
        merge = ("merge-shards", "--shards", 3, data, exp)
        assert "groups needs --tag" in cli(*merge[:1], "groups", *merge[1:]).message
        assert "nothing else does" in cli(*merge[:1], "units", "--tag", "x", *merge[1:]).message


class TestKilled:
    """kill -9 at each point, and once more: the bytes of a run that nobody disturbed."""

    def test_ends_with_the_same_bytes(self, cli, data, exp):
        dump = ("dump-units", "--sets", "train", "--nj", 1, data, exp)
        assert cli(*dump).code == 0
        whole = contents(exp / "units/train")
        shutil.rmtree(exp / "units/train")
        point = 1
        while killed_at(point, exp / "units/train", lambda: cli(*dump)):
            left = contents(exp / "units/train")
            assert "stage.json" not in left or left == whole
            assert "units.scp" not in left or left["units.ark"] == whole["units.ark"]
            assert cli(*dump).code == 0
            assert contents(exp / "units/train") == whole
            shutil.rmtree(exp / "units/train")
            point += 1
        assert point > 4


def test_real_speech(cli, prompt_data, tmp_path, moonshine_encoder):
    """Units of who speaks: as many as there are frames, and many of them repeats."""
    shutil.copytree(prompt_data, tmp_path / "data")
    learn = ("learn-kmeans", "--num-clusters", 100, tmp_path / "data", tmp_path / "exp")
    assert cli(*learn).code == 0
    assert cli("dump-units", tmp_path / "data", tmp_path / "exp").code == 0
    exp = Experiment(tmp_path / "exp")
    units = units_of(tmp_path / "exp", "data")
    for utterance in DataDir("data", tmp_path / "data").utterances():
        samples = len(read_utterance(utterance, 16000))
        assert len(units[utterance.utt_id]) == (samples - 895) // 384 + 1
    frames = sum(map(len, units.values()))
    runs = sum(1 + np.count_nonzero(np.diff(vector)) for vector in units.values())
    assert 10 < runs / frames * exp.units_info().frame_rate < 30
    counts = np.bincount(np.concatenate(list(units.values())), minlength=100)
    assert np.count_nonzero(counts) > 90


def test_units_of_another_codebook_were_read_after_a_run_that_failed(cli, data, exp, tmp_path):
    """They lay there without a manifest, as another toolkit's do, whose codebook nobody knows."""
    cli("dump-units", "--sets", "train", data, exp)
    learn = ("learn-kmeans", "--extractor", "mfcc", "--num-clusters", 20, "--seed", 5)
    cli(*learn, "--sets", "train", data, exp)
    (data / "train/wav.scp").write_text("utt9 missing.wav\n")
    assert "no such file" in cli("dump-units", "--sets", "train", data, exp).message
    assert "train: not complete" in cli("info", exp).out
    export = cli("export-units", "--format", "text", "--sets", "train", data, exp, tmp_path)
    assert "units.scp: no such file; run dump-units" in export.message


def test_a_shard_that_ran_again_left_the_joined_set_of_before(cli, data, exp):
    for shard in ("1/2", "2/2"):
        cli("dump-units", "--sets", "train", "--shard", shard, data, exp)
    merge = ("merge-shards", "units", "--shards", 2, "--sets", "train", data, exp)
    assert cli(*merge).code == 0
    write_scp(data / "train", {f"utt{number}": "utt0.wav" for number in range(6)})
    assert cli("dump-units", "--sets", "train", "--shard", "1/2", data, exp).code == 0
    assert not {"stage.json", "units.scp"} & set(contents(exp / "units/train"))
    assert "inputs or options differ" in cli(*merge).message
    assert cli("dump-units", "--sets", "train", "--shard", "2/2", data, exp).code == 0
    assert cli(*merge).code == 0
    assert len({tuple(units) for units in units_of(exp).values()}) == 1


def test_what_was_deleted_was_complete(cli, data, exp):
    """The remedy of a damaged archive is to delete it and run its stage again."""
    cli("dump-units", "--sets", "train", data, exp)
    folder = exp / "units/train"
    before = contents(folder)
    (folder / "units.ark").write_bytes(before["units.ark"][:-5])
    message = cli("export-units", "--format", "text", "--sets", "train", data, exp, data).message
    assert message.startswith(f"{folder}/units.ark: utt5: not a Kaldi vector")
    assert f"delete {folder}/units.scp and rerun its stage" in message
    (folder / "units.scp").unlink()
    assert "6 utterances" in cli("dump-units", "--sets", "train", data, exp).out
    assert contents(folder) == before


def test_commands_that_are_allowed_later(cli, data, exp):
    (data / "dev/wav.scp").write_text(f"a cat {data}/dev/a.wav |\nb {data}/dev/b.wav\n")
    dump = ("dump-units", "--sets", "dev", "--skip-bad", data, exp)
    assert "1 utterances skipped" in cli(*dump).out
    assert "dev: 2 utterances" in cli(*dump, "--allow-pipes").out


def test_a_link_to_a_set_has_its_own_name(cli, data, exp):
    (data / "current").symlink_to("train")
    cli("dump-units", data / "current", exp)
    assert len(units_of(exp, "current")) == 6
