"""TextGrids as different aligners write them."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_alignment import write_grid

from entcomp.errors import EntcompError
from entcomp.formats.textgrid import Interval, TextGrid, read_textgrid, write_textgrid

LONG = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 1.5
tiers? <exists>
size = {size}
item []:
{items}"""

TIER = """    item [{number}]:
        class = "{kind}"
        name = "{name}"
        xmin = 0
        xmax = 1.5
        intervals: size = {size}
{intervals}"""

SHORT = """File type = "ooTextFile"
Object class = "TextGrid"

0
1.5
<exists>
1
"IntervalTier"
"words"
0
1.5
3
0
0.25
""
0.25
1.0
"hello"
1.0
1.5
"sil"
"""


def long_grid(**tiers: list[tuple[float, float, str]]) -> str:
    items = []
    for number, (name, spans) in enumerate(tiers.items(), start=1):
        intervals = "".join(
            f"        intervals [{i}]:\n            xmin = {start}\n            xmax = {end}\n"
            f'            text = "{label}"\n'
            for i, (start, end, label) in enumerate(spans, start=1)
        )
        items.append(
            TIER.format(
                number=number,
                kind="IntervalTier",
                name=name.replace("_", "-"),
                size=len(spans),
                intervals=intervals,
            )
        )
    return LONG.format(size=len(tiers), items="".join(items))


def labels(grid: TextGrid, kind: str) -> list[str]:
    return [one.label for one in grid.tier(kind)]


def test_mfa_with_stress_and_every_kind_of_silence(tmp_path: Path) -> None:
    path = tmp_path / "a.TextGrid"
    spans = [(0, 0.1, ""), (0.1, 0.2, "AH0"), (0.2, 0.3, "sp"), (0.3, 0.4, "B"), (0.4, 0.5, "sil")]
    spans += [(0.5, 0.6, "IH1"), (0.6, 0.7, "spn"), (0.7, 0.8, "EY2"), (0.8, 1.5, "<p:>")]
    path.write_text(long_grid(words=[(0.1, 0.8, "abbey")], phones=spans))
    grid = read_textgrid(path)
    assert grid.duration == 1.5
    assert labels(grid, "phones") == ["AH", "B", "IH", "EY"]
    assert grid.tier("phones")[1] == Interval(0.3, 0.4, "B")


def test_maus_tiers_stand_for_words_and_phones(tmp_path: Path) -> None:
    path = tmp_path / "a.TextGrid"
    path.write_text(
        long_grid(
            ORT_MAU=[(0, 0.5, ""), (0.5, 1.5, "Haus")],
            KAN_MAU=[(0, 0.5, ""), (0.5, 1.5, "h aU s")],
            MAU=[(0, 0.5, "<p:>"), (0.5, 0.9, "h"), (0.9, 1.2, "aU"), (1.2, 1.5, "s")],
        )
    )
    grid = read_textgrid(path)
    assert labels(grid, "words") == ["Haus"]
    assert labels(grid, "phones") == ["h", "aU", "s"]
    assert labels(grid, "KAN-MAU") == ["h aU s"]


def test_sampa_digits_are_no_stress(tmp_path: Path) -> None:
    path = tmp_path / "a.TextGrid"
    path.write_text(long_grid(MAU=[(0, 0.5, "2:"), (0.5, 1.0, "6"), (1.0, 1.5, "E2")]))
    assert labels(read_textgrid(path), "phones") == ["2:", "6", "E2"]


def test_mfa_names_a_speaker_before_the_tier(tmp_path: Path) -> None:
    path = tmp_path / "a.TextGrid"
    text = long_grid(words=[(0, 1.5, "yes")]).replace('"words"', '"allison - words"')
    path.write_text(text)
    assert labels(read_textgrid(path), "words") == ["yes"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_short_format(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.TextGrid"
    path.write_text(SHORT, encoding=encoding)
    grid = read_textgrid(path)
    assert grid.tier("words") == (Interval(0.25, 1.0, "hello"),)
    assert grid.duration == 1.5


def test_times_count_from_the_start_of_the_grid(tmp_path: Path) -> None:
    path = tmp_path / "a.TextGrid"
    text = SHORT.replace("\n0\n1.5", "\n10\n11.5").replace("\n0\n0.25", "\n10\n10.25")
    path.write_text(text.replace("\n0.25\n1.0", "\n10.25\n11").replace("\n1.0\n1.5", "\n11\n11.5"))
    grid = read_textgrid(path)
    assert (grid.duration, grid.tier("words")) == (1.5, (Interval(0.25, 1.0, "hello"),))


def test_no_such_tier_names_the_file_and_those_there(tmp_path: Path) -> None:
    path = tmp_path / "a.TextGrid"
    path.write_text(SHORT)
    with pytest.raises(EntcompError, match=r"a\.TextGrid: no tier 'phones'; there are: words$"):
        read_textgrid(path).tier("phones")


@pytest.mark.parametrize("text", ["", "hello", SHORT[:90], "{}", '"a"\n"b"\n'])
def test_what_is_no_textgrid(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.TextGrid"
    path.write_text(text)
    with pytest.raises(EntcompError, match=r"a\.TextGrid: "):
        read_textgrid(path).tier("words")


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(EntcompError, match="no such TextGrid; run align"):
        read_textgrid(tmp_path / "a.TextGrid")


def test_written_grid_reads_back(tmp_path: Path) -> None:
    words = (Interval(0.12, 0.5, "don't"), Interval(0.5, 0.61, 'say "so"'), Interval(1.0, 1.3, "é"))
    path = tmp_path / "a.TextGrid"
    write_textgrid(path, TextGrid(1.301, {"words": words, "phones": ()}))
    grid = read_textgrid(path)
    assert (grid.duration, grid.tier("words"), grid.tier("phones")) == (1.301, words, ())
    assert [one.label for one in grid.tiers["words"]] == ["", "don't", 'say "so"', "", "é", ""]
    assert [one.name for one in tmp_path.iterdir()] == ["a.TextGrid"]


def test_real_mfa_grids(shared_data: Path, tmp_path: Path) -> None:
    import tarfile

    with tarfile.open(shared_data / "asterisk_mfa" / "textgrids.tar.xz") as archive:
        member = next(one for one in archive if one.name.endswith("allison_added.TextGrid"))
        path = tmp_path / "allison_added.TextGrid"
        path.write_bytes(archive.extractfile(member).read())  # type: ignore[union-attr]
    grid = read_textgrid(path)
    assert grid.tier("words") == (Interval(0.06, 0.62, "added"),)
    assert labels(grid, "phones") == ["AE", "D", "IH", "D"]


def test_fixture_writes_what_it_says(tmp_path: Path) -> None:
    write_grid(tmp_path / "b.TextGrid", 1.0, words=[(0.0, 0.5, "a")])
    assert labels(read_textgrid(tmp_path / "b.TextGrid"), "words") == ["a"]
