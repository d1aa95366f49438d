"""Sequences on disk: what they give back, to whom, and for how long."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from pytorch_lightning.utilities import rank_zero_only
from torch.utils.data import DataLoader

from entcomp.training.spill import Spilled, spill

ITEMS = [(f"utt{i}", np.full(i % 7, i, np.int32)) for i in range(200)]


def same(one: tuple[str, np.ndarray], other: tuple[str, np.ndarray]) -> bool:
    return one[0] == other[0] and np.array_equal(one[1], other[1])


def test_items_come_back_in_any_order(tmp_path: Path) -> None:
    with spill(tmp_path / "new" / "items", iter(ITEMS)) as spilled:
        assert len(spilled) == len(ITEMS)
        assert all(map(same, spilled, ITEMS))
        for index in (199, 0, np.int64(42), -1):
            assert same(spilled[index], ITEMS[index])
        with pytest.raises(IndexError):
            spilled[200]
    with spill(tmp_path / "none", []) as nothing:
        assert not nothing and list(nothing) == []


def test_forked_workers_share_the_file(tmp_path: Path) -> None:
    order = np.random.default_rng(0).permutation(len(ITEMS)).tolist()
    with spill(tmp_path / "items", ITEMS) as spilled:
        loader = DataLoader(
            spilled,
            sampler=order,
            batch_size=None,
            num_workers=2,
            collate_fn=list,
            multiprocessing_context="fork",
        )
        found = list(loader)
    assert all(same(one, ITEMS[index]) for one, index in zip(found, order, strict=True))


def test_a_copy_for_a_spawned_worker_opens_the_file_itself(tmp_path: Path) -> None:
    with spill(tmp_path / "items", ITEMS) as spilled:
        pickled = pickle.dumps(spilled)
        copy = pickle.loads(pickled)
        assert len(pickled) < 200 and same(copy[7], ITEMS[7])
        assert copy._stream.fileno() != spilled._stream.fileno()


def test_the_file_goes_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "items"
    path.write_bytes(b"what a killed run left" * 1000)
    with spill(path, ITEMS):
        assert path.exists()
    assert not path.exists()
    with pytest.raises(KeyboardInterrupt), spill(path, ITEMS):
        raise KeyboardInterrupt
    assert not path.exists()
    with pytest.raises(ZeroDivisionError), spill(path, (1 // (5 - i) for i in range(9))):
        raise AssertionError("not reached")
    assert not path.exists()


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    (tmp_path / "items").symlink_to("/dev/full")
    with pytest.raises(OSError, match=r"No space left.*items"), spill(tmp_path / "items", ITEMS):
        raise AssertionError("not reached")


def test_other_ranks_read_what_the_first_one_wrote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "items"
    with spill(path, ITEMS):
        monkeypatch.setattr(rank_zero_only, "rank", 1)
        with spill(path, (1 / 0 for _ in range(1))) as spilled:
            assert same(spilled[3], ITEMS[3])
        assert path.exists()
        monkeypatch.setattr(rank_zero_only, "rank", 0)


def test_memory_is_8_bytes_an_item(tmp_path: Path) -> None:
    with spill(tmp_path / "items", ITEMS) as spilled:
        assert isinstance(spilled, Spilled)
        assert spilled._offsets.nbytes == 8 * (len(ITEMS) + 1)
