"""Why a consolidation is refused: the same sentence on every warehouse.

Each function returns the error for its caller to raise; nothing is decided or read here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from prediction_assets.errors import DuplicateKeys, Overtaken, PartMismatch, RowsUnaccountedFor
from prediction_assets.slate.outcome import PartRef
from prediction_assets.slate.staged_rows import PREDICTIONS_SCHEMA_VERSION

_AGAIN = "Materialize these players' staged_predictions partitions again"


def require_known_schema(slate: str, parts: Sequence[PartRef]) -> None:
    """Refuse parts that a newer version of this package staged; it knows columns that this one doesn't.

    Raises:
        PartMismatch: a part's schema version is newer.
    """
    newer = [part.player_slug for part in parts if part.schema_version > PREDICTIONS_SCHEMA_VERSION]
    if newer:
        raise PartMismatch(
            f"slate {slate}: {_shown(newer)} staged by a newer version than this one, which knows schema "
            f"version {PREDICTIONS_SCHEMA_VERSION}; the target was not touched. Run the newer version here too"
        )


def part_gone(slate: str, slugs: Sequence[str]) -> PartMismatch:
    """Return the error for players whose part is not in staging, or is another one."""
    return PartMismatch(
        f"slate {slate}: what in staging is not the outcome's part: {_shown(slugs)}; the target was not "
        f"touched. {_AGAIN}"
    )


def another_players_part(slate: str, slug: str, player_id: int) -> PartMismatch:
    """Return the error for a part of somebody else than the player who is expected under its slug now."""
    return PartMismatch(
        f"slate {slate}: the part of {slug} is of player {player_id}, who isn't the one expected now; the target "
        f"was not touched. {_AGAIN}"
    )


def part_unreadable(slate: str, problem: object) -> PartMismatch:
    """Return the error for a part that can't be read, or went away while it was."""
    return PartMismatch(
        f"slate {slate}: a part can't be read ({problem}); the target was not touched. {_AGAIN}"
    )


def part_changed(slate: str, slugs: Sequence[str]) -> PartMismatch:
    """Return the error for players whose part has other rows than its outcome promised."""
    return PartMismatch(
        f"slate {slate}: what has not the promised rows: {_shown(slugs)}; the target was not touched. {_AGAIN}"
    )


def faulty_key(slate: str, slug: str, system: str, line: str, rows: object) -> DuplicateKeys:
    """Return the error for rows that share a business key, or belong to another date."""
    return DuplicateKeys(
        f"slate {slate}: {rows} staged rows of {slug} have the key ({system}, {line}) or another date; the "
        f"target was not touched. {_AGAIN}"
    )


def overtaken(slate: str, newest: str) -> Overtaken:
    """Return the error for a MERGE that was decided before another one's receipt."""
    return Overtaken(
        f"slate {slate}: another consolidation (receipt {newest}) was committed after this one was decided; "
        "the target was not touched and every part kept. Materialize predictions for it again"
    )


def unaccounted(slate: str, counts: Mapping[str, Any]) -> RowsUnaccountedFor:
    """Return the error for a MERGE that didn't do what was counted before it."""
    return RowsUnaccountedFor(
        f"slate {slate}: {counts['staged']} rows staged, {counts['inserted']} to insert, {counts['updated']} to "
        f"update, {counts['unchanged']} unchanged, but {counts['in_force']} in force and {counts['changed']} "
        "changed after the MERGE; it was rolled back and every part kept"
    )


def _shown(slugs: Sequence[str]) -> str:
    return ", ".join(slugs[:5]) + (f" and {len(slugs) - 5} more" if len(slugs) > 5 else "")
