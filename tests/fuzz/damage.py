"""Seeded damage to the bytes of a file: what disks, editors, copies and other programs do to it."""

from __future__ import annotations

import io
import json
import random
import re
import zipfile
from collections.abc import Callable

Draw = random.Random
Damage = Callable[[bytes, Draw], bytes]

NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
NUMBERS = (
    *(b"-1", b"0", b"nan", b"inf", b"-inf", b"1e999", b"", b"1e-05", b"0.5", b"1_0", b"0x10"),
    *(b"9" * 30, b"9" * 400, b"99999999999", b"1000000000", b"2147483648", b"null", b"[]", b"true"),
)
STRANGE = (
    *(b"\0", b"\xef\xbb\xbf", b"\xff", b"\xed\xa0\x80", b"\r", b"\x1b[31m", b"\x85", b"\x1c"),
    *("\u2028".encode(), "\u00a0".encode(), "\u202e".encode(), b'"', b"\\", b"{", b"|", b":"),
    *(b"..", b"/", b"\t", b" ", b"\n", b"\n\n", b"!!python/name:os.system", b"&a [*a, *a]"),
)
SIZES = (0, 1, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63 - 1, 2**64 - 1)


def _span(content: bytes, draw: Draw, most: int = 200) -> tuple[int, int]:
    begin = draw.randrange(len(content) + 1)
    return begin, min(len(content), begin + draw.randint(1, most))


def flip_bits(content: bytes, draw: Draw) -> bytes:
    damaged = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 8, 64))):
        place = draw.randrange(len(damaged))
        damaged[place] ^= 1 << draw.randrange(8)
    return bytes(damaged)


def flip_early_bits(content: bytes, draw: Draw) -> bytes:
    """In the header, where sizes and kinds stand."""
    head = min(len(content), 128)
    return flip_bits(content[:head], draw) + content[head:]


def truncate(content: bytes, draw: Draw) -> bytes:
    return content[: draw.choice((0, 1, len(content) - 1, draw.randrange(len(content))))]


def insert(content: bytes, draw: Draw) -> bytes:
    place = draw.choice((0, len(content), draw.randrange(len(content) + 1)))
    new = draw.choice((draw.choice(STRANGE), draw.randbytes(draw.randint(1, 300))))
    return content[:place] + new + content[place:]


def remove(content: bytes, draw: Draw) -> bytes:
    begin, end = _span(content, draw)
    return content[:begin] + content[end:]


def overwrite(content: bytes, draw: Draw) -> bytes:
    begin, end = _span(content, draw)
    byte = draw.choice((b"\0", b"\xff", b" "))
    return content[:begin] + byte * (end - begin) + content[end:]


def duplicate(content: bytes, draw: Draw) -> bytes:
    begin, end = _span(content, draw, len(content))
    return content[:end] + content[begin:end] * draw.choice((1, 1, 20)) + content[end:]


def change_size(content: bytes, draw: Draw) -> bytes:
    """Some bytes in a row become a number that may be a length."""
    width = draw.choice((2, 4, 8))
    place = draw.randrange(max(1, min(len(content), draw.choice((64, 1 << 30))) - width + 1))
    number = (draw.choice(SIZES) % (1 << (8 * width))).to_bytes(
        width, draw.choice(("little", "big"))
    )
    return content[:place] + number + content[place + width :]


def swap_lines(content: bytes, draw: Draw) -> bytes:
    lines = content.splitlines(keepends=True)
    one, other = draw.randrange(len(lines)), draw.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    return b"".join(lines)


def change_lines(content: bytes, draw: Draw) -> bytes:
    """A line goes, is there twice, loses its end, or is joined with the next."""
    lines = content.splitlines(keepends=True)
    number = draw.randrange(len(lines))
    line = lines[number]
    new = (b"", line + line, line[: draw.randrange(len(line) + 1)] + b"\n", line.rstrip(b"\n"))
    lines[number] = draw.choice(new)
    return b"".join(lines)


def replace_number(content: bytes, draw: Draw) -> bytes:
    found = list(NUMBER.finditer(content))
    chosen = draw.sample(found, min(len(found), draw.choice((1, 1, 3))))
    for one in sorted(chosen, key=re.Match.start, reverse=True):  # from the end: places stay
        content = content[: one.start()] + draw.choice(NUMBERS) + content[one.end() :]
    return content


def encode_anew(content: bytes, draw: Draw) -> bytes:
    """As Windows, old Macs and others write it."""
    crlf = content.replace(b"\n", b"\r\n")
    text = content.decode("utf-8", "replace")
    return draw.choice(
        (
            *(
                b"\xef\xbb\xbf" + content,
                b"\xef\xbb\xbf" + crlf,
                crlf,
                content.replace(b"\n", b"\r"),
            ),
            *(text.encode("utf-16"), text.encode("utf-16-be"), text.encode("utf-8") + b"\xe9\n"),
            content.replace(b" ", b"\t"),
            content.replace(b" ", b"  "),
        )
    )


def replace_all(content: bytes, draw: Draw) -> bytes:
    """Another file altogether."""
    return draw.choice(
        (
            *(b"", b"\n", b" \n \n", b"\0" * 4096, b"[" * 100_000, b'{"a":' * 50_000, b"null"),
            *(
                b"[]",
                b"{}",
                b"3",
                b'"text"',
                b"- a\n- b\n",
                b"\x80\x04.",
                b"PK\x05\x06" + b"\0" * 18,
            ),
            *(b"RIFF\xff\xff\xff\xffWAVE", b"fLaC", b"OggS", b"a " * 50_000, draw.randbytes(500)),
        )
    )


ANY: tuple[Damage, ...] = (
    *(flip_bits, flip_early_bits, truncate, insert, remove, overwrite, duplicate, replace_all),
)
TEXT: tuple[Damage, ...] = (
    *(replace_number, replace_number, swap_lines, change_lines, change_lines, encode_anew),
)


def damage_text(content: bytes, draw: Draw) -> bytes:
    return _some((*TEXT, *TEXT, *ANY), content, draw)


def damage_binary(content: bytes, draw: Draw) -> bytes:
    return _some((*ANY, flip_early_bits, change_size, change_size), content, draw)


def _some(kinds: tuple[Damage, ...], content: bytes, draw: Draw) -> bytes:
    """One kind of damage, seldom two; never none."""
    damaged = content
    for _ in range(draw.choice((1, 1, 1, 2))):
        damaged = draw.choice(kinds)(damaged or b"\0", draw)
    return damaged if damaged != content else flip_bits(content, draw)


def damage_json(content: bytes, draw: Draw) -> bytes:
    """Half of the time one value of a sound JSON object."""
    if draw.random() < 0.5:
        return damage_text(content, draw)
    values = json.loads(content)
    return json.dumps(change_value(values, draw)).encode()


def change_value(values: object, draw: Draw) -> object:
    """The same structure with another value or key somewhere in it."""
    if isinstance(values, dict) and values and draw.random() < 0.8:
        key = draw.choice(sorted(values))
        rest = {name: one for name, one in values.items() if name != key}
        if (choice := draw.random()) < 0.15:
            return rest
        if choice < 0.2:
            return rest | {f"{key}x": values[key]}
        return rest | {key: change_value(values[key], draw)}
    if isinstance(values, list) and values and draw.random() < 0.7:
        place = draw.randrange(len(values))
        new = [] if draw.random() < 0.2 else [change_value(values[place], draw)]
        return [*values[:place], *new, *values[place + 1 :]]
    wrong = (
        -1,
        0,
        1,
        10**12,
        10**400,
        0.5,
        float("nan"),
        float("inf"),
        "",
        "x",
        "../x",
        "a\nb\x1b",
    )
    more = (None, True, [], {}, [[]], [1.0], {"a": 1}, ["x"], "\ud800", "1", 2**31, -0.0, "0" * 64)
    return draw.choice((*wrong, *more))


def damage_zip(content: bytes, draw: Draw) -> bytes:
    """Half of the time a member of a sound archive, whose checksums are right."""
    if draw.random() < 0.4:
        return damage_binary(content, draw)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    chosen = draw.choice(sorted(members))
    members[chosen] = damage_binary(members[chosen], draw)
    if draw.random() < 0.1:
        members.pop(chosen)
    stream = io.BytesIO()
    kind = draw.choice((zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    with zipfile.ZipFile(stream, "w", kind) as archive:
        for name, one in members.items():
            archive.writestr(name, one)
    return stream.getvalue()


def damage_safetensors(content: bytes, draw: Draw) -> bytes:
    """Half of the time a value of its header, whose length is right."""
    if draw.random() < 0.5:
        return damage_binary(content, draw)
    size = int.from_bytes(content[:8], "little")
    header = damage_json(content[8 : 8 + size], draw)
    return len(header).to_bytes(8, "little") + header + content[8 + size :]
