"""Weights that an installer fetches: where they lie, and how they come there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from entcomp.errors import EntcompError

CHECKOUT = Path(__file__).resolve().parents[1]  # or where packages are installed


def download_folder(name: str) -> Path:
    """Where the installer of ``name`` puts its files: ``$NAME_DIR``, a checkout, or the cache.

    A checkout has ``tools/install_<name>.sh``, and files in ``tools/downloads/<name>``.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    default = cache / "entcomp" / name
    if (CHECKOUT / "tools" / f"install_{name}.sh").exists():
        default = CHECKOUT / "tools" / "downloads" / name
    return Path(os.environ.get(f"{name.upper()}_DIR", default))


def fetch(path: Path, installer: Path, what: str, remedy: str) -> Path:
    """The file, which the installer fetches with its folder unless it is there.

    ``what`` says on stderr what is fetched. Raises EntcompError, with ``remedy``, if that fails.
    """
    if not path.is_file():
        print(f"{path.parent}: fetching {what}, once", file=sys.stderr)
        command = ["bash", str(installer), str(path.parent)]
        env = {"PYTHON": sys.executable, **os.environ}
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise EntcompError(f"{path}: could not be fetched ({reason}); {remedy}")
    return path
