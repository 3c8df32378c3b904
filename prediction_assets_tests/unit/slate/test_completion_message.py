"""The completion message: producer and consumer hold it to one schema."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jsonschema
import pytest

from prediction_assets.errors import InvalidMessage
from prediction_assets.slate.completion_message import (
    PHASE,
    OutboxEntry,
    completion_message,
    completion_schema,
    completion_schema_version,
    is_announced,
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


def test_a_field_that_a_later_version_adds_is_accepted() -> None:
    validate_completion({**message(), "weather": "snow"})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("message_id", "not-a-uuid"), ("message_id", 7), ("message_id", REMOVED),
        ("phase", "phase_4_features"), ("phase", None),
        ("slate", "2026-1-2"), ("slate", "2026-01-02:stephen-curry"), ("slate", ""), ("slate", "2026-02-30"),
        ("batch_id", ""), ("receipt_id", ""), ("receipt_id", REMOVED),
        ("revision", 0), ("revision", "1"), ("revision", 1.5),
        ("status", "failed"), ("status", "SUCCESS"), ("status", REMOVED),
        ("expected_players", -1), ("staged_players", -1), ("skipped_players", -1), ("failed_players", "1"),
        ("rows", 0), ("rows", None), ("rows", REMOVED),
        ("rows_inserted", -1), ("rows_updated", -1), ("rows_unchanged", -1), ("rows_superseded", -1),
        ("output_table", ""), ("feature_snapshot", ""),
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
        "rows_superseded": 50, "status": "success", "missing": (),
    }  # fmt: skip
    for players in (0, 3):
        made = message(**nothing, expected_players=players, skipped_players=players)
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
        completion_message(receipt(**changes), output_table="t", published_at=NOW)


def test_the_same_content_has_the_same_id_whoever_merged_it_when() -> None:
    again = receipt(receipt_id="r9", minutes=9, merge_ms=1.0, rows_inserted=0, rows_unchanged=50)
    assert message_id(again) == message_id(receipt())


@pytest.mark.parametrize("changes", [{"slate": "2026-01-03"}, {"revision": 2}, {"content_digest": "e" * 64}])
def test_other_content_has_another_id(changes: dict[str, Any]) -> None:
    assert message_id(receipt(**changes)) != message_id(receipt())


WAITING = OutboxEntry(message_id(receipt()), "2026-01-02", "r1", {})
DELIVERED = replace(WAITING, delivery_id="d", delivered_at=NOW)
OF_ANOTHER_REVISION = replace(DELIVERED, message_id=message_id(receipt(revision=2)))


@pytest.mark.parametrize(
    ("entries", "found", "announced"),
    [
        ([], None, False),
        ([WAITING], WAITING, False),
        ([DELIVERED], DELIVERED, True),
        ([OF_ANOTHER_REVISION], None, False),
        ([OF_ANOTHER_REVISION, WAITING], WAITING, False),
    ],
)
def test_a_receipt_is_announced_when_the_message_of_its_own_content_is_delivered(
    entries: list[OutboxEntry], found: OutboxEntry | None, announced: bool
) -> None:
    assert outbox_entry_of(receipt(), entries) == found
    assert is_announced(receipt(), entries) is announced
