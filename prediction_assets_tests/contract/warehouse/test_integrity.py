"""What is merged locally is what was staged: no changed value and no flipped bit gets into the table."""

from __future__ import annotations

import random
from contextlib import suppress
from decimal import Decimal

import pyarrow as pa
import pytest

from prediction_assets.errors import PartMismatch
from prediction_assets.slate.merge_plan import plan
from prediction_assets.stores.local.parts import ParquetParts, ParquetSnapshots
from prediction_assets.stores.local.warehouse import DuckDBWarehouse
from prediction_assets.stores.sql.tables import PART_SCHEMA, PREDICTIONS
from prediction_assets_tests.made_up import SLATE, batch, player, progress_of, rows_of, staged

LINES = {"24.5": 20.125, "25.0": 20.125, "25.5": 19.75}
OTHER = {pa.string(): "other", pa.int64(): 7, pa.float64(): 27.125, pa.bool_(): False}
VALUES = sorted(set(PART_SCHEMA.names) - {"content_hash", "player_slug", "player_id", "game_date"})
"""Whose part it is, and of which date, is refused with words of its own."""


@pytest.fixture
def warehouse(tmp_path) -> DuckDBWarehouse:
    parts = ParquetParts(tmp_path / "staging")
    return DuckDBWarehouse(tmp_path / "warehouse.duckdb", parts, ParquetSnapshots(tmp_path / "features"))


def merged(warehouse: DuckDBWarehouse, outcome) -> list[dict[str, object]]:
    """Merge one player's part and return the values that the table has then."""
    warehouse.merge(plan(progress_of(batch(1), outcome), warehouse.receipts(SLATE)))
    columns = ", ".join(PART_SCHEMA.names)
    return warehouse.query(f"SELECT {columns} FROM {PREDICTIONS.qualified_name} ORDER BY line").to_pylist()


def test_a_value_that_changed_after_staging_is_refused_although_its_hash_stands(warehouse):
    """The part's outcome says what a staging run would have written; the file holds another value."""
    rows = rows_of(player(1), LINES)
    merged_anyway = []
    for column in VALUES:
        kind = PART_SCHEMA.field(column).type
        values = [OTHER.get(kind, Decimal("1.00")), *rows[column].to_pylist()[1:]]
        changed = rows.set_column(rows.schema.get_field_index(column), column, [pa.array(values, kind)])
        part = warehouse.parts.write(SLATE, "player-1", changed)
        with suppress(PartMismatch):
            merged(warehouse, staged(part))
            merged_anyway.append(column)
        assert set(warehouse.parts.staged(SLATE)) == {"player-1"}
    assert merged_anyway == []
    assert warehouse.receipts(SLATE) == ()


def test_a_refused_part_is_named(warehouse):
    changed = rows_of(player(1), LINES)
    points = changed.schema.get_field_index("predicted_points")
    changed = changed.set_column(points, "predicted_points", pa.array([1.0, 20.125, 19.75]))
    part = warehouse.parts.write(SLATE, "player-1", changed)
    with pytest.raises(PartMismatch, match="staged rows differ from what was recorded at staging: player-1"):
        merged(warehouse, staged(part))


def test_of_40_flipped_bits_in_a_part_none_is_merged_with_other_values(tmp_path):
    rows = rows_of(player(1), LINES)
    expected = rows.sort_by("line").to_pylist()
    generator, homes = random.Random(20260102), 0
    for _ in range(40):
        home = tmp_path / str(
            homes
        )  # a flip that changes nothing is merged; the next one gets a home of its own
        parts = ParquetParts(home / "staging")
        warehouse = DuckDBWarehouse(home / "warehouse.duckdb", parts, ParquetSnapshots(home / "features"))
        outcome = staged(parts.write(SLATE, "player-1", rows))
        file = parts.path(SLATE, "player-1")
        content = bytearray(file.read_bytes())
        bit = generator.randrange(len(content) * 8)
        content[bit // 8] ^= 1 << bit % 8
        file.write_bytes(content)
        try:
            found = merged(warehouse, outcome)
        except PartMismatch:
            continue
        homes += 1
        assert found == expected, f"bit {bit} was merged"
    assert 0 < homes < 40  # flips of both kinds: the test reaches the values
