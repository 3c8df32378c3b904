"""When there is something to say of an incident: tables, and properties of any history."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prediction_assets.monitoring.alert_lifecycle import (
    CLAIM,
    due,
    given_up,
    message,
    opened,
    over,
    partly_told,
    recovered,
    told,
)
from prediction_assets.monitoring.destinations import Notice
from prediction_assets.stores.alert import Alert, Severity, from_text, to_text
from prediction_assets_tests.alerts.test_contract import incident
from prediction_assets_tests.conftest import NOW, SLATE

MINUTE, REPEAT = timedelta(minutes=1), timedelta(hours=4)


def alert(**changes: object) -> Alert:
    return Alert(**{"incident": incident(), "opened_at": NOW, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("state", "after", "expected"),
    [
        ({}, 0 * MINUTE, Notice.OPENED),
        ({"told_at": NOW, "times_told": 1}, MINUTE, None),
        ({"told_at": NOW, "times_told": 1}, REPEAT, Notice.STILL_OPEN),
        ({"told_at": NOW, "recovered_at": NOW}, MINUTE, Notice.RECOVERED),
        ({"recovered_at": NOW}, MINUTE, Notice.RECOVERED),
        ({"told_at": NOW, "recovered_at": NOW, "settled_at": NOW}, REPEAT, None),
        ({"claimed_until": NOW + CLAIM}, MINUTE, None),
        ({"claimed_until": NOW + CLAIM}, CLAIM, Notice.OPENED),
    ],
)
def test_what_is_due(state, after, expected):
    assert due(alert(**state), NOW + after, REPEAT) is expected


def test_an_event_that_was_looked_at_before_changes_nothing():
    newer = opened(incident(position=5), NOW)(None)
    assert opened(incident(position=4, fact="older"), NOW)(newer) is newer
    assert opened(incident(position=5, fact="the same"), NOW)(newer) is newer
    assert recovered(NOW, 5)(newer) is newer
    over_now = recovered(NOW, 6)(newer)
    assert over_now.recovered_at == NOW
    assert opened(incident(position=5), NOW)(over_now) is over_now
    again = opened(incident(position=7, fact="newest"), NOW)(over_now)
    assert (again.recovered_at, again.incident.fact) == (None, "newest")


def test_an_event_is_newer_when_its_position_or_its_time_is():
    before = opened(incident(position=100, at=NOW), NOW)(None)
    # Runs were deleted, and positions started again.
    after = opened(incident(position=46, at=NOW + MINUTE, fact="newest"), NOW)(before)
    assert (after.incident.position, after.incident.fact) == (46, "newest")
    assert recovered(NOW, 47, NOW + 2 * MINUTE)(after).recovered_at == NOW
    assert recovered(NOW, 45, NOW - MINUTE)(after) is after
    # The clock was set back.
    assert recovered(NOW, 101, NOW - REPEAT)(before).recovered_at == NOW
    # What was kept before the time was, is told by its position alone.
    untimed = opened(incident(position=100), NOW)(None)
    assert recovered(NOW, 99, NOW + MINUTE)(untimed) is untimed


def test_an_alert_from_before_the_time_of_its_event_was_kept_is_read_and_written_as_it_was():
    kept = alert(incident=incident(position=7))
    assert '"at"' not in to_text(kept)
    assert from_text(to_text(kept)) == kept
    assert from_text(to_text(alert(incident=incident(position=7, at=NOW)))).incident.at == NOW


def test_trouble_that_comes_back_after_it_was_settled_is_a_new_alert():
    settled = alert(told_at=NOW, times_told=1, recovered_at=NOW, settled_at=NOW)
    back = opened(incident(), NOW + REPEAT)(settled)
    assert back == Alert(incident(), opened_at=NOW + REPEAT)


def test_trouble_that_comes_back_while_its_end_is_told_is_told_again():
    back = opened(incident(), NOW)(alert(told_at=NOW, recovered_at=NOW))
    after = told(Notice.RECOVERED, NOW)(back)
    assert due(after, NOW, REPEAT) is Notice.OPENED


def test_only_kinds_that_were_judged_are_over():
    lasting = [alert(), alert(incident=incident("daemon")), alert(incident=incident("no_receipt:2026-01-03"))]
    assert over(lasting, {"no_receipt:2026-01-03"}, {"no_receipt"}) == [f"no_receipt:{SLATE}"]


def test_after_a_partial_delivery_the_rest_is_due_at_once():
    after = partly_told(["opened:log"])(alert(claimed_until=NOW + CLAIM))
    assert (after.reached, due(after, NOW, REPEAT)) == (("opened:log",), Notice.OPENED)


@pytest.mark.parametrize(
    ("state", "days", "ends"),
    [
        ({"told_at": NOW}, 3, True),
        ({"told_at": NOW}, 2, False),
        ({}, 30, False),
        ({"told_at": NOW, "recovered_at": NOW}, 30, False),
    ],
)
def test_an_alert_that_nobody_settles_is_given_up_once_it_was_told(state, days, ends):
    after = given_up(NOW + timedelta(days=days), timedelta(days=3))(alert(**state))
    assert (after.settled_at is not None) is ends


@pytest.mark.parametrize(
    ("notice", "title", "lines"),
    [
        (Notice.OPENED, f"[critical] slate {SLATE}: no receipt", ["a fact: 1 of 2", "Next: do this", "http://ui/runs/r"]),
        (
            Notice.STILL_OPEN,
            f"[still open, critical] slate {SLATE}: no receipt",
            ["a fact: 1 of 2", "Open since 2026-01-02 15:00 UTC.", "Next: do this", "http://ui/runs/r"],
        ),
        (
            Notice.RECOVERED,
            f"[recovered, critical] slate {SLATE}: no receipt",
            ["a fact: 1 of 2", "Lasted from 2026-01-02 15:00 UTC to 2026-01-02 15:01 UTC.", "http://ui/runs/r"],
        ),
    ],
)  # fmt: skip
def test_a_message_names_slate_fact_next_command_and_link(notice, title, lines):
    kept = alert(incident=incident(severity=Severity.CRITICAL), recovered_at=NOW + MINUTE)
    made = message(kept, notice)
    assert (made.title, made.body.splitlines()) == (title, lines)


@given(st.lists(st.sampled_from(["fails", "passes", "tell", "crash while telling", "replay"]), max_size=40))
def test_whatever_happens_each_end_is_told_once_and_no_start_twice(history):
    """Fed with events in any order of failures, recoveries and deliveries, replayed at will."""
    kept: Alert | None = None
    events: list[bool] = []
    now, said, failing = NOW, [], False
    for step in history:
        now += MINUTE
        if step in ("fails", "passes"):
            events.append(step == "fails")
        if step in ("fails", "passes", "replay"):
            for position, failed in enumerate(events, 1):
                change = opened(incident(position=position), now) if failed else recovered(now, position)
                kept = change(kept)
            failing = bool(events) and events[-1]
        elif (
            kept is not None and (notice := due(kept, now, timedelta(days=9))) is not None and step == "tell"
        ):
            said.append(notice)
            kept = told(notice, now)(kept)
    if kept is not None:
        assert kept.is_open is failing
    starts_and_ends = [notice for notice in said if notice is not Notice.STILL_OPEN]
    for one, other in itertools.pairwise(starts_and_ends):
        # An episode that was over before it could be told is told by its end alone.
        assert (one, other) != (Notice.OPENED, Notice.OPENED)
