"""The criterion of the README, one file in another package, through all that asks it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from fake_alignment import make_aligned
from fake_experiment import Fake
from own_package import environment_with, install_package

from entcomp.kaldi.ark import iter_vectors

Env = Mapping[str, str]
README = Path("entcomp") / "segmentation" / "criteria" / "README.md"


def python(env: Env, code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """A program in that environment; wide, so that help and tables break no line."""
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={**env, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


def entcomp(env: Env, *arguments: object) -> subprocess.CompletedProcess[str]:
    """`entcomp ARGUMENTS` in that environment."""
    return python(env, "from entcomp.cli.app import main; main()", *arguments)


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Env:
    """Where `contrast` is installed."""
    (source,) = re.findall(r"```python\n(.*?)```", (repository / README).read_text(), re.DOTALL)
    folder = tmp_path_factory.mktemp("site")
    install_package(folder, "contrasting", source, "entcomp.criteria", "contrast = Contrast")
    return environment_with(folder)


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory, env: Env) -> Fake:
    """Segmented by it at 10 Hz, and by the default criterion."""
    fake = make_aligned(tmp_path_factory.mktemp("fake"))
    for options in (["--criterion", "contrast"], []):
        done = entcomp(env, "segment", "--target-rate", 10, *options, *fake.arguments)
        assert done.returncode == 0, done.stderr
    return fake


def groups(fake: Fake, tag: str) -> dict[str, np.ndarray]:
    return dict(iter_vectors(fake.experiment.segments(tag) / "test" / "groups.scp"))


def test_help_lists_it(env: Env) -> None:
    line = r"contrast: entropy above that of both neighbours \(--theta-g or --target-rate; --option"
    assert re.search(line, entcomp(env, "segment", "--help").stdout)


def test_segment_meets_the_rate_by_its_rule(fake: Fake) -> None:
    stored = json.loads(
        (fake.experiment.segments("rate10_contrast") / "threshold.json").read_text()
    )
    assert stored["criterion"] == "contrast" and stored["options"] == {"weight": 1.0}
    assert stored["rates"]["test"] == pytest.approx(10, rel=0.02)
    for utt_id, lengths in groups(fake, "rate10_contrast").items():
        entropy = fake.entropies["forward"]["test"][utt_id]
        above = entropy[1:-1] - (entropy[:-2] + entropy[2:]) / 2 > stored["theta_z"]
        starts = [0, *(np.flatnonzero(above) + 1).tolist()]
        assert np.cumsum([0, *lengths])[:-1].tolist() == starts


def test_its_options_stand_in_the_tag_and_the_rule(env: Env, fake: Fake) -> None:
    options = ["--criterion", "contrast", "--target-rate", 10, "--option", "weight=0.5"]
    done = entcomp(env, "segment", *options, *fake.arguments)
    assert done.stdout.startswith("rate10_contrast_weight0.5: "), done.stderr
    found, default = (groups(fake, tag) for tag in ("rate10_contrast_weight0.5", "rate10_contrast"))
    assert any(found[utt_id].tolist() != default[utt_id].tolist() for utt_id in default)
    for option, message in (("weight=x", "must be of type float"), ("w=1", "has: weight")):
        done = entcomp(env, "segment", *options[:-1], option, *fake.arguments)
        assert done.returncode == 1 and message in done.stderr


def test_a_new_criterion_with_theta_g_overwrote_global(env: Env, fake: Fake) -> None:
    """It got the tag of the default criterion."""
    options = ["--theta-g", "0.7", "--theta-unit", "quantile"]
    for criterion in ([], ["--criterion", "contrast"]):
        assert entcomp(env, "segment", *options, *criterion, *fake.arguments).returncode == 0
    assert (fake.experiment.segments("theta_g0.7quantile") / "threshold.json").exists()
    stored = fake.experiment.segments("theta_g0.7quantile_contrast") / "threshold.json"
    assert json.loads(stored.read_text())["criterion"] == "contrast"


def test_the_papers_theta_means_nothing_for_it(env: Env, fake: Fake) -> None:
    done = entcomp(env, "segment", "--criterion", "contrast", "--theta-g", "9.7", *fake.arguments)
    assert (
        done.returncode == 1 and "the paper has no thetas for --criterion contrast" in done.stderr
    )


def test_streaming_gives_the_groups_of_offline(env: Env, fake: Fake) -> None:
    code = """if True:
        import json, sys
        import numpy as np
        from pathlib import Path
        from entcomp.kaldi.ark import iter_vectors
        from entcomp.segmentation.rule import Rule
        from entcomp.segmentation.streaming import StreamingGroups

        rule = Rule.from_json(json.loads(Path(sys.argv[1]).read_text()))
        for utt_id, entropies in iter_vectors(Path(sys.argv[2])):
            stream = StreamingGroups(rule)
            found = [length for one in entropies for length in stream.push(np.array([one]))]
            print(utt_id, *found, *stream.finish())
    """
    tag = fake.experiment.segments("rate10_contrast")
    scp = fake.experiment.entropy("test") / "entropy.scp"
    done = python(env, code, tag / "threshold.json", scp)
    assert done.returncode == 0, done.stderr
    found = {utt_id: lengths for utt_id, *lengths in map(str.split, done.stdout.splitlines())}
    expected = groups(fake, "rate10_contrast")
    assert found == {utt_id: list(map(str, lengths)) for utt_id, lengths in expected.items()}


def test_it_is_scored_and_reported(env: Env, fake: Fake) -> None:
    assert entcomp(env, "align-eval", *fake.arguments).returncode == 0
    scores = fake.experiment.alignment_scores("rate10_contrast") / "test.json"
    assert json.loads(scores.read_text())["criterion"] == "contrast"
    done = entcomp(env, "report", *fake.arguments)
    assert done.returncode == 0, done.stderr
    html = Path(done.stdout.strip()).read_text(encoding="utf-8")
    assert "<td>rate10_contrast</td><td>contrast</td>" in html
    code = "from entcomp.report.figures import stream_styles; print(stream_styles()['contrast'])"
    assert "color='#882255', marker='p'" in python(env, code).stdout


def test_without_its_package_it_is_unknown(fake: Fake) -> None:
    arguments = ["segment", "--criterion", "contrast", "--target-rate", 10, *fake.arguments]
    done = entcomp(os.environ, *arguments)
    assert done.returncode == 1
    assert "--criterion contrast: one of global, bidirectional, combined" in done.stderr


def test_a_broken_package_is_a_warning(tmp_path: Path) -> None:
    install_package(tmp_path, "broken", "1 / 0\n", "entcomp.criteria", "bad = Bad")
    done = python(
        environment_with(tmp_path),
        "from entcomp.segmentation.criteria import CRITERIA; print(list(CRITERIA))",
    )
    assert done.returncode == 0 and "'global'" in done.stdout and "'bad'" not in done.stdout
    assert "criterion bad (broken:Bad): cannot be loaded: division by zero" in done.stderr
