"""Units of any file that holds them: what `tokenize` writes, archives, text."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from entcomp.artifacts.archive import Archive
from entcomp.artifacts.experiment import UnitsInfo
from entcomp.artifacts.groups import Groups, groups_fault
from entcomp.artifacts.hashes import check_same
from entcomp.artifacts.stage import archive_sha256
from entcomp.artifacts.units import LONGEST, Units, units_fault
from entcomp.errors import EntcompError
from entcomp.files import sha256_file
from entcomp.formats.token_lines import read_token_lines
from entcomp.formats.units import read_units
from entcomp.kaldi.ark import iter_ark
from entcomp.skipped import SkippedUtterances

# Id, units int32 (frames,), and lengths of groups int32 (groups,), if the file has them.
Found = tuple[str, np.ndarray, np.ndarray | None]
REMEDY = "give units of the model's own kind"
UNITS = "units.scp"  # beside which tokenize puts groups.scp


@dataclass(frozen=True)
class UnitSource:
    """A file or folder of units, and the units ``info`` that they have to be.

    ``deduplicated`` units come without durations: one a run, not one a frame.
    """

    path: Path
    info: UnitsInfo
    deduplicated: bool = False

    @property
    def sha256(self) -> str:
        """Of its content."""
        if self.path.is_dir():
            names = ("units", "groups")
            found = [one for one in names if (self.path / f"{one}.scp").exists()]
            return "".join(archive_sha256(self.path, one) for one in found)
        is_scp = self.path.suffix == ".scp"
        return (
            archive_sha256(self.path.parent, self.path.stem) if is_scp else sha256_file(self.path)
        )

    def read(self, skipped: SkippedUtterances) -> Iterator[Found]:
        """Its utterances; bad ones go to ``skipped``.

        A folder holds ``units.scp`` and maybe ``groups.scp``; ``.scp`` and binary archives are told
        by their names and bytes; all else has lines: JSON, as `tokenize` or S3Tokenizer write them,
        or ``utt_id 1 2 3``. Raises EntcompError for another file, for units of another codebook or
        frame shift, where the file tells, and for deduplicated ones beside what counts frames.
        """
        if self.path.name.startswith("groups."):
            raise EntcompError(
                f"{self.path}: lengths of groups, not units; give units.scp, or a folder with both"
            )
        if self.path.is_dir() or self.path.suffix == ".scp":
            return self._archives(skipped)
        if self.path.suffix == ".km":
            raise EntcompError(f"{self.path}: has no ids; import-units makes archives of .km files")
        with open(self.path, "rb") as stream:
            beginning = stream.read(1 << 16)
        if b" \0B" in beginning:
            return self._checked(iter_ark(self.path), skipped)
        if not beginning.lstrip().startswith(b"{"):
            return self._lines("text", skipped)
        is_s3 = b'"code"' in beginning.partition(b"\n")[0] and b'"units"' not in beginning
        return self._lines("jsonl", skipped) if is_s3 else self._tokenized(skipped)

    def _archives(self, skipped: SkippedUtterances) -> Iterator[Found]:
        """What tokenize --format kaldi, dump-units and import-units leave."""
        scp = self.path / UNITS if self.path.is_dir() else self.path
        units = Units(scp.parent, scp.stem, num_clusters=self.info.num_clusters)
        units.check_exists("give a folder with units.scp, or a file")
        for folder in (scp.parent, scp.parent.parent):
            if (folder / "units.json").exists():
                info = UnitsInfo.read(folder / "units.json")
                facts = asdict(info) | {
                    "frame_shift": info.frame_shift,
                    "receptive_offset": info.receptive_offset,
                }
                self._check_facts(facts, folder / "units.json")
        self._check_facts(units.inputs, scp)
        groups = Archive(scp.parent, "groups")
        if scp.name == UNITS and groups.scp.exists():
            self._check_frames(groups.scp)
            yield from Groups("groups", units, groups).with_units(skipped)
        else:
            yield from ((utt_id, vector, None) for utt_id, vector in units.rows(skipped))

    def _lines(self, kind: str, skipped: SkippedUtterances) -> Iterator[Found]:
        rows = read_units([self.path], kind, self.info.num_clusters, skipped)
        yield from ((utt_id, units, None) for utt_id, units in rows)

    def _checked(
        self, rows: Iterator[tuple[str, np.ndarray]], skipped: SkippedUtterances
    ) -> Iterator[Found]:
        for utt_id, units in rows:
            if reason := units_fault(units, self.info.num_clusters):
                skipped.add(utt_id, f"{self.path}: {reason}")
            else:
                yield utt_id, units, None

    def _tokenized(self, skipped: SkippedUtterances) -> Iterator[Found]:
        for line in read_token_lines(self.path):
            self._check_facts(line.facts, line.where)
            if line.groups is not None or line.durations is not None:
                self._check_frames(line.where)
            units, reason = line.units, None
            if line.durations is not None:
                reason = _durations_fault(line.durations, len(units))
                units = units if reason else np.repeat(units, line.durations)
            reason = reason or units_fault(units, self.info.num_clusters)
            if line.groups is not None:
                reason = reason or groups_fault(line.groups, len(units))
            if reason:
                skipped.add(line.utt_id, f"{line.where}: {reason}")
            else:
                yield line.utt_id, units, line.groups

    def _check_frames(self, where: object) -> None:
        if self.deduplicated:
            raise EntcompError(
                f"{where}: groups and durations count frames, which deduplicated units lack; leave "
                "out --deduplicated, or give the units alone"
            )

    def _check_facts(self, facts: Mapping[str, Any], where: object) -> None:
        """Raises EntcompError for units of another kind than the model's, as far as facts tell."""
        check_same(
            self.info.codebook_sha256, facts.get("codebook_sha256"), "codebook", where, REMEDY
        )
        for name in ("frame_shift", "receptive_offset"):
            ours, theirs = getattr(self.info, name), facts.get(name, getattr(self.info, name))
            if not isinstance(theirs, (int, float)) or abs(theirs - ours) > 1e-6:
                raise EntcompError(
                    f"{where}: {name} is {theirs} s, and {ours:g} s in the model; {REMEDY}"
                )


def _durations_fault(durations: np.ndarray, num_units: int) -> str | None:
    if len(durations) != num_units:
        return f"{len(durations)} durations of {num_units} units"
    if num_units and durations.min() < 1:
        return f"a duration of {durations.min()} frames"
    return (
        None if durations.sum(dtype=np.int64) <= LONGEST else "durations too long for one utterance"
    )


@contextmanager
def open_sources(
    paths: Sequence[Path], info: UnitsInfo, deduplicated: bool
) -> Iterator[list[UnitSource]]:
    """The source of each path; ``-`` is the standard input, kept in a file while the block runs.

    Raises EntcompError for a path that is not there.
    """
    with tempfile.TemporaryDirectory() as folder:
        stdin = Path(folder) / "standard input"
        if Path("-") in paths:
            with open(stdin, "wb") as stream:
                shutil.copyfileobj(sys.stdin.buffer, stream)
        found = [stdin if path == Path("-") else path for path in paths]
        for path in found:
            if not path.exists():
                raise EntcompError(f"{path}: no such file")
        try:
            yield [UnitSource(path, info, deduplicated) for path in found]
        except EntcompError as error:
            raise EntcompError(str(error).replace(str(stdin), stdin.name)) from None
