"""The report on voice conversion, from made-up scores and recordings."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
import soundfile
from command_line import run
from fake_alignment import make_aligned
from fake_experiment import Fake

from entcomp.files import write_json
from entcomp.kaldi.table import write_table
from entcomp.report import figures
from entcomp.report.conversion import ConversionScores, read_conversions

# Groups a second, WER in percent, likeness to the reference.
SYSTEMS = {
    "source": (None, 9.0, 0.45),
    "resynthesis": (None, 12.0, 0.44),
    "raw": (41.7, 15.0, 0.7),
    "rate15_global": (15.0, 20.0, 0.65),
    "rate7_global": (7.1, 41.0, 0.6),
}


def summary(rate: float | None, wer: float, likeness: float) -> dict[str, Any]:
    def mean(value: float) -> dict[str, Any]:
        return {"mean": value, "interval": [value - 0.1, value + 0.1]}

    def percent(value: float) -> dict[str, Any]:
        return {"percent": value, "interval": [value - 5, value + 5]}

    return {
        "utterances": 6,
        "closer_to_reference": percent(90.0),
        "dnsmos": mean(2.5),
        "distillmos": mean(3.5),
        "similarity_reference": mean(likeness),
        "similarity_source": mean(0.5),
        "cer_ears": percent(wer / 2),
        "wer_ears": percent(wer),
        **({} if rate is None else {"rate": rate}),
    }


def write_scores(fake: Fake) -> None:
    """What convert and score-vc leave; the voice of test-00000 is everybody's reference."""
    ids = list(fake.units["test"])
    reference = fake.data / "test-00000.wav"
    folder = fake.experiment.path / "vc" / "scores" / "test"
    audio, systems = {}, {}
    for name, numbers in SYSTEMS.items():
        systems[name] = summary(*numbers)
        if name.startswith("ra"):
            systems[name]["segments"] = name
        heard = {utt_id: {"text_ears": f"{name} said <it>"} for utt_id in ids}
        write_json(folder / f"{name}.json", {"inputs": {}, "outputs": heard})
        if name == "source":
            continue
        made = fake.experiment.path / "made" / name
        made.mkdir(parents=True)
        for number, utt_id in enumerate(ids):
            tone = 0.1 * np.sin(np.arange(22050 + 44100 * (number > 1)) / 9)
            soundfile.write(made / f"{utt_id}.wav", tone, 22050)
        write_table(made / "wav.scp", ((one, str(made / f"{one}.wav")) for one in ids))
        write_table(made / "utt2ref", ((one, str(reference)) for one in ids))
        audio[name] = str(made)
    models = {"ears": "Ears v1", "distillmos": "DistillMOS v7"}
    write_json(folder / "scores.json", {"models": models, "systems": systems, "audio": audio})


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Fake:
    fake = make_aligned(tmp_path_factory.mktemp("conversion"))
    for rate in (15, 7):
        run("segment", "--criterion", "global", "--target-rate", rate, *fake.arguments)
    write_scores(fake)
    return fake


def scores(fake: Fake) -> ConversionScores:
    found = read_conversions(fake.experiment, "test")
    assert found is not None
    return found


def test_a_row_a_system_as_in_the_paper(fake: Fake) -> None:
    table = scores(fake).table()
    assert table.header == [
        "system", "Hz", "WER (%), ears", "CER (%), ears", "similarity to reference",
        "similarity to source", "closer to reference (%)", "DistillMOS", "DNSMOS",
    ]  # fmt: skip
    assert [row[0] for row in table.rows] == list(SYSTEMS)
    assert [row[1] for row in table.rows] == ["", "", "41.7", "15.0", "7.1"]
    assert table.rows[3][2:5] == ["20.0 [15.0, 25.0]", "10.0 [5.0, 15.0]", "0.65 [0.55, 0.75]"]
    assert "- ears: Ears v1\n" in scores(fake).markdown()


def test_points_are_models_and_lines_are_not(fake: Fake) -> None:
    points = scores(fake).points("wer_ears", fake.experiment)
    assert [(one.kind, one.rate, one.value) for one in points] == [
        ("raw", 41.7, 15.0),
        ("global", 15.0, 20.0),
        ("global", 7.1, 41.0),
    ]
    assert (points[0].low, points[0].high) == (10, 20)
    assert scores(fake).lines("wer_ears", points) == {
        "source": [(7.1, 9.0), (41.7, 9.0)],
        "resynthesis": [(7.1, 12.0), (41.7, 12.0)],
    }
    assert list(scores(fake).lines("similarity_source", points)) == ["resynthesis"]


def test_section_has_table_figures_and_players(fake: Fake, html: str) -> None:
    """Three utterances of 3 s are chosen; the two of 1 s are not."""
    assert "<h2>Voice conversion</h2>" in html
    folder = fake.experiment.path / "report"
    assert {"conversion.png", "conversion_samples.png"} <= {one.name for one in folder.iterdir()}
    players = [unquote(one) for one in re.findall('<audio [^>]*src="(conversion/[^"]*)"', html)]
    systems = ["source", "reference", "resynthesis", "raw", "rate15_global", "rate7_global"]
    assert players == [
        f"conversion/test-0000{number}/{system}.flac" for system in systems for number in (2, 3, 4)
    ]
    assert html.count("rate7_global said &lt;it&gt;") == 3
    for one in players:
        waveform, rate = soundfile.read(folder / one)
        assert rate == 16000 and waveform.any()
    length = soundfile.info(folder / "conversion/test-00002/raw.flac").frames
    assert length == 3 * 16000


def test_nothing_without_scores(tmp_path: Path) -> None:
    fake = make_aligned(tmp_path)
    code, out, err = run("report", "--set", "test", *fake.arguments)
    assert code == 0, err
    assert "Voice conversion" not in Path(out.strip()).read_text(encoding="utf-8")


def test_audio_that_is_gone(fake: Fake, tmp_path: Path) -> None:
    path = fake.experiment.path / "made/raw/test-00003.wav"
    content = path.read_bytes()
    path.unlink()
    try:
        code, _, err = run("report", "--set", "test", *fake.arguments)
    finally:
        path.write_bytes(content)
    assert code == 1 and "test-00003.wav: no such file" in err


def test_comparison_has_a_column_an_utterance() -> None:
    columns = {
        title: {name: np.random.default_rng(0).standard_normal(length) for name in ("a", "b")}
        for title, length in (("one", 16000), ("two", 24000))
    }
    drawn = figures.comparison_figure(columns, 16000)
    assert len(drawn.axes) == 4
    assert [axis.get_title() for axis in drawn.axes[:2]] == ["one", "two"]
    assert [axis.get_ylabel() for axis in drawn.axes] == ["a", "", "b", ""]
    assert [axis.get_xlim()[1] for axis in drawn.axes] == pytest.approx([1, 1.5, 1, 1.5])


def test_long_names_of_systems_ran_into_each_other() -> None:
    names = "rate24_global_seed0", "rate24_global_seed1", "rate15_global_seed0"
    noise = np.random.default_rng(0).standard_normal(16000)
    drawn = figures.comparison_figure({"one": dict.fromkeys(names, noise)}, 16000)
    drawn.draw_without_rendering()
    boxes = [axis.yaxis.label.get_window_extent() for axis in drawn.axes]
    assert not any(one.overlaps(other) for one, other in pairwise(boxes))
    assert all(box.x0 >= 0 for box in boxes)
