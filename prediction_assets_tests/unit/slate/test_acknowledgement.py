"""Acknowledgements: what one says, how far a slate came with them, and when one is late."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prediction_assets.errors import InvalidMessage
from prediction_assets.slate.acknowledgement import (
    Acknowledgement,
    Handover,
    acknowledgement_due,
    handover,
    parse_acknowledgement,
)
from prediction_assets.slate.completion_message import OutboxEntry
from prediction_assets.slate.deadlines import end_of_slate, first_tip_off
from prediction_assets_tests.made_up import NOW, SLATE
from prediction_assets_tests.made_up_messages import message

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
SENT = {"slate": SLATE, "revision": 2, "message_id": "m"}


def entries(*moments: tuple[int | None, int | None]) -> list[OutboxEntry]:
    """Return revisions 1, 2, ... from the minutes after which each was delivered and acknowledged."""
    return [
        OutboxEntry(
            f"m{revision}", SLATE, "r", revision, {},
            delivered_at=None if delivered is None else NOW + delivered * MINUTE,
            acknowledged_at=None if acknowledged is None else NOW + acknowledged * MINUTE,
        )
        for revision, (delivered, acknowledged) in enumerate(moments, start=1)
    ]  # fmt: skip


def test_an_acknowledgement_is_three_fields_or_the_whole_message():
    assert parse_acknowledgement(json.dumps(SENT).encode()) == Acknowledgement(SLATE, 2, "m")
    whole = message(3)
    assert parse_acknowledgement(json.dumps(whole).encode()) == Acknowledgement(SLATE, 3, whole["message_id"])


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "of 0 bytes isn't JSON"),
        (b"\xff\xfe", "isn't JSON"),
        (b'{"slate": "2026-01-02", "rev', "isn't JSON"),
        (b"[" * 100_000, "isn't JSON"),
        (b"[]", "isn't a JSON object"),
        (json.dumps({**SENT, "slate": "../etc"}).encode(), "slate: isn't a date"),
        (json.dumps({**SENT, "slate": 7}).encode(), "slate: isn't a date"),
        (json.dumps({**SENT, "revision": "2"}).encode(), "revision: isn't a number from 1"),
        (json.dumps({**SENT, "revision": True}).encode(), "revision: isn't a number from 1"),
        (json.dumps({**SENT, "revision": 0}).encode(), "revision: isn't a number from 1"),
        (json.dumps({"slate": SLATE, "revision": 2}).encode(), "message_id: isn't a text"),
    ],
    ids=lambda value: value[:20].decode("latin-1") if isinstance(value, bytes) else "",
)
def test_a_damaged_acknowledgement_is_refused_with_its_field(data, says):
    with pytest.raises(InvalidMessage, match=says):
        parse_acknowledgement(data)


@pytest.mark.parametrize(
    ("moments", "state", "newest", "acknowledged", "waiting_minute"),
    [
        ([], "unpublished", 0, 0, None),
        ([(None, None)], "unpublished", 0, 0, None),
        ([(5, None)], "published", 1, 0, 5),
        ([(5, 6)], "acknowledged", 1, 1, None),
        ([(5, 6), (None, None)], "acknowledged", 1, 1, None),
        ([(5, 6), (20, None)], "published", 2, 1, 20),
        ([(5, 6), (20, 21)], "acknowledged", 2, 2, None),
        # A newer revision doesn't start the time again.
        ([(5, None), (20, None), (30, None)], "published", 3, 0, 5),
        ([(5, 40), (20, None), (30, None)], "published", 3, 1, 20),
        # Whoever has the newest one needs no older one.
        ([(5, None), (20, 21)], "acknowledged", 2, 2, None),
        ([(None, None), (20, 21)], "acknowledged", 2, 2, None),
        # The consumer was faster than the record of the delivery.
        ([(None, 5)], "acknowledged", 1, 1, None),
    ],
)
def test_how_far_a_slate_came(moments, state, newest, acknowledged, waiting_minute):
    came = handover(entries(*moments))
    assert (came.state, came.revision, came.acknowledged) == (state, newest, acknowledged)
    assert came.waiting_since == (None if waiting_minute is None else NOW + waiting_minute * MINUTE)


def test_before_tip_off_counts_the_first_revision_that_was_acknowledged():
    came = handover(entries((5, 40), (50, 130)))
    assert (came.published_at, came.acknowledged_at) == (NOW + 5 * MINUTE, NOW + 40 * MINUTE)
    assert came.is_before(NOW + HOUR)
    assert not came.is_before(NOW + 40 * MINUTE)
    assert not Handover(published_at=NOW).is_before(NOW + HOUR)


@pytest.mark.parametrize(
    ("tip_off_minute", "due_minute"),
    [(600, 15), (31, 15), (30, 15), (20, 10), (2, 1), (0, 15), (-60, 15)],
)
def test_an_acknowledgement_is_due_in_a_quarter_of_an_hour_or_half_way_to_the_tip_off(
    tip_off_minute, due_minute
):
    due = acknowledgement_due(NOW, NOW + tip_off_minute * MINUTE, 15 * MINUTE)
    assert due == NOW + due_minute * MINUTE


@given(st.timedeltas(timedelta(seconds=1), timedelta(days=2)), st.timedeltas(MINUTE, timedelta(days=1)))
def test_what_is_delivered_before_the_tip_off_is_due_before_it(left, within):
    assert NOW < acknowledgement_due(NOW, NOW + left, within) < NOW + left
    assert acknowledgement_due(NOW, NOW + left, within) <= NOW + within


def test_without_a_line_a_slate_begins_at_noon_eastern_and_ends_at_midnight():
    assert first_tip_off(SLATE, NOW) == NOW
    assert first_tip_off("2026-01-02", None).isoformat() == "2026-01-02T17:00:00+00:00"
    assert first_tip_off("2026-07-02", None).isoformat() == "2026-07-02T16:00:00+00:00"
    assert end_of_slate("2026-01-02").isoformat() == "2026-01-03T05:00:00+00:00"
