"""`entcomp import-units` and `export-units` as a user calls them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import av
import kaldiio
import numpy as np
import pytest
import soundfile
from command_line import run

from entcomp.artifacts.experiment import Experiment
from entcomp.kaldi.ark import iter_vectors

LABELS = "utt1 5 5 7\nutt2 99 0\n"
OPTIONS = ["--num-clusters", "100", "--frame-shift", "0.02"]


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    path = tmp_path / "labels.txt"
    path.write_text(LABELS)
    return path


def test_import_and_export(tmp_path: Path, labels: Path) -> None:
    data, exp, out = tmp_path / "data" / "train", tmp_path / "exp", tmp_path / "out"
    call = ["import-units", "--format", "text", *OPTIONS, "--receptive-offset", "0.01"]
    code, said, err = run(*call, labels, data, exp)
    assert code == 0, err
    assert said == "train: 2 utterances, 5 units, 0 utterances skipped\n"
    assert (data / "utt2spk").read_text() == "utt1 utt1\nutt2 utt2\n"
    info = Experiment(exp).units_info()
    assert (info.extractor, info.num_clusters) == ("imported", 100)
    assert (info.frame_shift, info.receptive_offset) == (0.02, 0.01)
    units = dict(iter_vectors(Experiment(exp).units("train") / "units.scp"))
    assert {key: value.tolist() for key, value in units.items()} == {
        "utt1": [5, 5, 7],
        "utt2": [99, 0],
    }
    assert run(*call, labels, data, exp)[1] == "train: complete, skipped\n"
    assert run("export-units", "--format", "text", data.parent, exp, out)[0] == 0
    assert (out / "train.txt").read_text() == LABELS
    assert run("export-units", "--format", "jsonl", data.parent, exp, out)[0] == 0
    lines = (out / "train.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines][1] == {"key": "utt2", "code": [99, 0]}
    code, _, err = run("export-units", "--format", "km", data.parent, exp, out)
    assert code == 1 and "no wav.scp for the .tsv; use --format text" in err
    assert sorted(path.name for path in out.iterdir()) == ["train.jsonl", "train.txt"]
    assert run("segment", "--criterion", "dedup", data.parent, exp)[0] == 0
    groups = dict(iter_vectors(Experiment(exp).segments("dedup") / "train" / "groups.scp"))
    assert groups["utt1"].tolist() == [2, 1]


def test_fairseq_there_and_back(tmp_path: Path, labels: Path) -> None:
    data, exp = tmp_path / "data" / "train", tmp_path / "exp"
    data.mkdir(parents=True)
    wavs = []
    for name in ("a", "b"):
        soundfile.write(tmp_path / f"{name}.wav", np.zeros(1600), 16000)
        wavs.append(str(tmp_path / f"{name}.wav"))
    (data / "wav.scp").write_text(f"utt1 {wavs[1]}\nutt2 {wavs[0]}\n")
    assert run("import-units", "--format", "text", *OPTIONS, labels, data, exp)[0] == 0
    assert not (data / "utt2spk").exists()
    run("export-units", "--format", "km", data, exp, tmp_path)
    km, tsv = tmp_path / "train.km", tmp_path / "train.tsv"
    assert km.read_text() == "5 5 7\n99 0\n"
    again = tmp_path / "again"
    call = ["import-units", "--format", "km", *OPTIONS, km]
    assert run(*call, "--tsv", tsv, data, again)[0] == 0
    archives = [path / "units" / "train" / "units.ark" for path in (exp, again)]
    assert archives[0].read_bytes() == archives[1].read_bytes()
    code, _, err = run(*call, data, tmp_path / "third")
    assert code == 1 and "1 .km files and 0 --tsv; give one for each" in err


def test_espnet_labels_as_its_recipe_makes_them(tmp_path: Path) -> None:
    """Text archives of several jobs, without their brackets, sorted: pseudo_labels_kmK.txt."""
    jobs = [{"spk-2": [7, 7, 0], "spk-1": [3]}, {"Spk-3": [99, 5]}]
    lines: list[str] = []
    for number, units in enumerate(jobs):
        path = tmp_path / f"job.{number}.txt"
        with kaldiio.WriteHelper(f"ark,t:{path}") as writer:
            for utt_id, values in units.items():
                writer(utt_id, np.array(values, np.int32))
        lines += path.read_text().splitlines(keepends=True)
    labels = tmp_path / "pseudo_labels_km100.txt"
    labels.write_text("".join(sorted(re.sub(r" \[ | \]", "", line) for line in lines)))
    data, exp = tmp_path / "train", tmp_path / "exp"
    call = ["import-units", "--format", "text", *OPTIONS, labels, data, exp]
    assert run(*call)[1] == "train: 3 utterances, 6 units, 0 utterances skipped\n"
    run("export-units", "--format", "text", data, exp, tmp_path)
    assert (tmp_path / "train.txt").read_text() == "Spk-3 99 5\nspk-1 3\nspk-2 7 7 0\n"


def test_s3tokenizer_there_and_back(tmp_path: Path) -> None:
    """The parts of two ranks, whose sampler repeats an utterance so that both have as many."""
    parts = [tmp_path / "part_1_of_2", tmp_path / "part_2_of_2"]
    for path, units in zip(
        parts, ({"b": [6560, 0], "ä": [1]}, {"c": [2], "b": [6560, 0]}), strict=True
    ):
        rows = ({"key": key, "code": code} for key, code in units.items())
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    call = ["import-units", "--format", "jsonl", "--num-clusters", "6561", "--frame-shift", "0.04"]
    data, first, second = tmp_path / "train", tmp_path / "first", tmp_path / "second"
    assert run(*call, *parts, data, first)[1].startswith("train: 3 utterances, 4 units")
    run("export-units", "--format", "jsonl", data, first, tmp_path)
    assert run(*call, tmp_path / "train.jsonl", data, second)[0] == 0
    archives = [path / "units" / "train" / "units.ark" for path in (first, second)]
    assert archives[0].read_bytes() == archives[1].read_bytes()


def test_units_of_one_experiment_are_of_one_kind(tmp_path: Path, labels: Path) -> None:
    data, exp = tmp_path / "data", tmp_path / "exp"
    call = ["import-units", "--format", "text", "--frame-shift", "0.02"]
    named = ["--num-clusters", "100", "--codebook-name", "mhubert"]
    assert run(*call, *named, labels, data / "train", exp)[0] == 0
    before = Experiment(exp).units_json.read_bytes()
    for other, message in (
        (["--num-clusters", "100", "--codebook-name", "hubert"], "made with another codebook"),
        (["--num-clusters", "200"], "num_clusters is 100 there, not 200; use another EXP"),
        (["--num-clusters", "100", "--receptive-offset", "0.01"], "receptive_offset is 0.0 there"),
    ):
        code, _, err = run(*call, *other, labels, data / "dev", exp)
        assert code == 1 and message in err and "units.json" in err
    assert run(*call, "--num-clusters", "100", labels, data / "dev", exp)[0] == 0
    assert Experiment(exp).units_json.read_bytes() == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--num-clusters", "50", "--frame-shift", "0.02"], "labels.txt:2: unit 99 is not one of"),
        (["--num-clusters", "100", "--frame-shift", "0.00001"], "not a whole number of samples"),
        (["--num-clusters", "100", "--frame-shift", "0"], "--frame-shift 0: must be positive"),
    ],
)
def test_mistakes(
    tmp_path: Path,
    labels: Path,
    options: list[str],
    message: str,
) -> None:
    data, exp = tmp_path / "data" / "train", tmp_path / "exp"
    call = ["import-units", "--format", "text", *options, labels, data, exp]
    code, _, err = run(*call)
    assert code == 1 and message in err and "Traceback" not in err
    assert not data.exists() and not list(exp.rglob("units.*"))
    if "unit 99" in message:
        code, out, _ = run(*call, "--skip-bad")
        assert code == 0 and "1 utterances, 3 units, 1 utterances skipped" in out


def test_a_folder_of_sets_is_no_set(tmp_path: Path, labels: Path) -> None:
    (tmp_path / "data" / "train").mkdir(parents=True)
    call = ["import-units", "--format", "text", *OPTIONS]
    code, _, err = run(*call, labels, tmp_path / "data", tmp_path / "exp")
    assert code == 1 and "not a data dir; name one" in err
    code, _, err = run(*call, "nowhere.txt", tmp_path / "new", tmp_path / "exp")
    assert code == 1 and "nowhere.txt: no such file" in err


def test_real_units(tmp_path: Path, prompt_data: Path) -> None:
    source = prompt_data / "units.txt"
    call = ["import-units", "--format", "text", *OPTIONS, "--num-clusters", "500"]
    code, out, err = run(*call, source, tmp_path / "prompts", tmp_path / "exp")
    assert code == 0, err
    units = sum(len(line.split()) - 1 for line in source.read_text().splitlines())
    assert out == f"prompts: 60 utterances, {units} units, 0 utterances skipped\n"
    arguments = (tmp_path / "prompts", tmp_path / "exp", tmp_path)
    run("export-units", "--format", "text", *arguments)
    assert (tmp_path / "prompts.txt").read_bytes() == source.read_bytes()


@pytest.mark.parametrize(("extension", "codec"), [("m4a", "aac"), ("webm", "libopus")])
def test_export_to_km_reads_what_dump_units_reads(
    tmp_path: Path, extension: str, codec: str
) -> None:
    """soundfile.info alone called these unreadable audio."""
    data, exp, wav = tmp_path / "data", tmp_path / "exp", tmp_path / f"a.{extension}"
    with av.open(str(wav), "w") as container:
        stream = container.add_stream(codec, rate=48000, layout="stereo")
        silence = np.zeros((2, 9600), np.float32)
        frame = av.AudioFrame.from_ndarray(silence, format="fltp", layout="stereo")
        frame.sample_rate = 48000
        container.mux([*stream.encode(frame), *stream.encode(None)])
    data.mkdir()
    (data / "wav.scp").write_text(f"utt1 {wav}\n")
    labels = tmp_path / "labels.txt"
    labels.write_text("utt1 5 5 7\n")
    run("import-units", "--format", "text", *OPTIONS, labels, data, exp)
    code, _, err = run("export-units", "--format", "km", data, exp, tmp_path)
    assert code == 0, err
    name, samples = (tmp_path / "data.tsv").read_text().splitlines()[1].split("\t")
    assert f"/{name}" == str(wav) and int(samples) == pytest.approx(9600, abs=3000)


@pytest.mark.parametrize("wav", ["sox a.wav -t wav - |", "wav.ark:5", "nowhere.wav"])
def test_recordings_that_no_tsv_names(tmp_path: Path, labels: Path, wav: str) -> None:
    data, exp = tmp_path / "data", tmp_path / "exp"
    data.mkdir()
    (data / "wav.scp").write_text(f"utt1 {wav}\nutt2 {wav}\n")
    run("import-units", "--format", "text", *OPTIONS, labels, data, exp)
    code, _, err = run("export-units", "--format", "km", data, exp, tmp_path / "out")
    assert code == 1 and "utt1 is a segment, a command or part of an archive" in err
    assert "use --format text" in err and not list((tmp_path / "out").glob("*"))


def test_names_with_spaces_became_their_first_word(tmp_path: Path) -> None:
    tsv, km = tmp_path / "a.tsv", tmp_path / "a.km"
    tsv.write_text("/corpus\ngood morning.wav\t9\ngood night.wav\t9\n")
    km.write_text("1 2\n3\n")
    call = ["import-units", "--format", "km", *OPTIONS, km, "--tsv", tsv]
    code, _, err = run(*call, tmp_path / "data", tmp_path / "exp")
    assert code == 1 and "a.tsv:2: /corpus/good morning.wav: 'good morning' cannot be" in err
    assert not (tmp_path / "data").exists() and not list((tmp_path / "exp").rglob("units.*"))


def imported(exp: Path, name: str) -> dict[str, list[int]]:
    rows = iter_vectors(Experiment(exp).units(name) / "units.scp")
    return {key: units.tolist() for key, units in rows}


def test_groups_of_vq_wav2vec_one_by_one_and_together(tmp_path: Path) -> None:
    """As fairseq's vq-wav2vec_featurize.py writes <split>.src, in the order of its .tsv."""
    labels, manifest = tmp_path / "train.src", tmp_path / "train.tsv"
    labels.write_text("17-305 17-305 0-319\n4-1\n")
    manifest.write_text("/corpus\nb.wav\t3200\na.wav\t800\n")
    times = ["--frame-shift", "0.01", "--tsv", manifest]
    call = ["import-units", "--format", "km", *times, labels, tmp_path / "train"]
    size = ["--num-clusters", "320"]
    assert run(*call, tmp_path / "first", *size, "--layers", "0")[0] == 0
    assert imported(tmp_path / "first", "train") == {"b": [17, 17, 0], "a": [4]}
    assert run(*call, tmp_path / "second", *size, "--layers", "1")[0] == 0
    assert imported(tmp_path / "second", "train") == {"b": [305, 305, 319], "a": [1]}
    code, _, err = run(*call, tmp_path / "both", *size, "--layers", "0,1")
    assert code == 1 and "102400 units, more than 65536; name one" in err
    assert not (tmp_path / "both").exists()
    code, _, err = run(*call, tmp_path / "none", *size)
    assert code == 1 and "train.src:2: not a line of --format km" in err
    assert "for several codebooks pass --layers" in err
    code, _, err = run(*call, tmp_path / "first", *size, "--layers", "1")
    assert code == 1 and "made with another codebook; use another EXP" in err


def test_layers_of_speechtokenizer(tmp_path: Path) -> None:
    """A list of frames for each layer, as `SpeechTokenizer.encode` returns them."""
    path = tmp_path / "codes.jsonl"
    codes = {"utt1": [[7, 7, 3], [2, 0, 1], [9, 9, 9]], "utt2": [[1], [0], [5]]}
    lines = [json.dumps({"key": key, "code": code}) + "\n" for key, code in codes.items()]
    path.write_text("".join(lines))
    call = ["import-units", "--format", "jsonl", "--frame-shift", "0.02", "--num-clusters", "10"]
    call += [path, tmp_path / "train"]
    assert run(*call, tmp_path / "one", "--layers", "0")[0] == 0
    assert imported(tmp_path / "one", "train") == {"utt1": [7, 7, 3], "utt2": [1]}
    assert run(*call, tmp_path / "two", "--layers", "0,1")[0] == 0
    assert imported(tmp_path / "two", "train") == {"utt1": [72, 70, 31], "utt2": [10]}
    assert Experiment(tmp_path / "two").units_info().num_clusters == 100
    code, _, err = run(*call, tmp_path / "three", "--layers", "3")
    assert code == 1 and "codes.jsonl:1: 3 numbers a frame, and none of layer 3" in err
    code, _, err = run(*call, tmp_path / "none")
    assert code == 1 and "for several codebooks pass --layers" in err


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("text", "a 1_2 3_40\n", ":1: layer 1: 40 is not one of 0..9"),
        ("text", "a 1,2 3\n", ":1: 1 numbers a frame, and 2 before"),
        ("text", "a 1_2\nb 1_2_3\n", ":2: 3 numbers a frame, and 2 before"),
        ("text", "a 1_x\n", ":1: not a line of --format text"),
        ("jsonl", '{"key": "a", "code": [[1, 2], [3]]}\n', ":1: not a line of --format jsonl"),
        (
            "jsonl",
            '{"key": "a", "code": [[1, 2], [3, 4]]}\n{"key": "b", "code": [[1, 2]]}\n',
            ":2: 1 numbers a frame, and 2 before; a list for each layer is expected",
        ),
    ],
)
def test_broken_tokens_of_several_codebooks(
    tmp_path: Path, kind: str, text: str, message: str
) -> None:
    (tmp_path / "units").write_text(text)
    call = ["import-units", "--format", kind, "--layers", "0,1", "--num-clusters", "10"]
    call += ["--frame-shift", "0.02"]
    code, _, err = run(*call, tmp_path / "units", tmp_path / "set", tmp_path / "exp")
    assert code == 1 and f"units{message}" in err


@pytest.mark.parametrize("layers", ["", "x", "0,0", "-1", "0,"])
def test_layers_that_are_none(tmp_path: Path, labels: Path, layers: str) -> None:
    call = ["import-units", "--format", "text", *OPTIONS, f"--layers={layers}"]
    code, _, err = run(*call, labels, tmp_path / "set", tmp_path / "exp")
    assert code == 1 and "expected numbers from 0 on, as in 0 or 0,1" in err


def test_tokens_of_two_codebooks_were_one_number(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("u1 17_305 4_2\n")
    call = ["import-units", "--format", "text", "--num-clusters", 102400, "--frame-shift", 0.01]
    code, _, err = run(*call, tmp_path / "labels.txt", tmp_path / "d", tmp_path / "exp")
    assert code == 1 and "for several codebooks pass --layers" in err


def test_a_second_import_has_its_speakers(tmp_path: Path, labels: Path) -> None:
    data, exp = tmp_path / "data/train", tmp_path / "exp"
    call = ["import-units", "--format", "text", *OPTIONS, labels, data, exp]
    assert run(*call)[0] == 0
    labels.write_text(LABELS + "utt3 7\n")
    assert run(*call)[0] == 0
    assert (data / "utt2spk").read_text() == "utt1 utt1\nutt2 utt2\nutt3 utt3\n"
    (data / "utt2spk").write_text("utt1 anna\nutt2 ben\n")
    labels.write_text(LABELS)
    assert run(*call)[0] == 0
    assert (data / "utt2spk").read_text() == "utt1 anna\nutt2 ben\n"  # a user's own


@pytest.mark.parametrize("shift", ["nan", "inf", "-3", "0"])
def test_times_that_are_none(tmp_path: Path, labels: Path, shift: str) -> None:
    call = ["import-units", "--format", "text", "--num-clusters", 100, f"--frame-shift={shift}"]
    code, _, err = run(*call, labels, tmp_path / "data", tmp_path / "exp")
    assert code == 1 and err.startswith(f"entcomp: error: --frame-shift {float(shift):g}: ")


def test_a_folder_for_a_file(tmp_path: Path) -> None:
    call = ["import-units", "--format", "text", *OPTIONS]
    code, _, err = run(*call, tmp_path, tmp_path / "data", tmp_path / "exp")
    assert code == 1 and "Traceback" not in err and "Is a directory" in err


def test_units_of_another_set_were_imported(tmp_path: Path, labels: Path) -> None:
    data = tmp_path / "data" / "train"
    data.mkdir(parents=True)
    call = ["import-units", "--format", "text", *OPTIONS, labels, data, tmp_path / "exp"]
    (data / "wav.scp").write_text("other a.wav\n")
    code, _, err = run(*call)
    assert code == 1 and "has none of the 2 utterances, as utt1; name their set" in err
    assert not (tmp_path / "exp/units/train/units.scp").exists()
    (data / "wav.scp").write_text("utt1 a.wav\n")
    code, _, err = run(*call)
    assert code == 0 and "1 utterance is not there: utt2" in err
