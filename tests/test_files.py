from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import threading
from pathlib import Path

import pytest

from entcomp.artifacts.stage import Stage, read_stage
from entcomp.errors import EntcompError
from entcomp.files import atomic_path, locked, read_json, sha256_file, sha256_of, write_json
from entcomp.skipped import SkippedUtterances


def test_the_final_name_appears_only_when_whole(tmp_path):
    path = tmp_path / "new" / "a.txt"
    with atomic_path(path) as temporary:
        temporary.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert [path.read_text() for path in path.parent.iterdir()] == ["whole"]


def test_what_a_killed_run_left_is_overwritten(tmp_path):
    (tmp_path / ".a.txt.tmp").write_text("left by a run that was killed")
    with atomic_path(tmp_path / "a.txt") as temporary:
        temporary.write_text("new")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("name", [".", "/"])
def test_a_folder_without_a_name_was_a_traceback(name):
    with pytest.raises(IsADirectoryError), atomic_path(Path(name)):
        pytest.fail("opened")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_full_disk_names_the_file_and_leaves_nothing(tmp_path):
    (tmp_path / ".a.json.tmp").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left") as caught:
        write_json(tmp_path / "a.json", {"a": 1})
    assert caught.value.filename == str(tmp_path / "a.json")
    assert list(tmp_path.iterdir()) == []


def while_the_first_is_inside(first, second, inside, leave):
    """Start a second thread while the first is inside, let the first leave; the second waits."""
    threads = [threading.Thread(target=one) for one in (first, second)]
    threads[0].start()
    inside.wait(10)
    threads[1].start()
    threads[1].join(0.2)
    assert all(one.is_alive() for one in threads)
    leave.set()
    for one in threads:
        one.join(10)


def test_who_comes_second_waits(tmp_path):
    seen = []
    inside, leave = threading.Event(), threading.Event()

    def first():
        with locked(tmp_path / "new"):
            inside.set()
            leave.wait(10)
            seen.append("first")

    def second():
        with locked(tmp_path / "new"):
            seen.append("second")

    while_the_first_is_inside(first, second, inside, leave)
    assert seen == ["first", "second"]


def test_who_holds_a_folder_may_ask_again(tmp_path):
    with locked(tmp_path), locked(tmp_path / ".." / tmp_path.name):
        pass
    with locked(tmp_path):
        pass


def test_a_file_system_without_locks(tmp_path, monkeypatch, capsys):
    def none(*_):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", none)
    with locked(tmp_path):
        pass
    assert "no locks on this file system" in capsys.readouterr().err


def test_hashes(tmp_path):
    (tmp_path / "a").write_bytes(b"x" * 3_000_000)
    assert sha256_file(tmp_path / "a") == hashlib.sha256(b"x" * 3_000_000).hexdigest()
    assert sha256_of({"a": 1, "b": 2}) == sha256_of({"b": 2, "a": 1}) != sha256_of({"a": 2, "b": 1})


def test_json_of_equal_content_is_equal_bytes(tmp_path):
    write_json(tmp_path / "a", {"a": 1, "b": "é"})
    write_json(tmp_path / "b", {"b": "é", "a": 1})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert read_json(tmp_path / "a") == {"a": 1, "b": "é"}
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "a", {"a": float("nan")})


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "no such file"), ("{", "not JSON"), ("[1]", "not a JSON object")],
)
def test_refuses_json(tmp_path, content, message):
    if content is not None:
        (tmp_path / "a.json").write_text(content)
    with pytest.raises(EntcompError, match=rf"a\.json: {message}"):
        read_json(tmp_path / "a.json")


def test_a_stage_is_whole_only_for_the_same_inputs(tmp_path):
    stage = Stage(tmp_path / "out", {"seed": 1, "pair": (1, 2)})
    assert not stage.is_complete()
    stage.start()
    assert not stage.is_complete()
    stage.finish({"utterances": 3})
    assert stage.is_complete()
    assert not Stage(tmp_path / "out", {"seed": 2, "pair": (1, 2)}).is_complete()
    assert read_stage(tmp_path / "out")["outputs"] == {"utterances": 3}
    stage.start()
    assert not stage.is_complete()
    assert read_stage(tmp_path / "out") == {"inputs": {}, "outputs": {}}


def test_skipped_utterances(tmp_path):
    strict = SkippedUtterances(skip_bad=False)
    with (
        pytest.raises(EntcompError, match=r"^a\.wav: bad \(utterance a\); .* --skip-bad$"),
        strict.guard("a"),
    ):
        raise EntcompError("a.wav: bad")
    lenient = SkippedUtterances(skip_bad=True)
    for utt_id in ("b", "a"):
        with lenient.guard(utt_id):
            raise EntcompError(f"{utt_id}.wav: bad")
    lenient.write(tmp_path / "skipped.txt")
    assert (tmp_path / "skipped.txt").read_text() == "a a.wav: bad\nb b.wav: bad\n"
    SkippedUtterances(skip_bad=True).write(tmp_path / "skipped.txt")
    assert not (tmp_path / "skipped.txt").exists()


def test_a_bug_is_not_a_bad_utterance():
    with pytest.raises(ZeroDivisionError), SkippedUtterances(skip_bad=True).guard("a"):
        _ = 1 / 0


def test_stage_marks_are_json(tmp_path):
    Stage(tmp_path, {"b": 1, "a": 2}, "stage.1of2").finish({"x": 1})
    stored = json.loads((tmp_path / "stage.1of2.json").read_text())
    assert stored == {"inputs": {"a": 2, "b": 1}, "outputs": {"x": 1}}


def test_two_writers_of_one_file_shared_its_temporary_name(tmp_path):
    """The second emptied what the first was writing, and wrote on in it under its final name."""
    inside, leave = threading.Event(), threading.Event()
    path = tmp_path / "units.ark"

    def first():
        with atomic_path(path) as temporary, open(temporary, "wb") as stream:
            stream.write(b"first" * 1000)
            inside.set()
            leave.wait(10)
            stream.write(b"!")

    def second():
        with atomic_path(path) as temporary, open(temporary, "wb") as stream:
            seen.append(path.read_bytes())  # the first one's, whole
            stream.write(b"second")

    seen = []
    while_the_first_is_inside(first, second, inside, leave)
    assert seen == [b"first" * 1000 + b"!"] and path.read_bytes() == b"second"
    assert [one.name for one in tmp_path.iterdir()] == ["units.ark"]


def test_a_killed_writer_keeps_nobody_waiting(tmp_path):
    path = tmp_path / "a"
    path.with_name(".a.tmp").write_bytes(b"left")
    with atomic_path(path) as temporary:
        assert temporary.read_bytes() == b""
        temporary.write_text("whole")
    assert path.read_text() == "whole"
