"""Quarantine on every warehouse: the same rows wait, and the same decisions do the same."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from prediction_assets.ingest import quarantine
from prediction_assets.ingest.merging import Merged, merge_schedule
from prediction_assets.ingest.schedule import read_schedule
from prediction_assets.stores.protocols import Warehouse
from prediction_assets.stores.sql import queries
from prediction_assets_tests.contract.warehouse.conftest import BY_DIALECT, opened
from prediction_assets_tests.in_memory import InMemoryBatchState

NOW = datetime(2024, 11, 5, 15, tzinfo=UTC)


@pytest.fixture(params=BY_DIALECT)
def warehouse(request: pytest.FixtureRequest) -> Warehouse:
    return opened(request)


def ingest(warehouse: Warehouse, folder: Path, *games: str) -> Merged:
    path = folder / "schedule.csv"
    path.write_text("\n".join(["game_id,game_date,home_team,away_team,postponed", *games]), "utf-8")
    return merge_schedule(warehouse, InMemoryBatchState(), read_schedule(path), str(path), NOW)


def stored(warehouse: Warehouse) -> list[tuple[str, str]]:
    rows = warehouse.query(queries.SCHEDULED_GAMES, {"league": "NBA"}).to_pylist()
    return [(row["game_id"][-2:], row["game_date"].isoformat()) for row in rows]


def test_a_row_waits_is_accepted_and_takes_the_place_of_the_stored_one(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    first = (
        "0022400061,2024-11-20,DEN,LAL,",
        "0022400062,2024-11-20,BOS,NYK,",
        "0022400063,2024-11-21,UTA,SAS,",
    )
    assert ingest(warehouse, tmp_path, *first).quarantined == ()
    # One game moves without a word, one is omitted, one is postponed.
    merged = ingest(
        warehouse, tmp_path, "0022400061,2024-11-22,DEN,LAL,", "0022400063,2024-11-21,UTA,SAS,Y",
        "0022400064,2024-11-20,MIA,ORL,",
    )  # fmt: skip
    assert (merged.upserted.inserted, merged.upserted.removed) == (1, 1)
    waiting = {entry.kind.value: entry for entry in quarantine.find(warehouse, ())}
    assert {kind: entry.subject for kind, entry in waiting.items()} == {
        "contradiction": "game 0022400061",
        "omission": "game 0022400062",
    }
    assert stored(warehouse) == [("61", "2024-11-20"), ("62", "2024-11-20"), ("64", "2024-11-20")]
    (summary,) = warehouse.query(queries.OPEN_QUARANTINE).to_pylist()
    assert (summary["facts"], summary["row_count"]) == ("schedule", 2)
    quarantine.accept(warehouse, list(waiting.values()))
    assert stored(warehouse) == [("61", "2024-11-22"), ("64", "2024-11-20")]
    assert quarantine.find(warehouse, ()) == []
