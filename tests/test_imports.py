"""Importing entcomp does nothing but import."""

from __future__ import annotations

import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import entcomp

# What our modules' own lines do while they are imported, and not what other packages' do.
WATCHED = """
import importlib, os, sys, threading
from pathlib import Path

PACKAGE = sys.argv[1]
DOES_SOMETHING = {"os.mkdir", "os.rename", "os.remove", "os.chdir", "os.putenv", "os.system",
                  "os.fork", "subprocess.Popen", "socket.connect", "socket.bind",
                  "socket.getaddrinfo", "urllib.Request", "signal.signal"}
found = []

def importing():
    frame = sys._getframe(2)
    while frame is not None and frame.f_code.co_name != "<module>":
        frame = frame.f_back
    return frame.f_code.co_filename if frame is not None else ""

def hook(event, arguments):
    is_write = event == "open" and arguments[2] is not None and (
        arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
    if (is_write or event in DOES_SOMETHING) and importing().startswith(PACKAGE):
        found.append(f"{importing()}: {event} {arguments[0]}")

sys.addaudithook(hook)
before = dict(os.environ)
for name in sys.argv[2:]:
    importlib.import_module(name)
    others = [one.name for one in threading.enumerate() if one is not threading.main_thread()]
    found.extend(f"{name}: starts {one}" for one in others)
found.extend(f"sets ${name}" for name in os.environ if os.environ[name] != before.get(name)
             and name.startswith(("ENTCOMP", "OMP", "CUDA")))
print(*found, sep="\\n", end="")
"""


def module_names() -> list[str]:
    found = pkgutil.walk_packages(entcomp.__path__, "entcomp.")
    return ["entcomp", *(one.name for one in found)]


def test_importing_has_no_side_effects(tmp_path: Path) -> None:
    """No output, no file, no thread, no process and no network, by any module of all."""
    (folder,) = entcomp.__path__
    names = module_names()
    assert len(names) > 150
    done = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:entcomp", "-c", WATCHED, folder, *names],
        env={**os.environ, "HOME": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in left if "entcomp" in str(path.relative_to(tmp_path))]
