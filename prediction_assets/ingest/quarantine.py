"""Quarantine: the rows of facts that are not used until an operator decides.

A row comes here with an objection (:mod:`.evidence`). ``accept`` stores it in place of what it contradicts, ``discard``
leaves it out for good, and a source that no longer says it resolves it. What doesn't belong here: finding objections.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

import pyarrow as pa

from prediction_assets.errors import BadInput
from prediction_assets.ingest.evidence import Kind, teams_of
from prediction_assets.slate.keys import NBA_LEAGUE
from prediction_assets.stores.protocols import Warehouse
from prediction_assets.stores.sql import queries
from prediction_assets.stores.sql.tables import (
    GAME_LOGS,
    INJURY_REPORTS,
    PROP_LINES,
    QUARANTINE,
    SCHEDULE,
    ColumnType,
    Table,
)

TABLES: Mapping[str, Table] = {t.name: t for t in (GAME_LOGS, SCHEDULE, PROP_LINES, INJURY_REPORTS)}


class State(StrEnum):
    """What became of a row in quarantine."""

    OPEN = "open"
    ACCEPTED = "accepted"
    DISCARDED = "discarded"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Quarantined:
    """One row in quarantine; attributes as the columns of ``facts.quarantine``."""

    quarantine_id: str
    facts: str
    kind: Kind
    subject: str
    reason: str
    source: str
    source_row: str
    row: Mapping[str, Any]
    state: State
    first_seen_at: datetime
    last_seen_at: datetime

    def to_row(self) -> dict[str, Any]:
        """Return the row of the table."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return {**values, "kind": self.kind.value, "state": self.state.value, "row": _to_json(self.row)}

    @property
    def line(self) -> str:
        """The objection in one line."""
        where = f" ({self.source_row})" if self.source_row else ""
        return f"{self.subject}: {self.reason}{where}"


def new(
    facts: Table,
    kind: Kind,
    subject: str,
    reason: str,
    source: str,
    source_row: str,
    row: Mapping[str, Any],
    now: datetime,
) -> Quarantined:
    """Return an open row; its id is made of its values, so that the same row has the same id every morning."""
    text = json.dumps([facts.name, kind.value, _to_json(row)])
    quarantine_id = hashlib.sha256(text.encode()).hexdigest()[:12]
    return Quarantined(
        quarantine_id, facts.name, kind, subject, reason, source, source_row, dict(row), State.OPEN, now, now
    )


def read_all(warehouse: Warehouse) -> list[Quarantined]:
    """Return every row in quarantine, decided ones too."""
    return [
        Quarantined(**{
            **row,
            "kind": Kind(row["kind"]),
            "state": State(row["state"]),
            "row": _from_json(TABLES[row["facts"]], row["row"]),
        })
        for row in warehouse.query(queries.QUARANTINED).to_pylist()
    ]  # fmt: skip


def keep(
    warehouse: Warehouse,
    facts: Table,
    source: str,
    found: Sequence[Quarantined],
    before: Iterable[Quarantined],
    now: datetime,
) -> list[Quarantined]:
    """Store what one ingestion found and resolve what its source no longer says; return the rows that are open.

    Args:
        before: every row in quarantine until now.
    """
    known = {entry.quarantine_id: entry for entry in before if entry.facts == facts.name}
    changed: dict[str, Quarantined] = {}
    for entry in found:
        earlier = known.get(entry.quarantine_id)
        if earlier is None:
            changed[entry.quarantine_id] = entry
        elif earlier.state is not State.DISCARDED:
            changed[entry.quarantine_id] = replace(entry, first_seen_at=earlier.first_seen_at)
    current = {entry.quarantine_id for entry in found}
    for entry in known.values():
        if entry.state is State.OPEN and entry.source == source and entry.quarantine_id not in current:
            changed[entry.quarantine_id] = replace(entry, state=State.RESOLVED, last_seen_at=now)
    _store(warehouse, changed.values())
    return [entry for entry in changed.values() if entry.state is State.OPEN]


def find(warehouse: Warehouse, ids: Collection[str], facts: str | None = None) -> list[Quarantined]:
    """Return open rows by their ids, all of them without ids.

    Raises:
        BadInput: an id that no open row has.
    """
    waiting = [e for e in read_all(warehouse) if e.state is State.OPEN and facts in (None, e.facts)]
    missing = sorted(set(ids) - {entry.quarantine_id for entry in waiting})
    if missing:
        raise BadInput(
            "quarantine",
            f"{missing[0]} is the id of no open row",
            hint="see `prediction-assets quarantine list`",
        )
    return [entry for entry in waiting if not ids or entry.quarantine_id in ids]


def discard(warehouse: Warehouse, entries: Sequence[Quarantined]) -> None:
    """Leave rows out for good: found again, they are not reported again."""
    _store(warehouse, [replace(entry, state=State.DISCARDED) for entry in entries])


def accept(warehouse: Warehouse, entries: Sequence[Quarantined]) -> None:
    """Store rows in place of the stored ones that they contradict; of an omission, remove the game.

    Raises:
        BadInput: rows that are accepted together contradict each other; nothing is stored then.
    """
    for name, table in TABLES.items():
        chosen = [entry for entry in entries if entry.facts == name]
        rows = {_key(table, e.row): e.row for e in chosen if e.kind is not Kind.OMISSION}
        _refuse_each_other(table, list(rows.values()))
        gone = {_key(table, e.row) for e in chosen if e.kind is Kind.OMISSION}
        if table is SCHEDULE:
            gone |= _games_in_the_way(warehouse, list(rows.values()))
        if table is GAME_LOGS:
            gone |= _logs_in_the_way(warehouse, list(rows.values()))
        gone -= rows.keys()
        if rows or gone:
            removed = pa.table(
                {c: [key[i] for key in sorted(gone)] for i, c in enumerate(table.key)},
                pa.schema([table.arrow_schema.field(c) for c in table.key]),
            )
            warehouse.upsert(
                table, table.arrow_table([dict(row) for row in rows.values()]), table.key, removed
            )
    _store(warehouse, [replace(entry, state=State.ACCEPTED) for entry in entries])


def _key(table: Table, row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in table.key)


def _refuse_each_other(table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Refuse rows that can't all be right: two teams or games of one player, or of one team, on one date."""
    taken: dict[tuple[Any, ...], Any] = {}
    for row in rows:
        claims: list[tuple[tuple[Any, ...], Any]] = []
        if table is GAME_LOGS:
            claims = [
                ((row["player_id"], row["game_date"]), row["game_id"]),
                ((row["game_id"],), _date_and_teams(row)),
                ((row["player_id"],), row["player_name"]),
            ]
        if table is SCHEDULE:
            claims = [((team, row["game_date"]), row["game_id"]) for team in (row["team_a"], row["team_b"])]
        for claim, value in claims:
            if taken.setdefault(claim, value) != value:
                raise BadInput(
                    "quarantine",
                    f"two of the rows contradict each other about {' on '.join(map(str, claim))}: "
                    f"{taken[claim]} and {value}",
                    hint="accept one of them and discard the other",
                )


def _games_in_the_way(warehouse: Warehouse, rows: Sequence[Mapping[str, Any]]) -> set[tuple[Any, ...]]:
    """Return the keys of stored games of the same teams on the same dates."""
    busy = {(team, row["game_date"]) for row in rows for team in (row["team_a"], row["team_b"])}
    if not busy:
        return set()
    stored = warehouse.query(queries.SCHEDULED_GAMES, {"league": NBA_LEAGUE}).to_pylist()
    return {
        (game["game_id"],)
        for game in stored
        if {(game["team_a"], game["game_date"]), (game["team_b"], game["game_date"])} & busy
    }


def _logs_in_the_way(warehouse: Warehouse, rows: Sequence[Mapping[str, Any]]) -> set[tuple[Any, ...]]:
    """Return the keys of stored logs of the same games with other dates or teams, and of the players' other games."""
    if not rows:
        return set()
    games = {row["game_id"]: _date_and_teams(row) for row in rows}
    players = {(row["player_id"], row["game_date"]) for row in rows}
    logged = warehouse.query(queries.LOGGED_GAMES, {"league": NBA_LEAGUE}).to_pylist()
    days = [row["game_date"] for row in (*rows, *logged) if row["game_id"] in games]
    stored = warehouse.query(
        queries.APPEARANCES, {"league": NBA_LEAGUE, "first": min(days), "last": max(days)}
    ).to_pylist()
    return {
        (row["game_id"], row["player_id"])
        for row in stored
        if games.get(row["game_id"], _date_and_teams(row)) != _date_and_teams(row)
        or ((row["player_id"], row["game_date"]) in players and row["game_id"] not in games)
    }


def _date_and_teams(row: Mapping[str, Any]) -> tuple[date, tuple[str, str]]:
    return row["game_date"], teams_of(row["team"], row["opponent"])


def _store(warehouse: Warehouse, entries: Iterable[Quarantined]) -> None:
    rows = [entry.to_row() for entry in entries]
    if rows:
        warehouse.upsert(QUARANTINE, QUARANTINE.arrow_table(rows))


def _to_json(row: Mapping[str, Any]) -> str:
    return json.dumps({name: None if v is None else _plain(v) for name, v in row.items()}, ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return value if isinstance(value, bool | int | float | str) else str(value)


def _from_json(table: Table, text: str) -> dict[str, Any]:
    """Return a row's values in the types of its table."""
    row: dict[str, Any] = json.loads(text)
    for column in table.columns:
        value = row.get(column.name)
        if value is not None and column.type is ColumnType.DATE:
            row[column.name] = date.fromisoformat(value)
        if value is not None and column.type is ColumnType.TIMESTAMP:
            row[column.name] = datetime.fromisoformat(value)
        if value is not None and column.type is ColumnType.NUMERIC:
            row[column.name] = Decimal(value)
    return row
