"""Recordings that hold less, or other, than their headers and segments say."""

from __future__ import annotations

import struct
from io import BytesIO
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from entcomp.audio import decode
from entcomp.audio.by_av import SeekableInput
from entcomp.audio.decode import audio_info, audio_seconds, count_samples
from entcomp.audio.read import read_utterance, read_wav
from entcomp.errors import EntcompError
from entcomp.kaldi.datadir import Utterance

RATE = 16000
SAMPLES = 37600  # 2.35 s
KINDS = {
    "wav": ("WAV", "PCM_16"),
    "wavex.wav": ("WAVEX", "PCM_24"),
    "float.wav": ("WAV", "FLOAT"),
    "gsm.wav": ("WAV", "GSM610"),
    "adpcm.wav": ("WAV", "IMA_ADPCM"),
    "rf64": ("RF64", "PCM_16"),
    "w64": ("W64", "PCM_16"),
    "aiff": ("AIFF", "PCM_16"),
    "au": ("AU", "ULAW"),
    "caf": ("CAF", "PCM_16"),
    "sph": ("NIST", "PCM_16"),
    "flac": ("FLAC", "PCM_16"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
}


@pytest.fixture
def sound() -> np.ndarray:
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, SAMPLES)
    return (noise + 0.4 * np.sin(np.arange(SAMPLES) / 7)).astype(np.float32)


def write(path: Path, sound: np.ndarray, extension: str) -> Path:
    kind, subtype = KINDS[extension]
    soundfile.write(path, sound, RATE, subtype, format=kind)
    return path


def cut(path: Path, share: float) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


@pytest.mark.parametrize("share", [0.25, 0.6, 0.9])
@pytest.mark.parametrize("extension", KINDS)
def test_a_recording_cut_off_by_a_broken_copy_counted_as_good(tmp_path, sound, extension, share):
    path = write(tmp_path / f"a.{extension}", sound, extension)
    assert len(read_wav(path, RATE)) == pytest.approx(SAMPLES, abs=0.1 * RATE)
    cut(path, share)
    with pytest.raises(EntcompError, match=r"a\..*: (its header says|unreadable audio)"):
        read_wav(path, RATE)


@pytest.mark.parametrize("extension", ["wav", "w64", "aiff", "au", "sph"])
def test_a_cut_header_is_told_without_decoding(tmp_path, sound, extension):
    path = cut(write(tmp_path / f"a.{extension}", sound, extension), 0.25)
    message = r"a\..*: its header says 2\.\d+ s, but the recording has 0\.\d+ s; is it cut off\?"
    for ask in (audio_info, count_samples, lambda path: read_wav(path, RATE)):
        with pytest.raises(EntcompError, match=message):
            ask(path)


@pytest.mark.parametrize("extension", ["wav", "aiff", "au", "w64", "sph"])
def test_a_few_lost_samples_are_rounding(tmp_path, sound, extension):
    path = cut(write(tmp_path / f"a.{extension}", sound, extension), 0.97)
    assert SAMPLES - 0.1 * RATE < len(read_wav(path, RATE)) < SAMPLES


@pytest.mark.parametrize(("extension", "codec"), [("m4a", "aac"), ("webm", "libopus")])
def test_a_cut_container_counted_as_good(tmp_path, sound, extension, codec):
    path = tmp_path / f"a.{extension}"
    options = {"movflags": "faststart"} if extension == "m4a" else {}
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=48000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.tile(sound, 3)[None], format="fltp", layout="mono")
        frame.sample_rate = 48000
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    assert len(read_wav(path, RATE)) == pytest.approx(SAMPLES, abs=0.1 * RATE)
    cut(path, 0.6)
    with pytest.raises(EntcompError, match=rf"a\.{extension}: (its header says|unreadable audio)"):
        read_wav(path, RATE)


@pytest.mark.parametrize("extension", ["wav", "flac", "mp3", "gsm.wav"])
@pytest.mark.parametrize(("start", "end"), [(0.5, 500), (0.5, 2.5), (0, 3), (2.4, 2.45), (3, 4)])
def test_a_segment_far_after_the_end_was_cut_without_a_word(tmp_path, sound, extension, start, end):
    path = write(tmp_path / f"a.{extension}", sound, extension)
    with pytest.raises(EntcompError, match=r"ends at|ends before"):
        read_utterance(Utterance("a", str(path), start, end), RATE)


@pytest.mark.parametrize("extension", ["wav", "flac", "gsm.wav"])
def test_a_segment_may_end_a_tenth_of_a_second_after_its_recording(tmp_path, sound, extension):
    path = write(tmp_path / f"a.{extension}", sound, extension)
    part = read_utterance(Utterance("a", str(path), 1.0, 2.44), RATE)
    assert len(part) == pytest.approx(SAMPLES - RATE, abs=400)


def data_size(path: Path, size: int) -> None:
    data = bytearray(path.read_bytes())
    at = data.index(b"data") + 4
    data[at : at + 4] = struct.pack("<I", size)
    path.write_bytes(data)


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000, 0x80000000])
def test_wavs_of_streams_know_no_length_and_are_read(tmp_path, sound, size):
    path = write(tmp_path / "a.wav", sound, "wav")
    whole = read_wav(path, RATE)
    data_size(path, size)
    np.testing.assert_allclose(read_wav(path, RATE), whole, atol=1e-4)
    np.testing.assert_allclose(read_wav(path, RATE, 1, 2), whole[RATE : 2 * RATE], atol=1e-4)
    assert count_samples(path) == SAMPLES
    with pytest.raises(EntcompError, match="ends at 5 s"):
        read_wav(path, RATE, 1, 5)


def pipe_flac(path: Path) -> Path:
    """As ``flac -`` writes to a pipe: no number of samples, no checksum of the whole."""
    data = bytearray(path.read_bytes())
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    data[26:42] = bytes(16)
    path.write_bytes(data)
    return path


def test_flac_from_a_pipe_was_unreadable(tmp_path, sound):
    path = write(tmp_path / "a.flac", sound, "flac")
    whole = read_wav(path, RATE)
    pipe_flac(path)
    np.testing.assert_array_equal(read_wav(path, RATE), whole)
    np.testing.assert_array_equal(read_wav(path, RATE, 1, 2), whole[RATE : 2 * RATE])
    assert (audio_seconds(path), count_samples(path), audio_info(path).seconds) == (0, SAMPLES, 0)
    with pytest.raises(EntcompError, match=r"ends at 20 s, but the recording has 2\.35 s"):
        read_wav(path, RATE, 1, 20)


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_flac_from_a_pipe_that_breaks_within_a_frame(tmp_path, sound, share):
    path = cut(pipe_flac(write(tmp_path / "a.flac", sound, "flac")), share)
    try:
        found = len(read_wav(path, RATE))
    except EntcompError as error:
        assert "unreadable audio" in str(error)
    else:
        assert found < SAMPLES


def test_without_pyav_the_message_names_its_extra(tmp_path, sound, monkeypatch):
    path = write(tmp_path / "a.wav", sound, "wav")
    data_size(path, 0)
    monkeypatch.setattr(decode, "open_av", lambda source: None)
    monkeypatch.setattr(decode, "find_spec", lambda name: None)
    with pytest.raises(EntcompError, match=r"a\.wav: .*install entcomp\[av\]"):
        read_wav(path, RATE)


@pytest.mark.parametrize("channels", [[1, -1, 1, -1], [0.5, -0.5001]])
def test_channels_that_cancel_gave_one_unit_without_a_word(tmp_path, sound, channels):
    path = tmp_path / "a.wav"
    soundfile.write(path, sound[:, None] * np.array(channels), RATE)
    with pytest.raises(EntcompError, match=r"a\.wav: silent as a mix"):
        read_wav(path, RATE)
    right = read_wav(path, RATE, channel=1)
    np.testing.assert_allclose(right, sound * np.float32(channels[1]), atol=1e-4)


def test_a_thousand_channels_are_read_in_small_blocks(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros((20000, 1000), np.int16), 48000)
    blocks = list(decode.open_audio(path, None, None, "a.wav")[1])
    assert sum(map(len, blocks)) == 20000
    assert max(map(len, blocks)) * 1000 * 4 < 1 << 26


def test_a_file_that_decodes_to_far_more_than_its_size(tmp_path, monkeypatch):
    path = tmp_path / "a.flac"
    soundfile.write(path, np.zeros(200 * RATE, np.int16), RATE)
    assert len(read_wav(path, RATE)) == 200 * RATE
    monkeypatch.setattr(decode, "SECONDS_PER_BYTE", 1e-4)
    with pytest.raises(EntcompError, match=r"more sound than 6\d s, for its size"):
        read_wav(path, RATE)


def test_an_mp3_that_knows_no_length_was_read_to_a_guess_of_it(tmp_path):
    """Noise, then silence at a variable bit rate: libsndfile gave a quarter of it."""
    path = tmp_path / "a.mp3"
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 5 * RATE)
    sound = np.concatenate([noise, np.zeros(10 * RATE)])
    soundfile.write(path, sound, RATE, format="MP3", bitrate_mode="VARIABLE")
    whole = read_wav(path, RATE)
    data = bytearray(path.read_bytes())
    for name in (b"Xing", b"Info"):
        at = data.find(name)
        if at >= 0:
            data[at : at + 4] = bytes(4)
    path.write_bytes(data)
    assert len(read_wav(path, RATE)) == pytest.approx(len(whole), abs=0.2 * RATE)


def test_a_place_before_the_file_printed_a_traceback(tmp_path):
    """FFmpeg asks for it in damaged CAF and W64 files; PyAV prints what Python raises then."""
    path = tmp_path / "a"
    path.write_bytes(b"sound")
    with open(path, "rb") as stream:
        for file in (stream, BytesIO(b"sound")):
            found = SeekableInput(file)
            assert found.seek(-3) == -1
            assert found.seek(2) == found.tell() == 2
            assert found.read(9) == b"und"
