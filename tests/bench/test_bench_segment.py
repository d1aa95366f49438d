"""Units a second of `segment`, archive to archive, beside the script that one writes first."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import kaldiio
import numpy as np
import pytest

from entcomp.artifacts.entropies import Entropies
from entcomp.artifacts.experiment import Direction, Experiment
from entcomp.kaldi.ark import ArkWriter
from entcomp.segmentation.rule import Rule
from entcomp.segmentation.source import Source
from entcomp.segmentation.stage import segment_set

UTTERANCES, PLAIN_UTTERANCES = 10_000, 1_000
UNITS_AN_UTTERANCE = 600
THETA = 2.0


@pytest.fixture(scope="module")
def entropies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """6 million units, 33 hours at 50 Hz."""
    folder = Experiment(tmp_path_factory.mktemp("exp")).entropy("dev")
    generator = np.random.default_rng(0)
    with ArkWriter(folder, "entropy") as ark, ArkWriter(folder, "entropy_backward") as backward:
        for i in range(UTTERANCES):
            entropy = generator.gamma(2.0, 0.7, UNITS_AN_UTTERANCE).astype(np.float32)
            ark.write(f"utt{i:06d}", entropy)
            backward.write(f"utt{i:06d}", entropy[::-1].copy())
    return folder


def plain_loop(entropies: Path, folder: Path) -> None:
    """kaldiio and a loop over units, for the global threshold whatever the rule."""
    names = f"ark,scp:{folder / 'plain.ark'},{folder / 'plain.scp'}"
    with kaldiio.WriteHelper(names) as ark:
        pairs = kaldiio.load_scp_sequential(str(entropies / "entropy.scp"))
        for utt_id, entropy in islice(pairs, PLAIN_UTTERANCES):
            starts = [0] + [i for i in range(1, len(entropy)) if entropy[i] > THETA]
            ark(utt_id, np.diff([*starts, len(entropy)]).astype(np.int32))


def seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


RULES = [
    Rule("global", theta_g=THETA),
    Rule("combined", theta_g=THETA, theta_r=0.5),
    Rule("peak", theta_g=THETA),
    Rule("bidirectional", theta_z=1.0, moments=((1.4, 1.0), (1.4, 1.0)), peaks=True),
    Rule("global", theta_g=THETA, min_length=2, max_length=20),
    Rule("random", groups_per_unit=0.3, seed=0),
]


@pytest.mark.bench
@pytest.mark.parametrize("rule", RULES, ids=lambda r: f"{r.criterion}{r.min_length}")
def test_bench_segment(
    entropies: Path, tmp_path: Path, rule: Rule, capsys: pytest.CaptureFixture[str]
) -> None:
    both = rule.criterion == "bidirectional"
    directions: list[Direction] = ["forward", "backward"] if both else ["forward"]
    experiment = Experiment(entropies.parents[1])
    source = Source("dev", entropies=Entropies.open(experiment, "dev", directions))
    took = seconds(lambda: segment_set(source, tmp_path / "ours", rule))
    fast = UTTERANCES * UNITS_AN_UTTERANCE / took
    slow = PLAIN_UTTERANCES * UNITS_AN_UTTERANCE / seconds(lambda: plain_loop(entropies, tmp_path))
    with capsys.disabled():
        print(f"\nsegment {rule.criterion}: {fast / 1e6:.1f} M units/s, {fast / slow:.1f} x a loop")
    assert fast > 1.5 * slow
