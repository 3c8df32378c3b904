"""Compares two revisions of a slate by their rows: points, recommendations and lines of each player. Pure functions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby
from typing import Any, Literal

import pyarrow as pa

from prediction_assets.slate.markets import POINTS, labelled

Key = tuple[str, Decimal]
"""Where a player has a recommendation: system and line."""

_BETS = {"OVER", "UNDER"}


@dataclass(frozen=True, slots=True)
class MainLine:
    """A player's main line; the book that offers it, None where the line is estimated."""

    line: Decimal
    bookmaker: str | None


@dataclass(frozen=True, slots=True)
class PlayerDiff:
    """What differs for one player."""

    player_slug: str
    # `added` if only the second revision has rows of him, `removed` if only the first has
    change: Literal["added", "removed", "changed"]
    rows: int  # rows that only one of the two has, each with its values
    # before and after, by system (`labelled`), where they differ; None where it has no row
    points: Mapping[str, tuple[float | None, float | None]]
    # before and after, by system and line, where they differ at a line that both have
    recommendations: Mapping[Key, tuple[str, str]]
    # the main points line before and after, None if it is the same
    lines: tuple[MainLine | None, MainLine | None] | None

    @property
    def flipped(self) -> int:
        """Recommendations that changed from OVER to UNDER, or back, at the same line."""
        return sum(set(pair) == _BETS for pair in self.recommendations.values())


def diff_rows(before: pa.Table, after: pa.Table) -> tuple[PlayerDiff, ...]:
    """Return the players whose rows differ, sorted by slug; none if the revisions have the same content."""
    return tuple(_diffs(_by_player(before), _by_player(after)))


def _by_player(rows: pa.Table) -> dict[str, list[pa.Table]]:
    """Return each player's rows as slices of the table, because a big slate's rows are large as Python's objects."""
    compared = rows.select(_COMPARED)
    found: dict[str, list[pa.Table]] = {}
    start = 0
    for slug, same in groupby(compared.column("player_slug").to_pylist()):
        length = len(list(same))
        found.setdefault(slug, []).append(compared.slice(start, length))
        start += length
    return found


def _read(slices: Sequence[pa.Table]) -> list[dict[str, Any]]:
    rows = (row for each in slices for row in each.to_pylist())
    return [row | {"system": labelled(row["market"], row["system"])} for row in rows]


_COMPARED = [
    "player_slug",
    "market",
    "system",
    "line",
    "predicted_points",
    "recommendation",
    "line_offset",
    "bookmaker",
    "content_hash",
]


def _diffs(
    first: Mapping[str, Sequence[pa.Table]], second: Mapping[str, Sequence[pa.Table]]
) -> Iterator[PlayerDiff]:
    for slug in sorted({*first, *second}):
        before, after = _read(first.get(slug, ())), _read(second.get(slug, ()))
        # The hash covers every value of a row, its key too.
        rows = len({row["content_hash"] for row in before} ^ {row["content_hash"] for row in after})
        if rows:
            yield PlayerDiff(
                player_slug=slug,
                change="added" if not before else "removed" if not after else "changed",
                rows=rows,
                points=_pairs(_points(before), _points(after)),
                recommendations=_recommendations(before, after),
                lines=_lines(before, after),
            )


def _points(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    return {row["system"]: row["predicted_points"] for row in rows if row["line_offset"] == 0}


def _pairs(
    before: Mapping[str, float], after: Mapping[str, float]
) -> dict[str, tuple[float | None, float | None]]:
    systems = sorted({*before, *after})
    return {
        name: (before.get(name), after.get(name)) for name in systems if before.get(name) != after.get(name)
    }


def _recommendations(
    before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]
) -> dict[Key, tuple[str, str]]:
    was = {(row["system"], row["line"]): row["recommendation"] for row in before}
    now = {(row["system"], row["line"]): row["recommendation"] for row in after}
    return {key: (was[key], now[key]) for key in sorted(was.keys() & now.keys()) if was[key] != now[key]}


def _lines(
    before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]
) -> tuple[MainLine | None, MainLine | None] | None:
    pair = _main_line(before), _main_line(after)
    return pair if pair[0] != pair[1] else None


def _main_line(rows: Sequence[Mapping[str, Any]]) -> MainLine | None:
    """Return the points line that every system of a player has with offset 0."""
    main = (row for row in rows if row["market"] == POINTS.name and row["line_offset"] == 0)
    return next((MainLine(row["line"], row["bookmaker"]) for row in main), None)
