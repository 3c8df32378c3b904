"""Merging: new facts are compared with what is stored; what agrees is stored, the rest goes into quarantine.

Every source goes through here, files and live ones. What doesn't belong here: what speaks against a row
(:mod:`.evidence`), what becomes of it (:mod:`.quarantine`), and simulated leagues, which contradict nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import numpy as np
import pyarrow as pa

from prediction_assets.errors import one_line
from prediction_assets.ingest import evidence, quarantine
from prediction_assets.ingest.evidence import Game, Kind, Objection, StoredFacts, teams_of
from prediction_assets.ingest.game_logs import GameLogsRead
from prediction_assets.ingest.injury_reports import InjuryReportsRead
from prediction_assets.ingest.prop_lines import PropLinesRead
from prediction_assets.ingest.quarantine import Quarantined, State
from prediction_assets.ingest.schedule import ScheduleRead
from prediction_assets.slate.keys import GAME_TIME_ZONE, NBA_LEAGUE, slate_key
from prediction_assets.stores.protocols import BatchState, Upserted, Warehouse
from prediction_assets.stores.sql import queries
from prediction_assets.stores.sql.tables import GAME_LOGS, INJURY_REPORTS, PROP_LINES, SCHEDULE, Table

LINES_REPLACED_BY = ("event_id", "capture", "bookmaker", "player_name")
"""A capture is all that a book offered on a player: lines that it no longer contains are removed."""

INJURIES_REPLACED_BY = ("league", "reported_at")
"""A report is all that was known when it was published: a corrected copy replaces it."""


@dataclass(frozen=True)
class Merged:
    """What one ingestion did.

    Attributes:
        upserted: the rows that were stored.
        quarantined: the rows of this source that wait for an operator.
    """

    upserted: Upserted
    quarantined: tuple[Quarantined, ...]

    def lines(self, most: int = 10) -> list[str]:
        """Return what an operator should read: one line for each row, or at most so many and a count of the others."""
        shown = [one_line(entry.line, 400) for entry in self.quarantined[:most]]
        more = len(self.quarantined) - len(shown)
        return [*shown, *([f"and {more:,} more"] if more else [])]


def merge_game_logs(warehouse: Warehouse, read: GameLogsRead, source: str, now: datetime) -> Merged:
    """Store game logs that contradict nothing; a corrected value replaces the stored one."""
    rows = read.table.to_pylist()
    names: dict[int, set[str]] = {}
    for known in warehouse.query(queries.KNOWN_PLAYERS, {"league": NBA_LEAGUE}).to_pylist():
        names.setdefault(known["player_id"], set()).add(known["player_name"])
    days = [row["game_date"] for row in rows]
    appearances = warehouse.query(
        queries.APPEARANCES, {"league": NBA_LEAGUE, "first": min(days), "last": max(days)}
    ) if days else pa.table({})  # fmt: skip
    stored = StoredFacts(
        logged=_games(warehouse, queries.LOGGED_GAMES),
        scheduled=_games(warehouse, queries.SCHEDULED_GAMES),
        names=names,
        appearances={
            (row["player_id"], row["game_date"]): (row["game_id"], row["team"])
            for row in appearances.to_pylist()
        },
    )
    found = evidence.objections_to_logs(rows, stored, now, read.names.__getitem__)
    return _merge(warehouse, GAME_LOGS, read.table, read.names.__getitem__, found, source, now)


def merge_schedule(
    warehouse: Warehouse,
    batch_state: BatchState,
    read: ScheduleRead,
    source: str,
    now: datetime,
    *,
    replace_omitted: bool = False,
) -> Merged:
    """Store games that contradict nothing.

    A stored game leaves the schedule only if the source says that it is postponed on its date, or with
    ``replace_omitted``. A game that the source omits stays, and is reported. A source that lists a whole season may
    give a game another date, unless it is tonight's or its batch is open: then it must say that it is postponed.

    Args:
        replace_omitted: the source is right about each date that it lists: games that it omits leave the schedule,
            and games may get another date.
    """
    stored = StoredFacts(
        logged=_games(warehouse, queries.LOGGED_GAMES), scheduled=_games(warehouse, queries.SCHEDULED_GAMES)
    )
    rows = read.table.to_pylist()
    coming = {row["game_id"] for row in rows}
    today = now.astimezone(GAME_TIME_ZONE).date()

    def is_postponed(game_id: str) -> bool:
        return read.postponed.get(game_id) == stored.scheduled[game_id].game_date

    def may_move(game_id: str) -> bool:
        if replace_omitted or is_postponed(game_id):
            return True
        day = stored.scheduled[game_id].game_date
        return read.is_whole_season and day != today and batch_state.progress(slate_key(day)) is None

    leaving = {
        game_id
        for game_id in stored.scheduled.keys() - coming
        if is_postponed(game_id) and game_id not in stored.logged
    }
    gone = dict(evidence.omitted(set(read.dates["game_date"].to_pylist()), coming, leaving, stored))
    if replace_omitted:
        leaving |= gone.keys()
        gone = {}
    found = evidence.objections_to_games(rows, stored, now, may_move=may_move, leaving=leaving)
    of_omitted = _omissions(warehouse, gone, stored, today, source, now)
    removed = pa.table({"game_id": pa.array(sorted(leaving), pa.string())})
    name = read.names.__getitem__
    group, also = (SCHEDULE.key, removed) if leaving else ((), None)
    return _merge(warehouse, SCHEDULE, read.table, name, found, source, now, group, also, of_omitted)


def _omissions(
    warehouse: Warehouse,
    gone: Mapping[str, Game],
    stored: StoredFacts,
    today: date,
    source: str,
    now: datetime,
) -> list[Quarantined]:
    if not gone:
        return []
    entries = []
    for row in warehouse.query(queries.SCHEDULE_ROWS, {"league": NBA_LEAGUE}).to_pylist():
        game = gone.get(row["game_id"])
        if game is None:
            continue
        why = (
            "has game logs"
            if row["game_id"] in stored.logged
            else "is tonight"
            if game.game_date == today
            else ""
        )
        reason = f"{source} lists {game.game_date} and not this game, {' and '.join(game.teams)}; it stays scheduled"
        reason += f", and it {why}" if why else ""
        entries.append(
            quarantine.new(SCHEDULE, Kind.OMISSION, f"game {row['game_id']}", reason, source, "", row, now)
        )
    return entries


def merge_prop_lines(warehouse: Warehouse, read: PropLinesRead, source: str, now: datetime) -> Merged:
    """Store lines that contradict nothing; every capture is kept."""
    stored = StoredFacts(scheduled=_games(warehouse, queries.SCHEDULED_GAMES))
    found = evidence.objections_to_lines(read.table.to_pylist(), stored, now, read.names.__getitem__)
    name = read.names.__getitem__
    return _merge(warehouse, PROP_LINES, read.table, name, found, source, now, LINES_REPLACED_BY)


def merge_injury_reports(warehouse: Warehouse, read: InjuryReportsRead, source: str, now: datetime) -> Merged:
    """Store the rows of reports that contradict nothing; a corrected copy of a report replaces it."""
    name = read.names.__getitem__
    found = evidence.objections_to_reports(read.table.to_pylist(), now, name)
    return _merge(warehouse, INJURY_REPORTS, read.table, name, found, source, now, INJURIES_REPLACED_BY)


def _games(warehouse: Warehouse, query: str) -> dict[str, Game]:
    return {
        row["game_id"]: Game(row["game_date"], teams_of(row["team_a"], row["team_b"]))
        for row in warehouse.query(query, {"league": NBA_LEAGUE}).to_pylist()
    }


def _merge(
    warehouse: Warehouse,
    table: Table,
    rows: pa.Table,
    name: Callable[[int], str],
    objections: Iterable[Objection],
    source: str,
    now: datetime,
    replace_by: tuple[str, ...] = (),
    also_replaced: pa.Table | None = None,
    omissions: Sequence[Quarantined] = (),
) -> Merged:
    """Store the rows without an objection, and the others in quarantine."""
    before = quarantine.read_all(warehouse)
    # A value beyond a limit that an operator accepted is no longer doubted. What contradicted something and was
    # accepted is stored now; if it contradicts again, something else was stored since, and that is a new question.
    accepted = {e.quarantine_id for e in before if e.state is State.ACCEPTED and e.kind is Kind.LIMIT}
    doubted: list[Quarantined] = []
    held: list[int] = []
    for position, found in evidence.by_position(objections).items():
        kind = max((o.kind for o in found), key=lambda kind: kind is Kind.CONTRADICTION)
        row: dict[str, Any] = rows.slice(position, 1).to_pylist()[0]
        reason = "; ".join(dict.fromkeys(objection.reason for objection in found))
        entry = quarantine.new(table, kind, found[0].subject, reason, source, name(position), row, now)
        if entry.quarantine_id not in accepted:
            doubted.append(entry)
            held.append(position)
    keep = np.ones(rows.num_rows, dtype=bool)
    keep[held] = False
    done = warehouse.upsert(table, rows.filter(pa.array(keep)), replace_by, also_replaced)
    still_open = quarantine.keep(warehouse, table, source, [*doubted, *omissions], before, now)
    return Merged(done, tuple(still_open))
