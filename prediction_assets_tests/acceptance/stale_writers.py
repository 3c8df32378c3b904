"""A slate whose facts are one line for each player, for runs that are paused while newer lines are ingested.

Staging, merging and cleaning up are the real steps on real stores. Only the forecast is made up: it predicts 20 points
at the line that the warehouse has. A child process imports this in no time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pyarrow as pa

from prediction_assets.settings import load_settings
from prediction_assets.slate.audits import AuditLimits
from prediction_assets.slate.batch import ExpectedPlayer, Progress
from prediction_assets.slate.completion_message import message_id
from prediction_assets.slate.deadlines import Clock
from prediction_assets.slate.receipt import Receipt
from prediction_assets.steps import stage
from prediction_assets.steps.announce import announce, read_changes
from prediction_assets.steps.cleanup import clean_up, finish_consolidation
from prediction_assets.steps.failpoints import reached
from prediction_assets.steps.merge import merge, plan_merge, read_outcomes
from prediction_assets.steps.stage import Staging, begin_staging
from prediction_assets.stores.profiles import Stores
from prediction_assets.stores.protocols import Warehouse
from prediction_assets.stores.sql.tables import PROP_LINES
from prediction_assets_tests.made_up import NOW, SLATE, batch, rows_of

PLAYERS = 3
SLUGS = [who.slug for who in batch(PLAYERS).expected]
OLD, NEW = "24.5", "27.5"
FAILS = "player-3"
"""He can't be forecast from the old lines."""

_LINES = "SELECT player_id, line FROM facts.prop_lines"
_IN_FORCE = (
    "SELECT player_slug, line FROM predictions.player_prop_predictions "
    f"WHERE game_date = DATE '{SLATE}' AND is_active ORDER BY ALL"
)


class ClockOff(Clock):
    """A clock that is some days off."""

    def __init__(self, days: int) -> None:
        self.days = days

    def now(self) -> datetime:
        return NOW + timedelta(days=self.days)


def ingest(warehouse: Warehouse, line: str) -> None:
    """Replace every player's line."""
    rows = [
        dict.fromkeys(PROP_LINES.column_names) | {
            "league": "simulated-3", "event_id": "e", "capture": "c", "bookmaker": "b", "player_name": who.name,
            "line": Decimal(line), "player_id": who.player_id, "game_date": date.fromisoformat(SLATE),
            "commence_time": datetime(2026, 1, 3, tzinfo=UTC), "home_team": "S01", "away_team": "S02", "sequence": 1,
            "market": "player_points",
        }
        for who in batch(PLAYERS).expected
    ]  # fmt: skip
    warehouse.upsert(PROP_LINES, PROP_LINES.arrow_table(rows), ("league", "game_date"))


def opened(stores: Stores) -> None:
    """Open the slate, with the old lines."""
    ingest(stores.warehouse, OLD)
    stores.batch_state.open(batch(PLAYERS))


def _forecast(
    warehouse: Warehouse, progress: Progress, players: Sequence[ExpectedPlayer], *_: object, **__: object
) -> tuple[dict[str, pa.Table], dict[str, Exception], dict[int, tuple[str, str]]]:
    lines = {row["player_id"]: f"{row['line']:.1f}" for row in warehouse.query(_LINES).to_pylist()}
    errors: dict[str, Exception] = {
        who.slug: ValueError("odd line")
        for who in players
        if (who.slug, lines[who.player_id]) == (FAILS, OLD)
    }
    rows = {who.slug: rows_of(who, {lines[who.player_id]: 20.0}) for who in players if who.slug not in errors}
    return rows, errors, {}


@contextmanager
def made_up_forecasts() -> Iterator[None]:
    """Forecast from the lines alone."""
    real = stage.forecast_parts, stage.reasons_to_skip
    stage.forecast_parts, stage.reasons_to_skip = _forecast, lambda *_, **__: {}
    try:
        yield
    finally:
        stage.forecast_parts, stage.reasons_to_skip = real


def begin(stores: Stores, run_id: str, days: int = 0) -> Staging:
    settings = load_settings(staging_threads=1)
    with made_up_forecasts():
        return begin_staging(
            SLATE, SLUGS, stores.warehouse, stores.batch_state, stores.dead_letters, settings, ClockOff(days),
            run_id=run_id,
        )  # fmt: skip


def go_on(work: Staging) -> None:
    """Do what is left of a staging run."""
    list(work.outcomes())
    work.record()
    work.finish()


def consolidate(stores: Stores, days: int = 0) -> Receipt:
    """Merge the slate as it stands, and clean up."""
    now = ClockOff(days).now()
    progress, receipts = read_outcomes(SLATE, stores.warehouse, stores.batch_state)
    work = plan_merge(progress, receipts, now=now, limits=AuditLimits(minimum_staged_share=0.5))
    receipt = merge(work, progress, stores.warehouse, stores.dead_letters, run_id="merge", now=now)
    reached("checks_evaluated")  # as the asset says
    done = clean_up(SLATE, stores.warehouse, stores.batch_state, now=now)
    finish_consolidation(SLATE, done.receipts, stores.batch_state, stores.dead_letters)
    return receipt


def deliver(stores: Stores, receipt: Receipt, days: int = 0) -> None:
    """Announce a receipt."""
    changes = read_changes(receipt, stores.warehouse)
    announce(
        receipt, changes, stores.outbox, stores.publisher,
        output_table=stores.warehouse.output_table, now=ClockOff(days).now,
    )  # fmt: skip


def overtake(stores: Stores, days: int = 0) -> Receipt:
    """Ingest newer lines, stage every player from them, and merge."""
    ingest(stores.warehouse, NEW)
    go_on(begin(stores, "newer", days))
    return consolidate(stores, days)


def require_newer_revision_in_force_and_announced(stores: Stores, newer: Receipt) -> None:
    """Require that a consolidation and an announcement of older rows, which ended after these, changed nothing."""
    in_force = stores.warehouse.query(_IN_FORCE).to_pylist()
    assert in_force == [{"player_slug": slug, "line": Decimal("27.50")} for slug in SLUGS]
    assert consolidate(stores) == newer == stores.batch_state.consolidated(SLATE)
    assert (newer.revision, newer.replaces) == (2, 1)
    assert list(stores.warehouse.parts.staged(SLATE)) == []
    assert list(stores.dead_letters.letters(SLATE)) == []
    newest = max(stores.outbox.entries(SLATE), key=lambda entry: entry.revision)
    assert (newest.message_id, newest.delivery_id is not None) == (message_id(newer), True)
    assert not any(entry.is_pending for entry in stores.outbox.entries(SLATE))
    delivered = stores.publisher.delivered(SLATE) or {}
    assert max(delivered, key=lambda each: delivered[each]) == message_id(newer)


def require_newer_facts_in_force(stores: Stores, fence: int) -> None:
    """Require what the newer run alone would have left, however often the slate is merged again.

    Args:
        fence: what the newer run claimed.
    """
    for _ in range(2):
        receipt = consolidate(stores)
        in_force = stores.warehouse.query(_IN_FORCE).to_pylist()
        assert in_force == [{"player_slug": slug, "line": Decimal("27.50")} for slug in SLUGS]
        assert (receipt.revision, receipt.status, receipt.facts_version) == (1, "success", 2)
    progress = stores.batch_state.progress(SLATE)
    assert progress is not None
    found = {slug: (done.outcome.value, done.fence, done.run_id) for slug, done in progress.outcomes.items()}
    assert found == dict.fromkeys(SLUGS, ("staged", fence, "newer"))
    assert list(stores.warehouse.parts.staged(SLATE)) == []
    assert list(stores.dead_letters.letters(SLATE)) == []
