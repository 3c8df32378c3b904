"""At tip-off a player's rows are final: what was merged before his game began stays, whatever is staged later.

His later outcome is replaced by the one that his merged rows have. So the same outcomes give the same receipt, and his
later part is one that no outcome needs. Rows that were first merged after the tip-off aren't final: nobody could bet on
them. A failure takes no rows out of force, and stays. Pure functions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from prediction_assets.slate.basis import Basis
from prediction_assets.slate.batch import Progress
from prediction_assets.slate.outcome import Outcome, PartRef, PlayerOutcome
from prediction_assets.slate.receipt import Receipt
from prediction_assets.slate.staged_rows import PREDICTIONS_SCHEMA_VERSION

_SETTLED = frozenset({"", Outcome.SKIPPED.value})


@dataclass(frozen=True, slots=True)
class _Merged:
    """What a receipt says about a player: an entry of its parts (``outcome`` is '') or of its missing players."""

    receipt: Receipt
    entry: Mapping[str, Any]
    basis: Basis
    was_in_time: bool  # this receipt, or an earlier one that settled him, was merged before his game began

    def is_final(self, now: datetime) -> bool:
        return self.was_in_time and self.basis.begins_by(now)


NEVER = datetime(9999, 1, 1, tzinfo=UTC)
"""No game begins later."""


def final_players(receipts: Iterable[Receipt], now: datetime) -> frozenset[str]:
    """Return the slugs of the players whose games have begun since their rows, or their skip, were merged."""
    return frozenset(slug for slug, merged in _newest(receipts).items() if merged.is_final(now))


def final_outcomes(progress: Progress, receipts: Iterable[Receipt], now: datetime) -> list[PlayerOutcome]:
    """Return the outcomes to record in place of those that came too late, under the same fences."""
    found = []
    for done, player_id, merged, tip_off in _changes(progress, receipts):
        if now < tip_off:
            continue
        entry = merged.entry
        part = None
        if "part_id" in entry:
            part = PartRef(
                slate=progress.batch.slate,
                player_slug=done.player_slug,
                player_id=player_id,
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


def first_tip_off(progress: Progress, receipts: Iterable[Receipt]) -> datetime:
    """Return when the first game begins of a player whose merged rows, or skip, these outcomes would change.

    A MERGE of them has to be committed before it.
    """
    return min((tip_off for *_, tip_off in _changes(progress, receipts)), default=NEVER)


def next_tip_off(progress: Progress, receipts: Iterable[Receipt], now: datetime) -> datetime:
    """Return when the next game begins of a player who has an outcome and was never merged in time.

    A MERGE that began before it and is committed after it would date his first rows before his game.
    """
    newest = _newest(receipts)
    bases = (
        done.basis
        for slug, done in progress.outcomes.items()
        if done.basis and done.basis.tip_off and not (slug in newest and newest[slug].was_in_time)
    )
    return min((at for basis in bases if (at := datetime.fromisoformat(basis.tip_off)) > now), default=NEVER)


def _changes(
    progress: Progress, receipts: Iterable[Receipt]
) -> Iterator[tuple[PlayerOutcome, int, _Merged, datetime]]:
    """Yield the outcomes that would change what was merged in time, with player id, that, and the player's tip-off."""
    newest = _newest(receipts)
    for player in progress.batch.expected:
        done, merged = progress.outcomes.get(player.slug), newest.get(player.slug)
        if done is None or merged is None or done.outcome is Outcome.FAILED or not merged.was_in_time:
            continue
        if (done.part.part_id if done.part else "") != merged.entry.get("part_id", ""):
            # A game that was moved has begun at the earlier of its tip-offs.
            begins = [
                datetime.fromisoformat(at.tip_off) for at in (merged.basis, done.basis) if at and at.tip_off
            ]
            yield done, player.player_id, merged, min(begins, default=NEVER)


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
