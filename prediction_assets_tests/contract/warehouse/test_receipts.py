"""What a receipt is worth after somebody edited it, and after the clock went back."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, date, datetime

import pytest

from prediction_assets.errors import ReceiptAltered, WarehouseUnreadable
from prediction_assets.slate.merge_plan import plan
from prediction_assets.slate.outcome import PartRef
from prediction_assets.slate.receipt import MergeCounts, Receipt
from prediction_assets.stores.protocols import Warehouse
from prediction_assets.stores.sql.tables import RECEIPTS
from prediction_assets_tests.contract.warehouse.by_hand import by_hand
from prediction_assets_tests.made_up import NOW, SLATE, batch, dated, player, progress_of, rows_of, staged

WHOLE_TABLE = (
    "SELECT * FROM predictions.player_prop_predictions WHERE game_date >= DATE '2000-01-01' ORDER BY ALL"
)


def stage(warehouse: Warehouse, number: int, points: float = 20.0):
    who = player(number)
    return staged(warehouse.parts.write(SLATE, who.slug, rows_of(who, {"24.5": points, "25.5": points}), 1))


def merge(warehouse: Warehouse, *outcomes) -> Receipt:
    return warehouse.merge(plan(progress_of(batch(2), *outcomes), warehouse.receipts(SLATE)))


def made() -> dict[str, object]:
    """Return a receipt's row."""
    part = staged(PartRef(SLATE, "player-1", 101, "a" * 32, 2, "b" * 64, 1, "snapshot1"))
    work = plan(progress_of(batch(2), part), ())
    return work.receipt(MergeCounts(2, 2, 0, 0, 0, 2, ""), (), merge_ms=1.0, now=NOW).to_row()


def test_every_column_is_in_a_receipt_s_hash_but_the_one_that_pruning_writes():
    hashed = set()
    others = {int: 99, float: 99.0, date: date(2026, 1, 3), datetime: NOW.replace(year=2030)}
    for column in RECEIPTS.columns:
        row = made()
        assert Receipt.from_row(row).to_row() == row
        row[column.name] = others.get(type(row[column.name]), '[{"player_slug": "else"}]')
        with suppress(ReceiptAltered):
            assert Receipt.from_row(row).to_row() == row
            continue
        hashed.add(column.name)
    assert hashed == made().keys() - {"pruned_at"}


@pytest.mark.parametrize("column", ["parts", "missing"])
def test_a_receipt_whose_lists_can_t_be_read_is_named_too(column):
    with pytest.raises(ReceiptAltered, match=rf"slate {SLATE}: receipt [0-9a-f]{{32}} in .*can't be read"):
        Receipt.from_row({**made(), column: "no list"})


def test_a_receipt_that_was_edited_by_hand_is_named_and_nothing_is_done_on_its_strength(warehouse):
    receipt = merge(warehouse, stage(warehouse, 1), stage(warehouse, 2))
    before = warehouse.query(WHOLE_TABLE)
    by_hand(warehouse, f"UPDATE {RECEIPTS.qualified_name} SET parts = '[]' WHERE game_date = DATE '{SLATE}'")
    with pytest.raises(ReceiptAltered, match=rf"slate {SLATE}: receipt {receipt.receipt_id} in .*receipts"):
        warehouse.receipts(SLATE)
    later = plan(progress_of(batch(2), stage(warehouse, 1, 22.0), stage(warehouse, 2)), ())
    with pytest.raises(ReceiptAltered, match="restored from a backup"):
        warehouse.merge(later)
    assert warehouse.query(WHOLE_TABLE).equals(before)
    assert dict(warehouse.parts.staged(SLATE)).keys() == {"player-1", "player-2"}


def test_a_receipt_whose_hash_was_removed_by_hand_counts_as_edited(warehouse):
    merge(warehouse, stage(warehouse, 1), stage(warehouse, 2))
    by_hand(
        warehouse, f"UPDATE {RECEIPTS.qualified_name} SET receipt_hash = '' WHERE game_date = DATE '{SLATE}'"
    )
    with pytest.raises(ReceiptAltered, match="restored from a backup"):
        warehouse.receipts(SLATE)


def test_an_empty_file_gets_its_tables(open_duckdb):
    warehouse = open_duckdb()
    warehouse._database.parent.mkdir(parents=True, exist_ok=True)
    by_hand(warehouse, "SELECT 1")
    assert warehouse._database.exists()
    assert warehouse.receipts(SLATE) == ()


def test_a_file_that_lacks_what_is_never_null_is_named_and_left_as_it_is(open_duckdb):
    warehouse = open_duckdb()
    merge(warehouse, stage(warehouse, 1), stage(warehouse, 2))
    by_hand(warehouse, f"ALTER TABLE {RECEIPTS.qualified_name} DROP COLUMN status")
    by_hand(warehouse, "DROP TABLE predictions.schema_versions")
    with pytest.raises(WarehouseUnreadable, match=r"consolidation_receipts has no column status"):
        warehouse.receipts(SLATE)
    assert dict(warehouse.parts.staged(SLATE)).keys() == {"player-1", "player-2"}


def test_a_clock_that_was_set_back_does_not_make_a_receipt_older_than_the_one_before_it(warehouse):
    merge(warehouse, stage(warehouse, 1), stage(warehouse, 2))
    first, statement = dated(warehouse.receipts(SLATE)[-1], datetime(2100, 1, 1, tzinfo=UTC))
    by_hand(warehouse, statement)
    second = merge(warehouse, stage(warehouse, 1, 22.0), stage(warehouse, 2))
    third = merge(warehouse, stage(warehouse, 1, 20.0), stage(warehouse, 2))
    assert [r.receipt_id for r in warehouse.receipts(SLATE)] == [r.receipt_id for r in (first, second, third)]
    assert [r.revision for r in warehouse.receipts(SLATE)] == [1, 2, 3]
    assert first.consolidated_at < second.consolidated_at < third.consolidated_at
    assert 0 <= second.merge_ms < 600_000
