from __future__ import annotations

import errno
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from entcomp.cli import app
from entcomp.errors import EntcompError

PROGRAM = Path(sys.executable).with_name("entcomp")


def test_help_in_time():
    """By the processor's time: on a machine with nothing else to do, all of it."""

    def seconds() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([PROGRAM, "--help"], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(seconds() for _ in range(5)) < 0.6


def test_importing_the_command_line_imports_nothing_heavy():
    script = "import sys, entcomp.cli.app; print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
    modules = set(result.stdout.decode().split())
    assert not modules & {"torch", "torchaudio", "numpy", "espnet", "onnxruntime"}


def test_every_command_has_help_and_a_module_of_its_name(repository):
    names = [command.name for command in app.app.registered_commands]
    assert len(set(names)) == len(names) > 0
    for command in app.app.registered_commands:
        module = repository / "entcomp" / "cli" / f"{command.name.replace('-', '_')}.py"
        assert module.exists()
        assert command.callback.__doc__


def run(monkeypatch: pytest.MonkeyPatch, error: Exception, *arguments: str) -> object:
    """The exit code of the command line when a command raises ``error``."""

    def command(_: list[str]) -> None:
        raise error

    monkeypatch.setattr(app, "app", command)
    monkeypatch.setattr(sys, "argv", ["entcomp", *arguments])
    with pytest.raises(SystemExit) as caught:
        app.main()
    return caught.value.code


def test_a_users_mistake_is_one_line(monkeypatch, capsys):
    assert run(monkeypatch, EntcompError("a.wav: bad; fix it")) == 1
    assert capsys.readouterr().err == "entcomp: error: a.wav: bad; fix it\n"


def test_debug_shows_the_traceback_wherever_it_stands(monkeypatch):
    with pytest.raises(EntcompError):
        run(monkeypatch, EntcompError("a.wav: bad"), "segment", "--debug")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS])
def test_a_disk_that_is_full_or_forbidden_is_one_line(monkeypatch, capsys, code):
    assert run(monkeypatch, OSError(code, "No", "exp/a.ark")) == 1
    message = capsys.readouterr().err
    assert message.startswith("entcomp: error: exp/a.ark: No; ")
    assert message.count("\n") == 1


def test_a_bug_keeps_its_traceback(monkeypatch):
    with pytest.raises(ZeroDivisionError):
        run(monkeypatch, ZeroDivisionError())
