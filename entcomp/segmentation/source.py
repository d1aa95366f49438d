"""What groups are made from: units for baselines, entropies for the criteria."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from entcomp.artifacts.archive import Archive
from entcomp.artifacts.entropies import Entropies
from entcomp.artifacts.experiment import Direction, Experiment
from entcomp.artifacts.shard import Shard
from entcomp.artifacts.units import Units
from entcomp.segmentation.rows import Row, row_of
from entcomp.skipped import SkippedUtterances


@dataclass(frozen=True)
class Source:
    """What a criterion reads of a set: its units, or its entropies in one direction or in both."""

    set_name: str
    units: Units | None = None
    entropies: Entropies | None = None

    @classmethod
    def of(cls, experiment: Experiment, set_name: str, directions: Sequence[Direction]) -> Source:
        """The entropies of LMs in these ``directions``; the units where there are none.

        Raises EntcompError naming the stage that was not run; see `Units` and `Entropies`.
        """
        if directions:
            return cls(set_name, entropies=Entropies.open(experiment, set_name, directions))
        return cls(set_name, units=Units.open(experiment, set_name))

    @property
    def _archives(self) -> list[Archive]:
        """Forward before backward."""
        if self.entropies is not None:
            return list(self.entropies.archives.values())
        return [self.units] if self.units is not None else []

    @property
    def scps(self) -> list[Path]:
        return [one.scp for one in self._archives]

    @property
    def directions(self) -> list[Direction]:
        """Of the LMs whose entropies these are; none for units."""
        return list(self.entropies.archives) if self.entropies is not None else []

    def ids(self) -> Iterator[str]:
        """Ids in order, without a look into the archive."""
        return self._archives[0].ids()

    def count(self) -> int:
        """Utterances."""
        return self._archives[0].count()

    def content_hashes(self) -> list[str]:
        """SHA-256 of each archive, from its stage's manifest or, without one, from its bytes."""
        return [one.sha256 for one in self._archives]

    @property
    def units_sha256(self) -> str | None:
        """The units that these are, or that the entropies are of; None where nothing says it."""
        if self.entropies is not None:
            return self._archives[0].inputs.get("units_sha256")
        return self.units.outputs.get("sha256") if self.units is not None else None

    def lm_sha256(self, direction: Direction) -> str | None:
        """The LM that made the entropies; None for units, and for another toolkit's files."""
        return self.entropies.lm_sha256(direction) if self.entropies is not None else None

    def check_lm(self, direction: Direction, expected: str | None) -> None:
        """Raises EntcompError for entropies of another LM, if both are known."""
        if self.entropies is not None:
            self.entropies.check_lm(direction, expected)

    def remarks(self) -> list[str]:
        """What is to be said of the utterances read so far: a line for each kind."""
        return []

    def write_remarks(self, path: Path) -> None:
        """List those utterances in a file, where there are any."""

    def rows(self, skipped: SkippedUtterances, shard: Shard = Shard()) -> Iterator[Row]:
        """Yield ``(utt_id, values, backward or None)``; bad utterances go to ``skipped``."""
        if self.units is not None:
            for utt_id, units in self.units.rows(skipped, shard):
                yield utt_id, units, None
        if self.entropies is not None:
            compare = not self.entropies.match_units
            for utt_id, entropies in self.entropies.rows(skipped, shard, compare_units=compare):
                yield row_of(utt_id, entropies)
