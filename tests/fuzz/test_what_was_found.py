"""Faults that the damaged files have shown, each by the smallest file that has it."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fake_experiment import make_fake, write_vectors
from kinds_of_models import (
    make_checkpoint,
    make_hifigan,
    make_lm,
    make_text_model,
    read_checkpoint,
    read_hifigan,
    read_onnx,
    read_text_model,
    read_weights,
)

from entcomp.artifacts.calibration import Calibration
from entcomp.artifacts.packing import open_model
from entcomp.config import Config, load_config
from entcomp.errors import EntcompError
from entcomp.files import read_json
from entcomp.formats.units import read_units, tsv_ids
from entcomp.kaldi.datadir import DataDir
from entcomp.segmentation.request import Request
from entcomp.segmentation.rule import Rule
from entcomp.segmentation.stage import segment_sets
from entcomp.skipped import SkippedUtterances
from entcomp.tasks.text.vocabulary import Vocabulary
from entcomp.units.codebook import Codebook


def refused(match: str) -> Any:
    return pytest.raises(EntcompError, match=match)


def test_rows_of_a_tsv_that_a_carriage_return_divides_were_one(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_bytes(b"/\na.wav\t1\rb.wav\t1\nc.wav\t1\n")
    with refused(r"a\.tsv: a carriage return within a line"):
        tsv_ids([tmp_path / "a.tsv"])
    (tmp_path / "a.tsv").write_bytes(b"/\r\na.wav\t1\r\nc.wav\t1\r\n")
    assert tsv_ids([tmp_path / "a.tsv"]) == [["a", "c"]]


@pytest.mark.parametrize("times", ["0 nan", "nan 1", "nan -1", "0 inf", "inf -1", "-1 2", "2 1"])
def test_segments_whose_times_are_no_numbers(tmp_path: Path, times: str) -> None:
    (tmp_path / "wav.scp").write_text("a a.wav\n")
    (tmp_path / "segments").write_text(f"a-1 a {times}\n")
    with refused("segments: a-1: from .* s; fix it"):
        list(DataDir("dev", tmp_path).utterances())


def test_half_a_character_in_json(tmp_path: Path) -> None:
    """It was read, and then could not be written into the next file."""
    (tmp_path / "a.json").write_text('{"a": "\\ud800"}')
    with refused(r"a\.json: not JSON"):
        read_json(tmp_path / "a.json")
    (tmp_path / "a.json").write_text('{"a": "\\ud83d\\ude00"}')
    assert read_json(tmp_path / "a.json") == {"a": "\N{GRINNING FACE}"}


def test_jsonl_of_endless_depth(tmp_path: Path) -> None:
    (tmp_path / "part").write_text("[" * 100_000)
    with refused(r"part:1: not a line of --format jsonl"):
        list(read_units([tmp_path / "part"], "jsonl", 50, SkippedUtterances(False)))


def test_all_utterances_of_a_set_are_bad(tmp_path: Path) -> None:
    """It was a division by zero, after all the work."""
    fake = make_fake(tmp_path, {"dev": 3}, length=20)
    vectors = {utt_id: np.zeros(0, np.int32) for utt_id in fake.units["dev"]}
    write_vectors(fake.experiment.units("dev"), "units", vectors, "c0de")
    request = Request("fixed", window=2)
    lines = list(segment_sets(fake.experiment, ["dev"], request, skip_bad=True))
    assert lines[-1].startswith("dev: no units")
    assert (
        len((fake.experiment.segments("fixed2") / "dev" / "skipped.txt").read_text().splitlines())
        == 3
    )


def test_calibration_sets_without_entropies(tmp_path: Path) -> None:
    fake = make_fake(tmp_path, {"dev": 3}, length=20)
    (fake.experiment.entropy("dev") / "entropy.scp").write_text("")
    with refused(r"calibration\.json: its sets hold no entropies"):
        list(segment_sets(fake.experiment, ["dev"], Request("peak", target_rate=9.0)))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("mean", "x"), ("mean", None), ("std", [1.0]), ("std", -1.0), ("units", 10**400)),
        *(("sets", []), ("sets", 3), ("entropy_quantiles", []), ("frame_shift", 0)),
        *(("rise_quantiles", [3.0, 1.0]), ("entropy_quantiles", "abc"), ("num_clusters", -500)),
    ],
)
def test_a_calibration_of_other_values(tmp_path: Path, key: str, value: Any) -> None:
    path = make_fake(tmp_path, {"dev": 3}, length=20).experiment.calibration()
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    with refused(r"calibration\.json: .*; rerun score-entropy"):
        Calibration.read(path)


@pytest.mark.parametrize(
    "values",
    [
        {"criterion": "global"},
        {"criterion": "global", "theta_g": "2"},
        {"criterion": "global", "theta_g": float("nan")},
        {"criterion": "fixed", "window": 0},
        {"criterion": "fixed"},
        {"criterion": "random", "groups_per_unit": 0.3},
        {"criterion": "bidirectional", "theta_z": 1.0, "moments": [[1.0, 1.0]]},
        {"criterion": "bidirectional", "theta_z": 1.0, "moments": "ab"},
        {"criterion": "dedup", "min_length": 0},
        {"criterion": "dedup", "max_length": -1},
        {"criterion": 3},
    ],
)
def test_a_rule_that_its_criterion_cannot_work_by(values: dict[str, Any]) -> None:
    """It was a traceback, of `tokenize` or of whatever came to read threshold.json."""
    with refused(r"^threshold\.json: .*; rerun segment"):
        Rule.from_json(values)


@pytest.mark.parametrize(
    "arrays",
    [
        {"centroids": np.zeros((3, 0), np.float32)},
        {"centroids": np.zeros(3, np.float32)},
        {"centroids": np.full((2, 2), np.nan, np.float32)},
        {"centroids": np.array([["a", "b"]])},
        {"centroids": np.eye(3, dtype=np.float32), "whitening": np.eye(2, dtype=np.float32)},
    ],
)
def test_a_codebook_of_no_centroids(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    np.savez(tmp_path / "kmeans.npz", **arrays)
    with refused(r"kmeans\.npz: not a codebook"):
        Codebook.read(tmp_path / "kmeans.npz")


@pytest.mark.parametrize("member", [b"", b"text", b"\x93NUMPY\x01\x00\x06\x00{'a':("])
def test_a_codebook_whose_arrays_are_none(tmp_path: Path, member: bytes) -> None:
    with zipfile.ZipFile(tmp_path / "kmeans.npz", "w") as archive:
        archive.writestr("centroids.npy", member)
    with refused(r"kmeans\.npz: not a codebook"):
        Codebook.read(tmp_path / "kmeans.npz")


def test_a_codebook_that_asks_for_a_petabyte(tmp_path: Path) -> None:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        stream, {"descr": "<f4", "fortran_order": False, "shape": (1 << 40, 256)}
    )
    with zipfile.ZipFile(tmp_path / "kmeans.npz", "w") as archive:
        archive.writestr("centroids.npy", stream.getvalue())
    with refused(r"kmeans\.npz: not a codebook"):
        Codebook.read(tmp_path / "kmeans.npz")


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"key: \xff\n", "not UTF-8"),
        (b"key: " + b"[" * 10_000, "not YAML"),
        (b"3: 4\n", "key 3 is no text"),
    ],
)
def test_a_config_that_is_no_text(tmp_path: Path, content: bytes, match: str) -> None:
    class Loose(Config):
        key: object = None

    (tmp_path / "lm.yaml").write_bytes(content)
    with refused(rf"lm\.yaml: {match}"):
        load_config(Loose, tmp_path / "lm.yaml")


def test_a_config_with_a_byte_order_mark(tmp_path: Path) -> None:
    class Loose(Config):
        key: object = None

    (tmp_path / "lm.yaml").write_bytes(b"\xef\xbb\xbfkey: 3\n")
    assert load_config(Loose, tmp_path / "lm.yaml").key == 3


@pytest.mark.parametrize("content", [b"", b"no model", b"\n\x07\n\x05<unk>"])
def test_a_vocabulary_that_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "text.model").write_bytes(content)
    with refused(r"text\.model: not a model of SentencePiece's"):
        Vocabulary.load(tmp_path / "text.model")


@pytest.mark.parametrize("manifest", [None, b"{", b'{"files": [1]}'])
def test_a_pack_without_a_manifest_named_a_folder_that_is_gone(
    tmp_path: Path, manifest: bytes | None
) -> None:
    import tarfile

    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        if manifest is not None:
            entry = tarfile.TarInfo("manifest.json")
            entry.size = len(manifest)
            archive.addfile(entry, io.BytesIO(manifest))
    with refused(r"a\.tar: no manifest\.json, or none that can be read"):
        open_model(tmp_path / "a.tar")


def test_a_checkpoint_without_a_part_of_the_optimisers_state(tmp_path: Path) -> None:
    """The first step after it was a KeyError."""
    last = make_checkpoint(tmp_path, "last.ckpt")
    last.write_bytes(last.read_bytes().replace(b"0.exp_avg_sq", b"0.exp_avg_xx"))
    with refused(r"last\.ckpt: not a checkpoint of this model"):
        read_checkpoint(last)


def test_a_config_that_means_a_larger_model_is_not_allocated(tmp_path: Path) -> None:
    path = make_lm(tmp_path, "config.yaml")
    path.write_text(path.read_text().replace("ffn_dim: 64", "ffn_dim: 20000000000"))
    with refused(r"model\.safetensors: weights of another model \(\d+ numbers, where"):
        read_weights(tmp_path / "model.safetensors")


def test_a_config_of_sizes_that_do_not_go_together_names_its_folder(tmp_path: Path) -> None:
    path = make_text_model(tmp_path, "config.yaml")
    path.write_text(path.read_text().replace("\ndim: 32", "\ndim: 33", 1))
    with refused(r"asr/tiny"):
        read_text_model(path)


def test_an_onnx_file_whose_messages_are_no_text(tmp_path: Path) -> None:
    path = make_lm(tmp_path, "model.onnx")
    sound = path.read_bytes()
    path.write_bytes(sound.replace(b"lm_sha256", b"lm_\xffha256"))
    with refused(r"model\.onnx: "):
        read_onnx(path)


@pytest.mark.parametrize(
    "change",
    [
        {"win_size": "x"},
        {"resblock_kernel_sizes": 3},
        {"fmin": {}},
        {"upsample_kernel_sizes": [1, 1, 1, 1]},
        {"upsample_rates": [2, 2]},
        {"upsample_initial_channel": 10**9},
        {"num_mels": -1},
    ],
)
def test_a_config_of_a_vocoder_with_other_values(tmp_path: Path, change: dict[str, Any]) -> None:
    path = make_hifigan(tmp_path, "config.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with refused(r"config\.json|g_00000001"):
        read_hifigan(path)


def test_a_checkpoint_of_a_vocoder_that_torch_cannot_decode(tmp_path: Path) -> None:
    path = make_hifigan(tmp_path, "g_00000001")
    shutil.copy(path, tmp_path / "sound")
    torch.save({"generator": 3}, path)
    with refused("g_00000001"):
        read_hifigan(path)
    path.write_bytes(b"\x80\x02X\x01\x00\x00\x00\xff.")
    with refused("g_00000001"):
        read_hifigan(path)
