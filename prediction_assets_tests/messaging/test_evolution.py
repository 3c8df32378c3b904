"""The completion message evolves by additions only: whoever reads it with an earlier schema still can.

``published_schemas/`` holds every text of the schema that was published, by version and commit; the present one
is the packaged file.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from prediction_assets.slate.completion_message import (
    completion_schema,
    completion_schema_version,
    schema_version,
    validate_completion,
)
from prediction_assets_tests.messaging.conftest import message

PUBLISHED = sorted((Path(__file__).parent / "published_schemas").glob("*.json"))

published = pytest.mark.parametrize(
    "schema",
    [json.loads(path.read_text("utf-8")) for path in PUBLISHED],
    ids=[path.stem for path in PUBLISHED],
)
missing = [{"player_slug": "player-2", "outcome": "unsettled", "reason": "no outcome by the deadline"}]

IGNORED = {"description", "title"}
"""What a reader's program doesn't see."""


def breaking(earlier: dict[str, Any], later: dict[str, Any], where: str = "message") -> list[str]:
    """Return what of a later schema breaks a promise that an earlier one of the same version made."""
    found = []
    for name in sorted(set(earlier) | set(later)):
        before, after = earlier.get(name), later.get(name)
        if name in IGNORED or before == after:
            continue
        if name == "properties":
            for field in before or {}:
                if field not in (after or {}):
                    found.append(f"{where}.{field} is gone")
                else:
                    found += breaking(before[field], after[field], f"{where}.{field}")
        elif name == "required":
            found += [f"{where}.{field} may be absent now" for field in before or [] if field not in after]
        elif name == "items":
            found += breaking(before, after, f"{where}[]")
        elif name in ("format", "pattern", "minimum", "minLength") and before is None:
            continue  # says more exactly what was true before
        else:
            found.append(f"{where}: {name} was {before!r} and is {after!r}")
    return found


def test_a_message_says_its_schema_version() -> None:
    made = message()
    assert made["schema_version"] == schema_version(made) == completion_schema_version()


def test_a_message_from_before_versions_were_in_it_is_valid_and_of_version_1() -> None:
    made = message()
    del made["schema_version"]
    validate_completion(made)
    assert schema_version(made) == 1


@published
def test_a_consumer_with_an_earlier_schema_accepts_today_s_message_of_a_slate_with_rows(
    schema: dict[str, Any],
) -> None:
    jsonschema.Draft202012Validator(schema).validate(message(missing=missing))


BROKEN = {
    1: [
        "message: $id was 'urn:prediction-assets:phase5-completion:1' and is "
        "'urn:prediction-assets:phase5-completion:2'",
        "message: else was None and is {'properties': {'rows': {'minimum': 1}}}",
        "message: if was None and is {'properties': {'staged_players': {'const': 0}}}",
        "message.expected_players: minimum was 1 and is 0",
        "message.staged_players: minimum was 1 and is 0",
        "message.rows: minimum was 1 and is 0",
        "message: then was None and is {'properties': {'rows': {'const': 0}, 'failed_players': {'const': 0}}}",
    ],
    completion_schema_version(): [],
}
"""What today's schema doesn't promise any more, by the version that promised it. 2: a slate of which nothing is
predicted any more is announced, with 0 rows."""


@published
def test_today_s_schema_breaks_no_promise_of_its_own_version_and_of_earlier_ones_what_is_said(
    schema: dict[str, Any],
) -> None:
    version = int(schema["$id"].rpartition(":")[2])
    assert breaking(schema, completion_schema()) == BROKEN[version]


@pytest.mark.parametrize(
    ("earlier", "later", "problem"),
    [
        ({"properties": {"a": {}}}, {"properties": {}}, "message.a is gone"),
        ({"required": ["a"]}, {"required": []}, "message.a may be absent now"),
        ({"type": "integer"}, {"type": "string"}, "message: type was 'integer' and is 'string'"),
        (
            {"properties": {"a": {"enum": [1]}}},
            {"properties": {"a": {"enum": [1, 2]}}},
            "message.a: enum was [1] and is [1, 2]",
        ),
        ({"minimum": 1}, {"minimum": 0}, "message: minimum was 1 and is 0"),
        (
            {"additionalProperties": True},
            {"additionalProperties": False},
            "message: additionalProperties was True",
        ),
        ({"items": {"required": ["a"]}}, {"items": {"required": []}}, "message[].a may be absent now"),
        ({"properties": {}}, {"properties": {"a": {"type": "string"}}}, ""),
        ({"required": []}, {"required": ["a"]}, ""),
        ({"description": "old"}, {"description": "new"}, ""),
        ({}, {"minimum": 1}, ""),
    ],
)
def test_what_breaks_a_consumer_is_told_from_what_adds(
    earlier: dict[str, Any], later: dict[str, Any], problem: str
) -> None:
    assert [text.startswith(problem) for text in breaking(earlier, later)] == ([True] if problem else [])
