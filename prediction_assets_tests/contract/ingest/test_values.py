"""How single cells become values."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prediction_assets.ingest import values


@pytest.mark.parametrize(
    ("read", "cell", "expected"),
    [
        (values.whole_number(), "26", 26),
        (values.whole_number(), " +26 ", 26),
        (values.whole_number(), "-137.0", -137),
        (values.whole_number(), 26.0, 26),
        (values.whole_number(), Decimal("26.00"), 26),
        (values.exact_decimal, "24.5", Decimal("24.5")),
        (values.exact_decimal, 0.1, Decimal("0.1")),
        (values.exact_decimal, 24, Decimal(24)),
        (values.calendar_date, "2024-10-22", date(2024, 10, 22)),
        (values.calendar_date, "2024-10-22T00:00:00", date(2024, 10, 22)),
        (values.calendar_date, "2024-10-22 00:00:00.000", date(2024, 10, 22)),
        (values.calendar_date, "2024-10-22T00:00:00Z", date(2024, 10, 22)),
        (values.calendar_date, datetime(2024, 10, 22), date(2024, 10, 22)),
        (values.calendar_date, date(2024, 10, 22), date(2024, 10, 22)),
        (values.instant, "2025-01-01T00:10:00Z", datetime(2025, 1, 1, 0, 10, tzinfo=UTC)),
        (values.instant, "2024-12-31 19:10:00-05:00", datetime(2025, 1, 1, 0, 10, tzinfo=UTC)),
        (values.game_id, "0022400061", "0022400061"),
        (values.game_id, "22400061", "0022400061"),
        (values.game_id, 22300061, "0022300061"),
        (values.game_id, 22300061.0, "0022300061"),
        (values.team_code, " DEN ", "DEN"),
        (values.text, " two\r\nlines\u2028and\ta tab ", "two lines and a tab"),
        (values.name, "Luka\n\n# Dončić", "Luka # Dončić"),
    ],
)
def test_a_cell_is_read_as(read: Callable[[Any], Any], cell: object, expected: object) -> None:
    assert read(cell) == expected


@pytest.mark.parametrize(
    ("read", "cell", "problem"),
    [
        (values.text, "x" * 5000, "'xxxxxxxxxxxxxxxxxxxx'... has 5,000 characters, and a text at most 1,000"),
        (values.name, "x" * 5000, "'xxxxxxxxxxxxxxxxxxxx'... has 5,000 characters, and a name at most 100"),
        (values.whole_number(), "DNP", "'DNP' is not a whole number"),
        (values.whole_number(), "26.5", "'26.5' is not a whole number"),
        (values.whole_number(), "1_000", "'1_000' is not a whole number"),
        (values.whole_number(), "٣", "is not a whole number"),
        (values.whole_number(), float("inf"), "is not a whole number"),
        (values.whole_number(), True, "is not a whole number"),
        (values.whole_number(minimum=0), "-3", "-3 is below 0"),
        (values.whole_number(maximum=9), 10, "10 is above 9"),
        (values.exact_decimal, "nan", "'nan' is not a finite decimal"),
        (values.exact_decimal, "1e3", "'1e3' is not a finite decimal"),
        (values.calendar_date, "2024-13-22", "'2024-13-22' is not a date"),
        (values.calendar_date, "22/10/2024", "is not a date"),
        (values.calendar_date, "20241022", "is not a date"),
        (values.calendar_date, 20241022, "is not a date"),
        (values.calendar_date, "1900-01-01", "no game was played in 1900"),
        (values.calendar_date, "2024-10-22T23:40:00Z", "has a time of day"),
        (values.calendar_date, datetime(2024, 10, 22, 19, 30), "has a time of day"),
        (values.instant, "2025-01-01T00:10:00", "has no time zone"),
        (values.instant, datetime(2025, 1, 1), "has no time zone"),
        (values.instant, "1735690200", "is not a timestamp"),
        (values.instant, "2025-01-01T25:10:00Z", "is not a timestamp"),
        (values.game_id, "61", "is not a game id"),
        (values.game_id, "00224000611", "is not a game id"),
        (values.team_code, "Denver", "is not a team abbreviation"),
    ],
)
def test_a_cell_is_refused_with_its_value(read: Callable[[Any], Any], cell: object, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        read(cell)


@given(st.datetimes(min_value=datetime(1950, 1, 1), max_value=datetime(2090, 1, 1)), st.integers(-14, 14))
def test_an_instant_is_the_same_in_whatever_zone_it_is_written(moment: datetime, offset: int) -> None:
    zoned = moment.replace(tzinfo=timezone(timedelta(hours=offset)))
    assert values.instant(zoned.isoformat()) == values.instant(zoned) == zoned


@given(st.decimals(min_value=0, max_value=9999, places=2))
def test_a_decimal_survives_being_written_as_a_float(number: Decimal) -> None:
    assert values.exact_decimal(float(number)) == values.exact_decimal(str(number)) == number
