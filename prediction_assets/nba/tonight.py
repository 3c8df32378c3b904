"""What a command without names means: tonight's slate or the one that the schedule leads to, real facts or none."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time

from prediction_assets.errors import BadInput
from prediction_assets.slate.deadlines import first_tip_off
from prediction_assets.slate.keys import GAME_TIME_ZONE, NBA_LEAGUE, is_simulated, parse_slate, slate_key
from prediction_assets.stores.protocols import BatchState, Warehouse
from prediction_assets.stores.sql import queries

_LATEST_TIP_OFF = time(22, 30)
"""US Eastern; the last game of an evening begins then at the latest, where no line says when it does."""

_TEAMS_REPORTED = time(13)
"""US Eastern; teams report by 17:00 on the day before, or by 13:00 local time after a game on that day."""


@dataclass(frozen=True, slots=True)
class Tonight:
    """The real games of one date, and how new its facts are."""

    slate: date
    games: int  # how many are scheduled
    tip_off: datetime | None = None  # when the last of them begins, by the lines; None where no line says it
    newest_line: datetime | None = None  # when the newest line was seen, None without lines
    # when the newest injury report about the date was published, None without one
    newest_report: datetime | None = None

    @property
    def last_tip_off(self) -> datetime:
        """When the last game begins, at half past ten Eastern where nothing says it."""
        return self.tip_off or self._at(_LATEST_TIP_OFF)

    @property
    def teams_reported(self) -> datetime:
        """When teams have reported who may miss the games."""
        return self._at(_TEAMS_REPORTED)

    def _at(self, hour: time) -> datetime:
        return datetime.combine(self.slate, hour, GAME_TIME_ZONE).astimezone(UTC)


def read_tonight(warehouse: Warehouse, slate: date) -> Tonight:
    found = warehouse.query(queries.TONIGHT, {"league": NBA_LEAGUE, "slate": slate}).to_pylist()[0]
    return Tonight(slate, **found)


def read_first_tip_off(warehouse: Warehouse, slate: str) -> datetime:
    day = parse_slate(slate)
    span = {"league": NBA_LEAGUE, "first": day, "last": day}
    known = warehouse.query(queries.FIRST_TIP_OFFS, span)["first_tip_off"].to_pylist()
    return first_tip_off(slate, known[0] if known else None)


def slate_tonight(warehouse: Warehouse, state: BatchState, now: datetime) -> str:
    """Return the slate that ``slate_roster`` opens when its configuration names none.

    A simulated league has no tonight: it gives its first slate that isn't merged, so that every click finds work.
    """
    slate = default_slate(warehouse, now.astimezone(GAME_TIME_ZONE).date(), tonight=True)
    games = warehouse.query(queries.SLATE_GAMES, {"slate": parse_slate(slate)})["league"].to_pylist()
    if not games or not is_simulated(games[0]):
        return slate
    days = warehouse.query(queries.SLATES_FROM, {"slate": parse_slate(slate), "league": games[0]})
    for day in days["game_date"].to_pylist():
        progress = state.progress(slate_key(day))
        if progress is None or progress.receipt is None:
            return slate_key(day)
    return slate


def default_slate(warehouse: Warehouse, today: date, *, tonight: bool) -> str:
    """Return the slate that is meant when none is named.

    In season that is today's date, games or not. A schedule that doesn't reach today gives its last slate. Without
    a real schedule, a simulated league gives the slate that follows its game logs.

    Args:
        today: the date in America/New_York.
        tonight: False: the newest slate up to today that has games, instead of today's date.
    """
    spans = {
        row["league"]: row for row in warehouse.query(queries.SCHEDULE_SPANS, {"today": today}).to_pylist()
    }
    real = spans.get(NBA_LEAGUE)
    if real is not None:
        if tonight and real["first_slate"] <= today <= real["last_slate"]:
            return slate_key(today)
        return slate_key(real["newest_slate"] or real["last_slate"])
    following = [row["next_slate"] for row in spans.values() if row["next_slate"]]
    if not following:
        raise BadInput(
            "schedule", "no schedule was ingested", hint="materialize schedule, or `prediction-assets run`"
        )
    return slate_key(max(following))


def holds_real_facts(warehouse: Warehouse) -> bool:
    """Return whether any facts of real games were ingested."""
    return bool(warehouse.query(queries.HOLDS_LEAGUE, {"league": NBA_LEAGUE}).num_rows)
