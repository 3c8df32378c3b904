"""The reference consumer: it keeps the highest revision of each slate, and refuses what it can't trust."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prediction_assets.errors import InvalidMessage
from prediction_assets.steps.acknowledge import take_acknowledgements
from prediction_assets.stores.local.outbox import FilePublisher
from prediction_assets_tests.contract.messaging.conftest import entry, message
from prediction_assets_tests.examples import load_example
from prediction_assets_tests.in_memory import InMemoryOutbox
from prediction_assets_tests.made_up import SLATE

OTHER = "2026-01-03"
SKIPPED = {"player_slug": "player-9", "outcome": "skipped", "reason": "no"}
FAILED = {"player_slug": "player-8", "outcome": "failed", "reason": "no"}


def handled(consumer: ModuleType, state: Path, *deliveries: dict[str, Any]) -> list[tuple[str, int]]:
    """Return slate and revision of the deliveries that were acted on, in their order."""
    acted: list[tuple[str, int]] = []
    for delivery in deliveries:
        before = len(acted)
        done = consumer.handle(
            json.dumps(delivery).encode(), state, lambda m: acted.append((m["slate"], m["revision"]))
        )
        assert done is (len(acted) > before)
    return acted


@pytest.mark.parametrize(
    ("revisions", "acted"),
    [
        ([1], [1]),
        ([1, 1], [1]),
        ([1, 2, 3], [1, 2, 3]),
        ([3, 1], [3]),
        ([1, 3, 2, 3, 1], [1, 3]),
        ([2, 1, 2, 4, 3], [2, 4]),
    ],
)
def test_an_older_revision_is_never_acted_on_after_a_newer_one(
    consumer: ModuleType, tmp_path: Path, revisions: list[int], acted: list[int]
) -> None:
    found = handled(consumer, tmp_path / "state.sqlite", *(message(revision) for revision in revisions))
    assert found == [(SLATE, revision) for revision in acted]


def test_each_slate_has_its_own_revisions(consumer: ModuleType, tmp_path: Path) -> None:
    deliveries = [message(3), message(1, slate=OTHER), message(2, slate=OTHER), message(2)]
    found = handled(consumer, tmp_path / "state.sqlite", *deliveries)
    assert found == [(SLATE, 3), (OTHER, 1), (OTHER, 2)]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"schema_version": 2}, "schema_version: 2 is later than 1, .* install a newer version"),
        ({"expected_players": 4}, "expected_players: 4 isn't 2 staged . 0 skipped . 1 failed"),
        ({"staged_players": 3}, "expected_players"),
        ({"skipped_players": 1}, "expected_players"),
        (
            {"failed_players": 0, "expected_players": 2, "missing": []},
            "status: partial with 0 failed players",
        ),
        ({"status": "success"}, "status: success with 1 failed players"),
        ({"missing": []}, "missing: 0 players of 0 skipped and 1 failed"),
        ({"missing": [SKIPPED]}, "missing: 1 players of 0 skipped and 1 failed"),
        ({"missing": [FAILED, FAILED], "failed_players": 2, "expected_players": 4}, "named twice"),
        ({"message_id": message()["message_id"].upper()}, "message_id"),
        ({"message_id": message()["message_id"].replace("-", "")}, "message_id"),
        ({"rows": 0}, "rows"),
        ({"revision": 0}, "revision"),
    ],
)
def test_a_message_that_can_t_be_trusted_is_refused_and_nothing_is_done(
    consumer: ModuleType, tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    state = tmp_path / "state.sqlite"
    with pytest.raises(InvalidMessage, match=says):
        handled(consumer, state, {**message(), **changes})
    assert handled(consumer, state, message()) == [(SLATE, 1)]


def test_a_revision_that_comes_with_another_id_is_refused(consumer: ModuleType, tmp_path: Path) -> None:
    state = tmp_path / "state.sqlite"
    assert handled(consumer, state, message(2)) == [(SLATE, 2)]
    with pytest.raises(InvalidMessage, match=f"revision 2 was message {message(2)['message_id']}, not"):
        handled(consumer, state, message(2, content_digest="e" * 64))
    assert handled(consumer, state, message(3)) == [(SLATE, 3)]


def test_the_newest_revision_is_acknowledged_each_time_that_it_comes_and_an_older_one_never(
    consumer: ModuleType, tmp_path: Path
) -> None:
    answers: list[int] = []
    for revision in (1, 3, 2, 3, 1):
        data = json.dumps(message(revision)).encode()
        consumer.handle(data, tmp_path / "state.sqlite", acknowledge=lambda m: answers.append(m["revision"]))
    assert answers == [1, 3, 3]


def test_what_isn_t_acted_on_isn_t_acknowledged(consumer: ModuleType, tmp_path: Path) -> None:
    answers: list[dict[str, Any]] = []

    def failing(_: dict[str, Any]) -> None:
        raise RuntimeError("phase 6 is down")

    with pytest.raises(RuntimeError):
        consumer.handle(json.dumps(message()).encode(), tmp_path / "s.sqlite", failing, answers.append)
    assert answers == []


def test_messages_in_a_folder_are_acted_on_once_and_acknowledged_in_it(
    consumer: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    publisher, outbox = FilePublisher(tmp_path / "outbox"), InMemoryOutbox()
    seen: dict[Path, int] = {}

    def acknowledged() -> list[int]:
        take_acknowledgements(publisher, outbox)
        return [each.revision for each in outbox.entries() if each.acknowledged_at is not None]

    for revision in (1, 2):
        outbox.enqueue(entry(revision))
        publisher.publish(message(revision))
    (tmp_path / "outbox" / "notes.json").write_text("{}")
    acted = [consumer.consume_folder(tmp_path / "outbox", tmp_path / "s.sqlite", seen) for _ in range(2)]
    assert acted == [2, 0]
    assert acknowledged() == [1, 2]
    assert capsys.readouterr().err.count("notes.json: ") == 1
    # Another process of the consumer answers again, and acts on nothing.
    assert consumer.consume_folder(tmp_path / "outbox", tmp_path / "s.sqlite", {}) == 0
    assert [path.name for path in (tmp_path / "outbox" / "acknowledged").iterdir()] == [
        f"{message(2)['message_id']}.json"
    ]


DELIVERIES = st.lists(st.tuples(st.sampled_from([SLATE, OTHER]), st.integers(1, 6)), min_size=1, max_size=25)
CONSUMER = load_example("phase5_consumer")


@settings(max_examples=50, deadline=None)
@given(DELIVERIES)
def test_any_order_and_repetition_of_deliveries_ends_at_the_highest_revision(
    deliveries: list[tuple[str, int]],
) -> None:
    with TemporaryDirectory() as folder:
        state = Path(folder) / "state.sqlite"
        made = [message(revision, slate=slate) for slate, revision in deliveries]
        acted = handled(CONSUMER, state, *made)
        highest = {slate: max(r for s, r in deliveries if s == slate) for slate, _ in deliveries}
        for slate, revision in highest.items():
            of_slate = [r for s, r in acted if s == slate]
            assert of_slate == sorted(set(of_slate))
            assert of_slate[-1] == revision
        with closing(sqlite3.connect(state)) as connection:
            found = connection.execute("SELECT slate, revision, message_id FROM newest").fetchall()
        expected = {
            (slate, revision, message(revision, slate=slate)["message_id"])
            for slate, revision in highest.items()
        }
        assert set(found) == expected
