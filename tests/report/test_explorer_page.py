"""`entcomp explore` and its page, as a user opens, moves and hears it in a browser."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
import soundfile
from babbling import RATE, babble
from browser import Browser
from command_line import run
from fake_alignment import make_aligned, write_grid
from fake_experiment import Fake
from tiny_pipeline import make_pipeline

from entcomp import Tokenizer
from entcomp.artifacts.experiment import Experiment
from entcomp.artifacts.groups import Groups
from entcomp.artifacts.ticks import to_ticks
from entcomp.evaluation.boundaries.evaluate import Matching, evaluate
from entcomp.evaluation.boundaries.references import References
from entcomp.formats.textgrid import read_textgrid
from entcomp.segmentation.rule import Rule

WORDS = [(0.4, 1.0, "hello"), (1.1, 1.5, "there"), (1.5, 2.5, "<b>&")]
PHONES = [(0.4, 0.7, "a"), (0.7, 1.0, "b"), (1.1, 1.5, "c"), (1.5, 2.1, "d"), (2.1, 2.5, "e")]


HEARD = (
    "window.heard = []; const original = AudioBufferSourceNode.prototype.start;"
    "AudioBufferSourceNode.prototype.start = function (...times) {"
    "  heard.push([...times, this.buffer.getChannelData(0).reduce((a, b) => Math.max(a, b))]);"
    "  return original.apply(this, times); }; null"
)


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    return make_pipeline(tmp_path_factory.mktemp("pipeline"))


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two, of which the first has a TextGrid beside it."""
    folder = tmp_path_factory.mktemp("recordings")
    for number, name in enumerate("ab"):
        soundfile.write(folder / f"{name}.wav", babble(3.0 - number, number), RATE)
    write_grid(folder / "a.TextGrid", 3.0, words=WORDS, phones=PHONES)
    return [folder / "a.wav", folder / "b.wav"]


@pytest.fixture(scope="module")
def page(
    experiment: Experiment, recordings: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    path = tmp_path_factory.mktemp("page") / "page.html"
    code, out, err = run("explore", *recordings, "--model", experiment.path, "-o", path)
    assert code == 0, err
    assert out.startswith(f"{path}: 2 recordings, 5.00 s, ")
    return path


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Fake:
    fake = make_aligned(tmp_path_factory.mktemp("fake"))
    code, _, err = run("segment", "--target-rate", 15, *fake.arguments)
    assert code == 0, err
    return fake


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def browser(chromium: Browser, page: Path) -> Iterator[Browser]:
    """The page as it is first shown; afterwards, that nothing went wrong or out."""
    chromium.requests.clear()  # those of pages before
    chromium.open(page)
    yield chromium
    assert chromium.errors == []
    elsewhere = [one for one in chromium.requests if not one.startswith(("data:", "file:///"))]
    assert elsewhere == []
    files = {one for one in chromium.requests if one.startswith("file:")}
    assert files <= {page.as_uri()}


def groups(browser: Browser) -> int:
    """How many are drawn, and counted in words."""
    drawn = browser.eval("document.querySelectorAll('rect.group').length")
    assert browser.eval("Number(document.getElementById('groups').textContent)") == drawn
    return int(drawn)


def exported(browser: Browser, which: str) -> str:
    url = browser.eval(f"document.getElementById('as-{which}').href")
    return unquote(url.partition(",")[2])


@pytest.mark.chromium
def test_sliders_regroup_at_once(browser: Browser) -> None:
    counts = []
    for rate in (20, 10, 5):
        browser.choose("#rate", rate)
        counts.append(groups(browser))
    assert counts[0] > counts[1] > counts[2] > 1
    theta = browser.eval("Number(document.getElementById('theta_g').value)")
    browser.choose("#theta_g", theta - 0.1)
    assert groups(browser) > counts[2]
    assert browser.eval("Number(document.getElementById('rate').value)") > 5


@pytest.mark.chromium
def test_every_criterion_of_the_menu_groups_as_the_tokenizer(
    browser: Browser, experiment: Experiment, recordings: list[Path]
) -> None:
    tokenizer = Tokenizer.from_pretrained(experiment.path)
    waveform = soundfile.read(recordings[0])[0].astype(np.float32)
    menu = browser.eval("[...document.getElementById('criterion').options].map((o) => o.value)")
    assert {"global", "bidirectional", "dedup"} <= set(menu)
    assert "random" not in menu
    left_out = browser.eval("document.getElementById('others').textContent")
    assert "random" in left_out
    assert "see entcomp segment" in left_out
    for criterion in menu:
        browser.choose("#criterion", criterion)
        found = json.loads(exported(browser, "json"))
        rule = Rule.from_json(found["rule"])
        assert rule.criterion == criterion
        expected = tokenizer.encode(waveform, RATE, rule=rule)
        assert found["groups"] == expected.groups.tolist()
        np.testing.assert_allclose(found["times"], expected.times)
        assert found["rate"] == pytest.approx(expected.rate)
        assert groups(browser) == len(expected.groups)


@pytest.mark.chromium
def test_it_opens_with_what_tokenize_makes(
    chromium: Browser, recordings: list[Path], tmp_path: Path
) -> None:
    """Of the model that comes with entcomp these are peaks; the page showed other groups."""
    code, _, err = run("explore", recordings[0], "-o", tmp_path / "page.html")
    assert code == 0, err
    chromium.open(tmp_path / "page.html")
    found = json.loads(exported(chromium, "json"))
    waveform, rate = soundfile.read(recordings[0], dtype="float32")
    expected = Tokenizer.from_pretrained().encode(waveform, rate)
    assert expected.rule.peaks and Rule.from_json(found["rule"]) == expected.rule
    assert found["groups"] == expected.groups.tolist()


@pytest.mark.chromium
def test_a_rate_is_matched_on_this_recording(browser: Browser) -> None:
    browser.click("#mode-here")
    for rate in (8, 15):
        browser.choose("#rate", rate)
        assert groups(browser) == pytest.approx(rate * 2.98, abs=1)


@pytest.mark.chromium
def test_scores_are_those_of_align_eval(
    browser: Browser, experiment: Experiment, recordings: list[Path]
) -> None:
    browser.choose("#criterion", "fixed")
    browser.choose("#window", 7)
    found = json.loads(exported(browser, "json"))
    references = References(recordings[0].parent, ("words", "phones"))
    lengths = np.array(found["groups"], np.int32)
    info = experiment.units_info()
    expected = evaluate([("a", lengths)], references, info, Matching(to_ticks(0.02)), {})
    for tier, scores in found["boundary_scores"].items():
        own = expected["tiers"][tier]["segmentation"]
        assert scores == pytest.approx({name: own[name] for name in scores}, abs=1e-6)
        cells = browser.eval(
            f"[...document.querySelectorAll('#scores-{tier} td')].map((one) => one.textContent)"
        )
        assert cells == [f"{100 * scores[name]:.1f}" for name in scores]
    assert set(found["boundary_scores"]) == {"words", "phones"}


@pytest.mark.chromium
def test_a_click_plays_a_group(browser: Browser) -> None:
    """The sound is in the page, and what is heard is the part that was clicked at."""
    browser.wait("document.getElementById('player').readyState >= 1")
    assert browser.eval("document.getElementById('player').duration") == pytest.approx(3, abs=0.01)
    browser.eval(HEARD)
    browser.click("rect.group:nth-of-type(3)")
    browser.wait("heard.length")
    ((_, start, seconds, loudest),) = browser.eval("heard")
    times = json.loads(exported(browser, "json"))["times"][2]
    assert [start, start + seconds] == pytest.approx(times)
    assert loudest > 0.05


@pytest.mark.chromium
def test_shortest_and_longest_groups(browser: Browser) -> None:
    browser.choose("#rate", 15)
    before = json.loads(exported(browser, "json"))
    assert min(before["groups"]) < 5 < max(before["groups"])
    browser.choose("#least", 5)
    found = json.loads(exported(browser, "json"))
    assert min(found["groups"][:-1]) >= 5 and groups(browser) < len(before["groups"])
    assert found["rule"]["theta_g"] == before["rule"]["theta_g"]
    assert browser.eval("document.getElementById('mode-calibration').disabled")
    assert "With a limit of length" in browser.eval("document.getElementById('note').textContent")
    browser.choose("#most", 3)
    found = json.loads(exported(browser, "json"))
    assert max(found["groups"]) == 3 and found["rule"]["min_length"] == 3
    browser.choose("#least", 1)
    browser.choose("#most", 51)
    assert json.loads(exported(browser, "json"))["groups"] == before["groups"]
    assert not browser.eval("document.getElementById('mode-calibration').disabled")


@pytest.mark.chromium
def test_limits_of_length_group_as_the_tokenizer(
    browser: Browser, experiment: Experiment, recordings: list[Path]
) -> None:
    tokenizer = Tokenizer.from_pretrained(experiment.path)
    waveform = soundfile.read(recordings[0])[0].astype(np.float32)
    browser.choose("#least", 4)
    browser.choose("#most", 11)
    for criterion in ("global", "bidirectional", "dedup", "uniform"):
        browser.choose("#criterion", criterion)
        found = json.loads(exported(browser, "json"))
        rule = Rule.from_json(found["rule"])
        assert (rule.min_length, rule.max_length) == (4, 11)
        expected = tokenizer.encode(waveform, RATE, rule=rule).groups
        assert found["groups"] == expected.tolist()


def focused(browser: Browser) -> str:
    return str(browser.eval("document.activeElement.id"))


@pytest.mark.chromium
def test_the_keyboard_reaches_everything_in_the_order_of_the_page(browser: Browser) -> None:
    browser.choose("#criterion", "bidirectional")
    order = []
    while len(order) < 60 and (not order or focused(browser) != ""):
        browser.press("Tab")
        order.append(focused(browser))
    there = [one for one in dict.fromkeys(order) if one]
    wanted = ["utterance", "player", "scroller", "criterion", "peaks", "rate", "mode-calibration"]
    wanted += ["theta_z", "least", "most", "zoom", "as-textgrid", "as-json"]
    assert there == wanted


@pytest.mark.chromium
def test_arrows_move_a_slider_and_regroup(browser: Browser) -> None:
    browser.choose("#rate", 10)
    before = groups(browser)
    browser.eval("document.getElementById('rate').focus()")
    browser.press("ArrowRight", 20)
    assert groups(browser) > before
    browser.eval("document.getElementById('least').focus()")
    browser.press("ArrowRight", 3)
    assert browser.eval("document.getElementById('least-value').textContent") == "4 (40 ms)"
    assert json.loads(exported(browser, "json"))["rule"]["min_length"] == 4


@pytest.mark.chromium
def test_keys_choose_and_play_a_group(browser: Browser) -> None:
    """With the focus anywhere but in a control that needs the key itself."""
    browser.eval(HEARD)
    browser.eval("document.getElementById('scroller').focus()")
    browser.choose("#rate", 12)
    browser.press("ArrowRight", 5)
    browser.press("ArrowLeft", 2)
    times = json.loads(exported(browser, "json"))["times"]

    def selected() -> str:
        return str(browser.eval("document.getElementById('selected').textContent"))

    def plays(number: int) -> None:
        browser.eval("heard.length = 0; null")
        browser.press(" ")
        browser.wait("heard.length")
        ((_, start, seconds, _),) = browser.eval("heard")
        assert [start, start + seconds] == pytest.approx(times[number])

    assert selected().startswith(f"Group 4 of {len(times)}: {times[3][0]:.3f} to ")
    plays(3)
    browser.eval("window.dispatchEvent(new Event('resize')); null")
    box = browser.eval("document.getElementById('selection').getBoundingClientRect().toJSON()")
    rect = "document.querySelectorAll('rect.group')[3].getBoundingClientRect().toJSON()"
    assert box == browser.eval(rect)
    browser.press("End")
    assert selected().startswith(f"Group {len(times)} of")
    shown = browser.eval(
        "(() => { const [one, all] = ['selection', 'scroller'].map((id) =>"
        " document.getElementById(id).getBoundingClientRect());"
        " return one.left >= all.left && one.right <= all.right + 1; })()"
    )
    assert shown
    browser.press("ArrowRight")
    assert selected().startswith(f"Group {len(times)} of")
    browser.press("Home")
    assert selected().startswith("Group 1 of")
    browser.click("rect.group:nth-of-type(3)")
    assert selected().startswith("Group 3 of")
    browser.eval("document.getElementById('rate').focus()")
    plays(2)  # also while sliders move
    browser.press("ArrowLeft", 30)
    assert selected().startswith(("Group 1 of", "Group 2 of", "Group 3 of"))
    browser.eval("document.getElementById('criterion').focus()")
    before = selected()
    browser.press("ArrowRight")
    assert selected().partition(" of")[0] == before.partition(" of")[0]


@pytest.mark.chromium
def test_exports_a_textgrid(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "a.TextGrid"
    path.write_text(exported(browser, "textgrid"), encoding="utf-8")
    grid = read_textgrid(path)
    assert [(one.start, one.end, one.label) for one in grid.tier("words")] == WORDS
    found = json.loads(exported(browser, "json"))
    times = [(one.start, one.end) for one in grid.tier("groups")]
    np.testing.assert_allclose(times, found["times"])
    name = browser.eval("document.getElementById('as-textgrid').download")
    assert name == "a.groups.TextGrid"


@pytest.mark.chromium
def test_a_menu_of_recordings(browser: Browser) -> None:
    before = groups(browser)
    browser.choose("#utterance", 1)
    assert json.loads(exported(browser, "json"))["utt_id"] == "b"
    assert groups(browser) < before
    assert "No TextGrid" in browser.eval("document.getElementById('scores').textContent")


@pytest.mark.chromium
@pytest.mark.parametrize("width", [1300, 400])
def test_fits_the_window(browser: Browser, page: Path, width: int) -> None:
    browser.open(page, width)
    for criterion in ("global", "combined", "bidirectional", "uniform"):
        browser.choose("#criterion", criterion)
        assert browser.eval("document.documentElement.scrollWidth") <= width
        sizes = browser.eval(
            "[...document.querySelectorAll('body *')].filter((one) => one.childElementCount === 0"
            " && one.textContent.trim() && one.getClientRects().length)"
            ".map((one) => parseFloat(getComputedStyle(one).fontSize))"
        )
        assert min(sizes) >= 13


@pytest.mark.chromium
def test_the_reports_page_stands_where_the_report_does(
    chromium: Browser, fake: Fake, html: str
) -> None:
    """Imported units and entropies; the sliders at the segmentation shown."""
    assert '<a href="explore.html">' in html
    chromium.open(fake.experiment.path / "report" / "explore.html")
    found = json.loads(exported(chromium, "json"))
    assert f"{found['utt_id']}, “x”: groups of rate15_global, {found['rate']:.1f} a second" in html
    assert chromium.errors == []


@pytest.mark.chromium
def test_the_reports_page_shows_the_very_groups_of_a_segmentation(
    chromium: Browser, tmp_path: Path
) -> None:
    """Its thresholds and limits of length, not what this page would find for its rate."""
    fake = make_aligned(tmp_path)
    options = ("--criterion", "combined", "--target-rate", 12, "--min-length", 3)
    assert run("segment", *options, "--max-length", 9, "--tag", "short", *fake.arguments)[0] == 0
    assert run("report", "--set", "test", "--segmentation", "short", *fake.arguments)[0] == 0
    chromium.open(fake.experiment.path / "report" / "explore.html")
    found = json.loads(exported(chromium, "json"))
    assert (found["rule"]["min_length"], found["rule"]["max_length"]) == (3, 9)
    stored = dict(Groups.open(fake.experiment, "test", "short"))
    assert found["groups"] == stored[found["utt_id"]].tolist()
    assert chromium.errors == []


def test_nothing_but_itself(page: Path) -> None:
    html = page.read_text(encoding="utf-8")
    markup = re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL)
    assert "default-src 'none'" in markup
    assert not re.search(r"https?://|url\(|@import", html)
    assert not re.search(r"@(STYLE|DATA|SCRIPT)@", html)
    assert "<b>&" not in html  # a label, which is data


def test_no_torch(experiment: Experiment, recordings: list[Path], tmp_path: Path) -> None:
    script = (
        "import sys; from entcomp.cli.app import main; main();"
        "assert not {'torch', 'onnx'} & sys.modules.keys()"
    )
    arguments = ["explore", recordings[1], "--model", experiment.path, "-o", tmp_path / "b.html"]
    subprocess.run([sys.executable, "-c", script, *map(str, arguments)], check=True)


def test_a_part_of_a_recording(
    experiment: Experiment, recordings: list[Path], tmp_path: Path
) -> None:
    """Times of words and phones count from where the part begins."""
    path = tmp_path / "a.html"
    part = ("--start", 1.25, "--end", 2.25)
    code, out, _ = run("explore", recordings[0], "--model", experiment.path, "-o", path, *part)
    assert (code, out.split(",")[1]) == (0, " 1.00 s")
    (_, text) = path.read_text(encoding="utf-8").split('id="data">')
    (utterance,) = json.loads(text.partition("</script>")[0])["utterances"]
    assert utterance["end"] == to_ticks(1.0)
    assert utterance["boundaries"]["words"] == [to_ticks(0.25)]
    assert utterance["tiers"]["words"][0] == pytest.approx([0.0, 0.25, "there"])
    assert utterance["tiers"]["words"][-1][1] <= 1.0  # a TextGrid holds no more


def test_one_side_of_a_telephone_call(
    experiment: Experiment, recordings: list[Path], tmp_path: Path
) -> None:
    """README promised --channel, which explore alone did not have."""
    sides = [soundfile.read(recordings[0])[0], babble(3.0, 7)]
    soundfile.write(tmp_path / "call.wav", np.stack(sides, axis=1), RATE)
    shown = []
    for path, *options in ((recordings[0],), (tmp_path / "call.wav", "--channel", "left")):
        page = tmp_path / "page.html"
        arguments = ["explore", path, "--model", experiment.path, "-o", page, *options]
        code, _, err = run(*arguments)
        assert code == 0, err
        text = page.read_text(encoding="utf-8").split('id="data">')[1].partition("</script>")[0]
        shown.append(json.loads(text)["utterances"][0]["units"])
    assert shown[0] == shown[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["a.wav", "b.wav", "--textgrid", "a.TextGrid"], "2 recordings; put TextGrids beside them"),
        (["long.wav"], "long.wav: more than 60 s; choose a part by --start and --end"),
        (["none.wav"], "none.wav"),
        (["a.wav", "two\nlines.wav"], "a name with a line break; rename the file"),
    ],
)
def test_mistakes(
    experiment: Experiment,
    recordings: list[Path],
    tmp_path: Path,
    options: list[str],
    message: str,
) -> None:
    soundfile.write(recordings[0].with_name("long.wav"), np.zeros(61 * RATE), RATE)
    given = [
        recordings[0].with_name(one) if one.endswith(("wav", "Grid")) else one for one in options
    ]
    path = tmp_path / "x.html"
    code, _, err = run("explore", *given, "--model", experiment.path, "-o", path)
    assert code == 1
    assert message in err
    assert err.splitlines()[-1].startswith("entcomp: error: ")
    assert not path.exists()
