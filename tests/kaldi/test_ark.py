from __future__ import annotations

import hashlib
import os
import pickle
from pathlib import Path

import kaldiio
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from entcomp.errors import EntcompError
from entcomp.kaldi.ark import ArkWriter, iter_vectors

VECTORS = st.one_of(
    arrays(np.int32, st.integers(0, 20)),
    arrays(np.float32, st.integers(1, 20)),
    arrays(np.float64, st.integers(1, 20)),
)


def write(folder: Path, vectors: dict[str, np.ndarray]) -> ArkWriter:
    with ArkWriter(folder, "units") as ark:
        for utt_id, vector in vectors.items():
            ark.write(utt_id, vector)
    return ark


@given(st.lists(VECTORS, max_size=5))
def test_round_trip_here_and_in_kaldiio(tmp_path_factory, vectors):
    folder = tmp_path_factory.mktemp("ark")
    table = {f"utt{number}": vector for number, vector in enumerate(vectors)}
    ark = write(folder, table)
    read = dict(iter_vectors(folder / "units.scp"))
    theirs = kaldiio.load_scp(str(folder / "units.scp"))
    for utt_id, vector in table.items():
        for found in (read[utt_id], theirs[utt_id]):
            assert found.dtype == vector.dtype
            np.testing.assert_array_equal(found, vector)
    assert ark.summary == {
        "utterances": len(vectors),
        "frames": sum(map(len, vectors)),
        "sha256": hashlib.sha256((folder / "units.ark").read_bytes()).hexdigest(),
    }


def test_bytes_are_kaldiios(tmp_path):
    vectors = {"a": np.arange(5, dtype=np.int32), "b": np.ones(3, np.float32)}
    write(tmp_path, vectors)
    kaldiio.save_ark(str(tmp_path / "theirs.ark"), vectors)
    assert (tmp_path / "units.ark").read_bytes() == (tmp_path / "theirs.ark").read_bytes()


@pytest.mark.parametrize("dtype", ["int64", "uint16", "bool", "float16"])
def test_refuses_types_that_kaldi_has_not(tmp_path, dtype):
    with pytest.raises(TypeError), ArkWriter(tmp_path, "units") as ark:
        ark.write("a", np.zeros(2, dtype))


def test_refuses_matrices_duplicates_and_disorder(tmp_path):
    vector = np.zeros(2, np.int32)
    with ArkWriter(tmp_path, "units") as ark:
        ark.write("b", vector)
        for utt_id in ("a", "b"):
            with pytest.raises(EntcompError, match="not unique or sorted"):
                ark.write(utt_id, vector)
        with pytest.raises(TypeError):
            ark.write("c", np.zeros((2, 2), np.int32))


def test_nothing_under_a_final_name_after_an_error(tmp_path):
    with pytest.raises(RuntimeError), ArkWriter(tmp_path, "units") as ark:
        ark.write("a", np.zeros(2, np.int32))
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_full_disk_names_the_archive_and_leaves_nothing(tmp_path):
    (tmp_path / ".units.ark.tmp").symlink_to("/dev/full")
    with (
        pytest.raises(OSError, match="No space left") as caught,
        ArkWriter(tmp_path, "units") as ark,
    ):
        ark.write("a", np.zeros(2, np.int32))
    assert caught.value.filename == str(tmp_path / "units.ark")
    assert list(tmp_path.iterdir()) == []


def test_found_beside_its_scp_after_a_move(tmp_path):
    write(tmp_path / "old", {"a": np.arange(3, dtype=np.int32)})
    (tmp_path / "old").rename(tmp_path / "new")
    assert [utt_id for utt_id, _ in iter_vectors(tmp_path / "new" / "units.scp")] == ["a"]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("gunzip -c x.gz |", "a is a command"),
        ("x.ark", "expected 'archive:offset'"),
        ("x.ark:3", "no such archive"),
    ],
)
def test_refuses_entries(tmp_path, entry, message):
    (tmp_path / "units.scp").write_text(f"a {entry}\n")
    with pytest.raises(EntcompError, match=message):
        list(iter_vectors(tmp_path / "units.scp"))


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
@pytest.mark.parametrize("size", [0, 2, 4, 7, 20])
def test_refuses_a_truncated_archive(tmp_path, dtype, size):
    write(tmp_path, {"a": np.arange(30, dtype=dtype)})
    whole = (tmp_path / "units.ark").read_bytes()
    (tmp_path / "units.ark").write_bytes(whole[:size])
    with pytest.raises(EntcompError, match="a: not a Kaldi vector"):
        list(iter_vectors(tmp_path / "units.scp"))


def test_refuses_a_matrix(tmp_path):
    ark, scp = tmp_path / "x.ark", tmp_path / "x.scp"
    kaldiio.save_ark(str(ark), {"a": np.zeros((2, 3), np.float32)}, scp=str(scp))
    with pytest.raises(EntcompError, match=r"a: not a Kaldi vector at byte 2 \(a matrix"):
        list(iter_vectors(scp))


def test_runs_no_pickle_that_an_archive_holds(tmp_path):
    (tmp_path / "x.ark").write_bytes(b"a PKL" + pickle.dumps(_Trap()))
    (tmp_path / "x.scp").write_text(f"a {tmp_path / 'x.ark'}:2\n")
    with pytest.raises(EntcompError, match="not binary"):
        list(iter_vectors(tmp_path / "x.scp"))


class _Trap:
    def __reduce__(self):
        return pytest.fail, ("unpickled",)
