"""A board as a program reads it: its tables by section, and every tag with its attributes."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

_EMPTY = {"meta", "path", "rect", "br"}


@dataclass
class Cell:
    """One cell: what it shows, the exact value behind it, and its classes."""

    value: str | None
    classes: str
    text: str = ""


@dataclass
class Table:
    """One table of a section: its column heads and its rows."""

    heads: list[str] = field(default_factory=list)
    rows: list[list[Cell]] = field(default_factory=list)

    def by_name(self) -> list[dict[str, Cell]]:
        """Return each row's cells by column head."""
        return [dict(zip(self.heads, row, strict=True)) for row in self.rows]


class ReadBoard(HTMLParser):
    """Parses a page strictly: a tag that isn't closed where it should be is an error."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.tables: dict[str, list[Table]] = {}
        self.texts: list[str] = []
        self._open: list[str] = []
        self._section = ""
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append((tag, given))
        if tag not in _EMPTY:
            self._open.append(tag)
        if tag == "h2":
            self._section = given["id"] or ""
        if tag == "table":
            self.tables.setdefault(self._section, []).append(Table())
        if tag == "tr" and "tbody" in self._open:
            self._table.rows.append([])
        if tag in {"td", "th"} and "tbody" in self._open:
            self._table.rows[-1].append(Cell(given.get("data-value"), given.get("class") or ""))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)  # a drawn shape: it has nothing inside

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] not in {"style", "script"}:
            self.texts.append(data)
        if "tbody" in self._open and {"td", "th"} & {*self._open} and "details" not in self._open:
            cell = self._table.rows[-1][-1]
            cell.text = f"{cell.text} {data}".strip()
        elif "thead" in self._open and self._open[-1] == "th":
            self._table.heads.append(data)

    @property
    def _table(self) -> Table:
        return self.tables[self._section][-1]

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """Return the attributes of every such tag."""
        return [given for name, given in self.tags if name == tag]
