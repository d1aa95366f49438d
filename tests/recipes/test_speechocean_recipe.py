"""egs/speechocean762: the split by speakers, and the commands of every stage."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from entcomp.files import write_json
from entcomp.kaldi.table import read_table, write_table

RECIPE = Path(__file__).resolve().parents[2] / "egs/speechocean762"


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Thirty speakers of two utterances, with paths relative to the folder above, as OpenSLR's.

    Every other one is a child.
    """
    folder = tmp_path / "corpus/train"
    ids = [f"{speaker:05d}{utterance:04d}" for speaker in range(30) for utterance in range(2)]
    for utt_id in ids:
        path = tmp_path / "corpus/WAVE" / f"{utt_id}.WAV"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"RIFF")
    write_table(folder / "wav.scp", [(utt_id, f"WAVE/{utt_id}.WAV") for utt_id in ids])
    texts = {"0": "WE CALL IT BEAR", "1": "MARK IS GOING TO SEE ELEPHANT"}
    write_table(folder / "text", [(utt_id, texts[utt_id[-1]]) for utt_id in ids])
    write_table(folder / "utt2spk", [(utt_id, utt_id[1:5]) for utt_id in ids])
    ages = [f"{speaker:04d} {9 if speaker % 2 else 30}\n" for speaker in reversed(range(30))]
    (folder / "spk2age").write_text("".join(ages))  # not sorted, as OpenSLR's
    return folder


def prepare(corpus: Path, data: Path, *options: str) -> subprocess.CompletedProcess[str]:
    options = ("--vc-sentences", "1", *options)
    command = [sys.executable, str(RECIPE / "local/prepare_data.py"), *options, corpus, data]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_no_speaker_is_in_two_sets(corpus: Path, tmp_path: Path) -> None:
    done = prepare(corpus, tmp_path / "data", "--test-speakers", "5", "--dev-speakers", "3")
    assert done.returncode == 0, done.stderr
    speakers = {
        name: set(read_table(tmp_path / "data" / name / "utt2spk").values())
        for name in ("train", "dev", "test")
    }
    assert {name: len(found) for name, found in speakers.items()} == {
        "train": 22,
        "dev": 3,
        "test": 5,
    }
    assert len(set.union(*speakers.values())) == 30
    texts = set(read_table(tmp_path / "data/test/text").values())
    assert texts == {"we call it bear", "mark is going to see elephant"}


def test_adults_speak_each_others_longest_sentences(corpus: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert prepare(corpus, data, "--test-speakers", "9", "--dev-speakers", "3").returncode == 0
    unseen = set(read_table(data / "test/utt2spk").values())
    speakers = read_table(data / "test_vc/utt2spk")
    assert set(speakers.values()) == {one for one in unseen if int(one) % 2 == 0}
    texts = read_table(data / "test_vc/text")
    assert set(texts.values()) == {"mark is going to see elephant"}
    references = read_table(data / "test_vc/references.scp")
    assert list(references) == list(speakers)
    for utt_id, wav in references.items():
        voice = Path(wav).stem
        assert voice.endswith("0000")  # the longest that is left
        assert voice[1:5] in speakers.values()
        assert voice[1:5] != speakers[utt_id]


def test_conversion_wants_two_adults(corpus: Path, tmp_path: Path) -> None:
    done = prepare(corpus, tmp_path / "data", "--vc-sentences", "2")
    assert done.returncode == 1
    assert "lower --vc-sentences" in done.stderr
    (corpus / "spk2age").unlink()
    done = prepare(corpus, tmp_path / "data")
    assert "spk2age: no such file" in done.stderr


def test_a_missing_recording_is_named(corpus: Path, tmp_path: Path) -> None:
    (corpus.parent / "WAVE/000000000.WAV").unlink()
    done = prepare(corpus, tmp_path / "data")
    assert done.returncode == 1
    assert "WAVE/000000000.WAV" in done.stderr
    assert "Traceback" not in done.stderr


def test_too_few_speakers(corpus: Path, tmp_path: Path) -> None:
    done = prepare(corpus, tmp_path / "data", "--test-speakers", "30")
    assert done.returncode == 1
    assert "too few" in done.stderr


def test_dry_run_prints_every_stage(corpus: Path) -> None:
    command = [RECIPE / "run.sh", "--corpus", corpus, "--dry-run"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    for stage in range(1, 13):
        assert f"stage {stage}: " in done.stdout
    assert done.stdout.count("entcomp train-asr") == 8 * 3
    assert done.stdout.count("entcomp decode") == 8 * 3
    assert done.stdout.count("entcomp train-vc") == done.stdout.count("entcomp convert") == 5 * 3
    assert done.stdout.count("--init vc/rate24_global_seed2 ") == 4


def test_stage_8_packed_over_the_model_that_comes_with_entcomp(
    tmp_path: Path, repository: Path
) -> None:
    def target(*words: str | Path) -> str:
        command = [RECIPE / "run.sh", "--dry-run", "--stage=8", "--stop-stage=8", "--exp", tmp_path]
        done = subprocess.run(
            [*command, *words], cwd=repository, capture_output=True, text=True, check=True
        )
        (line,) = [line for line in done.stdout.splitlines() if "entcomp pack" in line]
        return line.split()[-1]

    assert target() == f"{tmp_path}/pack/moonshine-l3-k500"
    shipped = f"{repository}/entcomp/pretrained/moonshine-l3-k500"
    assert target("--pretrained", "entcomp/pretrained") == shipped


def test_a_table_without_results_names_the_stage(tmp_path: Path) -> None:
    write_table(tmp_path / "text", [])
    command = [sys.executable, RECIPE / "local/conversion_table.py", tmp_path.parent, tmp_path]
    done = subprocess.run([*command, tmp_path.name], capture_output=True, text=True)
    assert done.returncode == 1
    assert "run stage 12" in done.stderr


def test_conversion_table_averages_seeds(tmp_path: Path) -> None:
    """Two utterances; one seed hears all words, the other none in ``a``."""
    write_table(tmp_path / "data/vc/text", [("a", "one two"), ("b", "three four")])
    folder = tmp_path / "exp/vc/scores/vc"
    systems = {
        "source": ("one two", 0.4),
        "resynthesis": ("one two", 0.4),
        "raw_seed0": ("one two", 0.7),
        "raw_seed1": ("five six", 0.3),
    }
    for name, (heard, to_reference) in systems.items():
        one = {
            "text_moonshine": heard,
            "similarity_reference": to_reference,
            "similarity_source": 0.5,
            "distillmos": 2.0,
            "dnsmos": 3.0,
        }
        silent = {"text_moonshine": "three", "distillmos": 2.0, "dnsmos": 3.0}  # too little speech
        write_json(folder / f"{name}.json", {"outputs": {"a": one, "b": silent}})
    rates = {name: {"rate": 41.7} if "raw" in name else {} for name in systems}
    write_json(folder / "scores.json", {"systems": rates})
    command = [sys.executable, RECIPE / "local/conversion_table.py", "data", "exp", "vc"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    rows = [[one.strip() for one in row.split("|")] for row in done.stdout.split("\n")[2:]]
    source, raw = rows[0], rows[2]
    assert source[1:5] == ["source", "", "25.0 [0.0, 50.0]", "25.0"]
    assert raw[1:5] == ["raw", "41.7", "50.0 [50.0, 50.0]", "25.0 75.0"]
    assert raw[6:9] == ["50.0 [50.0, 50.0]", "0.50 [0.50, 0.50]", "0.50 [0.50, 0.50]"]


def test_the_corpus_has_to_be_named() -> None:
    done = subprocess.run([RECIPE / "run.sh", "--dry-run"], capture_output=True, text=True)
    assert done.returncode == 1
    assert "--corpus" in done.stderr


def test_of_native_speech_whole_speakers_are_held_back(tmp_path: Path) -> None:
    """And none of --more, of which nobody knows who speaks."""
    for name, each in (("native", 2), ("more", 1)):
        folder = tmp_path / name
        ids = [f"{one:04d}-{utt}" for one in range(9) for utt in range(each)]
        write_table(folder / "wav.scp", [(utt_id, f"opus/{utt_id}.opus") for utt_id in ids])
        write_table(folder / "utt2spk", [(utt_id, utt_id[:4]) for utt_id in ids])
        for utt_id in ids:
            (folder / "opus").mkdir(exist_ok=True)
            (folder / f"opus/{utt_id}.opus").write_bytes(b"OggS")
    sources = ["--native", tmp_path / "native", "--held-back", "2", "--more", tmp_path / "more"]
    script = RECIPE / "local/prepare_native.py"
    subprocess.run([sys.executable, script, *sources, tmp_path / "data"], check=True)
    sets = {path.name: read_table(path / "utt2spk") for path in (tmp_path / "data").iterdir()}
    speakers = {name: set(found.values()) for name, found in sets.items()}
    counts = {name: (len(sets[name]), len(speakers[name])) for name in sets}
    expected = {"dev_native": (4, 2), "test_native": (4, 2), "train_native": (10, 5)}
    assert counts == expected | {"train_more": (9, 9)}
    held_back = speakers["dev_native"] | speakers["test_native"]
    assert len(held_back) == 4
    assert not held_back & speakers["train_native"]
    for recording in read_table(tmp_path / "data/test_native/wav.scp").values():
        assert Path(recording).exists()
