"""`entcomp.Tokenizer`: any waveform to units, entropies and groups."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from babbling import RATE, babble
from tiny_pipeline import TAG, make_pipeline

from entcomp import Tokenizer
from entcomp.artifacts.experiment import Experiment
from entcomp.audio.read import read_wav
from entcomp.errors import EntcompError
from entcomp.files import read_json, write_json
from entcomp.kaldi.ark import iter_vectors
from entcomp.units.stream import Recording


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    return make_pipeline(tmp_path_factory.mktemp("pipeline"))


@pytest.fixture(scope="module")
def tokenizer(experiment: Experiment) -> Tokenizer:
    return Tokenizer.from_pretrained(experiment.path)


def test_importing_entcomp_imports_nothing_heavy() -> None:
    script = "import sys, entcomp; assert not {'torch', 'numpy'} & sys.modules.keys(); " + (
        "from entcomp import Tokenizer, StreamingTokenizer; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_an_unknown_name_is_an_attribute_error() -> None:
    import entcomp

    with pytest.raises(AttributeError, match="has no attribute 'Tokeniser'"):
        entcomp.Tokeniser  # noqa: B018


@pytest.mark.parametrize("name", [f"utt{number}" for number in range(8)])
def test_equals_the_stages(experiment: Experiment, tokenizer: Tokenizer, name: str) -> None:
    """What dump-units, score-entropy (by torch) and segment wrote of the same recording."""
    path = experiment.path.parent / "data" / "train" / f"{name}.wav"
    found = tokenizer.encode(read_wav(path, RATE), RATE)
    for vector, folder, file in (
        (found.units, experiment.units("train"), "units"),
        (found.entropies, experiment.entropy("train"), "entropy"),
        (found.groups, experiment.segments(TAG) / "train", "groups"),
    ):
        stored = dict(iter_vectors(folder / f"{file}.scp"))[name]
        np.testing.assert_allclose(vector, stored, rtol=0, atol=1e-5 if file == "entropy" else 0)
        assert vector is not None
        assert vector.dtype == stored.dtype


def test_shapes_and_times(tokenizer: Tokenizer) -> None:
    found = tokenizer.encode(babble(3.0, 9), RATE, target_rate=20)
    assert found.duration == 3.0
    assert len(found.units) == len(found.entropies) == found.groups.sum() == 298
    assert found.times.shape == (len(found.groups), 2)
    assert found.times[0, 0] == pytest.approx(0.0075)  # (400 - 160) / 2 samples
    np.testing.assert_allclose(found.times[1:, 0], found.times[:-1, 1])
    assert found.times[-1, 1] == pytest.approx(0.0075 + 2.98)
    assert found.times[-1, 1] <= found.duration
    assert [len(units) for units in found.tokens] == found.groups.tolist()
    np.testing.assert_array_equal(np.concatenate(found.tokens), found.units)
    assert found.rate == pytest.approx(20, rel=0.25)  # its own calibration is on eight others


@pytest.mark.parametrize(
    "criterion", ["global", "relative", "combined", "peak", "bidirectional", "uniform", "random"]
)
def test_every_criterion(tokenizer: Tokenizer, criterion: str) -> None:
    found = tokenizer.encode(babble(4.0, 3), RATE, target_rate=6, criterion=criterion)
    assert found.groups.sum() == len(found.units)
    assert (found.entropies is None) == (criterion in ("uniform", "random"))
    assert 1 < len(found.groups) < 80


def test_plain_streams(tokenizer: Tokenizer) -> None:
    waveform = babble(1.0, 1)
    raw, dedup = (
        tokenizer.encode(waveform, RATE, rule=tokenizer.stored_rule(one))
        for one in ("raw", "dedup")
    )
    assert raw.groups.tolist() == [1] * len(raw.units)
    assert all(len(set(units.tolist())) == 1 for units in dedup.tokens)
    assert len(dedup.groups) == 1 + np.count_nonzero(np.diff(dedup.units))


@pytest.mark.parametrize(
    "waveform",
    [
        np.zeros(RATE, np.float32),
        np.random.default_rng(0).uniform(-1, 1, RATE),
        babble(0.1, 0),
        np.full(RATE // 2, 0.5),
    ],
    ids=["silence", "noise", "a tenth of a second", "an offset"],
)
def test_what_is_no_speech(tokenizer: Tokenizer, waveform: np.ndarray) -> None:
    found = tokenizer.encode(waveform, RATE)
    assert found.groups.sum() == len(found.units) > 0
    assert np.isfinite(found.entropies[~np.isnan(found.entropies)]).all()


@pytest.mark.parametrize("rate", [8000, 11025, 44100, 48000])
def test_any_rate(tokenizer: Tokenizer, rate: int) -> None:
    found = tokenizer.encode(babble(1.0, 0, rate), rate)
    assert found.duration == pytest.approx(1.0)
    assert len(found.units) == 98


def test_integers_are_scaled(tokenizer: Tokenizer) -> None:
    floats = (babble(1.0, 0) * 32768).round().clip(-32768, 32767) / 32768
    expected = tokenizer.encode(floats, RATE)
    found = tokenizer.encode((floats * 32768).astype(np.int16), RATE)
    np.testing.assert_array_equal(found.units, expected.units)


@pytest.mark.parametrize(
    ("waveform", "message"),
    [
        (np.zeros(399), "waveform: wav shorter than a frame"),
        (np.zeros(0), "waveform: wav shorter than a frame"),
        (np.zeros((2, RATE)), r"waveform: expected mono \(samples,\), got shape \(2, 16000\)"),
        (np.full(RATE, np.nan), "waveform: NaN or infinite samples are not a waveform"),
        (np.zeros(RATE, np.complex64), "complex64 samples; give floats within"),
    ],
)
def test_refuses_waveforms(tokenizer: Tokenizer, waveform: np.ndarray, message: str) -> None:
    with pytest.raises(EntcompError, match=message):
        tokenizer.encode(waveform, RATE)
    with pytest.raises(EntcompError, match="a sample rate of 0 Hz"):
        tokenizer.encode(np.ones(RATE), 0)


def test_blocks_jobs_and_neighbours_change_nothing(tokenizer: Tokenizer) -> None:
    """A long recording in blocks, among others, three chunks at a time."""
    long, rule = babble(70.0, 5), tokenizer.rule()
    expected = tokenizer.encode(long, RATE)
    sources = [
        Recording("short", [babble(0.5, 1)], "a"),
        Recording("long", np.array_split(long, 23), "b"),
        Recording("bad", iter([]), "c"),
        Recording("short", [babble(0.5, 1)], "d"),
    ]
    results = {one.utt_id: found for one, found in tokenizer.encode_recordings(sources, rule, 3)}
    assert list(results) == ["a", "b", "c", "d"]
    np.testing.assert_array_equal(results["b"].units, expected.units)
    np.testing.assert_array_equal(results["b"].entropies, expected.entropies)
    np.testing.assert_array_equal(results["b"].groups, expected.groups)
    np.testing.assert_array_equal(results["a"].groups, results["d"].groups)
    assert isinstance(results["c"], EntcompError)


def test_thresholds_are_found_once(experiment: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not at every call, which would read the calibration set again."""
    tokenizer = Tokenizer.open(experiment)
    first = tokenizer.encode(babble(1.0), RATE, 6.0, "peak")
    other = tokenizer.rule(7.0, "peak")
    monkeypatch.setattr("entcomp.pipelines.tokenizer.resolve", None)
    again = tokenizer.encode(babble(1.0), RATE, 6.0, "peak")
    np.testing.assert_array_equal(first.groups, again.groups)
    assert other != tokenizer.rule(6.0, "peak")


def test_a_rate_of_zero_was_the_default_and_dedup_took_any(tokenizer: Tokenizer) -> None:
    with pytest.raises(EntcompError, match="--target-rate 0: must be positive"):
        tokenizer.encode(babble(1.0), RATE, target_rate=0.0)
    with pytest.raises(EntcompError, match="--criterion dedup needs no threshold or rate"):
        tokenizer.encode(babble(1.0), RATE, 5.0, "dedup")
    runs = tokenizer.encode(babble(1.0), RATE, criterion="dedup")
    assert len(runs.groups) == 1 + np.count_nonzero(np.diff(runs.units))


def test_refuses_a_rate_out_of_reach(tokenizer: Tokenizer) -> None:
    with pytest.raises(EntcompError, match="a rate of 99 Hz is out of reach"):
        tokenizer.encode(babble(1.0), RATE, target_rate=99)


def test_refuses_thresholds_of_another_lm(experiment: Experiment, tmp_path: Path) -> None:
    copy = Experiment(shutil.copytree(experiment.path, tmp_path / "exp"))
    path = copy.segments(TAG) / "threshold.json"
    write_json(path, read_json(path) | {"lm_sha256": "another"})
    tokenizer = Tokenizer.open(copy)
    with pytest.raises(EntcompError, match=r"threshold\.json: made with another LM; rerun segment"):
        tokenizer.stored_rule(TAG)
    with pytest.raises(EntcompError, match=f"no such segmentation; available: raw, dedup, {TAG}"):
        tokenizer.stored_rule("nothing")


def test_no_model_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from entcomp.artifacts import packing

    monkeypatch.setattr(packing, "PRETRAINED", tmp_path)
    with pytest.raises(EntcompError, match="no model comes with this installation; pass --model"):
        Tokenizer.from_pretrained()
    with pytest.raises(EntcompError, match="nowhere: neither an experiment, nor a pack"):
        Tokenizer.from_pretrained("nowhere")


def test_the_encoder_is_fetched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the installer, to where $MOONSHINE_DIR says; what it says of a failure is passed on."""
    from entcomp.units.extractors import moonshine

    calls, installer = tmp_path / "calls", tmp_path / "install.sh"
    installer.write_text(f'echo "$1" >> {calls}\nmkdir -p "$1"\necho x > "$1/encoder_model.onnx"\n')
    monkeypatch.setattr(moonshine, "INSTALLER", installer)
    monkeypatch.setenv("MOONSHINE_DIR", str(tmp_path / "there"))
    for _ in range(2):
        path = moonshine.fetch_encoder()
        assert path == tmp_path / "there" / "encoder_model.onnx"
    assert calls.read_text().splitlines() == [str(tmp_path / "there")]
    installer.write_text("echo no npm here >&2; exit 1\n")
    monkeypatch.setenv("MOONSHINE_DIR", str(tmp_path / "elsewhere"))
    with pytest.raises(EntcompError, match=r"could not be fetched \(no npm here\)"):
        moonshine.fetch_encoder()


def test_outside_of_a_checkout_the_encoder_goes_to_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from entcomp import downloads
    from entcomp.units.extractors.moonshine import INSTALLER

    assert INSTALLER.is_file()
    monkeypatch.delenv("MOONSHINE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(downloads, "CHECKOUT", tmp_path / "site")
    assert downloads.download_folder("moonshine") == tmp_path / "entcomp" / "moonshine"
