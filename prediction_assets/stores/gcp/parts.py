"""Parts and feature snapshots as BigQuery tables, each written by one load job and never changed.

A part's id is in its table's name: BigQuery can't drop a table on a condition about its rows. A part that is written
again is another table, so an old writer can't take its place and dropping the older one can't hit it.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
from google.api_core import exceptions
from google.cloud import bigquery

from prediction_assets.errors import PredictionAssetsError
from prediction_assets.slate.keys import parse_slate, player_key
from prediction_assets.slate.outcome import PartRef, highest_fence, part_id
from prediction_assets.slate.staged_rows import PREDICTIONS_SCHEMA_VERSION, content_id, part_content_hash
from prediction_assets.stores.gcp.bigquery_jobs import BigQueryJobs
from prediction_assets.stores.gcp.bigquery_tables import (
    SNAPSHOTS_DATASET,
    STAGING_DATASET,
    BigQueryTables,
    schema_fields,
)
from prediction_assets.stores.protocols import Snapshot
from prediction_assets.stores.sql.tables import PART_COLUMNS, PART_SCHEMA, PREDICTIONS

PART_PREFIX = "_staging_"
INCOMING_PREFIX = "_incoming_"
"""Prefix of tables that a job needs for minutes."""

FENCE_PREFIX = "_fence_"
"""Prefix of the empty table that a slate's highest claimed fence is kept as; it expires as parts do."""

_SNAPSHOT_TABLE = re.compile(r"snapshot_(\d{4}_\d\d_\d\d)_([0-9a-zA-Z]+)_(?:players|history)\Z")
_PART_TABLE = re.compile(PART_PREFIX + r"(\d{4}_\d\d_\d\d)_([a-z0-9]+(?:_[a-z0-9]+)*)__([0-9a-f]{32})\Z")
_REQUIRED = (*PREDICTIONS.business_key, *(c.name for c in PART_COLUMNS if c.required))
_PART_FIELDS = tuple(schema_fields(PART_COLUMNS, _REQUIRED))
_POSITION = "row_position"
_LISTED_PER_PAGE = 10_000
"""BigQuery may send shorter pages and a token for the next; the emulator sends one page and drops the rest."""

_BIGQUERY_TYPES = {
    pa.bool_(): "BOOL",
    pa.date32(): "DATE",
    pa.decimal128(6, 2): "NUMERIC",
    pa.float64(): "FLOAT64",
    pa.int64(): "INT64",
    pa.string(): "STRING",
    pa.timestamp("us", tz="UTC"): "TIMESTAMP",
}


def part_table(slate: str, player_slug: str, part_id: str) -> str:
    """Return the name of a part's table.

    Raises:
        BadInput: the slate or the slug isn't valid.
    """
    # Slugs have no underscore, so no two slate players share a name.
    player_key(slate, player_slug)
    return f"{PART_PREFIX}{slate}_{player_slug}__{part_id}".replace("-", "_")


def _fence_prefix(slate: str) -> str:
    parse_slate(slate)
    return f"{FENCE_PREFIX}{slate.replace('-', '_')}_"


@dataclass(frozen=True, slots=True)
class _Listed:
    """A part's table as the dataset lists it."""

    slate: str
    player_slug: str
    part_id: str


class BigQueryParts:
    """Parts as tables ``_staging_<slate>_<player>__<part id>`` of the staging dataset, which expire."""

    def __init__(self, jobs: BigQueryJobs, tables: BigQueryTables) -> None:
        self._jobs = jobs
        self._tables = tables

    def relation(self, slate: str, player_slug: str, part_id: str) -> tuple[str, str, str]:
        """Return ``(project, dataset, table)`` of a part; the table may be missing."""
        return self._jobs.relation(STAGING_DATASET, part_table(slate, player_slug, part_id))

    def write(self, slate: str, player_slug: str, rows: pa.Table, fence: int) -> PartRef:
        self._tables.ready()
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
        self._jobs.load(
            rows.cast(PART_SCHEMA),
            self.relation(slate, player_slug, part.part_id),
            _PART_FIELDS,
            purpose="load_part",
            doing=f"slate {slate}: staging {player_slug}",
            labels={"slate": slate, "player": player_slug, "part_id": part.part_id, "rows": str(part.rows)},
            key=part.part_id,
        )
        return part

    def flush(self, slate: str) -> None:
        parse_slate(slate)  # a finished load job is durable

    def staged(self, slate: str) -> Sequence[tuple[str, str]]:
        parse_slate(slate)
        return sorted((part.player_slug, part.part_id) for part in self._listed(slate))

    def keep_fence(self, slate: str, fence: int) -> None:
        self._tables.ready()
        relation = self._jobs.relation(STAGING_DATASET, f"{_fence_prefix(slate)}{fence:08d}")
        with self._jobs.service.clear_errors(f"slate {slate}: keeping fence {fence}"):
            self._jobs.client.create_table(
                bigquery.Table(".".join(relation), [bigquery.SchemaField("fence", "INT64")]),
                exists_ok=True,
                retry=self._jobs.retry,
            )
        for name, kept in self._kept(slate):
            if kept < fence:
                self._jobs.discard(self._jobs.relation(STAGING_DATASET, name))

    def highest_fence(self, slate: str) -> int:
        kept = [fence for _, fence in self._kept(slate)]
        return max(highest_fence(part.part_id for part in self._listed(slate)), *kept, 0)

    def _kept(self, slate: str) -> list[tuple[str, int]]:
        self._tables.ready()
        prefix = _fence_prefix(slate)
        with self._jobs.service.clear_errors(f"slate {slate}: looking for the fences that are kept"):
            return [
                (item.table_id, int(item.table_id[len(prefix) :]))
                for item in self._tables_in_staging()
                if item.table_id.startswith(prefix)
            ]

    def missing(self, slate: str, parts: Sequence[PartRef]) -> list[str]:
        """Return the slugs of the parts that aren't in staging."""
        # One listing shows nearly all. The others are looked up by name: BigQuery doesn't promise that a listing shows
        # a table that was created a moment ago.
        listed = {part.part_id for part in self._listed(slate)} if parts else frozenset()
        return [
            part.player_slug
            for part in parts
            if part.part_id not in listed and not self._exists(slate, part.player_slug, part.part_id)
        ]

    def drop(self, slate: str, player_slug: str, part_id: str) -> bool:
        table = ".".join(self.relation(slate, player_slug, part_id))
        with self._jobs.service.clear_errors(f"slate {slate}: dropping the part of {player_slug}"):
            try:
                self._jobs.client.delete_table(table, retry=self._jobs.retry)
            except exceptions.NotFound:
                return False
        return True

    def slates(self) -> Sequence[str]:
        return sorted({part.slate for part in self._listed()})

    def sweep(self, slate: str) -> int:
        parse_slate(slate)
        return 0  # a killed load job leaves a whole table or none, and a job's own tables expire

    def strays(self, slate: str) -> Sequence[str]:
        """Return the tables of the staging dataset that are no parts, of any slate."""
        parse_slate(slate)
        self._tables.ready()
        with self._jobs.service.clear_errors("listing the tables in staging"):
            return sorted(
                item.table_id
                for item in self._tables_in_staging()
                if not _PART_TABLE.match(item.table_id)
                and not item.table_id.startswith((INCOMING_PREFIX, FENCE_PREFIX))
            )

    def _exists(self, slate: str, player_slug: str, part_id: str) -> bool:
        table = ".".join(self.relation(slate, player_slug, part_id))
        with self._jobs.service.clear_errors(f"slate {slate}: looking for the part of {player_slug}"):
            try:
                self._jobs.client.get_table(table, retry=self._jobs.retry)
            except exceptions.NotFound:
                return False
        return True

    def _listed(self, slate: str | None = None) -> list[_Listed]:
        """Return the parts of a slate, or all; one free request per page."""
        self._tables.ready()
        with self._jobs.service.clear_errors("listing the parts in staging"):
            return [part for part in self._all() if slate in (None, part.slate)]

    def _tables_in_staging(self) -> Iterable[bigquery.table.TableListItem]:
        return self._jobs.client.list_tables(
            self._jobs.dataset(STAGING_DATASET), page_size=_LISTED_PER_PAGE, retry=self._jobs.retry
        )

    def _all(self) -> Iterator[_Listed]:
        for item in self._tables_in_staging():
            match = _PART_TABLE.match(item.table_id)
            if match:
                day, slug, part_id = match.groups()
                yield _Listed(day.replace("_", "-"), slug.replace("_", "-"), part_id)


class BigQuerySnapshots:
    """Feature snapshots as pairs of tables ``snapshot_<slate>_<id>_players`` and ``_history``, which expire.

    A column has a type of the declared tables, or is a list of integers without NULLs. BigQuery stores a NULL list as
    an empty one. Rows keep their order.
    """

    def __init__(self, jobs: BigQueryJobs, tables: BigQueryTables) -> None:
        self._jobs = jobs
        self._tables = tables

    def _relation(self, slate: str, snapshot_id: str, name: str) -> tuple[str, str, str]:
        parse_slate(slate)
        if not snapshot_id.isalnum():
            raise PredictionAssetsError(f"slate {slate}: {snapshot_id!r} is not the id of a feature snapshot")
        return self._jobs.relation(
            SNAPSHOTS_DATASET, f"snapshot_{slate.replace('-', '_')}_{snapshot_id}_{name}"
        )

    def write(self, slate: str, players: pa.Table, history: pa.Table) -> str:
        self._tables.ready()
        snapshot_id = content_id(players, history)
        if self._prolong(slate, snapshot_id):
            return snapshot_id
        # The players' table is loaded last: if it exists, the snapshot is whole.
        for name, table in (("history", history), ("players", players)):
            self._jobs.load(
                table.append_column(_POSITION, pa.array(range(table.num_rows), pa.int64())),
                self._relation(slate, snapshot_id, name),
                [*_snapshot_fields(table.schema), bigquery.SchemaField(_POSITION, "INT64")],
                purpose="load_snapshot",
                doing=f"slate {slate}: storing feature snapshot {snapshot_id}",
                labels={"slate": slate, "snapshot": snapshot_id},
            )
        return snapshot_id

    def _prolong(self, slate: str, snapshot_id: str) -> bool:
        """Give a stored snapshot the expiration of a new one; False if it isn't stored."""
        client, retry = self._jobs.client, self._jobs.retry
        with self._jobs.service.clear_errors(f"slate {slate}: storing feature snapshot {snapshot_id}"):
            try:
                for name in ("history", "players"):
                    table = client.get_table(".".join(self._relation(slate, snapshot_id, name)), retry=retry)
                    days = self._tables.snapshot_days
                    # BigQuery compares it with its own clock and refuses a past one: the real time, not a test's.
                    table.expires = None if days is None else datetime.now(UTC) + timedelta(days=days)
                    client.update_table(table, ["expires"], retry=retry)
            except (exceptions.NotFound, exceptions.PreconditionFailed):
                return False
        return True

    def read(self, slate: str, snapshot_id: str, player_ids: Iterable[int] | None = None) -> Snapshot:
        players, history = (self._read(slate, snapshot_id, name) for name in ("players", "history"))
        if player_ids is not None:
            players = players.filter(pc.is_in(players["player_id"], pa.array(list(player_ids), pa.int64())))
        return Snapshot(snapshot_id, players, history)

    def is_whole(self, slate: str, snapshot_id: str) -> bool:
        # BigQuery guards its own storage: a table that is there is what was loaded.
        client, retry = self._jobs.client, self._jobs.retry
        with self._jobs.service.clear_errors(f"slate {slate}: looking for feature snapshot {snapshot_id}"):
            try:
                for name in ("history", "players"):
                    client.get_table(".".join(self._relation(slate, snapshot_id, name)), retry=retry)
            except exceptions.NotFound:
                return False
        return True

    def stored(self) -> Sequence[tuple[str, str]]:
        self._tables.ready()
        with self._jobs.service.clear_errors("listing the feature snapshots"):
            listed = self._jobs.client.list_tables(
                self._jobs.dataset(SNAPSHOTS_DATASET), page_size=_LISTED_PER_PAGE, retry=self._jobs.retry
            )
            found = [match.groups() for item in listed if (match := _SNAPSHOT_TABLE.match(item.table_id))]
        return sorted({(day.replace("_", "-"), snapshot_id) for day, snapshot_id in found})

    def drop(self, slate: str, snapshot_id: str) -> None:
        with self._jobs.service.clear_errors(f"slate {slate}: dropping feature snapshot {snapshot_id}"):
            for name in ("players", "history"):  # first the table that makes it whole
                table = ".".join(self._relation(slate, snapshot_id, name))
                self._jobs.client.delete_table(table, not_found_ok=True, retry=self._jobs.retry)

    def _read(self, slate: str, snapshot_id: str, name: str) -> pa.Table:
        relation = ".".join(self._relation(slate, snapshot_id, name))
        with self._jobs.service.clear_errors(f"slate {slate}: reading feature snapshot {snapshot_id}"):
            try:
                rows = self._jobs.table_rows(relation)
            except exceptions.NotFound as error:
                raise PredictionAssetsError(
                    f"slate {slate}: feature snapshot {snapshot_id} isn't there or has expired ({relation}); "
                    "materialize player_features for this slate again"
                ) from error
        return rows.sort_by(_POSITION).drop_columns([_POSITION])


def _snapshot_fields(schema: pa.Schema) -> list[bigquery.SchemaField]:
    fields = []
    for field in schema:
        is_list = pa.types.is_list(field.type)
        kind = _BIGQUERY_TYPES.get(field.type.value_type if is_list else field.type)
        if kind is None:
            raise PredictionAssetsError(
                f"a feature snapshot can't hold column {field.name} of type {field.type}"
            )
        fields.append(bigquery.SchemaField(field.name, kind, mode="REPEATED" if is_list else "NULLABLE"))
    return fields
