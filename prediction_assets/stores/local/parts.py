"""Parts and feature snapshots as Arrow files, each replaced as a whole (:mod:`.files`).

Files keep staging runs free of DuckDB's one-process lock. A part's id is in its file's name and, because a name can be
changed by hand, in its metadata. A file is never replaced: an old writer can't take the place of a newer part. A part
has 25 rows: of so few, a Parquet file takes eight times as long to write and to read. A snapshot of thousands of past
games is compressed; as Parquet it is half as large, and takes four times as long.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO

import pyarrow as pa

from prediction_assets.errors import PredictionAssetsError, SnapshotUnreadable, WarehouseUnreadable
from prediction_assets.slate.keys import is_slate, parse_slate, player_key
from prediction_assets.slate.outcome import PartRef, highest_fence, part_id
from prediction_assets.slate.staged_rows import (
    PREDICTIONS_SCHEMA_VERSION,
    content_id,
    content_ids_of_snapshot,
    id_of_snapshot,
    part_content_hash,
)
from prediction_assets.stores.local.files import replace_file, sync_folder, written_aside
from prediction_assets.stores.local.locks import remove_if_left_behind
from prediction_assets.stores.sql.tables import PART_SCHEMA

_PART_ID = b"prediction_assets.part_id"
_SUFFIX = ".arrow"
_PART = re.compile(r"([a-z0-9]+(?:-[a-z0-9]+)*)\.([0-9a-f]{32})\.arrow\Z")
_FENCE_PREFIX = "fence-"
_FENCE = re.compile(_FENCE_PREFIX + r"(\d{8})\Z")
DAMAGED = (OSError, ValueError, pa.ArrowException)
"""What reading a damaged file raises; ValueError of a text that isn't UTF-8 any more."""
_ASIDE = re.compile(r"\..+(?:\.arrow|-\d{8})\.\d+\.[0-9a-f]{8}\Z")


def _write(table: pa.Table, file: pa.NativeFile | IO[bytes], compression: str | None = None) -> None:
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_file(file, table.schema, options=options) as writer:
        writer.write_table(table)


def _decoded(path: Path) -> pa.Table:
    table = pa.ipc.open_file(pa.BufferReader(path.read_bytes())).read_all()
    table.validate(full=True)  # an offset beyond a damaged file would end the process
    return table


def _sweep(folder: Path) -> int:
    """Remove the files that killed writers left and return how many there were."""
    asides = [path for path in folder.glob(".*") if _ASIDE.match(path.name)]
    return sum(remove_if_left_behind(path) for path in asides)


class ArrowParts:
    """Parts as files ``<directory>/<slate>/<player>.<part id>.arrow``."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def path(self, slate: str, player_slug: str, part_id: str) -> Path:
        """Return where a part is stored."""
        player_key(slate, player_slug)
        return self._directory / slate / f"{player_slug}.{part_id}{_SUFFIX}"

    def write(self, slate: str, player_slug: str, rows: pa.Table, fence: int) -> PartRef:
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
        metadata = {_PART_ID: part.part_id.encode()}
        path = self.path(slate, player_slug, part.part_id)
        if not rows.schema.equals(PART_SCHEMA):
            rows = rows.cast(PART_SCHEMA)
        rows = rows.replace_schema_metadata(metadata)
        file = pa.BufferOutputStream()  # written to a file, a part would take some sixty system calls
        _write(rows, file)
        with written_aside(path, memoryview(file.getvalue())) as aside:
            aside.replace(path)
        return part

    def read(self, parts: Iterable[PartRef]) -> pa.Table:
        """Return the rows of parts that are in staging; a column that a part lacks is NULL.

        Raises:
            ValueError: a file is gone or damaged; it is named.
        """
        tables = []
        for part in parts:
            path = self.path(part.slate, part.player_slug, part.part_id)
            try:
                rows = _decoded(path)
                pa.unify_schemas([PART_SCHEMA, rows.schema])  # a declared column is of its declared type
            except DAMAGED as error:
                raise ValueError(f"{part.player_slug}: {path}: {error}") from error
            tables.append(rows.replace_schema_metadata(None))
        found = pa.concat_tables([PART_SCHEMA.empty_table(), *tables], promote_options="default")
        return found.combine_chunks()  # DuckDB takes several times the memory for the chunks of many parts

    def flush(self, slate: str) -> None:
        # Once for all parts of a staging run: a disk may need 8 ms to synchronize a folder.
        parse_slate(slate)
        if (folder := self._directory / slate).is_dir():
            sync_folder(folder)

    def keep_fence(self, slate: str, fence: int) -> None:
        parse_slate(slate)
        folder = self._directory / slate
        try:
            replace_file(folder / f"{_FENCE_PREFIX}{fence:08d}", b"")
        except (FileExistsError, NotADirectoryError) as error:
            raise WarehouseUnreadable(
                f"{folder}: a file is where the slate's staging folder has to be. Move it away, then run "
                f"`prediction-assets run --slate {slate}`"
            ) from error
        for path, kept in self._kept(slate):
            if kept < fence:
                path.unlink(missing_ok=True)
        # The newest one is never pruned, an empty file a slate: only it knows of a run that was stopped before it wrote
        # anything, and goes on after batch state was restored from an older backup.

    def highest_fence(self, slate: str) -> int:
        parse_slate(slate)
        names = (_PART.match(path.name) for path in (self._directory / slate).glob("*"))
        kept = [fence for _, fence in self._kept(slate)]
        return max(highest_fence(name[2] for name in names if name), *kept, 0)

    def _kept(self, slate: str) -> list[tuple[Path, int]]:
        found = (self._directory / slate).glob(f"{_FENCE_PREFIX}*")
        return [(path, int(match[1])) for path in found if (match := _FENCE.match(path.name))]

    def has(self, slate: str, player_slug: str, part_id: str) -> bool:
        return _is_part(self.path(slate, player_slug, part_id), part_id)

    def staged(self, slate: str) -> Sequence[tuple[str, str]]:
        parse_slate(slate)
        found = [(p, match) for p in (self._directory / slate).glob("*") if (match := _PART.match(p.name))]
        return sorted((match[1], match[2] if _is_part(path, match[2]) else "") for path, match in found)

    def drop(self, slate: str, parts: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
        for part in parts:
            if self.has(slate, *part):
                self.path(slate, *part).unlink(missing_ok=True)
                yield part

    def slates(self) -> Sequence[str]:
        found = {
            p.parent.name
            for p in self._directory.glob(f"*/*{_SUFFIX}")
            if _PART.match(p.name) and p.is_file()
        }
        return sorted(slate for slate in found if is_slate(slate))

    def sweep(self, slate: str) -> int:
        parse_slate(slate)
        return _sweep(self._directory / slate)

    def strays(self, slate: str) -> Sequence[str]:
        parse_slate(slate)
        beside = [p.name for p in self._directory.glob("*") if not is_slate(p.name)]
        within = [
            f"{slate}/{p.name}"
            for p in (self._directory / slate).glob("*")
            if not (_ASIDE.match(p.name) or _FENCE.match(p.name))
            and not ((match := _PART.match(p.name)) and _is_part(p, match[2]))
        ]
        return sorted([*beside, *within])


def _is_part(path: Path, part_id: str) -> bool:
    """Return whether a file can be read and is the part of this id."""
    try:
        metadata = pa.ipc.open_file(
            pa.BufferReader(path.read_bytes())
        ).schema.metadata  # a quarter of OSFile's time
    except DAMAGED:
        return False
    return (metadata or {}).get(_PART_ID) == part_id.encode()


class ArrowSnapshots:
    """Feature snapshots as two files in ``<directory>/<slate>/<snapshot id>/``; each read verifies the id."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def _folder(self, slate: str, snapshot_id: str) -> Path:
        parse_slate(slate)
        if not snapshot_id.isalnum():
            raise PredictionAssetsError(f"slate {slate}: {snapshot_id!r} is not a feature snapshot's id")
        return self._directory / slate / snapshot_id

    def write(self, slate: str, players: pa.Table, history: pa.Table) -> str:
        snapshot_id = id_of_snapshot(players, history)
        folder = self._folder(slate, snapshot_id)
        # The players' file is renamed last: a snapshot that has it is whole.
        for kind, table in (("history", history), ("players", players)):
            replace_file(folder / f"{kind}{_SUFFIX}", partial(_write, table, compression="lz4"))
        _sweep(folder)
        return snapshot_id

    def players(self, slate: str, snapshot_id: str, player_ids: Iterable[int] | None = None) -> pa.Table:
        expected, _ = content_ids_of_snapshot(snapshot_id)
        players = self._read(slate, snapshot_id, "players", expected)
        if player_ids is None:
            return players
        import pyarrow.compute as pc

        return players.filter(pc.is_in(players["player_id"], pa.array(list(player_ids), pa.int64())))

    def history(self, slate: str, snapshot_id: str) -> pa.Table:
        _, expected = content_ids_of_snapshot(snapshot_id)
        return self._read(slate, snapshot_id, "history", expected)

    def _read(self, slate: str, snapshot_id: str, kind: str, expected: str) -> pa.Table:
        folder = self._folder(slate, snapshot_id)
        try:
            table = _decoded(folder / f"{kind}{_SUFFIX}")
            if content_id(table) != expected:
                raise ValueError(f"the rows of {kind}{_SUFFIX} have another content")
        except DAMAGED as error:
            raise SnapshotUnreadable(
                f"slate {slate}: feature snapshot {snapshot_id} can't be read from {folder} ({error}); "
                "materialize player_features for this slate again"
            ) from error
        return table

    def is_whole(self, slate: str, snapshot_id: str) -> bool:
        try:
            self.players(slate, snapshot_id)
            self.history(slate, snapshot_id)
        except SnapshotUnreadable:
            return False
        return True

    def stored(self) -> Sequence[tuple[str, str]]:
        found = [(path.parent.name, path.name) for path in self._directory.glob("*/*") if path.is_dir()]
        return sorted((slate, name) for slate, name in found if is_slate(slate) and name.isalnum())

    def drop(self, slate: str, snapshot_id: str) -> None:
        folder = self._folder(slate, snapshot_id)
        _sweep(folder)
        for name in ("players", "history"):  # the file that makes a snapshot whole goes first
            for path in folder.glob(f"{name}.*"):  # an earlier version wrote Parquet files
                path.unlink(missing_ok=True)
        with suppress(OSError):  # not empty, or not there
            folder.rmdir()
            folder.parent.rmdir()
