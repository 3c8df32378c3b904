"""Every port in memory: for tests of the layers above that need a store and no file, server or account.

The contract suites run on these too, so a test that passes on them passes on the durable stores as far as the ports
reach. The warehouse is DuckDB in memory, because the SQL is part of what the port promises: a second implementation
of MERGE and features in Python would only agree with itself. What needs another process isn't here.
"""

from __future__ import annotations

import secrets
import threading
import weakref
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from copy import copy, deepcopy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from prediction_assets.errors import BatchNotOpen, PredictionAssetsError, SnapshotUnreadable
from prediction_assets.slate import merge_errors
from prediction_assets.slate.batch import Batch, Progress
from prediction_assets.slate.completion_message import OutboxEntry
from prediction_assets.slate.dead_letter import Closing, DeadLetter, Failure, letters_of
from prediction_assets.slate.keys import parse_slate, player_key
from prediction_assets.slate.merge_plan import MergePlan
from prediction_assets.slate.outcome import PartRef, PlayerOutcome, highest_fence, part_id
from prediction_assets.slate.receipt import Receipt, unaltered
from prediction_assets.slate.roster_freeze import require_same_work, unchanged
from prediction_assets.slate.staged_rows import (
    PREDICTIONS_SCHEMA_VERSION,
    content_ids_of_snapshot,
    id_of_snapshot,
    part_content_hash,
)
from prediction_assets.stores.alert import Alert, Change, from_text, to_text
from prediction_assets.stores.local.warehouse import DuckDBWarehouse
from prediction_assets.stores.local.warehouse_schema import Lack, complete, lack
from prediction_assets.stores.protocols import TakeAcknowledgement
from prediction_assets.stores.sql import merge_sql
from prediction_assets.stores.sql.tables import PART_SCHEMA, TABLES
from prediction_assets.stores.versions import VersionedStore

_NOT_PINNED = (None, 0, 0, "")


class InMemoryBatchState:
    """A :class:`~prediction_assets.stores.protocols.BatchState`; threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._batches: dict[str, Batch] = {}
        self._fences: dict[str, int] = {}
        self._pinned: dict[str, tuple[str | None, int, int, str]] = {}
        self._outcomes: dict[tuple[str, str, int], PlayerOutcome] = {}
        self._receipts: dict[str, Receipt] = {}

    def copied(self) -> InMemoryBatchState:
        """Return a backup: what is recorded later isn't in it."""
        made = type(self)()
        made.__dict__ |= {name: copy(value) for name, value in vars(self).items() if name != "_lock"}
        return made

    def open(self, batch: Batch) -> Batch:
        with self._lock:
            earlier = self._batches.get(batch.slate)
            if earlier is None:
                self._batches[batch.slate] = _as_stored(batch)
                return batch
        return require_same_work(earlier, batch)

    def reopen(self, batch: Batch) -> Batch:
        with self._lock:
            earlier = self._batches.get(batch.slate)
            stay = unchanged(earlier, batch)
            self._batches[batch.slate] = _as_stored(batch)
            if len(stay) != len(batch.expected):
                self._fences[batch.slate] = self._fences.get(batch.slate, 0) + 1
                self._pinned[batch.slate] = (None, self._fences[batch.slate], 0, "")
            counted = self._counted(batch.slate, (earlier or batch).batch_id)
            for key in [key for key in self._outcomes if key[0] == batch.slate]:
                del self._outcomes[key]
            for slug in stay & counted.keys():
                kept = replace(counted[slug], batch_id=batch.batch_id)
                self._outcomes[batch.slate, slug, kept.fence] = kept
        return batch

    def _counted(self, slate: str, batch_id: str) -> dict[str, PlayerOutcome]:
        found: dict[str, PlayerOutcome] = {}
        for (of_slate, slug, fence), outcome in self._outcomes.items():
            if (of_slate, outcome.batch_id) == (slate, batch_id) and (
                slug not in found or fence > found[slug].fence
            ):
                found[slug] = outcome
        return found

    def claim_fence(self, slate: str, above: int = 0) -> int:
        with self._lock:
            if slate not in self._batches:
                raise BatchNotOpen.on(slate)
            self._fences[slate] = max(self._fences.get(slate, 0), above) + 1
            return self._fences[slate]

    def pin_features(
        self, slate: str, snapshot_id: str, *, fence: int, facts_version: int, made_from: str = ""
    ) -> bool:
        with self._lock:
            if slate not in self._batches:
                raise BatchNotOpen.on(slate)
            if self._pinned.get(slate, _NOT_PINNED)[1] > fence:
                return False
            self._pinned[slate] = (snapshot_id, fence, facts_version, made_from)
            return True

    def record(self, outcomes: Sequence[PlayerOutcome]) -> None:
        with self._lock:
            for outcome in outcomes:
                stored = replace(outcome, recorded_at=outcome.recorded_at.astimezone(UTC))
                self._outcomes[outcome.slate, outcome.player_slug, outcome.fence] = stored

    def prune_outcomes(self, slate: str) -> int:
        with self._lock:
            batch = self._batches.get(slate)
            counted = self._counted(slate, batch.batch_id) if batch is not None else {}
            lower = [
                key
                for key in self._outcomes
                if key[0] == slate and key[1] in counted and key[2] < counted[key[1]].fence
            ]
            for key in lower:
                del self._outcomes[key]
        return len(lower)

    def progress(self, slate: str, only: Collection[str] | None = None) -> Progress | None:
        with self._lock:
            batch = self._batches.get(slate)
            if batch is None:
                return None
            expected = {player.slug for player in batch.expected}
            counted = self._counted(slate, batch.batch_id)
            receipt = self._receipts.get(slate)
            snapshot, _, version, made_from = self._pinned.get(slate, _NOT_PINNED)
            return Progress(
                batch=batch,
                outcomes={slug: outcome for slug, outcome in counted.items() if slug in expected},
                feature_snapshot=snapshot,
                features_version=version,
                features_made_from=made_from,
                receipt=None if receipt is None else unaltered(deepcopy(receipt), "memory"),
            )

    def recent_slates(self, since: datetime) -> Sequence[str]:
        with self._lock:
            opened = sorted((batch.opened_at, slate) for slate, batch in self._batches.items())
        return [slate for opened_at, slate in opened if opened_at >= since]

    def damage(self) -> str:
        return ""

    def mark_consolidated(self, receipt: Receipt) -> None:
        with self._lock:
            there = self._receipts.get(receipt.slate)
            if there is None or receipt.revision >= there.revision:
                self._receipts[receipt.slate] = deepcopy(receipt)

    def consolidated(self, slate: str) -> Receipt | None:
        with self._lock:
            receipt = self._receipts.get(slate)
            return None if receipt is None else unaltered(deepcopy(receipt), "memory")


def _as_stored(batch: Batch) -> Batch:
    return replace(
        batch,
        opened_at=batch.opened_at.astimezone(UTC),
        deadline=batch.deadline.astimezone(UTC),
        expected=tuple(sorted(batch.expected, key=lambda player: player.slug)),
    )


class InMemoryParts:
    """A :class:`~prediction_assets.stores.protocols.Parts`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._parts: dict[tuple[str, str, str], pa.Table] = {}
        self._kept: dict[str, int] = {}

    def keep_fence(self, slate: str, fence: int) -> None:
        with self._lock:
            self._kept[slate] = max(fence, self._kept.get(slate, 0))

    def highest_fence(self, slate: str) -> int:
        return max(self._kept.get(slate, 0), highest_fence(part_id for _, part_id in self.staged(slate)))

    def write(self, slate: str, player_slug: str, rows: pa.Table, fence: int) -> PartRef:
        player_key(slate, player_slug)  # refuses what isn't a slate or a slug
        part = PartRef(
            slate=slate,
            player_slug=player_slug,
            player_id=rows["player_id"][0].as_py(),
            part_id=part_id(fence, secrets.token_hex(12)),
            rows=rows.num_rows,
            content_hash=part_content_hash(rows),
            schema_version=PREDICTIONS_SCHEMA_VERSION,
            feature_snapshot=rows["feature_snapshot"][0].as_py(),
        )
        with self._lock:
            self._parts[slate, player_slug, part.part_id] = rows.cast(PART_SCHEMA)
        return part

    def flush(self, slate: str) -> None:
        parse_slate(slate)

    def rows(self, slate: str, player_slug: str, part_id: str) -> pa.Table | None:
        """Return the rows of this part, None if it isn't in staging any more."""
        return self._parts.get((slate, player_slug, part_id))

    def staged(self, slate: str) -> Sequence[tuple[str, str]]:
        parse_slate(slate)
        with self._lock:
            return sorted((slug, part_id) for of_slate, slug, part_id in self._parts if of_slate == slate)

    def drop(self, slate: str, parts: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
        for part in parts:
            with self._lock:
                was_there = self._parts.pop((slate, *part), None) is not None
            if was_there:
                yield part

    def slates(self) -> Sequence[str]:
        with self._lock:
            return sorted({slate for slate, _, _ in self._parts})

    def sweep(self, slate: str) -> int:
        return 0  # a killed process leaves nothing in its memory

    def strays(self, slate: str) -> Sequence[str]:
        return []


class InMemorySnapshots:
    """A :class:`~prediction_assets.stores.protocols.Snapshots`."""

    def __init__(self) -> None:
        self._snapshots: dict[tuple[str, str], tuple[pa.Table, pa.Table]] = {}

    def write(self, slate: str, players: pa.Table, history: pa.Table) -> str:
        parse_slate(slate)
        snapshot_id = id_of_snapshot(players, history)
        self._snapshots[slate, snapshot_id] = players, history
        return snapshot_id

    def players(self, slate: str, snapshot_id: str, player_ids: Iterable[int] | None = None) -> pa.Table:
        players, _ = self._read(slate, snapshot_id)
        if player_ids is None:
            return players
        return players.filter(pc.is_in(players["player_id"], pa.array(list(player_ids), pa.int64())))

    def history(self, slate: str, snapshot_id: str) -> pa.Table:
        return self._read(slate, snapshot_id)[1]

    def _read(self, slate: str, snapshot_id: str) -> tuple[pa.Table, pa.Table]:
        content_ids_of_snapshot(snapshot_id)
        found = self._snapshots.get((slate, snapshot_id))
        if found is None:
            raise SnapshotUnreadable(
                f"slate {slate}: there is no feature snapshot {snapshot_id!r}; "
                "materialize player_features for this slate again"
            )
        return found

    def is_whole(self, slate: str, snapshot_id: str) -> bool:
        return (slate, snapshot_id) in self._snapshots

    def stored(self) -> Sequence[tuple[str, str]]:
        return sorted(self._snapshots)

    def drop(self, slate: str, snapshot_id: str) -> None:
        self._snapshots.pop((slate, snapshot_id), None)


class InMemoryWarehouse(DuckDBWarehouse):
    """The embedded warehouse's own statements on a database in memory; threads take turns."""

    def __init__(self) -> None:
        self._memory_parts = InMemoryParts()
        super().__init__(Path(":memory:"), self._memory_parts, InMemorySnapshots())  # type: ignore[arg-type]
        self._turn = threading.RLock()
        self._name = f"memory_{next(_NUMBERS)}"
        weakref.finalize(self, _detach, self._name)
        try:
            _attach(self._name)
        except duckdb.FatalException:  # an assertion of DuckDB's own has failed in an earlier test
            _instance.cache_clear()
            _attach(self._name)
        with self._connect(write=True) as connection:
            complete(connection, _whole_schema())

    @contextmanager
    def reading(self) -> Iterator[None]:
        with self._turn:
            yield

    @contextmanager
    def _connect(self, *, write: bool) -> Iterator[duckdb.DuckDBPyConnection]:
        with self._turn, _duckdb() as connection:
            connection.execute(f"USE {self._name}")
            if write:
                yield connection
                return
            connection.execute("BEGIN TRANSACTION READ ONLY")
            try:
                yield connection
            finally:
                connection.rollback()

    def copied(self) -> InMemoryWarehouse:
        """Return another warehouse with the same rows and parts: a tenth of the work of merging them again."""
        made = type(self)()
        made._memory_parts._parts |= self._memory_parts._parts
        with made._connect(write=True) as connection:
            for table in TABLES:
                name = table.qualified_name
                connection.execute(f"INSERT INTO {name} SELECT * FROM {self._name}.{name}")
        return made

    def waiting_at_most(self, seconds: float) -> InMemoryWarehouse:
        return self

    def _stage(self, connection: duckdb.DuckDBPyConnection, plan: MergePlan) -> None:
        merge_errors.require_known_schema(plan.slate, plan.parts)
        found = {
            part.player_slug: self._memory_parts.rows(plan.slate, part.player_slug, part.part_id)
            for part in plan.parts
        }
        gone = [slug for slug, rows in found.items() if rows is None]
        if gone:
            raise merge_errors.part_gone(plan.slate, gone)
        connection.register("part_rows", pa.concat_tables([PART_SCHEMA.empty_table(), *found.values()]))
        connection.execute(f"CREATE TEMP TABLE {merge_sql.STAGED} AS SELECT * FROM part_rows")


_NUMBERS = count(1)


@cache
def _instance() -> duckdb.DuckDBPyConnection:
    """Start DuckDB once: each warehouse is a database of its own in it, because a start takes as long as two MERGEs."""
    made = duckdb.connect(":memory:", config={"threads": 1})  # threads for rows this few only cost
    made.execute("SET GLOBAL TimeZone = 'UTC'")
    return made


def _duckdb() -> duckdb.DuckDBPyConnection:
    """Return a connection of its own to DuckDB."""
    return _instance().cursor()


def _attach(name: str) -> None:
    with _duckdb() as connection:
        connection.execute(f"ATTACH ':memory:' AS {name}")


def _detach(name: str) -> None:
    with (
        suppress(duckdb.Error),
        _duckdb() as connection,
    ):  # when the process ends, DuckDB may have ended before
        connection.execute(f"DETACH {name}")


@cache
def _whole_schema() -> Lack:
    """Return what an empty database lacks: of every one the same."""
    with duckdb.connect(":memory:") as empty:
        return lack(empty, "memory")


class InMemoryDeadLetters:
    """A :class:`~prediction_assets.stores.protocols.DeadLetters`; threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures: dict[tuple[str, str, str], Failure] = {}

    def add(self, failures: Sequence[Failure]) -> None:
        with self._lock:
            for failure in failures:
                stored = replace(
                    failure,
                    failed_at=failure.failed_at.astimezone(UTC),
                    payload=deepcopy(dict(failure.payload)),
                    closed=None,
                )
                self._failures.setdefault((failure.slate, failure.player_slug, failure.run_id), stored)

    def letters(self, slate: str | None = None, *, include_closed: bool = False) -> Sequence[DeadLetter]:
        with self._lock:
            found = letters_of(f for f in self._failures.values() if slate in (None, f.slate))
        return [letter for letter in found if include_closed or letter.closed is None]

    def close(self, slate: str, up_to: Mapping[str, int], how: Closing) -> int:
        with self._lock:
            opened = self._of(slate, up_to, closed=False)
            found = [key for key in opened if self._failures[key].fence <= up_to[key[1]]]
            self._failures.update({key: replace(self._failures[key], closed=how) for key in found})
        return len({slug for _, slug, _ in found})

    def drop_closed(self, slate: str, player_slugs: Iterable[str]) -> int:
        with self._lock:
            found = self._of(slate, player_slugs, closed=True)
            for key in found:
                del self._failures[key]
        return len(found)

    def _of(self, slate: str, player_slugs: Iterable[str], *, closed: bool) -> list[tuple[str, str, str]]:
        wanted = set(player_slugs)
        return [
            key
            for key, failure in self._failures.items()
            if key[0] == slate and key[1] in wanted and (failure.closed is not None) is closed
        ]


class InMemoryOutbox:
    """An :class:`~prediction_assets.stores.protocols.Outbox`; threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: dict[str, OutboxEntry] = {}

    def enqueue(self, entry: OutboxEntry) -> OutboxEntry:
        message = deepcopy(dict(entry.message))
        new = OutboxEntry(entry.message_id, entry.slate, entry.receipt_id, entry.revision, message)
        with self._lock:
            of_slate = [each for each in self._entries.values() if each.slate == entry.slate]
            entry.refuse_if_older(of_slate)
            for each in of_slate:
                if each.is_pending and each.message_id != entry.message_id:
                    self._entries[each.message_id] = replace(each, replaced_by=entry.message_id)
            return deepcopy(self._entries.setdefault(entry.message_id, new))

    def mark_delivered(self, message_id: str, delivery_id: str, delivered_at: datetime) -> OutboxEntry:
        with self._lock:
            entry = self._entries.get(message_id)
            if entry is None:
                raise PredictionAssetsError(f"completion message {message_id} is not in the outbox")
            if entry.delivery_id is None:
                entry = replace(entry, delivery_id=delivery_id, delivered_at=delivered_at.astimezone(UTC))
                self._entries[message_id] = entry
            return deepcopy(entry)

    def mark_acknowledged(self, message_id: str, acknowledged_at: datetime) -> OutboxEntry:
        with self._lock:
            entry = self._entries.get(message_id)
            if entry is None:
                raise PredictionAssetsError(f"completion message {message_id} is not in the outbox")
            if entry.acknowledged_at is None:
                entry = replace(entry, acknowledged_at=acknowledged_at.astimezone(UTC))
                self._entries[message_id] = entry
            return deepcopy(entry)

    def entries(self, slate: str | None = None) -> Sequence[OutboxEntry]:
        with self._lock:
            return [deepcopy(entry) for entry in self._entries.values() if slate in (None, entry.slate)]

    def drop_delivered(self, message_ids: Sequence[str]) -> int:
        with self._lock:
            found = [
                message_id
                for message_id in {*message_ids} & self._entries.keys()
                if not self._entries[message_id].is_pending
            ]
            for message_id in found:
                del self._entries[message_id]
        return len(found)


class InMemoryPublisher:
    """A :class:`~prediction_assets.stores.protocols.Publisher`; ``sent`` is what its consumer gets.

    Attributes:
        acknowledgements: what the consumer sent back, and when.
    """

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.acknowledgements: list[tuple[bytes, datetime]] = []

    def publish(self, message: Mapping[str, Any]) -> str:
        self.sent.append(deepcopy(dict(message)))
        return f"delivery-{len(self.sent)}"

    def delivered(self, slate: str) -> Mapping[str, int]:
        return {each["message_id"]: each["revision"] for each in self.sent if each["slate"] == slate}

    def take_acknowledgements(self, take: TakeAcknowledgement) -> None:
        while self.acknowledgements:
            take(*self.acknowledgements[0])
            del self.acknowledgements[0]


class InMemoryAlertStore:
    """An :class:`~prediction_assets.stores.protocols.AlertStore`; threads take turns."""

    def __init__(self) -> None:
        self._turn = threading.RLock()
        self._alerts: dict[str, Alert] = {}

    def change(self, key: str, change: Change) -> Alert | None:
        with self._turn:
            before = self._alerts.get(key)
            after = change(before)
            if after is None or after is before:
                return before
            self._alerts[key] = from_text(to_text(after))
        return after

    def unsettled(self) -> Sequence[Alert]:
        return [alert for alert in self._oldest_first() if alert.settled_at is None]

    def since(self, moment: datetime) -> Sequence[Alert]:
        return [alert for alert in self._oldest_first() if alert.opened_at >= moment]

    def settled_before(self, moment: datetime) -> Sequence[Alert]:
        settled = [alert for alert in self._oldest_first() if alert.settled_at is not None]
        return [alert for alert in settled if alert.settled_at is not None and alert.settled_at < moment]

    def drop_settled(self, keys: Sequence[str]) -> int:
        with self._turn:
            found = [key for key in {*keys} & self._alerts.keys() if self._alerts[key].settled_at is not None]
            for key in found:
                del self._alerts[key]
        return len(found)

    def _oldest_first(self) -> list[Alert]:
        with self._turn:
            return sorted(self._alerts.values(), key=lambda alert: (alert.opened_at, alert.key))


@dataclass
class InMemoryStores:
    """Every port of an installation in memory: :class:`~prediction_assets.stores.profiles.Stores`."""

    warehouse: InMemoryWarehouse = field(default_factory=InMemoryWarehouse)
    batch_state: InMemoryBatchState = field(default_factory=InMemoryBatchState)
    dead_letters: InMemoryDeadLetters = field(default_factory=InMemoryDeadLetters)
    outbox: InMemoryOutbox = field(default_factory=InMemoryOutbox)
    publisher: InMemoryPublisher = field(default_factory=InMemoryPublisher)
    alerts: InMemoryAlertStore = field(default_factory=InMemoryAlertStore)

    def versioned(self) -> list[VersionedStore]:
        return []


class Opening:
    """Stores in memory whose warehouse is opened by a function each time that it is asked for."""

    def __init__(self, stores: InMemoryStores, warehouse: Callable[[], Any]) -> None:
        self._stores, self._warehouse = stores, warehouse

    def __getattr__(self, name: str) -> Any:
        return self._warehouse() if name == "warehouse" else getattr(self._stores, name)
