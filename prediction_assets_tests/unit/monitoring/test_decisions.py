"""When a message about an alert is due: tables, and properties of any history."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prediction_assets.monitoring.alert_lifecycle import (
    due,
    expired,
    mark_delivered,
    mark_partly_delivered,
    message,
    opened,
    recovered,
)
from prediction_assets.monitoring.destinations import Notice
from prediction_assets.monitoring.evaluate import open_findings
from prediction_assets.monitoring.thresholds import CLAIM
from prediction_assets.stores.alert import Alert, Severity
from prediction_assets_tests.made_up import NOW, SLATE
from prediction_assets_tests.made_up_facts import RULES, facts, failure, instance
from prediction_assets_tests.made_up_messages import alert, finding

MINUTE, REPEAT = timedelta(minutes=1), timedelta(hours=4)


@pytest.mark.parametrize(
    ("state", "after", "expected"),
    [
        ({}, 0 * MINUTE, Notice.OPENED),
        ({"delivered_at": NOW, "deliveries": 1}, MINUTE, None),
        ({"delivered_at": NOW, "deliveries": 1}, REPEAT, Notice.STILL_OPEN),
        ({"delivered_at": NOW, "recovered_at": NOW}, MINUTE, Notice.RECOVERED),
        ({"recovered_at": NOW}, MINUTE, Notice.RECOVERED),
        ({"delivered_at": NOW, "recovered_at": NOW, "settled_at": NOW}, REPEAT, None),
        ({"claimed_until": NOW + CLAIM}, MINUTE, None),
        ({"claimed_until": NOW + CLAIM}, CLAIM, Notice.OPENED),
    ],
)
def test_what_is_due(state, after, expected):
    assert due(alert(**state), NOW + after, REPEAT) is expected


def test_trouble_that_comes_back_after_it_was_settled_is_a_new_alert():
    settled = alert(delivered_at=NOW, deliveries=1, recovered_at=NOW, settled_at=NOW)
    back = opened(finding(), NOW + REPEAT)(settled)
    assert back == alert(opened_at=NOW + REPEAT)


def test_a_finding_that_is_worse_than_before_changes_its_alert_and_the_same_one_does_not():
    kept = alert(delivered_at=NOW, deliveries=1)
    assert opened(finding(evidence={"games": 2}), NOW + MINUTE)(kept) is kept
    worse = opened(finding(severity=Severity.CRITICAL, line="worse"), NOW + MINUTE)(kept)
    assert (worse.severity, worse.line, worse.opened_at, worse.deliveries) == (
        Severity.CRITICAL, "worse", NOW, 1,
    )  # fmt: skip


def test_trouble_that_comes_back_while_its_end_is_delivered_is_delivered_again():
    back = opened(finding(), NOW)(alert(delivered_at=NOW, recovered_at=NOW))
    after = mark_delivered(Notice.RECOVERED, NOW)(back)
    assert due(after, NOW, REPEAT) is Notice.OPENED


def test_after_a_partial_delivery_the_rest_is_due_at_once():
    after = mark_partly_delivered(["opened:log"])(alert(claimed_until=NOW + CLAIM))
    assert (after.reached, due(after, NOW, REPEAT)) == (("opened:log",), Notice.OPENED)


def test_what_happened_once_is_delivered_once_and_nothing_says_that_it_is_over():
    refreshed = finding(f"refreshed:2:{SLATE}")
    first = opened(refreshed, NOW)(None)
    assert due(first, NOW, REPEAT) is Notice.OPENED
    sent = mark_delivered(Notice.OPENED, NOW)(first)
    assert due(sent, NOW + REPEAT, REPEAT) is None
    assert opened(refreshed, NOW + MINUTE)(sent) is sent  # the next look finds it again


@pytest.mark.parametrize(
    ("state", "days", "ends"),
    [
        ({"delivered_at": NOW}, 3, True),
        ({"delivered_at": NOW}, 2, False),
        ({}, 30, False),
        ({"delivered_at": NOW, "recovered_at": NOW}, 30, False),
    ],
)
def test_an_alert_that_stays_open_expires_once_it_was_delivered(state, days, ends):
    after = expired(NOW + timedelta(days=days), timedelta(days=3))(alert(**state))
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
def test_a_message_names_slate_finding_next_command_and_link(notice, title, lines):
    kept = alert(severity=Severity.CRITICAL, recovered_at=NOW + MINUTE)
    made = message(kept, notice)
    assert (made.title, made.body.splitlines()) == (title, lines)
    with_board = message(replace(kept, board="https://boards/2026-01-02.html"), notice)
    assert with_board.body.splitlines() == [*lines, "board: https://boards/2026-01-02.html"]


def test_an_alert_names_the_board_of_a_slate_that_was_announced():
    rules = replace(RULES, board="/home/boards/2026-01-02.html")
    failed = instance(failure("consolidation"), daemon_silent_since=NOW)
    found = open_findings(facts(rules=rules, instance=failed))
    boards = {finding.kind: opened(finding, NOW)(None).board for finding in found}
    assert boards == {"run": "/home/boards/2026-01-02.html", "daemon": ""}
    unannounced = open_findings(facts(rules=rules, instance=failed, messages=()))
    assert {finding.board for finding in unannounced} == {""}


@settings(max_examples=50)
@given(
    st.lists(st.sampled_from(["fails", "passes", "look", "deliver", "crash while delivering"]), max_size=40)
)
def test_whatever_happens_each_end_is_delivered_once_and_no_start_twice(history):
    """Fed with failures, repairs, looks and deliveries in any order."""
    kept: Alert | None = None
    now, said, failing, seen = NOW, [], False, False
    for step in history:
        now += MINUTE
        if step in ("fails", "passes"):
            failing = step == "fails"
        elif step == "look":
            kept, seen = (opened(finding(), now) if failing else recovered(now))(kept), failing
        elif (
            kept is not None
            and (notice := due(kept, now, timedelta(days=9))) is not None
            and step == "deliver"
        ):
            said.append(notice)
            kept = mark_delivered(notice, now)(kept)
    if kept is not None:
        assert kept.is_open is seen
    starts_and_ends = [notice for notice in said if notice is not Notice.STILL_OPEN]
    for one, other in itertools.pairwise(starts_and_ends):
        # An episode that was over before it was delivered has its end alone.
        assert (one, other) != (Notice.OPENED, Notice.OPENED)
