"""A made-up slate that is published again and again, and what is in force of it; for tests of the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from functools import cache

import pyarrow as pa

from prediction_assets.settings import Settings
from prediction_assets.slate.audits import NO_LIMITS
from prediction_assets.slate.deadlines import Clock
from prediction_assets.slate.outcome import Outcome, PlayerOutcome
from prediction_assets.slate.receipt import Receipt
from prediction_assets.steps import failpoints
from prediction_assets.steps.claim import claim_fence
from prediction_assets.steps.ledger import read_rows
from prediction_assets.steps.merge import plan_merge, read_outcomes
from prediction_assets.steps.revert import stage_revision
from prediction_assets.stores.protocols import BatchState, Warehouse
from prediction_assets_tests.made_up import NOW, SLATE, batch, player, rows_of, staged

LINES, POINTS = ("24.5", "25.0", "25.5"), (20.0, 21.0)
SETTINGS = Settings(staging_threads=2)

Content = dict[tuple[str, str], float]
"""What is in force: the points by slug and line."""


def content(rows: pa.Table) -> Content:
    """Return what rows put into force."""
    return {(r["player_slug"], str(float(r["line"]))): r["predicted_points"] for r in rows.to_pylist()}


class Slate:
    """A slate of three players on one warehouse, with its batch state."""

    def __init__(self, warehouse: Warehouse, state: BatchState, players: int = 3) -> None:
        self.warehouse, self.state = warehouse, state
        self.state.open(batch(players))

    def stage(self, number: int, lines: Mapping[str, float]) -> PlayerOutcome:
        fence, who = claim_fence(SLATE, self.warehouse, self.state), player(number)
        return staged(self.warehouse.parts.write(SLATE, who.slug, rows_of(who, dict(lines)), fence))

    def skip(self, number: int) -> PlayerOutcome:
        fence = claim_fence(SLATE, self.warehouse, self.state)
        return PlayerOutcome(
            SLATE, f"{SLATE}@test", f"player-{number}", Outcome.SKIPPED, "run", NOW, fence, 1, "injured"
        )

    def publish(self, *outcomes: PlayerOutcome) -> Receipt:
        self.state.record(outcomes)
        progress, receipts = read_outcomes(SLATE, self.warehouse, self.state)
        return self.warehouse.merge(
            plan_merge(progress, receipts, now=NOW, limits=NO_LIMITS, before_deadline=True)
        )

    def revert(self, revision: int) -> Receipt:
        fence = claim_fence(SLATE, self.warehouse, self.state)
        stage_revision(
            SLATE, revision, self.warehouse, self.state, SETTINGS, Clock(), run_id="run", fence=fence
        )
        receipt = self.publish()
        failpoints.reached("merge_committed")
        return receipt

    def rows(self, revision: int | None = None) -> pa.Table:
        return read_rows(self.warehouse, SLATE, revision=revision)[1]

    def hashes(self, revision: int | None = None) -> list[str]:
        return sorted(self.rows(revision)["content_hash"].to_pylist())


def three_revisions(warehouse: Warehouse, state: BatchState) -> Slate:
    """Two players; a line that moves and points that change; then one of them out and a third one in."""
    slate = Slate(warehouse, state)
    slate.publish(slate.stage(1, {"24.5": 20.0, "25.5": 20.0}), slate.stage(2, {"24.5": 20.0}), slate.skip(3))
    slate.publish(slate.stage(1, {"25.5": 21.0, "26.5": 20.0}))
    slate.publish(slate.skip(1), slate.stage(3, {"24.5": 22.0}))
    return slate


@cache
def _three_revisions_in_memory() -> Slate:
    from prediction_assets_tests.in_memory import (  # imports DuckDB: not when tests are collected
        InMemoryBatchState,
        InMemoryWarehouse,
    )

    return three_revisions(InMemoryWarehouse(), InMemoryBatchState())


def published() -> Slate:
    """Return a slate of one's own with the three revisions, in memory; a process merges them once."""
    made, of = copy(_three_revisions_in_memory()), _three_revisions_in_memory()
    made.warehouse, made.state = of.warehouse.copied(), of.state.copied()
    return made
