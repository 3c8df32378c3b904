"""What differs between two revisions: tables of rows before, rows after and what is said."""

from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pytest

from prediction_assets.slate.row_diff import MainLine, PlayerDiff, diff_rows
from prediction_assets_tests.made_up import player, rows_of

BOOK = "Simulated Book A"


def row(line: str = "24.5", points: float = 20.0, says: str = "PASS", **values: object) -> dict[str, object]:
    """Return a row of player-1; the hash differs if a value does."""
    made = rows_of(player(1), {line: points}).to_pylist()[0] | {"recommendation": says} | values
    return made | {"content_hash": repr(sorted((k, v) for k, v in made.items() if k != "content_hash"))}


def table(*rows: dict[str, object]) -> pa.Table:
    return pa.Table.from_pylist([*rows], schema=rows_of(player(1), {"24.5": 20.0}).schema)


def diff(**found: object) -> PlayerDiff:
    values = {"change": "changed", "rows": 2, "points": {}, "recommendations": {}, "lines": None} | found
    return PlayerDiff(player_slug="player-1", **values)  # type: ignore[arg-type]


AT = ("ensemble", Decimal("24.50"))
LINE, MOVED = MainLine(Decimal("24.50"), BOOK), MainLine(Decimal("25.50"), BOOK)

CASES = {
    "nothing": ([row()], [row()], None),
    "points": ([row()], [row(points=21.0)], diff(points={"ensemble": (20.0, 21.0)})),
    "another system": (
        [row()],
        [row(), row(system="matchup")],
        diff(rows=1, points={"matchup": (None, 20.0)}),
    ),
    "a system less": ([row(), row(system="matchup")], [row()], diff(rows=1, points={"matchup": (20.0, None)})),
    "a pass becomes a bet": ([row()], [row(says="OVER")], diff(recommendations={AT: ("PASS", "OVER")})),
    "a bet is flipped": (
        [row(says="UNDER")],
        [row(says="OVER")],
        diff(recommendations={AT: ("UNDER", "OVER")}),
    ),
    "the line moved": ([row(says="OVER")], [row("25.5", says="UNDER")], diff(lines=(LINE, MOVED))),
    "another book": (
        [row()],
        [row(bookmaker="Simulated Book B")],
        diff(lines=(LINE, MainLine(Decimal("24.50"), "Simulated Book B"))),
    ),
    "a book withdraws": (
        [row()],
        [row(bookmaker=None, says="NO_LINE")],
        diff(
            recommendations={AT: ("PASS", "NO_LINE")}, lines=(LINE, MainLine(Decimal("24.50"), None))
        ),
    ),
    "a probability alone": ([row()], [row(probability_over=0.51)], diff()),
    "only the sign at another offset": (
        [row(), row("25.5", line_offset=Decimal(1))],
        [row(), row("25.5", line_offset=Decimal(1), says="UNDER")],
        diff(recommendations={("ensemble", Decimal("25.50")): ("PASS", "UNDER")}),
    ),
    "added": ([], [row()], diff(change="added", rows=1, points={"ensemble": (None, 20.0)}, lines=(None, LINE))),
    "removed": (
        [row()],
        [],
        diff(change="removed", rows=1, points={"ensemble": (20.0, None)}, lines=(LINE, None)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_difference_of_two_revisions_is_said_by_player(case):
    before, after, expected = CASES[case]
    assert diff_rows(table(*before), table(*after)) == ((expected,) if expected else ())


@pytest.mark.parametrize(
    ("before", "after", "flipped"),
    [("OVER", "UNDER", 1), ("UNDER", "OVER", 1), ("PASS", "OVER", 0), ("UNDER", "PASS", 0)],
)
def test_a_recommendation_is_flipped_from_over_to_under_or_back(before, after, flipped):
    (found,) = diff_rows(table(row(says=before)), table(row(says=after)))
    assert found.flipped == flipped


def test_players_are_sorted_and_those_who_stay_the_same_are_left_out():
    one, two, three = (rows_of(player(number), {"24.5": 20.0}) for number in (1, 2, 3))
    found = diff_rows(pa.concat_tables([three, one]), pa.concat_tables([one, two]))
    assert [(each.player_slug, each.change) for each in found] == [
        ("player-2", "added"),
        ("player-3", "removed"),
    ]
