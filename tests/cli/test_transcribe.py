"""From audio to the right words: a recogniser and a translator that know some prompts by heart."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml
from babbling import RATE
from command_line import run
from tiny_pipeline import TAG, make_pipeline

from entcomp.artifacts.experiment import Experiment
from entcomp.audio.read import read_wav

TEXTS = {
    "conf-onlyperson": "you are currently the only person in this conference",
    "conf-placeintoconf": "you will now be placed into the conference",
    "confbridge-unlocked": "the conference is now unlocked",
    "feature-not-avail-line": "that feature is not available on this line",
    "vm-leavemsg": "press five to leave a message",
}
BACKWARDS = {utt_id: " ".join(text.split()[::-1]) for utt_id, text in TEXTS.items()}
LONGEST = 4.0  # seconds; longer than each prompt, shorter than any two


def between_pauses(speech: np.ndarray) -> np.ndarray:
    """A prompt between two pauses of 0.4 s, which are quietest at the far ends."""
    pause = np.random.default_rng(0).standard_normal(round(0.4 * RATE))
    pause *= np.linspace(0, 1e-3, len(pause))
    complete = np.concatenate([pause, speech, pause[::-1]]).astype(np.float32)
    return complete[: len(complete) // 160 * 160]


@pytest.fixture(scope="module")
def prompts(prompt_data: Path) -> dict[str, np.ndarray]:
    return {
        utt_id: between_pauses(read_wav(prompt_data / f"allison_{utt_id}.opus", RATE))
        for utt_id in TEXTS
    }


@pytest.fixture(scope="module")
def experiment(
    prompts: dict[str, np.ndarray], tmp_path_factory: pytest.TempPathFactory
) -> Experiment:
    """``asr/TAG`` and ``st/eo_dedup``, to the words in reverse order, learnt in 200 steps."""
    folder = tmp_path_factory.mktemp("learnt")
    made = make_pipeline(folder, waveforms=prompts)
    data = folder / "data"
    for name, texts in (("text", TEXTS), ("text.eo", BACKWARDS)):
        lines = (f"{utt_id} {texts[utt_id]}\n" for utt_id in sorted(texts))
        (data / "train" / name).write_text("".join(lines))
    config = {
        "vocabulary": {"kind": "char", "size": 40},
        "local": {"layers": 1},
        "dim": 64,
        "encoder": {"layers": 1, "feed_forward": 128},
        "decoder": {"layers": 2, "feed_forward": 128},
        "parameters": None,
        "dropout": 0.0,
        "ctc_weight": 0.0,
        "mask_fraction": 0.0,
        "label_smoothing": 0.0,
        "batch_frames": 2000,
        "decoding": {"beam": 2, "ctc_weight": 0.0},
        "training": {"max_steps": 200, "learning_rate": 3e-3, "warmup_steps": 20},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    options = ("--config", folder / "config.yaml", "--sets", "train", "--dev-sets", "train")
    for command in (
        ("train-asr", "--segmentation", TAG),
        ("train-st", "--segmentation", "dedup", "--lang", "eo"),
    ):
        code, _, err = run(*command, *options, data, made.path)
        assert code == 0, err
    return made


@pytest.fixture
def wavs(prompts: dict[str, np.ndarray], tmp_path: Path) -> list[Path]:
    """Of another kind than the model was trained on."""
    for utt_id, waveform in prompts.items():
        soundfile.write(tmp_path / f"{utt_id}.flac", np.stack([waveform] * 2, axis=1), RATE)
    return [tmp_path / f"{utt_id}.flac" for utt_id in prompts]


def lines_of(texts: dict[str, str]) -> list[str]:
    return [f"{utt_id} {text}" for utt_id, text in texts.items()]


def test_the_words_are_right(experiment: Experiment, wavs: list[Path]) -> None:
    code, out, err = run("transcribe", *wavs, "--model", experiment.path / "asr" / TAG)
    assert code == 0, err
    assert out.splitlines() == lines_of(TEXTS)
    code, out, err = run("translate", *wavs, "--model", experiment.path)
    assert code == 0, err
    assert out.splitlines() == lines_of(BACKWARDS)


def test_a_long_recording_is_cut_between_the_prompts(
    experiment: Experiment, prompts: dict[str, np.ndarray], tmp_path: Path
) -> None:
    soundfile.write(tmp_path / "long.wav", np.concatenate(list(prompts.values())), RATE)
    model = ("--model", experiment.path / "asr" / TAG)
    options = ("--longest", LONGEST, "--format", "json")
    code, out, err = run("transcribe", tmp_path / "long.wav", *model, *options)
    assert code == 0, err
    found = json.loads(out)
    assert found["text"] == " ".join(TEXTS.values())
    assert [piece["text"] for piece in found["pieces"]] == list(TEXTS.values())
    ends = np.cumsum([len(waveform) for waveform in prompts.values()]) / RATE
    np.testing.assert_allclose([piece["end"] for piece in found["pieces"]], ends, atol=0.15)


def test_a_pack_in_another_folder_writes_the_same(
    experiment: Experiment, wavs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where there is no experiment any more, and with a broken recording among others."""
    moved = Experiment(shutil.copytree(experiment.path, tmp_path / "exp"))
    tasks = ("--model", f"asr/{TAG}", "--model", "st/eo_dedup")
    code, _, err = run("pack", moved.path, tmp_path / "out.tar", *tasks)
    assert code == 0, err
    shutil.rmtree(moved.path)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    (tmp_path / "broken.wav").write_bytes(b"RIFF")
    files = [*wavs[:2], tmp_path / "broken.wav", *wavs[2:]]
    code, out, err = run("transcribe", *files, "--model", f"../out.tar/asr/{TAG}")
    assert code == 1
    assert "broken.wav: unreadable audio" in err
    assert out.splitlines() == lines_of(TEXTS)
    assert run("translate", *wavs, "--model", "../out.tar")[1].splitlines() == lines_of(BACKWARDS)
