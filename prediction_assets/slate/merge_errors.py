"""Why a MERGE is refused: the same sentence on every warehouse. Nothing is decided or read here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from prediction_assets.errors import DuplicateKeys, GameBegan, Overtaken, PartMismatch
from prediction_assets.slate.outcome import PartRef
from prediction_assets.slate.staged_rows import PREDICTIONS_SCHEMA_VERSION

_AGAIN = "Materialize these players' staged_predictions partitions again"


def require_known_schema(slate: str, parts: Sequence[PartRef]) -> None:
    """Refuse parts that a newer version of this package staged: they have columns that this one doesn't know."""
    newer = [part.player_slug for part in parts if part.schema_version > PREDICTIONS_SCHEMA_VERSION]
    if newer:
        raise PartMismatch(
            f"slate {slate}: the parts of {_shown(newer)} were staged by a newer version; this one knows schema "
            f"version {PREDICTIONS_SCHEMA_VERSION}. The target was not touched. Install the newer version here too"
        )


def part_gone(slate: str, slugs: Sequence[str]) -> PartMismatch:
    """Return the error for players whose part is not in staging."""
    return PartMismatch(
        f"slate {slate}: parts are missing in staging: {_shown(slugs)}; the target was not touched. {_AGAIN}"
    )


def another_players_part(slate: str, slug: str, player_id: int) -> PartMismatch:
    """Return the error for a part of another player than the one who is expected under its slug now."""
    return PartMismatch(
        f"slate {slate}: the part of {slug} was staged for player {player_id}, and another player is expected under "
        f"that name now; the target was not touched. {_AGAIN}"
    )


def older_than_merged(slate: str, slug: str) -> PartMismatch:
    """Return the error for a part that a later MERGE replaced: batch state was restored from an older backup."""
    return PartMismatch(
        f"slate {slate}: the part of {slug} is older than one of his that is merged: batch state is older than the "
        f"warehouse; the target was not touched. {_AGAIN}"
    )


def part_unreadable(slate: str, problem: object) -> PartMismatch:
    """Return the error for a part that can't be read, or was dropped while it was read."""
    return PartMismatch(
        f"slate {slate}: a part can't be read ({problem}); the target was not touched. {_AGAIN}"
    )


def part_changed(slate: str, slugs: Sequence[str]) -> PartMismatch:
    """Return the error for players whose staged rows aren't the ones that their outcome recorded."""
    return PartMismatch(
        f"slate {slate}: staged rows differ from what was recorded at staging: {_shown(slugs)}; the target was not "
        f"touched. {_AGAIN}"
    )


def faulty_key(slate: str, slug: str, system: str, line: str, rows: object) -> DuplicateKeys:
    """Return the error for rows that share a business key, or belong to another date."""
    return DuplicateKeys(
        f"slate {slate}: {rows} staged rows of {slug} share the key ({system}, {line}) or are of another date; the "
        f"target was not touched. {_AGAIN}"
    )


def overtaken(slate: str, newest: str) -> Overtaken:
    """Return the error for a MERGE that was planned before another one's receipt was committed."""
    return Overtaken(
        f"slate {slate}: another MERGE (receipt {newest}) was committed after this one was planned; the target "
        "was not touched and every part was kept. Materialize predictions for it again"
    )


def game_began(slate: str, tip_off: datetime, at: datetime) -> GameBegan:
    """Return the error for a MERGE that would have changed rows of players whose game has begun."""
    return GameBegan(
        f"slate {slate}: a game began at {tip_off.isoformat(timespec='seconds')}, before this MERGE of its players "
        "could be committed; the target was not touched and every part was kept. Materialize predictions for it again",
        at,
    )


def _shown(slugs: Sequence[str]) -> str:
    return ", ".join(slugs[:5]) + (f" and {len(slugs) - 5} more" if len(slugs) > 5 else "")
