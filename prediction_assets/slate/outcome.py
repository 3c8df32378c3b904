"""How an expected player ended on a slate: staged with his part, skipped or failed.

An outcome contains its part's id, row count and hash, which the MERGE verifies. Outcomes of one player are ordered by
their fence: a number that the staging run claimed before it read a fact. No clock orders them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from prediction_assets.slate.basis import Basis

UNSETTLED = "unsettled"
"""The word in a receipt for a player who had no outcome by the deadline."""

_PART_ID = re.compile(r"(\d{8})[0-9a-f]{24}\Z")


@dataclass(frozen=True, slots=True)
class PlayerOutcome:
    """A player's outcome; a staged one contains its part, so that the MERGE can verify it."""

    slate: str
    batch_id: str  # the batch that expected him; his outcome counts for that batch only
    player_slug: str
    outcome: Outcome
    run_id: str  # the Dagster run that produced the outcome
    # when the player settled: for a failure, when the last attempt had failed. For people: it orders nothing.
    recorded_at: datetime
    fence: int  # what his staging run claimed; of a player's outcomes the one with the highest fence counts
    # the version of the facts when his staging run began: it read facts as new as that, or newer. The
    # features have a version of their own, of the moment when they were pinned.
    facts_version: int
    reason: str = ""  # why he was skipped or failed, '' when staged
    part: PartRef | None = None  # the written part when staged, else None
    basis: Basis | None = None  # the facts that the outcome was made from, None where nobody knows


class Outcome(StrEnum):
    """How an expected player's work on a slate ended."""

    STAGED = "staged"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class PartRef:
    """Identifies one written part, and what it contains."""

    slate: str
    player_slug: str
    player_id: int
    part_id: str  # unique per write: a part that is written again is another part. It begins with the fence.
    rows: int  # number of rows
    content_hash: str  # SHA-256 over the rows' sorted `content_hash` values
    schema_version: int
    feature_snapshot: str


def part_id(fence: int, unique: str) -> str:
    """Return a part's id: the fence in 8 digits, then 24 hexadecimal digits that no other part has."""
    return f"{fence:08d}{unique}"


def fence_of(of_part: str) -> int:
    """Return the fence that a part's id begins with; 0 if it isn't the id of a part."""
    found = _PART_ID.match(of_part)
    return int(found[1]) if found else 0


def highest_fence(of_parts: Iterable[str]) -> int:
    """Return the highest fence among parts, 0 if there are none."""
    return max(map(fence_of, of_parts), default=0)
