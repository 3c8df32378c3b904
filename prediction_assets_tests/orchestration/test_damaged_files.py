"""One flipped bit in any file of a home: it is refused, repaired or harmless, and never read as something else."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from prediction_assets.errors import PredictionAssetsError
from prediction_assets.settings import load_settings
from prediction_assets.slate.batch import Progress
from prediction_assets.slate.completion_message import OutboxEntry, validate_completion
from prediction_assets.slate.dead_letter import DeadLetter
from prediction_assets.slate.merge_plan import plan
from prediction_assets.slate.staged_rows import FINE, STEPS
from prediction_assets.stores.local.outbox import FilePublisher
from prediction_assets.stores.local.stores import LocalStores
from prediction_assets_tests.damage import flip_bits
from prediction_assets_tests.homes import SIMULATED

FLIPS = 16
ROWS = "SELECT * FROM predictions.player_prop_predictions ORDER BY player_id, system, line"


def stores_of(home: Path) -> LocalStores:
    return LocalStores(load_settings(home=home))


def same_values(column: pa.ChunkedArray, expected: pa.ChunkedArray) -> bool:
    """Return whether no value differs by more than what a row's hash doesn't tell apart."""
    if not pa.types.is_floating(column.type):
        return bool(column.equals(expected))
    found, whole = (each.to_numpy() for each in (column, expected))
    return bool(np.allclose(found, whole, rtol=0, atol=1 / (STEPS * FINE), equal_nan=True))


def parts_read_or_refused(home: Path, flips: int) -> Counter[str]:
    """Flip bits in a staged slate's parts, and merge each time; a merge is undone by taking the warehouse back."""
    stores = stores_of(home)
    warehouse, progress = stores.warehouse, stores.batch_state.progress(SIMULATED)
    assert progress is not None
    file = home / "warehouse.duckdb"
    empty, seen = file.read_bytes(), Counter[str]()
    columns = "* EXCLUDE (receipt_id, created_at)"
    rows = f"SELECT {columns} FROM predictions.player_prop_predictions ORDER BY player_id, system, line"
    decided = plan(progress, ())
    warehouse.merge(decided)
    expected = warehouse.query(rows)
    file.write_bytes(empty)

    def look(flip: int) -> None:
        try:
            warehouse.merge(decided)
        except PredictionAssetsError:
            seen["refused"] += 1
            return
        merged = warehouse.query(rows)
        for name in merged.column_names:
            assert same_values(merged[name], expected[name]), (
                f"flip {flip}: {name} was merged with other values"
            )
        seen["harmless"] += 1
        file.write_bytes(empty)

    parts = warehouse.parts.staged(SIMULATED)
    for number, (slug, part_id) in enumerate(parts):
        share = flips // len(parts)
        flip_bits(warehouse.parts.path(SIMULATED, slug, part_id), share, number, look)
    return seen


def snapshots_read_or_refused(home: Path, flips: int) -> Counter[str]:
    stores = stores_of(home)
    snapshots, progress = stores.warehouse.snapshots, stores.batch_state.progress(SIMULATED)
    assert progress is not None
    assert progress.feature_snapshot
    pinned, seen = progress.feature_snapshot, Counter[str]()
    expected = snapshots.players(SIMULATED, pinned), snapshots.history(SIMULATED, pinned)

    def look(flip: int) -> None:
        try:
            found = snapshots.players(SIMULATED, pinned), snapshots.history(SIMULATED, pinned)
        except PredictionAssetsError:
            seen["refused"] += 1
            return
        for rows, whole in zip(found, expected, strict=True):
            assert str(rows.to_pydict()) == str(whole.to_pydict()), f"flip {flip}"
        seen["harmless"] += 1

    for number, name in enumerate(("players", "history")):
        file = snapshots._folder(SIMULATED, progress.feature_snapshot) / f"{name}.arrow"
        flip_bits(file, flips // 2, number, look)
    return seen


def state_read_or_refused(home: Path, flips: int) -> Counter[str]:
    """Flip bits in a finished slate's state file, and read all that a step or an announcement reads of it."""
    file = home / "state.sqlite"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    clean, seen = file.read_bytes(), Counter[str]()

    def read() -> tuple[Progress | None, tuple[Sequence[OutboxEntry], Sequence[DeadLetter]]]:
        stores = stores_of(home)
        letters = stores.dead_letters.letters(include_closed=True)
        return stores.batch_state.progress(SIMULATED), (stores.outbox.entries(), letters)

    progress, others = read()
    assert progress is not None

    def look(flip: int) -> None:
        try:
            found, messages = read()
        except PredictionAssetsError:
            seen["refused"] += 1
        else:
            is_lost = found is None  # the sensors open it again, and the warehouse knows that it is done
            # A message that is lost is delivered again, under its id.
            assert all(entry in others[0] for entry in messages[0]), f"flip {flip}"
            assert messages[1] == others[1], f"flip {flip}"
            assert is_lost or (found.batch, found.feature_snapshot) == (
                progress.batch,
                progress.feature_snapshot,
            )
            assert is_lost or found.outcomes.items() <= progress.outcomes.items(), f"flip {flip}"
            # A missing outcome is staged again; a receipt's copy has a seal, and is copied again.
            assert is_lost or found.receipt in (None, progress.receipt), f"flip {flip}"
            seen["harmless" if (found, messages) == (progress, others) else "repaired"] += 1
        for log in ("state.sqlite-wal", "state.sqlite-shm"):
            (home / log).unlink(missing_ok=True)

    flip_bits(file, flips, 1, look)
    assert file.read_bytes() == clean
    return seen


def messages_read_or_refused(home: Path, flips: int) -> Counter[str]:
    """Flip bits in a delivered message; a consumer reads it, and the announcing process looks whether it is there."""
    publisher, seen = FilePublisher(home / "outbox"), Counter[str]()
    (file,) = (home / "outbox").glob("*.json")
    expected = json.loads(file.read_bytes())

    def look(flip: int) -> None:
        try:
            found = json.loads(file.read_bytes())
            validate_completion(found if isinstance(found, dict) else {})
        except (ValueError, PredictionAssetsError):
            assert publisher.delivered(SIMULATED) == {}, f"flip {flip}"
            publisher.publish(expected)
            assert [*publisher.delivered(SIMULATED)] == [expected["message_id"]]
            seen["repaired"] += 1
            return
        assert found == expected, f"flip {flip}"
        seen["harmless"] += 1

    flip_bits(file, flips, 1, look)
    return seen


def warehouse_read_or_refused(home: Path, flips: int) -> Counter[str]:
    warehouse, seen = stores_of(home).warehouse, Counter[str]()
    expected = warehouse.query(ROWS), warehouse.receipts(SIMULATED)

    def look(flip: int) -> None:
        try:
            found = warehouse.query(ROWS), warehouse.receipts(SIMULATED)
        except PredictionAssetsError:
            seen["refused"] += 1
            return
        assert found[0].equals(expected[0]), f"flip {flip}"
        assert found[1] == expected[1], f"flip {flip}"
        seen["harmless"] += 1

    flip_bits(home / "warehouse.duckdb", flips, 1, look)
    return seen


@pytest.mark.parametrize("read", [parts_read_or_refused, snapshots_read_or_refused])
def test_no_flipped_bit_changes_what_is_made_of_a_staged_slate(staged, read):
    seen = read(staged._settings.home, FLIPS)
    assert seen.total() == FLIPS
    assert seen["refused"] > FLIPS // 4


def test_no_flipped_bit_changes_what_a_consumer_reads_and_a_damaged_message_is_delivered_again(finished):
    seen = messages_read_or_refused(finished._settings.home, 200)
    assert seen.total() == 200
    assert seen["repaired"] > 150


@pytest.mark.parametrize("read", [state_read_or_refused, warehouse_read_or_refused])
def test_no_flipped_bit_changes_what_is_read_of_a_finished_slate(finished, read):
    seen = read(finished._settings.home, FLIPS)
    assert seen.total() == FLIPS
    assert seen["refused"] > 0
