"""Parts and feature snapshots as Parquet files, written aside and renamed.

Files keep staging runs free of DuckDB's one-process lock. A part's id travels in the file's metadata, and
replacing or dropping a part happens behind a short lock per slate, so that cleanup can't drop the part that
has just replaced the one it was told to drop.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from prediction_assets.errors import PredictionAssetsError
from prediction_assets.keys import parse_slate, player_key
from prediction_assets.warehouse.locks import locked
from prediction_assets.warehouse.port import PartRef, Snapshot
from prediction_assets.warehouse.tables import PART_SCHEMA, PREDICTIONS_SCHEMA_VERSION

_PART_ID = b"prediction_assets.part_id"
_SUFFIX = ".parquet"


def part_content_hash(rows: pa.Table) -> str:
    """Return SHA-256 over the rows' sorted ``content_hash`` values, as the consolidation's SQL computes it."""
    return hashlib.sha256("".join(sorted(rows["content_hash"].to_pylist())).encode()).hexdigest()


def _write_aside(table: pa.Table, path: Path) -> Path:
    """Write a file next to its destination, under a name that no reader looks at."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.parent / f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}"
    try:
        pq.write_table(table, aside, compression="snappy", write_statistics=False)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    return aside


class ParquetParts:
    """Parts as files ``<directory>/<slate>/<player>.parquet``."""

    def __init__(self, directory: Path, lock_timeout_seconds: float = 60.0) -> None:
        self._directory = directory
        self._lock_timeout = lock_timeout_seconds

    def path(self, slate: str, player_slug: str) -> Path:
        """Return where a player's part is stored; the key's shape is checked on the way."""
        player_key(slate, player_slug)
        return self._directory / slate / f"{player_slug}{_SUFFIX}"

    @contextmanager
    def _slate_lock(self, slate: str) -> Iterator[None]:
        parse_slate(slate)
        folder = self._directory / slate
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder / ".lock", exclusive=True, timeout_seconds=self._lock_timeout):
            yield

    def write(self, slate: str, player_slug: str, rows: pa.Table) -> PartRef:
        """Store one player's rows as his part of the slate, replacing an earlier one atomically."""
        path = self.path(slate, player_slug)
        part = PartRef(
            slate=slate,
            player_slug=player_slug,
            player_id=rows["player_id"][0].as_py(),
            part_id=secrets.token_hex(16),
            rows=rows.num_rows,
            content_hash=part_content_hash(rows),
            schema_version=PREDICTIONS_SCHEMA_VERSION,
            feature_snapshot=rows["feature_snapshot"][0].as_py(),
        )
        metadata = {_PART_ID: part.part_id.encode()}
        aside = _write_aside(rows.cast(PART_SCHEMA).replace_schema_metadata(metadata), path)
        try:
            with self._slate_lock(slate):
                aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)
        return part

    def part_id(self, slate: str, player_slug: str) -> str | None:
        """Return the id of the part in the player's place, None when there is none or it is unreadable."""
        try:
            metadata = pq.read_metadata(self.path(slate, player_slug)).metadata
        except (OSError, pa.ArrowInvalid):
            return None
        value = (metadata or {}).get(_PART_ID)
        return value.decode() if value else None

    def staged(self, slate: str) -> Mapping[str, str]:
        """Return the part id that each player slug of the slate has in staging now, '' if unreadable."""
        parse_slate(slate)
        slugs = sorted(p.stem for p in (self._directory / slate).glob(f"[!.]*{_SUFFIX}"))
        return {slug: self.part_id(slate, slug) or "" for slug in slugs}

    def drop(self, slate: str, player_slug: str, part_id: str) -> bool:
        """Drop exactly this part; another part of the same player survives. False when there was none."""
        with self._slate_lock(slate):
            if self.part_id(slate, player_slug) != part_id:
                return False
            self.path(slate, player_slug).unlink(missing_ok=True)
            return True

    def slates(self) -> Sequence[str]:
        """Return the slates that have parts in staging."""
        return sorted({p.parent.name for p in self._directory.glob(f"*/[!.]*{_SUFFIX}")})


class ParquetSnapshots:
    """Feature snapshots as two files in ``<directory>/<slate>/<snapshot id>/``."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def _folder(self, slate: str, snapshot_id: str) -> Path:
        parse_slate(slate)
        if not snapshot_id.isalnum():
            raise PredictionAssetsError(f"slate {slate}: {snapshot_id!r} is not a feature snapshot's id")
        return self._directory / slate / snapshot_id

    def write(self, slate: str, players: pa.Table, history: pa.Table) -> str:
        """Store a snapshot and return its id; the same content has the same id."""
        snapshot_id = content_id(players, history)
        folder = self._folder(slate, snapshot_id)
        # The players' file is renamed last: where it is, the snapshot is whole.
        for name, table in (("history", history), ("players", players)):
            path = folder / f"{name}{_SUFFIX}"
            _write_aside(table, path).replace(path)
        return snapshot_id

    def read(self, slate: str, snapshot_id: str, player_ids: Iterable[int] | None = None) -> Snapshot:
        """Return a stored snapshot, with only these players' rows if given.

        Raises:
            PredictionAssetsError: there is no such snapshot, or it can't be read.
        """
        folder = self._folder(slate, snapshot_id)
        try:
            players = pq.read_table(folder / f"players{_SUFFIX}", partitioning=None)
            history = pq.read_table(folder / f"history{_SUFFIX}", partitioning=None)
        except (OSError, pa.ArrowInvalid) as error:
            raise PredictionAssetsError(
                f"slate {slate}: feature snapshot {snapshot_id} can't be read from {folder} ({error}); "
                "materialize player_features for this slate again"
            ) from error
        if player_ids is not None:
            players = players.filter(pc.is_in(players["player_id"], pa.array(list(player_ids), pa.int64())))
        return Snapshot(snapshot_id, players, history)


def content_id(*tables: pa.Table) -> str:
    """Return the first 20 hex digits of SHA-256 over the tables' Arrow stream."""
    digest = hashlib.sha256()
    for table in tables:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table.combine_chunks())
        digest.update(sink.getvalue())
    return digest.hexdigest()[:20]
