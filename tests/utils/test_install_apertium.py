"""tools/install_apertium.sh, with an archive of two packages in place of Debian's."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / "tools"
# What the installed command would run: it says where its languages are, and what the mode reads.
APERTIUM = """#!/bin/sh
cat > /dev/null
echo "casa $(cat "$APERTIUM_DATADIR/modes/eng-spa.mode") $LD_LIBRARY_PATH"
"""
APT_GET = """#!/bin/sh
echo "$@" >> {log}
case "$*" in
  *" update") exit {update} ;;
  *" download "*) cp {packages}/*.deb . ;;
  *" install "*) printf '%s liblttoolbox3 (3.7.1 Debian)\\n' Inst Conf ;;
esac
"""
DPKG = '#!/bin/sh\nmkdir -p "$3" && tar -xf "$2" -C "$3"\n'


def write_script(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the two scripts, and packages of a program and of a language."""
    (tmp_path / "tools").mkdir()
    for name in ("install_apertium.sh", "debian.sh"):
        shutil.copy(TOOLS / name, tmp_path / "tools")
    program, language = tmp_path / "program", tmp_path / "language"
    write_script(program / "usr/bin/apertium", APERTIUM)
    (program / "usr/lib/x86_64-linux-gnu").mkdir(parents=True)
    write_script(language / "usr/share/apertium/modes/eng-spa.mode", "lt-proc '/usr/share/a.bin'")
    (tmp_path / "packages").mkdir()
    for folder in (program, language):
        with tarfile.open(tmp_path / "packages" / f"{folder.name}.deb", "w") as archive:
            archive.add(folder / "usr", "usr")
    return tmp_path


def install(checkout: Path, update: int = 0) -> subprocess.CompletedProcess[str]:
    names = {"log": checkout / "log", "packages": checkout / "packages", "update": update}
    write_script(checkout / "bin/apt-get", APT_GET.format(**names))
    write_script(checkout / "bin/dpkg", DPKG)
    return subprocess.run(
        [checkout / "tools/install_apertium.sh"],
        env=os.environ | {"PATH": f"{checkout / 'bin'}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_has_its_own_languages_and_libraries(checkout: Path) -> None:
    done = install(checkout)
    assert done.returncode == 0, done.stderr
    target = checkout / "tools/downloads/apertium"
    command = [target / "apertium", "-u", "eng-spa"]
    said = subprocess.run(command, input="", capture_output=True, text=True, check=True).stdout
    assert f"lt-proc '{target}/unpacked/usr/share/a.bin' " in said
    assert f"{target}/unpacked/usr/lib/x86_64-linux-gnu" in said
    fetched = (checkout / "log").read_text().splitlines()[-1]
    assert fetched.endswith(" download apertium apertium-eng-cat apertium-eng-spa liblttoolbox3")
    assert not (target / "apt").exists() and not target.with_name("apertium.tmp").exists()


def test_a_second_call_fetches_nothing(checkout: Path) -> None:
    assert install(checkout).returncode == 0
    (checkout / "log").unlink()
    assert "complete, skipped" in install(checkout).stdout
    assert not (checkout / "log").exists()


def test_an_archive_that_fails_leaves_nothing(checkout: Path) -> None:
    assert install(checkout, update=100).returncode == 100
    assert not (checkout / "tools/downloads/apertium").exists()
    for package in (checkout / "packages").iterdir():  # what came does not translate
        package.unlink()
    with tarfile.open(checkout / "packages/program.deb", "w") as archive:
        write_script(checkout / "program/usr/bin/apertium", "#!/bin/sh\ncat\n")
        archive.add(checkout / "program/usr", "usr")
        archive.add(checkout / "language/usr", "usr")
    done = install(checkout)
    assert done.returncode == 1
    assert "does not translate: 'The house is red.'" in done.stderr
    assert not (checkout / "tools/downloads/apertium").exists()
