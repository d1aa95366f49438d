"""A real SLURM of one node for the tests of this folder."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGES_NEEDED = ("sbatch", "slurmctld", "slurmd", "munged")


@pytest.fixture(scope="session")
def slurm_environment(
    repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """The environment in which SLURM's commands find the cluster; it is stopped in the end."""
    script = repository / "tools/slurm_local.sh"
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    if not all(shutil.which(name, path=path) for name in PACKAGES_NEEDED) and os.geteuid() != 0:
        pytest.skip("no slurm-wlm and munge here, and no root to install them")
    folder = tmp_path_factory.mktemp("slurm")
    started = subprocess.run(
        [str(script), "start", str(folder)], capture_output=True, text=True, timeout=300
    )
    try:
        if started.returncode != 0:
            pytest.skip(f"SLURM does not start here: {started.stderr.strip()[-300:]}")
        yield os.environ | {"SLURM_CONF": str(folder / "slurm.conf")}
    finally:
        subprocess.run([str(script), "stop", str(folder)], check=False, timeout=60)
