"""Acknowledge: what phase 6 sent counts once, and what can't be meant changes nothing."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from prediction_assets.errors import StateUnreadable
from prediction_assets.slate.completion_message import OutboxEntry
from prediction_assets.steps.acknowledge import take_acknowledgements
from prediction_assets_tests.made_up import NOW, SLATE
from prediction_assets_tests.made_up_messages import message

OTHER = "2026-01-03"


@pytest.fixture
def outbox(stores):
    """Two delivered revisions of a slate, and one of another."""
    for made in (message(1), message(2), message(1, slate=OTHER)):
        entry = OutboxEntry(made["message_id"], made["slate"], made["receipt_id"], made["revision"], made)
        stores.outbox.enqueue(entry)
        stores.outbox.mark_delivered(entry.message_id, "d", NOW)
    return stores.outbox


def send(stores, sent, minutes=1, **changes):
    text = sent if isinstance(sent, bytes) else json.dumps({**sent, **changes}).encode()
    stores.publisher.acknowledgements.append((text, NOW + timedelta(minutes=minutes)))


def acknowledged(outbox):
    """Return the minute of each acknowledgement, by slate and revision."""
    return {
        (entry.slate, entry.revision): (entry.acknowledged_at - NOW) // timedelta(minutes=1)
        for entry in outbox.entries()
        if entry.acknowledged_at is not None
    }


def test_an_acknowledgement_is_recorded_with_the_moment_at_which_it_was_sent(stores, outbox):
    send(stores, message(2), minutes=7)
    assert take_acknowledgements(stores.publisher, outbox) == 1
    assert acknowledged(outbox) == {(SLATE, 2): 7}
    assert stores.publisher.acknowledgements == []


def test_of_one_that_comes_twice_the_first_moment_stays(stores, outbox):
    send(stores, message(2), minutes=7)
    send(stores, message(2), minutes=9)
    assert take_acknowledgements(stores.publisher, outbox) == 2
    assert acknowledged(outbox) == {(SLATE, 2): 7}


def test_one_of_an_older_revision_counts_for_that_revision(stores, outbox):
    send(stores, message(2), minutes=7)
    send(stores, message(1), minutes=8)
    take_acknowledgements(stores.publisher, outbox)
    assert acknowledged(outbox) == {(SLATE, 2): 7, (SLATE, 1): 8}


@pytest.mark.parametrize(
    ("sent", "changes"),
    [
        (b"", {}),
        (b"{}", {}),
        (b'{"slate": "2026-0', {}),
        (message(3), {}),
        (message(2), {"slate": OTHER}),
        (message(2), {"slate": "2026-01-09"}),
        (message(2), {"revision": 1}),
        (message(2), {"message_id": message(1)["message_id"]}),
    ],
    ids=[
        "empty", "without fields", "half of it", "unknown revision", "another slate's", "unknown slate",
        "another's id", "another's revision",
    ],
)  # fmt: skip
def test_one_that_names_no_message_of_the_outbox_is_refused_and_said(stores, outbox, caplog, sent, changes):
    send(stores, sent, **changes)
    send(stores, message(1))
    assert take_acknowledgements(stores.publisher, outbox) == 1
    assert acknowledged(outbox) == {(SLATE, 1): 1}
    assert [record.levelname for record in caplog.records if "refused: " in record.message] == ["WARNING"]


def test_one_that_can_t_be_recorded_stays_for_the_next_look(stores, outbox, monkeypatch):
    send(stores, message(2), minutes=7)

    def damaged(*_):
        raise StateUnreadable("injected")

    with monkeypatch.context() as patched:
        patched.setattr(outbox, "mark_acknowledged", damaged)
        with pytest.raises(StateUnreadable):
            take_acknowledgements(stores.publisher, outbox)
    assert take_acknowledgements(stores.publisher, outbox) == 1
    assert acknowledged(outbox) == {(SLATE, 2): 7}
