"""Merging: new facts are compared with what is stored; what agrees is stored, the rest goes into quarantine.

Every source goes through here, files and live ones. What doesn't belong here: what speaks against a row
(:mod:`.evidence`), what becomes of it (:mod:`.quarantine`), and simulated leagues, which contradict nobody.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

import pyarrow as pa

from prediction_assets.errors import one_line
from prediction_assets.ingest import evidence, quarantine
from prediction_assets.ingest.evidence import About, Game, Kind, Objection, StoredFacts, said, teams_of, utc
from prediction_assets.ingest.game_logs import GameLogsRead
from prediction_assets.ingest.injury_reports import InjuryReportsRead
from prediction_assets.ingest.prop_lines import PropLinesRead
from prediction_assets.ingest.quarantine import Quarantined, State, key_of, keys_table
from prediction_assets.ingest.rows import RowNames
from prediction_assets.ingest.schedule import ScheduleRead
from prediction_assets.slate.keys import GAME_TIME_ZONE, NBA_LEAGUE, slate_key
from prediction_assets.stores.protocols import BatchState, Upserted, Warehouse
from prediction_assets.stores.sql import queries
from prediction_assets.stores.sql.tables import GAME_LOGS, INJURY_REPORTS, PROP_LINES, SCHEDULE, Table

Key = tuple[Any, ...]

OFFER = ("event_id", "capture", "bookmaker", "player_name", "market", "captured_at")
"""What a book offers on a player in a market at one moment: its lines belong together."""

TEAM_REPORT = ("game_date", "reported_at", "team")
"""What one report says of one team: its players belong together."""


@dataclass(frozen=True)
class Merged:
    """What one ingestion did."""

    upserted: Upserted  # the rows that were stored
    quarantined: tuple[Quarantined, ...]  # the rows of this source that wait for an operator
    discarded: int = 0  # number of rows that an operator discarded before
    # the lines that were left out because their game isn't played on their date, by that game
    games_off: Mapping[str, int] = field(default_factory=dict)

    def lines(self, most: int = 10) -> list[str]:
        """Return what an operator should read: one line for each row, or at most so many and a count of the others."""
        shown = [one_line(entry.line, 400) for entry in self.quarantined[:most]]
        more = len(self.quarantined) - len(shown)
        return [*shown, *([f"and {more:,} more"] if more else [])]


@dataclass(frozen=True)
class _Incoming:
    """The new rows of one source, as an operator's earlier decisions leave them."""

    table: Table  # the table that they belong to
    facts: pa.Table  # every row, as it was read
    read: list[dict[str, Any]]  # the same rows
    discarded: frozenset[int]  # positions in `read` of the rows that an operator discarded
    accepted: frozenset[int]  # positions in `read` of the rows that an operator accepted
    positions: list[int]  # the place in `read` of each row of `rows`
    rows: list[dict[str, Any]]  # the rows that aren't discarded
    before: list[Quarantined]  # every row in quarantine until now
    names: RowNames

    def without(self, positions: Collection[int]) -> _Incoming:
        """Return the rows without some, by their positions in ``read``."""
        left = [position for position in self.positions if position not in positions]
        return replace(
            self,
            discarded=self.discarded | frozenset(positions),
            positions=left,
            rows=[self.read[position] for position in left],
        )

    def name(self, position: int) -> str:
        """Return how an objection names one of ``rows``."""
        return self.names[self.positions[position]]

    def doubted(self, objections: Iterable[Objection]) -> dict[int, list[Objection]]:
        """Return the objections that count, by position in ``read``.

        To a row that an operator accepted only one counts: something else was stored since, which is a new question.
        """
        found = {self.positions[index]: each for index, each in evidence.by_position(objections).items()}
        return {
            position: each
            for position, each in found.items()
            if position not in self.accepted or any(objection.is_stored for objection in each)
        }


def _incoming(warehouse: Warehouse, table: Table, read: pa.Table, names: RowNames) -> _Incoming:
    rows, before = read.to_pylist(), quarantine.read_all(warehouse)
    states = quarantine.decided(table, rows, before)
    discarded = frozenset(position for position, state in states.items() if state is State.DISCARDED)
    positions = [position for position in range(len(rows)) if position not in discarded]
    return _Incoming(
        table,
        read,
        rows,
        discarded,
        frozenset(states.keys() - discarded),
        positions,
        [rows[position] for position in positions],
        before,
        names,
    )


def merge_game_logs(warehouse: Warehouse, read: GameLogsRead, source: str, now: datetime) -> Merged:
    """Store game logs that contradict nothing; a corrected value replaces the stored one."""
    new = _incoming(warehouse, GAME_LOGS, read.table, read.names)
    appearances = warehouse.query(queries.APPEARANCES, _between(new.rows)).to_pylist() if new.rows else []
    known = said(GAME_LOGS, appearances)
    for player in warehouse.query(queries.KNOWN_PLAYERS, {"league": NBA_LEAGUE}).to_pylist():
        known.setdefault((About.NAME, player["player_id"]), set()).add(player["player_name"])
    stored = StoredFacts(
        logged=_games(warehouse, queries.LOGGED_GAMES),
        scheduled=_games(warehouse, queries.SCHEDULED_GAMES),
        said=known,
    )
    doubted = new.doubted(evidence.objections_to_logs(new.rows, stored, now, new.name))
    return _merge(warehouse, new, doubted, source, now)


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
    new = _incoming(warehouse, SCHEDULE, read.table, read.names)
    coming = {row["game_id"] for row in new.read}
    today = now.astimezone(GAME_TIME_ZONE).date()

    def is_postponed(game_id: str) -> bool:
        on = stored.scheduled[game_id].game_date
        return read.postponed.get(game_id, date.max) in (None, on)

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
    found = evidence.objections_to_games(new.rows, stored, now, may_move=may_move, leaving=leaving)
    doubted = new.doubted(found)
    of_omitted = _omissions(warehouse, gone, stored, today, source, now)
    return _merge(warehouse, new, doubted, source, now, {(game_id,) for game_id in leaving}, of_omitted)


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
    days = [game.game_date for game in gone.values()]
    between = {"league": NBA_LEAGUE, "first": min(days), "last": max(days)}
    for row in warehouse.query(queries.FACTS_BETWEEN[SCHEDULE.name], between).to_pylist():
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


def merge_prop_lines(
    warehouse: Warehouse, read: PropLinesRead, source: str, now: datetime, *, replace_omitted: bool = False
) -> Merged:
    """Store lines that contradict nothing; every capture is kept.

    A stored line that the source omits is removed only when the source has others of the same offer (book, player,
    game and moment), and one of them is new: the line moved. A source whose lines are all stored is a part of them,
    and removes nothing. Lines of a game that was called off are left out.

    Args:
        replace_omitted: the source is right about each offer that it has: lines that it omits are removed.
    """
    new = _incoming(warehouse, PROP_LINES, read.table, read.names)
    if not new.read:
        return _merge(warehouse, new, {}, source, now)
    stored = StoredFacts(
        logged=_games(warehouse, queries.LOGGED_GAMES),
        scheduled=_games(warehouse, queries.SCHEDULED_GAMES),
        said=said(PROP_LINES, warehouse.query(queries.OFFERED_GAMES, _between(new.read)).to_pylist()),
    )
    off = evidence.games_off(new.read, stored, now)
    off = {position: off[position] for position in off.keys() - new.accepted - new.discarded}
    new = new.without(off)
    doubted = new.doubted(evidence.objections_to_lines(new.rows, stored, now, new.name))
    seen = [row["captured_at"] for row in new.read if row["captured_at"] is not None] or [now]
    lines = warehouse.query(
        queries.LINES_SEEN, {**_between(new.read), "since": min(seen), "until": max(seen)}
    ).to_pylist()
    known = {key_of(PROP_LINES, line) for line in lines}
    moved, doubtful = set(), set()
    for position, row in enumerate(new.read):
        offer = tuple(row[name] for name in OFFER)
        if position in doubted or position in new.discarded:
            doubtful.add(offer)
        elif replace_omitted or row["captured_at"] is None or key_of(PROP_LINES, row) not in known:
            moved.add(offer)
    replaced = moved - doubtful
    removed = {key_of(PROP_LINES, line) for line in lines if tuple(line[name] for name in OFFER) in replaced}
    merged = _merge(warehouse, new, doubted, source, now, removed)
    return replace(merged, discarded=merged.discarded - len(off), games_off=Counter(map(str, off.values())))


def merge_injury_reports(
    warehouse: Warehouse,
    read: InjuryReportsRead,
    source: str,
    now: datetime,
    *,
    replace_omitted: bool = False,
) -> Merged:
    """Store the rows of reports that contradict nothing.

    A corrected copy of a report replaces what the stored one says of the teams that it lists. A player whom it omits
    stays, and waits in quarantine, when another report of the date lists him for that team.

    Args:
        replace_omitted: the source is right about each team of each report that it has.
    """
    new = _incoming(warehouse, INJURY_REPORTS, read.table, read.names)
    if not new.read:
        return _merge(warehouse, new, {}, source, now)
    reported = warehouse.query(queries.FACTS_BETWEEN[INJURY_REPORTS.name], _between(new.read)).to_pylist()
    stored = StoredFacts(said=said(INJURY_REPORTS, reported))
    doubted = new.doubted(evidence.objections_to_reports(new.rows, stored, now, new.name))
    listed: dict[Key, set[Any]] = {}
    for row in new.read:
        listed.setdefault(tuple(row[name] for name in TEAM_REPORT), set()).update(_who(row))
    doubtful = {
        tuple(new.read[position][name] for name in TEAM_REPORT) for position in doubted.keys() | new.discarded
    }
    also = _also_listed(reported)
    removed: set[Key] = set()
    omissions = []
    for row in reported:
        of_team = tuple(row[name] for name in TEAM_REPORT)
        if of_team not in listed or of_team in doubtful:
            continue
        elsewhere = also.get((row["game_date"], row["team"], row["player_name"]), set()) - {
            row["reported_at"]
        }
        is_listed = bool(_who(row) & listed[of_team])  # perhaps in another spelling
        if is_listed or replace_omitted or not row["player_name"] or not elsewhere:
            removed.add(key_of(INJURY_REPORTS, row))
            continue
        reason = (
            f"{source} omits him from {row['team']} in the report of {utc(row['reported_at'])}, and the stored report "
            f"of {utc(max(elsewhere))} lists him; he stays {row['status']}"
        )
        omissions.append(
            quarantine.new(INJURY_REPORTS, Kind.OMISSION, row["player_name"], reason, source, "", row, now)
        )
    return _merge(warehouse, new, doubted, source, now, removed, omissions)


def _who(row: Mapping[str, Any]) -> set[Any]:
    """Return by what a report's player is known: his name and his id."""
    return {row["player_name"], row["player_id"]} - {None}


def _also_listed(reported: Iterable[Mapping[str, Any]]) -> dict[Key, set[datetime]]:
    """Return the times of the reports that list a player for a team on a date."""
    found: dict[Key, set[datetime]] = {}
    for row in reported:
        found.setdefault((row["game_date"], row["team"], row["player_name"]), set()).add(row["reported_at"])
    return found


def _between(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    days = [row["game_date"] for row in rows]
    return {"league": NBA_LEAGUE, "first": min(days), "last": max(days)}


def _games(warehouse: Warehouse, query: str) -> dict[str, Game]:
    return {
        row["game_id"]: Game(row["game_date"], teams_of(row["team_a"], row["team_b"]))
        for row in warehouse.query(query, {"league": NBA_LEAGUE}).to_pylist()
    }


def _merge(
    warehouse: Warehouse,
    new: _Incoming,
    doubted: Mapping[int, Sequence[Objection]],
    source: str,
    now: datetime,
    removed: Collection[Key] = (),
    omissions: Sequence[Quarantined] = (),
) -> Merged:
    """Store the rows without an objection, and the others in quarantine.

    Args:
        doubted: the objections that count, by position.
        removed: keys of stored rows to remove; the key of a new row stays, also when that row waits.
    """
    table = new.table
    entries: list[Quarantined] = []
    for position, found in doubted.items():
        kind = max((o.kind for o in found), key=lambda kind: kind is Kind.CONTRADICTION)
        reason = "; ".join(dict.fromkeys(objection.reason for objection in found))
        row, where = new.read[position], new.names[position]
        entries.append(quarantine.new(table, kind, found[0].subject, reason, source, where, row, now))
    held = doubted.keys() | new.discarded
    keep = pa.array([position not in held for position in range(len(new.read))], pa.bool_())
    gone = keys_table(table, set(removed) - {key_of(table, row) for row in new.read})
    replaced = (table.key, gone) if len(gone) else ((), None)
    done = warehouse.upsert(table, new.facts.filter(keep), *replaced)
    still_open = quarantine.keep(warehouse, table, source, [*entries, *omissions], new.before, now)
    return Merged(done, tuple(still_open), len(new.discarded))
