"""Announce: one message per content, delivered again only on request."""

from __future__ import annotations

from dataclasses import replace

import pytest

from prediction_assets.errors import InvalidMessage, NothingToAnnounce, OlderRevision
from prediction_assets.slate.completion_message import Changes, message_id
from prediction_assets.steps import failpoints
from prediction_assets.steps.announce import announce, receipt_to_announce
from prediction_assets_tests.made_up import NOW, receipt


def announced(stores, made=None, **options):
    return announce(
        made or receipt(),
        Changes(),
        stores.outbox,
        stores.publisher,
        output_table="t",
        now=lambda: NOW,
        **options,
    )


def test_a_receipt_s_message_is_delivered_and_its_delivery_recorded(stores):
    entry, published_before = announced(stores)
    assert not published_before
    assert (entry.message_id, entry.delivery_id, entry.delivered_at) == (
        message_id(receipt()),
        "delivery-1",
        NOW,
    )
    assert stores.publisher.sent == [entry.message]
    assert stores.outbox.entries() == [entry]


@pytest.mark.parametrize(("redeliver", "deliveries"), [(False, 1), (True, 2)])
def test_a_message_that_was_published_before_is_delivered_again_on_request_only(
    stores, redeliver, deliveries
):
    first, _ = announced(stores)
    again, published_before = announced(stores, redeliver=redeliver)
    assert published_before
    assert again == first
    assert [message["message_id"] for message in stores.publisher.sent] == [first.message_id] * deliveries


def test_a_message_whose_delivery_failed_is_delivered_by_the_next_call_under_its_id(stores, monkeypatch):
    def refuse(message):
        raise OSError(5, "injected")

    with monkeypatch.context() as patched:
        patched.setattr(stores.publisher, "publish", refuse)
        with pytest.raises(OSError, match="injected"):
            announced(stores)
    (waiting,) = stores.outbox.entries()
    entry, published_before = announced(stores)
    assert not published_before
    assert (entry.message_id, waiting.delivery_id) == (waiting.message_id, None)


def test_a_receipt_without_rows_leaves_no_message(stores):
    with pytest.raises(InvalidMessage):
        announced(stores, receipt(rows=0))
    assert stores.outbox.entries() == []


FIRST, SECOND, THIRD = (receipt(f"r{n}", n, revision=n, content_digest=f"{n}" * 64) for n in (1, 2, 3))


def test_an_older_revision_is_never_delivered_after_a_newer_one(stores):
    for made in (FIRST, THIRD):
        announced(stores, made)
    for redeliver in (False, True):
        for older in (FIRST, SECOND):
            with pytest.raises(
                OlderRevision, match=f"revision 3 is newer .message {message_id(THIRD)}, delivered"
            ):
                announced(stores, older, redeliver=redeliver)
    assert [message["revision"] for message in stores.publisher.sent] == [1, 3]


def test_a_message_that_waits_is_replaced_by_a_newer_one_and_says_so(stores, monkeypatch):
    def refuse(message):
        raise OSError(5, "injected")

    with monkeypatch.context() as patched:
        patched.setattr(stores.publisher, "publish", refuse)
        for made in (FIRST, SECOND):
            with pytest.raises(OSError, match="injected"):
                announced(stores, made)
    announced(stores, THIRD)
    entries = stores.outbox.entries()
    assert [(entry.revision, entry.replaced_by) for entry in entries] == [
        (1, message_id(SECOND)),
        (2, message_id(THIRD)),
        (3, None),
    ]
    assert [message["revision"] for message in stores.publisher.sent] == [3]


@pytest.fixture
def at_failpoint():
    """Let something happen at a failpoint of the next completion, as if its process was paused there."""

    def install(point, happen):
        def hook(name):
            if name == point:
                failpoints.install(failpoints._go_on)
                happen()

        failpoints.install(hook)

    yield install
    failpoints.install(failpoints._go_on)


@pytest.mark.parametrize(
    ("point", "sent"), [("outbox_written", [2]), ("published", [1, 2]), ("publish_recorded", [1, 2])]
)
def test_a_completion_that_was_paused_while_a_newer_one_was_made_delivers_nothing_after_it(
    stores, at_failpoint, point, sent
):
    at_failpoint(point, lambda: announced(stores, SECOND))
    if point == "outbox_written":
        with pytest.raises(OlderRevision):
            announced(stores, FIRST)
    else:
        announced(stores, FIRST)
    assert [message["revision"] for message in stores.publisher.sent] == sent
    assert stores.outbox.entries()[-1].delivery_id is not None


@pytest.mark.parametrize(
    ("receipts", "named", "found"),
    [
        ([FIRST], None, FIRST),
        ([FIRST, SECOND], None, SECOND),
        ([FIRST, SECOND], "r2", SECOND),
        ([FIRST, SECOND], "r1", OlderRevision),
        ([FIRST, SECOND], "r9", NothingToAnnounce),
        ([], None, NothingToAnnounce),
    ],
)
def test_only_the_newest_revision_is_announced(receipts, named, found):
    if isinstance(found, type):
        with pytest.raises(found, match="r2.*newer.*republish" if found is OlderRevision else "consolidate"):
            receipt_to_announce("2026-01-02", receipts, named)
    else:
        assert receipt_to_announce("2026-01-02", receipts, named) is found


def test_a_receipt_of_the_newest_revision_s_content_is_announced_although_a_later_one_repeats_it():
    again = receipt("r3", 3, revision=2, content_digest="2" * 64)
    assert receipt_to_announce("2026-01-02", [FIRST, SECOND, again], "r2") is SECOND


def test_a_delivered_message_that_the_destination_has_lost_is_delivered_again_under_its_id(stores):
    first, _ = announced(stores)
    stores.publisher.sent.clear()
    again, published_before = announced(stores)
    assert (published_before, again) == (True, first)
    assert stores.publisher.sent == [first.message]


def test_a_message_whose_destination_nobody_can_look_into_is_delivered_once(stores, monkeypatch):
    monkeypatch.setattr(stores.publisher, "delivered", lambda slate: None)
    for _ in range(2):
        announced(stores)
    assert len(stores.publisher.sent) == 1


def test_a_message_that_was_damaged_in_the_outbox_is_not_delivered(stores, monkeypatch):
    enqueue = stores.outbox.enqueue

    def damaged(entry):
        stored = enqueue(entry)
        return replace(stored, message={**stored.message, "rows_inserted": 51})

    monkeypatch.setattr(stores.outbox, "enqueue", damaged)
    with pytest.raises(InvalidMessage, match="digest"):
        announced(stores)
    assert stores.publisher.sent == []
