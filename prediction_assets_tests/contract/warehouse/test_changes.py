"""What a revision changed against the one before it, and which number it gets."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import pyarrow as pa
import pytest

from prediction_assets.slate.completion_message import Changes, message_id
from prediction_assets.slate.merge_plan import plan
from prediction_assets.slate.outcome import PlayerOutcome
from prediction_assets.slate.receipt import Receipt
from prediction_assets.slate.revisions import SeenRevision, revision_id
from prediction_assets.steps.announce import read_changes
from prediction_assets.stores.protocols import Warehouse
from prediction_assets.stores.sql.tables import PART_SCHEMA
from prediction_assets_tests.contract.warehouse.conftest import BY_DIALECT, opened
from prediction_assets_tests.made_up import (
    SLATE,
    batch,
    bet,
    player,
    progress_of,
    row_content_hash,
    rows_of,
    staged,
)

FENCES = itertools.count(1)
"""Each write is a run of its own, later than the ones before."""

PROBABILITIES = {"OVER": 0.7, "PASS": 0.5, "UNDER": 0.3}


@pytest.fixture(params=BY_DIALECT)
def warehouse(request: pytest.FixtureRequest) -> Warehouse:
    return opened(request)


def stage(warehouse: Warehouse, number: int, recommended: Mapping[str, str]) -> PlayerOutcome:
    """Stage a player with a recommendation at each line."""
    who = player(number)
    rows = rows_of(who, dict.fromkeys(recommended, 20.0)).to_pylist()
    for row, recommendation in zip(rows, recommended.values(), strict=True):
        row |= {
            **bet(PROBABILITIES[recommendation]),
            "predicted_points": {"OVER": 30.0, "PASS": float(row["line"]), "UNDER": 10.0}[recommendation],
        }
        row["content_hash"] = row_content_hash(row)
    return staged(
        warehouse.parts.write(SLATE, who.slug, pa.Table.from_pylist(rows, schema=PART_SCHEMA), next(FENCES))
    )


def merge(warehouse: Warehouse, *outcomes: PlayerOutcome, seen: tuple[SeenRevision, ...] = ()) -> Receipt:
    progress = progress_of(batch(len(outcomes)), *outcomes)
    return warehouse.merge(plan(progress, warehouse.receipts(SLATE), seen=seen))


def test_a_revision_names_the_players_whose_rows_changed_and_counts_what_flipped(
    warehouse: Warehouse,
) -> None:
    first = stage(warehouse, 1, {"24.5": "OVER", "25.5": "PASS", "26.5": "UNDER"})
    second = stage(warehouse, 2, {"24.5": "OVER"})
    third = stage(warehouse, 3, {"24.5": "OVER"})
    one = merge(warehouse, first, second, third)
    assert read_changes(one, warehouse) == Changes(("player-1", "player-2", "player-3"), 0, 4)

    first = stage(warehouse, 1, {"24.5": "UNDER", "25.5": "OVER", "26.5": "UNDER"})  # one flips, one is new
    third = stage(warehouse, 3, {"25.5": "UNDER"})  # his line moved
    two = merge(warehouse, first, second, third)
    assert (two.revision, read_changes(two, warehouse)) == (2, Changes(("player-1", "player-3"), 1, 5))

    second = stage(warehouse, 2, {"24.5": "OVER"})
    again = merge(warehouse, first, second, third)
    assert (again.revision, again.receipt_id == two.receipt_id) == (2, False)
    assert read_changes(again, warehouse) == read_changes(two, warehouse)
    assert read_changes(one, warehouse) == Changes(("player-1", "player-2", "player-3"), 0, 4)

    back = merge(
        warehouse, stage(warehouse, 1, {"24.5": "OVER", "25.5": "PASS", "26.5": "UNDER"}), second, third
    )
    assert (back.revision, read_changes(back, warehouse)) == (3, Changes(("player-1",), 1, 4))


def test_new_content_exceeds_the_numbers_that_other_stores_have_seen(warehouse: Warehouse) -> None:
    outcome = stage(warehouse, 1, {"24.5": "OVER"})
    own = plan(progress_of(batch(1), outcome), ()).content_digest
    one = merge(warehouse, outcome, seen=(SeenRevision(3, "another content"),))
    assert (one.revision, one.content_digest) == (4, own)
    same = merge(warehouse, stage(warehouse, 1, {"24.5": "OVER"}), seen=(SeenRevision(4, message_id(one)),))
    assert (same.revision, same.receipt_id == one.receipt_id) == (4, False)
    same = merge(warehouse, stage(warehouse, 1, {"24.5": "OVER"}), seen=(SeenRevision(6, "another content"),))
    assert (same.revision, same.content_digest) == (7, own)
    other = merge(
        warehouse, stage(warehouse, 1, {"24.5": "UNDER"}), seen=(SeenRevision(7, message_id(same)),)
    )
    assert other.revision == 8


def test_a_lost_warehouse_gives_the_same_content_its_own_number_again(warehouse: Warehouse) -> None:
    outcome = stage(warehouse, 1, {"24.5": "OVER"})
    own = plan(progress_of(batch(1), outcome), ()).content_digest
    assert merge(warehouse, outcome, seen=(SeenRevision(3, revision_id(SLATE, 3, own)),)).revision == 3
