"""How an expected player ended on a slate: staged with his part, skipped or failed.

An outcome contains its part's id, row count and hash, which the MERGE verifies.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

UNSETTLED = "unsettled"
"""The word in a receipt for a player who had no outcome by the deadline."""


@dataclass(frozen=True, slots=True)
class PlayerOutcome:
    """A player's outcome; a staged one contains its part, so that the MERGE can verify it.

    Attributes:
        batch_id: the batch that expected him; his outcome counts for that batch only.
        reason: why he was skipped or failed, ``""`` when staged.
        part: the written part when staged, else None.
        run_id: the Dagster run that produced the outcome.
        recorded_at: when the player settled: for a failure, when the last attempt had failed.
    """

    slate: str
    batch_id: str
    player_slug: str
    outcome: Outcome
    run_id: str
    recorded_at: datetime
    reason: str = ""
    part: PartRef | None = None


class Outcome(StrEnum):
    """How an expected player's work on a slate ended."""

    STAGED = "staged"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class PartRef:
    """Identifies one written part, and what it contains.

    Attributes:
        part_id: unique per write: a part that is written again is another part.
        rows: number of rows.
        content_hash: SHA-256 over the rows' sorted ``content_hash`` values.
    """

    slate: str
    player_slug: str
    player_id: int
    part_id: str
    rows: int
    content_hash: str
    schema_version: int
    feature_snapshot: str
