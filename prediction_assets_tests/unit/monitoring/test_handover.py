"""A dead consumer is an alert before the first tip-off; and the share of slates that were in time."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from prediction_assets.monitoring.findings import Finding
from prediction_assets.monitoring.receipt_findings import completion_published
from prediction_assets.monitoring.slo import Month, months
from prediction_assets.slate.acknowledgement import Handover
from prediction_assets.slate.completion_message import OutboxEntry, message_id
from prediction_assets.slate.keys import GAME_TIME_ZONE
from prediction_assets.stores.alert import Severity
from prediction_assets_tests.made_up import NOW
from prediction_assets_tests.made_up_facts import RULES, facts, in_warehouse, whole_receipt

SLATE = "2026-01-02"
WITHIN = timedelta(minutes=15)
OK, WARNING, CRITICAL = Severity.OK, Severity.WARNING, Severity.CRITICAL


def at(clock: str) -> datetime:
    """Return a time of the slate's day, Eastern; 24:10 is ten minutes into the next one."""
    hours, minutes, *seconds = map(int, clock.split(":"))
    return datetime(2026, 1, 2, tzinfo=GAME_TIME_ZONE) + timedelta(
        hours=hours, minutes=minutes, seconds=sum(seconds)
    )


def outbox(delivered: dict[int, str], acknowledged: dict[int, str]) -> list[OutboxEntry]:
    return [
        OutboxEntry(
            f"m{revision}", SLATE, "r", revision, {}, delivery_id="d", delivered_at=at(clock),
            acknowledged_at=at(acknowledged[revision]) if revision in acknowledged else None,
        )
        for revision, clock in delivered.items()
    ]  # fmt: skip


def found_at(
    now: str, entries: list[OutboxEntry], tip_off: str = "19:00", within: timedelta = WITHIN
) -> Finding:
    """Return the finding about the newest revision's message."""
    made = facts()
    newest = whole_receipt(revision=max((entry.revision for entry in entries), default=1))
    entries = [
        replace(
            entry,
            message_id=message_id(replace(newest, revision=entry.revision)),
            receipt_id=newest.receipt_id,
        )
        for entry in entries
    ]
    return completion_published(
        replace(
            made,
            now=at(now),
            messages=tuple(entries),
            warehouse=in_warehouse(newest),
            first_tip_off=at(tip_off),
            rules=replace(RULES, acknowledged_within=within, time_zone="America/New_York"),
        )
    )


@pytest.mark.parametrize(
    ("delivered", "acknowledged", "tip_off", "now", "severity"),
    [
        # Nothing was delivered, or phase 6 has the newest revision.
        ({1: "10:00"}, {1: "10:01"}, "19:00", "18:59", OK),
        ({1: "10:00", 2: "17:00"}, {1: "10:01", 2: "17:01"}, "19:00", "18:59", OK),
        ({1: "10:00", 2: "17:00"}, {2: "17:01"}, "19:00", "18:59", OK),
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
    found = found_at(now, outbox(delivered, acknowledged), tip_off)
    assert found.severity is severity
    assert found.alerts is (severity is CRITICAL)
    assert ("has until" in found.line) is (severity is OK and max(delivered) not in acknowledged)
    if severity is not OK:
        assert found.command == f"prediction-assets republish --slate {SLATE}"
        assert f"revision {max(delivered)} is delivered and not acknowledged" in found.line


@pytest.mark.parametrize("hour", range(8, 19))
def test_whenever_it_is_published_before_the_tip_off_the_alert_comes_before_it(hour):
    entries = outbox({1: f"{hour}:59"}, {})
    found = found_at("18:59:45", entries)
    assert found.alerts
    assert "the first game begins at 2026-01-02 19:00 EST" in found.line


def test_without_a_consumer_that_acknowledges_nothing_is_missed():
    found = found_at("18:00", outbox({1: "10:00"}, {}), within=timedelta(0))
    assert (found.severity, "phase 6" in found.line) == (OK, False)


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
