"""Quarantine: the rows of facts that are not used until an operator decides.

A row comes here with an objection (:mod:`.evidence`). ``accept`` stores it in place of what it contradicts, ``discard``
leaves it out for good, and a source that no longer says it resolves it. A decision is about the content of a row: it
holds for each file that has the same row, until another decision. What doesn't belong here: finding objections.
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
from prediction_assets.ingest.evidence import About, Kind, agree, claims
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
        values = {name: getattr(self, name) for name in self.__slots__}
        return {**values, "kind": self.kind.value, "state": self.state.value, "row": _to_json(self.row)}

    @property
    def line(self) -> str:
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
    quarantine_id = content_id(facts, row, is_omitted=kind is Kind.OMISSION)
    return Quarantined(
        quarantine_id, facts.name, kind, subject, reason, source, source_row, dict(row), State.OPEN, now, now
    )


def content_id(facts: Table, row: Mapping[str, Any], *, is_omitted: bool = False) -> str:
    """Return the id of a row, made of its values: the same row has the same id every morning, whatever is wrong."""
    text = json.dumps([facts.name, is_omitted, _to_json(row)])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def decided(
    facts: Table, rows: Sequence[Mapping[str, Any]], entries: Iterable[Quarantined]
) -> dict[int, State]:
    """Return which new rows an operator accepted or discarded before, by their position."""
    known = [
        entry
        for entry in entries
        if entry.facts == facts.name
        and entry.kind is not Kind.OMISSION
        and entry.state in {State.ACCEPTED, State.DISCARDED}
    ]
    states = {entry.quarantine_id: entry.state for entry in known}
    keys = {key_of(facts, entry.row) for entry in known}
    found = {
        position: states.get(content_id(facts, row))
        for position, row in enumerate(rows)
        if keys and key_of(facts, row) in keys
    }
    return {position: state for position, state in found.items() if state is not None}


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
    """Store what one ingestion found and resolve what its source no longer says; return the rows that are open."""
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
    """Return rows by their ids, all open ones without ids. A discarded row is found by its id, too.

    Raises:
        BadInput: an id that no such row has.
    """
    entries = [entry for entry in read_all(warehouse) if facts in (None, entry.facts)]
    if not ids:
        return [entry for entry in entries if entry.state is State.OPEN]
    found = {entry.quarantine_id: entry for entry in entries if entry.state in {State.OPEN, State.DISCARDED}}
    if missing := sorted(set(ids) - found.keys()):
        raise BadInput(
            "quarantine",
            f"{missing[0]} is the id of no open or discarded row",
            hint="see `prediction-assets quarantine list --decided`",
        )
    return [found[each] for each in sorted(set(ids))]


def discard(warehouse: Warehouse, entries: Sequence[Quarantined]) -> None:
    """Leave rows out for good: found again, they are neither stored nor reported."""
    _store(warehouse, [replace(entry, state=State.DISCARDED) for entry in entries])


def accept(warehouse: Warehouse, entries: Sequence[Quarantined]) -> None:
    """Store rows in place of the stored ones that they contradict; of an omission, remove the row.

    A row that was accepted before and contradicts one of these counts as discarded from now on.

    Raises:
        BadInput: rows that are accepted together contradict each other; nothing is stored then.
    """
    _refuse_each_other(entries)
    outdated = _outdated(read_all(warehouse), entries)
    for name, table in TABLES.items():
        chosen = [entry for entry in entries if entry.facts == name]
        rows = {key_of(table, e.row): e.row for e in chosen if e.kind is not Kind.OMISSION}
        gone = {key_of(table, e.row) for e in chosen if e.kind is Kind.OMISSION}
        gone |= _in_the_way(warehouse, table, list(rows.values()))
        gone -= rows.keys()
        if rows or gone:
            incoming = table.arrow_table([dict(row) for row in rows.values()])
            warehouse.upsert(table, incoming, table.key, keys_table(table, gone))
    _store(
        warehouse,
        [
            *(replace(entry, state=State.DISCARDED) for entry in outdated),
            *(replace(entry, state=State.ACCEPTED) for entry in entries),
        ],
    )


def key_of(table: Table, row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in table.key)


def keys_table(table: Table, keys: Collection[tuple[Any, ...]]) -> pa.Table:
    """Return keys as a table, to remove their rows."""
    schema = pa.schema([table.arrow_schema.field(column) for column in table.key])
    return pa.table({c: [key[i] for key in sorted(keys)] for i, c in enumerate(table.key)}, schema)


def _statements(entry: Quarantined) -> dict[tuple[Any, ...], Any]:
    """Return what an entry says that another may contradict: what becomes of its key, and its row's claims."""
    table = TABLES[entry.facts]
    what = "is removed" if entry.kind is Kind.OMISSION else _to_json(entry.row)
    stated: dict[tuple[Any, ...], Any] = {(entry.facts, *key_of(table, entry.row)): what}
    if entry.kind is not Kind.OMISSION:
        stated |= claims(table, entry.row)
    return stated


def _refuse_each_other(entries: Sequence[Quarantined]) -> None:
    """Refuse rows that can't all be right: accepting is a choice."""
    stated: dict[tuple[Any, ...], tuple[Quarantined, Any]] = {}
    for entry in entries:
        for topic, value in _statements(entry).items():
            other, before = stated.setdefault((entry.facts, topic), (entry, value))
            if not agree(topic, value, before):
                raise BadInput(
                    "quarantine",
                    f"{other.quarantine_id} and {entry.quarantine_id} contradict each other, only one can be accepted: "
                    f"{other.line} - {entry.line}",
                    hint=f"accept one: `prediction-assets quarantine accept {other.quarantine_id}`, and discard the "
                    f"other: `prediction-assets quarantine discard {entry.quarantine_id}`",
                )


def _outdated(every: Iterable[Quarantined], entries: Sequence[Quarantined]) -> list[Quarantined]:
    """Return the rows that were accepted before and contradict the ones that are accepted now."""
    now = {(entry.facts, topic): value for entry in entries for topic, value in _statements(entry).items()}
    ids = {entry.quarantine_id for entry in entries}
    return [
        entry
        for entry in every
        if entry.state is State.ACCEPTED
        and entry.quarantine_id not in ids
        and entry.kind is not Kind.OMISSION
        and any(
            not agree(topic, value, now.get((entry.facts, topic), value))
            for topic, value in _statements(entry).items()
        )
    ]


def _in_the_way(
    warehouse: Warehouse, table: Table, rows: Sequence[Mapping[str, Any]]
) -> set[tuple[Any, ...]]:
    """Return the keys of stored rows that contradict accepted ones; names may differ, an id keeps its history."""
    if not rows:
        return set()
    wanted = {
        topic: value
        for row in rows
        for topic, value in claims(table, row).items()
        if topic[0] is not About.NAME
    }
    days = [row["game_date"] for row in rows]
    if table is GAME_LOGS:
        games = {row["game_id"] for row in rows}
        logged = warehouse.query(queries.LOGGED_GAMES, {"league": NBA_LEAGUE}).to_pylist()
        days += [game["game_date"] for game in logged if game["game_id"] in games]
    stored = warehouse.query(
        queries.FACTS_BETWEEN[table.name], {"league": NBA_LEAGUE, "first": min(days), "last": max(days)}
    )
    return {
        key_of(table, row)
        for row in stored.to_pylist()
        if any(
            value != wanted.get(topic, value)
            for topic, value in claims(table, row).items()
            if topic[0] is not About.NAME
        )
    }


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
