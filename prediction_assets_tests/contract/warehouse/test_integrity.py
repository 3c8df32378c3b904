"""What is merged is what was staged: no changed value and no flipped bit gets into the table."""

from __future__ import annotations

import random
import struct
from decimal import Decimal

import pyarrow as pa
import pytest

from prediction_assets.errors import PartMismatch
from prediction_assets.slate.merge_plan import plan
from prediction_assets.slate.staged_rows import row_hashes
from prediction_assets.stores.local.parts import ArrowParts, ArrowSnapshots
from prediction_assets.stores.local.warehouse import DuckDBWarehouse
from prediction_assets.stores.protocols import Warehouse
from prediction_assets.stores.sql.tables import PART_SCHEMA, PREDICTIONS
from prediction_assets_tests.in_memory import InMemoryWarehouse
from prediction_assets_tests.made_up import (
    SLATE,
    batch,
    player,
    progress_of,
    row_content_hash,
    rows_of,
    staged,
)

LINES = {"24.5": 20.125, "25.0": 20.125, "25.5": 19.75}
OTHER = {pa.string(): "other", pa.int64(): 7, pa.float64(): 27.125, pa.bool_(): False}
VALUES = sorted(set(PART_SCHEMA.names) - {"content_hash", "player_slug", "player_id", "game_date"})
"""Whose part it is, and of which date, is refused with words of its own."""


@pytest.fixture(params=["duckdb", "in_memory", "bigquery"])
def any_warehouse(request) -> Warehouse:
    if request.param == "in_memory":
        return InMemoryWarehouse()
    return request.getfixturevalue(f"open_{request.param}")()


@pytest.fixture
def warehouse(tmp_path) -> DuckDBWarehouse:
    parts = ArrowParts(tmp_path / "staging")
    return DuckDBWarehouse(tmp_path / "warehouse.duckdb", parts, ArrowSnapshots(tmp_path / "features"))


def merged(warehouse: DuckDBWarehouse, outcome) -> list[dict[str, object]]:
    """Merge one player's part and return the values that the table has then."""
    warehouse.merge(plan(progress_of(batch(1), outcome), warehouse.receipts(SLATE)))
    columns = ", ".join(PART_SCHEMA.names)
    return warehouse.query(f"SELECT {columns} FROM {PREDICTIONS.qualified_name} ORDER BY line").to_pylist()


def test_a_part_in_which_a_row_has_lost_its_player_is_refused_and_its_player_named():
    warehouse = InMemoryWarehouse()
    part = warehouse.parts.write(SLATE, "player-1", rows_of(player(1), LINES), 1)
    stored = warehouse.parts._parts
    rows = stored[SLATE, "player-1", part.part_id]
    index = rows.schema.get_field_index("player_slug")
    slugs = [None, *rows["player_slug"].to_pylist()[1:]]
    stored[SLATE, "player-1", part.part_id] = rows.set_column(index, rows.schema.field(index), [slugs])
    with pytest.raises(PartMismatch, match="player-1"):
        merged(warehouse, staged(part))


def test_a_value_that_changed_after_staging_is_refused_although_its_hash_stands(any_warehouse):
    """Each part has one changed value: its outcome says what a staging run would have written."""
    warehouse = any_warehouse
    outcomes = []
    for number, column in enumerate(VALUES, 1):
        rows = rows_of(player(number), LINES)
        kind = PART_SCHEMA.field(column).type
        values = [OTHER.get(kind, Decimal("1.00")), *rows[column].to_pylist()[1:]]
        changed = rows.set_column(rows.schema.get_field_index(column), column, [pa.array(values, kind)])
        outcomes.append(staged(warehouse.parts.write(SLATE, f"player-{number}", changed, 1)))
    every = progress_of(batch(len(VALUES)), *outcomes)
    with pytest.raises(PartMismatch, match=f"player-1, .* and {len(VALUES) - 5} more"):
        warehouse.merge(plan(every, warehouse.receipts(SLATE)))
    assert len(warehouse.parts.staged(SLATE)) == len(VALUES)
    assert warehouse.receipts(SLATE) == ()


UNUSUAL = {
    "player_name": ["Nikola Jokić", 'O\'Neal, "Shaq"', "\U0001f3c0 x", "", "1:a,2"],
    "bookmaker": [None, "", "-", "a,b", "é"],
    "is_home": [None, True, False, None, True],
    "line_offset": [Decimal("-2.50"), Decimal("0.00"), Decimal("0.01"), Decimal("999.99"), Decimal("-0.01")],
    "predicted_points": [0.1 + 0.2, 1 / 3, 1e-12, -0.0, 999_999.9],
    "standard_deviation": [5e-324, 2.0**-32, -1e-30, 1e6, 60.000000000000001],
    "probability_over": [-1 / 3, 1e300, 0.9999, 0.0001, 0.5],
}


def test_every_warehouse_computes_the_hash_that_python_does_of_unusual_values_too(any_warehouse):
    rows = rows_of(player(1), {f"{n}.50": 20.0 for n in range(5)})
    for column, values in UNUSUAL.items():
        at = rows.schema.get_field_index(column)
        rows = rows.set_column(at, column, [pa.array(values, PART_SCHEMA.field(column).type)])
    at = rows.schema.get_field_index("content_hash")
    rows = rows.set_column(at, "content_hash", [pa.array(row_hashes(rows))])
    assert row_hashes(rows) == [row_content_hash(row) for row in rows.to_pylist()]
    done = staged(any_warehouse.parts.write(SLATE, "player-1", rows, 1))
    said = dict.fromkeys(("values_in_range", "recommendation_agrees_with_its_line"), "made up to be unusual")
    receipt = any_warehouse.merge(plan(progress_of(batch(1), done), (), accepted=said))
    assert receipt.rows == 5


def test_a_refused_part_is_named(warehouse):
    changed = rows_of(player(1), LINES)
    points = changed.schema.get_field_index("predicted_points")
    changed = changed.set_column(points, "predicted_points", pa.array([1.0, 20.125, 19.75]))
    part = warehouse.parts.write(SLATE, "player-1", changed, 1)
    with pytest.raises(PartMismatch, match="staged rows differ from what was recorded at staging: player-1"):
        merged(warehouse, staged(part))


@pytest.mark.parametrize(
    "of_line", [(0, 1, 2, 2**30), (0, 2**30, 2**30, 2**30), (-1, 1, 2, 3), (2, 1, 1, 1)], ids=str
)
def test_a_part_whose_texts_are_beyond_its_end_or_run_backwards_is_refused_before_anybody_reads_them(
    warehouse, of_line
):
    """Reading such a text may end the process."""
    rows = rows_of(player(1), LINES)
    part = warehouse.parts.write(SLATE, "player-1", rows, 1)
    file = warehouse.parts.path(SLATE, "player-1", part.part_id)
    size = len(rows["system"][0].as_py())
    healthy = struct.pack("<4i", *(size * n for n in range(4)))
    assert healthy in file.read_bytes()
    damaged = struct.pack("<4i", *(size * n if n < 4 else n for n in of_line))
    file.write_bytes(file.read_bytes().replace(healthy, damaged))
    with pytest.raises(PartMismatch, match=f"player-1: .*{file.name}: Column "):
        merged(warehouse, staged(part))


def test_of_20_flipped_bits_in_a_part_none_is_merged_with_other_values(tmp_path):
    rows = rows_of(player(1), LINES)
    expected = rows.sort_by("line").to_pylist()
    generator, homes = random.Random(20260102), 0
    for _ in range(20):
        home = tmp_path / str(
            homes
        )  # a flip that changes nothing is merged; the next one gets a home of its own
        parts = ArrowParts(home / "staging")
        warehouse = DuckDBWarehouse(home / "warehouse.duckdb", parts, ArrowSnapshots(home / "features"))
        outcome = staged(parts.write(SLATE, "player-1", rows, 1))
        file = parts.path(SLATE, "player-1", outcome.part.part_id)
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
    assert 0 < homes < 20  # flips of both kinds: the test reaches the values
