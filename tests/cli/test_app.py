from __future__ import annotations

import errno
import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

import entcomp
from entcomp.cli import app
from entcomp.errors import EntcompError
from entcomp.files import write_json
from entcomp.progress import log_to_stderr, track

PROGRAM = Path(sys.executable).with_name("entcomp")


LISTED = """
import sys
from entcomp.cli.app import main
sys.argv = ["entcomp", "--help"]
try:
    main()
finally:
    print(*sys.modules, file=sys.stderr)
"""


def test_help_imports_little():
    """It came after 1.5 s once: every command was imported, with all that they need."""
    done = subprocess.run([sys.executable, "-c", LISTED], capture_output=True, text=True)
    assert done.returncode == 0 and "Usage: entcomp" in done.stdout
    modules = set(done.stderr.split())
    assert len(modules) < 400
    assert not modules & {"torch", "torchaudio", "numpy", "espnet", "onnxruntime", "pydantic"}
    ours = {one for one in modules if re.fullmatch(r"entcomp\.\w+", one)}
    assert ours == {"entcomp.cli", "entcomp.errors", "entcomp.progress"}


def test_every_command_has_help_and_a_module_of_its_name(repository):
    group = typer.main.get_command(app.app)
    modules = {path.stem for path in (repository / "entcomp" / "cli").glob("*.py")}
    assert len(group.commands) > 20
    for name, command in group.commands.items():
        assert command.module in modules
        assert command.summary().endswith("."), name


def call(*arguments: str, **environment: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of the program."""
    command = [PROGRAM, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | environment)
    return done.returncode, done.stdout, done.stderr


def test_panels_and_the_programs_own_options():
    code, out, _ = call("--help", COLUMNS="100", NO_COLOR="1")
    assert code == 0
    panels = [line.split("─")[1].strip() for line in out.splitlines() if line.startswith("╭")]
    assert panels == ["Options", *app.EntcompCommands.panels]
    for name in ("tokenize", "--version", "--verbose", "--quiet", "--install-completion"):
        assert name in out
    assert "Group units by where the LM is unsure" in out


def test_version():
    assert call("--version") == (0, f"entcomp {entcomp.__version__}\n", "")


def test_a_commands_help_and_a_typing_error():
    code, out, _ = call("info", "-h", NO_COLOR="1")
    assert code == 0 and "Say what an experiment holds" in out and "--json" in out
    code, _, err = call("tokenise")
    assert code == 2 and "Did you mean 'tokenize'" in err


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("entcomp train-", {"train-lm", "train-asr", "train-st", "train-vc", "train-vocoder"}),
        ("entcomp info --js", {"--json"}),
        ("entcomp --ver", {"--version", "--verbose"}),
    ],
)
def test_completion(words, expected):
    place = str(len(words.split()) - 1)
    variables = {"_ENTCOMP_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": place}
    assert set(call(**variables)[1].split()) == expected


def test_completion_is_installed(tmp_path):
    """In the shell that the command line runs in, which is looked for among its parents."""
    done = subprocess.run(
        ["bash", "-c", f"{PROGRAM} --install-completion bash; exit $?"],
        env=os.environ | {"HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and "completion installed" in done.stdout
    assert "entcomp" in (tmp_path / ".bash_completions" / "entcomp.sh").read_text()


WITH_TORCH = {
    *("train-lm", "train-asr", "train-st", "train-vc", "train-vocoder", "score-entropy", "decode"),
    *("transcribe", "translate", "convert", "synthesize", "score-vc", "bench-latency"),
}


@pytest.mark.parametrize("is_called", [False, True])
def test_commands_that_do_not_compute_with_torch_do_not_import_it(is_called):
    """The help of any command does not; where one is called, its pipelines are executed."""
    group = typer.main.get_command(app.app)
    names = set(group.commands) - (WITH_TORCH if is_called else set())
    modules = [group.commands[name].module for name in names]
    assert len(set(group.commands) - WITH_TORCH) + len(WITH_TORCH) == len(group.commands)
    script = (
        f"import sys, importlib\n"
        f"for name in {modules}:\n"
        f"    command = importlib.import_module(f'entcomp.cli.{{name}}')\n"
        f"    for used in vars(command).values():\n"
        f"        if {is_called} and 'pipelines' in getattr(used, '__name__', ''):\n"
        f"            importlib.import_module(used.__name__)\n"
        f"print(*sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
    assert not set(result.stdout.decode().split()) & {"torch", "torchaudio", "pytorch_lightning"}


def test_a_training_without_torch_was_a_traceback(tmp_path):
    """The base requirements serve tokenize and plot; the others say what they need."""
    script = (
        "import sys; sys.modules['torch'] = None;"
        f"sys.argv = ['entcomp', 'score-entropy', {str(tmp_path)!r}, {str(tmp_path / 'exp')!r}];"
        "from entcomp.cli.app import main; main()"
    )
    (tmp_path / "wav.scp").write_text("a a.wav\n")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    wanted = "entcomp: error: this command: needs the Python package torch; install it\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", wanted)


def test_a_command_imports_no_other(tmp_path):
    script = (
        "import sys; from entcomp.cli.app import app;"
        "app(['export-units', '--help'], standalone_mode=False); print(*sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
    modules = {one for one in result.stdout.decode().split() if one.startswith("entcomp.cli.")}
    known = {"app", "group", "options", "export_units"}
    assert modules == {f"entcomp.cli.{name}" for name in known}


def test_old_names_of_options_are_taken_with_a_warning(tmp_path):
    arguments = (str(tmp_path), str(tmp_path / "exp"))
    for old in (("--segments", "nope"), ("--segments=nope",)):
        code, out, err = call("align-eval", *arguments, *old)
        warning, error = err.splitlines()
        assert (code, out) == (1, "")
        assert warning == "entcomp: warning: --segments is called --segmentation now"
        assert error.startswith("entcomp: error: ")
        assert call("-q", "align-eval", *arguments, *old)[2].splitlines() == [error]
    assert "--segments" not in call("align-eval", "--help", NO_COLOR="1")[1]


def test_quiet_and_verbose_wherever_they_stand(tmp_path):
    units = {"extractor": "imported", "layer": 0, "num_clusters": 2, "sample_rate": 16000}
    units |= {"frame_shift_samples": 320, "receptive_offset_samples": 0, "codebook_sha256": "c0de"}
    write_json(tmp_path / "units" / "units.json", units)
    command = ("info", str(tmp_path))
    plain, quiet = call(*command), call(*command, "-q")
    assert plain == quiet and plain[2] == ""
    for verbose in (("-v", *command), (*command, "--verbose")):
        code, out, err = call(*verbose)
        assert (code, out) == plain[:2]
        assert re.fullmatch(r"entcomp: info: info took \d\.\d s\n", err)


def test_quiet_shows_no_bar(capfd):
    for level, is_shown in ((logging.WARNING, True), (logging.ERROR, False)):
        log_to_stderr(level)
        assert list(track([1, 2], "counting")) == [1, 2]
        assert ("counting" in capfd.readouterr().err) is is_shown


def test_lines_of_the_log_came_twice(capfd, monkeypatch):
    """Once from a handler at the root, as a library's logging.info() makes one."""
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    logging.basicConfig()
    log_to_stderr(logging.INFO)
    logging.getLogger("entcomp.cli").info("once")
    assert capfd.readouterr().err == "entcomp: info: once\n"


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
