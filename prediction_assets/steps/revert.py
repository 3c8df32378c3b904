"""Revert: stage the rows of an earlier revision again, so that the next MERGE publishes that content as a new revision.

The rows go the way of every other staged row: parts, outcomes, MERGE, audits, receipt. Nothing of the ledger is changed
here, so a run that is killed anywhere is started again. To stage the newest revision gives batch state the outcomes
that it lost, and changes nothing that is in force.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from prediction_assets.errors import BadInput, ChainBroken, Overtaken, ReceiptAltered
from prediction_assets.nba.slate_facts import feature_digests, read_slate_facts
from prediction_assets.settings import Settings
from prediction_assets.slate.basis import Basis, merged_bases
from prediction_assets.slate.batch import Batch, Progress
from prediction_assets.slate.deadlines import Clock
from prediction_assets.slate.final_rows import final_players
from prediction_assets.slate.outcome import Outcome, PartRef, PlayerOutcome
from prediction_assets.slate.receipt import Receipt
from prediction_assets.steps.claim import claim_fence
from prediction_assets.steps.failpoints import reached
from prediction_assets.steps.ledger import read_rows, receipts_of
from prediction_assets.stores.protocols import BatchState, Warehouse, open_progress
from prediction_assets.stores.sql.tables import PART_SCHEMA

_logger = logging.getLogger(__name__)

_NAMED = 5
"""Players that a refusal names."""


@dataclass(frozen=True, slots=True)
class Reversal:
    """What a revert stages."""

    progress: Progress  # the slate's batch as it stands
    receipt: Receipt  # the one by which the revision was in force
    is_newest: bool  # whether it still is
    parts: Mapping[str, pa.Table]  # the rows of each player in the revision, by slug
    # why each expected player without rows in it is skipped, by slug;
    # rows of theirs that are in force go out of it
    without_rows: Mapping[str, str]
    # of the newest revision only: why each player failed, by slug. They fail again, and rows of theirs that
    # are in force stay.
    failed: Mapping[str, str]

    def require_in_force(self, merged: Receipt) -> None:
        """Require that a MERGE put exactly the revision's rows into force."""
        if merged.rows_digest != self.receipt.rows_digest:
            raise Overtaken(
                f"slate {merged.slate}: revision {self.receipt.revision} is not in force: players were staged again "
                f"after the revert had begun, and receipt {merged.receipt_id} (revision {merged.revision}) has their "
                f"newer rows. Compare with `prediction-assets diff --slate {merged.slate} --from "
                f"{self.receipt.revision}`; to prefer the older rows all the same, revert again"
            )


def read_reversal(
    slate: str, revision: int, warehouse: Warehouse, state: BatchState, now: datetime
) -> Reversal:
    """Return what reverting a slate to a revision would stage; nothing is written.

    Raises:
        BadInput: the slate has no such revision, rows of it were pruned, they are of players or games that aren't
            expected any more, or a game has begun and with it rows are final.
    """
    receipts = receipts_of(warehouse, slate)
    receipt, rows = read_rows(warehouse, slate, revision=revision, receipts=receipts)
    is_newest = receipts[-1].receipt_id == receipt.receipt_id
    final = final_players(receipts, now)
    if final and not is_newest:
        raise BadInput(
            f"slate {slate}",
            f"can't be reverted: the games of {len(final)} of its players have begun, and their rows are final",
            hint=f"`prediction-assets run --slate {slate} --player SLUG` stages the others again",
        )
    progress = open_progress(state, slate)
    rows = rows.select(PART_SCHEMA.names).cast(PART_SCHEMA)
    _require_expected(progress.batch, revision, rows)
    missing = {player["player_slug"]: player for player in receipt.missing} if is_newest else {}
    failed = {
        player.slug: missing[player.slug]["reason"]
        for player in progress.batch.expected
        if player.slug in missing and missing[player.slug]["outcome"] == Outcome.FAILED.value
    }
    parts = {
        slug: rows.filter(pc.equal(rows["player_slug"], slug))
        for slug in sorted(set(rows["player_slug"].to_pylist()) - failed.keys())
    }
    reason = f"no rows in revision {revision}, to which the slate was reverted"
    without_rows = {
        player.slug: missing[player.slug]["reason"] if player.slug in missing else reason
        for player in progress.batch.expected
        if player.slug not in parts and player.slug not in failed
    }
    return Reversal(progress, receipt, is_newest, parts, without_rows, failed)


def stage_revision(
    slate: str,
    revision: int,
    warehouse: Warehouse,
    state: BatchState,
    settings: Settings,
    clock: Clock,
    *,
    run_id: str,
    fence: int,
) -> Reversal:
    """Stage a revision's rows again, and record an outcome for every expected player.

    The outcomes of an earlier revision name the facts of now, not those that its rows were made from: the operator
    knows them and prefers these rows. Newer facts are followed again. Those of the newest revision name the facts that
    its receipt names.

    Args:
        fence: what the run claimed before this. A run that is started again has the fence of its first attempt:
            players who were staged since then keep their newer rows.
    """
    facts_version = warehouse.facts_version()
    found = read_reversal(slate, revision, warehouse, state, clock.now())
    if found.is_newest:
        facts_version = found.receipt.facts_version
    bases = _bases(found, warehouse, settings.markets)

    def write(slug: str) -> PartRef:
        part = warehouse.parts.write(slate, slug, found.parts[slug], fence)
        reached("part_written")
        return part

    def outcome(slug: str, kind: Outcome, part: PartRef | None = None, reason: str = "") -> PlayerOutcome:
        return PlayerOutcome(
            slate=slate,
            batch_id=found.progress.batch.batch_id,
            player_slug=slug,
            outcome=kind,
            run_id=run_id,
            recorded_at=clock.now(),
            fence=fence,
            facts_version=facts_version,
            reason=reason,
            part=part,
            basis=bases.get(slug),
        )

    with ThreadPoolExecutor(settings.staging_threads) as threads:
        outcomes = [
            outcome(part.player_slug, Outcome.STAGED, part) for part in threads.map(write, found.parts)
        ]
    outcomes += [outcome(slug, Outcome.SKIPPED, reason=why) for slug, why in found.without_rows.items()]
    outcomes += [outcome(slug, Outcome.FAILED, reason=why) for slug, why in found.failed.items()]
    warehouse.parts.flush(slate)
    state.record(outcomes)
    reached("outcome_recorded")
    _logger.info(
        "slate %s: revision %d is staged again: %d players, %d without rows",
        slate, revision, len(found.parts), len(found.without_rows),
        extra={"slate": slate, "batch": found.progress.batch.batch_id},
    )  # fmt: skip
    return found


def _bases(found: Reversal, warehouse: Warehouse, markets: Sequence[str]) -> dict[str, Basis]:
    """Return the facts that the outcomes name, by slug: those of the receipt, or of now, so that later ones count."""
    progress = found.progress
    batch, pinned = progress.batch, progress.feature_snapshot
    if found.is_newest:
        return merged_bases(warehouse.receipts(batch.slate))
    if pinned is None or not warehouse.snapshots.is_whole(batch.slate, pinned):
        return {}
    features = feature_digests(warehouse.snapshots.players(batch.slate, pinned))
    return read_slate_facts(warehouse, batch.slate, batch.league, markets).bases(batch.expected, features)


def can_stage_again(warehouse: Warehouse, batch: Batch, receipt: Receipt) -> bool:
    """Return whether a batch expects every player, in his game, who has rows of this receipt's revision."""
    try:
        _require_expected(
            batch, receipt.revision, read_rows(warehouse, batch.slate, revision=receipt.revision)[1]
        )
    except BadInput:
        return False
    return True


def keep_in_force(
    slate: str, warehouse: Warehouse, state: BatchState, settings: Settings, clock: Clock, *, run_id: str
) -> bool:
    """Give a batch without outcomes those of the slate's newest receipt; return whether it has them.

    Batch state was lost. What is in force may be there by a revert, so it isn't forecast again.
    """
    receipts = warehouse.receipts(slate)
    if not receipts:
        return False
    fence = claim_fence(slate, warehouse, state)
    try:
        stage_revision(
            slate, receipts[-1].revision, warehouse, state, settings, clock, run_id=run_id, fence=fence
        )
    except (BadInput, ChainBroken, ReceiptAltered) as error:
        _logger.warning("slate %s: every player is staged from the facts: %s", slate, error)
        return False
    return True


def _require_expected(batch: Batch, revision: int, rows: pa.Table) -> None:
    """Refuse rows that no MERGE of the batch could keep in force: of a player who left it, or of another game."""
    expected = {(player.slug, player.player_id, player.game_id) for player in batch.expected}
    there = zip(*(rows[name].to_pylist() for name in ("player_slug", "player_id", "game_id")), strict=True)
    gone = sorted({slug for slug, player_id, game_id in there if (slug, player_id, game_id) not in expected})
    if gone:
        more = f" and {len(gone) - _NAMED} others" if len(gone) > _NAMED else ""
        raise BadInput(
            "--revision",
            f"revision {revision} of slate {batch.slate} has rows of {', '.join(gone[:_NAMED])}{more}, not expected "
            "any more in that game",
            hint=f"see `prediction-assets status --slate {batch.slate}`, and run with --reopen if the facts changed",
        )
