"""entcomp synthesize: every form of units that there is, and speech of them."""

from __future__ import annotations

import io
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from babbling import RATE, babble
from command_line import run
from tiny_pipeline import TAG, K, add_converter, make_pipeline

from entcomp.artifacts.experiment import Experiment
from entcomp.artifacts.groups import Groups
from entcomp.artifacts.runs import run_starts
from entcomp.artifacts.units import Units
from entcomp.evaluation.voices import speaker
from entcomp.files import read_json, write_json
from entcomp.kaldi.ark import ArkWriter
from entcomp.kaldi.table import read_table, write_table

STEP = 0.01  # seconds from one unit to the next


class AnyVoice:
    """Stands in for Resemblyzer, which hears no voice in noise."""

    name = "any"

    def embed(self, waveform: np.ndarray) -> np.ndarray:
        return np.full(speaker.EMBEDDING_SIZE, 1 / 16, np.float32)


@pytest.fixture(autouse=True)
def _any_voice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speaker, "SpeakerEncoder", AnyVoice)


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    """With a converter, and the recordings ``a.wav``, ``b.wav`` and ``voice.wav`` in its folder."""
    folder = tmp_path_factory.mktemp("synthesize")
    experiment = make_pipeline(folder)
    add_converter(experiment)
    for seed, name in enumerate(("a", "b", "voice")):
        soundfile.write(folder / f"{name}.wav", babble(1.2 + 0.1 * seed, 20 + seed), RATE)
    return experiment


def folder_of(experiment: Experiment) -> Path:
    return experiment.path.parent


def tokenize(experiment: Experiment, output: Path, *options: object) -> Path:
    files = [folder_of(experiment) / f"{name}.wav" for name in ("a", "b")]
    call = ("tokenize", *files, "--model", experiment.path, "-o", output, *options)
    assert run(*call)[0] == 0
    return output


def call(experiment: Experiment, units: Path, output: Path, *options: object) -> tuple[str, str]:
    voice = folder_of(experiment) / "voice.wav"
    code, out, err = run(
        *("synthesize", units, "--model", experiment.path / "vc" / "tiny", "--voice", voice),
        *("-o", output, *options),
    )
    assert code == 0, err
    return out, err


def fails(experiment: Experiment, units: Path, output: Path, *options: object) -> str:
    voice = folder_of(experiment) / "voice.wav"
    code, _, err = run(
        *("synthesize", units, "--model", experiment.path / "vc" / "tiny", "--voice", voice),
        *("-o", output, *options),
    )
    lines = [one for one in err.splitlines() if one.startswith("entcomp: error: ")]
    assert code == 1 and len(lines) == 1, err
    return lines[0]


def waveforms(folder: Path) -> dict[str, bytes]:
    table = read_table(folder / "wav.scp")
    assert all(Path(one).is_absolute() for one in table.values())  # as convert's
    return {utt_id: Path(path).read_bytes() for utt_id, path in table.items()}


def test_each_form_of_the_same_units_is_the_same_speech(
    experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """JSON lines, a Kaldi folder, its scp and ark, text, the standard input."""
    lines = tokenize(experiment, tmp_path / "tokens.jsonl", "--segmentation", TAG)
    kaldi = tokenize(experiment, tmp_path / "kaldi", "--segmentation", TAG, "--format", "kaldi")
    objects = [json.loads(line) for line in lines.read_text().splitlines()]
    text = tmp_path / "units.txt"
    text.write_text("".join(f"{x['utt_id']} {' '.join(map(str, x['units']))}\n" for x in objects))
    shutil.copy(kaldi / "units.ark", tmp_path / "alone.ark")
    s3 = tmp_path / "s3.jsonl"
    s3.write_text(
        "".join(json.dumps({"key": x["utt_id"], "code": x["units"]}) + "\n" for x in objects)
    )
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines.read_bytes())))
    forms = [lines, kaldi, kaldi / "units.scp", tmp_path / "alone.ark", text, s3, Path("-")]
    made = []
    for number, form in enumerate(forms):
        output = tmp_path / f"speech{number}"
        out, _ = call(experiment, form, output)
        assert out.startswith(f"2 utterances to {output}, 0 skipped, Griffin-Lim")
        made.append(waveforms(output))
    assert all(one == made[0] for one in made)
    for utt_id, one in zip(("a", "b"), objects, strict=True):
        info = soundfile.info(tmp_path / "speech0" / "wav" / f"{utt_id}.wav")
        ends = experiment.units_info().receptive_offset + len(one["units"]) * STEP
        assert info.frames == int(ends * 22050)
    voice = str(folder_of(experiment) / "voice.wav")
    assert read_table(tmp_path / "speech0" / "utt2ref") == {"a": voice, "b": voice}
    stage = read_json(tmp_path / "speech0" / "stage.json")
    assert stage["inputs"]["mel"]["hop_length"] == 128 and stage["outputs"]["rate"] > 0


def test_groups_of_the_file_count_unless_others_are_asked_for(
    experiment: Experiment, tmp_path: Path
) -> None:
    own = tokenize(experiment, tmp_path / "own.jsonl", "--segmentation", TAG)
    raw = tokenize(experiment, tmp_path / "raw.jsonl", "--segmentation", "raw")
    rates = {}
    for name, units, options in (
        ("own", own, ()),
        ("raw", raw, ()),
        ("own_as_raw", own, ("--segmentation", "raw")),
        ("raw_as_own", raw, ("--segmentation", TAG)),
    ):
        call(experiment, units, tmp_path / name, *options)
        rates[name] = read_json(tmp_path / name / "stage.json")["outputs"]["rate"]
    assert rates["own"] == rates["raw_as_own"] < rates["raw"] == rates["own_as_raw"]
    assert rates["raw"] == pytest.approx(1 / STEP)


def test_units_of_the_experiment_are_spoken_and_a_rerun_skips_them(
    experiment: Experiment, tmp_path: Path
) -> None:
    units = experiment.units("train")
    out, _ = call(experiment, units, tmp_path / "out", "--segmentation", TAG)
    assert out.startswith("8 utterances to")
    assert call(experiment, units, tmp_path / "out", "--segmentation", TAG)[0].endswith(
        "complete, skipped\n"
    )
    call(experiment, units / "units.scp", tmp_path / "raw", "--segmentation", "raw")
    rates = [read_json(tmp_path / one / "stage.json")["outputs"]["rate"] for one in ("out", "raw")]
    groups = [len(one) for _, one in Groups.open(experiment, "train", TAG)]
    frames = [len(one) for _, one in Units.open(experiment, "train")]
    assert rates == pytest.approx([sum(groups) / sum(frames) / STEP, 1 / STEP])


def test_deduplicated_units_last_their_mean(experiment: Experiment, tmp_path: Path) -> None:
    train = dict(Units.open(experiment, "train"))
    with ArkWriter(tmp_path, "units") as ark:
        for utt_id, units in train.items():
            ark.write(utt_id, units[run_starts(units)])
    _, err = call(experiment, tmp_path / "units.scp", tmp_path / "short")
    assert "no unit is repeated; if they are deduplicated, pass --deduplicated" in err
    _, err = call(experiment, tmp_path / "units.scp", tmp_path / "out", "--deduplicated")
    assert "repeated" not in err
    samples = {
        name: sum(soundfile.info(one).frames for one in (tmp_path / name / "wav").iterdir())
        for name in ("short", "out")
    }
    frames = sum(map(len, train.values()))
    assert samples["out"] / 22050 == pytest.approx(frames * STEP, rel=0.01)
    runs = sum(len(run_starts(units)) for units in train.values())
    assert samples["short"] / 22050 == pytest.approx(runs * STEP, rel=0.05)
    _, err = call(experiment, experiment.units("train"), tmp_path / "raw", "--deduplicated")
    assert "deduplicated ones do not" in err


def test_durations_in_a_line_are_kept(experiment: Experiment, tmp_path: Path) -> None:
    """What a model of units and durations would generate."""
    plain = {"utt_id": "a", "units": [3, 3, 3, 4, 5, 5] * 9, "groups": None}
    short = {"utt_id": "a", "units": [3, 4, 5] * 9, "durations": [3, 1, 2] * 9}
    made = []
    for name, line in (("plain", plain), ("short", short)):
        (tmp_path / f"{name}.jsonl").write_text(json.dumps(line) + "\n")
        output = tmp_path / f"{name}.wav"
        out, _ = call(experiment, tmp_path / f"{name}.jsonl", output)
        assert out.startswith(f"{output}: ") and "at 22050 Hz, Griffin-Lim" in out
        made.append(output.read_bytes())
    assert made[0] == made[1]
    message = fails(experiment, tmp_path / "short.jsonl", tmp_path / "x", "--deduplicated")
    assert "durations count frames, which deduplicated units lack" in message


def test_a_table_gives_each_utterance_its_voice(experiment: Experiment, tmp_path: Path) -> None:
    folder = folder_of(experiment)
    write_table(tmp_path / "voices.scp", [("a", f"{folder}/b.wav"), ("b", f"{folder}/voice.wav")])
    units = tokenize(experiment, tmp_path / "tokens.jsonl")
    call(experiment, units, tmp_path / "out", "--voice", tmp_path / "voices.scp")
    used = read_table(tmp_path / "out" / "utt2ref")
    assert used == {"a": f"{folder}/b.wav", "b": f"{folder}/voice.wav"}


BAD_LINES = {
    '{"utt_id": "a", "units": [1, 20]}': "unit 20 outside 0..19",
    '{"utt_id": "a", "units": [1, -2]}': "unit -2 is negative",
    '{"utt_id": "a", "units": []}': "no units",
    '{"utt_id": "a", "units": [1, 2], "groups": [1, 2]}': "groups do not fit the units",
    '{"utt_id": "a", "units": [1, 2], "groups": [2, 0]}': "a group of 0 frames",
    '{"utt_id": "a", "units": [1, 2], "durations": [1]}': "1 durations of 2 units",
    '{"utt_id": "a", "units": [1, 2], "durations": [1, 0]}': "a duration of 0 frames",
    '{"utt_id": "a", "units": [1, 2.5]}': "not a list of integers",
    '{"utt_id": "a", "units": [1, 99999999999]}': "more than 32 bits",
    '{"utt_id": "a", "units": [1, 2]': "not a line of tokenize",
    '{"utt_id": "a b", "units": [1, 2]}': "cannot be an utterance's id",
    '{"utt_id": 7, "units": [1, 2]}': "not a line of tokenize",
    '{"utt_id": "../../a", "units": [1, 2]}': "an id that cannot be a file's name",
    '{"utt_id": "a", "units": [1, 2], "frame_shift": 0.02}': "frame_shift is 0.02 s, and 0.01 s in",
    '{"utt_id": "a", "units": [1, 2], "codebook_sha256": "c0de"}': "made with another codebook",
    "a 1 20": "unit 20 is not one of 0..19",
    "a one": "not a line",
}


@pytest.mark.parametrize("line", BAD_LINES)
def test_what_is_no_unit_is_said_with_its_line(
    experiment: Experiment, tmp_path: Path, line: str
) -> None:
    path = tmp_path / "units.jsonl"
    path.write_text(f"{line}\n")
    message = fails(experiment, path, tmp_path / "out")
    assert BAD_LINES[line] in message
    assert f"{path}:1" in message or "../../a" in message
    assert not list(tmp_path.rglob("*.wav")) and not (tmp_path / "out" / "wav.scp").exists()


def test_files_that_hold_no_units(experiment: Experiment, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "empty/units.scp: no such file" in fails(experiment, tmp_path / "empty", tmp_path / "o")
    assert "none.jsonl: no such file" in fails(experiment, tmp_path / "none.jsonl", tmp_path / "o")
    (tmp_path / "a.km").write_text("1 2 3\n")
    assert "a.km: has no ids; import-units" in fails(experiment, tmp_path / "a.km", tmp_path / "o")
    with ArkWriter(tmp_path, "floats") as ark:
        ark.write("a", np.ones(3, np.float32))
    for name in ("floats.ark", "floats.scp"):
        message = fails(experiment, tmp_path / name, tmp_path / "o")
        assert "float32 values are not units" in message
    with ArkWriter(tmp_path, "groups") as ark:  # lengths, which were spoken as units
        ark.write("a", np.ones(3, np.int32))
    for name in ("groups.ark", "groups.scp"):
        message = fails(experiment, tmp_path / name, tmp_path / "o")
        assert f"{name}: lengths of groups, not units; give units.scp" in message
    (tmp_path / "nothing.txt").touch()
    assert "no units came" in fails(experiment, tmp_path / "nothing.txt", tmp_path / "o")
    cut = tmp_path / "cut.ark"
    cut.write_bytes((tmp_path / "floats.ark").read_bytes()[:-2])
    assert "cut.ark: not a Kaldi vector after byte 0" in fails(experiment, cut, tmp_path / "o")


def test_units_of_another_codebook_are_refused(experiment: Experiment, tmp_path: Path) -> None:
    """Where a folder tells: by the manifest of its stage, or by units.json."""
    kaldi = tokenize(experiment, tmp_path / "kaldi", "--format", "kaldi")
    info = read_json(kaldi / "units.json")
    write_json(kaldi / "units.json", info | {"codebook_sha256": "c0de"})
    message = fails(experiment, kaldi, tmp_path / "out")
    assert "kaldi/units.json: made with another codebook; give units of the model's own" in message
    (kaldi / "units.json").unlink()
    write_json(kaldi / "stage.json", {"inputs": {"codebook_sha256": "c0de"}, "outputs": {}})
    assert "units.scp: made with another codebook" in fails(experiment, kaldi, tmp_path / "out")


def test_bad_utterances_are_skipped_and_listed(experiment: Experiment, tmp_path: Path) -> None:
    path = tmp_path / "units.jsonl"
    good = {"utt_id": "b", "units": [1, 2, 3] * 20}
    path.write_text('{"utt_id": "a", "units": [1, 20]}\n' + json.dumps(good) + "\n")
    out, _ = call(experiment, path, tmp_path / "out", "--skip-bad")
    assert "1 utterances to" in out and "1 skipped" in out
    assert "unit 20 outside 0..19" in (tmp_path / "out" / "skipped.txt").read_text()
    assert list(read_table(tmp_path / "out" / "wav.scp")) == ["b"]


def test_mistakes_in_the_call(experiment: Experiment, tmp_path: Path) -> None:
    path = tmp_path / "units.txt"
    path.write_text("a 1 2 3 4 5 6\nb 1 2 3 4 5 6\n")
    assert "more than one utterance is there" in fails(experiment, path, tmp_path / "one.wav")
    assert not (tmp_path / "one.wav").exists()
    missing = fails(experiment, path, tmp_path / "out", "--voice", tmp_path / "none.wav")
    assert "none.wav: no such file" in missing
    twice = tmp_path / "twice.jsonl"
    twice.write_text('{"utt_id": "a", "units": [1, 2, 3]}\n' * 2)
    assert "a is in" in fails(experiment, twice, tmp_path / "out")
    unknown = fails(experiment, path, tmp_path / "out", "--segmentation", "rate99")
    assert "rate99/threshold.json: no such segmentation; available: raw, dedup" in unknown


def test_units_of_the_standard_input_were_named_by_a_temporary_file(
    experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As those that tokenize makes with another codebook than the converter's."""
    line = b'{"utt_id": "a", "units": [1, 2], "codebook_sha256": "c0de"}'
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(line)))
    said = fails(experiment, Path("-"), tmp_path / "out")
    assert said.startswith("entcomp: error: standard input:1: made with another codebook; give")


def test_imported_units_are_spoken_with_the_voice_alone(
    experiment: Experiment, tmp_path: Path
) -> None:
    """No extractor makes such units of the reference, whose content stays unknown."""
    imported = Experiment(tmp_path / "exp")
    shutil.copytree(experiment.path, imported.path)
    info = read_json(imported.units_json)
    write_json(imported.units_json, info | {"extractor": "imported"})
    imported.codebook.unlink()
    (tmp_path / "units.txt").write_text(f"a {' '.join(str(one % K) for one in range(60))}\n")
    voice = folder_of(experiment) / "voice.wav"
    code, _, err = run(
        *("synthesize", tmp_path / "units.txt", "--model", imported.path, "--reference", voice),
        *("-o", tmp_path / "a.wav"),
    )
    assert code == 0, err
    assert "only its voice's embedding counts" in err
    waveform, rate = soundfile.read(tmp_path / "a.wav")
    assert rate == 22050 and len(waveform) == pytest.approx(0.6 * rate, rel=0.03)
    assert waveform.any()
    code, _, err = run(
        *("convert", voice, imported.path, "--reference", voice, "-o", tmp_path / "b.wav")
    )
    assert code == 1 and "the model reads imported units, which nothing here makes of audio" in err
