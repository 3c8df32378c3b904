"""The sides of slates and the injury reports about them, as :mod:`.forecasting.candidates` needs them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from prediction_assets.nba.forecasting.availability import time_of_day
from prediction_assets.nba.forecasting.candidates import Sides
from prediction_assets.nba.forecasting.sides_sql import CANDIDATES_SQL, REPORTED_SQL
from prediction_assets.stores.protocols import Warehouse
from prediction_assets.stores.sql import queries

EVER = datetime(9999, 1, 1, tzinfo=UTC)

_I, _S, _D = pa.int64(), pa.string(), pa.date32()
_REPORTED = pa.schema({"game_date": _D, "time_of_day": _I, "team": _S, "player_id": _I, "status": _S}.items())
_CANDIDATES = pa.schema(
    {
        "game_id": _S, "game_date": _D, "team": _S, "player_id": _I, "points_10": _I, "minutes_10": _I,
        "games_10": _I, "minutes_3": _I, "games_3": _I, "minutes_25": _I, "games_25": _I, "rebounds_25": _I,
        "assists_25": _I, "blocks_25": _I, "possessions_25": _I, "played_20": _I, "played_recently": _I,
        "games_missed": _I, "played": pa.bool_(),
    }.items()
)  # fmt: skip


def past_sides(warehouse: Warehouse, league: str, cutoff: date, since: date) -> Sides | None:
    """Return the sides of the dates from ``since`` to before the cut-off that have reports; None if no date has."""
    asked = {"league": league, "slate": cutoff, "history_start": since}
    reported = warehouse.query(REPORTED_SQL, asked).select(_REPORTED.names).cast(_REPORTED)
    if not reported.num_rows:
        return None
    candidates = _candidates(warehouse, {**asked, "history_start": pc.min(reported["game_date"]).as_py()})
    return Sides(candidates, reported).before(cutoff)


def newest_report(
    warehouse: Warehouse, league: str, slate: date, until: datetime = EVER
) -> list[dict[str, Any]]:
    """Return the newest injury report about a slate that was published until a moment."""
    asked = {"slate": slate, "league": league, "until": until}
    found: list[dict[str, Any]] = warehouse.query(queries.NEWEST_INJURY_REPORT, asked).to_pylist()
    return found


def slate_sides(
    warehouse: Warehouse, league: str, slate: date, injuries: Iterable[Mapping[str, Any]]
) -> Sides | None:
    """Return the sides of a slate with its newest report; None if there is no report."""
    rows = [
        {
            "game_date": slate,
            "time_of_day": time_of_day(row["reported_at"].astimezone(UTC), slate),
            "team": row["team"],
            "player_id": row["player_id"],
            "status": row["status"],
        }
        for row in injuries
    ]
    if not rows:
        return None
    candidates = _candidates(warehouse, {"league": league, "slate": slate, "history_start": slate})
    return Sides(candidates, pa.Table.from_pylist(rows, _REPORTED))


def _candidates(warehouse: Warehouse, asked: Mapping[str, Any]) -> pa.Table:
    return warehouse.query(CANDIDATES_SQL, asked).select(_CANDIDATES.names).cast(_CANDIDATES)
