"""``EXP/segments/<tag>/threshold.json``: what a segmentation was made by, and what it reached."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from entcomp.artifacts.hashes import check_same
from entcomp.artifacts.record import parse_record
from entcomp.files import read_json

REMEDY = "rerun segment"


@dataclass(frozen=True)
class SegmentationInfo:
    """A segmentation: its rule, what was asked for, hashes, and rates by set.

    ``given`` are the options that said how much to compress; ``target_rate`` and ``rates`` are in
    groups a second, ``frame_shift`` is in seconds. ``rule`` are the values of the criterion's rule,
    ``criterion`` among them; thresholds are in nats, or in the unit of the criterion's score.
    """

    path: str
    criterion: str
    rule: dict[str, Any]
    given: dict[str, Any] = field(default_factory=dict)
    target_rate: float | None = None
    frame_shift: float | None = None
    codebook_sha256: str | None = None
    lm_sha256: str | None = None
    lm_backward_sha256: str | None = None
    rates: dict[str, float] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> SegmentationInfo:
        """Raises EntcompError for a missing or damaged file."""
        return cls.parse(read_json(path), path)

    @classmethod
    def parse(cls, values: dict[str, Any], path: Path) -> SegmentationInfo:
        """What stands in ``path``, or is to. Raises EntcompError as `read` does."""
        names = {one.name for one in fields(cls)} - {"path", "rule"}
        facts = {name: value for name, value in values.items() if name in names}
        rule = {k: v for k, v in values.items() if k == "criterion" or k not in names}
        return parse_record(cls, {**facts, "path": str(path), "rule": rule}, path, REMEDY)

    @property
    def label(self) -> str:
        """The criterion as figures name it, as in ``bidirectional peaks``."""
        return self.criterion + (" peaks" if self.rule.get("peaks") else "")

    def threshold(self, name: str) -> float | None:
        """A threshold of the rule, as in ``theta_g``; None where it has no such one."""
        return self.rule.get(name)

    def made(self, inputs: dict[str, Any]) -> bool:
        """Were a set's groups, whose manifest has these inputs, made by this rule?"""
        return inputs.get("rule") == self.rule

    def check_codebook(self, codebook_sha256: str) -> None:
        """Raises EntcompError for groups of another codebook's units."""
        remedy = f"{REMEDY}, or use another EXP"
        check_same(codebook_sha256, self.codebook_sha256, "codebook", Path(self.path), remedy)

    def check_lms(self, *lm_sha256: str) -> None:
        """Raises EntcompError for thresholds of other LMs than these, the forward one first."""
        stored = (self.lm_sha256, self.lm_backward_sha256)
        for ours, theirs in zip(lm_sha256, stored, strict=False):
            check_same(theirs, ours, "LM", Path(self.path), REMEDY)
