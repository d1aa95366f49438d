"""Fixtures of the report's tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import run
from fake_experiment import Fake


@pytest.fixture(scope="module")
def html(fake: Fake) -> str:
    """The page on the set ``test`` of a module's own ``fake``."""
    code, out, err = run("report", "--set", "test", *fake.arguments)
    assert code == 0, err
    return Path(out.strip()).read_text(encoding="utf-8")
