"""`entcomp compare`: streams over seeds, with intervals over utterances and seeds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from command_line import run

from entcomp.evaluation.text.normalizer import Normalizer
from entcomp.evaluation.text.scores import score_texts
from entcomp.files import write_json
from entcomp.kaldi.table import write_table
from entcomp.tasks.text.info import TextInfo

IDS = [f"utt{number:02d}" for number in range(40)]
RATES = {"raw": 50.0, "fixed3": 16.7, "fixed4": 12.5}


def decoded(
    root: Path,
    model: str,
    hypotheses: Sequence[str],
    references: Sequence[str],
    segmentation: str = "",
    normalizer: Normalizer = "basic",
    set_name: str = "test",
) -> None:
    """What training and decoding leave of a model, ``asr/raw_seed0`` or ``st/es_raw_seed0``.

    ``segmentation``: other groups that it was decoded with.
    """
    task, tag = model.split("/")
    lang = "es" if task == "st" else None
    target = f"text.{lang}" if lang else "text"
    ids = IDS[: len(references)]
    write_table(root / "data" / set_name / target, zip(ids, references, strict=True))
    stream = tag.removeprefix("es_").partition("_")[0]
    folder = root / "exp" / model
    TextInfo(stream, ["train"], ["dev"], 100, "", task, target, 0.02).write(folder)
    expected, found = (dict(zip(ids, texts, strict=True)) for texts in (references, hypotheses))
    scores = score_texts(expected, found, "bleu" if lang else "wer", normalizer, lang)
    output = folder / f"decode_{set_name}{'_' if segmentation else ''}{segmentation}"
    write_table(output / "text", zip(ids, hypotheses, strict=True))
    write_json(output / "scores.json", {**scores, "rate": RATES[segmentation or stream]})


def compare(root: Path, *options: str) -> list[list[str]]:
    """Rows of the table, of cells."""
    code, out, err = run("compare", root / "data", root / "exp", *options)
    assert code == 0, err
    name = "st_es_test" if "st" in options else "asr_test"
    assert (root / f"exp/compare/{name}.md").read_text() in out.partition("\n\n")[2]
    rows = [line for line in out.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.split("|")[1:-1]] for row in rows[2:]]


def test_streams_are_paired_with_raw(tmp_path: Path) -> None:
    references = ["one two", "three four"]
    for model, hypotheses in {
        "raw_seed0": ["one", "three four"],
        "raw_seed1": ["", "three four"],  # nothing was recognised
        "fixed3_seed0": ["one two", "three four"],
    }.items():
        decoded(tmp_path, f"asr/{model}", hypotheses, references)
    raw, fixed = compare(tmp_path)
    assert raw[:2] == ["raw", "50.0"] and raw[3:5] == ["", "25.0 50.0"]
    assert raw[2].startswith("37.5 [")  # 1.5 of 4 words, of both seeds
    assert fixed[:2] == ["fixed3", "16.7"] and fixed[4] == "0.0"
    assert fixed[2].startswith("0.0 [-")  # of one seed, but those of raw differ
    assert fixed[3].startswith("-37.5 [-")
    assert compare(tmp_path, "--baseline", "fixed3")[0][3].startswith("+37.5 [")


def test_a_model_at_other_rates_was_not_compared(tmp_path: Path) -> None:
    """A model that decodes any groups stands beside those that were trained on them."""
    references = ["one two", "three four"]
    decoded(tmp_path, "asr/fixed4_seed0", references, references)
    for seed, words in enumerate(("one two", "one")):
        hypotheses = [words, "three four"]
        decoded(tmp_path, f"asr/fixed3_seed{seed}", references, references)
        decoded(tmp_path, f"asr/fixed3_seed{seed}", hypotheses, references, "fixed4")
    rows = {row[0]: row[1:] for row in compare(tmp_path, "--baseline", "fixed4")}
    assert list(rows) == ["fixed3", "fixed3 fixed4", "fixed4"]
    hertz, _, difference, by_seed = rows["fixed3 fixed4"][:4]
    assert (hertz, by_seed) == ("12.5", "0.0 25.0") and difference.startswith("+12.5 [")


def test_texts_of_two_normalisers_were_compared(tmp_path: Path) -> None:
    references = ["One two.", "Three four."]
    hypotheses = ["one two", "three four"]
    decoded(tmp_path, "asr/raw_seed0", hypotheses, references)
    decoded(tmp_path, "asr/fixed4_seed0", hypotheses, references, normalizer="none")
    raw, fixed = compare(tmp_path)
    assert raw[2] == fixed[2] == "0.0 [0.0, 0.0]" and fixed[4] == "0.0"
    raw, fixed = compare(tmp_path, "--baseline", "fixed4")
    assert raw[4] == fixed[4] == "100.0"


def test_the_first_set_that_was_not_decoded_ended_it(tmp_path: Path) -> None:
    references = ["one two", "three four"]
    decoded(tmp_path, "asr/raw_seed0", references, references, set_name="test_b")
    for name in ("test_a", "test_c"):
        write_table(tmp_path / "data" / name / "text", zip(IDS, references, strict=False))
    arguments = ("compare", tmp_path / "data", tmp_path / "exp")
    code, out, err = run(*arguments)
    assert code == 0, err
    assert "test_a: passed over; " in out and "test_c: passed over; " in out
    assert [one.name for one in (tmp_path / "exp/compare").iterdir()] == ["asr_test_b.md"]
    code, _, err = run(*arguments, "--sets", "test_a,test_b")
    assert code == 1 and "asr: no raw that decoded test_a to text; train and decode it" in err
    code, _, err = run(*arguments, "--sets", "test_c")
    assert code == 1 and "no raw that decoded test_c" in err
    code, out, err = run(*arguments, "--baseline", "dedup")
    assert code == 1 and "no dedup that decoded test_c" in err
    assert "test_b to text; train and decode it, or name another --baseline: raw" in out


def test_translations_without_a_language_named_another_baseline(tmp_path: Path) -> None:
    references = ["la casa es roja", "el perro duerme"]
    for stream in ("raw", "fixed4"):
        decoded(tmp_path, f"asr/{stream}_seed0", references, references)
        decoded(tmp_path, f"st/es_{stream}_seed0", references, references)
    code, _, err = run("compare", tmp_path / "data", tmp_path / "exp", "--task", "st")
    assert code == 1 and "to text; name another --lang: es (fixed4, raw)" in err


def interval(cell: str) -> tuple[float, float]:
    low, high = cell.partition("[")[2].rstrip("]").split(", ")
    return float(low), float(high)


def test_seeds_widen_the_interval(tmp_path: Path) -> None:
    """Three seeds with 30, 40 and 50% errors: nobody knows their mean to 10 points."""
    references = ["a b c d e f g h i j"] * 40
    for seed, errors in enumerate((3, 4, 5)):
        words = ["x"] * errors + list("abcdefghij")[errors:]
        decoded(tmp_path, f"asr/raw_seed{seed}", [" ".join(words)] * 40, references)
    decoded(tmp_path, "asr/fixed4_seed0", ["a b c d e f x x x x"] * 40, references)
    raw, fixed = compare(tmp_path)
    # A standard deviation of 10, and 97.5% of Student's t of 2 degrees of freedom lie below 4.30.
    half = 4.303 * 10
    assert interval(raw[2]) == pytest.approx((40 - half / 3**0.5, 40 + half / 3**0.5), abs=6)
    assert interval(fixed[2]) == pytest.approx((40 - half, 40 + half), abs=6)
    both = half * (1 + 1 / 3) ** 0.5
    assert interval(fixed[3]) == pytest.approx((-both, both), rel=0.2)


def test_translations_have_bleu_and_chrf(tmp_path: Path) -> None:
    references = ["la casa es roja y grande", "el perro duerme en la casa", "veo el mar desde aqui"]
    decoded(tmp_path, "st/es_raw_seed0", references, references)
    decoded(tmp_path, "st/es_fixed4_seed0", ["la casa"] * 3, references)
    decoded(tmp_path, "asr/raw_seed0", references, references)  # of another task
    raw, fixed = compare(tmp_path, "--task", "st", "--lang", "es")
    assert raw[2] == raw[5] == "100.0 [100.0, 100.0]"
    assert fixed[0] == "fixed4" and fixed[3].startswith("-")


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    references = ["one two", "three four"]
    decoded(tmp_path, "asr/raw_seed0", references, references)
    arguments = ("compare", tmp_path / "data", tmp_path / "exp")
    code, _, err = run(*arguments, "--baseline", "dedup")
    assert code == 1 and "no dedup that decoded test to text; train and decode it" in err
    decoded(tmp_path, "asr/fixed4_seed0", references[:1], references[:1])
    write_table(tmp_path / "data/test/text", zip(IDS, references, strict=False))
    code, _, err = run(*arguments)
    assert code == 1 and "fixed4_seed0/decode_test/text: no utt01; decode the set again" in err
    code, _, err = run(*arguments, "--task", "vc")
    assert code == 1 and "vc: it writes no text" in err


def test_texts_of_an_older_model_stood_for_the_one_that_is_there(tmp_path: Path) -> None:
    references = ["one two", "three four"]
    for stream in ("raw", "fixed4"):
        decoded(tmp_path, f"asr/{stream}_seed0", references, references)
        training = {"inputs": {}, "outputs": {"sha256": stream}}
        write_json(tmp_path / "exp/asr" / f"{stream}_seed0" / "training.json", training)
    inputs = {"weights_sha256": "fixed4"}
    for folder in (tmp_path / "exp/asr").iterdir():  # as if raw had been trained anew
        write_json(folder / "decode_test" / "stage.json", {"inputs": inputs, "outputs": {}})
    code, out, err = run("compare", tmp_path / "data", tmp_path / "exp", "--baseline", "fixed4")
    assert code == 0 and "raw" not in out
    assert "raw_seed0/decode_test: by other weights than" in err and "run decode again" in err
