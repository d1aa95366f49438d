from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from entcomp.errors import EntcompError
from entcomp.units.codebook import BLOCK, Codebook, learn_codebook, whitening_matrix

CORNERS = np.array([[0, 0], [10, 0], [0, 10]], np.float32)


def test_known_answer():
    frames = np.array([[1, 1], [9, -2], [4, 6], [4.9, 0], [5.1, 0]], np.float32)
    units = Codebook(CORNERS).assign(frames)
    assert units.dtype == np.int32
    assert units.tolist() == [0, 1, 2, 0, 1]
    assert Codebook(CORNERS).inertia(frames, units) == pytest.approx(2 + 5 + 32 + 2 * 4.9**2)


def test_ties_go_to_the_lowest_number():
    between = np.array([[5, 0], [5, 5], [0, 5]], np.float32)
    assert Codebook(CORNERS).assign(between).tolist() == [0, 0, 0]
    generator = np.random.default_rng(0)
    centroids = generator.standard_normal((50, 39)).astype(np.float32)
    frames = generator.standard_normal((300, 39)).astype(np.float32)
    once = Codebook(centroids).assign(frames)
    twice = Codebook(np.concatenate([centroids, centroids])).assign(frames)
    np.testing.assert_array_equal(once, twice)


@given(st.integers(0, 1000), st.integers(1, 60), st.integers(1, 40))
def test_a_frames_unit_depends_on_no_other_frame(seed, frames, dim):
    generator = np.random.default_rng(seed)
    codebook = Codebook(generator.standard_normal((30, dim)).astype(np.float32))
    features = (100 * generator.standard_normal((frames, dim))).astype(np.float32)
    together = codebook.assign(features)
    alone = [codebook.assign(frame[None])[0] for frame in features]
    distances = np.linalg.norm(features[:, None].astype(float) - codebook.centroids, axis=2)
    assert together.tolist() == alone == distances.argmin(axis=1).tolist()


def test_more_frames_than_a_block():
    features = np.tile(CORNERS, (BLOCK // 2, 1))
    units = Codebook(CORNERS).assign(features)
    assert units.tolist() == [0, 1, 2] * (BLOCK // 2)
    assert Codebook(CORNERS).inertia(features, units) == 0


def test_refuses_features_of_another_size():
    with pytest.raises(EntcompError, match="codebook of 2 dimensions for features of 3"):
        Codebook(CORNERS).assign(np.zeros((1, 3), np.float32))


def blobs() -> np.ndarray:
    generator = np.random.default_rng(0)
    noise = generator.standard_normal((600, 2)) * 0.1
    return (np.repeat(CORNERS, 200, axis=0) + noise).astype(np.float32)


def test_learns_what_is_there():
    codebook = learn_codebook(blobs(), num_clusters=3, seed=1)
    nearest = Codebook(CORNERS).assign(codebook.centroids)
    assert sorted(nearest) == [0, 1, 2]
    np.testing.assert_allclose(codebook.centroids, CORNERS[nearest], atol=0.05)
    units = codebook.assign(blobs())
    assert len(np.unique(units)) == 3
    assert codebook.inertia(blobs(), units) / 600 == pytest.approx(2 * 0.1**2, rel=0.15)


def test_inertia_only_falls_with_more_clusters():
    inertias = []
    for num_clusters in (3, 10, 100, 600):
        codebook = learn_codebook(blobs(), num_clusters, seed=0)
        inertias.append(codebook.inertia(blobs(), codebook.assign(blobs())))
    assert inertias == sorted(inertias, reverse=True)
    assert inertias[-1] == 0


def test_same_seed_same_bytes(tmp_path, monkeypatch):
    """Also a day later: a zip file notes when its members were written."""
    learn_codebook(blobs(), 20, seed=7).write(tmp_path / "a.npz")
    monkeypatch.setattr(time, "time", lambda now=time.time() + 86_400: now)
    learn_codebook(blobs(), 20, seed=7).write(tmp_path / "b.npz")
    learn_codebook(blobs(), 20, seed=8).write(tmp_path / "c.npz")
    a, b, c = ((tmp_path / f"{name}.npz").read_bytes() for name in "abc")
    assert a == b != c
    np.testing.assert_array_equal(
        Codebook.read(tmp_path / "a.npz").centroids, learn_codebook(blobs(), 20, seed=7).centroids
    )


def uneven() -> np.ndarray:
    """Two blobs that differ in the second dimension; the first is loud, and says nothing."""
    generator = np.random.default_rng(0)
    frames = generator.standard_normal((400, 2)) * [100, 0.1]
    frames[:, 1] += np.repeat([-1, 1], 200)
    turn = np.array([[0.8, -0.6], [0.6, 0.8]])
    return (frames @ turn).astype(np.float32)


@pytest.mark.parametrize("degree", [0.25, 0.5, 1.0])
def test_whitening_makes_variances_alike(degree):
    frames = np.random.default_rng(0).standard_normal((500, 3)) * [1, 10, 100]
    variances = np.linalg.eigvalsh(np.cov(frames.T))
    matrix = whitening_matrix(frames, degree)
    np.testing.assert_allclose(matrix, matrix.T)
    whitened = np.linalg.eigvalsh(np.cov((frames @ matrix).T))
    np.testing.assert_allclose(whitened, variances ** (1 - degree), rtol=1e-3)


def test_whitening_leaves_what_never_varies():
    frames = np.pad(uneven(), ((0, 0), (0, 1)), constant_values=3)
    codebook = learn_codebook(frames, 2, seed=0, whiten=1.0)
    np.testing.assert_allclose(codebook.centroids[:, 2], 3, rtol=1e-3)
    assert np.isfinite(codebook.inertia(frames, codebook.assign(frames)))


@pytest.mark.parametrize("frames", [1, 50])
def test_frames_all_alike_were_whitened_to_nan(frames):
    with pytest.raises(EntcompError, match=f"{frames} frames that are all alike cannot be"):
        learn_codebook(np.full((frames, 3), 0.1, np.float32), 1, seed=0, whiten=0.5)


def test_whitened_clusters_are_not_those_of_the_loudest_dimension():
    apart = {}
    for degree in (0.0, 1.0):
        found = (learn_codebook(uneven(), 2, seed, degree).assign(uneven()) for seed in range(5))
        apart[degree] = max(abs(units[:200].mean() - units[200:].mean()) for units in found)
    assert apart[0.0] < 0.2
    assert apart[1.0] == 1


def test_whitened_units_are_the_nearest_after_whitening():
    generator = np.random.default_rng(0)
    frames = (generator.standard_normal((500, 5)) * [1, 3, 10, 30, 100]).astype(np.float32)
    codebook = learn_codebook(frames, 20, seed=0, whiten=0.5)
    assert codebook.whitening is not None
    whitened, centroids = (one @ codebook.whitening for one in (frames, codebook.centroids))
    distances = np.linalg.norm(whitened[:, None] - centroids, axis=2)
    units = codebook.assign(frames)
    np.testing.assert_array_equal(units, distances.argmin(axis=1))
    inertia = np.square(distances.min(axis=1)).sum()
    assert codebook.inertia(frames, units) == pytest.approx(inertia, rel=1e-4)


def test_whitening_is_kept(tmp_path):
    codebook = learn_codebook(uneven(), 4, seed=0, whiten=0.5)
    codebook.write(tmp_path / "kmeans.npz")
    again = Codebook.read(tmp_path / "kmeans.npz")
    np.testing.assert_array_equal(again.whitening, codebook.whitening)
    np.testing.assert_array_equal(again.assign(uneven()), codebook.assign(uneven()))


@pytest.mark.parametrize("threads", [2, 5])
def test_same_bytes_for_any_number_of_threads(threads):
    import faiss

    frames = np.random.default_rng(0).standard_normal((3000, 39)).astype(np.float32)
    before = faiss.omp_get_max_threads()
    found = []
    for number in (1, threads):
        faiss.omp_set_num_threads(number)
        found.append(learn_codebook(frames, 50, seed=0).centroids.tobytes())
    faiss.omp_set_num_threads(before)
    assert found[0] == found[1]


def test_whitened_bytes_depended_on_the_threads_of_blas():
    generator = np.random.default_rng(0)
    frames = generator.standard_normal((3000, 384)) * np.linspace(1, 30, 384)
    found = []
    for threads in (1, 2):
        with threadpool_limits(threads, "blas"):
            codebook = learn_codebook(frames.astype(np.float32), 20, seed=0, whiten=0.5)
        assert codebook.whitening is not None
        found.append(codebook.centroids.tobytes() + codebook.whitening.tobytes())
    assert found[0] == found[1]


def test_refuses_fewer_frames_than_clusters():
    with pytest.raises(EntcompError, match="600 frames for 601 clusters"):
        learn_codebook(blobs(), 601, seed=0)


@pytest.mark.parametrize("content", [None, b"", b"text", b"PK\3\4"])
def test_refuses_what_is_no_codebook(tmp_path, content):
    if content is not None:
        (tmp_path / "kmeans.npz").write_bytes(content)
    with pytest.raises(EntcompError, match=r"kmeans\.npz: (no such file|not a codebook)"):
        Codebook.read(tmp_path / "kmeans.npz")
