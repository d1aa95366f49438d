"""Recordings in archives, as Kaldi's wav-copy and ESPnet write them, and damaged ones."""

from __future__ import annotations

import io
import random
from pathlib import Path

import kaldiio
import numpy as np
import pytest
import soundfile

from entcomp.audio.read import read_utterance
from entcomp.errors import EntcompError
from entcomp.kaldi.datadir import DataDir, Utterance, audio_bytes
from entcomp.kaldi.recordings import open_recording

RATE = 16000
GENERATOR = np.random.default_rng(0)
WAVES = {
    f"utt{number}": (GENERATOR.integers(-9000, 9000, 1600 * (number + 1)) / 32768).astype(
        np.float32
    )
    for number in range(3)
}


def encoded(wave: np.ndarray, kind: str) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, wave, RATE, "PCM_16", format=kind)
    return buffer.getvalue()


def write_set(folder: Path, form: str) -> DataDir:
    """``wav.ark`` as Kaldi writes it, ``flac.ark`` as ESPnet, or bare FLACs in a row."""
    folder.mkdir()
    ark, scp = folder / f"{form.split()[0]}.ark", folder / "wav.scp"
    if form == "flac":
        arrays = {utt_id: (wave, RATE) for utt_id, wave in WAVES.items()}
        options = {"write_function": "soundfile", "write_kwargs": {"format": "FLAC"}}
        kaldiio.save_ark(str(ark), arrays, scp=str(scp), **options)
        return DataDir("set", folder)
    lines, content = [], b""
    for utt_id, wave in WAVES.items():
        content += f"{utt_id} ".encode()
        lines.append(f"{utt_id} {ark}:{len(content)}\n")
        content += encoded(wave, "FLAC" if form == "flac bare" else "WAV")
    ark.write_bytes(content)
    scp.write_text("".join(lines))
    return DataDir("set", folder)


@pytest.mark.parametrize("form", ["wav", "flac", "flac bare"])
def test_data_dirs_with_archives_of_audio_are_read(tmp_path: Path, form: str) -> None:
    data_set = write_set(tmp_path / "set", form)
    utterances = list(data_set.utterances())
    assert [one.utt_id for one in utterances] == list(WAVES)
    for one in utterances:
        np.testing.assert_allclose(read_utterance(one, RATE), WAVES[one.utt_id], atol=1e-4)
    size = next((tmp_path / "set").glob("*.ark")).stat().st_size
    assert audio_bytes(utterances) == 3 * size


def test_segments_of_recordings_in_archives(tmp_path: Path) -> None:
    data_set = write_set(tmp_path / "set", "wav")
    (tmp_path / "set" / "segments").write_text("a utt2 0.1 0.2\n")
    (one,) = data_set.utterances()
    np.testing.assert_allclose(read_utterance(one, RATE), WAVES["utt2"][1600:3200], atol=1e-4)


def test_archives_are_looked_for_beside_wav_scp(tmp_path: Path) -> None:
    data_set = write_set(tmp_path / "set", "wav")
    scp = tmp_path / "set" / "wav.scp"
    scp.write_text(scp.read_text().replace(f"{tmp_path}/set/", ""))
    one = next(data_set.utterances())
    assert one.wav.startswith(f"{tmp_path}/set/wav.ark:")
    assert len(read_utterance(one, RATE)) == 1600


def test_a_file_whose_name_ends_in_a_number(tmp_path: Path) -> None:
    path = tmp_path / "take:2"
    path.write_bytes(encoded(WAVES["utt0"], "WAV"))
    assert len(read_utterance(Utterance("u", str(path)), RATE)) == 1600


def test_entries_that_are_no_recordings(tmp_path: Path) -> None:
    write_set(tmp_path / "set", "wav")
    ark = tmp_path / "set" / "wav.ark"
    size = ark.stat().st_size
    for wav, message in (
        (f"{ark}:4", f"{ark}:4: no recording begins there; make wav.scp again"),
        (f"{ark}:{size}", "no recording begins there"),
        (f"{ark}:999999999999999999", "no recording begins there"),
        (f"{tmp_path}/no.ark:5", "no.ark:5: no such archive"),
        (f"{tmp_path}:5", "no such archive"),
        (f"{ark}:5[0:100]", "no such file"),
    ):
        with pytest.raises(EntcompError) as caught:
            read_utterance(Utterance("u", wav), RATE)
        assert message in str(caught.value)
    ark.write_bytes(ark.read_bytes()[: size - 10])
    last = (tmp_path / "set" / "wav.scp").read_text().split()[-1]
    with pytest.raises(EntcompError, match="the recording is cut off; make the archive again"):
        read_utterance(Utterance("u", last), RATE)


@pytest.mark.parametrize("form", ["wav", "flac", "flac bare"])
def test_flipped_bits_in_an_archive_of_audio(tmp_path: Path, form: str) -> None:
    """The headers are what can go wrong: 400 flips there, of which none asks for memory."""
    write_set(tmp_path / "set", form)
    ark = next((tmp_path / "set").glob("*.ark"))
    first = (tmp_path / "set" / "wav.scp").read_text().split()[1]
    begin, sound = int(first.rpartition(":")[2]), ark.read_bytes()
    drawn = random.Random(0)
    for _ in range(400):
        bit = drawn.randrange(8 * begin, 8 * (begin + 60))
        damaged = bytearray(sound)
        damaged[bit // 8] ^= 1 << bit % 8
        ark.write_bytes(damaged)
        try:
            assert read_utterance(Utterance("u", first), RATE).nbytes < 1 << 26
        except EntcompError as error:
            assert len(str(error).splitlines()) == 1 and str(ark) in str(error)


def test_a_part_of_a_file_is_a_file(tmp_path: Path) -> None:
    content = encoded(WAVES["utt0"], "WAV")
    (tmp_path / "x.ark").write_bytes(b"u " + content + b"v ")
    with open_recording(tmp_path / "x.ark", 2) as stream:
        assert stream.seek(0, io.SEEK_END) == len(content) and stream.read() == b""
        assert stream.seek(-4, io.SEEK_END) == len(content) - 4
        assert stream.read(99) == content[-4:]
        assert stream.seek(8) == 8 and stream.read(4) == b"WAVE" and stream.tell() == 12
