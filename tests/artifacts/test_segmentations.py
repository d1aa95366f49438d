"""threshold.json: what it holds, and one line for each way of being wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fake_experiment import make_fake

from entcomp.artifacts.segmentations import SegmentationInfo
from entcomp.errors import EntcompError
from entcomp.files import read_json, write_json
from entcomp.segmentation.request import Request
from entcomp.segmentation.rule import Rule
from entcomp.segmentation.stage import segment_sets


@pytest.mark.parametrize("criterion", ["global", "bidirectional", "dedup"])
def test_what_segment_writes_is_read_back(tmp_path: Path, criterion: str) -> None:
    fake = make_fake(tmp_path, {"dev": 30})
    rate = None if criterion == "dedup" else 10.0
    list(segment_sets(fake.experiment, ["dev"], Request(criterion, target_rate=rate), tag="x"))
    info = fake.experiment.segmentation("x")
    stored = read_json(fake.experiment.threshold("x"))
    assert (info.criterion, info.target_rate, info.frame_shift) == (criterion, rate, 0.02)
    assert info.rates == stored["rates"] and info.codebook_sha256 == "c0de"
    assert Rule.from_json(info.rule) == Rule.from_json(stored)
    assert info.label == fake.experiment.criterion("x")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"criterion": None}, "key 'criterion': .*; rerun segment"),
        ({"rates": {"dev": "fast"}}, "key 'rates.dev': .*; rerun segment"),
        ({"rates": 15}, "key 'rates': .*; rerun segment"),
        ({"codebook_sha256": 7}, "key 'codebook_sha256': .*; rerun segment"),
    ],
)
def test_damaged_thresholds_are_one_line(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    path = tmp_path / "threshold.json"
    write_json(path, {"criterion": "global", "theta_g": 2.0, "rates": {"dev": 15.0}} | changes)
    with pytest.raises(EntcompError, match=f"threshold.json: {message}"):
        SegmentationInfo.read(path)


def test_thresholds_of_another_lm(tmp_path: Path) -> None:
    path = tmp_path / "threshold.json"
    write_json(path, {"criterion": "global", "lm_sha256": "one", "lm_backward_sha256": "two"})
    info = SegmentationInfo.read(path)
    info.check_lms("one", "two")
    for lms in (("two",), ("one", "one")):
        with pytest.raises(EntcompError, match="made with another LM; rerun segment"):
            info.check_lms(*lms)
