"""A real SLURM of one node for the tests of this folder, which carry the marker ``slurm``."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from waiting import LOST


@pytest.fixture(scope="session")
def slurm_environment(
    repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """The environment in which SLURM's commands find the cluster; it is stopped in the end."""
    script = repository / "tools/slurm_local.sh"
    folder = tmp_path_factory.mktemp("slurm")
    started = subprocess.run(
        [str(script), "start", str(folder)], capture_output=True, text=True, timeout=LOST
    )
    try:
        assert started.returncode == 0, started.stderr
        yield os.environ | {"SLURM_CONF": str(folder / "slurm.conf")}
    finally:
        subprocess.run([str(script), "stop", str(folder)], check=False, timeout=LOST)
