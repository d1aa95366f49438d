"""Shards of a set: contiguous in the order of ids, so that their scps join to a sorted one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from entcomp.artifacts.stage import Stage, read_stage
from entcomp.errors import EntcompError
from entcomp.files import atomic_path, sha256_files
from entcomp.kaldi.table import iter_table, read_table
from entcomp.skipped import SkippedUtterances

Item = TypeVar("Item")


@dataclass(frozen=True)
class Shard:
    """Part ``index`` of ``count``, counted from 1 as Kaldi's JOB; ``1/1`` is the complete set."""

    index: int = 1
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> Shard:
        """``3/8`` is the third of eight. Raises EntcompError for anything else."""
        index, slash, count = text.partition("/")
        if not (
            slash and index.isdecimal() and count.isdecimal() and 1 <= int(index) <= int(count)
        ):
            raise EntcompError(f"--shard {text}: expected i/N with 1 <= i <= N, such as 3/8")
        return cls(int(index), int(count))

    @property
    def suffix(self) -> str:
        """What tells the shard's files apart: ``units.3of8.ark``; empty for the complete set."""
        return "" if self.count == 1 else f".{self.index}of{self.count}"

    def stage(
        self, folder: Path, inputs: dict[str, Any], archive: str, manifest: str = "stage"
    ) -> Stage:
        """The stage of a set, or of this shard of it, that writes ``archive``'s ark and scp.

        The start of a shard withdraws the set, too, if that was of other inputs or of other shards.
        """
        scp = f"{archive}{self.suffix}.scp"
        stage = Stage(folder, inputs, f"{manifest}{self.suffix}", (scp,), (scp,))
        whole = Stage(folder, inputs, manifest, (f"{archive}.scp",))
        if not self.suffix or (whole.is_complete() and not stage.manifest.exists()):
            return stage
        return replace(stage, withdrawn=(scp, whole.manifest.name, *whole.files))

    def bounds(self, total: int) -> tuple[int, int]:
        """First and past-the-last position of the shard among ``total`` items."""
        return total * (self.index - 1) // self.count, total * self.index // self.count

    def take(self, items: Iterable[Item], total: int) -> Iterator[Item]:
        """The shard's items of ``total`` ones."""
        return islice(items, *self.bounds(total))


def merge_scps(folder: Path, name: str, count: int, expected: Iterable[str]) -> None:
    """Concatenate ``name.IofN.scp`` to ``name.scp``, without touching archives.

    ``expected`` are the sorted ids that must be there. Raises EntcompError for a shard that is not
    there, a duplicate, a lost or an unknown utterance.
    """
    path = folder / f"{name}.scp"
    shards = [folder / f"{name}{suffix}.scp" for suffix in _suffixes(count)]
    wanted = iter(expected)
    with atomic_path(path) as temporary:
        with open(temporary, "w", encoding="utf-8") as stream:
            for shard in shards:
                for utt_id, entry in iter_table(shard):
                    due = next(wanted, None)
                    if utt_id != due:
                        raise EntcompError(
                            f"{shard}: {utt_id} instead of {due or 'the end'}: an utterance was "
                            f"lost or written twice; rerun this shard"
                        )
                    stream.write(f"{utt_id} {entry}\n")
        lost = next(wanted, None)
        if lost is not None:
            raise EntcompError(f"{shards[-1]}: {lost} is in no shard; rerun this shard")


def merge_shards(
    folder: Path, name: str, count: int, upstream: Iterable[str], manifest: str = "stage"
) -> dict[str, Any]:
    """Join the shards of one stage and set to what one run would have left, archives apart.

    ``upstream`` are the sorted ids of what the stage read; those that it skipped may be missing.
    The combined manifest has the shards' inputs, the sums of their counts, and the hash of their
    archives one after the other, which is the archive of a single run. Returns its outputs.
    Raises EntcompError if a shard is not there, is unlike the first, or has not its utterances.
    """
    suffixes = _suffixes(count)
    combined, outputs, skipped = _join(
        folder, manifest, manifest.replace("stage", "skipped"), suffixes
    )
    merge_scps(folder, name, count, (utt_id for utt_id in upstream if utt_id not in skipped))
    outputs["sha256"] = sha256_files(folder / f"{name}{suffix}.ark" for suffix in suffixes)
    combined.finish(outputs)
    return outputs


def merge_file_shards(
    folder: Path, extension: str, count: int, upstream: Iterable[str], listing: str
) -> dict[str, Any]:
    """As `merge_shards`, for a stage that writes ``<utt_id><extension>``, all shards to one folder.

    ``listing`` names the lists of those that it could do nothing with, as in ``unaligned``.
    """
    combined, outputs, left_out = _join(folder, "stage", listing, _suffixes(count))
    for utt_id in upstream:
        path = folder / f"{utt_id}{extension}"
        if utt_id not in left_out and not path.exists():
            raise EntcompError(
                f"{path}: no such file, nor a reason in {listing}.txt; rerun a shard"
            )
    combined.finish(outputs)
    return outputs


def merge_listing(folder: Path, name: str, count: int) -> dict[str, str]:
    """Join the shards' ``name.IofN.txt`` of ``utt_id reason`` lines; returns the reasons by id.

    Not every shard has one: see `SkippedUtterances.write`.
    """
    listing = SkippedUtterances(skip_bad=True)
    for path in (folder / f"{name}{suffix}.txt" for suffix in _suffixes(count)):
        if path.exists():
            listing.reasons |= read_table(path)
    listing.write(folder / f"{name}.txt")
    return listing.reasons


def _suffixes(count: int) -> list[str]:
    return [Shard(index, count).suffix for index in range(1, count + 1)]


def _join(
    folder: Path, manifest: str, listing: str, suffixes: list[str]
) -> tuple[Stage, dict[str, Any], dict[str, str]]:
    """The set's stage, begun; what its manifest will hold; why utterances were left out."""
    stages = [_read_shard(folder, f"{manifest}{suffix}") for suffix in suffixes]
    for suffix, stage in zip(suffixes, stages, strict=True):
        if stage["inputs"] != stages[0]["inputs"]:
            raise EntcompError(
                f"{folder / manifest}{suffix}.json: inputs or options differ from those of the "
                f"first shard; rerun the shard that is out of date"
            )
    combined = Stage(folder, stages[0]["inputs"], manifest)
    combined.start()
    left_out = merge_listing(folder, listing, len(suffixes))
    return combined, _sums([stage["outputs"] for stage in stages]), left_out


def _read_shard(folder: Path, name: str) -> dict[str, dict[str, Any]]:
    path = folder / f"{name}.json"
    if not path.exists():
        raise EntcompError(f"{path}: no such file; run this shard to its end")
    return read_stage(folder, name)


def _sums(outputs: list[dict[str, Any]]) -> dict[str, Any]:
    """Whole numbers are counts, and add up; what else differs has no meaning for the set."""
    sums = {}
    for key, value in outputs[0].items():
        values: list[Any] = [one.get(key) for one in outputs]
        if all(type(one) is int for one in values):
            sums[key] = sum(values)
        elif all(one == value for one in values):
            sums[key] = value
    return sums
