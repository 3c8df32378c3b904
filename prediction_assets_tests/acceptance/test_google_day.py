"""What a day takes at Google, in calls by service: an idle one, and one with a slate."""

from __future__ import annotations

from collections import Counter

import pytest

from benchmarks.google_bill import usd
from prediction_assets.stores.gcp.parts import Layout
from prediction_assets_tests.google_calls import (
    DELETES,
    LOADS,
    QUERIES,
    READS,
    TABLES_READ,
    WRITES,
    Calls,
    CountedWarehouse,
)
from prediction_assets_tests.google_day import Day, Ticks, of_players
from prediction_assets_tests.in_memory import InMemoryWarehouse
from prediction_assets_tests.made_up import SLATE, player, rows_of


@pytest.mark.parametrize(
    ("layout", "loads", "tables", "to_drop_one"),
    [("per_player", 3, 3, 0), ("per_run", 1, 1, 1)],
)
def test_a_table_of_several_parts_is_one_load_job_and_is_changed_when_one_of_them_goes(
    layout: Layout, loads: int, tables: int, to_drop_one: int
) -> None:
    calls: Calls = Counter()
    parts = CountedWarehouse(InMemoryWarehouse(), calls, layout).parts
    written = [
        parts.write(SLATE, (who := player(n)).slug, rows_of(who, {"24.5": 20.0}), 1) for n in (1, 2, 3)
    ]
    parts.flush(SLATE)
    assert calls == {LOADS: loads}
    assert len(parts.selects([part.part_id for part in written])) == tables
    names = [(part.player_slug, part.part_id) for part in written]
    assert list(parts.drop(SLATE, names[:1])) == names[:1]
    assert calls[QUERIES] == calls[TABLES_READ] == to_drop_one
    assert list(parts.drop(SLATE, names)) == names[1:]
    assert calls[QUERIES] == to_drop_one, "a whole table is deleted without a job"


def day(players: int) -> Day:
    """Return a made-up day whose slate takes 7 + 2 n reads."""
    ticks = Ticks(a_day=100, slates=3, calls=Counter({READS: 5, QUERIES: 1}), looks=2)
    return Day(players, {"made_up": ticks}, Counter({READS: 7 + 2 * players}))


def test_a_larger_slate_is_computed_from_two_small_ones() -> None:
    found = of_players(day(100), day(200), 450)
    assert (found.players, found.slate) == (450, day(450).slate)
    assert found.idle() == {READS: 1500, QUERIES: 300}
    assert found.idle(players=11)[READS] == 1500 + 100 * 3 * 2 * 10


def test_the_bill_is_the_list_price_of_each_call() -> None:
    assert usd(Counter({READS: 100_000, WRITES: 100_000, DELETES: 100_000})) == pytest.approx(0.26)
    assert usd(Counter({TABLES_READ: 1024**2 // 10, LOADS: 1000, QUERIES: 1000})) == pytest.approx(
        6.25, abs=0.001
    )
