"""Damaged, cut, full or edited: detected, named, and nothing of what is left is destroyed.

Foreign things in staging are in ``warehouse/test_staging_area.py``, edited receipts in
``warehouse/test_receipts.py``, edited rows in ``warehouse/test_ledger.py``, a clock that jumps in ``test_clock.py``.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from prediction_assets.errors import PredictionAssetsError, StateUnreadable, WarehouseUnreadable
from prediction_assets.slate.completion_message import Changes, OutboxEntry, completion_message
from prediction_assets.slate.merge_plan import plan
from prediction_assets.slate.outcome import Outcome, PlayerOutcome
from prediction_assets.slate.receipt import Receipt
from prediction_assets.stores.local.batch_state import SqliteBatchState
from prediction_assets.stores.local.outbox import FilePublisher, SqliteOutbox
from prediction_assets.stores.local.parts import ArrowParts, ArrowSnapshots
from prediction_assets.stores.local.warehouse import DuckDBWarehouse
from prediction_assets_tests.made_up import NOW, SLATE, batch, player, progress_of, rows_of, staged


def opened(folder: Path) -> DuckDBWarehouse:
    return DuckDBWarehouse(
        folder / "warehouse.duckdb",
        ArrowParts(folder / "staging"),
        ArrowSnapshots(folder / "features"),
        10.0,
    )


def work_of(warehouse: DuckDBWarehouse, points: float = 20.0):
    done = [
        staged(
            warehouse.parts.write(SLATE, player(n).slug, rows_of(player(n), {"24.5": points}), 1), int(points)
        )
        for n in (1, 2)
    ]
    return plan(progress_of(batch(2), *done), warehouse.receipts(SLATE))


def count(warehouse: DuckDBWarehouse) -> int:
    return warehouse.query("SELECT COUNT(*) AS n FROM predictions.current_predictions")["n"][0].as_py()


# Damaged files


@pytest.mark.parametrize("kept", [0.001, 0.25, 0.5])
def test_a_cut_warehouse_file_is_named_and_left_as_it_is(tmp_path, kept):
    warehouse = opened(tmp_path)
    work = work_of(warehouse)
    warehouse.merge(work)
    path = tmp_path / "warehouse.duckdb"
    whole = path.read_bytes()
    cut = whole[: int(len(whole) * kept)]
    path.write_bytes(cut)
    with pytest.raises(WarehouseUnreadable, match=r"warehouse\.duckdb: .*(backup|nothing)"):
        warehouse.receipts(SLATE)
    with pytest.raises(WarehouseUnreadable, match=r"warehouse\.duckdb"):
        warehouse.merge(work)
    assert path.read_bytes() == cut
    assert set(dict(warehouse.parts.staged(SLATE))) == {"player-1", "player-2"}
    path.write_bytes(whole)
    assert count(opened(tmp_path)) == 2


def test_an_emptied_warehouse_file_is_not_taken_for_a_new_one(tmp_path):
    warehouse = opened(tmp_path)
    warehouse.merge(work_of(warehouse))
    path = tmp_path / "warehouse.duckdb"
    path.write_bytes(b"")
    for act in (lambda: warehouse.receipts(SLATE), lambda: warehouse.merge(work_of(opened(tmp_path)))):
        with pytest.raises(WarehouseUnreadable, match=r"warehouse\.duckdb.*not a valid DuckDB database file"):
            act()
    assert path.read_bytes() == b""


@pytest.mark.parametrize("damage", [b"no database", b"SQLite format 3\x00" + b"\xff" * 4096])
def test_a_damaged_state_file_is_named_by_the_outbox_too_and_left_as_it_is(tmp_path, damage):
    path = tmp_path / "state.sqlite"
    path.write_bytes(damage)
    outbox = SqliteOutbox(path)
    for act in (outbox.entries, lambda: outbox.mark_delivered("e", "m", NOW), lambda: outbox.enqueue(ENTRY)):
        with pytest.raises(StateUnreadable, match=r"state\.sqlite"):
            act()
    assert path.read_bytes() == damage


ENTRY = OutboxEntry("e", SLATE, "r", 1, {"event_id": "e", "slate": SLATE, "revision": 1})


# A full disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 MiB that belongs to the test."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        pytest.skip(f"a small disk can't be mounted here: {made.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Use the disk up and return the file to delete to have room again."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue
    return filler


def test_a_disk_that_is_full_for_a_part_leaves_the_part_before_it(small_disk):
    warehouse = opened(small_disk)
    before = warehouse.parts.write(SLATE, "player-1", rows_of(player(1), {"24.5": 20.0}), 1)
    filler = fill(small_disk)
    with pytest.raises(OSError, match="No space left on device"):
        warehouse.parts.write(SLATE, "player-1", rows_of(player(1), {"24.5": 21.0}), 1)
    assert dict(warehouse.parts.staged(SLATE)) == {"player-1": before.part_id}
    left = [p.name for p in (small_disk / "staging" / SLATE).iterdir()]
    assert left == [f"player-1.{before.part_id}.arrow"]
    filler.unlink()
    after = warehouse.parts.write(SLATE, "player-1", rows_of(player(1), {"24.5": 21.0}), 2)
    assert warehouse.parts.staged(SLATE) == [("player-1", before.part_id), ("player-1", after.part_id)]


def test_a_disk_that_is_full_during_the_merge_rolls_it_back_and_keeps_every_part(small_disk):
    warehouse = opened(small_disk)
    first = warehouse.merge(work_of(warehouse))
    work = work_of(warehouse, 21.0)
    parts = dict(warehouse.parts.staged(SLATE))
    filler = fill(small_disk)
    with pytest.raises(WarehouseUnreadable, match=r"No space left on device; nothing of this step was kept"):
        warehouse.merge(work)
    assert dict(warehouse.parts.staged(SLATE)) == parts
    filler.unlink()
    assert warehouse.receipts(SLATE) == (first,)
    second = warehouse.merge(work)
    assert (second.rows_staged, second.rows_updated, second.rows, second.revision) == (2, 2, 2, 2)
    assert count(warehouse) == 2


def test_a_disk_that_is_full_for_the_state_file_rolls_back_and_names_it(small_disk):
    state = SqliteBatchState(small_disk / "state.sqlite")
    state.open(batch(450))
    done = [
        PlayerOutcome(
            SLATE, f"{SLATE}@test", f"player-{n}", Outcome.SKIPPED, "run", NOW, 1, 1, reason="because"
        )
        for n in range(1, 451)
    ]
    state.record(done[:1])
    filler = fill(small_disk)
    with pytest.raises(StateUnreadable, match=r"state\.sqlite: .*disk"):
        state.record(done)
    filler.unlink()
    progress = state.progress(SLATE)
    assert progress is not None
    assert (len(progress.batch.expected), set(progress.outcomes)) == (450, {"player-1"})
    state.record(done)
    progress = state.progress(SLATE)
    assert progress is not None
    assert progress.unsettled == ()


def test_a_disk_that_is_full_for_a_delivery_leaves_no_half_of_it(small_disk):
    warehouse = opened(small_disk)
    receipt: Receipt = warehouse.merge(work_of(warehouse))
    message = completion_message(receipt, Changes(), output_table=warehouse.output_table, published_at=NOW)
    (small_disk / "outbox").mkdir()
    filler = fill(small_disk)
    publisher = FilePublisher(small_disk / "outbox")
    with pytest.raises(
        PredictionAssetsError, match=r"No space left on device; the message stays in the outbox"
    ):
        publisher.publish(message)
    assert list((small_disk / "outbox").iterdir()) == []
    filler.unlink()
    assert (small_disk / "outbox" / publisher.publish(message)).exists()
