"""`entcomp pack`, and models that come out of it again."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from babbling import RATE, babble
from command_line import run
from tiny_pipeline import TAG, add_converter, add_recogniser, make_pipeline
from toy_predictor import add_predictor

from entcomp import Tokenizer
from entcomp.artifacts import packing
from entcomp.artifacts.experiment import Experiment
from entcomp.audio.read import read_wav
from entcomp.errors import EntcompError
from entcomp.files import read_json, write_json
from entcomp.segmentation.request import Request
from entcomp.segmentation.stage import segment_sets


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    experiment = make_pipeline(tmp_path_factory.mktemp("pipeline"))
    add_recogniser(experiment, "asr")
    return experiment


@pytest.fixture
def experiment(made: Experiment, tmp_path: Path) -> Experiment:
    return Experiment(shutil.copytree(made.path, tmp_path / "exp"))


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    soundfile.write(tmp_path / "a.wav", babble(3.0, 11), RATE)
    return tmp_path / "a.wav"


@pytest.mark.parametrize("name", ["out.tar", "folder"])
def test_a_pack_does_what_the_experiment_does(
    experiment: Experiment, wav: Path, tmp_path: Path, name: str
) -> None:
    """Though the experiment is gone: with the same groups, by any criterion, and the same text."""
    out = tmp_path / "elsewhere" / name
    code, printed, _ = run("pack", experiment.path, out, "--model", "asr/tiny")
    assert code == 0
    assert "lm/model.safetensors" in printed
    commands = [
        ("tokenize", wav, "--target-rate", "15"),
        ("tokenize", wav, "--criterion", "peak", "--target-rate", "6"),
        ("tokenize", wav, "--criterion", "bidirectional", "--target-rate", "6"),
        ("tokenize", wav, "--segmentation", TAG),
        ("transcribe", wav),
    ]
    expected = [run(*command, "--model", experiment.path) for command in commands]
    shutil.rmtree(experiment.path)
    for command, (code, text, _) in zip(commands, expected, strict=True):
        assert code == 0
        assert run(*command, "--model", out)[:2] == (0, text)
    assert run("transcribe", wav, "--model", out / "asr" / "tiny")[:2] == (0, expected[-1][1])


def test_the_boundary_of_a_segmentation_travels(
    experiment: Experiment, wav: Path, tmp_path: Path
) -> None:
    """Into the pack, and from there to what is tokenized offline and in a stream."""
    tag = "rate6_peak_last"
    list(segment_sets(experiment, ["train"], Request("peak", target_rate=6, boundary="last")))
    pack = tmp_path / "pack"
    assert run("pack", experiment.path, pack, "--segmentation", tag)[0] == 0
    options = ("--criterion", "peak", "--target-rate", "6")
    stored = run("tokenize", wav, "--model", pack, "--segmentation", tag)
    asked = run("tokenize", wav, "--model", pack, *options, "--boundary", "last")
    first = run("tokenize", wav, "--model", pack, *options)
    assert stored[0] == first[0] == 0 and stored[1] == asked[1] != first[1]
    tokenizer, found = Tokenizer.from_pretrained(pack), json.loads(stored[1])
    stream = tokenizer.stream(tokenizer.stored_rule(tag))
    assert stream.push(found["units"]) + stream.finish() == found["groups"]


def test_a_pack_has_its_own_default(experiment: Experiment, wav: Path, tmp_path: Path) -> None:
    """Also when it is packed again; what a user asks for comes first."""
    tag = "rate6_bidirectional_peaks"
    list(segment_sets(experiment, ["train"], Request("bidirectional", target_rate=6, peaks=True)))
    first, second = tmp_path / "first", tmp_path / "second.tar"
    assert run("pack", experiment.path, first, "--default", tag)[0] == 0
    assert run("pack", first, second)[0] == 0
    expected = run("tokenize", wav, "--model", experiment.path, "--segmentation", tag)
    else_15 = run("tokenize", wav, "--model", experiment.path)
    assert (expected[0], else_15[0]) == (0, 0)
    for pack in (first, second):
        assert run("tokenize", wav, "--model", pack)[:2] == expected[:2] != else_15[:2]
        assert run("tokenize", wav, "--model", pack, "--target-rate", "15")[:2] == else_15[:2]
    last = run("tokenize", wav, "--model", first, "--boundary", "last")
    asked = ("--criterion", "bidirectional", "--peaks", "--target-rate", 6, "--boundary", "last")
    assert last[:2] == run("tokenize", wav, "--model", first, *asked)[:2] != expected[:2]
    assert f"`{tag}`" in (first / "README.md").read_text()
    groups = Tokenizer.from_pretrained(first).encode(read_wav(wav, RATE), RATE).groups
    assert groups.tolist() == json.loads(expected[1])["groups"]


def test_a_default_that_is_not_there_is_refused(experiment: Experiment, tmp_path: Path) -> None:
    code, _, err = run("pack", experiment.path, tmp_path / "out", "--default", "none")
    assert code == 1
    assert "none" in err
    folder = tmp_path / "pack"
    assert run("pack", experiment.path, folder, "--default", TAG)[0] == 0
    manifest = read_json(folder / packing.MANIFEST)
    for wrong in ("none", 3, [TAG]):
        write_json(folder / packing.MANIFEST, manifest | {"default": wrong})
        with pytest.raises(EntcompError, match="no segmentation"):
            Tokenizer.from_pretrained(folder).default_rule()


def test_equal_bytes_anywhere_at_any_time(experiment: Experiment, tmp_path: Path) -> None:
    moved = shutil.copytree(experiment.path, tmp_path / "moved" / "exp")
    for path in moved.rglob("*"):
        path.touch()
    outs = [tmp_path / "one" / "out.tar", tmp_path / "two" / "out.tar"]
    for exp, out in zip((experiment.path, moved), outs, strict=True):
        assert run("pack", exp, out, "--segmentation", TAG, "--model", "asr/tiny")[0] == 0
    assert outs[0].read_bytes() == outs[1].read_bytes()
    assert str(tmp_path).encode() not in outs[0].read_bytes()


def test_a_pack_of_a_pack_is_the_same(experiment: Experiment, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    assert run("pack", experiment.path, first)[0] == 0
    assert run("pack", first, second)[0] == 0
    files = (
        read_json(first / "manifest.json")["files"],
        read_json(second / "manifest.json")["files"],
    )
    for one in files:
        one.pop("README.md")
    assert files[0] == files[1]


def test_the_card(experiment: Experiment, tmp_path: Path) -> None:
    notes = tmp_path / "notes.md"
    notes.write_text("# A tiny model\n\nData: noise. Licence: none.\n")
    run("pack", experiment.path, tmp_path / "out", "--model", "asr/tiny", "--notes", notes)
    card = (tmp_path / "out" / "README.md").read_text()
    assert card.startswith("# A tiny model\n\nData: noise. Licence: none.\n\n## Units\n")
    assert "mfcc, layer 0, K = 20: 100.00 units a second" in card
    assert "| forward   | dedup |         2.000 |   3.000 |  2.500 |" in card
    assert "rate15_global" in card
    assert "## asr/tiny\n\nReads rate15_global, writes text; trained on train." in card


def test_beside_entcomp_it_has_a_name(
    experiment: Experiment, wav: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "PRETRAINED", tmp_path / "pretrained")
    run("pack", experiment.path, tmp_path / "pretrained" / packing.DEFAULT_MODEL)
    expected = run("tokenize", wav, "--model", experiment.path)
    assert expected[0] == 0
    assert run("tokenize", wav)[:2] == expected[:2]
    assert run("tokenize", wav, "--model", packing.DEFAULT_MODEL)[:2] == expected[:2]
    found = Tokenizer.from_pretrained().encode(babble(1.0, 0), RATE)
    assert found.groups.sum() == 98


def test_a_sample_of_the_calibration_set(
    experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "SAMPLE_UNITS", 500)
    run("pack", experiment.path, tmp_path / "out")
    rule = Tokenizer.from_pretrained(tmp_path / "out").rule(6.0, "peak")
    whole = Tokenizer.open(experiment).rule(6.0, "peak")
    assert rule.theta_g == pytest.approx(whole.theta_g, abs=0.5)
    assert rule != whole


@pytest.mark.parametrize(
    "name", ["lm/model.safetensors", "units/kmeans.npz", "segments/rate15_global/threshold.json"]
)
def test_a_changed_file_is_noticed(experiment: Experiment, tmp_path: Path, name: str) -> None:
    run("pack", experiment.path, tmp_path / "out", "--segmentation", TAG)
    content = bytearray((tmp_path / "out" / name).read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "out" / name).write_bytes(content)
    with pytest.raises(EntcompError, match=f"{name}: not as it was packed"):
        packing.open_model(tmp_path / "out")


def test_a_missing_and_an_added_file_are_noticed(experiment: Experiment, tmp_path: Path) -> None:
    run("pack", experiment.path, tmp_path / "out")
    (tmp_path / "out" / "entropy" / "more").write_text("x")
    with pytest.raises(EntcompError, match="entropy/more: not as it was packed"):
        packing.open_model(tmp_path / "out")
    (tmp_path / "out" / "entropy" / "more").unlink()
    (tmp_path / "out" / "lm" / "lm.json").unlink()
    with pytest.raises(EntcompError, match=r"lm/lm\.json: not as it was packed"):
        packing.open_model(tmp_path / "out")


def test_what_is_no_pack(tmp_path: Path) -> None:
    (tmp_path / "text.tar").write_text("this is no archive")
    with pytest.raises(EntcompError, match=r"text\.tar: not a pack"):
        packing.open_model(tmp_path / "text.tar")
    for kind, name in (("up", "../up"), ("absolute", "/tmp/up"), ("link", "link")):
        with tarfile.open(tmp_path / f"{kind}.tar", "w") as archive:
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = (
                (tarfile.SYMTYPE, "/etc/passwd") if kind == "link" else (tarfile.REGTYPE, "")
            )
            archive.addfile(entry)
        with pytest.raises(EntcompError, match="not a plain file in this pack"):
            packing.open_model(tmp_path / f"{kind}.tar")


@pytest.mark.parametrize(
    ("path", "key", "what"),
    [
        ("lm/lm.json", "codebook_sha256", "codebook"),
        ("entropy/calibration.json", "lm_sha256", "LM"),
        ("segments/rate15_global/threshold.json", "lm_sha256", "LM"),
        ("asr/tiny/task.json", "codebook_sha256", "codebook"),
        ("units/units.json", "codebook_sha256", "codebook"),
    ],
)
def test_what_does_not_belong_together_is_not_packed(
    experiment: Experiment, tmp_path: Path, path: str, key: str, what: str
) -> None:
    write_json(experiment.path / path, read_json(experiment.path / path) | {key: "another"})
    code, _, err = run("pack", experiment.path, tmp_path / "out.tar", "--model", "asr/tiny")
    assert code == 1
    assert f"{path}: made with another {what}" in err
    assert not (tmp_path / "out.tar").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--model", "asr/none"), "asr/none: no such model; available: asr/tiny"),
        (("--model", "vc/tiny"), "vc/tiny: no such model; available: asr/tiny"),
        (("--segmentation", "none"), "threshold.json: no such file"),
        (("--notes", "none"), "--notes none: no such file"),
    ],
)
def test_what_is_not_there(
    experiment: Experiment, tmp_path: Path, options: tuple[str, str], message: str
) -> None:
    code, _, err = run("pack", experiment.path, tmp_path / "out.tar", *options)
    assert code == 1
    assert message in err


def test_unpacked_files_go_with_the_program(experiment: Experiment, tmp_path: Path) -> None:
    run("pack", experiment.path, tmp_path / "out.tar")
    script = (
        "from entcomp.artifacts.packing import open_model; "
        f"one, two = (open_model({str(tmp_path / 'out.tar')!r}) for _ in range(2)); "
        "assert one == two; print(one.experiment.path)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert not Path(done.stdout.strip()).exists()


def test_a_model_folder_of_an_experiment(experiment: Experiment) -> None:
    model = packing.open_model(experiment.path / "asr" / "tiny")
    assert model == packing.Model(experiment, "asr/tiny")
    assert packing.open_model(experiment.path) == model
    add_recogniser(experiment, "st")
    assert packing.open_model(experiment.path).task is None


def test_json_says_what_was_packed(experiment: Experiment, tmp_path: Path) -> None:
    run("pack", experiment.path, tmp_path / "out.tar")
    with tarfile.open(tmp_path / "out.tar") as archive:
        names = archive.getnames()
        stream = archive.extractfile("manifest.json")
        assert stream is not None
        files = json.load(stream)["files"]
    assert names == ["manifest.json", *sorted(files)]
    assert np.all([len(digest) == 64 for digest in files.values()])


def test_a_voice_converter_is_packed(experiment: Experiment, tmp_path: Path) -> None:
    """Packs held recognisers and translators only."""
    add_converter(experiment)
    out = tmp_path / "out.tar"
    code, printed, err = run("pack", experiment.path, out, "--model", "vc/tiny")
    assert code == 0, err
    assert "vc/tiny/model.safetensors" in printed
    with tarfile.open(out) as archive:
        card = archive.extractfile("README.md")
        assert card is not None
        assert "## vc/tiny\n\nReads rate15_global, writes speech" in card.read().decode()
    for name in (out, out / "vc" / "tiny"):
        assert packing.open_model(name).of_task("vc") == "vc/tiny"
    with pytest.raises(EntcompError, match="name one of its asr models: none; run train-asr"):
        packing.open_model(out).of_task("asr")


def test_a_learnt_predictor_travels_with_its_threshold(
    experiment: Experiment, wav: Path, tmp_path: Path
) -> None:
    """The model that it was trained with stays behind."""
    add_predictor(experiment, "learnt20", seed=0)
    learnt = ("--criterion", "learnt", "--target-rate", 20)
    data = experiment.path.parent / "data" / "train"
    data.mkdir(parents=True)
    (data / "wav.scp").write_text(f"a {wav}\n")
    code, _, err = run("segment", *learnt, data, experiment.path)
    assert code == 0, err
    out = tmp_path / "learnt.tar"
    code, _, err = run("pack", experiment.path, out, "--segmentation", "rate20_learnt")
    assert code == 0, err
    own = ("tokenize", wav, "--segmentation", "rate20_learnt", "--model")
    before, after = run(*own, experiment.path), run(*own, out)
    assert before[0] == after[0] == 0 and before[1] == after[1] != ""
    with tarfile.open(out) as archive:
        assert not [name for name in archive.getnames() if name.startswith("asr/")]


@pytest.mark.parametrize("name", ["precious", "exp", "file", "model.tar.gz"])
def test_a_folder_of_something_else_was_replaced(
    experiment: Experiment, tmp_path: Path, name: str
) -> None:
    output = tmp_path / name
    if name == "precious":
        output.mkdir()
        (output / "thesis.tex").touch()
    elif name == "file":
        output.touch()
    before = sorted(tmp_path.rglob("*"))
    code, _, err = run("pack", experiment.path, output)
    assert code == 1
    expected = "packs are folders or .tar files" if name.endswith("gz") else "something else than"
    assert expected in err
    assert sorted(tmp_path.rglob("*")) == before


def test_a_pack_is_replaced(experiment: Experiment, tmp_path: Path) -> None:
    (tmp_path / "pack").mkdir()
    for _ in range(2):
        assert run("pack", experiment.path, tmp_path / "pack")[0] == 0
    (tmp_path / "pack/units/kmeans.npz").unlink()
    assert run("pack", experiment.path, tmp_path / "pack")[0] == 0
    assert (tmp_path / "pack/units/kmeans.npz").exists()


def test_half_of_an_older_pack_stayed_where_packing_was_killed(
    experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack, rmtree = tmp_path / "pack", shutil.rmtree
    assert run("pack", experiment.path, pack)[0] == 0

    def killed(path: Path, ignore_errors: bool = False) -> None:
        if Path(path).is_dir() and Path(path).parent == tmp_path:
            (Path(path) / "manifest.json").unlink()
            raise KeyboardInterrupt
        rmtree(path, ignore_errors)

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            packing._write(pack, pack)
    assert (pack / "manifest.json").exists() and (pack / "units/kmeans.npz").exists()
    assert run("pack", experiment.path, pack)[0] == 0
    assert not list(tmp_path.glob(".pack.*"))


def test_a_default_that_no_recording_has_was_packed(experiment: Experiment, tmp_path: Path) -> None:
    (tag, *_) = experiment.segmentations()
    made = read_json(experiment.threshold(tag)) | {"criterion": "imported"}
    write_json(experiment.threshold("files"), made)
    code, _, err = run("pack", experiment.path, tmp_path / "p.tar", "--default", "files")
    assert code == 1 and "--default files: its groups come from files" in err
    assert not (tmp_path / "p.tar").exists()


def test_info_of_a_pack_named_a_temporary_folder(experiment: Experiment, tmp_path: Path) -> None:
    assert run("pack", experiment.path, tmp_path / "p.tar")[0] == 0
    assert run("info", tmp_path / "p.tar")[1].splitlines()[0] == str(tmp_path / "p.tar")
