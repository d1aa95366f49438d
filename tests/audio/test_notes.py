"""What libmpg123 says of broken MP3s on stderr is kept from it; all else goes through."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from waiting import LOST

from entcomp.audio.decode import audio_info, audio_seconds
from entcomp.audio.notes import without_notes
from entcomp.audio.read import read_wav
from entcomp.errors import EntcompError

RATE = 16000


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """An MP3 with a hole in the middle, over which libmpg123 complains."""
    path = tmp_path / "hole.mp3"
    noise = 0.1 * np.random.default_rng(0).standard_normal(5 * RATE)
    soundfile.write(path, noise, RATE, format="MP3")
    content = bytearray(path.read_bytes())
    content[5000:9000] = bytes(4000)
    path.write_bytes(content)
    return path


def test_a_broken_mp3_is_one_error_and_no_notes(
    broken: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with soundfile.SoundFile(broken) as stream, pytest.raises(soundfile.LibsndfileError):
        stream.read()
    assert "Note: Trying to resync" in capfd.readouterr().err  # what it would look like
    with pytest.raises(
        EntcompError, match=r"hole\.mp3: its header says 5 s, but the recording has 3\.9"
    ):
        read_wav(broken, RATE)
    assert audio_seconds(broken) > 4
    assert capfd.readouterr().err == ""


def test_what_others_write_meanwhile_is_passed_on(capfd: pytest.CaptureFixture[str]) -> None:
    with without_notes():
        os.write(2, b"Note: Trying to resync...\nfrom elsewhere\n")
        with without_notes():
            os.write(2, b"a warning\n")
        os.write(2, b"[src/libmpg123/parse.c:wetwork():1349] error: Giving up\nno end")
    os.write(2, b" of line\n")
    assert capfd.readouterr().err == "from elsewhere\na warning\nno end of line\n"


def test_half_a_note_is_held_until_it_is_known(capfd: pytest.CaptureFixture[str]) -> None:
    with without_notes():
        for part in (b"No", b"te: Trying", b" to resync...\n", b"No", b"thing\n", b"N"):
            os.write(2, part)
            time.sleep(0.01)  # so that each is probably read by itself; it must not matter
    assert capfd.readouterr().err == "Nothing\nN"


def test_a_forked_process_decodes_too(broken: Path) -> None:
    """It has the lock and the pipe of its parent, but not the thread that reads."""
    with without_notes():
        process = multiprocessing.get_context("fork").Process(target=decode, args=(broken,))
        process.start()
    process.join(LOST)
    assert process.exitcode == 0


@pytest.mark.parametrize("stderr", ["closed", "read by nobody"])
def test_without_a_stderr_decoding_ends_all_the_same(stderr: str) -> None:
    """The thread that passes lines on must not die of it, or the decoder waits for ever."""
    code = (
        "import os, sys; from entcomp.audio.notes import without_notes\n"
        "for _ in range(2):\n"
        "    with without_notes(): os.write(2, b'a line')\n"
        "print('ended')"
    )
    redirection = "2>&-" if stderr == "closed" else "2> >(exit)"
    command = ["bash", "-c", f'"$0" -c "$1" {redirection}', sys.executable, code]
    ended = subprocess.run(command, stdout=subprocess.PIPE, timeout=LOST, check=True)
    assert ended.stdout == b"ended\n"


def decode(broken: Path) -> None:
    with pytest.raises(EntcompError):
        read_wav(broken, RATE)


def test_threads_decode_and_write_at_once(broken: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Each line arrives once, and descriptor 2 is what it was."""
    before = os.fstat(2)

    def work(number: int) -> None:
        for one in range(20):
            with pytest.raises(EntcompError):
                read_wav(broken, RATE)
            os.write(2, f"{number} {one}\n".encode())

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with without_notes():  # when it ends, what was written into the pipe last is passed on, too
        pass
    lines = capfd.readouterr().err.splitlines()
    assert sorted(lines) == sorted(f"{n} {one}" for n in range(4) for one in range(20))
    assert (os.fstat(2).st_dev, os.fstat(2).st_ino) == (before.st_dev, before.st_ino)


@pytest.mark.parametrize("name", ["a.wav", "a.mp3", "a.m4a"])
def test_what_a_recording_is_before_it_is_decoded(tmp_path: Path, name: str) -> None:
    """`convert` described a recording by libsndfile alone, and failed on what only PyAV reads."""
    noise = (0.1 * np.random.default_rng(0).standard_normal((2 * RATE, 2))).astype(np.float32)
    if name.endswith("m4a"):
        write_aac(tmp_path / name, noise)
    else:
        soundfile.write(tmp_path / name, noise, RATE)
    found = audio_info(tmp_path / name)
    assert (found.sample_rate, found.channels) == (RATE, 2)
    assert found.seconds == pytest.approx(2, abs=0.1)
    (tmp_path / "text.wav").write_text("no audio")
    with pytest.raises(EntcompError, match=r"text\.wav: unreadable audio"):
        audio_info(tmp_path / "text.wav")


def write_aac(path: Path, waveform: np.ndarray) -> None:
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=RATE, layout="stereo")
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(waveform.T), format="fltp", layout="stereo"
        )
        frame.sample_rate = RATE
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
