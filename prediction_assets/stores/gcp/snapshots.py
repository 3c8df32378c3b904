"""Feature snapshots as BigQuery tables, each written by one load job and never changed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
from google.api_core import exceptions
from google.cloud import bigquery

from prediction_assets.errors import PredictionAssetsError, SnapshotUnreadable
from prediction_assets.slate.keys import parse_slate
from prediction_assets.slate.staged_rows import content_ids_of_snapshot, id_of_snapshot
from prediction_assets.stores.gcp.bigquery_jobs import BigQueryJobs
from prediction_assets.stores.gcp.bigquery_tables import SNAPSHOTS_DATASET, BigQueryTables

_SNAPSHOT_TABLE = re.compile(r"snapshot_(\d{4}_\d\d_\d\d)_([0-9a-zA-Z]+)_(?:players|history)\Z")
_POSITION = "row_position"

_BIGQUERY_TYPES = {
    pa.bool_(): "BOOL",
    pa.date32(): "DATE",
    pa.decimal128(6, 2): "NUMERIC",
    pa.float64(): "FLOAT64",
    pa.int64(): "INT64",
    pa.string(): "STRING",
    pa.timestamp("us", tz="UTC"): "TIMESTAMP",
}


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
        snapshot_id = id_of_snapshot(players, history)
        if self._prolong(slate, snapshot_id):
            return snapshot_id
        # The players' table is loaded last: if it exists, the snapshot is whole.
        for kind, table in (("history", history), ("players", players)):
            self._jobs.load(
                table.append_column(_POSITION, pa.array(range(table.num_rows), pa.int64())),
                self._relation(slate, snapshot_id, kind),
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

    def players(self, slate: str, snapshot_id: str, player_ids: Iterable[int] | None = None) -> pa.Table:
        players = self._read(slate, snapshot_id, "players")
        if player_ids is None:
            return players
        return players.filter(pc.is_in(players["player_id"], pa.array(list(player_ids), pa.int64())))

    def history(self, slate: str, snapshot_id: str) -> pa.Table:
        return self._read(slate, snapshot_id, "history")

    def is_whole(self, slate: str, snapshot_id: str) -> bool:
        # BigQuery guards its own storage: a table that is there is what was loaded.
        client, retry = self._jobs.client, self._jobs.retry
        try:
            content_ids_of_snapshot(snapshot_id)
        except SnapshotUnreadable:
            return False
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
            listed = self._jobs.tables(SNAPSHOTS_DATASET)
            found = [match.groups() for item in listed if (match := _SNAPSHOT_TABLE.match(item.table_id))]
        return sorted({(day.replace("_", "-"), snapshot_id) for day, snapshot_id in found})

    def drop(self, slate: str, snapshot_id: str) -> None:
        with self._jobs.service.clear_errors(f"slate {slate}: dropping feature snapshot {snapshot_id}"):
            for name in ("players", "history"):  # first the table that makes it whole
                table = ".".join(self._relation(slate, snapshot_id, name))
                self._jobs.client.delete_table(table, not_found_ok=True, retry=self._jobs.retry)

    def _read(self, slate: str, snapshot_id: str, name: str) -> pa.Table:
        content_ids_of_snapshot(snapshot_id)  # what an earlier version stored has another id
        relation = ".".join(self._relation(slate, snapshot_id, name))
        with self._jobs.service.clear_errors(f"slate {slate}: reading feature snapshot {snapshot_id}"):
            try:
                rows = self._jobs.table_rows(relation)
            except exceptions.NotFound as error:
                raise SnapshotUnreadable(
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
