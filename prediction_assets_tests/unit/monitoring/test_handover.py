"""A dead consumer is an alert before the first tip-off; and the share of slates that were in time."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from prediction_assets.monitoring.alert_findings import unacknowledged
from prediction_assets.monitoring.findings import Pages
from prediction_assets.monitoring.slo import Month, months
from prediction_assets.slate.acknowledgement import Handover, handover
from prediction_assets.slate.completion_message import OutboxEntry
from prediction_assets.slate.keys import GAME_TIME_ZONE
from prediction_assets.stores.alert import Severity
from prediction_assets_tests.made_up import NOW

SLATE = "2026-01-02"
WITHIN = timedelta(minutes=15)
OK, WARNING, CRITICAL = Severity.OK, Severity.WARNING, Severity.CRITICAL


def at(clock: str) -> datetime:
    """Return a time of the slate's day, Eastern; 24:10 is ten minutes into the next one."""
    hours, minutes = map(int, clock.split(":"))
    return datetime(2026, 1, 2, tzinfo=GAME_TIME_ZONE) + timedelta(hours=hours, minutes=minutes)


def outbox(delivered: dict[int, str], acknowledged: dict[int, str]) -> list[OutboxEntry]:
    return [
        OutboxEntry(
            f"m{revision}", SLATE, "r", revision, {}, delivery_id="d", delivered_at=at(clock),
            acknowledged_at=at(acknowledged[revision]) if revision in acknowledged else None,
        )
        for revision, clock in delivered.items()
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("delivered", "acknowledged", "tip_off", "now", "severity"),
    [
        # Nothing was delivered, or phase 6 has the newest revision.
        ({}, {}, "19:00", "18:59", None),
        ({1: "10:00"}, {1: "10:01"}, "19:00", "18:59", None),
        ({1: "10:00", 2: "17:00"}, {1: "10:01", 2: "17:01"}, "19:00", "18:59", None),
        ({1: "10:00", 2: "17:00"}, {2: "17:01"}, "19:00", "18:59", None),
        # Published in the morning: a quarter of an hour.
        ({1: "10:00"}, {}, "19:00", "10:14", OK),
        ({1: "10:00"}, {}, "19:00", "10:15", CRITICAL),
        ({1: "10:00"}, {}, "19:00", "18:59", CRITICAL),
        ({1: "10:00"}, {}, "19:00", "23:00", CRITICAL),
        # Shortly before the tip-off: half of what is left.
        ({1: "18:40"}, {}, "19:00", "18:49", OK),
        ({1: "18:40"}, {}, "19:00", "18:50", CRITICAL),
        ({1: "18:58"}, {}, "19:00", "18:59", CRITICAL),
        # The consumer died between two revisions.
        ({1: "10:00", 2: "17:00"}, {1: "10:01"}, "19:00", "17:14", OK),
        ({1: "10:00", 2: "17:00"}, {1: "10:01"}, "19:00", "17:15", CRITICAL),
        # A revision each ten minutes, and none acknowledged: the first one counts.
        ({1: "17:00", 2: "17:10", 3: "17:20"}, {}, "19:00", "17:21", CRITICAL),
        ({1: "17:00", 2: "17:10", 3: "17:20"}, {1: "17:12"}, "19:00", "17:24", OK),
        ({1: "17:00", 2: "17:10", 3: "17:20"}, {1: "17:12"}, "19:00", "17:25", CRITICAL),
        # Published between the first and the last tip-off.
        ({1: "20:00"}, {}, "19:00", "20:14", OK),
        ({1: "20:00"}, {}, "19:00", "20:15", CRITICAL),
        # After the day: nobody bets on it any more.
        ({1: "24:10"}, {}, "19:00", "24:24", OK),
        ({1: "24:10"}, {}, "19:00", "30:00", WARNING),
    ],
)  # fmt: skip
def test_a_dead_consumer_is_an_alert_before_the_first_tip_off(
    delivered, acknowledged, tip_off, now, severity
):
    came = handover(outbox(delivered, acknowledged))
    found = unacknowledged(SLATE, came, at(tip_off), WITHIN, at(now), Pages("http://ui"))
    assert (found and found.severity) == severity
    assert (found is not None and found.alerts) is (severity is CRITICAL)
    if found is not None and severity is not OK:
        assert found.command == f"prediction-assets republish --slate {SLATE}"
        assert f"revision {max(delivered)} is delivered and not acknowledged" in found.line


@pytest.mark.parametrize("hour", range(8, 19))
def test_whenever_it_is_published_before_the_tip_off_the_alert_comes_before_it(hour):
    came = handover(outbox({1: f"{hour}:59"}, {}))
    found = unacknowledged(SLATE, came, at("19:00"), WITHIN, at("19:00") - timedelta(seconds=15), Pages(""))
    assert found is not None
    assert found.alerts
    assert "the first game begins at 2026-01-03 00:00:00Z" in found.line


def test_without_a_consumer_that_acknowledges_nothing_is_missed():
    came = handover(outbox({1: "10:00"}, {}))
    assert unacknowledged(SLATE, came, at("19:00"), timedelta(0), at("18:00"), Pages("")) is None


def test_each_month_counts_the_slates_that_phase_6_had_before_their_games():
    tip = NOW + timedelta(hours=9)
    early, late = NOW + timedelta(hours=1), NOW + timedelta(hours=10)
    slates = [
        ("2026-01-03", Handover(published_at=NOW, acknowledged_at=early), tip),
        ("2026-01-02", Handover(published_at=NOW, acknowledged_at=late), tip),
        ("2026-01-01", Handover(published_at=NOW), tip),
        ("2026-02-01", Handover(), tip),
    ]
    assert months(slates) == [
        Month("2026-01", 3, 3, 2, 1, ("2026-01-01", "2026-01-02")),
        Month("2026-02", 1, 0, 0, 0, ("2026-02-01",)),
    ]
    assert months([]) == []
