"""Parts in BigQuery's staging dataset: each is a table of its own, or rows of a table that a run's players share.

A part's id is in its table's name: BigQuery can't drop a table on a condition about its rows. Shared tables are named
by the digits that the ids of their parts have in common, and each row has its part's id. Both kinds are written by one
load job. A part that is written again is in another table, so an old writer can't take its place and dropping the older
one can't hit it.
"""

from __future__ import annotations

import re
import secrets
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import pyarrow as pa
from google.api_core import exceptions
from google.cloud import bigquery

from prediction_assets.slate.keys import parse_slate, player_key
from prediction_assets.slate.outcome import PartRef, fence_of, part_id
from prediction_assets.slate.staged_rows import PREDICTIONS_SCHEMA_VERSION, part_content_hash
from prediction_assets.stores.gcp.bigquery_jobs import BigQueryJobs
from prediction_assets.stores.gcp.bigquery_scripts import PART_ID, drop_parts
from prediction_assets.stores.gcp.bigquery_tables import STAGING_DATASET, BigQueryTables, schema_fields
from prediction_assets.stores.sql.tables import PART_COLUMNS, PART_SCHEMA, PREDICTIONS

Layout = Literal["per_player", "per_run"]
"""Whether a part is a table, or up to fifty players of a run share one."""

PART_PREFIX = "_staging_"
INCOMING_PREFIX = "_incoming_"
"""Prefix of tables that a job needs for minutes."""

FENCE_PREFIX = "_fence_"
"""Prefix of the empty table that a slate's highest claimed fence is kept as; it expires as parts do."""

_PART_TABLE = re.compile(PART_PREFIX + r"(\d{4}_\d\d_\d\d)_([a-z0-9]+(?:_[a-z0-9]+)*)__([0-9a-f]{32})\Z")
_SHARED_TABLE = re.compile(PART_PREFIX + r"(\d{4}_\d\d_\d\d)()__(\d{8}1[0-9a-f]{15})\Z")
_OF_TABLE, _IN_TABLE = 24, 8
"""Digits of a shared table in the ids of its parts, and digits that number the parts in it."""

_ALONE, _SHARED = "0", "1"
"""The digit after the fence in a part's id: where its rows are."""

_REQUIRED = (*PREDICTIONS.business_key, *(c.name for c in PART_COLUMNS if c.required))
_PART_FIELDS = tuple(schema_fields(PART_COLUMNS, _REQUIRED))
_PART_ID_FIELD = bigquery.SchemaField(PART_ID, "STRING", mode="REQUIRED")
_NAMED = (bigquery.SchemaField("player_slug", "STRING"), _PART_ID_FIELD)


def is_shared(part_id: str) -> bool:
    """Return whether a part is in a table that several share."""
    return part_id[len("00000000") :].startswith(_SHARED)


def part_table(slate: str, player_slug: str, part_id: str) -> str:
    """Return the name of the table that a part is, or is in."""
    # Slugs have no underscore, so no two slate players share a name.
    player_key(slate, player_slug)
    whose = f"__{part_id[:_OF_TABLE]}" if is_shared(part_id) else f"_{player_slug}__{part_id}"
    return f"{PART_PREFIX}{slate}{whose}".replace("-", "_")


def _fence_prefix(slate: str) -> str:
    parse_slate(slate)
    return f"{FENCE_PREFIX}{slate.replace('-', '_')}_"


@dataclass(frozen=True, slots=True)
class _Listed:
    """A table with parts as the dataset lists it; a shared one has no player, and the digits of its parts' ids."""

    table: str
    slate: str
    player_slug: str
    part_id: str


@dataclass(slots=True)
class _Unloaded:
    """The parts of a shared table that isn't loaded yet."""

    slate: str
    fence: int
    unique: str
    rows: list[pa.Table] = field(default_factory=list)
    is_closed: bool = False


class BigQueryParts:
    """Parts as tables ``_staging_<slate>_<player>__<part id>`` or in tables ``_staging_<slate>__<of their ids>``.

    All of them expire. Either kind is read, whichever is written.

    Args:
        layout: which kind is written; ``per_run`` writes a shared table at each :meth:`flush`.
    """

    def __init__(self, jobs: BigQueryJobs, tables: BigQueryTables, layout: Layout = "per_player") -> None:
        self._jobs = jobs
        self._tables = tables
        self._layout = layout
        self._lock = threading.Lock()
        self._unloaded: list[_Unloaded] = []
        self._loading: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def relation(self, slate: str, player_slug: str, part_id: str) -> tuple[str, str, str]:
        """Return ``(project, dataset, table)`` of a part; the table may be missing."""
        return self._relation(part_table(slate, player_slug, part_id))

    def _relation(self, table: str) -> tuple[str, str, str]:
        return self._jobs.relation(STAGING_DATASET, table)

    def write(self, slate: str, player_slug: str, rows: pa.Table, fence: int) -> PartRef:
        self._tables.ready()
        player_key(slate, player_slug)
        rows = rows.cast(PART_SCHEMA)  # refuses a NULL for which a load job would fail
        if self._layout == "per_run":
            of_part = self._keep(slate, rows, fence)
        else:
            of_part = part_id(fence, f"{_ALONE}{secrets.token_hex(12)[1:]}")
        part = PartRef(
            slate=slate,
            player_slug=player_slug,
            player_id=rows["player_id"][0].as_py(),
            part_id=of_part,
            rows=rows.num_rows,
            content_hash=part_content_hash(rows),
            schema_version=PREDICTIONS_SCHEMA_VERSION,
            feature_snapshot=rows["feature_snapshot"][0].as_py(),
        )
        if self._layout == "per_player":
            self._jobs.load(
                rows,
                self.relation(slate, player_slug, part.part_id),
                _PART_FIELDS,
                purpose="load_part",
                doing=f"slate {slate}: staging {player_slug}",
                labels={
                    "slate": slate,
                    "player": player_slug,
                    "part_id": part.part_id,
                    "rows": str(part.rows),
                },
                key=part.part_id,
            )
        return part

    def _keep(self, slate: str, rows: pa.Table, fence: int) -> str:
        """Keep a part's rows for the next shared table, and return the part's id."""
        with self._lock:
            for table in self._unloaded:
                if (table.slate, table.fence) == (slate, fence) and not table.is_closed:
                    break
            else:
                table = _Unloaded(slate, fence, f"{_SHARED}{secrets.token_hex(8)[1:]}")
                self._unloaded.append(table)
            of_part = part_id(fence, f"{table.unique}{len(table.rows):0{_IN_TABLE}x}")
            table.rows.append(rows.append_column(PART_ID, pa.repeat(of_part, rows.num_rows)))
        return of_part

    def flush(self, slate: str) -> None:
        """Load the parts that are kept for shared tables; parts with a table of their own are durable already."""
        parse_slate(slate)
        with self._lock:
            turn = self._loading[slate]
        with turn:  # of two runs in one process, the second one's parts may be in the first one's hands
            with self._lock:
                tables = [table for table in self._unloaded if table.slate == slate]
                for table in tables:
                    table.is_closed = True
            for table in tables:
                self._load(table)
                with self._lock:
                    self._unloaded.remove(table)

    def _load(self, table: _Unloaded) -> None:
        named = part_id(table.fence, table.unique)
        self._jobs.load(
            pa.concat_tables(table.rows),
            self._relation(f"{PART_PREFIX}{table.slate}__{named}".replace("-", "_")),
            (*_PART_FIELDS, _PART_ID_FIELD),
            purpose="load_parts",
            doing=f"slate {table.slate}: staging {len(table.rows)} players",
            labels={"slate": table.slate, "parts": str(len(table.rows))},
            key=named,
        )

    def staged(self, slate: str) -> Sequence[tuple[str, str]]:
        parse_slate(slate)
        found: list[tuple[str, str]] = []
        for each in self._listed(slate):
            found += [(each.player_slug, each.part_id)] if each.player_slug else self._within(each.table)
        return sorted(found)

    def _within(self, table: str) -> set[tuple[str, str]]:
        """Return the parts in a shared table; none if it isn't there."""
        with self._jobs.service.clear_errors(f"looking for the parts in {table}"):
            try:
                rows = self._jobs.table_rows(".".join(self._relation(table)), _NAMED)
            except exceptions.NotFound:
                return set()
        return set(zip(rows["player_slug"].to_pylist(), rows[PART_ID].to_pylist(), strict=True))

    def keep_fence(self, slate: str, fence: int) -> None:
        self._tables.ready()
        relation = self._relation(f"{_fence_prefix(slate)}{fence:08d}")
        with self._jobs.service.clear_errors(f"slate {slate}: keeping fence {fence}"):
            self._jobs.client.create_table(
                bigquery.Table(".".join(relation), [bigquery.SchemaField("fence", "INT64")]),
                exists_ok=True,
                retry=self._jobs.retry,
            )
        for name, kept in self._kept(slate):
            if kept < fence:
                self._jobs.discard(self._relation(name))

    def highest_fence(self, slate: str) -> int:
        of_parts = [fence_of(f"{each.part_id:0<32}") for each in self._listed(slate)]
        return max([0, *of_parts, *(fence for _, fence in self._kept(slate))])

    def _kept(self, slate: str) -> list[tuple[str, int]]:
        self._tables.ready()
        prefix = _fence_prefix(slate)
        with self._jobs.service.clear_errors(f"slate {slate}: looking for the fences that are kept"):
            return [
                (item.table_id, int(item.table_id[len(prefix) :]))
                for item in self._jobs.tables(STAGING_DATASET)
                if item.table_id.startswith(prefix)
            ]

    def missing(self, slate: str, parts: Sequence[PartRef]) -> list[str]:
        # One listing shows nearly all tables. The others are looked up by name: BigQuery doesn't promise that a listing
        # shows a table that was created a moment ago.
        tables = {part.part_id: part_table(slate, part.player_slug, part.part_id) for part in parts}
        there = {each.table for each in self._listed(slate)} if parts else frozenset()
        shared = {tables[part.part_id] for part in parts if is_shared(part.part_id)}
        within = {part_id for table in shared for _, part_id in self._within(table)}
        return [
            part.player_slug
            for part in parts
            if (
                part.part_id not in within
                if is_shared(part.part_id)
                else not (tables[part.part_id] in there or self._exists(tables[part.part_id]))
            )
        ]

    def drop(self, slate: str, parts: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
        tables: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
        for slug, of_part in parts:
            tables[part_table(slate, slug, of_part)].add((slug, of_part))
        for table, wanted in tables.items():
            there = self._within(table) if _SHARED_TABLE.match(table) else wanted
            if gone := wanted & there:
                doing = f"slate {slate}: dropping {len(gone)} parts in {table}"
                # A shared table is deleted only with all parts in it. It never gets another one.
                if gone == there:
                    is_done = self._delete(table, doing)
                else:
                    statement = drop_parts(self._relation(table), sorted(of_part for _, of_part in gone))
                    self._jobs.query(statement, purpose="drop_parts", doing=doing, labels={"slate": slate})
                    is_done = True
                yield from sorted(gone) if is_done else ()

    def _delete(self, table: str, doing: str) -> bool:
        with self._jobs.service.clear_errors(doing):
            try:
                self._jobs.client.delete_table(".".join(self._relation(table)), retry=self._jobs.retry)
            except exceptions.NotFound:
                return False
        return True

    def slates(self) -> Sequence[str]:
        return sorted({each.slate for each in self._listed()})

    def sweep(self, slate: str) -> int:
        parse_slate(slate)
        return 0  # a killed load job leaves a whole table or none, and a job's own tables expire

    def strays(self, slate: str) -> Sequence[str]:
        """Return the tables of the staging dataset that have no parts, of any slate."""
        parse_slate(slate)
        self._tables.ready()
        with self._jobs.service.clear_errors("listing the tables in staging"):
            return sorted(
                item.table_id
                for item in self._jobs.tables(STAGING_DATASET)
                if not _match(item.table_id) and not item.table_id.startswith((INCOMING_PREFIX, FENCE_PREFIX))
            )

    def _exists(self, table: str) -> bool:
        with self._jobs.service.clear_errors(f"looking for {table}"):
            try:
                self._jobs.client.get_table(".".join(self._relation(table)), retry=self._jobs.retry)
            except exceptions.NotFound:
                return False
        return True

    def _listed(self, slate: str | None = None) -> list[_Listed]:
        """Return the tables with parts of a slate, or of all; one free request per page."""
        self._tables.ready()
        with self._jobs.service.clear_errors("listing the parts in staging"):
            found = [_match(item.table_id) for item in self._jobs.tables(STAGING_DATASET)]
        return [each for each in found if each is not None and slate in (None, each.slate)]


def _match(table: str) -> _Listed | None:
    match = _PART_TABLE.match(table) or _SHARED_TABLE.match(table)
    if match is None:
        return None
    day, slug, of_parts = match.groups()
    return _Listed(table, day.replace("_", "-"), slug.replace("_", "-"), of_parts)
