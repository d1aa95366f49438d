"""`entcomp tokenize`, `transcribe`, `translate` and `plot` as a user calls them, on any files."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from itertools import groupby
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile
from babbling import RATE, babble
from command_line import run
from fake_alignment import write_grid
from hypothesis import given
from hypothesis import strategies as st
from tiny_pipeline import TAG, add_recogniser, make_pipeline

from entcomp import Recognizer
from entcomp.artifacts.experiment import Experiment
from entcomp.audio.read import read_wav
from entcomp.audio.silence import quietest, split_at_silences
from entcomp.files import read_json, write_json
from entcomp.formats.textgrid import read_textgrid
from entcomp.kaldi.ark import iter_vectors
from entcomp.kaldi.table import read_table


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    made = make_pipeline(tmp_path_factory.mktemp("pipeline"))
    add_recogniser(made, "asr")
    add_recogniser(made, "st", "dedup")
    return made


def write_aac(path: Path, waveform: np.ndarray, rate: int) -> Path:
    """What libsndfile cannot read."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=rate, layout="mono")
        frame = av.AudioFrame.from_ndarray(waveform[None], format="fltp", layout="mono")
        frame.sample_rate = rate
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    return path


def objects(text: str) -> dict[str, dict[str, Any]]:
    found = [json.loads(line) for line in text.splitlines()]
    return {one["utt_id"]: one for one in found}


def test_formats_and_rates(experiment: Experiment, tmp_path: Path) -> None:
    files = []
    for number, (name, rate, kind, subtype) in enumerate(
        [
            ("a.wav", 16000, "WAV", "PCM_16"),
            ("b.flac", 44100, "FLAC", "PCM_24"),
            ("c.ogg", 48000, "OGG", "VORBIS"),
            ("d.opus", 48000, "OGG", "OPUS"),
            ("e.mp3", 22050, "MP3", "MPEG_LAYER_III"),
            ("f.wav", 8000, "WAV", "ULAW"),
        ]
    ):
        stereo = np.stack([babble(2.0, number, rate)] * 2, axis=1)
        soundfile.write(tmp_path / name, stereo, rate, subtype, format=kind)
        files.append(tmp_path / name)
    files.append(write_aac(tmp_path / "g.m4a", babble(2.0, 7, 44100), 44100))
    code, out, _ = run("tokenize", *files, "--model", experiment.path)
    assert code == 0
    found = objects(out)
    assert list(found) == list("abcdefg")
    for one in found.values():
        assert one["duration"] == pytest.approx(2.0, abs=0.15)
        assert sum(one["groups"]) == len(one["units"]) == len(one["entropies"])
        assert len(one["times"]) == len(one["groups"])
        assert one["frame_shift"] == 0.01


def test_the_others_finish(experiment: Experiment, tmp_path: Path) -> None:
    """A broken file in the middle of many, two files of one name, and what is no speech."""
    waveforms = {
        "x/a.wav": babble(1.0, 1),
        "y/a.wav": babble(1.5, 2),
        "silence.wav": np.zeros(RATE),
        "noise.wav": np.random.default_rng(0).uniform(-1, 1, 2 * RATE),
        "short.wav": babble(0.1, 3),
        "too short.wav": babble(0.01, 3),
        "last one.wav": babble(1.0, 4),
    }
    for name, waveform in waveforms.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        soundfile.write(tmp_path / name, waveform, RATE)
    (tmp_path / "broken.wav").write_bytes((tmp_path / "noise.wav").read_bytes()[:20])
    names = list(waveforms)
    order = [*names[:3], "broken.wav", *names[3:], "missing.wav"]
    code, out, err = run(
        "tokenize", *(tmp_path / name for name in order), "--model", experiment.path
    )
    assert code == 1
    ids = ["a", "a-2", "silence", "noise", "short", "last_one"]
    found = objects(out)
    assert list(found) == ids
    assert found["a"]["path"] != found["a-2"]["path"]
    assert found["a-2"]["duration"] == 1.5
    *reasons, last = err.strip().splitlines()
    assert any("broken.wav: unreadable audio" in line for line in reasons)
    assert any("too short.wav: wav shorter than a frame" in line for line in reasons)
    assert last.startswith("entcomp: error: 3 of 9 recordings failed: ")
    assert all(name in last for name in ("broken.wav", "too short.wav", "missing.wav"))


def test_one_broken_file_is_one_line(experiment: Experiment, tmp_path: Path) -> None:
    code, out, err = run("tokenize", tmp_path / "a.wav", "--model", experiment.path)
    assert (code, out) == (1, "")
    assert err.splitlines()[-1] == f"entcomp: error: {tmp_path / 'a.wav'}: no such file"


def test_a_name_that_is_not_utf8_ended_the_whole_batch(
    experiment: Experiment, two: list[Path], tmp_path: Path
) -> None:
    """And one with a line break broke the wav.scp that was written."""
    bad = [tmp_path / os.fsdecode(b"caf\xe9.wav"), tmp_path / "two\nlines.wav"]
    for path in bad:
        path.write_bytes(two[0].read_bytes())
    options = ("--format", "kaldi", "-o", tmp_path / "out", "--model", experiment.path)
    code, _, err = run("tokenize", *bad, *two, *options)
    assert code == 1
    *_, first, second, last = err.strip().splitlines()
    assert first == f"{tmp_path}/caf\\udce9.wav: a name that is not UTF-8; rename the file"
    assert second == f"{tmp_path}/twolines.wav: a name with a line break; rename the file"
    assert last.startswith("entcomp: error: 2 of 4 recordings failed: ")
    assert list(read_table(tmp_path / "out" / "wav.scp")) == ["a", "b"]


def test_a_side_of_a_telephone_call(experiment: Experiment, tmp_path: Path) -> None:
    sides = [babble(1.0, seed) for seed in (0, 1)]
    for name, samples in (("left", sides[0]), ("right", sides[1])):
        soundfile.write(tmp_path / f"{name}.wav", samples, RATE)
    soundfile.write(tmp_path / "call.wav", np.stack(sides, axis=1), RATE)
    model = ("--model", experiment.path)
    units = {}
    for name, options in (("left", ()), ("right", ()), ("call", ("--channel", "right"))):
        code, out, err = run("tokenize", tmp_path / f"{name}.wav", *options, *model)
        assert code == 0, err
        units[name] = objects(out)[name]["units"]
    assert units["call"] == units["right"] != units["left"]
    for wrong, message in (("up", "left, right or a number"), ("3", "no channel 3, it has 2")):
        code, _, err = run("tokenize", tmp_path / "call.wav", "--channel", wrong, *model)
        assert code != 0 and message in err


@pytest.fixture
def two(tmp_path: Path) -> list[Path]:
    """Given in an order that is not that of their ids."""
    paths = [tmp_path / "b.wav", tmp_path / "a.wav"]
    for number, path in enumerate(paths):
        soundfile.write(path, babble(2.0, number), RATE)
    return paths


def test_a_rate_that_is_met_on_what_is_tokenized(experiment: Experiment, two: list[Path]) -> None:
    """On each recording, or on those of the call together; the thresholds are told."""
    asked = ("tokenize", *two, "--model", experiment.path, "--target-rate", 6)
    for options in ((), ("--criterion", "bidirectional", "--peaks"), ("--boundary", "last")):
        code, out, err = run(*asked, *options, "--match-rate", "utterance")
        assert code == 0, err
        for one in objects(out).values():
            assert len(one["groups"]) == pytest.approx(0.06 * len(one["units"]), abs=0.51)
        code, out, err = run(*asked, *options, "--match-rate", "set")
        assert code == 0, err
        first, second = objects(out).values()
        units = len(first["units"]) + len(second["units"])
        assert len(first["groups"] + second["groups"]) == pytest.approx(0.06 * units, abs=0.51)
        assert first["thresholds"] == second["thresholds"]
    assert all("thresholds" not in one for one in objects(run(*asked)[1]).values())
    code, out, err = run(*asked, "--match-rate", "speaker")
    assert (code, out) == (1, "") and "who speaks is not known; give set, utterance" in err
    code, out, err = run(*asked[:-1], 60, "--criterion", "peak", "--match-rate", "utterance")
    assert code == 0 and len(objects(out)) == 2
    assert f"warning: {two[0]}: " in err and "Hz, the nearest to 60 Hz" in err


def test_a_segmentation_that_matched_a_rate(experiment: Experiment, two: list[Path]) -> None:
    """Stored ones know no speakers of recordings, which is said."""
    folder = experiment.segments("mine")
    for match_rate, asked in (("utterance",) * 2, ("set",) * 2, ("speaker", "utterance")):
        write_json(
            folder / "threshold.json",
            read_json(experiment.threshold(TAG))
            | {"theta_g": None, "match_rate": match_rate, "groups_per_unit": 0.09},
        )
        stored = run("tokenize", *two, "--model", experiment.path, "--segmentation", "mine")
        options = ("--target-rate", 9, "--match-rate", asked)
        expected = run("tokenize", *two, "--model", experiment.path, *options)
        assert stored[:2] == expected[:2] and expected[0] == 0
        assert ("taken for a speaker of its own" in stored[2]) == (match_rate == "speaker")
    shutil.rmtree(folder)


def test_kaldi(experiment: Experiment, two: list[Path], tmp_path: Path) -> None:
    plain = objects(run("tokenize", *two, "--model", experiment.path)[1])
    out = tmp_path / "out"
    options = ("--format", "kaldi", "-o", out, "--model", experiment.path)
    assert run("tokenize", *two, *options)[0] == 0
    for name, key in (("units", "units"), ("groups", "groups"), ("entropy", "entropies")):
        stored = dict(iter_vectors(out / f"{name}.scp"))
        assert list(stored) == ["a", "b"]
        for utt_id, vector in stored.items():
            values = [np.nan if one is None else one for one in plain[utt_id][key]]
            # The bits of float32 survive JSON.
            np.testing.assert_array_equal(np.array(values, vector.dtype), vector)
    assert read_table(out / "wav.scp") == {"a": str(two[1]), "b": str(two[0])}
    assert read_table(out / "utt2dur") == {"a": "2.0000", "b": "2.0000"}


def test_kaldi_without_a_single_whole_recording(experiment: Experiment, tmp_path: Path) -> None:
    options = ("--format", "kaldi", "-o", tmp_path / "out", "--model", experiment.path)
    assert run("tokenize", tmp_path / "a.wav", *options)[0] == 1
    assert not list((tmp_path / "out").glob("*.ark"))


def test_textgrid_and_ctm(experiment: Experiment, two: list[Path], tmp_path: Path) -> None:
    plain = objects(run("tokenize", *two, "--model", experiment.path)[1])
    grids, ctm = tmp_path / "grids", tmp_path / "out.ctm"
    for options in (("--format", "textgrid", "-o", grids), ("--format", "ctm", "-o", ctm)):
        assert run("tokenize", *two, *options, "--model", experiment.path)[0] == 0
    rows = [line.split() for line in ctm.read_text().splitlines()]
    for utt_id, one in plain.items():
        times = np.array(one["times"])
        grid = read_textgrid(grids / f"{utt_id}.TextGrid")
        assert grid.duration == 2.0
        spans = [(interval.start, interval.end) for interval in grid.tier("groups")]
        np.testing.assert_allclose(spans, times, atol=1e-5)
        mine = [row for row in rows if row[0] == utt_id]
        np.testing.assert_allclose([float(row[2]) for row in mine], times[:, 0], atol=1e-4)
        labels = [interval.label.replace(" ", "_") for interval in grid.tier("groups")]
        assert labels == [row[4] for row in mine]
        runs = [interval.label for interval in grid.tier("units")]
        assert runs == [str(unit) for unit, _ in groupby(one["units"])]


@pytest.mark.parametrize("kind", ["textgrid", "kaldi"])
def test_a_folder_is_needed(experiment: Experiment, two: list[Path], kind: str) -> None:
    code, _, err = run("tokenize", *two, "--format", kind, "--model", experiment.path)
    assert code == 1
    assert f"--format {kind}: give an output folder: -o OUT" in err


@pytest.mark.parametrize("command", ["tokenize", "plot", "transcribe"])
def test_an_output_of_the_wrong_kind_is_told_before_any_work(
    experiment: Experiment, two: list[Path], tmp_path: Path, command: str
) -> None:
    """Not when the temporary file takes its final name, at the end."""
    (tmp_path / "folder").mkdir()
    model = (
        "--model",
        experiment.path / "asr" / "tiny" if command == "transcribe" else experiment.path,
    )
    code, _, err = run(command, two[0], *model, "-o", tmp_path / "folder")
    assert code == 1
    assert err.endswith(f"--output {tmp_path / 'folder'}: is a folder; name a file\n")
    code, _, err = run(command, two[0], *model, "-o", two[1] / "below")
    assert code == 1
    assert f"{two[1]}: File exists; fix that and run again" in err
    os.mkfifo(tmp_path / "pipe")  # as /dev/null, whose place a file would take
    code, _, err = run(command, two[0], *model, "-o", tmp_path / "pipe")
    assert code == 1
    assert "pipe: cannot be written to; leave it out, and redirect" in err
    if command == "tokenize":
        code, _, err = run(command, two[0], *model, "--format", "kaldi", "-o", two[1])
        assert code == 1
        assert err.endswith(f"--output {two[1]}: is a file; name a folder\n")


def test_thresholds_of_a_tag(experiment: Experiment, two: list[Path]) -> None:
    by_rate = run("tokenize", *two, "--model", experiment.path, "--target-rate", 15)
    by_tag = run("tokenize", *two, "--model", experiment.path, "--segmentation", TAG)
    assert by_rate[:2] == by_tag[:2]
    assert by_rate[0] == 0


@pytest.mark.parametrize(
    "options",
    [
        ("--theta-g", "2", "--theta-unit", "nats"),
        ("--theta-r", "0.1", "--theta-unit", "quantile"),
        ("--criterion", "bidirectional", "--peaks", "--target-rate", "6"),
        ("--window", "4"),
        ("--criterion", "dedup", "--max-length", "3"),
        ("--criterion", "random", "--target-rate", "9", "--seed", "5"),
        ("--target-rate", "12", "--min-length", "2"),
    ],
    ids=" ".join,
)
def test_groups_are_those_of_segment(experiment: Experiment, options: tuple[str, ...]) -> None:
    """With every option that `segment` has for them."""
    data = experiment.path.parent / "data" / "train"
    assert run("segment", *options, "--tag", "same", data, experiment.path)[0] == 0
    stored = dict(iter_vectors(experiment.segments("same") / "train" / "groups.scp"))
    code, out, _ = run("tokenize", data / "utt3.wav", "--model", experiment.path, *options)
    assert code == 0
    assert objects(out)["utt3"]["groups"] == stored["utt3"].tolist()
    tagged = run(
        "tokenize", data / "utt3.wav", "--model", experiment.path, "--segmentation", "same"
    )
    assert tagged[:2] == (0, out)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--criterion", "fixed"), "--criterion fixed needs --window, got none"),
        (("--criterion", "dedup", "--target-rate", "9"), "--criterion dedup needs no threshold"),
        (("--window", "2", "--target-rate", "9"), "fixed needs --window, got --target-rate"),
        (
            ("--segmentation", TAG, "--target-rate", "9"),
            "leave out rate and criterion: it has its own",
        ),
        (("--criterion", "best"), "--criterion best: one of global"),
        (("--target-rate", "80"), "a rate of 80 Hz is out of reach"),
        (("--target-rate", "0"), "--target-rate 0: must be positive"),
    ],
)
def test_options_that_make_no_groups(
    experiment: Experiment, two: list[Path], options: tuple[str, ...], message: str
) -> None:
    for command in ("tokenize", "plot", "transcribe"):
        files = two[:1] if command == "plot" else two
        model = experiment.path / "asr" / "tiny" if command == "transcribe" else experiment.path
        code, out, err = run(command, *files, "--model", model, *options)
        assert (code, out) == (1, "")
        assert message in err


def test_the_standard_input(experiment: Experiment, two: list[Path]) -> None:
    """As a pipe and as a file, under the name of a dash."""
    model = ("--model", experiment.path)
    expected = objects(run("tokenize", two[0], *model)[1])["b"]
    script = "from entcomp.cli.app import main; main()"
    command = [sys.executable, "-c", script, "tokenize", "-", *map(str, model)]
    with open(two[0], "rb") as stream:
        for source in ({"input": two[0].read_bytes()}, {"stdin": stream}):
            done = subprocess.run(command, capture_output=True, check=True, **source)
            found = json.loads(done.stdout)
            assert found == expected | {"utt_id": "stdin", "path": "/dev/stdin"}


def test_no_model(two: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from entcomp.artifacts import packing

    monkeypatch.setattr(packing, "PRETRAINED", tmp_path)
    code, _, err = run("tokenize", *two)
    assert code == 1
    assert "no model comes with this installation; pass --model" in err


@given(st.integers(0, 2000), st.integers(0, 5), st.integers(1, 400))
def test_pieces_lose_nothing(samples: int, seed: int, block: int) -> None:
    """Of at most 5 seconds, at least 1 of which are left for the last; at 100 Hz."""
    waveform = np.random.default_rng(seed).standard_normal(samples).astype(np.float32)
    blocks = [waveform[i : i + block] for i in range(0, samples, block)]
    pieces = list(split_at_silences(blocks, 100, 5.0))
    joined = np.concatenate([np.empty(0, np.float32), *(piece for _, piece in pieces)])
    np.testing.assert_array_equal(joined, waveform)
    lengths = [len(piece) for _, piece in pieces]
    assert [first for first, _ in pieces] == [sum(lengths[:i]) for i in range(len(lengths))]
    assert max(lengths, default=0) <= 500
    assert len(lengths) == 1 or all(length >= 100 for length in lengths)
    whole = list(split_at_silences([waveform], 100, 5.0))
    assert [first for first, _ in whole] == [first for first, _ in pieces]


def test_cuts_are_where_it_is_quiet() -> None:
    waveform = babble(30.0, 0)
    for second in (8, 15, 24):
        waveform[second * RATE : round((second + 0.4) * RATE)] *= 0.01
    cuts = [first / RATE for first, _ in split_at_silences([waveform], RATE, 10.0)][1:]
    assert len(cuts) == 3
    assert all(any(s <= cut <= s + 0.4 for cut in cuts) for s in (8, 15, 24))
    assert quietest(np.zeros(10, np.float32), RATE) == 5


def test_transcribe(experiment: Experiment, two: list[Path], tmp_path: Path) -> None:
    """Random weights say nothing sensible, but whatever `decode`'s search makes of the groups."""
    recognizer = Recognizer.from_pretrained(experiment.path / "asr" / "tiny")
    expected = {path.stem: recognizer.transcribe(read_wav(path, RATE), RATE) for path in two}
    model = experiment.path / "asr" / "tiny"
    code, out, _ = run("transcribe", *two, tmp_path / "missing.wav", "--model", model)
    assert code == 1
    assert out.splitlines() == [f"{one} {expected[one]}".rstrip() for one in ("b", "a")]


def test_long_recordings_are_transcribed_in_pieces(experiment: Experiment, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", babble(9.0, 0), RATE)
    options = ("--model", experiment.path, "--longest", 4, "--format", "json")
    code, out, _ = run("transcribe", tmp_path / "a.wav", *options, "-o", tmp_path / "out")
    assert (code, out) == (0, "")
    found = json.loads((tmp_path / "out").read_text())
    pieces = found["pieces"]
    assert [one["start"] for one in pieces] == [0, *(one["end"] for one in pieces[:-1])]
    assert pieces[-1]["end"] == 9.0
    assert len(pieces) >= 3
    assert found["text"] == " ".join(one["text"] for one in pieces if one["text"])


def test_translate_takes_its_own_kind(experiment: Experiment, two: list[Path]) -> None:
    assert run("translate", *two, "--model", experiment.path)[0] == 0
    code, _, err = run("translate", *two, "--model", experiment.path / "asr" / "tiny")
    assert code == 1
    assert "name one of its st models: st/tiny" in err


def test_other_groups_than_in_training(experiment: Experiment, two: list[Path]) -> None:
    model = ("--model", experiment.path / "asr" / "tiny")
    plain, same, other = (
        run("transcribe", *two, *model, *options)
        for options in ((), ("--target-rate", 15), ("--segmentation", "nothing"))
    )
    assert plain[1] == same[1]
    assert other[0] == 1
    assert "no such segmentation; available: raw, dedup" in other[2]


def test_plot(experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from entcomp.report import figures

    drawn: list[tuple[Any, ...]] = []
    original = figures.entropy_figure
    monkeypatch.setattr(
        figures, "entropy_figure", lambda *values: drawn.append(values) or original(*values)
    )
    soundfile.write(tmp_path / "a.wav", babble(3.0, 0), RATE)
    write_grid(tmp_path / "a.TextGrid", 3.0, words=[(0.5, 1.5, "hello"), (2.0, 2.5, "there")])
    picture = tmp_path / "a.png"
    command = ("plot", tmp_path / "a.wav", "--model", experiment.path, "-o", picture)
    code, out, _ = run(*command)
    assert code == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert out.startswith(f"{picture}: 3.00 s, ")
    assert drawn[0][6] == [(0.5, 1.5, "hello"), (2.0, 2.5, "there")]
    assert run(*command, "--start", 1.8)[0] == 0
    assert len(drawn[1][0]) == 1.2 * RATE
    assert drawn[1][6] == [(pytest.approx(0.2), pytest.approx(0.7), "there")]


@pytest.mark.parametrize("command", ["tokenize", "plot", "explore", "transcribe"])
def test_an_output_replaced_its_input(experiment: Experiment, tmp_path: Path, command: str) -> None:
    name = "a.png" if command == "plot" else "a.wav"
    soundfile.write(tmp_path / name, babble(1.0, 0), RATE, format="WAV")
    before = (tmp_path / name).read_bytes()
    model = experiment.path / "asr" / "tiny" if command == "transcribe" else experiment.path
    words = (tmp_path / name, "--model", model, "-o", tmp_path / ".." / tmp_path.name / name)
    code, _, err = run(command, *words)
    assert code == 1 and "is an input, too; name another file" in err
    assert (tmp_path / name).read_bytes() == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("-o", "a.pdf"), "--output a.pdf: only .png is written"),
        (("--start", 2, "--end", 1), "--end 1: is not after --start 2"),
        (("--end", -1), "--end -1: is not after --start 0"),
        (("--end", "nan"), "--end nan: is not after --start 0"),
        (("--start", "inf"), "--start inf: expected seconds"),
        (("--segmentation", "raw"), "groups without entropies"),
    ],
)
def test_pictures_that_cannot_be(
    experiment: Experiment, two: list[Path], options: tuple[object, ...], message: str
) -> None:
    code, _, err = run("plot", two[0], "--model", experiment.path, *options)
    assert code == 1 and message in err and "Traceback" not in err


@pytest.mark.parametrize("command", ["plot", "explore"])
@pytest.mark.parametrize("folder", [".", "/"])
def test_a_folder_without_a_name_was_a_traceback(command: str, folder: str) -> None:
    code, _, err = run(command, folder)
    assert code == 1 and err.endswith(f"error: {folder}: is a folder; name a recording\n")


def test_a_picture_has_room_for_a_minute(experiment: Experiment, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(61 * RATE), RATE)
    code, _, err = run("plot", tmp_path / "a.wav", "--model", experiment.path)
    assert code == 1
    assert "a.wav: more than 60 s; choose a part by --start and --end" in err


def test_a_name_that_would_be_a_command_in_wav_scp(
    experiment: Experiment, two: list[Path], tmp_path: Path
) -> None:
    """``|`` or a space at the end of a name: the others are done, and the table stays readable."""
    files = [tmp_path / name for name in ("good.wav", "touch evil |", "space.wav ")]
    for path in files:
        path.write_bytes(two[0].read_bytes())
    output = tmp_path / "out"
    code, _, err = run(
        "tokenize", *files, "--model", experiment.path, "--format", "kaldi", "-o", output
    )
    assert code == 1
    assert err.count("wav.scp cannot hold this name") == 2
    assert read_table(output / "wav.scp") == {"good": str(files[0].resolve())}
    assert [key for key, _ in iter_vectors(output / "units.scp")] == ["good"]
