"""Announce: one message per content, delivered again only on request."""

from __future__ import annotations

import pytest

from prediction_assets.errors import InvalidMessage
from prediction_assets.slate.completion_message import message_id
from prediction_assets.steps.announce import announce
from prediction_assets_tests.made_up import NOW, receipt


def announced(stores, made=None, **options):
    return announce(
        made or receipt(), stores.outbox, stores.publisher, output_table="t", now=lambda: NOW, **options
    )


def test_a_receipt_s_message_is_delivered_and_its_delivery_recorded(stores):
    entry, published_before = announced(stores)
    assert not published_before
    assert (entry.message_id, entry.delivery_id, entry.delivered_at) == (
        message_id(receipt()),
        "delivery-1",
        NOW,
    )
    assert stores.publisher.delivered == [entry.message]
    assert stores.outbox.entries() == [entry]


@pytest.mark.parametrize(("redeliver", "deliveries"), [(False, 1), (True, 2)])
def test_a_message_that_was_published_before_is_delivered_again_on_request_only(
    stores, redeliver, deliveries
):
    first, _ = announced(stores)
    again, published_before = announced(stores, redeliver=redeliver)
    assert published_before
    assert again == first
    assert [message["message_id"] for message in stores.publisher.delivered] == [
        first.message_id
    ] * deliveries


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
