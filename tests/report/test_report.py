"""`entcomp report` on a made-up experiment: every figure, one page, nothing from outside."""

from __future__ import annotations

import base64
import dataclasses
import re
import shutil
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from command_line import run
from fake_alignment import make_aligned
from fake_experiment import Fake

from entcomp.artifacts.experiment import Experiment
from entcomp.artifacts.models import LMInfo
from entcomp.kaldi.table import write_table
from entcomp.report import figures

PNG = b"\x89PNG\r\n\x1a\n"


class Page(HTMLParser):
    """Headings, links to other files, and elements that were not closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.headings: list[str] = []
        self.sources: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Fake:
    """All that the report shows: recordings, segmentations, scores, an LM."""
    fake = make_aligned(tmp_path_factory.mktemp("filled"))
    for criterion in ("global", "relative", "combined", "peak", "bidirectional", "uniform"):
        for rate in (15, 7):
            run("segment", "--criterion", criterion, "--target-rate", rate, *fake.arguments)
    code, _, err = run("align-eval", *fake.arguments)
    assert code == 0, err
    code, _, err = run("evaluate-units", "--segmentation", "rate7_global", *fake.arguments)
    assert code == 0, err
    nats = {"lm": 3.25, "unigram": 6.5, "bigram": 5.125}
    info = LMInfo("1m", "c0de", "forward", "raw", 500, nats)
    info.write(fake.experiment.lm())
    return fake


@pytest.fixture(scope="module")
def html(filled: Fake) -> str:
    return report(filled)


@pytest.fixture
def fake(filled: Fake, tmp_path: Path) -> Fake:
    """A copy that a test may change."""
    exp, data = tmp_path / "exp", tmp_path / "data"
    shutil.copytree(filled.experiment.path, exp)
    shutil.copytree(filled.data, data)
    return dataclasses.replace(filled, data=data, experiment=Experiment(exp))


def report(fake: Fake, *options: object) -> str:
    code, out, err = run("report", *options, *fake.arguments)
    assert code == 0, err
    return Path(out.strip()).read_text(encoding="utf-8")


def test_everything(filled: Fake, html: str) -> None:
    page = Page(html)
    assert page.open == []
    assert page.headings == [
        "An utterance",
        "Boundaries against words and phones",
        "Units",
        "Entropy",
        "Segmentations of test",
        "Entropy LM",
        "Data",
    ]
    folder = filled.experiment.path / "report"
    images = {path.name: path.read_bytes() for path in folder.glob("*.png")}
    assert set(images) == {"entropy.png", "rates.png", "histogram.png"}
    assert all(image.startswith(PNG) for image in images.values())
    inlined = [base64.b64decode(one.partition("base64,")[2]) for one in page.sources]
    assert all(image in inlined for image in images.values())
    assert [one[:4] for one in inlined if one and one not in images.values()] == [b"fLaC"]


def test_units_and_their_streams(html: str) -> None:
    section = html.partition("<h2>Units</h2>")[2].partition("</section>")[0]
    assert re.findall("<h3>(.*?)</h3>", section)[-1] == "streams"
    assert "<td>rate7_global</td>" in section and "<th>bit/s</th>" in section


def test_nothing_comes_from_outside(html: str) -> None:
    sources = [one for one in Page(html).sources if not one.startswith("data:")]
    assert sources == ["explore.html"]
    assert not re.search(r"https?://|url\(|@import|<script|<link", html)


def test_tables_hold_the_numbers(filled: Fake, html: str) -> None:
    units = [len(one) for one in filled.units["test"].values()]
    assert f"<td>test</td><td>6</td><td>{sum(units)}</td>" in html
    assert "<td>forward</td><td>3.250</td><td>5.125</td><td>6.500</td>" in html
    assert "<td>rate15_global</td><td>global</td>" in html
    assert "500 units of imported, layer 0, 50.0 a second." in html


def test_same_bytes_again(filled: Fake, html: str) -> None:
    assert report(filled) == html


def test_the_utterance_and_segmentation_asked_for(fake: Fake, tmp_path: Path) -> None:
    last = sorted(fake.units["test"])[-1]
    options = ["--utterance", last, "--segmentation", "rate7_peak", "--output", tmp_path / "r"]
    html = report(fake, *options)
    assert f"<figcaption>{last}, “x”: groups of rate7_peak, " in html
    assert (tmp_path / "r" / "index.html").exists()


def test_a_transcript_ran_into_the_caption_behind_it(fake: Fake) -> None:
    text = fake.data / "test" / "text"
    last = sorted(fake.units["test"])[-1]
    text.write_text("".join(f"{utt_id} no full stop\n" for utt_id in sorted(fake.units["test"])))
    options = ["--utterance", last, "--segmentation", "rate7_peak"]
    assert f"<figcaption>{last}, “no full stop”: groups of rate7_peak, " in report(fake, *options)
    text.unlink()
    assert f"<figcaption>{last}: groups of rate7_peak, " in report(fake, *options)


def test_global_near_15_hz_unless_asked(html: str) -> None:
    assert ": groups of rate15_global, " in html


def test_sections_without_their_stage_are_left_out(fake: Fake) -> None:
    """Units and entropies only: no groups, no alignment, no LM."""
    for name in ("segments", "align", "align_eval", "lm", "unit_eval"):
        shutil.rmtree(fake.experiment.path / name)
    assert Page(report(fake)).headings == ["Entropy", "Data"]


def test_without_recordings_or_textgrids(fake: Fake) -> None:
    for path in fake.experiment.alignments("test").iterdir():
        path.unlink()
    assert "An utterance" in Page(report(fake)).headings
    (fake.data / "test" / "wav.scp").unlink()
    assert "An utterance" not in Page(report(fake)).headings


def test_one_channel_of_recordings(filled: Fake, fake: Fake, html: str) -> None:
    """dump-units --channel had no counterpart here, so that the page played the mean."""
    wavs = {path.stem: path for path in sorted(fake.data.glob("*.wav"))}
    for path in wavs.values():
        left, rate = soundfile.read(path, dtype="int16")
        soundfile.write(path, np.stack([left, left[::-1]], axis=1), rate)
    write_table(fake.data / "test/wav.scp", [(name, str(path)) for name, path in wavs.items()])
    mono = html.replace(str(filled.experiment.path), str(fake.experiment.path))
    assert report(fake, "--channel", "left") == mono
    assert report(fake) != mono


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--utterance", "nobody"], "test: no utterance nobody; name one of its own"),
        (["--set", "nope"], "no set 'nope'; available: test"),
        (["--segmentation", "nope"], "segments/nope: no such segmentation"),
        (["--models", "asr/*"], "--models: is of --paper; give that, too"),
        (["--exp-k2000", "exp"], "--exp-k2000: is of --paper; give that, too"),
    ],
)
def test_mistakes(fake: Fake, options: list[str], message: str) -> None:
    code, _, err = run("report", *options, *fake.arguments)
    assert code == 1 and message in err


@pytest.mark.parametrize("name", ["nosuch", "empty"])
def test_a_report_on_nothing_was_an_empty_page(fake: Fake, tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    code, _, err = run("report", fake.data, tmp_path / name)
    says = "no such experiment folder" if name == "nosuch" else "no results of test; "
    assert code == 1 and f"{name}: {says}" in err
    assert not any((tmp_path / "empty").iterdir()) and not (tmp_path / "nosuch").exists()


def spans_of(duration: float, step: float, label: str) -> list[figures.Span]:
    edges = np.arange(0, duration, step)
    return [(float(a), float(b), label) for a, b in pairwise(edges)]


@pytest.mark.parametrize(("seconds", "rows"), [(0.4, 1), (3.0, 1), (3.1, 2), (13.0, 5)])
def test_entropy_figure(seconds: float, rows: int) -> None:
    """Curve, group starts and labels lie where the numbers say, and each label is drawn once."""
    frames = int(seconds / 0.02)
    entropies = np.linspace(0, 4, frames).astype(np.float32)
    entropies[1::2] = np.nan  # an LM over runs of equal units
    groups = np.full(frames // 4, 4, np.int32)
    groups[-1] += frames - groups.sum()
    words = spans_of(seconds, 0.3, "word")
    waveform = np.random.default_rng(0).standard_normal(int(seconds * 16000)).astype(np.float32)
    phones = spans_of(seconds, 0.1, "AH")
    drawn = figures.entropy_figure(
        waveform, 16000, entropies, groups, 0.02, 0.01, words, phones, threshold=2.5
    )
    right = [axis for axis in drawn.axes if axis.get_ylabel() == "nats"]
    assert len(right) == rows
    (curve,) = (line for line in right[0].lines if line.get_marker() == "o")
    assert np.allclose(curve.get_xdata(), 0.01 + np.arange(0, frames, 2) * 0.02)
    upright = [line.get_xdata() for line in right[0].lines if line is not curve]
    starts = [first for first, last in upright if first == last]
    (level,) = (line for line in right[0].lines if line.get_label() == "threshold")
    assert level.get_ydata()[0] == 2.5
    assert np.allclose(starts, 0.01 + 0.02 * (np.cumsum(groups) - groups))
    labels = [text.get_text() for axis in drawn.axes for text in axis.texts]
    assert labels.count("word") == len(words)
    limits = [axis.get_xlim() for axis in right]
    assert limits[0][0] == 0 and limits[-1][1] == pytest.approx(seconds)
    assert figures.png(drawn).startswith(PNG)


def test_entropy_figure_of_silence_without_alignment() -> None:
    drawn = figures.entropy_figure(
        np.zeros(8000), 16000, np.zeros(25, np.float32), np.array([25]), 0.02, 0.0
    )
    assert [label.get_text() for label in drawn.axes[1].get_yticklabels()] == ["groups"]
    assert figures.png(drawn).startswith(PNG)


def test_labels_lie_inside_the_picture() -> None:
    """Nothing is cut: every text of every figure ends within its picture."""
    words = spans_of(7.0, 0.35, "straightforward")
    entropy = figures.entropy_figure(
        np.zeros(112_000), 16000, np.ones(350, np.float32), np.full(70, 5), 0.02, 0.0, words, words
    )
    cuts = [figures.Threshold("global", 1.0, 15), figures.Threshold("combined", 3.9, 7)]
    values = {"entropy (nats)": np.linspace(0, 4, 500)}
    histogram = figures.histogram_figure(values, {"entropy (nats)": cuts})
    for drawn in (entropy, histogram):
        drawn.draw_without_rendering()
        for axis in drawn.axes:
            for text in axis.texts:
                box = text.get_window_extent()
                assert drawn.bbox.x0 <= box.x0 and box.x1 <= drawn.bbox.x1, text.get_text()
                assert drawn.bbox.y0 <= box.y0 and box.y1 <= drawn.bbox.y1, text.get_text()


def test_entropies_of_an_lm_that_has_learnt_nothing_had_no_histogram() -> None:
    """They differ by a rounding: numpy found too many bins for their range."""
    values = np.array([3.0, np.nextafter(np.float32(3), np.float32(4))], np.float32)
    drawn = figures.histogram_figure({"entropy (nats)": values}, {"entropy (nats)": []})
    assert figures.png(drawn).startswith(PNG)
