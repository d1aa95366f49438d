"""One HTML page; what there is to listen to may lie beside it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from html import escape

import numpy as np

STYLE = """
:root { color-scheme: light; }
body { margin: 2rem auto; max-width: 74rem; padding: 0 1rem; background: #fff; color: #1a1a1a;
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.7rem; margin-bottom: 0; }
h2 { font-size: 1.25rem; margin-top: 2.5rem; border-bottom: 1px solid #ccc; }
h3 { font-size: 1.05rem; }
.about { color: #555; margin-top: 0.2rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.76rem; margin: 0.8rem 0; }
th, td { padding: 0.2rem 0.3rem; text-align: right; white-space: nowrap;
  font-variant-numeric: tabular-nums; }
th { border-bottom: 2px solid #888; font-weight: 600; }
td { border-bottom: 1px solid #e4e4e4; }
th:first-child, td:first-child { text-align: left; }
tbody tr:hover { background: #f3f6fa; }
figure { margin: 1rem 0; }
img { width: 100%; height: auto; }
figcaption { color: #555; font-size: 0.9rem; }
audio { width: 100%; }
.grid th, .grid td { white-space: normal; text-align: left; vertical-align: top; min-width: 6rem; }
.grid audio { min-width: 14rem; height: 2rem; }
"""


def render(title: str, about: str, sections: Sequence[str]) -> str:
    """A whole page from sections that are HTML already; ``title`` and ``about`` are plain text."""
    body = "\n".join(sections)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width">\n<title>{escape(title)}</title>\n'
        f"<style>{STYLE}</style>\n</head>\n<body>\n<h1>{escape(title)}</h1>\n"
        f'<p class="about">{escape(about)}</p>\n{body}\n</body>\n</html>\n'
    )


def section(title: str, *parts: str) -> str:
    return f"<section>\n<h2>{escape(title)}</h2>\n" + "\n".join(parts) + "\n</section>"


def paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>"


def grid(corner: str, columns: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]]) -> str:
    """A table of cells that are HTML already, ``(name, cells)`` a row; all names are plain text."""
    head = "".join(f"<th>{escape(name)}</th>" for name in (corner, *columns))
    body = "\n".join(
        f"<tr><td>{escape(name)}</td>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
        for name, cells in rows
    )
    return (
        f'<div class="scroll"><table class="grid">\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody></table></div>"
    )


def player(source: str, caption: str = "") -> str:
    """A player of a ``data:`` URL or of a file beside the page, over what is to be said of it."""
    words = f"<br>{escape(caption)}" if caption else ""
    return f'<audio controls preload="none" src="{escape(source)}"></audio>{words}'


def link(target: str, text: str) -> str:
    """A paragraph that leads to a file beside the page."""
    return f'<p><a href="{escape(target)}">{escape(text)}</a></p>'


def figure(source: str, caption: str) -> str:
    """An image, given as a ``data:`` URL."""
    words = escape(caption)
    return (
        f'<figure>\n<img src="{source}" alt="{words}">\n<figcaption>{words}</figcaption></figure>'
    )


def flac(waveform: np.ndarray, sample_rate: int) -> bytes:
    """The bytes of a FLAC file of ``waveform``, (samples,) within ±1."""
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, waveform, sample_rate, format="FLAC")
    return buffer.getvalue()
