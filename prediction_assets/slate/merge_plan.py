"""The merge plan: what a MERGE will consume and what its receipt will say, decided before it.

Also how a receipt is recognised: the same outcomes give the same receipt, the same content the same revision.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from prediction_assets.errors import NoPartsStaged
from prediction_assets.slate.audits import ENOUGH_STAGED, NO_LIMITS, AuditLimits, refused, require_acceptable
from prediction_assets.slate.basis import causes, merged_bases
from prediction_assets.slate.batch import Progress, is_nothing_to_predict
from prediction_assets.slate.final_rows import NEVER, first_tip_off
from prediction_assets.slate.merge_errors import another_players_part, older_than_merged
from prediction_assets.slate.outcome import UNSETTLED, Outcome, PartRef, PlayerOutcome
from prediction_assets.slate.part_states import is_another_players, is_stale
from prediction_assets.slate.receipt import (
    MergeCounts,
    Receipt,
    lists_digest,
    merged_fences,
    merged_part_ids,
    replaced_part_ids,
)
from prediction_assets.slate.records import as_row
from prediction_assets.slate.revisions import SeenRevision, revision_floor

_RECEIPT_ID_DIGITS, _OUTCOMES_DIGITS = 32, 20
"""Hexadecimal digits of a receipt's id, and how many of them are a digest of its outcomes. The others distinguish it
from an earlier receipt of the same outcomes; in a slate's first receipt they are the digest's, too."""


@dataclass(frozen=True, slots=True)
class MergePlan:
    """A decided MERGE: what to consume and what to write into the receipt."""

    slate: str
    league: str
    batch_id: str
    receipt_id: str
    content_digest: str
    status: str
    parts: tuple[PartRef, ...]  # the parts to merge; merged parts are not among them
    staged_player_ids: tuple[int, ...]  # players whose rows stay in force, merged now or earlier
    # players whose earlier rows stay in force although they failed or didn't settle
    retained_player_ids: tuple[int, ...]
    expected_players: int
    skipped_players: int
    failed_players: int
    feature_snapshot: str
    # the lowest version of the facts among the staged outcomes, because it has to hold for all; of a
    # retraction, among the skipped ones. Retained rows may be from older facts: their players are missing.
    facts_version: int
    missing: tuple[MissingPlayer, ...] = ()
    # id of the slate's newest receipt when this was planned, '' for none;
    # the MERGE is refused if there is a newer one
    after: str = ""
    revision_floor: int = 0  # the receipt's revision is higher than this (`revisions`)
    # the MERGE is refused from this moment on, by the warehouse's clock, which it reads last: a game begins,
    # and the rows of its players would change
    before: datetime = NEVER
    limits: AuditLimits = NO_LIMITS  # what the audits compare with
    # why an operator accepts the refusal of an audit, by the audit's name
    accepted: Mapping[str, str] = field(default_factory=dict)
    # what each part and skip was made from, and what changed since the rows in force: `basis` and `causes`,
    # by slug. The receipt keeps both.
    origins: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def receipt(
        self,
        counts: MergeCounts,
        earlier: Sequence[Receipt],
        *,
        merge_ms: float,
        now: datetime,
        audits: Sequence[dict[str, Any]] = (),
    ) -> Receipt:
        """Return the receipt to commit with the MERGE of this plan.

        Args:
            earlier: the slate's receipts so far, oldest first. The revision grows if the content differs from the
                newest one's, and exceeds the plan's floor in any case.
            merge_ms: how long the MERGE took, in milliseconds.
            audits: the audits' verdicts.
        """
        newest = earlier[-1] if earlier else None
        if newest and newest.content_digest == self.content_digest and newest.revision > self.revision_floor:
            revision, replaces = newest.revision, newest.replaces
        else:
            replaces = newest.revision if newest else None
            revision = max(replaces or 0, self.revision_floor) + 1
        parts = tuple(
            {
                "player_slug": part.player_slug,
                "part_id": part.part_id,
                "rows": part.rows,
                "content_hash": part.content_hash,
                **self.origins.get(part.player_slug, {}),
            }
            for part in self.parts
        )
        missing = tuple(
            {**as_row(player), **self.origins.get(player.player_slug, {})} for player in self.missing
        )
        return Receipt(
            receipt_id=self.receipt_id,
            slate=self.slate,
            league=self.league,
            batch_id=self.batch_id,
            status=self.status,
            sequence=newest.sequence + 1 if newest else 1,
            revision=revision,
            replaces=replaces,
            content_digest=self.content_digest,
            expected_players=self.expected_players,
            staged_players=len(self.staged_player_ids),
            skipped_players=self.skipped_players,
            failed_players=self.failed_players,
            rows=counts.active,
            rows_staged=counts.staged,
            rows_inserted=counts.inserted,
            rows_updated=counts.updated,
            rows_unchanged=counts.unchanged,
            rows_superseded=counts.superseded,
            rows_digest=counts.digest,
            lists_digest=lists_digest(parts, missing),
            feature_snapshot=self.feature_snapshot,
            facts_version=self.facts_version,
            merge_ms=round(merge_ms, 1),
            consolidated_at=now,
            parts=parts,
            missing=missing,
            audits=tuple(audits),
            accepted=tuple({"name": name, "because": why} for name, why in sorted(self.accepted.items())),
            previous_hash=newest.receipt_hash if newest else "",
        ).hashed()


@dataclass(frozen=True, slots=True)
class MissingPlayer:
    """An expected player without staged rows, and why."""

    player_slug: str
    outcome: str
    reason: str


def plan(
    progress: Progress,
    receipts: Iterable[Receipt],
    *,
    limits: AuditLimits = NO_LIMITS,
    accepted: Mapping[str, str] | None = None,
    seen: Iterable[SeenRevision] = (),
) -> MergePlan:
    """Return the MERGE that a batch's outcomes call for.

    Merged parts are left out: their rows are in the table, and they may have been dropped. The earlier rows of a
    skipped player go out of force; those of a player who failed or hasn't settled stay in force, as the best there is.
    If there is nothing to predict any more, a MERGE without parts retracts the rows that are in force.

    Args:
        progress: the batch as it stands, read after the receipts. The MERGE is refused if another consolidation commits
            a receipt in between.
        receipts: the slate's receipts so far, oldest first.

    Raises:
        NoPartsStaged: no expected player has staged rows, and there is nothing to retract.
        PartMismatch: a part is not of the player who is expected now, or a later MERGE replaced it.
        AuditRefused: fewer than the minimum share of players have staged rows.
    """
    accepted = require_acceptable(accepted or {})
    receipts = tuple(receipts)
    # Batch state may not know it yet.
    progress = replace(progress, receipt=receipts[-1] if receipts else None)
    batch = progress.batch
    merged, replaced = merged_part_ids(receipts), replaced_part_ids(receipts)
    fences = merged_fences(receipts)
    staged, retained, missing, parts = [], [], [], []
    for player in batch.expected:
        outcome = progress.outcomes.get(player.slug)
        if outcome is None:
            missing.append(MissingPlayer(player.slug, UNSETTLED, "no outcome by the deadline"))
            retained.append(player.player_id)
            continue
        if outcome.part is not None and is_another_players(player, outcome.part):
            raise another_players_part(batch.slate, player.slug, outcome.part.player_id)
        if is_stale(outcome, fences, replaced):
            raise older_than_merged(batch.slate, player.slug)
        if outcome.part is not None:
            staged.append(player.player_id)
            if outcome.part.part_id not in merged:
                parts.append(outcome.part)
        else:
            missing.append(MissingPlayer(player.slug, outcome.outcome.value, outcome.reason))
            if outcome.outcome is Outcome.FAILED:
                retained.append(player.player_id)
    is_retraction = bool(receipts) and is_nothing_to_predict(progress)
    if not staged and not is_retraction:
        raise NoPartsStaged(_nobody_staged(progress, missing))
    skipped = progress.count(Outcome.SKIPPED)
    failed = len(batch.expected) - len(staged) - skipped
    content = content_digest(progress)
    floor = revision_floor(batch.slate, content, seen)
    own_id = receipt_id(progress, floor)
    # Maybe accepted, by a run that was killed.
    is_merged = bool(receipts) and own_id == receipts[-1].receipt_id
    too_few = len(staged) < limits.minimum_staged_share * (len(staged) + failed)
    if too_few and not is_merged and ENOUGH_STAGED not in accepted:
        # The audit in the MERGE's transaction would refuse it too: a sensor has to know that without a MERGE.
        raise refused(
            batch.slate,
            ENOUGH_STAGED,
            f"only {len(staged)} of {len(staged) + failed} players have staged rows, less than "
            f"{limits.minimum_staged_share:.0%} ({_reasons(missing)})",
        )
    return MergePlan(
        slate=batch.slate,
        league=batch.league or (receipts[-1].league if receipts else ""),
        batch_id=batch.batch_id,
        receipt_id=own_id,
        content_digest=content,
        status="partial" if failed else "success",
        parts=tuple(parts),
        staged_player_ids=tuple(staged),
        retained_player_ids=tuple(retained),
        expected_players=len(batch.expected),
        skipped_players=skipped,
        failed_players=failed,
        feature_snapshot=_newest_snapshot(progress) if staged else receipts[-1].feature_snapshot,
        facts_version=_lowest_version(progress, receipts),
        missing=tuple(missing),
        after=receipts[-1].receipt_id if receipts else "",
        revision_floor=floor,
        before=first_tip_off(progress, receipts),
        limits=limits,
        accepted=accepted,
        origins=_origins(progress, receipts),
    )


def _origins(progress: Progress, receipts: Sequence[Receipt]) -> dict[str, dict[str, Any]]:
    """Return the basis of each outcome, with what changed since what the receipts say that he was made from."""
    before = merged_bases(receipts)
    return {
        slug: {
            "basis": as_row(done.basis),
            "causes": [*causes(before[slug], done.basis)] if slug in before else [],
        }
        for slug, done in progress.outcomes.items()
        if done.basis is not None
    }


def _nobody_staged(progress: Progress, missing: Sequence[MissingPlayer]) -> str:
    batch = progress.batch
    refused = (
        f"slate {batch.slate}: none of {len(batch.expected)} expected players has staged rows "
        f"({_reasons(missing) or 'no game is on'}); the target was not touched and every part was kept. "
    )
    if is_nothing_to_predict(progress):
        return f"{refused}There is nothing to predict, and no merged rows to retract"
    return f"{refused}Materialize staged_predictions for {batch.slate} again"


def _reasons(missing: Iterable[MissingPlayer]) -> str:
    counts: dict[str, int] = {}
    for player in missing:
        text = f"{player.outcome}: {player.reason}" if player.reason else player.outcome
        counts[text] = counts.get(text, 0) + 1
    common = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:3]
    return "; ".join(f"{n} {text}" for text, n in common)


def _newest_snapshot(progress: Progress) -> str:
    staged = [c for c in progress.outcomes.values() if c.part is not None]
    newest = max(staged, key=lambda c: (c.fence, c.player_slug))
    return newest.part.feature_snapshot if newest.part else ""


def _lowest_version(progress: Progress, receipts: Sequence[Receipt]) -> int:
    """Return the version of the facts that every staged player's facts have at least, or every skipped player's."""
    settled = [done for done in progress.outcomes.values() if done.outcome is not Outcome.FAILED]
    counted = [done for done in settled if done.part is not None] or settled
    versions = [done.facts_version for done in counted]
    return min(versions) if versions else receipts[-1].facts_version  # no player is expected any more


def receipt_id(progress: Progress, floor: int = 0) -> str:
    """Return the id of the receipt that these outcomes give; the newest receipt's own id if it is current for them.

    A newest receipt whose revision doesn't exceed the floor isn't current: a consumer holds other content of a higher
    number.

    A staged outcome is identified by its part, any other by its run and fence: a player who fails again, after a
    success, has another outcome. A slate that is reopened twice can have the outcomes of an earlier receipt again. They
    give a new receipt, because only the newest one says what is in the table.
    """
    newest = progress.receipt
    if newest is not None and newest.revision > floor and is_current_for(newest, progress):
        return newest.receipt_id
    outcomes = _outcomes_digest(progress)
    if newest is None:
        return outcomes[:_RECEIPT_ID_DIGITS]
    after = hashlib.sha256(f"{outcomes} {newest.receipt_id}".encode()).hexdigest()
    return outcomes[:_OUTCOMES_DIGITS] + after[: _RECEIPT_ID_DIGITS - _OUTCOMES_DIGITS]


def is_current_for(newest: Receipt, progress: Progress) -> bool:
    """Return whether a slate's newest receipt was made from these outcomes."""
    return newest.receipt_id.startswith(_outcomes_digest(progress)[:_OUTCOMES_DIGITS])


def content_digest(progress: Progress) -> str:
    """Return SHA-256 over the outcomes and the parts' contents; it stays the same if a re-run changes nothing."""
    return _digest(progress, lambda done: done.part.content_hash if done.part else "")


def _outcomes_digest(progress: Progress) -> str:
    return _digest(progress, lambda done: done.part.part_id if done.part else f"{done.run_id} {done.fence}")


def _digest(progress: Progress, identity: Callable[[PlayerOutcome], str]) -> str:
    outcomes = []
    for player in progress.batch.expected:
        done = progress.outcomes.get(player.slug)
        outcomes.append(
            [player.slug, done.outcome.value if done else UNSETTLED, identity(done) if done else ""]
        )
    text = json.dumps([progress.batch.slate, outcomes], separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
