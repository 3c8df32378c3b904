"""The picture of one slate in the UI: outcomes, rows by system, line coverage and edges, as SVG.

A pure function from counts to text: four bar charts need no plotting library. The asset ``predictions`` embeds it in
its metadata.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

EDGE_BINS = 20
"""Bins of P(points > line) from 0 to 1: each is 0.05 wide, so an edge of 0 lies between the middle two."""

_WIDTH, _PANEL, _BAR, _LABEL = 760, 370, 14, 120
_INK, _FAINT = "#4b5563", "#d1d5db"
_BLUE, _GREEN, _AMBER, _RED = "#4f6df5", "#2f9e6b", "#d99a1c", "#d64550"

OUTCOME_COLORS = {"staged": _GREEN, "skipped": _AMBER, "failed": _RED, "unsettled": _FAINT}


@dataclass(frozen=True, slots=True)
class SlateCounts:
    """What the picture shows."""

    title: str  # the headline
    outcomes: Mapping[str, int]  # players by outcome
    rows_by_system: Mapping[str, int]  # active rows
    lines: Mapping[str, int]  # players by the source of their main line: a bookmaker, or estimated
    edges: Sequence[int]  # players by bin of the ensemble's P(points > main market line), `EDGE_BINS` of them


def slate_picture(counts: SlateCounts) -> str:
    left = _bars("players by outcome", counts.outcomes, 0, 40, OUTCOME_COLORS)
    right = _bars("active rows by system", counts.rows_by_system, _PANEL + 20, 40, {})
    second = 40 + 40 + (_BAR + 6) * max(len(counts.outcomes), len(counts.rows_by_system), 1)
    coverage = _bars("players by source of their line", counts.lines, 0, second, {"estimated": _FAINT})
    edges = _histogram(counts.edges, _PANEL + 20, second)
    height = second + max(40 + (_BAR + 6) * max(len(counts.lines), 1), 150)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" '
        f'viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif" font-size="11" fill="{_INK}">'
        f'<rect width="100%" height="100%" fill="#ffffff"/>'
        f'<text x="10" y="22" font-size="14" font-weight="bold">{escape(counts.title)}</text>'
        f"{left}{right}{coverage}{edges}</svg>"
    )


def _bars(title: str, values: Mapping[str, int], x: int, y: int, colors: Mapping[str, str]) -> str:
    most = max([*values.values(), 1])
    room = _PANEL - _LABEL - 70
    drawn = [f'<text x="{x + 10}" y="{y + 14}" font-weight="bold">{escape(title)}</text>']
    for n, (name, value) in enumerate(values.items()):
        top = y + 24 + n * (_BAR + 6)
        width = round(room * value / most, 1)
        drawn.append(
            f'<text x="{x + _LABEL}" y="{top + 11}" text-anchor="end">{escape(name)}</text>'
            f'<rect x="{x + _LABEL + 8}" y="{top}" width="{width}" height="{_BAR}" '
            f'fill="{colors.get(name, _BLUE)}"/>'
            f'<text x="{x + _LABEL + 14 + width}" y="{top + 11}">{value:,}</text>'
        )
    if not values:
        drawn.append(f'<text x="{x + 10}" y="{y + 34}">none</text>')
    return "".join(drawn)


def _histogram(bins: Sequence[int], x: int, y: int) -> str:
    title = "players by edge of the ensemble: P(over) - 0.5"
    drawn = [f'<text x="{x}" y="{y + 14}" font-weight="bold">{escape(title)}</text>']
    if not any(bins):
        return "".join([*drawn, f'<text x="{x}" y="{y + 34}">no market lines</text>'])
    left, base, high, step = x + 10, y + 120, 84, 16
    most = max(bins)
    for n, value in enumerate(bins):
        height = round(high * value / most, 1)
        color = _RED if n < EDGE_BINS // 2 else _GREEN
        drawn.append(
            f'<rect x="{left + n * step}" y="{base - height}" width="{step - 2}" height="{height}" fill="{color}"/>'
        )
        if value:
            drawn.append(
                f'<text x="{left + n * step + step // 2 - 1}" y="{base - height - 3}" font-size="8" '
                f'text-anchor="middle">{value}</text>'
            )
    drawn.append(
        f'<line x1="{left}" y1="{base}" x2="{left + EDGE_BINS * step}" y2="{base}" stroke="{_FAINT}"/>'
    )
    for n, text in ((0, "-0.5 under"), (EDGE_BINS // 2, "0"), (EDGE_BINS, "over +0.5")):
        anchor = {0: "start", EDGE_BINS: "end"}.get(n, "middle")
        drawn.append(f'<text x="{left + n * step}" y="{base + 14}" text-anchor="{anchor}">{text}</text>')
    return "".join(drawn)
