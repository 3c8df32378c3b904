"""Parts of a run's players in one table of BigQuery's: what is loaded, read and dropped together, and what isn't."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from unittest.mock import Mock

import pyarrow as pa
import pytest

from prediction_assets.errors import PartMismatch, WarehouseBusy
from prediction_assets.slate.merge_plan import plan
from prediction_assets.slate.outcome import PartRef
from prediction_assets.stores.gcp.parts import part_table
from prediction_assets.stores.gcp.warehouse import BigQueryWarehouse
from prediction_assets_tests.contract.warehouse.test_contract import active
from prediction_assets_tests.made_up import SLATE, batch, player, progress_of, rows_of, staged

OTHER = "2026-01-03"


@pytest.fixture
def warehouse(open_bigquery) -> BigQueryWarehouse:
    return open_bigquery(staging_layout="per_run")


def written(
    warehouse: BigQueryWarehouse, *numbers: int, points: float = 20.0, fence: int = 1
) -> list[PartRef]:
    """Stage players as one run does: each from a thread, and all of them flushed together."""
    with ThreadPoolExecutor(4) as pool:
        parts = list(
            pool.map(
                lambda who: warehouse.parts.write(SLATE, who.slug, rows_of(who, {"24.5": points}), fence),
                map(player, numbers),
            )
        )
    warehouse.parts.flush(SLATE)
    return parts


def tables(warehouse: BigQueryWarehouse) -> set[str]:
    return {item.table_id for item in warehouse.jobs.tables("staging")}


def names(*parts: PartRef) -> list[tuple[str, str]]:
    return sorted((part.player_slug, part.part_id) for part in parts)


def table_of(part: PartRef) -> str:
    return part_table(SLATE, part.player_slug, part.part_id)


def test_a_run_of_any_number_of_players_is_one_load_job_and_one_table(warehouse):
    parts = written(warehouse, *range(1, 9))
    assert warehouse.jobs.counts == {"load_parts": 1}
    assert tables(warehouse) == {table_of(parts[0])}
    assert len({part.part_id for part in parts}) == 8
    assert warehouse.parts.staged(SLATE) == names(*parts)
    warehouse.parts.flush(SLATE)
    assert warehouse.jobs.counts == {"load_parts": 1}, "what is loaded isn't loaded again"
    done = warehouse.merge(plan(progress_of(batch(8), *map(staged, parts)), ()))
    assert (done.rows, [each["part_id"] for each in done.parts]) == (8, [part.part_id for part in parts])


def test_what_is_not_flushed_is_no_part_yet_and_what_failed_to_load_is_loaded_by_the_next_flush(
    warehouse, monkeypatch
):
    part = warehouse.parts.write(SLATE, "player-1", rows_of(player(1), {"24.5": 20.0}), 1)
    assert (list(warehouse.parts.staged(SLATE)), list(warehouse.parts.slates())) == ([], [])
    assert warehouse.parts.missing(SLATE, [part]) == ["player-1"]
    with monkeypatch.context() as busy:
        busy.setattr(warehouse.jobs, "load", Mock(side_effect=WarehouseBusy("quota")))
        with pytest.raises(WarehouseBusy):
            warehouse.parts.flush(SLATE)
    warehouse.parts.flush(OTHER)
    assert list(warehouse.parts.staged(SLATE)) == []
    (later,) = written(warehouse, 2)
    assert warehouse.parts.staged(SLATE) == names(part, later)
    assert table_of(part) != table_of(later)


def test_two_runs_share_no_table_and_a_rerun_of_some_players_replaces_just_their_parts(warehouse):
    first = written(warehouse, *range(1, 7), fence=1)
    again = written(warehouse, 2, 5, points=21.0, fence=2)
    assert {table_of(part) for part in first}.isdisjoint({table_of(part) for part in again})
    chosen = {part.player_slug: part for part in [*first, *again]}
    done = warehouse.merge(plan(progress_of(batch(6), *map(staged, chosen.values())), ()))
    assert (done.rows, done.rows_inserted) == (6, 6)
    assert sorted(slug for (slug, _), points in active(warehouse).items() if points == 21.0) == [
        "player-2",
        "player-5",
    ]


def test_a_table_goes_with_its_last_part_and_no_part_goes_with_another(warehouse):
    parts = written(warehouse, 1, 2, 3, 4)
    own = written(warehouse, 1, fence=2)
    foreign = [("player-9", parts[0].part_id), ("player-1", "f" * 32)]
    assert list(warehouse.parts.drop(SLATE, foreign)) == []
    assert list(warehouse.parts.drop(SLATE, [*foreign, *names(parts[0], parts[2])])) == names(
        parts[0], parts[2]
    )
    assert warehouse.parts.staged(SLATE) == names(parts[1], parts[3], *own)
    assert warehouse.jobs.counts["drop_parts"] == 1
    assert list(warehouse.parts.drop(SLATE, names(*parts))) == names(parts[1], parts[3])
    assert tables(warehouse) == {table_of(own[0])}
    assert warehouse.jobs.counts["drop_parts"] == 1, "a whole table is deleted without a job"
    assert warehouse.parts.highest_fence(SLATE) == 2


def test_a_merge_takes_what_it_planned_of_a_table_or_nothing(warehouse, monkeypatch):
    parts = written(warehouse, 1, 2, 3)
    work = plan(progress_of(batch(2), *map(staged, parts[:2])), ())
    list(warehouse.parts.drop(SLATE, names(parts[1])))
    with pytest.raises(PartMismatch, match="player-2"):
        warehouse.merge(work)
    monkeypatch.setattr(warehouse.parts, "missing", lambda slate, parts: [])  # it went away after the look
    with pytest.raises(PartMismatch, match="player-2"):
        warehouse.merge(work)
    assert warehouse.receipts(SLATE) == ()
    assert warehouse.merge(plan(progress_of(batch(1), staged(parts[0])), ())).rows == 1


def test_either_layout_is_read_whichever_is_written(warehouse, open_bigquery):
    other = open_bigquery()
    shared = written(warehouse, 1, 2)
    alone = [other.parts.write(SLATE, "player-3", rows_of(player(3), {"24.5": 20.0}), 2)]
    for each in (warehouse, other):
        assert each.parts.staged(SLATE) == names(*shared, *alone)
        assert (each.parts.highest_fence(SLATE), list(each.parts.strays(SLATE))) == (2, [])
    assert other.merge(plan(progress_of(batch(3), *map(staged, [*shared, *alone])), ())).rows == 3
    assert sorted(warehouse.parts.drop(SLATE, names(*shared, *alone))) == names(*shared, *alone)
    assert tables(warehouse) == set()


def test_rows_that_no_table_can_hold_fail_their_player_and_nobody_else(warehouse):
    rows = rows_of(player(1), {"24.5": 20.0})
    at = rows.schema.get_field_index("player_id")
    without = rows.set_column(at, "player_id", pa.nulls(1, pa.int64()))
    with pytest.raises(ValueError, match="'player_id' with null values"):
        warehouse.parts.write(SLATE, "player-1", without, 1)
    assert warehouse.parts.staged(SLATE) == names()
    (part,) = written(warehouse, 2)
    assert warehouse.parts.staged(SLATE) == names(part)
