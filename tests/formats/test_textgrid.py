"""TextGrids as different aligners write them."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from fake_alignment import write_grid

from entcomp.errors import EntcompError
from entcomp.formats.textgrid import (
    Interval,
    TextGrid,
    TierChoice,
    find_textgrids,
    parse_silences,
    read_textgrid,
    textgrid_beside,
    write_textgrid,
)

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
    with pytest.raises(EntcompError, match=r"a\.TextGrid: no tier 'phones'; available: words$"):
        read_textgrid(path).tier("phones")


@pytest.mark.parametrize("text", ["", "hello", SHORT[:90], "{}", '"a"\n"b"\n'])
def test_what_is_no_textgrid(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.TextGrid"
    path.write_text(text)
    with pytest.raises(EntcompError, match=r"a\.TextGrid: "):
        read_textgrid(path).tier("words")


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(EntcompError, match="no such TextGrid; run align, or name another"):
        read_textgrid(tmp_path / "a.TextGrid")
    (tmp_path / "b.TextGrid").mkdir()
    with pytest.raises(EntcompError, match=r"b\.TextGrid: Is a directory; a TextGrid was expected"):
        read_textgrid(tmp_path / "b.TextGrid")


CONVERSATION = {
    "anna - words": ((0, 0.5, "hello"), (0.5, 1.0, "ben")),
    "anna - phones": ((0, 0.5, "HH"), (0.5, 1.0, "B")),
    "ben - words": ((0.8, 1.2, "hello"), (1.3, 1.5, "anna")),
    "ben - phones": ((0.8, 1.2, "AH1"), (1.3, 1.5, "N")),
}


def conversation(order: list[str]) -> TextGrid:
    tiers = {name: tuple(Interval(*span) for span in CONVERSATION[name]) for name in order}
    return TextGrid(1.5, tiers)


@pytest.mark.parametrize("order", [list(CONVERSATION), list(reversed(CONVERSATION))])
def test_tiers_of_all_speakers_count_in_any_order(order: list[str]) -> None:
    """Only the first speaker's words were read."""
    grid = conversation(order)
    assert labels(grid, "words") == ["hello", "ben", "hello", "anna"]
    assert labels(grid, "phones") == ["HH", "B", "AH", "N"]
    assert grid.passed_over("words") == []  # people talk at once
    assert [one.label for one in grid.tier("words", TierChoice("ben"))] == ["hello", "anna"]
    assert [one.label for one in grid.tier("anna - words")] == ["hello", "ben"]
    with pytest.raises(EntcompError, match="no tier 'words' of speaker 'carl'; available: "):
        grid.tier("words", TierChoice("carl"))


def test_speaker_of_a_grid_without_speakers(tmp_path: Path) -> None:
    path = tmp_path / "a.TextGrid"
    path.write_text(SHORT)
    with pytest.raises(EntcompError, match=r"a\.TextGrid: no tier 'words' of speaker 'anna'"):
        read_textgrid(path).tier("words", TierChoice("anna"))


WORDS_THAT_WERE_SILENCES = ["silence", "Silence", "spn", "SIL", "SP", "<unk>", "<UNK>"]


@pytest.mark.parametrize("tier", ["words", "word", "ORT-MAU", "anna - words"])
def test_words_that_look_like_silence_are_words(tier: str) -> None:
    spans = [Interval(i, i + 1, word) for i, word in enumerate(WORDS_THAT_WERE_SILENCES)]
    assert labels(TextGrid(9.0, {tier: tuple(spans)}), "words") == WORDS_THAT_WERE_SILENCES


@pytest.mark.parametrize(
    ("tier", "silences"),
    [
        ("words", ["", "sp", "sil", "<eps>", "<sil>", "[laughter]", "{breath}", "<cutoff>"]),
        ("ORT-MAU", ["", "<p:>", "<nib>", "<usb>"]),
        ("word", ["", "sp", "<s>", "</s>", "[NOISE]", "++NOISE++", "+hes+"]),  # and pocketsphinx
        ("phones", ["", "sil", "sp", "spn", "SIL", "+SPN+", "+NSN+", "silence", "<eps>"]),
        ("MAU", ["", "<p:>", "<nib>", "<usb>"]),
    ],
)
def test_silences_of_each_aligner(tier: str, silences: list[str]) -> None:
    spans = [Interval(i, i + 1, label) for i, label in enumerate([*silences, "a"])]
    kind = "phones" if tier in ("phones", "MAU") else "words"
    assert labels(TextGrid(99.0, {tier: tuple(spans)}), kind) == ["a"]


def test_phones_that_look_like_marks_are_phones() -> None:
    """SAMPA's brackets, and IPA between square ones."""
    spans = tuple(Interval(i, i + 1, one) for i, one in enumerate(["{", "}", "{:", "[a]", "<"]))
    assert labels(TextGrid(9.0, {"MAU": spans}), "phones") == ["{", "}", "{:", "[a]", "<"]


def test_silences_can_be_named() -> None:
    spans = [Interval(i, i + 1, one) for i, one in enumerate(["", "sil", "pau", "<p:>", "a"])]
    grid = TextGrid(9.0, {"words": tuple(spans), "phones": tuple(spans)})
    for kind in ("words", "phones"):
        chosen = TierChoice(silences=parse_silences("pau, <p:>"))
        assert [one.label for one in grid.tier(kind, chosen)] == ["sil", "a"]
        none = TierChoice(silences=parse_silences(""))
        assert [one.label for one in grid.tier(kind, none)] == ["sil", "pau", "<p:>", "a"]
    assert parse_silences(None) is None


@pytest.mark.parametrize("time", ["1e-05", "1E-5", "0.00001", "+1e-05", ".00001"])
@pytest.mark.parametrize("text", [SHORT, long_grid(words=[(0, 0.25, ""), (0.25, 1.0, "hello")])])
def test_small_times_in_any_spelling(tmp_path: Path, time: str, text: str) -> None:
    """1e-05 was no TextGrid."""
    path = tmp_path / "a.TextGrid"
    for before in ('3\n0\n0.25\n""', "xmin = 0\n            xmax = 0.25"):
        text = text.replace(before, before.replace("0\n", f"{time}\n", 1))
    assert time in text
    path.write_text(text)
    grid = read_textgrid(path)
    assert grid.tiers["words"][0].start == 1e-05
    assert grid.tier("words") == (Interval(0.25, 1.0, "hello"),)


@pytest.mark.parametrize(
    ("spans", "kept", "passed_over"),
    [
        (
            [(0, 0.5, "a"), (0.5, 0.5, "b"), (0.5, 1, "c")],
            "a c",
            ["0.5 to 0.5 s 'b' has no length"],
        ),
        ([(0, 0.5, "a"), (0.9, 0.7, "b")], "a", ["0.9 to 0.7 s 'b' has no length"]),
        ([(0, 0.6, "a"), (0.5, 1, "b"), (1, 1.2, "c")], "a c", ["0.5 to 1 s 'b' overlaps the"]),
        ([(0, 0.6, "a"), (0.1, 0.3, "b")], "a", ["0.1 to 0.3 s 'b' overlaps the interval before"]),
        ([(0.5, 1, "b"), (0, 0.5, "a")], "a b", []),  # only not in order
        ([(0, 1, "a"), (0.5, 0.5, "")], "a", []),  # of no length, and nothing said
        ([(0, 0.6, ""), (0.5, 1, "a")], "a", []),  # a silence that overlaps
        ([(0, 0.5, "a"), (1, 9, "b")], "a", ["1 to 9 s 'b' lies outside of the 1.5 s"]),
        ([(-2, -1, "a"), (1, 1.5, "b")], "b", ["-2 to -1 s 'a' lies outside of the 1.5 s"]),
        ([(0, 0.50004, "a"), (0.5, 1.5003, "b")], "a b", []),  # rounded
    ],
)
def test_intervals_that_cannot_be_are_passed_over_and_listed(
    tmp_path: Path, spans: list[tuple[float, float, str]], kept: str, passed_over: list[str]
) -> None:
    """A single one made the file unreadable."""
    path = tmp_path / "a.TextGrid"
    path.write_text(long_grid(words=spans))
    grid = read_textgrid(path)
    found = grid.tier("words")
    assert " ".join(one.label for one in found) == kept
    assert all(one.end <= other.start for one, other in pairwise(found))
    lines = grid.passed_over("words")
    for line, known in zip(lines, passed_over, strict=True):
        assert line.startswith(f"words: {known}")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (SHORT[: SHORT.index("1.0\n1.5")], "it breaks off where a number should follow"),
        (SHORT.replace("<exists>\n1", "<exists>\n2"), "it breaks off where a text should follow"),
        (SHORT.replace("1.5\n3\n", "1.5\n2\n"), "line 19: 1 where the end should stand"),
        (SHORT.replace("1.5\n3\n", "1.5\n1000000000000\n"), "it breaks off"),
        (SHORT.replace("1.5\n3\n", "1.5\n-3\n"), "line 12: -3 where how many intervals"),
        (SHORT.replace("0.25\n1.0", "nan\n1.0"), "'hello' where a number should stand"),
        (SHORT.replace("0.25\n1.0", "1e999\n1.0"), "inf where a number should stand"),
        (SHORT.replace('"hello"', '"hello'), "a quotation mark that nothing closes"),
        (SHORT.replace('1.0\n"hello"', '"1.0\nhello"'), r"'1.0\\nhello' where a number should"),
        (SHORT.replace("IntervalTier", "PitchTier"), "of the unknown class 'PitchTier'"),
        (SHORT.replace("\n0\n1.5\n<", "\n0\n0\n<"), "it lasts from 0 to 0 s"),
        ('File type = "ooTextFile"\nObject class = "Pitch 1"\n', "does not begin with"),
    ],
)
def test_a_damaged_grid_is_one_clear_line(tmp_path: Path, text: str, reason: str) -> None:
    """A file that broke off between two tiers was taken for a complete one."""
    path = tmp_path / "a.TextGrid"
    path.write_text(text)
    with pytest.raises(EntcompError, match=rf"a\.TextGrid: not a TextGrid \(.*{reason}") as caught:
        read_textgrid(path)
    assert "\n" not in str(caught.value)


def test_other_encodings_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.TextGrid"
    path.write_bytes(SHORT.replace("hello", "hallå").encode("latin-1"))
    with pytest.raises(EntcompError, match=r"byte [0-9]+ is not utf-8; save it as UTF-8"):
        read_textgrid(path)
    path.write_bytes(b"ooBinaryFile\x08TextGrid")
    with pytest.raises(EntcompError, match="binary format; save it as text"):
        read_textgrid(path)
    for encoding in ("utf-8-sig", "utf-16-le", "utf-16-be"):
        mark = "" if encoding == "utf-8-sig" else "\ufeff"
        path.write_bytes((mark + SHORT.replace("hello", "hallå")).encode(encoding))
        assert labels(read_textgrid(path), "words") == ["hallå"]


def test_points_comments_and_quotation_marks(tmp_path: Path) -> None:
    path = tmp_path / "a.TextGrid"
    points = '"TextTier"\n"tones"\n0\n1.5\n1\n0.3\n"H*"\n'
    text = SHORT.replace("<exists>\n1\n", "<exists> ! flag\n2\n" + points)
    path.write_text(text.replace('"hello"', '"say ""so"" ! 3"').replace("\n", "\r\n"), newline="")
    grid = read_textgrid(path)
    assert list(grid.tiers) == ["words"]
    assert labels(grid, "words") == ['say "so" ! 3']


def test_two_tiers_of_one_name_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.TextGrid"
    path.write_text(long_grid(words=[(0, 1, "a")], phones=[(0, 1, "b")]).replace("phones", "words"))
    with pytest.raises(EntcompError, match="two tiers named 'words'; rename one"):
        read_textgrid(path)


def test_lower_case_names_are_found(tmp_path: Path) -> None:
    for name in ("a.TextGrid", "b.textgrid", "c.TEXTGRID", "d.textGrid.txt", "e.wav"):
        (tmp_path / name).write_text(SHORT)
    assert sorted(find_textgrids(tmp_path)) == ["a", "b", "c"]
    assert textgrid_beside(tmp_path / "a.wav") == tmp_path / "a.TextGrid"
    assert textgrid_beside(tmp_path / "b.flac") == tmp_path / "b.textgrid"
    assert textgrid_beside(tmp_path / "e.wav") is None
    (tmp_path / "a.textgrid").write_text(SHORT)
    with pytest.raises(EntcompError, match=r"a\.textgrid: also at .*a\.TextGrid; keep one of them"):
        find_textgrids(tmp_path)


def test_written_grid_reads_back(tmp_path: Path) -> None:
    words = (Interval(0.12, 0.5, "don't"), Interval(0.5, 0.61, 'say "so"'), Interval(1.0, 1.3, "é"))
    path = tmp_path / "a.TextGrid"
    write_textgrid(path, TextGrid(1.301, {"words": words, "phones": ()}))
    grid = read_textgrid(path)
    assert (grid.duration, grid.tier("words"), grid.tier("phones")) == (1.301, words, ())
    assert [one.label for one in grid.tiers["words"]] == ["", "don't", 'say "so"', "", "é", ""]
    assert [one.name for one in tmp_path.iterdir()] == ["a.TextGrid"]


def test_real_mfa_grids(prompt_grids: Path) -> None:
    grid = read_textgrid(prompt_grids / "allison_added.TextGrid")
    assert grid.tier("words") == (Interval(0.06, 0.62, "added"),)
    assert labels(grid, "phones") == ["AE", "D", "IH", "D"]


def test_fixture_writes_what_it_says(tmp_path: Path) -> None:
    write_grid(tmp_path / "b.TextGrid", 1.0, words=[(0.0, 0.5, "a")])
    assert labels(read_textgrid(tmp_path / "b.TextGrid"), "words") == ["a"]
