"""k-means models of scikit-learn, as joblib, pickle and torch write them; and evil ones."""

from __future__ import annotations

import pickle
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans, MiniBatchKMeans

from entcomp.errors import EntcompError
from entcomp.formats.kmeans import read_centroids

FRAMES = np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32)


def fitted(kind: type = MiniBatchKMeans, dtype: type = np.float32) -> Any:
    state = np.random.RandomState(0)
    return kind(n_clusters=5, n_init=2, random_state=state).fit(FRAMES.astype(dtype))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("kind", [KMeans, MiniBatchKMeans])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_any_protocol_and_compression(
    tmp_path: Path, protocol: int, kind: type, dtype: type
) -> None:
    model = fitted(kind, dtype)
    expected = model.cluster_centers_.astype(np.float32)
    for compress in (0, 3, ("gzip", 3), ("bz2", 3), ("lzma", 3), ("xz", 3)):
        joblib.dump(model, tmp_path / "km.bin", compress=compress, protocol=protocol)
        np.testing.assert_array_equal(read_centroids(tmp_path / "km.bin"), expected)
    (tmp_path / "km.pkl").write_bytes(pickle.dumps(model, protocol))
    found = read_centroids(tmp_path / "km.pkl")
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == np.float32 and found.flags.c_contiguous


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_arrays_of_any_layout(tmp_path: Path, order: Any, byteorder: str) -> None:
    model = fitted()
    centres = model.cluster_centers_
    model.cluster_centers_ = np.array(centres, dtype=f"{byteorder}f8", order=order)
    joblib.dump(model, tmp_path / "joblib.bin")
    (tmp_path / "pickle.bin").write_bytes(pickle.dumps(model, 2))
    for name in ("joblib.bin", "pickle.bin"):
        np.testing.assert_array_equal(read_centroids(tmp_path / name), centres)


def test_models_of_old_releases(tmp_path: Path) -> None:
    """Their modules had other names, which are gone; protocol 0 spells names out."""
    old = pickle.dumps(fitted(), 0)
    for name, before in (
        (b"sklearn.cluster._kmeans", b"sklearn.cluster.k_means_"),
        (b"numpy._core.multiarray", b"numpy.core.multiarray"),
    ):
        assert name in old
        old = old.replace(name, before)
    (tmp_path / "km.bin").write_bytes(old)
    np.testing.assert_array_equal(read_centroids(tmp_path / "km.bin"), fitted().cluster_centers_)


@pytest.mark.parametrize("as_tensor", [True, False])
def test_torchs_files(tmp_path: Path, as_tensor: bool) -> None:
    centres = fitted().cluster_centers_
    stored = torch.from_numpy(np.concatenate([centres, centres]))[5:] if as_tensor else centres
    torch.save({"n_features_in_": 4, "cluster_centers_": stored}, tmp_path / "km.pt")
    np.testing.assert_array_equal(read_centroids(tmp_path / "km.pt"), centres)


class Evil:
    """What loading it would call, and with what."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def evil_payloads(witness: Path) -> dict[str, Evil]:
    import os

    touch = f"open({str(witness)!r}, 'w').close()"
    return {
        f"{os.system.__module__}.system": Evil(os.system, f"touch {witness}"),
        "builtins.eval": Evil(eval, touch),
        "builtins.exec": Evil(exec, touch),
        "builtins.getattr": Evil(getattr, {}, "get"),
        "subprocess.Popen": Evil(subprocess.Popen, ["touch", str(witness)]),
        "numpy.load": Evil(np.load, str(witness), None, True),
    }


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_evil_pickles_are_named_and_do_nothing(tmp_path: Path, protocol: int) -> None:
    witness = tmp_path / "witness"
    for name, payload in evil_payloads(witness).items():
        model = fitted()
        model.verbose = payload  # inside of a model that is otherwise sound
        files = {
            "plain.bin": pickle.dumps(payload, protocol),
            "model.bin": pickle.dumps(model, protocol),
            "zlib.bin": zlib.compress(pickle.dumps(model, protocol)),
        }
        joblib.dump(model, tmp_path / "joblib.bin", protocol=protocol)
        for file, data in files.items():
            (tmp_path / file).write_bytes(data)
        named = name
        if protocol < 3:  # which write the names of Python 2
            named = name.replace("builtins", "__builtin__").replace("subprocess", "commands")
        for file in (*files, "joblib.bin"):
            with pytest.raises(EntcompError) as caught:
                read_centroids(tmp_path / file)
            assert f"{file}: names {named}" in str(caught.value)
    assert not witness.exists()
    pickle.loads(pickle.dumps(evil_payloads(witness)["builtins.eval"], protocol))
    assert witness.exists()  # so they would have done harm


def test_evil_in_torchs_files(tmp_path: Path) -> None:
    torch.save({"cluster_centers_": torch.zeros(2, 2), "x": Evil(eval, "1")}, tmp_path / "km.pt")
    with pytest.raises(EntcompError, match=r"km\.pt: names (builtins|__builtin__)\.eval"):
        read_centroids(tmp_path / "km.pt")


def test_an_array_of_objects_would_be_a_pickle_in_a_pickle(tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    model = fitted()
    model.cluster_centers_ = np.array([Evil(eval, f"open({str(witness)!r}, 'w')")], object)
    joblib.dump(model, tmp_path / "km.bin")
    with pytest.raises(EntcompError, match="an array of object"):
        read_centroids(tmp_path / "km.bin")
    assert not witness.exists()


def test_calls_of_what_the_pickle_made_itself_and_changes_to_it(tmp_path: Path) -> None:
    """Opcodes by hand: a string is called, a list gets attributes, an extension code is used."""
    for code, message in (
        (b"\x80\x02X\x04\x00\x00\x00evil)R.", "calls a str"),
        (b"\x80\x02]}b.", "changes a list"),
        (b"\x80\x02\x82\x01.", "unregistered extension code"),
        (b"\x80\x02cnumpy\ndtype\n)}\x92.", "not a k-means model"),
        (b"P1\n.", "refers to objects outside of it"),
        (b"cos\nsystem\n.", "names os.system"),
        (b"(S'true'\nios\nsystem\n.", "names os.system"),
    ):
        (tmp_path / "km.bin").write_bytes(code)
        with pytest.raises(EntcompError, match=message):
            read_centroids(tmp_path / "km.bin")


def test_what_is_no_codebook(tmp_path: Path) -> None:
    path = tmp_path / "km.bin"
    with pytest.raises(EntcompError, match="no such file"):
        read_centroids(path)
    model = fitted()
    joblib.dump(model, path)
    whole = path.read_bytes()
    # Every way of breaking off, but in what follows the centroids.
    for length in (0, 1, 20, 300, whole.index(b"NumpyArrayWrapper") + 200):
        path.write_bytes(whole[:length])
        with pytest.raises(EntcompError, match=r"km\.bin: "):
            read_centroids(path)
    path.write_bytes(zlib.compress(whole)[:-20])
    with pytest.raises(EntcompError, match="break off"):
        read_centroids(path)
    path.write_bytes(b"\x04\x22\x4d\x18 and so on")
    with pytest.raises(EntcompError, match="LZ4"):
        read_centroids(path)
    for stored in ({"means": 1}, {"cluster_centers_": np.zeros(3)}, [1, 2], "text"):
        joblib.dump(stored, path)
        with pytest.raises(EntcompError, match=r"not a (k-means model|codebook)"):
            read_centroids(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", "b")
    with pytest.raises(EntcompError, match="not a k-means model"):
        read_centroids(path)


def test_a_pickle_that_breaks_off_in_a_length_was_a_traceback(tmp_path: Path) -> None:
    for whole in (pickle.dumps(fitted(), 4), pickle.dumps(fitted(), 2)):
        for size in range(1, len(whole) - 1, 7):
            (tmp_path / "km.pkl").write_bytes(whole[:size])
            with pytest.raises(EntcompError, match=r"km\.pkl: "):
                read_centroids(tmp_path / "km.pkl")
    (tmp_path / "km.pkl").write_bytes(b"\x80\x04\x95\x00")
    with pytest.raises(EntcompError, match=r"km\.pkl: not a k-means model"):
        read_centroids(tmp_path / "km.pkl")


def test_a_size_that_cannot_be_is_not_allocated(tmp_path: Path) -> None:
    data = pickle.dumps({"cluster_centers_": np.zeros((3, 5), np.float32)}, 2)
    small = b"K\x03K\x05\x86"
    assert small in data
    huge = b"J" + struct.pack("<i", 2**31 - 1)
    (tmp_path / "km.bin").write_bytes(data.replace(small, huge + huge + b"\x86"))
    with pytest.raises(EntcompError, match="an array of"):
        read_centroids(tmp_path / "km.bin")


def test_reading_needs_neither_sklearn_nor_joblib(tmp_path: Path) -> None:
    joblib.dump(fitted(), tmp_path / "km.bin")
    code = (
        "import sys; sys.modules.update(dict.fromkeys(['sklearn', 'joblib', 'torch']))\n"
        "from pathlib import Path\n"
        "from entcomp.formats.kmeans import read_centroids\n"
        f"print(read_centroids(Path({str(tmp_path / 'km.bin')!r})).shape)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "(5, 4)\n"
