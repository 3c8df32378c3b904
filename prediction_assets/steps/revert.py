"""Revert: stage the rows of an earlier revision again, so that the next MERGE publishes that content as a new revision.

The rows go the way of every other staged row: parts, outcomes, MERGE, audits, receipt. Nothing of the ledger is changed
here, so a run that is killed anywhere is started again.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from prediction_assets.errors import BadInput
from prediction_assets.settings import Settings
from prediction_assets.slate.batch import Batch, Progress
from prediction_assets.slate.deadlines import Clock
from prediction_assets.slate.outcome import Outcome, PartRef, PlayerOutcome
from prediction_assets.steps.claim import claim_fence
from prediction_assets.steps.failpoints import reached
from prediction_assets.steps.ledger import read_rows
from prediction_assets.stores.protocols import BatchState, Warehouse, open_progress
from prediction_assets.stores.sql.tables import PART_SCHEMA

_logger = logging.getLogger(__name__)

_NAMED = 5
"""Players that a refusal names."""


@dataclass(frozen=True, slots=True)
class Reversal:
    """What a revert stages.

    Attributes:
        progress: the slate's batch as it stands.
        parts: the rows of each player in the revision, by slug.
        without_rows: the expected players who have no rows in it, sorted; they are skipped, so that rows of theirs that
            are in force go out of it.
    """

    progress: Progress
    revision: int
    parts: Mapping[str, pa.Table]
    without_rows: tuple[str, ...]


def read_reversal(slate: str, revision: int, warehouse: Warehouse, state: BatchState) -> Reversal:
    """Return what reverting a slate to a revision would stage; nothing is written.

    Raises:
        BadInput: the slate has no such revision, rows of it were pruned, or they are of players or games that aren't
            expected any more.
        BatchNotOpen: the slate has no batch.
    """
    _, rows = read_rows(warehouse, slate, revision=revision)
    progress = open_progress(state, slate)
    rows = rows.select(PART_SCHEMA.names).cast(PART_SCHEMA)
    parts = {
        slug: rows.filter(pc.equal(rows["player_slug"], slug))
        for slug in sorted(set(rows["player_slug"].to_pylist()))
    }
    _require_expected(progress.batch, revision, rows)
    without_rows = tuple(player.slug for player in progress.batch.expected if player.slug not in parts)
    return Reversal(progress, revision, parts, without_rows)


def stage_revision(
    slate: str,
    revision: int,
    warehouse: Warehouse,
    state: BatchState,
    settings: Settings,
    clock: Clock,
    *,
    run_id: str,
) -> None:
    """Stage a revision's rows again, and record an outcome for every expected player.

    The outcomes name the facts of now, not those that the rows were made from: the operator knows them and prefers
    these rows. Newer facts are followed again.

    Raises:
        BadInput: as in :func:`read_reversal`.
        BatchNotOpen: the slate has no batch.
    """
    fence = claim_fence(slate, warehouse, state)
    facts_version = warehouse.facts_version()
    found = read_reversal(slate, revision, warehouse, state)

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
        )

    with ThreadPoolExecutor(settings.staging_threads) as threads:
        outcomes = [
            outcome(part.player_slug, Outcome.STAGED, part) for part in threads.map(write, found.parts)
        ]
    reason = f"no rows in revision {revision}, to which the slate was reverted"
    outcomes += [outcome(slug, Outcome.SKIPPED, reason=reason) for slug in found.without_rows]
    warehouse.parts.flush(slate)
    state.record(outcomes)
    reached("outcome_recorded")
    _logger.info(
        "slate %s: revision %d is staged again: %d players, %d without rows",
        slate, revision, len(found.parts), len(found.without_rows),
        extra={"slate": slate, "batch": found.progress.batch.batch_id},
    )  # fmt: skip


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
