"""How old lines and reports may be: on game days from the roster to the last tip-off, and never else."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from prediction_assets.monitoring.freshness import ages
from prediction_assets.nba.tonight import Tonight

SLATE = date(2026, 1, 16)
DUE = datetime(2026, 1, 16, 15, tzinfo=UTC)  # 07:00 in Los Angeles, 10:00 Eastern
TIP_OFF = datetime(2026, 1, 17, 3, tzinfo=UTC)
HOUR, QUARTER = timedelta(hours=1), timedelta(minutes=15)
BOTH = ("prop_lines", "injury_reports")


def tonight(line: float | None = 0, report: float | None = 0, games: int = 3) -> Tonight:
    """Make an evening whose newest line and report came so many hours after the roster."""
    times = [None if hours is None else DUE + hours * HOUR for hours in (line, report)]
    return Tonight(SLATE, games, TIP_OFF, *times)


def stale(some: Tonight, hours: float, sourced=BOTH, every=QUARTER) -> list[str]:
    found = ages(some, sourced, DUE, every, DUE + hours * HOUR)
    return [each.facts for each in found if each.is_stale]


@pytest.mark.parametrize(
    ("some", "hours", "expected"),
    [
        pytest.param(tonight(), 2, [], id="two hours old"),
        pytest.param(tonight(), 2.01, [*BOTH], id="older"),
        pytest.param(tonight(line=3), 4, ["injury_reports"], id="one of two"),
        pytest.param(tonight(-12, -12), -0.1, [], id="before the roster"),
        pytest.param(tonight(-12, -12), 0, [*BOTH], id="yesterday's, at the roster"),
        pytest.param(tonight(None, None), 2, [], id="none yet"),
        pytest.param(tonight(None, None), 2.1, ["prop_lines"], id="no line two hours after the roster"),
        pytest.param(tonight(5, None), 5.1, ["injury_reports"], id="no report two hours after teams have reported"),
        pytest.param(tonight(), 11.9, [*BOTH], id="before the last tip-off"),
        pytest.param(tonight(), 12, [], id="at the last tip-off"),
        pytest.param(tonight(games=0), 6, [], id="a day without games"),
    ],
)  # fmt: skip
def test_what_is_stale(some, hours, expected):
    assert stale(some, hours) == expected


def test_a_fact_without_a_source_is_never_stale_and_rare_looks_make_it_so_later():
    assert stale(tonight(), 6, sourced=("injury_reports",)) == ["injury_reports"]
    assert stale(tonight(), 6, sourced=()) == []
    assert stale(tonight(), 6, every=90 * timedelta(minutes=1)) == []
    assert stale(tonight(), 6.1, every=90 * timedelta(minutes=1)) == [*BOTH]


def test_each_says_its_age():
    fresh, old = ages(tonight(line=2.75), BOTH, DUE, QUARTER, DUE + 3 * HOUR)
    assert (fresh.line, fresh.is_stale) == ("the newest line is 15 min old", False)
    assert old.line == "the newest injury report is 3.0 h old; after 2.0 h it counts as stale"
    assert old.evidence == {"newest": "2026-01-16 15:00:00Z", "age_minutes": 180, "limit_minutes": 120}
