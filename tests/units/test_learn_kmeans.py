from __future__ import annotations

import json
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.cluster import MiniBatchKMeans

from entcomp.artifacts.experiment import Experiment
from entcomp.kaldi.ark import iter_vectors
from entcomp.units.codebook import Codebook

MFCC = ("learn-kmeans", "--extractor", "mfcc", "--num-clusters", 20)


def test_what_it_leaves(cli, data, tmp_path):
    outcome = cli(*MFCC, "--sets", "train", data, tmp_path / "exp")
    assert outcome.code == 0
    assert "20 of 20 clusters used, inertia " in outcome.out
    assert "0 utterances skipped" in outcome.out
    exp = Experiment(tmp_path / "exp")
    info = exp.units_info()
    assert (info.extractor, info.layer, info.num_clusters) == ("mfcc", 0, 20)
    assert (info.frame_shift, info.receptive_offset) == (0.010, 0.0075)
    assert Codebook.read(exp.codebook).centroids.shape == (20, 39)
    stage = json.loads((tmp_path / "exp/units/stage.json").read_text())
    assert stage["outputs"]["clusters_used"] == 20
    assert stage["outputs"]["inertia"] > 0
    assert stage["outputs"]["frames"] == sum(98 + 30 * number for number in range(6))
    assert sorted(path.name for path in (tmp_path / "exp/units").iterdir()) == [
        "kmeans.npz",
        "stage.json",
        "units.json",
    ]


def test_same_bytes_for_any_number_of_jobs_and_skipped_if_whole(cli, data, tmp_path):
    for nj in (1, 4):
        assert cli(*MFCC, "--nj", nj, data, tmp_path / f"exp{nj}").code == 0
    for name in ("kmeans.npz", "units.json", "stage.json"):
        one, four = (tmp_path / f"exp{nj}" / "units" / name for nj in (1, 4))
        assert one.read_bytes() == four.read_bytes()
    before = (tmp_path / "exp1/units/kmeans.npz").stat().st_mtime_ns
    assert "complete, skipped" in cli(*MFCC, data, tmp_path / "exp1").out
    assert (tmp_path / "exp1/units/kmeans.npz").stat().st_mtime_ns == before


def test_the_codebook_was_learnt_on_test_recordings_too(cli, data, tmp_path):
    assert cli(*MFCC, data, tmp_path / "exp").code == 0
    stage = json.loads((tmp_path / "exp/units/stage.json").read_text())
    assert list(stage["inputs"]["recordings"]) == ["train"]


def test_learns_anew_from_other_options(cli, data, tmp_path):
    books = []
    for options in ((), ("--seed", 1), ("--whiten", 0.5), ("--max-frames", 300), ("--sets", "dev")):
        outcome = cli(*MFCC, *options, data, tmp_path / "exp")
        assert "clusters used" in outcome.out
        books.append((tmp_path / "exp/units/kmeans.npz").read_bytes())
    assert "on 298 of 298 frames" not in outcome.out
    assert len(set(books)) == len(books)


def test_a_sample_is_enough(cli, data, tmp_path):
    outcome = cli(*MFCC, "--max-frames", 100, data, tmp_path / "exp")
    assert "on 100 of " in outcome.out
    assert np.isfinite(Codebook.read(tmp_path / "exp/units/kmeans.npz").centroids).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--num-clusters", 5000), "frames for 5000 clusters; give more recordings or a smaller"),
        (("--extractor", "mfc"), "extractor mfc: unknown"),
        (("--layer", "2"), "mfcc: has no layers"),
        (("--checkpoint", "nowhere.onnx"), "mfcc: has no layers and no checkpoint"),
        (("--extractor", "moonshine", "--checkpoint", "nowhere"), "nowhere: no such checkpoint"),
        (("--sets", "trian"), "no set 'trian'; available: dev, train"),
    ],
)
def test_refuses(cli, data, tmp_path, options, message):
    assert message in cli(*MFCC, *options, data, tmp_path / "exp").message
    assert not (tmp_path / "exp/units/kmeans.npz").exists()
    assert not (tmp_path / "exp/units/stage.json").exists()


def test_bad_utterances(cli, data, tmp_path):
    (data / "train" / "utt2.wav").unlink()
    message = cli(*MFCC, data, tmp_path / "exp").message
    assert "utt2.wav: no such file (utterance utt2); fix it or pass --skip-bad" in message
    outcome = cli(*MFCC, "--skip-bad", data, tmp_path / "exp")
    assert outcome.code == 0
    assert "1 utterances skipped" in outcome.out
    assert (tmp_path / "exp/units/skipped.txt").read_text().startswith("utt2 ")


def test_a_set_without_utterances(cli, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/wav.scp").touch()
    assert "no utterance to learn from" in cli(*MFCC, tmp_path / "data", tmp_path / "exp").message


def test_the_default_is_moonshine(cli, data, tmp_path: Path, moonshine_encoder):
    assert cli("learn-kmeans", "--num-clusters", 20, data, tmp_path / "exp").code == 0
    info = Experiment(tmp_path / "exp").units_info()
    assert (info.extractor, info.layer, info.frame_shift) == ("moonshine", 3, 0.024)
    assert Codebook.read(tmp_path / "exp/units/kmeans.npz").centroids.shape == (20, 288)


def published(path: Path, dim: int) -> np.ndarray:
    """Written as fairseq's learn_kmeans.py does; its centroids."""
    frames = np.random.default_rng(0).normal(size=(100, dim)).astype(np.float32)
    model = MiniBatchKMeans(n_clusters=7, n_init=1, random_state=0).fit(10 * frames)
    joblib.dump(model, path)
    return model.cluster_centers_


def test_takes_a_published_codebook(cli, data, tmp_path):
    centroids, exp = published(tmp_path / "km7.bin", 39), tmp_path / "exp"
    learn = ("learn-kmeans", "--extractor", "mfcc", "--from", tmp_path / "km7.bin", data, exp)
    assert "kmeans.npz: 7 clusters of " in cli(*learn).out
    info = Experiment(exp).units_info()
    assert (info.extractor, info.layer, info.num_clusters) == ("mfcc", 0, 7)
    np.testing.assert_array_equal(Codebook.read(exp / "units/kmeans.npz").centroids, centroids)
    assert "complete, skipped" in cli(*learn).out
    assert cli("dump-units", "--sets", "dev", data, exp).code == 0
    units = dict(iter_vectors(exp / "units/dev/units.scp"))
    assert set(np.concatenate(list(units.values()))) <= set(range(7))
    (tmp_path / "other.bin").write_bytes(b"cos\nsystem\n.")
    assert (
        "other.bin: names os.system" in cli(*learn[:4], tmp_path / "other.bin", data, exp).message
    )
    assert Experiment(exp).units_info() == info  # what was there stays


def test_a_published_codebook_of_another_extractor(cli, data, tmp_path):
    published(tmp_path / "km7.bin", 768)
    message = cli(*MFCC[:3], "--from", tmp_path / "km7.bin", data, tmp_path / "exp").message
    assert "centroids of 768 dimensions, but mfcc has features of 39" in message
    assert not (tmp_path / "exp/units/kmeans.npz").exists()


def test_a_published_codebook_of_another_size_than_asked_for(cli, data, tmp_path):
    published(tmp_path / "km7.bin", 39)
    learn = (*MFCC[:3], "--from", tmp_path / "km7.bin", data, tmp_path / "exp", "--num-clusters")
    assert "km7.bin: 7 clusters, not 8; give --num-clusters 7" in cli(*learn, 8).message
    assert "7 clusters of" in cli(*learn, 7).out


@pytest.mark.parametrize("name", ["kmeans.npz", "units.json"])
@pytest.mark.parametrize("damage", ["gone", "empty"])
def test_a_codebook_that_is_gone_or_damaged_was_complete(cli, data, tmp_path, name, damage):
    path = tmp_path / "exp/units" / name
    cli(*MFCC, data, tmp_path / "exp")
    before = path.read_bytes()
    path.unlink()
    if damage == "empty":
        path.touch()
    assert "clusters used" in cli(*MFCC, data, tmp_path / "exp").out
    assert path.read_bytes() == before


def test_units_that_were_imported_became_those_of_a_codebook(cli, data, tmp_path):
    labels, exp = tmp_path / "labels.txt", tmp_path / "exp"
    labels.write_text("a 1 2\n")
    options = ("--format", "text", "--num-clusters", 100, "--frame-shift", 0.02)
    cli("import-units", *options, labels, tmp_path / "imported", exp)
    message = cli(*MFCC, data, exp).message
    assert message.endswith("units of this experiment were imported; use another EXP")


def test_fewer_frames_than_clusters_are_said_before_any_is_extracted(cli, data, tmp_path):
    message = cli(*MFCC, "--max-frames", 10, data, tmp_path / "exp").message
    assert message == "--max-frames 10: fewer than --num-clusters 20; take more"
