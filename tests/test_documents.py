"""What one document says of another is there."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

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
