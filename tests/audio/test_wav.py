from __future__ import annotations

import os
from pathlib import Path
from threading import Thread

import av
import numpy as np
import pytest
import soundfile

from entcomp.audio.decode import audio_seconds, count_samples
from entcomp.audio.read import iter_wav, read_utterance, read_wav, resample
from entcomp.errors import EntcompError
from entcomp.kaldi.datadir import Utterance

FORMATS = {
    "wav": ("WAV", "PCM_16"),
    "flac": ("FLAC", "PCM_16"),
    "ogg": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
}
RATE = 16000


def tone(seconds: float, rate: int, hertz: float = 440.0) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [8000, 16000, 24000, 48000])
@pytest.mark.parametrize("extension", FORMATS)
def test_any_format_rate_and_channels(tmp_path, extension, rate, channels):
    path = tmp_path / f"a.{extension}"
    kind, subtype = FORMATS[extension]
    soundfile.write(path, np.tile(tone(1, rate)[:, None], channels), rate, subtype, format=kind)
    samples = read_wav(path, RATE)
    assert samples.dtype == np.float32
    assert len(samples) == pytest.approx(RATE, abs=0.15 * RATE)  # mp3 pads both ends
    middle = samples[4000:12000]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    assert spectrum.argmax() * RATE / len(middle) == pytest.approx(440, abs=3)
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.05)


def test_channels_are_averaged(tmp_path):
    stereo = np.stack([np.full(100, 0.5), np.full(100, -0.25)], axis=1)
    soundfile.write(tmp_path / "a.wav", stereo, RATE, "FLOAT")
    np.testing.assert_allclose(read_wav(tmp_path / "a.wav", RATE), 0.125)


def test_segment_in_seconds(tmp_path):
    ramp = np.arange(RATE) / RATE
    soundfile.write(tmp_path / "a.wav", ramp, RATE, "FLOAT")
    part = read_utterance(Utterance("a", str(tmp_path / "a.wav"), 0.25, 0.5), RATE)
    np.testing.assert_allclose(part, ramp[4000:8000], atol=1e-6)
    rest = read_wav(tmp_path / "a.wav", RATE, start=0.75)
    np.testing.assert_allclose(rest, ramp[12000:], atol=1e-6)
    with pytest.raises(EntcompError, match=r"starts at 1\.5 s, but the recording ends before"):
        read_wav(tmp_path / "a.wav", RATE, 1.5, 2.0)


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_blocks_are_the_recording(tmp_path, rate):
    """Bit for bit as resampled in one piece; no block is longer than some seconds."""
    waveform = np.random.default_rng(0).uniform(-0.5, 0.5, 25 * rate).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", waveform, rate, "FLOAT")
    blocks = list(iter_wav(tmp_path / "a.wav", RATE))
    assert len(blocks) > 2
    assert max(map(len, blocks)) <= 11 * RATE
    np.testing.assert_array_equal(np.concatenate(blocks), resample(waveform, rate, RATE))
    assert audio_seconds(tmp_path / "a.wav") == 25


def write_av(path: Path, waveform: np.ndarray, rate: int, codec: str = "aac") -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout="stereo")
        both = np.stack([waveform, waveform]).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(both, format="fltp", layout="stereo")
        frame.sample_rate = rate
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    return path


def test_what_libsndfile_does_not_know(tmp_path):
    path = write_av(tmp_path / "a.m4a", tone(2, 44100), 44100)
    whole = read_wav(path, RATE)
    assert len(whole) == pytest.approx(2 * RATE, abs=0.1 * RATE)
    assert np.abs(np.fft.rfft(whole[:RATE])).argmax() == 440
    part = read_wav(path, RATE, 0.5, 1.0)
    assert len(part) == RATE // 2
    np.testing.assert_allclose(part[100:-100], whole[8100:15900], atol=1e-3)
    with pytest.raises(EntcompError, match=r"starts at 3 s, but the recording ends before"):
        read_wav(path, RATE, 3)
    assert audio_seconds(path) == 0


def test_length_after_resampling():
    for rate in (8000, 11025, 22050, 44100, 48000):
        assert len(resample(np.zeros(rate, np.float32), rate, RATE)) == RATE


def broken(path: Path, kind: str) -> Path:
    if kind == "empty file":
        path.touch()
    elif kind == "no samples":
        soundfile.write(path, np.zeros(0), RATE)
    elif kind == "text":
        path.write_text("this is no recording")
    elif kind == "nan":
        soundfile.write(path, np.array([0.0, np.nan, 0.0]), RATE, "FLOAT")
    elif kind == "infinite":
        soundfile.write(path, np.array([0.0, np.inf, 0.0]), RATE, "FLOAT")
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", "no such file"),
        ("empty file", r"unreadable audio \(an empty file\); convert it to wav or flac"),
        ("no samples", "no samples"),
        ("text", "unreadable audio"),
        ("nan", "NaN or infinite"),
        ("infinite", "NaN or infinite"),
    ],
)
def test_refuses(tmp_path, kind, message):
    with pytest.raises(EntcompError, match=rf"a\.wav: {message}"):
        read_wav(broken(tmp_path / "a.wav", kind), RATE)


def test_a_folder_is_unreadable(tmp_path):
    with pytest.raises(EntcompError, match=r"unreadable audio \(a folder\)"):
        read_wav(tmp_path, RATE)


def test_raw_samples_without_a_header_are_refused(tmp_path):
    """soundfile raises TypeError for this ending, whatever the file holds."""
    path = tmp_path / "a.raw"
    path.write_bytes(bytes(32000))
    with pytest.raises(EntcompError, match=r"a\.raw: unreadable audio \(\.raw has no header\)"):
        read_wav(path, RATE)
    assert audio_seconds(path) == 0


def test_gsm_which_cannot_seek(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(2, 8000), 8000, "GSM610")
    whole = read_wav(path, 8000)
    assert np.abs(np.fft.rfft(whole[:8000])).argmax() == 440
    np.testing.assert_array_equal(read_wav(path, 8000, 0.5, 1.5), whole[4000:12000])
    with pytest.raises(EntcompError, match="starts at 5 s, but the recording ends before"):
        read_wav(path, 8000, 5)


@pytest.mark.parametrize("name", ["a.wav", "a.m4a"])
def test_a_named_pipe_is_read_once(tmp_path, name):
    """Telling its duration takes nothing from it."""
    path, pipe = tmp_path / name, tmp_path / "pipe"
    if name == "a.wav":
        soundfile.write(path, tone(1, 44100), 44100)
    else:
        write_av(path, tone(1, 44100), 44100)
    os.mkfifo(pipe)
    writer = Thread(target=pipe.write_bytes, args=(path.read_bytes(),), daemon=True)
    writer.start()
    assert audio_seconds(pipe) == 0
    np.testing.assert_array_equal(read_wav(pipe, RATE), read_wav(path, RATE))
    writer.join(timeout=5)


def test_pipes_run_only_when_allowed(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(0.5, RATE), RATE)
    utterance = Utterance("a", f"cat {tmp_path / 'a.wav'} |")
    with pytest.raises(EntcompError, match="pass --allow-pipes"):
        read_utterance(utterance, RATE)
    np.testing.assert_array_equal(
        read_utterance(utterance, RATE, allow_pipes=True), read_wav(tmp_path / "a.wav", RATE)
    )
    with pytest.raises(EntcompError, match="exited with 3 no luck"):
        read_utterance(Utterance("a", "echo no luck >&2; exit 3 |"), RATE, allow_pipes=True)


def test_a_header_that_says_0_hz_was_a_traceback(tmp_path):
    """FLAC keeps its rate in 20 bits of STREAMINFO, and again in each frame, which PyAV reads."""
    path = tmp_path / "a.flac"
    soundfile.write(path, tone(0.1, RATE), RATE)
    sound = read_wav(path, RATE)
    damaged = bytearray(path.read_bytes())
    damaged[18], damaged[19], damaged[20] = 0, 0, damaged[20] & 0x0F
    path.write_bytes(damaged)
    np.testing.assert_allclose(read_wav(path, RATE), sound, atol=1e-4)


@pytest.mark.parametrize("rate", [0, 1, 999, 768_001, 2**31 - 1])
def test_rates_that_no_recording_has(tmp_path, rate):
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(0.1, RATE), RATE)
    damaged = bytearray(path.read_bytes())
    damaged[24:28] = rate.to_bytes(4, "little")
    path.write_bytes(damaged)
    with pytest.raises(EntcompError, match=r"a\.wav: unreadable audio"):
        read_wav(path, RATE)


@pytest.mark.parametrize(("extension", "codec"), [("m4a", "aac"), ("webm", "libopus")])
def test_samples_are_counted_in_what_only_pyav_reads(tmp_path, extension, codec):
    path = tmp_path / f"a.{extension}"
    write_av(path, tone(1, 48000), 48000, codec)
    assert count_samples(path) == pytest.approx(48000, abs=3000)
    assert count_samples(path) == len(read_wav(path, 48000))
    soundfile.write(tmp_path / "a.wav", tone(1, 8000), 8000)
    assert count_samples(tmp_path / "a.wav") == 8000
    (tmp_path / "a.txt").write_text("no audio")
    with pytest.raises(EntcompError, match=r"a\.txt: unreadable audio"):
        count_samples(tmp_path / "a.txt")


def test_a_flac_is_whole_or_refused(tmp_path):
    """PyAV, asked when libsndfile fails, passes over the frames that it cannot read."""
    path = tmp_path / "b.flac"
    soundfile.write(path, np.random.default_rng(0).uniform(-0.1, 0.1, 3 * RATE), RATE, "PCM_16")
    sound = path.read_bytes()
    for position in range(6_000, len(sound), 9_000):
        damaged = bytearray(sound)
        damaged[position] ^= 0x10
        path.write_bytes(damaged)
        with pytest.raises(EntcompError, match=r"b\.flac: "):
            read_wav(path, RATE)


def test_a_segment_far_behind_the_end_was_cut_without_a_word(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(2, RATE), RATE)
    message = r"a\.wav: ends at 500 s, but the recording has 2 s"
    with pytest.raises(EntcompError, match=message):
        read_utterance(Utterance("a", str(tmp_path / "a.wav"), 0.5, 500), RATE)
    write_av(tmp_path / "a.m4a", tone(2, RATE), RATE)
    with pytest.raises(EntcompError, match=r"a\.m4a: ends at 500 s, but the recording has 2"):
        read_wav(tmp_path / "a.m4a", RATE, 0.5, 500)
    assert len(read_wav(tmp_path / "a.wav", RATE, 0.5, 2.08)) == 1.5 * RATE  # rounding


def test_channels_that_cancel_each_other_were_one_unit_repeated(tmp_path):
    path, noise = tmp_path / "a.wav", np.random.default_rng(0).uniform(-0.5, 0.5, RATE)
    soundfile.write(path, np.stack([noise, -noise], axis=1), RATE)
    with pytest.raises(EntcompError, match=r"a\.wav: silent as a mix.*--channel left"):
        read_wav(path, RATE)
    left, right = (read_wav(path, RATE, channel=one) for one in (0, 1))
    np.testing.assert_allclose(left, -right, atol=1e-4)
    with pytest.raises(EntcompError, match=r"no channel 3, it has 2"):
        read_utterance(Utterance("a", str(path), channel=2), RATE)
    movie = write_av(tmp_path / "a.m4a", tone(1, RATE), RATE)
    assert np.abs(read_wav(movie, RATE, channel=1)).max() > 0.4
    with pytest.raises(EntcompError, match=r"no channel 3, it has 2"):
        read_wav(movie, RATE, channel=2)


def test_a_recording_of_silence_is_named(tmp_path, caplog):
    soundfile.write(tmp_path / "a.wav", np.zeros((RATE, 2)), RATE)
    assert not read_wav(tmp_path / "a.wav", RATE).any()
    assert caplog.messages == [f"{tmp_path}/a.wav: nothing but silence"]
