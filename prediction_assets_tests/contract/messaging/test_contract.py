"""What every outbox and every publisher does alike."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from prediction_assets.errors import OlderRevision, PredictionAssetsError
from prediction_assets.slate.completion_message import OutboxEntry, validate_completion
from prediction_assets.stores.gcp.pubsub import PubSubPublisher
from prediction_assets.stores.local.outbox import FilePublisher
from prediction_assets.stores.protocols import Outbox
from prediction_assets_tests.contract.messaging.conftest import Deliveries, entry, message
from prediction_assets_tests.made_up import NOW, SLATE

OpenOutbox = Callable[[], Outbox]


def test_an_enqueued_event_is_read_back_whole(outbox: OpenOutbox) -> None:
    assert outbox().enqueue(entry()) == entry()
    assert outbox().entries() == [entry()]


def test_an_empty_outbox_has_no_entries(outbox: OpenOutbox) -> None:
    assert list(outbox().entries()) == []
    assert list(outbox().entries("2026-01-02")) == []


def test_the_text_of_a_message_stays_as_it_was_enqueued(outbox: OpenOutbox) -> None:
    odd = {"z": 1, "a": [1, 2.5, None, True, {"": "Jokić"}], "__x__": {"b.c/d": []}}
    stored = outbox().enqueue(replace(entry(), message=odd))
    assert stored.message == odd
    assert list(stored.message) == ["z", "a", "__x__"]


def test_an_event_that_is_there_keeps_its_first_entry(outbox: OpenOutbox) -> None:
    outbox().enqueue(entry())
    later = replace(entry(), receipt_id="another", message=message(at=NOW + timedelta(hours=1)))
    assert outbox().enqueue(later) == entry()
    assert outbox().entries() == [entry()]


def test_enqueuing_a_published_event_says_that_it_is_published(outbox: OpenOutbox) -> None:
    outbox().enqueue(entry())
    outbox().mark_delivered(entry().message_id, "m1", NOW)
    assert outbox().enqueue(entry()).delivery_id == "m1"


def test_a_new_event_is_not_published_whatever_the_entry_says(outbox: OpenOutbox) -> None:
    stored = outbox().enqueue(replace(entry(), delivery_id="m0", delivered_at=NOW))
    assert (stored.delivery_id, stored.delivered_at) == (None, None)


def test_a_delivery_is_recorded_with_its_moment_in_utc(outbox: OpenOutbox) -> None:
    outbox().enqueue(entry())
    at = NOW.replace(microsecond=123456).astimezone(timezone(timedelta(hours=-5)))
    marked = outbox().mark_delivered(entry().message_id, "m1", at)
    assert marked == replace(entry(), delivery_id="m1", delivered_at=at)
    assert (type(marked.delivered_at), marked.delivered_at and marked.delivered_at.tzinfo) == (datetime, UTC)
    assert outbox().entries() == [marked]


def test_the_first_recorded_delivery_stays(outbox: OpenOutbox) -> None:
    outbox().enqueue(entry())
    first = outbox().mark_delivered(entry().message_id, "m1", NOW)
    assert outbox().mark_delivered(entry().message_id, "m2", NOW + timedelta(hours=1)) == first
    assert outbox().entries() == [first]


def test_a_delivery_of_an_unknown_event_is_refused(outbox: OpenOutbox) -> None:
    with pytest.raises(PredictionAssetsError, match="completion message nobody is not in the outbox"):
        outbox().mark_delivered("nobody", "m1", NOW)
    assert list(outbox().entries()) == []


def test_events_come_oldest_first_of_one_slate_or_of_all(outbox: OpenOutbox) -> None:
    events = [
        OutboxEntry(f"event-{number}", f"2026-01-0{slate}", "r", revision, {"n": number})
        for revision, (number, slate) in enumerate([(5, 2), (1, 3), (4, 2), (2, 3), (3, 2)], start=1)
    ]
    for event in events:
        outbox().enqueue(event)
    outbox().mark_delivered("event-1", "m1", NOW)
    assert [e.message_id for e in outbox().entries()] == [e.message_id for e in events]
    assert [e.message_id for e in outbox().entries("2026-01-02")] == ["event-5", "event-4", "event-3"]
    assert [e.message_id for e in outbox().entries("2026-01-03")] == ["event-1", "event-2"]


def test_of_many_who_enqueue_and_record_at_once_all_see_the_first(outbox: OpenOutbox) -> None:
    gate = threading.Barrier(8)

    def announce(number: int) -> tuple[OutboxEntry, OutboxEntry]:
        gate.wait()
        mine = replace(entry(), receipt_id=f"r{number}")
        return outbox().enqueue(mine), outbox().mark_delivered(mine.message_id, f"m{number}", NOW)

    with ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(announce, range(8)))
    assert len({stored.receipt_id for stored, _ in seen}) == 1
    assert len({marked.delivery_id for _, marked in seen}) == 1
    assert outbox().entries() == [seen[0][1]]


def test_a_newer_message_replaces_the_older_ones_that_wait(outbox: OpenOutbox) -> None:
    for revision in (1, 2, 3):
        outbox().enqueue(entry(revision))
        if revision == 1:
            outbox().mark_delivered(entry(1).message_id, "m1", NOW)
    found = {each.revision: each for each in outbox().entries()}
    assert {revision: each.replaced_by for revision, each in found.items()} == {
        1: None,
        2: entry(3).message_id,
        3: None,
    }
    assert [each.is_pending for each in found.values()] == [False, False, True]


@pytest.mark.parametrize("state", ["waits", "is delivered"])
def test_an_older_message_than_the_newest_is_refused_and_nothing_changes(
    outbox: OpenOutbox, state: str
) -> None:
    for revision in (1, 3):
        outbox().enqueue(entry(revision))
    if state == "is delivered":
        outbox().mark_delivered(entry(3).message_id, "m3", NOW)
    before = list(outbox().entries())
    for older in (entry(1), entry(2), entry(3, content_digest="9" * 64)):
        with pytest.raises(OlderRevision) as raised:
            outbox().enqueue(older)
        assert f"revision {older.revision} isn't announced, because revision 3 is newer" in str(raised.value)
        assert entry(3).message_id in str(raised.value)
        assert "prediction-assets republish --slate 2026-01-02" in str(raised.value)
    assert list(outbox().entries()) == before


def test_slates_don_t_replace_each_other_s_messages(outbox: OpenOutbox) -> None:
    outbox().enqueue(entry(1))
    outbox().enqueue(entry(2, slate="2026-01-03"))
    assert outbox().enqueue(entry(1)).is_pending


def test_a_delivery_that_was_under_way_when_its_message_was_replaced_is_recorded(outbox: OpenOutbox) -> None:
    outbox().enqueue(entry(1))
    outbox().enqueue(entry(2))
    marked = outbox().mark_delivered(entry(1).message_id, "m1", NOW)
    assert (marked.delivery_id, marked.replaced_by) == ("m1", entry(2).message_id)


def test_of_many_who_enqueue_different_revisions_at_once_the_highest_alone_waits(outbox: OpenOutbox) -> None:
    gate = threading.Barrier(6)

    def enqueue(revision: int) -> int | None:
        gate.wait()
        try:
            return outbox().enqueue(entry(revision)).revision
        except OlderRevision:
            return None

    with ThreadPoolExecutor(6) as pool:
        stored = {revision for revision in pool.map(enqueue, range(1, 7)) if revision is not None}
    entries = outbox().entries()
    assert {each.revision for each in entries} == stored
    assert [each.revision for each in entries if each.is_pending] == [6]


def test_a_destination_that_can_be_looked_into_shows_its_deliveries(deliveries: Deliveries) -> None:
    assert deliveries.publisher.delivered(SLATE) in ({}, None)
    for revision in (1, 2):
        deliveries.publisher.publish(message(revision))
    deliveries.publisher.publish(message(7, slate="2026-01-03"))
    found = deliveries.publisher.delivered(SLATE)
    assert found is None or found == {message(n)["message_id"]: n for n in (1, 2)}
    assert found is not None or isinstance(deliveries.publisher, PubSubPublisher)


def test_a_published_message_reaches_the_consumer_as_it_is(deliveries: Deliveries) -> None:
    assert deliveries.publisher.publish(message())
    (received,) = deliveries.received()
    assert received == message()
    validate_completion(received)


def test_events_of_a_slate_are_delivered_in_order(deliveries: Deliveries) -> None:
    for revision in (1, 2, 3):
        deliveries.publisher.publish(message(revision))
    assert [received["revision"] for received in deliveries.received()] == [1, 2, 3]


def test_an_event_published_again_keeps_its_id(deliveries: Deliveries) -> None:
    for _ in range(2):
        deliveries.publisher.publish(message())
    assert {received["message_id"] for received in deliveries.received()} == {message()["message_id"]}


def test_what_phase_6_acknowledges_is_handed_over_once_with_its_moment(deliveries: Deliveries) -> None:
    taken: list[tuple[bytes, datetime]] = []

    def take(answer: bytes, sent_at: datetime) -> bool:
        taken.append((answer, sent_at))
        return True

    for answer in (b"1", b"2"):
        deliveries.acknowledge(answer)
    for _ in range(2):  # the second time nothing comes
        deliveries.publisher.take_acknowledgements(take)
    assert sorted(answer for answer, _ in taken) == [b"1", b"2"]
    assert all(abs(datetime.now(UTC) - moment) < timedelta(minutes=2) for _, moment in taken)
    assert {moment.tzinfo for _, moment in taken} == {UTC}


def test_an_acknowledgement_that_can_t_be_recorded_stays(deliveries: Deliveries) -> None:
    deliveries.acknowledge(b"1")

    def fail(answer: bytes, sent_at: datetime) -> bool:
        raise PredictionAssetsError("injected")

    with pytest.raises(PredictionAssetsError, match="injected"):
        deliveries.publisher.take_acknowledgements(fail)


def test_an_acknowledgement_is_recorded_and_the_first_moment_stays(outbox: OpenOutbox) -> None:
    outbox().enqueue(entry(1))
    at = NOW.replace(microsecond=123456).astimezone(timezone(timedelta(hours=-5)))
    marked = outbox().mark_acknowledged(entry(1).message_id, at)
    assert marked == replace(entry(1), acknowledged_at=at)
    assert outbox().mark_acknowledged(entry(1).message_id, at + timedelta(hours=1)) == marked
    delivered = outbox().mark_delivered(entry(1).message_id, "m1", NOW)
    assert delivered == replace(marked, delivery_id="m1", delivered_at=NOW)
    assert outbox().entries() == [delivered]
    assert outbox().enqueue(entry(1)) == delivered


def test_an_acknowledgement_of_an_unknown_message_is_refused(outbox: OpenOutbox) -> None:
    with pytest.raises(PredictionAssetsError, match="completion message nobody is not in the outbox"):
        outbox().mark_acknowledged("nobody", NOW)
    assert list(outbox().entries()) == []


def test_a_refused_file_stays_while_it_may_be_half_written_and_is_set_aside_then(tmp_path: Path) -> None:
    answers = tmp_path / "acknowledged"
    answers.mkdir()
    (answers / "half.json").write_bytes(b'{"slate')
    (answers / "folder.json").mkdir()
    (answers / ".aside.json").write_bytes(b"x")
    publisher, taken = FilePublisher(tmp_path), []

    def refuse(answer: bytes, sent_at: datetime) -> bool:
        taken.append(answer)
        return False

    def look() -> None:
        with pytest.raises(PredictionAssetsError, match=r"folder.json: Is a directory: .* can't be read"):
            publisher.take_acknowledgements(refuse)

    look()
    assert (answers / "half.json").exists()
    a_while_ago = NOW.timestamp()
    os.utime(answers / "half.json", (a_while_ago, a_while_ago))
    look()
    look()
    assert taken == [b'{"slate'] * 2
    assert sorted(path.name for path in answers.iterdir()) == [".aside.json", "folder.json", "half.refused"]


def test_only_delivered_events_among_those_named_are_dropped(outbox: OpenOutbox) -> None:
    made = [entry(revision) for revision in (1, 2, 3)]
    for each in made:
        outbox().enqueue(each)
    for each in made[:2]:
        outbox().mark_delivered(each.message_id, "m", NOW)
    assert outbox().drop_delivered([]) == 0
    assert outbox().drop_delivered([made[0].message_id, made[2].message_id, "00000000-no-such-event"]) == 1
    assert [each.message_id for each in outbox().entries()] == [made[1].message_id, made[2].message_id]
    assert outbox().drop_delivered([made[0].message_id]) == 0


def test_a_replaced_message_can_be_dropped(outbox: OpenOutbox) -> None:
    for revision in (1, 2):
        outbox().enqueue(entry(revision))
    assert outbox().drop_delivered([entry(1).message_id, entry(2).message_id]) == 1
    assert [each.revision for each in outbox().entries()] == [2]


def test_files_of_somebody_else_beside_the_messages_are_no_deliveries(tmp_path: Path) -> None:
    publisher = FilePublisher(tmp_path)
    name = publisher.publish(message())
    for other in (
        f"{name.removesuffix('.json')}.bak.json",
        f"{SLATE}.notes.json",
        f"{SLATE}.x.y.json",
        "read.me",
    ):
        (tmp_path / other).write_text("{}", "utf-8")
    assert publisher.delivered(SLATE) == {message()["message_id"]: 1}
