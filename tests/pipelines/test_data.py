"""`import-data` and `export-data`: lhotse's manifests and Hugging Face's audiofolder, both ways."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from command_line import run
from lhotse import CutSet, MonoCut, Recording, RecordingSet, SupervisionSegment, SupervisionSet
from lhotse.audio import AudioSource

from entcomp.audio.read import read_utterance
from entcomp.kaldi.datadir import DataDir
from entcomp.kaldi.table import read_table, write_table

PROMPTS = Path(__file__).resolve().parents[1] / "fixtures" / "prompts"
COUNT = 5


@pytest.fixture
def prompts(tmp_path: Path) -> DataDir:
    """The first prompts, as a data dir ``prompts`` with a translation of the first one."""
    folder = tmp_path / "prompts"
    folder.mkdir()
    wavs = list(read_table(PROMPTS / "wav.scp").items())[:COUNT]
    write_table(folder / "wav.scp", [(utt_id, str(PROMPTS / name)) for utt_id, name in wavs])
    for name in ("text", "utt2spk"):
        write_table(folder / name, list(read_table(PROMPTS / name).items())[:COUNT])
    write_table(folder / "text.fr", [(wavs[0][0], "Agent connecté.")])
    write_table(folder / "utt2lang", [(utt_id, "en") for utt_id, _ in wavs])
    return DataDir("prompts", folder)


@pytest.fixture
def meeting(tmp_path: Path) -> DataDir:
    """Two recordings of several utterances each."""
    folder = tmp_path / "meeting"
    folder.mkdir()
    generator = np.random.default_rng(0)
    for name in ("one", "two"):
        samples = generator.uniform(-0.5, 0.5, 44100).astype(np.float32)
        soundfile.write(tmp_path / f"{name}.flac", samples, 22050)
    write_table(
        folder / "wav.scp", [(name, str(tmp_path / f"{name}.flac")) for name in ("one", "two")]
    )
    write_table(
        folder / "segments",
        [("a", "one 0.000000 0.500000"), ("b", "one 0.250000 2.000000"), ("c", "two 1.100000 -1")],
    )
    write_table(folder / "text", [("a", "first"), ("b", "second"), ("c", "third")])
    write_table(folder / "utt2spk", [("a", "anna"), ("b", "anna"), ("c", "ben")])
    return DataDir("meeting", folder)


def tables(folder: Path) -> dict[str, dict[str, str]]:
    known = ("wav.scp", "segments", "text", "text.fr", "utt2spk", "utt2lang")
    return {name: read_table(folder / name) for name in known if (folder / name).exists()}


def imported(*words: object) -> None:
    code, _, err = run("import-data", *words)
    assert code == 0, err


def refused(*words: object) -> str:
    code, _, err = run("import-data", *words)
    assert code == 1 and err.count("error:") == 1
    return err.splitlines()[-1]


def test_prompts_to_lhotse_and_back(prompts: DataDir, tmp_path: Path) -> None:
    code, said, err = run("export-data", prompts.path, tmp_path / "out", "--format", "lhotse")
    assert code == 0, err
    files = [tmp_path / f"out/prompts_{kind}.jsonl.gz" for kind in ("recordings", "supervisions")]
    assert said == f"prompts: {COUNT} utterances, {files[0]} {files[1]}\n"
    cuts = CutSet.from_manifests(
        RecordingSet.from_file(files[0]), SupervisionSet.from_file(files[1])
    )
    assert [len(cut.supervisions) for cut in cuts] == [1] * COUNT
    imported(*files, tmp_path / "back", "--format", "lhotse")
    assert tables(tmp_path / "back") == tables(prompts.path)
    # Cuts as `lhotse cut simple` makes them, and the same set again.
    cuts.to_file(tmp_path / "cuts.jsonl.gz")
    imported(tmp_path / "cuts.jsonl.gz", tmp_path / "of_cuts", "--format", "lhotse")
    assert tables(tmp_path / "of_cuts") == tables(prompts.path)
    before = [path.read_bytes() for path in files]
    run("export-data", tmp_path / "prompts", tmp_path / "out", "--format", "lhotse")
    assert [path.read_bytes() for path in files] == before


def test_segments_to_lhotse_and_back(meeting: DataDir, tmp_path: Path) -> None:
    assert run("export-data", meeting.path, tmp_path / "out", "--format", "lhotse")[0] == 0
    files = sorted((tmp_path / "out").iterdir())
    imported(*files, tmp_path / "back", "--format", "lhotse")
    expected = tables(meeting.path)
    expected["segments"]["c"] = "two 1.100000 2.000000"
    assert tables(tmp_path / "back") == expected
    recordings, supervisions = files
    cuts = CutSet.from_manifests(
        RecordingSet.from_file(recordings), SupervisionSet.from_file(supervisions)
    )
    cuts.trim_to_supervisions().to_file(tmp_path / "cuts.jsonl.gz")
    imported(tmp_path / "cuts.jsonl.gz", tmp_path / "of_cuts", "--format", "lhotse")
    assert tables(tmp_path / "of_cuts")["text"] == expected["text"]
    assert tables(tmp_path / "of_cuts")["segments"].keys() == expected["segments"].keys()


def test_audiofolder_and_back(prompts: DataDir, meeting: DataDir, tmp_path: Path) -> None:
    for data_set, files in ((prompts, ".opus"), (meeting, ".flac")):
        words = (data_set.path, tmp_path / "out", "--format", "audiofolder")
        assert run("export-data", *words, "--sample-rate", "22050")[0] == 0
        folder = tmp_path / "out" / data_set.name
        with open(folder / "metadata.csv", newline="") as stream:
            rows = list(csv.DictReader(stream))
        assert {Path(row["file_name"]).suffix for row in rows} == {files}
        back = tmp_path / "back" / data_set.name
        imported(folder, back, "--format", "audiofolder")
        for name, table in tables(data_set.path).items():
            if name not in ("wav.scp", "segments"):
                assert read_table(back / name) == table
        pairs = zip(data_set.utterances(), DataDir("back", back).utterances(), strict=True)
        for one, other in pairs:
            expected, found = (read_utterance(each, 22050) for each in (one, other))
            np.testing.assert_allclose(found, expected, atol=1 / 32768)


def audiofolder(folder: Path, metadata: str, *names: str, kind: str = "csv") -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(PROMPTS / "allison_conf-now-recording.opus", folder / name)
    (folder / f"metadata.{kind}").write_text(metadata, encoding="utf-8-sig")
    return folder


def test_an_audiofolder_of_others(tmp_path: Path) -> None:
    """Folders within it, spaces in names, columns of Common Voice's, JSON lines."""
    metadata = (
        "file_name,sentence,client_id,age\n"
        'data/a 1.opus,"Yes,  he said.",anna b,50\n'
        "data/b.opus,No.,ben,\n"
    )
    folder = audiofolder(tmp_path / "in", metadata, "data/a 1.opus", "data/b.opus")
    code, said, err = run("import-data", folder, tmp_path / "train", "--format", "audiofolder")
    assert (code, said) == (0, f"{tmp_path / 'train'}: 2 utterances, 0 skipped\n"), err
    assert "1 utterances had white space in their names, which is _ now, as in data_a_1" in err
    assert "has no place for age" in err
    assert read_table(tmp_path / "train/text") == {"data_a_1": "Yes, he said.", "data_b": "No."}
    assert read_table(tmp_path / "train/spk2utt") == {"anna_b": "data_a_1", "ben": "data_b"}
    again = run("import-data", folder, tmp_path / "train", "--format", "audiofolder")
    assert again[:2] == (0, f"{tmp_path / 'train'}: complete, skipped\n")
    lines = audiofolder(
        tmp_path / "lines",
        '{"file_name": "c.opus", "words": "Maybe.", "text": "?"}\n',
        "c.opus",
        kind="jsonl",
    )
    words = (lines, tmp_path / "test", "--format", "audiofolder")
    imported(*words, "--text-column", "words")
    assert read_table(tmp_path / "test/text") == {"c": "Maybe."}


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ("file_name,text\na.opus,x\nc.opus,y\n", "c.opus: no such file (utterance c)"),
        ("file_name,id\na.opus,x y\nb.opus,x_y\n", "'x_y' and 'x y' would both be x_y"),
        ("file,text\na.opus,x\n", "metadata.csv:2: no file_name; the columns are: file, text"),
        ("file_name,text\na.opus,x,y\n", "metadata.csv:2: not as many fields"),
        ('file_name,text\na.opus,"x\n', "metadata.csv: not a table in UTF-8"),
        ("file_name,text\n", "no utterance is left to import"),
    ],
)
def test_audiofolders_that_are_refused(tmp_path: Path, metadata: str, message: str) -> None:
    folder = audiofolder(tmp_path / "in", metadata, "a.opus", "b.opus")
    assert message in refused(folder, tmp_path / "set", "--format", "audiofolder")
    assert not (tmp_path / "set").exists()


def test_a_bad_row_is_left_out_and_listed(tmp_path: Path) -> None:
    folder = audiofolder(tmp_path / "in", "file_name,text\na.opus,x\nc.opus,y\n", "a.opus")
    imported(folder, tmp_path / "set", "--format", "audiofolder", "--skip-bad")
    assert list(read_table(tmp_path / "set/wav.scp")) == ["a"]
    assert "c.opus: no such file" in read_table(tmp_path / "set/skipped.txt")["c"]


def test_folders_without_metadata(tmp_path: Path) -> None:
    audiofolder(tmp_path / "train", "file_name\n")
    assert "name one of its folders: train" in refused(
        tmp_path, tmp_path / "set", "--format", "audiofolder"
    )


def recording(name: str, channels: int = 1, **more: Any) -> Recording:
    path = str(PROMPTS / "allison_conf-now-recording.opus")
    source = AudioSource("file", list(range(channels)), path)
    return Recording(name, [source], 16000, 32000, 2.0, **more)


def supervision(name: str, channel: int = 0) -> SupervisionSegment:
    return SupervisionSegment(name, name, 0.0, 2.0, channel, text="yes", gender="f")


@pytest.mark.parametrize(
    ("one", "message"),
    [
        (recording("a", 2), "channel 0 of 2 in a, which would be mixed"),
        (recording("a").perturb_volume(2.0), "recording a_vp2.0 is to be transformed"),
        (
            Recording("a", [AudioSource("url", [0], "x://y")], 16000, 32000, 2.0),
            "recording a has 1 sources (url), instead of one file",
        ),
        (
            Recording("a", [AudioSource("file", [0], "gone.wav")], 16000, 32000, 2.0),
            "gone.wav: no such file (utterance a)",
        ),
        (
            Recording("a", [AudioSource("file", [0], "touch x |")], 16000, 32000, 2.0),
            "touch x |: wav.scp cannot hold this name; rename the file",
        ),
    ],
)
def test_recordings_that_kaldi_cannot_have(tmp_path: Path, one: Recording, message: str) -> None:
    cut = MonoCut("cut", 0.0, one.duration, 0, [supervision("a")], recording=one)
    CutSet.from_cuts([cut]).to_file(tmp_path / "cuts.jsonl.gz")
    words = (tmp_path / "cuts.jsonl.gz", tmp_path / "set", "--format", "lhotse")
    assert message in refused(*words)


def test_manifests_that_are_none(tmp_path: Path) -> None:
    RecordingSet.from_recordings([recording("a")]).to_file(tmp_path / "r.jsonl.gz")
    SupervisionSet.from_segments([supervision("b")]).to_file(tmp_path / "s.jsonl.gz")
    (tmp_path / "x.jsonl").write_text("{}\n")
    to = (tmp_path / "set", "--format", "lhotse")
    assert "its recording b is not in the manifest" in refused(
        tmp_path / "r.jsonl.gz", tmp_path / "s.jsonl.gz", *to
    )
    assert "SupervisionSet; expected one file of cuts" in refused(tmp_path / "s.jsonl.gz", *to)
    assert "x.jsonl: no manifest that lhotse reads" in refused(tmp_path / "x.jsonl", *to)
    assert f"{tmp_path}: a folder; name the manifests in it" in refused(tmp_path, *to)
    assert "y.jsonl: no such file" in refused(tmp_path / "y.jsonl", *to)
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "wav.scp").write_text("a a.wav\n")
    assert "not empty, and not by import-data" in refused(tmp_path / "r.jsonl.gz", *to)


def test_recordings_alone(tmp_path: Path) -> None:
    RecordingSet.from_recordings([recording("a b")]).to_file(tmp_path / "r.jsonl.gz")
    imported(tmp_path / "r.jsonl.gz", tmp_path / "set", "--format", "lhotse")
    assert list(tables(tmp_path / "set")) == ["wav.scp", "utt2spk"]
    assert list(read_table(tmp_path / "set/wav.scp")) == ["a_b"]


def test_commands_are_no_recordings_of_lhotse(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "wav.scp").write_text("a cat a.wav |\n")
    code, _, err = run("export-data", tmp_path / "set", tmp_path / "out", "--format", "lhotse")
    assert code == 1 and "use --format audiofolder" in err
    assert not (tmp_path / "out").exists()


def test_tables_of_an_earlier_import_stayed(
    prompts: DataDir, meeting: DataDir, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    for data_set in (meeting, prompts):
        run("export-data", data_set.path, tmp_path / "out", "--format", "lhotse")
    manifests = {
        name: [
            tmp_path / "out" / f"{name}_{kind}.jsonl.gz" for kind in ("recordings", "supervisions")
        ]
        for name in ("meeting", "prompts")
    }
    assert run("import-data", "--format", "lhotse", *manifests["meeting"], data)[0] == 0
    assert run("import-data", "--format", "lhotse", manifests["prompts"][0], data)[0] == 0
    names = {path.name for path in data.iterdir()}
    assert names == {"wav.scp", "utt2spk", "spk2utt", "stage.json"}


def test_a_channel_was_not_exported(tmp_path: Path) -> None:
    folder = tmp_path / "stereo"
    folder.mkdir()
    left, right = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 16000))
    soundfile.write(tmp_path / "a.wav", np.stack([left, right], axis=1), 16000)
    write_table(folder / "wav.scp", [("a", str(tmp_path / "a.wav"))])
    export = ("export-data", "--channel", "right", folder, tmp_path / "out", "--format")
    assert run(*export, "audiofolder")[0] == 0
    samples, _ = soundfile.read(tmp_path / "out/stereo/a.flac")
    np.testing.assert_allclose(samples, right, atol=1e-4)
    assert run(*export, "lhotse")[0] == 0
    found = SupervisionSet.from_file(tmp_path / "out/stereo_supervisions.jsonl.gz")
    assert [one.channel for one in found] == [1]
    third = [*export[:2], "3", *export[3:], "lhotse"]
    assert "no channel 3, it has 2" in run(*third)[2]


def test_one_recording_overwrote_another(prompts: DataDir, tmp_path: Path) -> None:
    wav = next(iter(read_table(prompts.path / "wav.scp").values()))
    write_table(prompts.path / "wav.scp", [("a/b", wav), ("a_b", wav)])
    _, _, err = run("export-data", prompts.path, tmp_path / "out", "--format", "audiofolder")
    assert "a/b and a_b would be one file; rename one" in err


@pytest.mark.parametrize("name", ["touch x; cat a.wav |", "."])
def test_a_name_became_a_command(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/metadata.csv").write_text(f"file_name,text\n{name},hi\n")
    _, _, err = run("import-data", "--format", "audiofolder", tmp_path / "folder", tmp_path / "d")
    assert "Traceback" not in err
    assert "wav.scp cannot hold this name" in err or "no file_name" in err
