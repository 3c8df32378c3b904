"""PDFs in the layouts of the NBA's official injury report, made up."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence

Drawn = tuple[float, float, str]
"""Points from the left and from the bottom of the page as it is read, and the text."""

HEADINGS = ("Game Date", "Game Time", "Matchup", "Team", "Player Name", "Current Status", "Reason")
_LEFT = (23.0, 119.0, 200.0, 264.0, 425.0, 585.0, 666.0)
_HEIGHT = 595.0


def pdf(pages: Sequence[bytes], rotation: int = 0, *, compressed: bool = False) -> bytes:
    """Make a PDF of pages of drawing instructions."""
    size = "0 0 842 595" if rotation == 0 else "0 0 595 842"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for instructions in pages:
        number = len(objects) + 1
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [{size}] /Rotate {rotation} /Contents {number + 1} 0 R "
            f"/Resources << /Font << /F1 3 0 R >> >> >>".encode()
        )
        stream = zlib.compress(instructions) if compressed else instructions
        packed = b"/Filter /FlateDecode " if compressed else b""
        head = b"<< " + packed + f"/Length {len(stream)} >>\nstream\n".encode()
        objects.append(head + stream + b"\nendstream")
    kids = " ".join(f"{4 + 2 * i} 0 R" for i in range(len(pages)))
    objects[1] = f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode()
    content, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(content))
        content += f"{number} 0 obj\n".encode() + body + b"\nendobj\n"
    table = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    trailer = f"trailer << /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(content)}\n%%EOF"
    return content + f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}{trailer}".encode()


def instructions(drawn: Iterable[Drawn], rotation: int = 0) -> bytes:
    """Make the instructions that draw texts."""
    lines = []
    for left, up, text in drawn:
        escaped = text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
        matrix = f"1 0 0 1 {left} {up}" if rotation == 0 else f"0 1 -1 0 {_HEIGHT - up} {left}"
        lines.append(f"BT /F1 8 Tf {matrix} Tm ({escaped}) Tj ET")
    return "\n".join(lines).encode("latin-1")


def report_page(
    rows: Sequence[Sequence[str]],
    *,
    title: str = "Injury Report: 01/02/26 05:30 PM",
    heading: bool = True,
    word_by_word: bool = False,
) -> list[Drawn]:
    """Lay out one page of a report: a row's cells in the order of the headings, '' where it repeats the row above.

    A reason with line breaks takes several lines, half of them above its row.
    """
    drawn: list[Drawn] = [(288.0, 533.0, title), (398.0, 20.0, "Page 1 of 2")]
    up = 480.0
    if heading:
        drawn += [(left, up, name) for left, name in zip(_LEFT, HEADINGS, strict=True)]
    for row in rows:
        up -= 30.0
        for left, cell in zip(_LEFT, row, strict=True):
            lines = cell.split("\n")
            for i, line in enumerate(lines):
                drawn.append((left + 1, up + 14 * ((len(lines) - 1) / 2 - i), line))
    return _split(drawn) if word_by_word else [one for one in drawn if one[2]]


def _split(drawn: Iterable[Drawn]) -> list[Drawn]:
    """Draw each word by itself, and what follows a hyphen, as newer reports do."""
    words: list[Drawn] = []
    for left, up, text in drawn:
        for word in text.replace("o-W", "o- W").split():
            words.append((left, up, word))
            left += 4.0 * len(word) + 3
    return words


def injury_report(
    *pages: Sequence[Sequence[str]],
    title: str = "Injury Report: 01/02/26 05:30 PM",
    rotation: int = 0,
    word_by_word: bool = False,
) -> bytes:
    """Make a report; only its first page has the headings."""
    laid_out = [
        report_page(rows, title=title, heading=number == 0, word_by_word=word_by_word)
        for number, rows in enumerate(pages)
    ]
    return pdf([instructions(page, rotation) for page in laid_out], rotation)
