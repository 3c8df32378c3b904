"""Coverage: holes are found however old they are, and what may be empty isn't called missing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock_time
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from prediction_assets.monitoring.coverage import COLUMNS, Cell, Day, coverage, gaps
from prediction_assets.monitoring.slo import Month, read_months
from prediction_assets.slate.completion_message import OutboxEntry
from prediction_assets.slate.keys import GAME_TIME_ZONE
from prediction_assets.slate.merge_plan import plan
from prediction_assets.slate.receipt import Receipt
from prediction_assets.stores.protocols import Warehouse
from prediction_assets.stores.sql import queries
from prediction_assets.stores.sql.tables import GAME_LOGS, PROP_LINES, SCHEDULE
from prediction_assets_tests.contract.warehouse.conftest import BY_DIALECT, opened
from prediction_assets_tests.in_memory import InMemoryOutbox, InMemoryWarehouse
from prediction_assets_tests.made_up import SLATE, batch, player, progress_of, rows_of, staged
from prediction_assets_tests.made_up_messages import message
from prediction_assets_tests.real_data import REAL_DATA, WITHOUT_REAL_DATA, five_seasons, played_games

TODAY = date(2025, 3, 1)


@pytest.fixture(params=BY_DIALECT)
def warehouse(request: pytest.FixtureRequest) -> Warehouse:
    return opened(request)


def games(*days: date) -> pa.Table:
    return SCHEDULE.arrow_table(
        [
            {"league": "NBA", "season_id": 22024, "game_id": f"00224{number:05}", "game_date": day,
             "home_team": "DEN", "away_team": "LAL", "team_a": "DEN", "team_b": "LAL"}
            for number, day in enumerate(days)
        ]
    )  # fmt: skip


def logs(*days: date) -> pa.Table:
    rows = games(*days).to_pylist()
    counts = {c.name: 0 for c in GAME_LOGS.columns if c.required}
    return GAME_LOGS.arrow_table(
        [
            {**counts, "league": "NBA", "season_id": 22024, "game_id": row["game_id"], "game_date": row["game_date"],
             "player_id": 1, "player_name": "Any One", "team": "DEN", "team_name": "Denver", "opponent": "LAL"}
            for row in rows
        ]
    )  # fmt: skip


def grid(warehouse: Warehouse, first: date, last: date) -> dict[str, Day]:
    return {day.slate: day for day in coverage(warehouse, InMemoryOutbox(), first, last, TODAY)}


def every_other_day(count: int) -> list[date]:
    return [date(2024, 10, 22) + timedelta(days=2 * n) for n in range(count)]


def test_a_date_has_a_cell_of_each_kind(warehouse: Warehouse) -> None:
    days = every_other_day(3)
    warehouse.upsert(SCHEDULE, games(*days))
    warehouse.upsert(GAME_LOGS, logs(*days[:2]))
    found = grid(warehouse, days[0], days[-1])
    assert list(found) == [day.isoformat() for day in days]
    assert all(tuple(day.cells) == COLUMNS for day in found.values())
    assert found["2024-10-22"].missing == ()
    assert found["2024-10-26"].missing == ("game_logs",)
    # Nothing was ever predicted here: that is no hole.
    assert found["2024-10-22"].cells["predictions"] is Cell.MAY_BE_EMPTY


@pytest.mark.parametrize("without", ["logs", "schedule", "both"])
def test_a_hole_of_months_is_found_in_logs_in_the_schedule_and_in_both(without: str) -> None:
    warehouse, days = InMemoryWarehouse(), every_other_day(60)
    kept = [*days[:5], *days[-5:]]
    warehouse.upsert(SCHEDULE, games(*(days if without == "logs" else kept)))
    warehouse.upsert(GAME_LOGS, logs(*(days if without == "schedule" else kept)))
    lacking = [day for day in grid(warehouse, days[0], days[-1]).values() if day.missing]
    if without == "both":  # no date of the hole has anything, so each of them may have had games
        assert len(lacking) == (days[-5] - days[4]).days - 1
    else:
        assert len(lacking) == 50
    within = grid(warehouse, days[10], days[20])
    assert all(day.missing for day in within.values())
    assert within
    assert {day.missing for day in lacking} == {("game_logs",) if without == "logs" else ("schedule",)}


def test_dates_to_come_and_breaks_lack_nothing() -> None:
    warehouse = InMemoryWarehouse()
    played = [date(2025, 2, 13), date(2025, 2, 20)]
    to_come = [date(2025, 3, 1) + timedelta(days=9 * n) for n in range(5)]  # until the season's end
    warehouse.upsert(SCHEDULE, games(*played, *to_come, date(2025, 10, 20)))
    warehouse.upsert(GAME_LOGS, logs(*played))
    assert [day.slate for day in grid(warehouse, played[0], date(2025, 12, 1)).values() if day.missing] == []


@pytest.mark.parametrize("without", ["logs", "both"])
@pytest.mark.parametrize("year", [2020, 2024])
def test_a_hole_of_109_days_is_found_however_old_it_is(without: str, year: int) -> None:
    warehouse, began = InMemoryWarehouse(), date(year, 11, 20)
    daily = [date(year, 10, 22) + timedelta(days=n) for n in range(170)]
    hole = {began + timedelta(days=n) for n in range(109)}
    kept = [day for day in daily if day not in hole]
    warehouse.upsert(SCHEDULE, games(*(daily if without == "logs" else kept)))
    warehouse.upsert(GAME_LOGS, logs(*kept))
    found = coverage(warehouse, InMemoryOutbox(), daily[0], daily[-1], date(2026, 3, 1))
    assert {date.fromisoformat(day.slate) for day in found if day.missing} == hole


def of_season(year: int, first: int = 0, last: int = 170) -> list[date]:
    return [date(year, 10, 22) + timedelta(days=n) for n in range(first, last)]


def spanned(first: date, last: date) -> set[date]:
    return {first + timedelta(days=n) for n in range((last - first).days + 1)}


@pytest.mark.parametrize(
    ("case", "played", "hole"),
    [
        ("a season's end", [*of_season(2021, last=70), *of_season(2022)], (date(2021, 12, 31), date(2022, 4, 8))),
        ("a season's begin", [*of_season(2021), *of_season(2022, 109)], (date(2022, 11, 6), date(2023, 2, 7))),
        ("a whole season", [*of_season(2021), *of_season(2023)], (date(2022, 11, 6), date(2023, 4, 8))),
        ("the first season's begin", [*of_season(2021, 109), *of_season(2022)], None),
        ("the last season's end", [*of_season(2021), *of_season(2022, last=70)], None),
        ("a season that began late", [*of_season(2019), *of_season(2020, 61)], None),
        ("summers", [*of_season(2020, 61), *of_season(2021), *of_season(2022)], None),
        ("years in which seasons ended in March", [*of_season(1975, last=150), *of_season(1976, last=150)], None),
        ("nothing stored", [], None),
    ],
)  # fmt: skip
def test_a_hole_at_the_edge_of_a_season_is_found_between_other_seasons(case, played, hole) -> None:
    assert set(gaps(played)) == (spanned(*hole) if hole else set())


@pytest.mark.parametrize(("first", "last"), [(date(2022, 1, 10), date(2022, 2, 1)), (date.min, date.max)])
def test_a_span_in_a_hole_or_beyond_every_date_is_covered(first: date, last: date) -> None:
    warehouse = InMemoryWarehouse()
    played = [*of_season(2021, last=70), *of_season(2022)]
    warehouse.upsert(SCHEDULE, games(*played))
    warehouse.upsert(GAME_LOGS, logs(*played))
    found = coverage(warehouse, InMemoryOutbox(), first, last, date(2026, 3, 1))
    hole = spanned(date(2021, 12, 31), date(2022, 4, 8))
    assert {date.fromisoformat(day.slate) for day in found if day.missing} == hole & spanned(
        max(first, date(2021, 1, 1)), min(last, date(2023, 1, 1))
    )


@pytest.mark.skipif(not REAL_DATA.is_dir(), reason=WITHOUT_REAL_DATA)
def test_a_hole_of_109_days_in_five_real_seasons_is_found(open_duckdb: Any) -> None:
    """How long it takes is measured by the benchmark of coverage."""
    warehouse, every = open_duckdb(), five_seasons()
    began = date(2022, 11, 1)
    in_hole = pc.and_(
        pc.greater_equal(every["game_date"], pa.scalar(began)),
        pc.less(every["game_date"], pa.scalar(began + timedelta(days=109))),
    )
    warehouse.upsert(GAME_LOGS, every.filter(pc.invert(in_hole)))
    warehouse.upsert(SCHEDULE, played_games(every))
    days = coverage(warehouse, InMemoryOutbox(), date(2020, 8, 1), date(2025, 6, 30), date(2025, 7, 1))
    lacking = [day for day in days if day.missing]
    assert {day.missing for day in lacking} == {("game_logs",)}
    expected = {d.isoformat() for d in pc.unique(every.filter(in_hole)["game_date"]).to_pylist()}
    assert {day.slate for day in lacking} == expected
    assert len(expected) > 90


def merge_one_player(warehouse: Warehouse) -> Receipt:
    part = warehouse.parts.write(SLATE, "player-1", rows_of(player(1), {"24.5": 20.0}), 1)
    progress = progress_of(replace(batch(1), league="NBA"), staged(part))
    return warehouse.merge(plan(progress, warehouse.receipts(SLATE)))


def test_what_was_merged_is_owed_a_message_and_grades(warehouse: Warehouse) -> None:
    merge_one_player(warehouse)
    day = date.fromisoformat(SLATE)
    (found,) = coverage(warehouse, InMemoryOutbox(), day, day, day + timedelta(days=1))
    assert found.cells["predictions"] is Cell.COMPLETE
    assert {"message", "grades"} <= set(found.missing)


def lines(*offered: tuple[str, datetime, int | None]) -> pa.Table:
    """Return lines on games of a home team: when each begins, and minutes until it was seen."""
    return PROP_LINES.arrow_table(
        [
            {"league": "NBA", "event_id": home, "capture": str(number),
             "market": "player_points", "bookmaker": "a book", "player_name": "Any One",
             "line": Decimal("20.5"), "game_date": begins.astimezone(GAME_TIME_ZONE).date(), "commence_time": begins,
             "home_team": home, "away_team": "LAL",
             "captured_at": None if seen is None else begins - timedelta(hours=9) + timedelta(minutes=seen)}
            for number, (home, begins, seen) in enumerate(offered)
        ]
    )  # fmt: skip


def test_a_date_begins_with_its_first_game_by_the_newest_line_on_each(warehouse: Warehouse) -> None:
    tip = datetime(2025, 1, 3, 0, 0, tzinfo=UTC)  # 19:00 Eastern of the day before
    hour = timedelta(hours=1)
    next_day = tip + timedelta(days=1)
    warehouse.upsert(
        PROP_LINES,
        lines(("DEN", tip - hour, 0), ("DEN", tip + hour, 90), ("BOS", tip + 2 * hour, 5),
              ("DEN", next_day, 0), ("DEN", next_day + hour, None)),
    )  # fmt: skip
    span = {"league": "NBA", "first": date(2025, 1, 1), "last": date(2025, 1, 9)}
    assert [tuple(row.values()) for row in warehouse.query(queries.FIRST_TIP_OFFS, span).to_pylist()] == [
        (date(2025, 1, 2), tip + hour),
        (date(2025, 1, 3), next_day + hour),
    ]


def test_months_owe_each_slate_from_the_first_receipt_to_yesterday() -> None:
    warehouse, outbox = InMemoryWarehouse(), InMemoryOutbox()
    days = [date.fromisoformat(SLATE) + timedelta(days=n) for n in (-1, 0, 1, 2)]
    warehouse.upsert(SCHEDULE, games(*days))
    began, until = days[0], days[-1]
    assert read_months(warehouse, outbox, began, until, until) == []
    merged = merge_one_player(warehouse)
    announced = message(1, slate=SLATE)
    outbox.enqueue(OutboxEntry(announced["message_id"], SLATE, merged.receipt_id, 1, announced))
    found = read_months(warehouse, outbox, began, until, until)
    assert found == [Month(SLATE[:7], 2, 0, 0, 0, (SLATE, days[2].isoformat()))]
    noon = datetime.combine(days[1], clock_time(12), GAME_TIME_ZONE)
    outbox.mark_delivered(announced["message_id"], "d", noon - timedelta(hours=2))
    outbox.mark_acknowledged(announced["message_id"], noon - timedelta(hours=1))
    (month,) = read_months(warehouse, outbox, began, until, until)
    assert (month.published, month.acknowledged, month.before_tip_off, month.late) == (
        1,
        1,
        1,
        (str(days[2]),),
    )
