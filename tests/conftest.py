"""Fixtures that every test folder shares."""

from __future__ import annotations

import importlib.util
import logging
import os
import shutil
import signal
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
# Folders with files that take minutes: were they last, one process would wait for the other.
LONG = ("recipes", "slurm", "bench")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fuzz", type=int, metavar="N", help="damaged files that tests/fuzz reads, of all kinds"
    )


def pytest_configure() -> None:
    """Ctrl-C reaches what tests start, even if they run behind a shell's `&`, which ignores it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def slurm_can_run() -> bool:
    """Is SLURM here, or may these tests install it?"""
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    commands = ("sbatch", "slurmctld", "slurmd", "munged")
    installed = all(shutil.which(name, path=path) for name in commands)
    return installed or (os.geteuid() == 0 and shutil.which("apt-get") is not None)


def missing() -> dict[str, str]:
    """Markers of tests that are left out here, and what to install for them."""
    found = {}
    if not slurm_can_run():
        found["slurm"] = "as root, apt-get install slurm-wlm munge"
    if importlib.util.find_spec("zrc_abx2") is None:
        found["abx"] = "install a C compiler and Python's headers, and run tools/install.sh"
    if not shutil.which("chromium"):
        found["chromium"] = "run tools/install_chromium.sh as root"
    return found


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    markers = missing()
    left_out = [item for item in items if any(map(item.get_closest_marker, markers))]
    config.hook.pytest_deselected(items=left_out)
    kept = [item for item in items if item not in left_out]
    items[:] = sorted(kept, key=lambda item: item.path.parent.name not in LONG)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for marker, remedy in missing().items():
        terminalreporter.write_line(f"tests marked {marker} were left out: {remedy}")


@pytest.fixture(autouse=True)
def _log_as_in_the_library() -> Iterator[None]:
    """What the command line has set of the log, no later test sees; `caplog` wants it passed on."""
    yield
    log = logging.getLogger("entcomp")
    log.handlers, log.propagate = [], True
    log.setLevel(logging.NOTSET)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def prompt_data(repository: Path) -> Path:
    """A Kaldi data dir of sixty real recordings, with their units; see its README."""
    return repository / "tests" / "fixtures" / "prompts"


@pytest.fixture(scope="session")
def prompt_grids(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of TextGrids by MFA, of each recording in ``prompt_data`` and many more."""
    folder = tmp_path_factory.mktemp("textgrids")
    with tarfile.open(repository / "egs" / "asterisk" / "mfa" / "textgrids.tar.xz") as archive:
        archive.extractall(folder)  # our own; `filter` is not in each Python 3.10 and 3.11
    return folder


@pytest.fixture(scope="session")
def moonshine_folder() -> Path:
    """Moonshine's encoder and decoder, which tests/run.sh installs."""
    from entcomp.downloads import download_folder

    folder = download_folder("moonshine")
    for name in ("encoder_model.onnx", "decoder_model_merged.onnx"):
        if not (folder / name).is_file():
            pytest.fail(f"{folder / name}: no such file; run tools/install_moonshine.sh")
    return folder


@pytest.fixture(scope="session")
def moonshine_encoder(moonshine_folder: Path) -> Path:
    return moonshine_folder / "encoder_model.onnx"
