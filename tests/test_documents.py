"""What one document says of another is there."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from command_line import run

LINK = re.compile(r"\]\((?!https?:|mailto:)([^)\s]*)\)")
CITED = re.compile(r"[\w./-]*README(?:\.md)?")
SECTION = re.compile(r"README(?:\.md)?[,:]? (?:section )?[\"'“`]([^\"'”`\n]+)[\"'”`]")


@pytest.fixture(scope="module")
def files(repository: Path) -> list[Path]:
    """All that git knows, and text."""
    listed = subprocess.run(
        ["git", "-C", str(repository), "ls-files", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=True,
    )
    kinds = {".py", ".sh", ".md", ".yaml", ".cfg", ""}
    paths = [repository / line for line in listed.stdout.splitlines()]
    return [path for path in paths if path.suffix in kinds and path.is_file()]


def anchors(path: Path) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
    words = (re.sub(r"[^\w\- ]", "", one.lower()) for one in headings)
    return {one.replace(" ", "-") for one in words}


def test_links_lead_somewhere(files: list[Path]) -> None:
    documents = [path for path in files if path.suffix == ".md"]
    assert len(documents) > 10
    broken = []
    for document in documents:
        for link in LINK.findall(document.read_text()):
            name, _, anchor = link.partition("#")
            target = document.parent / name if name else document
            if not target.exists() or (anchor and anchor not in anchors(target)):
                broken.append(f"{document}: {link}")
    assert broken == []


def test_a_readme_that_is_cited_was_not_there(files: list[Path], repository: Path) -> None:
    """A comment sent readers to a section that nobody had written."""
    checked = []
    for path in files:
        if path.suffix == ".md" or path.relative_to(repository).parts[0] in ("tests", "egs"):
            continue
        text = path.read_text()
        for name in CITED.findall(text):
            named = name if name.endswith(".md") else f"{name}.md"
            places = [path.parent / named, repository / named]
            assert any(place.is_file() for place in places), f"{path}: {name}"
            checked.append(name)
        for section in SECTION.findall(text):
            headings = anchors(repository / "README.md")
            assert section.lower().replace(" ", "-") in headings, f"{path}: {section}"
    assert len(checked) >= 3


def test_the_first_example_showed_another_recording(
    repository: Path, moonshine_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """README.md printed what one prompt gives, under the name of another."""
    text = (repository / "README.md").read_text()
    example = re.search(r"^    entcomp (tokenize .*)\n\n((?:    .*\n)+?)    \.\.\.\n", text, re.M)
    assert example is not None
    monkeypatch.chdir(repository)
    code, out, err = run(*example[1].split())
    assert code == 0, err
    printed = [line.strip() for line in example[2].splitlines()]
    assert out.splitlines()[: len(printed)] == printed
    recording = Path(example[1].split()[1]).stem
    assert f"`{recording.partition('_')[2]}`" in text  # the credit
