"""The digest of a slate's best bets: which revision has one, what it says, and that it is sent once."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest

from prediction_assets.board.digest import keep_digests
from prediction_assets.monitoring.alert_delivery import deliver_due
from prediction_assets.monitoring.destinations import LogDestination, Message, destinations
from prediction_assets.monitoring.reader import Sources
from prediction_assets.monitoring.thresholds import CLAIM
from prediction_assets.settings import load_settings
from prediction_assets.slate.completion_message import Changes
from prediction_assets.slate.deadlines import Clock
from prediction_assets.slate.merge_plan import plan
from prediction_assets.slate.receipt import Receipt
from prediction_assets.steps.announce import announce
from prediction_assets.stores.alert import Alert, Change, Severity
from prediction_assets.stores.sql.tables import PART_SCHEMA
from prediction_assets_tests.in_memory import InMemoryAlertStore, InMemoryStores, Opening
from prediction_assets_tests.made_up import (
    NOW,
    SLATE,
    batch,
    bet,
    player,
    progress_of,
    row_content_hash,
    rows_of,
    staged,
)
from prediction_assets_tests.webhooks import Webhook

FENCES = itertools.count(1)
TWO = {1: 0.7, 2: 0.4}
"""The P(over) of each player: an OVER and an UNDER."""

OF_TWO = (
    "2 bets (simulated)\n"
    "Player 1 OVER 24.5, -110 at Simulated Book A, expected value 0.336\n"
    "Player 2 UNDER 24.5, -110 at Simulated Book A, expected value 0.145"
)


@dataclass
class Inbox:
    """A destination that keeps what it got, the bodies without their last two lines."""

    name: str = "inbox"
    identity: str = "inbox"
    least: Severity = Severity.INFO
    got: list[str] = field(default_factory=list)

    def send(self, message: Message) -> None:
        assert message.title == f"[digest] slate {SLATE}: the best bets"
        body, command, board = message.body.rsplit("\n", 2)
        assert board == f"board: {load_settings().board_link(SLATE)}"
        assert command == f"All of them: prediction-assets predictions --slate {SLATE} --bets"
        self.got.append(body)


class Killed(Exception):
    """The process ends here."""


class Alerts(InMemoryAlertStore):
    """A store at whose n-th change, before or after it, the process is killed."""

    changes = 0
    kill_at: tuple[int, str] = (-1, "")

    def change(self, key: str, change: Change) -> Alert | None:
        self.changes += 1
        if (self.changes, "before") == self.kill_at:
            raise Killed
        stored = super().change(key, change)
        if (self.changes, "after") == self.kill_at:
            raise Killed
        return stored


@dataclass
class Watched:
    """A slate, the alerts about it and their only destination, at a moment."""

    stores: InMemoryStores = field(default_factory=InMemoryStores)
    alerts: Alerts = field(default_factory=Alerts)
    inbox: Inbox = field(default_factory=Inbox)
    after: timedelta = timedelta(0)
    opened_the_warehouse: int = 0

    def merged(
        self, chances: Mapping[int, float], name: str = "Player {}", *, is_announced: bool = True
    ) -> Receipt:
        """Merge a revision in which the players have these chances of an over, and announce it."""
        parts = []
        for number, chance in chances.items():
            who = player(number)
            (row,) = rows_of(who, {"24.5": 20.0}).to_pylist()
            row |= {**bet(chance), "player_name": name.format(number)}
            row["content_hash"] = row_content_hash(row)
            rows = pa.Table.from_pylist([row], schema=PART_SCHEMA)
            parts.append(staged(self.stores.warehouse.parts.write(SLATE, who.slug, rows, next(FENCES))))
        progress = progress_of(batch(len(chances)), *parts)
        receipt = self.stores.warehouse.merge(plan(progress, self.stores.warehouse.receipts(SLATE)))
        if is_announced:
            self.announced(receipt)
        return receipt

    def announced(self, receipt: Receipt) -> None:
        """Deliver a revision's message."""
        outbox, publisher = self.stores.outbox, self.stores.publisher
        announce(receipt, Changes(), outbox, publisher, output_table="t", now=lambda: NOW)

    def look(self, bets: int = 5) -> None:
        """Keep what is due, and deliver it."""
        clock = Clock()
        clock.now = lambda: NOW + self.after  # type: ignore[method-assign]
        stores: Any = Opening(self.stores, self._warehouse)
        sources = Sources(stores, None, load_settings(digest_bets=bets), clock)
        keep_digests(sources, self.alerts, [SLATE])
        hour = timedelta(hours=1)
        deliver_due(self.alerts, [self.inbox], clock.now(), repeat=4 * hour, expire=72 * hour)

    def _warehouse(self) -> object:
        self.opened_the_warehouse += 1
        return self.stores.warehouse


@pytest.fixture
def watched() -> Watched:
    return Watched()


def test_an_announced_slate_has_a_digest_of_its_best_bets_which_is_sent_once(watched: Watched):
    watched.merged({3: 0.5, **TWO}, is_announced=False)
    watched.look()
    assert (watched.inbox.got, watched.opened_the_warehouse) == ([], 0)
    watched.merged({3: 0.52, **TWO})
    for _ in range(2):
        watched.look()
        watched.after += timedelta(hours=5)
    assert watched.inbox.got == [OF_TWO]
    assert watched.opened_the_warehouse == 1
    assert watched.alerts.unsettled() == []


@pytest.mark.parametrize(
    ("then", "sent"),
    [
        ({3: 0.51, **TWO}, []),  # a forecast moved, and no bet
        ({3: 0.5, 1: 0.7, 2: 0.5}, [OF_TWO.rsplit("\n", 1)[0].replace("2 bets", "1 bet")]),
        ({3: 0.5, 1: 0.5, 2: 0.5}, ["0 bets (simulated)"]),
    ],
)
def test_a_revision_has_a_digest_if_it_changes_the_bets(watched: Watched, then, sent):
    watched.merged({3: 0.5, **TWO})
    watched.look()
    watched.merged(then)
    for _ in range(2):
        watched.look()
    assert watched.inbox.got == [OF_TWO, *sent]
    watched.merged({3: 0.5, **TWO})
    watched.look()
    assert watched.inbox.got == [OF_TWO, *sent, *([OF_TWO] if sent else [])]


def test_a_digest_shows_as_many_bets_as_the_setting_says_and_none_is_kept_by_default(watched: Watched):
    assert load_settings().digest_bets == 0
    watched.merged(TWO)
    watched.look(bets=0)
    assert watched.alerts.since(NOW) == []
    watched.look(bets=1)
    assert watched.inbox.got == [OF_TWO.rsplit("\n", 1)[0]]


def test_a_slate_that_is_past_has_no_digest(watched: Watched):
    watched.merged(TWO)
    watched.after = timedelta(hours=14)  # midnight, Eastern
    watched.look()
    assert watched.inbox.got == []


def test_a_digest_that_nobody_got_makes_room_for_a_newer_one(watched: Watched, monkeypatch):
    watched.merged(TWO)
    with monkeypatch.context() as unreachable:
        unreachable.setattr(watched.inbox, "send", lambda _: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            watched.look()
    watched.merged({1: 0.5, 2: 0.5})
    watched.after += CLAIM
    watched.look()
    assert watched.inbox.got == ["0 bets (simulated)"]


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_any_change_of_the_store_each_digest_is_sent_once(when):
    merged = Watched()
    revisions = [merged.merged(then, is_announced=False) for then in (TWO, {1: 0.5, 2: 0.5})]
    times = {}
    for n in itertools.count(1):
        watched = Watched(InMemoryStores(warehouse=merged.stores.warehouse))
        watched.alerts.kill_at = (n, when)
        was_killed = False
        for revision in revisions:
            watched.announced(revision)
            try:
                watched.look()
            except Killed:
                was_killed = True
                watched.after += CLAIM
                watched.look()
        if not was_killed:
            break
        times[n] = watched.inbox.got
    assert len(times) >= 8
    once = [OF_TWO, "0 bets (simulated)"]
    again = {n: got for n, got in times.items() if got != once}
    # Nobody can know whether a process that was killed inside the delivery had sent it: it is sent again.
    sent_and_not_marked = [OF_TWO, *once], [*once, once[1]]
    assert [*again.values()] == ([*sent_and_not_marked] if when == "before" else [])


def test_a_name_of_the_facts_is_one_line_of_the_digest(watched: Watched):
    watched.merged(TWO, "a\nb\x1b[2J{}")
    watched.look()
    assert watched.inbox.got[0].splitlines()[1].startswith(r"a b\x1b[2J1 OVER 24.5")


def test_a_digest_goes_to_the_log_and_to_those_who_get_every_alert(
    watched: Watched, webhook: Webhook, caplog
):
    settings = load_settings(alert_urls=webhook.url, alert_error_urls="json://127.0.0.1:1/x")
    watched.merged(TWO)
    watched.inbox.send = lambda _: None  # type: ignore[method-assign]
    watched.look()
    (kept,) = watched.alerts.since(NOW)
    due = replace(kept, delivered_at=None, settled_at=None, key=f"digest:{SLATE}:9")
    watched.alerts.change(due.key, lambda _: due)
    caplog.set_level("INFO", "prediction_assets.alerts")
    hour = timedelta(hours=1)
    done = deliver_due(watched.alerts, destinations(settings), NOW, repeat=hour, expire=hour)
    assert (done.problems, len(webhook.received)) == ((), 1)
    assert webhook.received[0]["type"] == "info"
    assert OF_TWO in webhook.received[0]["message"]
    assert [record.levelname for record in caplog.records if record.name == "prediction_assets.alerts"] == [
        "INFO"
    ]
    assert isinstance(destinations(settings)[0], LogDestination)
