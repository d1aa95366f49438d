"""The report on recognition, translation and latency, from made-up results of each."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import run
from fake_experiment import Fake, make_fake
from matplotlib.axes import Axes
from matplotlib.text import Text

from entcomp.artifacts.experiment import Experiment
from entcomp.artifacts.stage import Stage
from entcomp.errors import EntcompError
from entcomp.evaluation.text.metrics import METRICS
from entcomp.evaluation.text.normalizer import Normalizer
from entcomp.evaluation.text.scores import score_texts
from entcomp.files import write_json
from entcomp.report import result_figures
from entcomp.report.families import family_of
from entcomp.report.latency import STAGES, describe_latency, latency_table
from entcomp.report.result_figures import Point
from entcomp.report.text_scores import read_text_results, score_table, summary_table
from entcomp.tasks.text.info import TextInfo

# Of 40 utterances with five words each: in how many is one word wrong?
STREAMS = {
    "raw": (41.7, 8),
    "dedup": (22.6, 10),
    "fixed2": (20.9, 12),
    "fixed4": (10.5, 20),
    "rate15_global": (15.0, 16),
    "rate7_global": (7.0, 30),
    "rate7_peak": (7.1, 24),
}
WORDS = ["press", "one", "for", "the", "menu"]


def write_result(
    experiment: Experiment,
    model: str,
    rate: float,
    wrong: int,
    decoded: str = "decode_test",
    read: str | None = None,
    normalizer: Normalizer = "basic",
) -> None:
    """What training and decoding leave; ``read``: groups at decoding, if not those of training."""
    task, tag = model.split("/")
    lang = tag.split("_")[0] if task == "st" else ""
    segments = tag.removeprefix(f"{lang}_")
    folder = experiment.path / model
    target = f"text.{lang}" if lang else "text"
    TextInfo(segments, ["train"], ["dev"], 500, "c0de", task, target, 0.02).write(folder)
    references = {f"{one:02d}": " ".join(WORDS) for one in range(40)}
    hypotheses = {
        utt_id: text.replace("menu", "venue") if int(utt_id) < wrong else text
        for utt_id, text in references.items()
    }
    metric = "bleu" if lang else "wer"
    scores = score_texts(references, hypotheses, metric, normalizer, lang or None)
    stage = Stage(folder / decoded, {"segments": read or segments})
    stage.start()
    write_json(folder / decoded / "scores.json", {**scores, "rate": rate})
    stage.finish({})


def fake_latency(models: list[str]) -> dict[str, Any]:
    """Each stage twice as long as the one before; all of it longer from model to model."""
    found = {}
    for number, model in enumerate(models, start=1):
        medians = {stage: number * 2.0**place for place, stage in enumerate(STAGES)}
        times = medians | {"total": sum(medians.values())}
        milliseconds = {name: {"p50": one, "p95": 1.5 * one} for name, one in times.items()}
        size = {"beam": 4, "pieces": 9.5, "rate": 42.0 - number}
        found[model] = size | {"milliseconds": milliseconds}
    about = {"device": "a CPU", "clock": "wall clock", "utterances": 30, "mean_seconds": 2.5}
    return about | {"models": found}


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Fake:
    fake = make_fake(tmp_path_factory.mktemp("results"), {"test": 4, "test_other": 4}, length=100)
    for window in (2, 4):
        run("segment", "--criterion", "fixed", "--window", window, *fake.arguments)
    for criterion, rate in (("global", 15), ("global", 7), ("peak", 7)):
        run("segment", "--criterion", criterion, "--target-rate", rate, *fake.arguments)
    for stream, (rate, wrong) in STREAMS.items():
        for model in (f"asr/{stream}", f"st/fr_{stream}", f"st/es_{stream}"):
            write_result(fake.experiment, model, rate, wrong)
    latency = fake_latency([f"asr/{stream}" for stream in STREAMS])
    write_json(fake.experiment.path / "latency.json", latency)
    return fake


def test_sections_and_pictures(fake: Fake, html: str) -> None:
    headings = re.findall("<h2>(.*?)</h2>", html)
    assert headings[:3] == ["Recognition", "Translation", "Latency"]
    folder = fake.experiment.path / "report"
    names = {path.name for path in folder.glob("*.png")}
    assert {"recognition.png", "translation.png", "latency.png"} <= names
    # Of 200 words 16 are wrong.
    assert "<td>rate15_global</td><td>15.0</td><td>8.0</td>" in html
    assert re.findall("<h3>(.*?)</h3>", html) == ["es", "fr"]
    assert "normalizer basic" in html and "tok:13a" in html


def test_results_as_markdown(fake: Fake, html: str) -> None:
    """A row a stream, the finest first, with scores of all models that read it."""
    lines = (fake.experiment.path / "report" / "results.md").read_text().splitlines()
    header, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    assert header[:5] == ["stream", "Hz", "WER (%)", "95%", "CER (%)"]
    assert header[5:] == ["BLEU es", "95%", "BLEU fr", "95%", "ms p50", "ms p95"]
    assert [row[0] for row in rows] == sorted(STREAMS, key=lambda one: -STREAMS[one][0])
    raw = dict(zip(header, rows[0], strict=True))
    assert raw["WER (%)"] == "4.0"
    assert (raw["ms p50"], raw["ms p95"]) == ("31", "46")  # 1 + 2 + 4 + 8 + 16
    assert all(all(row) for row in rows)


def test_kinds_and_intervals(fake: Fake) -> None:
    results = read_text_results(fake.experiment, "test", "asr")
    kinds = {one.stream: one.kind for one in results}
    assert kinds == {
        "raw": "raw",
        "dedup": "dedup",
        "fixed2": "fixed",
        "fixed4": "fixed",
        "rate15_global": "global",
        "rate7_global": "global",
        "rate7_peak": "peak",
    }
    for one in results:
        low, high = one.interval("wer")
        assert one.value("wer") == pytest.approx(STREAMS[one.stream][1] / 2)
        assert low < one.value("wer") < high


def test_scores_of_other_normalisers_stood_in_one_table(tmp_path: Path) -> None:
    """And were described as those of the first row; results.md did not say how they were made."""
    fake = make_fake(tmp_path, {"test": 2}, length=50)
    write_result(fake.experiment, "asr/raw", 41.7, 8)
    write_result(fake.experiment, "asr/dedup", 22.6, 8)
    assert run("report", "--set", "test", *fake.arguments)[0] == 0
    results = fake.experiment.path / "report/results.md"
    assert "normalizer" not in results.read_text()
    write_result(fake.experiment, "asr/fixed4", 10.5, 8, normalizer="none")
    assert run("report", "--set", "test", *fake.arguments)[0] == 0
    lines = results.read_text().splitlines()
    assert "- recognition, raw, dedup: 40 utterances; normalizer basic." in lines[-2]
    assert "- recognition, fixed4: 40 utterances; normalizer none." in lines[-1]
    html = (fake.experiment.path / "report/index.html").read_text()
    basic, none = html.index("normalizer basic"), html.index("normalizer none")
    assert basic < html.index("<td>dedup</td>") < none < html.index("<td>fixed4</td>")
    assert (fake.experiment.path / "report/recognition_2.png").exists()


def test_words_say_all_that_scores_depend_on() -> None:
    pair = {"a": "one <sil>"}, {"a": "one"}
    wer = score_texts(*pair, "wer", lang="tr", nlsyms=["<sil>"])["wer"]
    words = METRICS["wer"]().settings(wer)
    assert words == "normalizer basic of tr, no words: <sil>"
    bleu = score_texts(*pair, "bleu", nlsyms=["<sil>"])["bleu"]
    assert METRICS["bleu"]().settings(bleu).endswith(", no words: <sil>")


def test_one_set_only(fake: Fake) -> None:
    """A result of test_other was taken for one of test, decoded with an option 'other'."""
    write_result(fake.experiment, "asr/raw", 41.7, 30, "decode_test_other")
    assert len(read_text_results(fake.experiment, "test", "asr")) == len(STREAMS)
    (other,) = read_text_results(fake.experiment, "test_other", "asr")
    assert other.value("wer") == pytest.approx(15)


def test_other_decodings_and_one_model_for_all_rates(tmp_path: Path) -> None:
    experiment = make_fake(tmp_path, {"test": 2}, length=50).experiment
    write_result(experiment, "asr/raw", 41.7, 8, "decode_test_beam1")
    write_result(experiment, "asr/global7-24", 7, 8, "decode_test_rate7", read="rate7")
    raw, random = read_text_results(experiment, "test", "asr")
    assert (raw.stream, raw.kind) == ("raw beam1", "raw")
    assert (random.stream, random.kind) == ("global7-24 rate7", "rate7, by global7-24")


def test_what_was_not_run_is_blank(fake: Fake) -> None:
    recognition = read_text_results(fake.experiment, "test", "asr")
    (row, *_) = summary_table(recognition[:1], [], {}).rows
    assert row[-2:] == ["", ""] and len(row) == 7
    french = [one for one in read_text_results(fake.experiment, "test", "st") if one.lang == "fr"]
    table = summary_table(recognition[:1], french[-1:], {})
    assert [cell for cell in table.rows[1] if cell] == ["rate7_global", "7.0", *table.rows[1][5:7]]


def test_damaged_scores(tmp_path: Path) -> None:
    experiment = make_fake(tmp_path, {"test": 2}, length=50).experiment
    write_result(experiment, "asr/raw", 41.7, 8)
    (experiment.path / "asr/raw/decode_test/scores.json").write_text("{")
    with pytest.raises(EntcompError, match=r"scores\.json: not JSON"):
        read_text_results(experiment, "test", "asr")


def test_score_table_of_translation(fake: Fake) -> None:
    results = read_text_results(fake.experiment, "test", "st")
    assert [one.lang for one in results] == ["es"] * len(STREAMS) + ["fr"] * len(STREAMS)
    table = score_table(results, "st")
    assert table.header == ["stream", "Hz", "BLEU", "95%", "chrF", "95%"]
    assert float(table.rows[0][2]) == pytest.approx(results[0].scores["bleu"]["score"], abs=0.05)


def test_latency_table_and_bars() -> None:
    """The finest stream comes first, whatever the order in the file."""
    latency = fake_latency(["asr/raw", "asr/rate15_global"])
    latency["models"] = dict(reversed(latency["models"].items()))
    (_, row) = latency_table(latency).rows
    assert row[:6] == ["asr/rate15_global", "40.0", "4", "9.5", "2.0 / 3.0", "4.0 / 6.0"]
    assert row[-1] == "62.0 / 93.0"
    assert "30 utterances of 2.50 s" in describe_latency(latency)
    (axis,) = result_figures.latency_figure(latency).axes
    ends = [bar.get_x() + bar.get_width() for bar in axis.patches]
    assert ends == [1, 2, 3, 6, 7, 14, 15, 30, 31, 62]


@pytest.mark.parametrize("panels", [1, 2, 3])
def test_scores_lie_where_the_numbers_say(panels: int) -> None:
    points = [Point("global", 15, 30, 25, 36), Point("global", 7, 50, 44, 55)]
    points += [Point("dedup", 22, 20, 15, 26), Point("of somebody else", 9, 45, 40, 50)]
    drawn = result_figures.score_figure({f"panel {one}": points for one in range(panels)})
    assert len(drawn.axes) == panels
    curve = {one.get_label(): one for one in drawn.axes[-1].containers}["global"]
    line, _, (bars,) = curve.lines
    assert np.array_equal(line.get_xydata(), [(7, 50), (15, 30)])
    assert np.array_equal([one[:, 1] for one in bars.get_segments()], [(44, 55), (25, 36)])
    (legend,) = drawn.legends
    assert {text.get_text() for text in legend.texts} == {one.kind for one in points}


def test_lines_went_to_and_fro_between_seeds() -> None:
    """They go through the means of a stream's models, whose points all stand."""
    values = {15: (30, 40), 7: (50, 58)}
    points = [Point("global", rate, one, one, one) for rate, two in values.items() for one in two]
    (axis,) = result_figures.score_figure({"WER (%)": points}).axes
    dots, line = (one for one in axis.lines if len(one.get_xdata()) > 1 and one.get_marker() != "_")
    assert sorted(map(tuple, dots.get_xydata())) == [(7, 50), (7, 58), (15, 30), (15, 40)]
    assert dots.get_linestyle() == "None"
    assert np.array_equal(line.get_xydata(), [(7, 54), (15, 35)])


def test_a_line_went_through_the_means_of_unlike_models() -> None:
    values = {"rate_global": (30, 40), "rate_global_max": (50, 70)}
    points = [
        Point("global", rate, one, one, one, family)
        for family, two in values.items()
        for rate, one in zip((15, 7), two, strict=True)
    ]
    (axis,) = result_figures.score_figure({"WER (%)": points}).axes
    drawn = [one for one in axis.lines if one.get_linestyle() == "-" and one.get_marker() == "None"]
    assert [one.get_xydata().tolist() for one in drawn] == [
        [[7, 40], [15, 30]],
        [[7, 70], [15, 50]],
    ]


def test_models_of_random_rates_looked_alike() -> None:
    kinds = [f"bidirectional, by bidirectional7-{one}" for one in range(14, 29)]
    styles = result_figures.kind_styles(["raw", "global", *kinds])
    known = result_figures.stream_styles()
    assert {styles[one] for one in ("raw", "global")} == {known["raw"], known["global"]}
    looks = {(one.color, one.marker) for one in styles.values()}
    assert len(looks) == len(kinds) + 2
    assert not {styles[one].color for one in kinds} & {one.color for one in known.values()}


def test_families_differ_in_more_than_rate_and_seed(fake: Fake) -> None:
    def family(name: str, segments: str) -> str:
        return family_of(fake.experiment, name, segments)

    assert family("rate15_global_seed1", "rate15_global") == "rate_global"
    assert family("rate7_global", "rate7_global") == "rate_global"
    assert family("v500_rate7_global_max_seed0", "rate7_global") == "v500_rate_global_max"
    assert family("fixed2_seed0 beam1", "fixed2") == "fixed beam1"
    assert family("global7-24_seed2 rate7_global", "rate7_global") == "global7-24 rate_global"
    assert family("raw_seed3", "raw") == "raw"


def drawn_tick_labels(axis: Axes) -> list[Text]:
    """Of the y-axis; a tick just outside of it has a label as well, which is not drawn."""
    low, high = sorted(axis.get_ylim())
    return [one for one in axis.get_yticklabels() if low <= one.get_position()[1] <= high]


def test_source_and_resynthesis_of_one_system_were_not_seen() -> None:
    points = [Point("global", 24.0, 64.1, 54.9, 74.0)]
    lines = {"source": [(24.0, 45.4)], "resynthesis": [(24.0, 45.0), (24.0, 45.0)]}
    (axis,) = result_figures.score_figure({"WER (%)": points}, {"WER (%)": lines}).axes
    drawn = {line.get_label(): line for line in axis.get_lines()}
    for name in lines:
        left, right = drawn[name].get_xdata()
        assert left < right


def test_nothing_is_cut() -> None:
    names = [f"asr/rate15_bidirectional_peaks_seed{one}" for one in range(8)]
    bars = result_figures.latency_figure(fake_latency(names))
    kinds = [*result_figures.stream_styles(), "rate15_global, by global7-24"]
    points = [Point(kind, 5.0 + one, 100, 90, 110) for one, kind in enumerate(kinds)]
    curves = result_figures.score_figure({"WER (%)": points, "CER (%)": points})
    for drawn in (bars, curves):
        drawn.draw_without_rendering()
        texts = [text for axis in drawn.axes for text in (*axis.texts, *drawn_tick_labels(axis))]
        for text in texts + list(drawn.legends[0].texts):
            box = text.get_window_extent()
            assert drawn.bbox.x0 <= box.x0 and box.x1 <= drawn.bbox.x1, text.get_text()
            assert drawn.bbox.y0 <= box.y0 and box.y1 <= drawn.bbox.y1, text.get_text()
