"""From a rate to thresholds and back, on made-up entropies."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from fake_experiment import Fake, make_fake, write_calibration, write_entropies

from entcomp.artifacts.calibration import Calibration
from entcomp.errors import EntcompError
from entcomp.files import sha256_file
from entcomp.segmentation import calibration
from entcomp.segmentation.calibration import find_level, resolve
from entcomp.segmentation.criteria import CRITERIA
from entcomp.segmentation.criterion import Criterion
from entcomp.segmentation.request import Request
from entcomp.segmentation.rows import Rows
from entcomp.segmentation.rule import Rule, group_one, group_starts


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Fake:
    return make_fake(tmp_path_factory.mktemp("raw"), {"dev": 60})


@pytest.fixture(scope="module")
def dedup(tmp_path_factory: pytest.TempPathFactory) -> Fake:
    return make_fake(tmp_path_factory.mktemp("dedup"), {"dev": 60}, dedup=True)


def rate_of(fake: Fake, rule: Rule) -> float:
    """Groups a second of the calibration set."""
    forward, backward = (fake.entropies[direction]["dev"] for direction in ("forward", "backward"))
    rows = Rows.join([(utt_id, forward[utt_id], backward[utt_id]) for utt_id in forward])
    seconds = len(rows.values) * fake.experiment.units_info().frame_shift
    return float(group_starts(rows, rule).sum() / seconds)


REQUESTS: list[tuple[float, dict[str, Any]]] = [
    *((rate, {"criterion": "global", "target_rate": rate}) for rate in (24, 15, 7, 1)),
    *((rate, {"criterion": "relative", "target_rate": rate}) for rate in (24, 15, 7)),
    *((rate, {"criterion": "combined", "target_rate": rate}) for rate in (15, 7)),
    *((rate, {"criterion": "peak", "target_rate": rate}) for rate in (15, 7)),
    *((rate, {"criterion": "bidirectional", "target_rate": rate}) for rate in (24, 15, 7)),
    (7, {"criterion": "bidirectional", "target_rate": 7, "peaks": True}),
    (15, {"criterion": "global", "target_rate": 15, "min_length": 2, "max_length": 10}),
    (7, {"criterion": "peak", "target_rate": 7, "min_length": 3}),
    *(
        (rate, {"criterion": name, "target_rate": rate, "boundary": "last"})
        for rate in (15, 7)
        for name in ("global", "relative", "combined", "peak", "bidirectional")
    ),
    (7, {"criterion": "global", "target_rate": 7, "min_length": 3, "boundary": "last"}),
    (7, {"criterion": "global", "theta_g": 9.7}),
    (15, {"criterion": "relative", "theta_r": 0.69}),
    (7, {"criterion": "combined", "theta_g": 0.86, "theta_r": 0.68}),
    (7, {"criterion": "peak", "theta_g": 0.97}),
]


@pytest.mark.parametrize(("rate", "request_"), REQUESTS, ids=lambda value: str(value)[:60])
def test_rate_is_reached(raw: Fake, rate: float, request_: dict[str, Any]) -> None:
    rule = resolve(Request(**request_), raw.experiment, 0.02)
    assert rate_of(raw, rule) == pytest.approx(rate, rel=0.01)


@pytest.mark.parametrize("criterion", ["global", "relative", "combined", "peak", "bidirectional"])
def test_rate_is_reached_on_runs(dedup: Fake, criterion: str) -> None:
    rule = resolve(Request(criterion, target_rate=5), dedup.experiment, 0.02)
    assert rate_of(dedup, rule) == pytest.approx(5, rel=0.01)


def test_paper_theta_on_runs(dedup: Fake) -> None:
    rule = resolve(Request("global", theta_g=9.7), dedup.experiment, 0.02)
    assert rate_of(dedup, rule) == pytest.approx(7, rel=0.01)


def test_global_needs_the_calibration_only(tmp_path: Path) -> None:
    fake = make_fake(tmp_path, {"dev": 60})
    for scp in (fake.experiment.entropy("dev")).glob("*.scp"):
        scp.unlink()
    rule = resolve(Request("global", target_rate=15), fake.experiment, 0.02)
    assert rate_of(fake, rule) == pytest.approx(15, rel=0.01)
    with pytest.raises(EntcompError, match="run score-entropy first"):
        resolve(Request("peak", target_rate=7), fake.experiment, 0.02)


def test_quantile_is_a_share_of_the_positions(raw: Fake) -> None:
    request = Request("global", theta_g=0.8, theta_unit="quantile")
    theta = resolve(request, raw.experiment, 0.02).theta_g
    values = np.concatenate([vector[1:] for vector in raw.entropies["forward"]["dev"].values()])
    assert np.mean(values > theta) == pytest.approx(0.2, abs=1e-3)
    both = Request("combined", theta_g=0.5, theta_r=0.7, theta_unit="quantile")
    rule = resolve(both, raw.experiment, 0.02)
    assert rule.theta_g == pytest.approx(np.quantile(values, 0.5), abs=1e-3)
    rises = [np.diff(vector) for vector in raw.entropies["forward"]["dev"].values()]
    assert rule.theta_r == pytest.approx(np.quantile(np.concatenate(rises), 0.7), abs=1e-3)


def test_thresholds_are_single_precision(raw: Fake) -> None:
    rule = resolve(Request("global", theta_g=0.1, theta_unit="nats"), raw.experiment, 0.02)
    assert rule.theta_g == float(np.float32(0.1))


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"criterion": "peak", "target_rate": 30}, "30 Hz is out of reach: .* 0.1. to 16"),
        ({"criterion": "global", "target_rate": 70}, "70 Hz is out of reach: .* to 50.00 Hz"),
        ({"criterion": "global", "target_rate": 0.01}, "0.01 Hz is out of reach"),
        ({"criterion": "global", "target_rate": 4, "max_length": 5}, "4 Hz is out of reach"),
        ({"criterion": "uniform", "target_rate": 51}, "only 50 units a second"),
        ({"criterion": "global", "theta_g": 6.1, "theta_unit": "nats"}, "nothing in the calib"),
        ({"criterion": "global", "theta_g": 6.3, "theta_unit": "nats"}, "no entropy over 500"),
        ({"criterion": "global", "theta_g": 1.5, "theta_unit": "quantile"}, "below 1"),
    ],
)
def test_out_of_reach(raw: Fake, request_: dict[str, Any], message: str) -> None:
    with pytest.raises(EntcompError, match=message):
        resolve(Request(**request_), raw.experiment, 0.02)


def test_calibration_of_another_lm_is_refused(tmp_path: Path) -> None:
    fake = make_fake(tmp_path, {"dev": 5})
    write_entropies(fake, "dev", "forward", lm="another")
    with pytest.raises(EntcompError, match="another LM"):
        resolve(Request("peak", target_rate=7), fake.experiment, 0.02)


def test_incomplete_calibration_is_refused(tmp_path: Path) -> None:
    fake = make_fake(tmp_path, {"dev": 5})
    path = fake.experiment.calibration()
    path.write_text(path.read_text().replace('"predictions": ', '"utterances": '))
    with pytest.raises(EntcompError, match=r"calibration.json: .*predictions.*rerun score-entropy"):
        resolve(Request("global", target_rate=7), fake.experiment, 0.02)


def test_a_large_calibration_set_is_sampled_and_said(
    raw: Fake, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(calibration, "SAMPLE_UNITS", 5000)
    rule = resolve(Request("peak", target_rate=7), raw.experiment, 0.02)
    assert rate_of(raw, rule) == pytest.approx(7, rel=0.1)
    assert "calibrated on the first 5," in capsys.readouterr().out


def test_codebook_of_the_calibration(tmp_path: Path) -> None:
    fake = make_fake(tmp_path, {"dev": 5})
    write_calibration(fake, "dev", "forward", codebook_sha256="another")
    found = Calibration.find(fake.experiment)
    assert found is not None
    with pytest.raises(EntcompError, match="another codebook"):
        found.check_codebook("c0de")


def test_bisection() -> None:
    assert find_level(10, lambda level: 50 * (1 - level)) == pytest.approx(0.8, abs=1e-4)


def test_what_a_criterion_reads_travels_in_its_rule(
    raw: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a file of its own, whose hash is noticed; beside the options that it was given."""
    path = tmp_path / "every.txt"
    path.write_text("3")

    class FromFile(Criterion):
        help = "every so many units as a file says"
        strengths = ((),)
        options: ClassVar = {"file": ""}

        def prepare(self, request: Request, *_: object) -> dict[str, Any]:
            read = Path(request.options["file"])
            return {"window": int(read.read_text()), "options": {"sha256": sha256_file(read)}}

        def starts(self, rows: Rows, rule: Rule) -> np.ndarray:
            return rows.positions % rule.window == 0

    monkeypatch.setitem(CRITERIA._found, "from_file", FromFile)
    request = Request.make("from_file", options={"file": str(path)})
    rule = resolve(request, raw.experiment, 0.02)
    assert rule.options == {"file": str(path), "sha256": sha256_file(path)}
    assert group_one("", np.zeros(7, np.int32), None, rule).tolist() == [3, 3, 1]
    assert "/" not in request.tag and request.tag.startswith("from_file_file")
