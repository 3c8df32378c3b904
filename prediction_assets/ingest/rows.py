"""Rows: what a source holds before it is validated, and where each row is.

:class:`SourceRows` parses a column by its *distinct* values: a season of box scores has 26,000 rows and
some 60 different numbers of rebounds, so plain Python reads each value once, Arrow spreads the results over
the rows, and an error still names the first row that holds the value. :class:`Origins` knows the source of each row
after several sources were concatenated.
"""

from __future__ import annotations

import bisect
import difflib
import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from prediction_assets.errors import BadInput
from prediction_assets.ingest.other_exports import recognized

Name = str | tuple[str, ...]
"""A column's name, or its alternatives, preferred first."""


@dataclass(frozen=True, slots=True)
class SourceRows:
    """Unvalidated rows of one source."""

    source: str  # how errors name it: the path of its file; an answer of a live source is recorded as one
    table: pa.Table  # the cells; column names as the source spells them
    # per row, its 1-based line in a text file (the header is line 1) or its 1-based position
    numbers: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def find(self, name: Name) -> str | None:
        """Return how the source spells a column (letter case doesn't matter), None if it lacks it."""
        spelled = {found.strip().lower(): found for found in self.table.column_names}
        alternatives = (name,) if isinstance(name, str) else name
        return next((spelled[one.lower()] for one in alternatives if one.lower() in spelled), None)

    def require(self, names: Sequence[Name]) -> None:
        """Refuse a source that lacks a column, suggesting the one that may be meant."""
        missing = [name for name in names if self.find(name) is None]
        if not missing:
            return
        wanted = {one.lower() for name in names for one in ((name,) if isinstance(name, str) else name)}
        spare = {found.lower(): found for found in self.table.column_names if found.lower() not in wanted}
        described = []
        for name in missing:
            first, *others = (name,) if isinstance(name, str) else name
            close = difflib.get_close_matches(first.lower(), spare, n=1, cutoff=0.6)
            described.append(
                first
                + (f" (or {', '.join(others)})" if others else "")
                + (f" (is it {spare[close[0]]!r}?)" if close else "")
            )
        plural = "s" if len(missing) > 1 else ""
        found = ", ".join(self.table.column_names[:40]) or "none"
        hint = recognized(self.table.column_names) or f"columns found: {found}"
        raise BadInput(self.source, f"missing column{plural} {', '.join(described)}", hint=hint)

    def parse(
        self, name: Name, parse: Callable[[Any], Any], arrow_type: pa.DataType, *, nullable: bool = False
    ) -> pa.Array:
        """Return a column's values, one per row; blank cells are NULL.

        Raises:
            BadInput: a value that ``parse`` refuses, or a blank where ``nullable`` is false; names the
            first row.
        """
        self.require([name])
        column = self.find(name)
        encoded = self._encoded(column)
        parsed: list[Any] = []
        for position, value in enumerate(encoded.dictionary.to_pylist()):
            if _is_blank(value):
                parsed.append(None)
                continue
            try:
                parsed.append(parse(value))
            except ValueError as error:
                index = pc.index(encoded.indices, position).as_py()
                raise self.bad(index, str(error), column=column) from None
        values = pa.array(parsed, arrow_type).take(encoded.indices)
        if not nullable and values.null_count:
            raise self.bad(pc.index(values.is_null(), True).as_py(), "the value is empty", column=column)
        return values

    def bad(
        self, index: int, problem: str, *, column: str | None = None, hint: str | None = None
    ) -> BadInput:
        """Return the error that refuses the row at a 0-based index."""
        return BadInput(self.source, problem, row=int(self.numbers[index]), column=column, hint=hint)

    def where(self, mask: pa.Array) -> SourceRows:
        """Return the rows for which a boolean mask is true; they keep their numbers."""
        return SourceRows(
            self.source, self.table.filter(mask), self.numbers[mask.to_numpy(zero_copy_only=False)]
        )

    def without(self, reasons: Sequence[str | None]) -> tuple[SourceRows, Counter[str]]:
        """Return the rows that have no reason to be left out, and how many others there are, by reason."""
        if not any(reasons):
            return self, Counter()
        kept = self.where(pa.array([reason is None for reason in reasons], pa.bool_()))
        return kept, Counter(filter(None, reasons))

    def _encoded(self, column: str | None) -> pa.DictionaryArray:
        cells = self.table.column(column)
        kind = cells.type
        if pa.types.is_dictionary(kind):
            cells = cells.cast(kind.value_type)
        elif pa.types.is_timestamp(kind) and kind.unit == "ns":
            # Python's datetime ends at microseconds, and pyarrow would reach for pandas.
            cells = cells.cast(pa.timestamp("us", tz=kind.tz), safe=False)
        try:
            return cells.combine_chunks().dictionary_encode()
        except pa.ArrowNotImplementedError:
            raise BadInput(self.source, f"a column of type {kind} can't be read", column=column) from None


@dataclass(frozen=True, slots=True)
class Origins:
    """Where each row of concatenated sources came from."""

    sources: tuple[SourceRows, ...]

    def locate(self, index: int) -> tuple[str, int]:
        """Return ``(source, row number)`` of a 0-based row of the concatenation."""
        ends = list(itertools.accumulate(len(source) for source in self.sources))
        which = bisect.bisect_right(ends, index)
        rows = self.sources[which]
        return rows.source, int(rows.numbers[index - (ends[which] - len(rows))])

    def bad(self, index: int, problem: str, *, column: str | None = None) -> BadInput:
        """Return the error that refuses the row at a 0-based index of the concatenation."""
        source, row = self.locate(index)
        return BadInput(source, problem, row=row, column=column)

    def name(self, index: int, *, beside: int) -> str:
        """Return how an error about row ``beside`` names another row, with its source if that differs."""
        source, row = self.locate(index)
        return f"row {row}" if source == self.locate(beside)[0] else f"row {row} of {source}"


def column_of(cells: Sequence[Any]) -> pa.Array:
    """Return the values of a JSON document as a column.

    JSON may mix numbers and text in one column; they are text then, so that an error can name the wrong value.
    """
    try:
        return pa.array(cells)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return pa.array([None if cell is None else str(cell) for cell in cells], pa.string())


@dataclass(frozen=True, slots=True)
class RowNames:
    """How an error names each row of a validated table, which may be in another order than its sources."""

    origins: Origins  # the sources
    indices: npt.NDArray[np.int64]  # per row of the table, its 0-based row in the concatenated sources

    def __getitem__(self, position: int) -> str:
        source, row = self.origins.locate(int(self.indices[position]))
        return f"row {row} of {source}"


def _is_blank(value: Any) -> bool:
    if isinstance(value, str):
        return not value.strip()
    return value is None or (isinstance(value, float) and value != value)
