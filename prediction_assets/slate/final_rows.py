"""At tip-off a player's rows are final: what was merged before his game began stays, whatever is staged later.

His later outcome is replaced by the one that his merged rows have. So the same outcomes give the same receipt, and his
later part is one that no outcome needs. Rows that were first merged after the tip-off aren't final: nobody could bet on
them. A failure takes no rows out of force, and stays. Pure functions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from prediction_assets.slate.basis import Basis
from prediction_assets.slate.batch import Progress
from prediction_assets.slate.outcome import Outcome, PartRef, PlayerOutcome
from prediction_assets.slate.receipt import Receipt
from prediction_assets.slate.staged_rows import PREDICTIONS_SCHEMA_VERSION

_SETTLED = frozenset({"", Outcome.SKIPPED.value})


@dataclass(frozen=True, slots=True)
class _Merged:
    """What a receipt says about a player: an entry of its parts (``outcome`` is '') or of its missing players.

    Attributes:
        was_in_time: this receipt, or an earlier one that settled him, was merged before his game began.
    """

    receipt: Receipt
    entry: Mapping[str, Any]
    basis: Basis
    was_in_time: bool

    def is_final(self, now: datetime) -> bool:
        return self.was_in_time and self.basis.begins_by(now)


def final_players(receipts: Iterable[Receipt], now: datetime) -> frozenset[str]:
    """Return the slugs of the players whose games have begun since their rows, or their skip, were merged."""
    return frozenset(slug for slug, merged in _newest(receipts).items() if merged.is_final(now))


def final_outcomes(progress: Progress, receipts: Iterable[Receipt], now: datetime) -> list[PlayerOutcome]:
    """Return the outcomes to record in place of those that came too late, under the same fences.

    Args:
        receipts: the slate's receipts, oldest first.
    """
    newest = _newest(receipts)
    found = []
    for player in progress.batch.expected:
        done, merged = progress.outcomes.get(player.slug), newest.get(player.slug)
        if done is None or merged is None or done.outcome is Outcome.FAILED or not merged.is_final(now):
            continue
        entry = merged.entry
        if (done.part.part_id if done.part else "") == entry.get("part_id", ""):
            continue
        part = None
        if "part_id" in entry:
            part = PartRef(
                slate=progress.batch.slate,
                player_slug=player.slug,
                player_id=player.player_id,
                part_id=entry["part_id"],
                rows=entry["rows"],
                content_hash=entry["content_hash"],
                schema_version=PREDICTIONS_SCHEMA_VERSION,
                feature_snapshot=merged.receipt.feature_snapshot,
            )
        found.append(
            replace(
                done,
                outcome=Outcome.STAGED if part else Outcome.SKIPPED,
                reason="" if part else entry["reason"],
                part=part,
                basis=merged.basis,
                facts_version=min(done.facts_version, merged.receipt.facts_version),
            )
        )
    return found


def _newest(receipts: Iterable[Receipt]) -> dict[str, _Merged]:
    """Return what the newest receipt that settled each player says about him, if it says what he was made from."""
    found: dict[str, _Merged] = {}
    for receipt in receipts:
        for entry in (*receipt.parts, *receipt.missing):
            if entry.get("outcome", "") not in _SETTLED:
                continue
            slug = entry["player_slug"]
            # A revert knows no facts; the game is the one that the receipt before it names.
            basis = Basis(**entry["basis"]) if entry.get("basis") else None
            known = basis or (found[slug].basis if slug in found else None)
            if known is not None:
                in_time = bool(known.tip_off) and not known.begins_by(receipt.consolidated_at)
                in_time = in_time or (slug in found and found[slug].was_in_time)
                found[slug] = _Merged(receipt, entry, known, in_time)
    return found
