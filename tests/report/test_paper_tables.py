"""`entcomp report --paper`: the paper's tables from a tiny made-up experiment."""

from __future__ import annotations

import dataclasses
import shutil
from collections import defaultdict
from pathlib import Path

import pytest
import yaml
from command_line import run
from fake_alignment import make_aligned
from fake_experiment import Fake

from entcomp.artifacts.experiment import Experiment
from entcomp.artifacts.stage import Stage
from entcomp.errors import EntcompError
from entcomp.files import write_json
from entcomp.report.paper.figures import read_paper
from entcomp.report.paper.models import Chosen
from entcomp.report.paper.tables import FilledTable, fill_tables
from entcomp.tasks.text.info import TextInfo
from entcomp.tasks.vc.info import VcInfo


def write_model(exp: Path, name: str, segments: str, pooling: str = "cale", seed: int = 0) -> None:
    """A trained model without weights, which the tables do not read."""
    task, tag = name.split("/")
    common = segments, ["train"], ["dev"], 500, "c0de"
    lang = tag.split("_")[0]
    text = TextInfo(*common, task, f"text.{lang}" if task == "st" else "text", 0.02)
    (VcInfo(*common) if task == "vc" else text).write(exp / name)
    settings = {"local": {"pooling": pooling}, "training": {"seed": seed, "devices": 1}}
    (exp / name / "config.yaml").write_text(yaml.safe_dump(settings))


def write_errors(exp: Path, name: str, wer: float, rate: float, set_name: str = "test") -> None:
    """What decode leaves of a recogniser; CER is half of WER."""
    scores = {
        kind: {
            "percent": percent,
            "interval": [percent - 1, percent + 1],
            "utterances": 6,
            "normalizer": "basic",
        }
        for kind, percent in [("wer", wer), ("cer", wer / 2)]
    }
    write_json(exp / name / f"decode_{set_name}" / "scores.json", {**scores, "rate": rate})


def write_bleu(exp: Path, name: str, bleu: float, rate: float, set_name: str) -> None:
    score = {"score": bleu, "interval": [bleu - 2, bleu + 2], "utterances": 9, "signature": "s"}
    write_json(exp / name / f"decode_{set_name}" / "scores.json", {"bleu": score, "rate": rate})


def mean(value: float) -> dict[str, object]:
    return {"mean": value, "interval": [value - 0.1, value + 0.1]}


def write_voices(exp: Path, tag: str, rate: float, **more: object) -> None:
    """What score-vc leaves, without UTMOS."""
    words = {"percent": 30.0, "interval": [20.0, 40.0]}
    one = {
        **{"utterances": 6, "wer_ears": words, "cer_ears": words},
        **{"distillmos": mean(2.5), "similarity_reference": mean(0.8)},
        **more,
    }
    systems = {"source": one, "resynthesis": one, tag: {**one, "rate": rate, "segments": tag}}
    models = {"ears": "Ears 1", "distillmos": "DistillMOS v7"}
    write_json(exp / "vc/scores/test/scores.json", {"models": models, "systems": systems})


def write_latency(exp: Path, model: str) -> None:
    one = {"mean": 10.0, "p50": 1.0, "p95": 90.0}
    milliseconds = dict.fromkeys(("extraction", "lm", "encoder", "decoder"), one)
    models = {model: {"milliseconds": milliseconds, "rate": 15.5, "beam": 5, "pieces": 3.0}}
    about = {"device": "a CPU", "clock": "wall clock", "utterances": 6, "mean_seconds": 2.0}
    write_json(exp / "latency.json", {**about, "models": models})


@pytest.fixture
def fake(tmp_path: Path) -> Fake:
    """TextGrids of pocketsphinx, and groups of the paper's default criterion at 15 Hz."""
    fake = make_aligned(tmp_path)
    Stage(fake.experiment.alignments("test"), {"aligner": {"name": "pocketsphinx"}}).finish({})
    code, _, err = run("segment", "--criterion", "global", "--target-rate", 15, *fake.arguments)
    assert code == 0, err
    return fake


def choose(fake: Fake, **changes: object) -> Chosen:
    exp = fake.experiment.path
    return dataclasses.replace(Chosen(fake.experiment, "test", exp / "align_eval"), **changes)


def tables(fake: Fake, **changes: object) -> dict[int, FilledTable]:
    filled = fill_tables(choose(fake, **changes))
    return dict(enumerate(filled, start=1))


def row(filled: FilledTable, label: str) -> dict[str, str]:
    """Cells by column, those of the same name joined by a slash."""
    (cells,) = [one for one in filled.table.rows if one[0] == label]
    found = defaultdict(list)
    for name, cell in zip(filled.table.header, cells, strict=True):
        found[name].append(cell)
    return {name: "/".join(cells) for name, cells in found.items()}


def test_a_score_has_its_interval_and_the_rate_reached_and_the_papers_beside(fake: Fake) -> None:
    exp = fake.experiment.path
    write_model(exp, "asr/rate15_global", "rate15_global")
    write_errors(exp, "asr/rate15_global", wer=7.26, rate=16.4)
    found = row(tables(fake)[3], "entropy, 15 Hz")
    assert found == {
        **{"": "entropy, 15 Hz", "Hz": "16.4"},
        **{"WER (%)": "7.3 [6.3, 8.3]", "paper: WER": "5.6"},
        **{"CER (%)": "3.6 [2.6, 4.6]", "paper: CER": "2.9"},
    }
    assert tables(fake)[3].about == ["asr: test, 6 utterances, normalizer basic"]


def test_an_empty_cell_names_the_commands_that_fill_it(fake: Fake) -> None:
    empty = tables(fake)[12]
    assert row(empty, "windows of 2, max")["WER (%)"] == ""
    train = "`entcomp train-asr --segmentation rate15_global`"
    decode = "`entcomp decode --model asr/rate15_global --sets test`"
    assert f"Empty: entropy, 15 Hz (WER, CER): {train}, {decode}" in empty.missing
    windows = (
        "Empty: windows of 2, max (WER, CER): `entcomp segment --criterion fixed --window 2`, "
        "`entcomp train-asr --segmentation fixed2 --pooling max`, "
        "`entcomp decode --model asr/fixed2_max --sets test`"
    )
    assert windows in empty.missing
    exp = fake.experiment.path
    write_model(exp, "asr/mine", "rate15_global")
    by_name = "Empty: entropy, 15 Hz (WER, CER): `entcomp decode --model asr/mine --sets test`"
    assert by_name in tables(fake)[12].missing


def test_commands_named_segmentations_that_are_not_there(fake: Fake) -> None:
    """Groups that fit, and are called otherwise than segment does, are those of the commands."""
    fake.experiment.segments("rate15_global").rename(fake.experiment.segments("mine"))
    (line,) = (one for one in tables(fake)[12].missing if one.startswith("Empty: entropy, 15 Hz"))
    assert "`entcomp train-asr --segmentation mine`, `entcomp decode --model asr/mine " in line
    (line,) = (one for one in tables(fake)[7].missing if one.startswith("Empty: max"))
    assert "--segmentation mine --pooling max`, `entcomp decode --model asr/mine_max " in line
    (line,) = (one for one in tables(fake)[1].missing if "15 Hz (EN-CN BLEU)" in one)
    assert "--segmentation mine --lang zh`, `entcomp decode --model st/zh_mine " in line


def test_new_groups_emptied_the_cells_of_those_with_models(fake: Fake) -> None:
    """What segment makes by its own name took the place of what models read."""
    exp = fake.experiment.path
    old, new = (fake.experiment.segments(tag) for tag in ("mine", "rate15_global"))
    new.rename(old)
    write_model(exp, "asr/mine", "mine")
    write_errors(exp, "asr/mine", wer=7.26, rate=16.4)
    assert run("align-eval", *fake.arguments)[0] == 0
    before = row(tables(fake)[11], "15 Hz")
    shutil.copytree(old, new)
    shutil.copytree(old, fake.experiment.segments("other"))
    assert row(tables(fake)[3], "entropy, 15 Hz")["WER (%)"] == "7.3 [6.3, 8.3]"
    assert row(tables(fake)[11], "15 Hz") == before
    (line,) = (one for one in tables(fake)[1].missing if "15 Hz (EN-CN BLEU)" in one)
    assert "train-st --segmentation mine --lang zh" in line
    write_model(exp, "asr/other", "other")
    assert any("mine, other all fit" in one for one in tables(fake)[3].missing)


def test_commands_made_scores_forget_others(fake: Fake) -> None:
    """bench-latency those of models that it is not given, score-vc UTMOS."""
    exp = fake.experiment.path
    for name in ("asr/rate15_global", "asr/raw", "vc/rate15_global", "vc/raw"):
        write_model(exp, name, name.partition("/")[2])
    write_latency(exp, "asr/rate15_global")
    both = "--models asr/rate15_global,asr/raw --sets test"
    assert any(f"bench-latency {both}`" in one for one in tables(fake)[6].missing)
    write_voices(exp, "raw", rate=50.0, utmos=mean(3.0))
    (line,) = (one for one in tables(fake)[1].missing if "15 Hz (VC WER" in one)
    assert line.endswith("`entcomp score-vc --sets test --utmos FILE`")


def test_every_figure_of_the_paper_has_a_score_or_a_reason(fake: Fake) -> None:
    for table, filled in zip(read_paper().tables, tables(fake).values(), strict=True):
        reasons = " ".join(filled.missing)
        for one in table.rows:
            cells = row(filled, one.label)
            for column, figure in zip(table.columns, one.figures, strict=True):
                beside = cells[f"paper: {column.name}"]
                assert (beside == "") == (figure is None)
                if figure is not None and one.reads != "raw":
                    assert f"{one.label} (" in reasons and column.name in reasons


def test_models_are_found_by_what_they_read_not_by_their_names(fake: Fake) -> None:
    exp = fake.experiment.path
    write_model(exp, "asr/a", "rate15_global", "max")
    write_model(exp, "asr/b", "rate15_global", "cale")
    write_errors(exp, "asr/a", wer=40.0, rate=15.0)
    write_errors(exp, "asr/b", wer=30.0, rate=15.0)
    found = tables(fake)[7]
    assert row(found, "max")["WER (%)"] == "40.0 [39.0, 41.0]"
    assert row(found, "CALE")["WER (%)"] == "30.0 [29.0, 31.0]"
    assert row(found, "average")["WER (%)"] == ""


def test_seeds_are_averaged_and_other_settings_are_not(fake: Fake) -> None:
    exp = fake.experiment.path
    for seed, wer in enumerate((30.0, 33.0)):
        write_model(exp, f"asr/raw_seed{seed}", "raw", "max", seed)
        write_errors(exp, f"asr/raw_seed{seed}", wer, rate=50.0)
    found = tables(fake)[3]
    assert row(found, "raw, 50 Hz")["WER (%)"] == "31.5 [29.0, 34.0]"
    assert "means over 2 seeds" in found.about[0]

    write_model(exp, "asr/raw_other", "raw", "average")
    write_errors(exp, "asr/raw_other", wer=99.0, rate=50.0)
    ambiguous = tables(fake)[3]
    assert row(ambiguous, "raw, 50 Hz")["WER (%)"] == ""
    assert any("asr/raw_other, asr/raw_seed0" in line for line in ambiguous.missing)
    chosen = tables(fake, models=["asr/*_seed?"])[3]
    assert row(chosen, "raw, 50 Hz")["WER (%)"] == "31.5 [29.0, 34.0]"


def test_translations_of_another_set_say_so(fake: Fake) -> None:
    """CVSS's test set is not that of recognition."""
    exp = fake.experiment.path
    (exp / "units/test_fr").mkdir()
    (exp / "units/test_fr/units.scp").write_text("")
    write_model(exp, "st/fr_raw", "raw", "max")
    write_bleu(exp, "st/fr_raw", 20.0, 50.0, "test_fr")
    found = tables(fake)[4]
    assert row(found, "raw, 50 Hz")["BLEU fr"] == "20.0 [18.0, 22.0]"
    assert row(found, "raw, 50 Hz")["BLEU es"] == ""
    assert found.about == ["st to fr: test_fr, 9 utterances, signature s"]


def test_predictions_are_not_called_opinions(fake: Fake) -> None:
    exp = fake.experiment.path
    write_model(exp, "vc/rate15_global", "rate15_global")
    write_voices(exp, "rate15_global", rate=15.5)
    found = row(tables(fake)[1], "15 Hz")
    assert found["DistillMOS, predicted"] == "2.50 [2.40, 2.60]" and found["paper: Q-MOS"] == "3.82"
    assert found["cosine of voices"] == "0.80 [0.70, 0.90]" and found["paper: S-MOS"] == "3.76"
    assert found["WER (%), ears"] == "30.0 [20.0, 40.0]" and found["paper: VC WER"] == "7.3"
    assert found["UTMOS, predicted"] == ""
    utmos = [line for line in tables(fake)[1].missing if line.startswith("Empty: 15 Hz (UTMOS)")]
    assert utmos == ["Empty: 15 Hz (UTMOS): `entcomp score-vc --sets test --utmos FILE`"]


def test_the_mean_of_encoder_and_decoder_stands_beside_the_papers_latency(fake: Fake) -> None:
    """The median of all stages did, extraction and entropy LM among them."""
    exp = fake.experiment.path
    write_model(exp, "asr/rate15_global", "rate15_global")
    write_latency(exp, "asr/rate15_global")
    found = row(tables(fake)[6], "entropy, 15 Hz")
    assert found["encoder and decoder, mean ms"] == "20.0"
    assert found["paper: ms"] == "120" and found["Hz"] == "15.5"


def test_chance_stands_beside_table_11_and_the_aligner_has_its_name(fake: Fake) -> None:
    code, _, err = run("align-eval", *fake.arguments)
    assert code == 0, err
    filled = tables(fake)[11]
    found = row(filled, "15 Hz")
    assert found["paper: PBA"] == "83.2"
    for name in ("uniform", "random"):
        words, phones, off = map(float, found[name].split("/"))
        assert 20 < words < phones <= 100 and off > 0, "phones change every 100 ms here"
    how = "boundaries agree within 20 ms, one-to-one"
    assert filled.about == [f"boundaries: test, 6 utterances, aligned by pocketsphinx, {how}"]
    raw = row(filled, "raw")
    assert (raw["Hz"], raw["span, ms"], raw["paper: CR"]) == ("50.0", "20.0", "50")


def test_table_10_is_of_a_codebook_of_2000(fake: Fake, tmp_path: Path) -> None:
    (line,) = tables(fake)[10].missing
    assert "--num-clusters 2000" in line and "--exp-k2000" in line
    other = Experiment(tmp_path / "k2000")
    info = fake.experiment.units_info()
    with_500 = dataclasses.replace(choose(fake), experiment=fake.experiment)
    with pytest.raises(EntcompError, match="500 units; table 10 is of 2000"):
        fill_tables(choose(fake), with_500)
    dataclasses.replace(info, num_clusters=2000).write(other.units_json)
    threshold = fake.experiment.threshold("rate15_global").read_text()
    other.segments("rate15_global").mkdir(parents=True)
    other.threshold("rate15_global").write_text(threshold)
    write_model(other.path, "asr/rate15_global", "rate15_global")
    write_errors(other.path, "asr/rate15_global", wer=4.0, rate=15.0)
    filled = fill_tables(choose(fake), choose(fake, experiment=other))
    assert row(filled[9], "15 Hz")["WER (%)"] == "4.0 [3.0, 5.0]"
    assert row(filled[2], "entropy, 15 Hz")["WER (%)"] == ""


def test_the_command_writes_markdown_and_a_section(fake: Fake) -> None:
    code, out, err = run("report", "--paper", *fake.arguments)
    assert code == 0, err
    page, markdown = (Path(line) for line in out.split())
    assert page.name == "index.html" and "The paper&#x27;s tables" in page.read_text()
    text = markdown.read_text()
    assert [f"## Table {number}:" in text for number in range(1, 14)] == [True] * 13
    assert "500 units of imported, layer 0, 50.0 a second" in text


def test_a_space_in_the_names_of_models_hid_them(fake: Fake) -> None:
    exp = fake.experiment.path
    write_model(exp, "asr/rate15_global", "rate15_global")
    write_errors(exp, "asr/rate15_global", wer=7.26, rate=16.4)
    code, _, err = run("report", "--paper", "--models", "vc/*, asr/rate15*", *fake.arguments)
    assert code == 0, err
    assert "7.3 [6.3, 8.3]" in (exp / "report/paper.md").read_text()


def test_where_the_paper_contradicts_itself_its_tables_have_a_note() -> None:
    """The same stream and measure with two figures: each table says so."""
    found = defaultdict(set)
    notes = {}
    for table in read_paper().tables:
        notes[table.number] = table.note
        for one in table.rows if table.clusters is None else []:
            for column, figure in zip(table.columns, one.figures, strict=True):
                if figure is not None:
                    found[one.reads, column.measure].add((figure, table.number))
    differing = {
        key: {number for _, number in figures}
        for key, figures in found.items()
        if len({figure for figure, _ in figures}) > 1
    }
    assert set(differing) == {
        *(("m1_15", f"asr.{one}") for one in ("wer", "cer")),
        *(("m1_7", f"asr.{one}") for one in ("wer", "cer")),
        *((f"m1_{rate}", f"vc.{one}") for rate in (15, 7) for one in ("wer", "quality", "speaker")),
    }
    for number in set.union(*differing.values()) - {7, 12}:
        assert notes[number], f"table {number}"
