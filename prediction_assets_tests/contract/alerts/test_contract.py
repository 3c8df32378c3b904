"""What every store of alerts does alike."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta, timezone

from prediction_assets.monitoring.alert_delivery import _claim
from prediction_assets.monitoring.alert_lifecycle import mark_delivered, opened, recovered
from prediction_assets.monitoring.destinations import Notice
from prediction_assets.stores.alert import Alert
from prediction_assets.stores.protocols import AlertStore
from prediction_assets_tests.contract.alerts.conftest import OpenStore
from prediction_assets_tests.made_up import NOW
from prediction_assets_tests.made_up_messages import alert, finding

HOUR = timedelta(hours=1)


def keep(store: AlertStore, key: str, minutes: int = 0) -> Alert | None:
    return store.change(key, opened(finding(key), NOW + timedelta(minutes=minutes)))


def test_an_alert_is_read_back_whole(open_store: OpenStore) -> None:
    made = alert(
        delivered_at=NOW + HOUR, deliveries=2, recovered_at=NOW + 2 * HOUR,
        claimed_until=NOW + 3 * HOUR, reached=("opened:abc", "opened:log"),
    )  # fmt: skip
    assert open_store().change(made.key, lambda _: made) == made
    assert list(open_store().unsettled()) == [made]
    eastern = replace(made, opened_at=NOW.astimezone(timezone(-5 * HOUR)))
    open_store().change(made.key, lambda _: eastern)
    assert open_store().unsettled()[0].opened_at.utcoffset() == timedelta(0)


def test_a_change_sees_what_is_there_and_no_change_writes_nothing(open_store: OpenStore) -> None:
    store = open_store()
    assert store.change("a:1", lambda alert: alert) is None
    first = keep(store, "a:1")
    assert store.change("a:1", lambda alert: alert) == first
    assert store.change("a:1", lambda alert: None) == first
    seen: list[Alert | None] = []
    store.change("a:1", lambda alert: seen.append(alert) or alert)  # type: ignore[func-returns-value]
    assert seen == [first]


def test_what_is_settled_is_listed_only_when_asked_for(open_store: OpenStore) -> None:
    store = open_store()
    for position, key in enumerate(["c:3", "a:1", "b:2"]):
        keep(store, key, minutes=position)
    store.change("a:1", recovered(NOW + HOUR))
    assert [a.key for a in store.unsettled()] == ["c:3", "a:1", "b:2"]
    store.change("a:1", mark_delivered(Notice.RECOVERED, NOW + HOUR))
    assert [a.key for a in store.unsettled()] == ["c:3", "b:2"]
    assert [a.key for a in store.since(NOW)] == ["c:3", "a:1", "b:2"]
    assert [a.key for a in store.since(NOW + timedelta(minutes=2))] == ["b:2"]


def test_changes_at_the_same_time_are_all_made(open_store: OpenStore) -> None:
    keep(open_store(), "a:1")

    def once_more(alert: Alert | None) -> Alert | None:
        return None if alert is None else replace(alert, deliveries=alert.deliveries + 1)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: open_store().change("a:1", once_more), range(24)))
    assert open_store().unsettled()[0].deliveries == 24


def test_of_all_who_deliver_at_the_same_time_one_may(open_store: OpenStore) -> None:
    keep(open_store(), "a:1")
    with ThreadPoolExecutor(8) as pool:
        claims = list(pool.map(lambda _: _claim(open_store(), "a:1", NOW, HOUR), range(8)))
    assert [claim[1] for claim in claims if claim is not None] == [Notice.OPENED]


def test_only_settled_alerts_among_those_named_are_dropped(open_store: OpenStore) -> None:
    store = open_store()
    for key in ("a:1", "b:2", "c:3"):
        keep(store, key)
    for position, key in enumerate(("a:1", "b:2")):
        at = NOW + timedelta(hours=1 + position)
        store.change(key, recovered(at))
        store.change(key, mark_delivered(Notice.RECOVERED, at))
    assert [a.key for a in store.settled_before(NOW + HOUR)] == []
    assert [a.key for a in store.settled_before(NOW + timedelta(minutes=90))] == ["a:1"]
    assert [a.key for a in store.settled_before(NOW + timedelta(days=9))] == ["a:1", "b:2"]
    assert store.drop_settled(["a:1", "c:3", "d:4"]) == 1
    assert [a.key for a in open_store().since(NOW - HOUR)] == ["b:2", "c:3"]
    assert store.drop_settled(["a:1"]) == 0
