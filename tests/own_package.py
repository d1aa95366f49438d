"""Somebody else's package, as pip would have installed it: one module and its entry point."""

from __future__ import annotations

import os
from pathlib import Path


def install_package(folder: Path, module: str, source: str, group: str, point: str) -> None:
    """Write ``module`` into ``folder``, a distribution of its own that names ``point``.

    ``group`` is a kind of components, as ``entcomp.extractors``; ``point`` as ``name = object``,
    where ``object`` is in the module.
    """
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / f"{module}.py").write_text(source)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    name, found = point.split(" = ")
    (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {module}:{found}\n")


def environment_with(folder: Path) -> dict[str, str]:
    """Environment variables of a process that finds the packages in ``folder``."""
    paths = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
