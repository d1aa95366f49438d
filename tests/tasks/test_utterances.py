"""The utterances of a training: what comes back, to whom, and for how long."""

from __future__ import annotations

import os
import pickle
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch.utils.data import DataLoader

from entcomp.errors import EntcompError
from entcomp.kaldi.ark import ArkWriter
from entcomp.kaldi.table import iter_table
from entcomp.training.utterances import (
    ArchiveOffset,
    UtteranceDataset,
    iter_offsets,
    stored_datasets,
)

Item = tuple[str, str, np.ndarray, "np.ndarray | None"]
TEXTS = ["plain", "two\nlines", "日本語 \u2028 मेरा", "", '{"archive": 0}']


def item(utt_id: str, text: str, vector: np.ndarray, other: np.ndarray | None) -> Item:
    return utt_id, text, vector, other


@pytest.fixture
def items(tmp_path: Path) -> list[Item]:
    """Their vectors lie in two archives of units and one of entropies, which not all have."""
    rng = np.random.default_rng(0)
    made: list[Item] = []
    for half in range(2):
        with ArkWriter(tmp_path, f"units{half}") as units, ArkWriter(tmp_path, f"x{half}") as x:
            for index in range(100 * half, 100 * half + 100):
                vector = np.full(1 + index % 7, index, np.int32)
                other = rng.random(3).astype(np.float32) if index % 3 else None
                made.append((f"utt{index:03d}", TEXTS[index % 5], vector, other))
                units.write(made[-1][0], vector)
                if other is not None:
                    x.write(made[-1][0], other)
    return made


def rows(folder: Path, items: list[Item]) -> Iterator[list[Any]]:
    scps = [[folder / f"{name}{half}.scp" for half in range(2)] for name in ("units", "x")]
    units, others = (dict(row for scp in one for row in iter_offsets(scp)) for one in scps)
    return ([utt_id, text, units[utt_id], others.get(utt_id)] for utt_id, text, *_ in items)


def same(one: Item, other: Item) -> bool:
    return (
        one[:2] == other[:2]
        and all(
            a is b is None or (np.array_equal(a, b) and a.dtype == b.dtype)  # type: ignore[union-attr]
            for a, b in zip(one[2:], other[2:], strict=True)
        )
    )


def test_items_come_back_in_any_order(tmp_path: Path, items: list[Item]) -> None:
    with stored_datasets(tmp_path / "new", rows(tmp_path, items), [], make=item) as (
        found,
        nothing,
    ):
        assert len(found) == len(items) and all(map(same, found, items))
        for index in (199, 0, np.int64(42), -1):
            assert same(found[index], items[index])
        with pytest.raises(IndexError):
            found[200]
        assert not nothing and list(nothing) == []


def test_forked_workers_share_the_files(tmp_path: Path, items: list[Item]) -> None:
    """One file position for all of them would mix their vectors up."""
    order = np.random.default_rng(0).permutation(len(items)).tolist()
    with stored_datasets(tmp_path, rows(tmp_path, items), [], make=item) as (found, _):
        assert same(found[3], items[3])  # the archives are open
        loader = DataLoader(
            found,
            sampler=order,
            batch_size=None,
            num_workers=2,
            collate_fn=list,
            multiprocessing_context="fork",
        )
        read = list(loader)
    assert all(same(tuple(one), items[index]) for one, index in zip(read, order, strict=True))


def test_a_copy_for_a_spawned_worker_opens_the_files_itself(
    tmp_path: Path, items: list[Item]
) -> None:
    with stored_datasets(tmp_path, rows(tmp_path, items), [], make=item) as (found, _):
        pickled = pickle.dumps(found)
        copy = pickle.loads(pickled)
        assert len(pickled) < 250 and same(copy[7], items[7])
        assert copy._stream.fileno() != found._stream.fileno()


def test_an_archive_that_changes_under_a_training_is_an_error(
    tmp_path: Path, items: list[Item]
) -> None:
    """Another codebook's units of the same lengths would be read without a word."""
    with stored_datasets(tmp_path, rows(tmp_path, items), [], make=item) as (found, _):
        with ArkWriter(tmp_path, "units0") as ark:
            for utt_id, _, vector, _ in items[:100]:
                ark.write(utt_id, vector + 1)
        os.utime(tmp_path / "units0.ark", ns=(0, 0))
        with pytest.raises(EntcompError, match=r"units0\.ark: changed while a training reads it"):
            found[0]
        assert same(found[150], items[150])


def test_an_archive_beside_its_scp_goes_first(tmp_path: Path, items: list[Item]) -> None:
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in ("units0.ark", "units0.scp"):
        (tmp_path / name).rename(moved / name)
    assert next(iter_table(moved / "units0.scp"))[1].startswith(f"{tmp_path}/units0.ark:")
    found = next(iter_offsets(moved / "units0.scp"))
    assert found == ("utt000", ArchiveOffset(moved / "units0.ark", 7))


def test_the_files_go_when_the_block_ends(tmp_path: Path, items: list[Item]) -> None:
    there = {path.name for path in tmp_path.iterdir()} | {".lock"}
    (tmp_path / ".train.jsonl").write_text("what a killed run left" * 1000)
    with stored_datasets(tmp_path, rows(tmp_path, items), [], make=item):
        assert len(list(tmp_path.iterdir())) == len(there) + 2
    assert {path.name for path in tmp_path.iterdir()} == there
    with pytest.raises(KeyboardInterrupt), stored_datasets(tmp_path, [], [], make=item):
        raise KeyboardInterrupt
    broken = ([1 // (5 - i)] for i in range(9))
    with pytest.raises(ZeroDivisionError), stored_datasets(tmp_path, [], broken, make=item):
        raise AssertionError("not reached")
    assert {path.name for path in tmp_path.iterdir()} == there


def test_a_second_training_of_a_model_took_the_files_of_the_first(
    tmp_path: Path, items: list[Item]
) -> None:
    begun = threading.Event()

    def second() -> None:
        begun.set()
        with stored_datasets(tmp_path, [["other"]], [["other"]], make=item):
            pass

    thread = threading.Thread(target=second)
    with stored_datasets(tmp_path, rows(tmp_path, items), [], make=item) as (train, _):
        thread.start()
        assert begun.wait(10)
        thread.join(0.2)
        assert thread.is_alive()
        assert all(same(one, other) for one, other in zip(train, items, strict=True))
    thread.join(10)
    assert not thread.is_alive()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_full_disk_is_named(tmp_path: Path) -> None:
    (tmp_path / ".train.jsonl").symlink_to("/dev/full")
    with (
        pytest.raises(OSError, match=r"No space left.*\.train\.jsonl"),
        stored_datasets(tmp_path, [["utt"]], [], make=item),
    ):
        raise AssertionError("not reached")


def test_memory_is_8_bytes_an_item(tmp_path: Path, items: list[Item]) -> None:
    with stored_datasets(tmp_path, rows(tmp_path, items), [], make=item) as (found, _):
        assert isinstance(found, UtteranceDataset)
        assert found._bounds.nbytes == 8 * (len(items) + 2)
