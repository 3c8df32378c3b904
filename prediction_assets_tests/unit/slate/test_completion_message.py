"""The completion message: producer and consumer hold it to one schema."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import jsonschema
import pytest

from prediction_assets.errors import InvalidMessage, OlderRevision
from prediction_assets.slate.completion_message import (
    PHASE,
    Changes,
    OutboxEntry,
    completion_message,
    completion_schema,
    completion_schema_version,
    is_announced,
    is_awaited,
    message_digest,
    message_id,
    outbox_entry_of,
    validate_completion,
)
from prediction_assets_tests.made_up import NOW, receipt
from prediction_assets_tests.made_up_messages import message

REMOVED = object()


def test_a_message_names_the_facts_version_of_its_receipt():
    assert message(facts_version=12)["facts_version"] == 12


def test_the_schema_is_itself_valid_and_has_a_version() -> None:
    jsonschema.Draft202012Validator.check_schema(completion_schema())
    assert completion_schema_version() == message()["schema_version"] == 1


def test_a_receipts_message_is_valid_and_says_what_the_receipt_says() -> None:
    made = message()
    validate_completion(made)
    assert (made["phase"], made["slate"], made["status"], made["rows"]) == (
        PHASE,
        "2026-01-02",
        "partial",
        50,
    )
    assert made["published_at"] == "2026-01-02T15:00:00.000+00:00"


def test_every_required_field_is_in_the_message() -> None:
    assert set(completion_schema()["required"]) <= set(message())


@pytest.mark.parametrize(("board", "said"), [("", None), ("https://b/d.html", "https://b/d.html")])
def test_a_message_says_where_the_board_is_or_that_nobody_can_open_it(board, said) -> None:
    made = completion_message(receipt(), Changes(), output_table="t", published_at=NOW, board=board)
    assert made["board"] == said


def test_a_field_that_a_later_version_adds_is_accepted() -> None:
    later = {**message(), "weather": "snow"}
    validate_completion({**later, "digest": message_digest(later)})


@pytest.mark.parametrize(
    "changes",
    [
        {"rows_inserted": 51},
        {"revision": 2},
        {"recommendations_flipped": 1},
        {"output_table": "p.d.player_prop_predictionr"},
        {"receipt_hash": "0" * 64},
        {"digest": "0" * 64},
        {"weather": "snow"},
    ],
)
def test_a_message_that_follows_the_schema_and_is_not_the_one_that_was_sealed_is_refused(changes) -> None:
    with pytest.raises(InvalidMessage, match="digest: it isn't that of the other fields"):
        validate_completion({**message(), **changes})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("message_id", "not-a-uuid"), ("message_id", 7), ("message_id", REMOVED),
        ("phase", "phase_4_features"), ("phase", None),
        ("slate", "2026-1-2"), ("slate", "2026-01-02:stephen-curry"), ("slate", ""), ("slate", "2026-02-30"),
        ("batch_id", ""), ("receipt_id", ""), ("receipt_id", REMOVED),
        ("receipt_hash", ""), ("receipt_hash", "x" * 64), ("receipt_hash", REMOVED),
        ("revision", 0), ("revision", "1"), ("revision", 1.5),
        ("status", "failed"), ("status", "SUCCESS"), ("status", REMOVED),
        ("expected_players", -1), ("staged_players", -1), ("skipped_players", -1), ("failed_players", "1"),
        ("rows", 0), ("rows", None), ("rows", REMOVED),
        ("rows_inserted", -1), ("rows_updated", -1), ("rows_unchanged", -1), ("rows_superseded", -1),
        ("output_table", ""), ("feature_snapshot", ""), ("board", ""), ("board", REMOVED),
        ("published_at", "yesterday"), ("published_at", "2026-01-02"), ("published_at", "2026-01-02T15:00:00"),
        ("published_at", 1767366000), ("published_at", REMOVED),
    ],
)  # fmt: skip
def test_an_invalid_message_is_refused_and_the_field_named(field: str, value: Any) -> None:
    wrong = {**message(), field: value}
    if value is REMOVED:
        del wrong[field]
    with pytest.raises(InvalidMessage) as raised:
        validate_completion(wrong)
    assert field in str(raised.value)


def test_a_slate_without_anything_to_predict_is_announced_with_0_rows() -> None:
    nothing = {
        "staged_players": 0, "failed_players": 0, "rows": 0, "rows_staged": 0, "rows_inserted": 0,
        "rows_superseded": 50, "status": "success",
    }  # fmt: skip
    for players in (0, 3):
        missing = tuple(
            {"player_slug": f"p-{n}", "outcome": "skipped", "reason": "no"} for n in range(players)
        )
        made = message(**nothing, expected_players=players, skipped_players=players, missing=missing)
        assert (made["rows"], made["staged_players"], made["rows_superseded"]) == (0, 0, 50)
        for wrong in ({"rows": 1}, {"failed_players": 1}, {"staged_players": 1}):
            with pytest.raises(InvalidMessage):
                validate_completion({**made, **wrong})


@pytest.mark.parametrize(
    "changes",
    [
        {"rows": 0}, {"staged_players": 0}, {"status": "running"}, {"rows": 0, "staged_players": 0},
        {"rows": 25, "staged_players": 0, "failed_players": 0, "skipped_players": 3},
    ],
)  # fmt: skip
def test_a_receipt_that_announces_nothing_makes_no_message(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidMessage):
        completion_message(receipt(**changes), Changes(), output_table="t", published_at=NOW)


def test_the_same_content_has_the_same_id_whoever_merged_it_when() -> None:
    again = receipt(receipt_id="r9", minutes=9, merge_ms=1.0, rows_inserted=0, rows_unchanged=50)
    assert message_id(again) == message_id(receipt())


@pytest.mark.parametrize("changes", [{"slate": "2026-01-03"}, {"revision": 2}, {"content_digest": "e" * 64}])
def test_other_content_has_another_id(changes: dict[str, Any]) -> None:
    assert message_id(receipt(**changes)) != message_id(receipt())


WAITING = OutboxEntry(message_id(receipt()), "2026-01-02", "r1", 1, {})
DELIVERED = replace(WAITING, delivery_id="d", delivered_at=NOW)
OF_ANOTHER_REVISION = replace(DELIVERED, message_id=message_id(receipt(revision=2)), revision=2)


@pytest.mark.parametrize(
    ("entries", "found", "announced", "awaited"),
    [
        ([], None, False, True),
        ([WAITING], WAITING, False, True),
        ([DELIVERED], DELIVERED, True, False),
        ([OF_ANOTHER_REVISION], None, False, False),
        ([OF_ANOTHER_REVISION, WAITING], WAITING, False, False),
    ],
)
def test_a_receipt_is_announced_when_the_message_of_its_own_content_is_delivered(
    entries: list[OutboxEntry], found: OutboxEntry | None, announced: bool, awaited: bool
) -> None:
    assert outbox_entry_of(receipt(), entries) == found
    assert is_announced(receipt(), entries) is announced
    assert is_awaited(receipt(), entries) is awaited


def test_a_message_that_is_older_than_one_of_the_outbox_is_refused() -> None:
    WAITING.refuse_if_older([])
    WAITING.refuse_if_older([WAITING])
    with pytest.raises(OlderRevision, match="revision 1"):
        WAITING.refuse_if_older([OF_ANOTHER_REVISION])


CHANGED = Changes(("player-1", "player-2"), 3, 7)


def test_the_message_says_what_the_revision_replaces_changed_and_was_audited_for() -> None:
    made = message(
        2,
        changes=CHANGED,
        replaces=1,
        audits=(
            {"name": "values_in_range", "passed": True, "severity": "ERROR", "detail": ""},
            {"name": "enough_players_staged", "passed": False, "severity": "ERROR", "detail": "2 of 3"},
        ),
        accepted=({"name": "enough_players_staged", "because": "the rest is injured"},),
    )
    assert {
        name: made[name] for name in ("replaces", "players_changed", "recommendations_flipped", "bets")
    } == {
        "replaces": 1,
        "players_changed": {"count": 2, "players": ["player-1", "player-2"]},
        "recommendations_flipped": 3,
        "bets": 7,
    }
    assert made["audits"] == [
        {"name": "values_in_range", "passed": True},
        {"name": "enough_players_staged", "passed": False},
    ]
    assert made["accepted"] == [{"name": "enough_players_staged", "because": "the rest is injured"}]


def test_a_message_counts_all_changed_players_and_names_the_first_hundred() -> None:
    changed = tuple(f"player-{n:03}" for n in range(450))
    made = message(changes=Changes(changed))["players_changed"]
    assert (made["count"], made["players"]) == (450, list(changed[:100]))


NOT_SAME = {"published_at": "", "digest": ""}


def test_the_same_receipt_and_changes_give_the_same_message_except_for_its_moment() -> None:
    first, again = message(changes=CHANGED), message(changes=CHANGED, at=NOW + timedelta(hours=1))
    assert first != again
    assert json.dumps({**first, **NOT_SAME}) == json.dumps({**again, **NOT_SAME})


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"schema_version": 2}, "schema_version: 2 is later than 1, .* install a newer version"),
        ({"expected_players": 4}, "expected_players: 4 isn't 2 staged . 0 skipped . 1 failed"),
        ({"status": "success"}, "status: success with 1 failed players"),
        ({"missing": []}, "missing: 0 players of 0 skipped and 1 failed"),
        (
            {
                "expected_players": 4,
                "failed_players": 2,
                "missing": [{"player_slug": "p-1", "outcome": "failed", "reason": "no"}] * 2,
            },
            "missing: a player is named twice",
        ),
        ({"replaces": 1}, "replaces: revision 1 can't replace revision 1"),
        ({"replaces": 0}, "replaces"),
        ({"players_changed": {"count": 2, "players": ["a-b"]}}, "players_changed: 1 players are named of 2"),
        ({"players_changed": {"count": 1, "players": ["A b"]}}, "players_changed"),
        ({"recommendations_flipped": -1}, "recommendations_flipped"),
        ({"bets": -1}, "bets"),
        ({"audits": [{"name": "x"}]}, "audits"),
        ({"accepted": [{"name": "x", "because": ""}]}, "accepted"),
    ],
)
def test_what_the_message_says_about_its_revision_is_held_to_the_schema(
    changes: dict[str, Any], says: str
) -> None:
    with pytest.raises(InvalidMessage, match=says):
        validate_completion({**message(), **changes})
