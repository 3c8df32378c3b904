"""The NBA's official injury report, a PDF, as rows of :mod:`.injury_reports`.

The report is a table whose cells are left empty where they repeat the row above. Its layout changed over the years; the
heading says where each column begins, on this page or on the one before. A long reason takes several lines around its
row. https://official.nba.com/nba-injury-report-2025-26-season/
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby
from pathlib import Path

import numpy as np
import pyarrow as pa

from prediction_assets.errors import BadInput
from prediction_assets.ingest.pdf_words import Word, read_words
from prediction_assets.ingest.rows import SourceRows
from prediction_assets.slate.keys import GAME_TIME_ZONE

PDF_SUFFIXES = (".pdf",)

HEADINGS = ("Game Date", "Game Time", "Matchup", "Team", "Player Name", "Current Status", "Reason")
_DATE, _TIME, _MATCHUP, _TEAM, _PLAYER, _STATUS, _REASON = range(7)

_TITLE = re.compile(r"Injury Report: (\d{2}/\d{2}/\d{2} \d{1,2}:\d{2} [AP]M)")
_FOOTER = re.compile(r"Page \d+ of")
_HYPHEN = re.compile(r"(?<=\w)- (?=\w)")
_NOT_SUBMITTED = "NOT YET SUBMITTED"
_SAME_LINE = 3.0
_SAME_COLUMN = 5.0
_ROW_HEIGHT = 30.0
"""Points. Words of a line differ by less than 1, lines by 14, rows by 18; a cell begins within 1 of its heading."""


def read_injury_pdf(path: Path) -> SourceRows:
    """Return the rows of an official injury report, each with its own date, matchup, team and time of the report.

    The report of a day without games has none.

    Raises:
        BadInput: the file isn't an official injury report in a known layout.
    """
    words = read_words(path)
    lines = list(_lines(words))
    published = next((found[1] for _, text in lines if (found := _TITLE.search(text))), None)
    if published is None:
        raise _unknown(path, "has no line 'Injury Report: 01/02/26 05:30 PM'")
    try:
        at = datetime.strptime(published, "%m/%d/%y %I:%M %p").replace(tzinfo=GAME_TIME_ZONE)
    except ValueError:
        raise _unknown(path, f"was published at {published}, which is no time") from None
    rows = list(_rows(lines, path))
    columns = {name: pa.array([row[i] for row in rows], pa.string()) for i, name in enumerate(HEADINGS)}
    table = pa.table({**columns, "Reported At": pa.array([at.isoformat()] * len(rows), pa.string())})
    return SourceRows(str(path), table, np.arange(1, len(rows) + 1, dtype=np.int64))


def _unknown(path: Path, what: str) -> BadInput:
    return BadInput(
        path,
        f"is not the NBA's official injury report as a PDF: it {what}",
        hint="take Injury-Report_DATE_TIME.pdf from official.nba.com, or make a CSV with the report's columns",
    )


def _lines(words: Sequence[Word]) -> Iterator[tuple[list[Word], str]]:
    """Yield the words of each line from left to right, and their text, page by page from the top."""
    for _, page in groupby(sorted(words), key=lambda word: word.page):
        line: list[Word] = []
        for word in page:
            if line and word.top - line[0].top > _SAME_LINE:
                yield _line(line)
                line = []
            line.append(word)
        yield _line(line)


def _line(words: list[Word]) -> tuple[list[Word], str]:
    ordered = sorted(words, key=lambda word: word.left)
    # Newer reports draw "Two-" and "Way" one by one, without the blank that is between other words.
    return ordered, _HYPHEN.sub("-", " ".join(word.text for word in ordered))


def _rows(lines: Sequence[tuple[list[Word], str]], path: Path) -> Iterator[tuple[str, ...]]:
    starts: list[float] = []
    above = [""] * _PLAYER
    for _, page in groupby(lines, key=lambda line: line[0][0].page):
        body: list[Word] = []
        for words, text in page:
            if text == " ".join(HEADINGS):
                starts = _column_starts(words)
            elif not _TITLE.search(text) and not _FOOTER.match(text):
                body += words
        if not starts:
            raise _unknown(path, f"has no heading {', '.join(HEADINGS)}")
        found = _page_rows(body, starts)
        if body and not found:
            raise BadInput(path, "the report lists no player and no team")
        for cells in found:
            filled = [cell or before for cell, before in zip(cells[:_PLAYER], above, strict=True)]
            if cells[_DATE] or cells[_MATCHUP]:
                filled[_TEAM] = cells[_TEAM]
            above = filled
            yield (*filled, *cells[_PLAYER:])


def _column_starts(words: Sequence[Word]) -> list[float]:
    """Return where each heading begins, however it is split into words."""
    starts: list[float] = []
    spelled = ""
    for word in words:
        begun = HEADINGS[len(starts) - 1] if starts else ""
        if spelled == begun:
            starts.append(word.left)
            spelled = word.text
        else:
            spelled = f"{spelled} {word.text}"
    return starts


def _page_rows(words: Sequence[Word], starts: Sequence[float]) -> list[list[str]]:
    """Return the cells of each row. A row is where a status is, or the remark that a team hasn't submitted one."""
    placed = [(_column(word, starts), word) for word in words]
    statuses, reasons = (
        _lines([word for at, word in placed if at == column]) for column in (_STATUS, _REASON)
    )
    anchors = sorted(
        {line[0].top for line, _ in statuses}
        | {line[0].top for line, text in reasons if text.upper() == _NOT_SUBMITTED}
    )
    cells: list[list[list[Word]]] = [[[] for _ in HEADINGS] for _ in anchors]
    for column, word in placed:
        if column is None or not anchors:
            continue
        nearest = min(range(len(anchors)), key=lambda i: abs(anchors[i] - word.top))
        if abs(anchors[nearest] - word.top) <= _ROW_HEIGHT:
            cells[nearest][column].append(word)
    return [[_HYPHEN.sub("-", " ".join(text for _, text in _lines(cell))) for cell in row] for row in cells]


def _column(word: Word, starts: Sequence[float]) -> int | None:
    return max(
        (column for column, start in enumerate(starts) if start <= word.left + _SAME_COLUMN), default=None
    )
