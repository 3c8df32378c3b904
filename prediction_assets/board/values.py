"""The values that a slate's board shows, read from the ledger by one receipt; nothing here is formatted."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from prediction_assets.board.record import Record, record_of
from prediction_assets.errors import BadInput
from prediction_assets.nba.forecasting.grading import BEFORE_TIP_OFF
from prediction_assets.slate.keys import parse_slate
from prediction_assets.slate.markets import MARKETS, POINTS
from prediction_assets.slate.receipt import Receipt
from prediction_assets.slate.row_diff import PlayerDiff, diff_rows
from prediction_assets.steps.ledger import read_rows, receipts_of, why_between
from prediction_assets.stores.protocols import Warehouse
from prediction_assets.stores.sql import queries

SYSTEM = "ensemble"
"""The system whose forecasts the board shows; the others' points are beside them."""

FORM_GAMES = 10
FORM_DAYS = 120
"""The form is a player's last games, of these days: an older one says nothing of his form."""

RECORD_DAYS = 365

_READ_AT_ONCE = 1_000
"""Rows that are Python's objects at one time."""

_OF_OTHERS = ["player_slug", "market", "system", "line_offset", "predicted_points"]

_BETS = ("OVER", "UNDER")

Row = Mapping[str, Any]
"""A row of the predictions table."""


@dataclass(frozen=True, slots=True)
class BoardPlayer:
    """One player of the slate."""

    row: Row  # his row of `SYSTEM` at his main line
    lines: Sequence[Row]  # all his rows of that system, by line
    quantiles: Mapping[int, float]  # points by percent, rising; empty where the row has none
    contributions: Mapping[str, float]  # what the forecast is made of, points; empty where the row has none
    others: Mapping[str, float]  # the other systems' points, by system
    form: Sequence[int]  # points of his last games before the slate, oldest first


@dataclass(frozen=True, slots=True)
class Change:
    """What a revision changed for one player, and why; a cause is missing where nobody knows one."""

    name: str
    diff: PlayerDiff
    causes: Sequence[str]


@dataclass(frozen=True, slots=True)
class Board:
    """What was in force as the newest revision of a slate."""

    receipt: Receipt
    bets: Sequence[Row]  # rows of `SYSTEM` that say OVER or UNDER, the highest expected value first
    players: Sequence[BoardPlayer]  # everybody with rows, by name
    since: int | None  # the revision before, None in a slate's first
    changes: Sequence[Change] | None  # what changed since then; None where its rows were pruned
    # each system's grades before the slate, `SYSTEM` first; of the rows in force at tip-off
    record: Sequence[Record]


def read_board(warehouse: Warehouse, slate: str) -> Board:
    """Return the board of a slate's newest revision.

    Raises:
        BadInput: nothing of the slate was merged.
    """
    with warehouse.reading():
        receipts = receipts_of(warehouse, slate)
        receipt = receipts[-1]
        _, rows = read_rows(warehouse, slate, revision=receipt.revision, receipts=receipts)
        before = max((each.revision for each in receipts if each.revision < receipt.revision), default=None)
        form = _form(warehouse, receipt, pc.unique(rows["market"]).to_pylist())
        changes = () if before is None else _changes(warehouse, receipts, before, rows)
        record = _record(warehouse, receipt)
    return board_of(receipt, rows, form=form, since=before, changes=changes, record=record)


def board_of(
    receipt: Receipt,
    rows: pa.Table,
    *,
    form: Mapping[tuple[int, str], Sequence[int]],
    since: int | None = None,
    changes: Sequence[Change] | None = (),
    record: Sequence[Record] = (),
) -> Board:
    """Return the board of these rows, which are those in force by the receipt."""
    found: dict[tuple[str, str], list[Row]] = {}
    others: dict[tuple[str, str], dict[str, float]] = {}
    shown = pc.equal(rows["system"], SYSTEM)
    # In batches, and of the other systems only these columns: a whole row is a hundred objects.
    for batch in rows.filter(shown).to_batches(_READ_AT_ONCE):
        for row in batch.to_pylist():
            found.setdefault((row["player_slug"], row["market"]), []).append(row)
    for row in rows.filter(pc.invert(shown)).select(_OF_OTHERS).to_pylist():
        if row["line_offset"] == 0:
            of_systems = others.setdefault((row["player_slug"], row["market"]), {})
            of_systems[row["system"]] = row["predicted_points"]
    players = []
    for forecast, lines in found.items():
        lines.sort(key=lambda row: row["line"])
        main = next((row for row in lines if row["line_offset"] == 0), lines[0])
        players.append(
            BoardPlayer(
                row=main,
                lines=lines,
                quantiles={int(at): points for at, points in json.loads(main["quantiles"] or "{}").items()},
                contributions=json.loads(main["contributions"] or "{}"),
                others=dict(sorted(others.get(forecast, {}).items())),
                form=form.get((main["player_id"], main["market"]), ()),
            )
        )
    order = {market: place for place, market in enumerate(MARKETS)}
    bets = [row for lines in found.values() for row in lines if row["recommendation"] in _BETS]
    return Board(
        receipt=receipt,
        bets=sorted(
            bets,
            key=lambda row: (-row["expected_value"], row["player_slug"], order[row["market"]], row["line"]),
        ),
        players=sorted(
            players,
            key=lambda each: (each.row["player_name"], each.row["player_slug"], order[each.row["market"]]),
        ),
        since=since,
        changes=changes,
        record=record,
    )


def _form(warehouse: Warehouse, receipt: Receipt, markets: Iterable[str]) -> dict[tuple[int, str], list[int]]:
    """Return what each player had in his last games in each of these markets."""
    slate = parse_slate(receipt.slate)
    named = {
        "slate": slate,
        "since": slate - timedelta(days=FORM_DAYS),
        "league": receipt.league,
        "games": FORM_GAMES,
    }
    found: dict[tuple[int, str], list[int]] = {}
    results = warehouse.query(queries.RECENT_RESULTS, named)
    players = results["player_id"].to_pylist()
    for market in markets:
        stats = (results[stat].to_pylist() for stat in MARKETS[market].stats)
        for player, had in zip(players, map(sum, zip(*stats, strict=True)), strict=True):
            found.setdefault((player, market), []).append(had)
    return found


def _changes(
    warehouse: Warehouse, receipts: Sequence[Receipt], since: int, rows: pa.Table
) -> list[Change] | None:
    slate, revision = receipts[-1].slate, receipts[-1].revision
    try:
        _, before = read_rows(warehouse, slate, revision=since, receipts=receipts)
    except BadInput:  # its rows were pruned
        return None
    names = {
        slug: name
        for each in (before, rows)
        for slug, name in zip(each["player_slug"].to_pylist(), each["player_name"].to_pylist(), strict=True)
    }
    found = diff_rows(before, rows)
    why = why_between(receipts, since, revision, found)
    return [Change(names[each.player_slug], each, why[each.player_slug]) for each in found]


def _record(warehouse: Warehouse, receipt: Receipt) -> list[Record]:
    """Return the record as it stood when the receipt was made, so that a receipt has one board."""
    slate = parse_slate(receipt.slate)
    named = {
        "since": slate - timedelta(days=RECORD_DAYS),
        "until": slate - timedelta(days=1),
        "origin": BEFORE_TIP_OFF,
        "market": POINTS.name,
    }
    found: dict[str, list[Row]] = {}
    for row in warehouse.query(queries.GRADES, named).to_pylist():
        if row["league"] == receipt.league and row["graded_at"] <= receipt.consolidated_at:
            found.setdefault(row["system"], []).append(row)
    return [record_of(found[name]) for name in sorted(found, key=lambda name: (name != SYSTEM, name))]
