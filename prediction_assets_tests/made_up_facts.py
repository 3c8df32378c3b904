"""Made-up facts of a slate, as the reader of :mod:`prediction_assets.monitoring` returns them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from prediction_assets.monitoring.health_facts import (
    GamesWithoutLogs,
    HealthFacts,
    InstanceFacts,
    RecentFailure,
    Rules,
    ScheduleFacts,
    TableFacts,
    WarehouseFacts,
)
from prediction_assets.slate.batch import Progress
from prediction_assets.slate.completion_message import OutboxEntry, message_id
from prediction_assets.slate.merge_plan import plan
from prediction_assets.slate.outcome import Outcome, PartRef, PlayerOutcome
from prediction_assets.slate.receipt import Receipt, lists_digest
from prediction_assets_tests.made_up import NOW, SLATE, batch, progress_of, receipt, staged

MINUTE = timedelta(minutes=1)
SCHEDULE = ScheduleFacts(1, "NBA", date(2026, 4, 12), covered=True)
TABLE = TableFacts(75, 3, 3, NOW, {"ensemble": ("1",)}, (1,), ("snapshot1",))


def outcomes(**kinds: int) -> list[PlayerOutcome]:
    """Return so many outcomes of each kind, a minute apart."""
    named = [kind for kind, number in kinds.items() for _ in range(number)]
    made = []
    for n, kind in enumerate(named, 1):
        done = staged(PartRef(SLATE, f"player-{n}", 100 + n, f"{n:032}", 25, "c", 1, "snapshot1"), n)
        made.append(
            done if kind == "staged" else replace(done, outcome=Outcome(kind), reason="no", part=None)
        )
    return made


def settled(players: int = 3, **kinds: int) -> Progress:
    """Return a batch of so many players with these outcomes and no receipt."""
    return progress_of(batch(players), *outcomes(**kinds))


def whole_receipt(of: Progress | None = None, **changes: Any) -> Receipt:
    """Return the receipt, with its hashes, of a batch's outcomes: by default of three staged players."""
    values = {
        "status": "success", "staged_players": 3, "failed_players": 0, "rows": 75, "rows_staged": 75,
        "rows_inserted": 75, "missing": (),
    }  # fmt: skip
    planned = plan(of or settled(staged=3), ())
    made = receipt(planned.receipt_id, minutes=4, **{**values, **changes})
    made = replace(made, parts=parts(3 if of is None else of.count(Outcome.STAGED)))
    return replace(made, lists_digest=lists_digest(made.parts, made.missing)).hashed()


def parts(players: int) -> tuple[dict[str, Any], ...]:
    """Return a receipt's parts of the first players."""
    return tuple(
        {"player_slug": f"player-{n}", "part_id": f"{n:032}", "rows": 25, "content_hash": "c"}
        for n in range(1, players + 1)
    )


def delivered(of: Receipt) -> OutboxEntry:
    """Return the delivered message of a receipt."""
    message = {"status": of.status, "rows": of.rows}
    return OutboxEntry(
        message_id(of), SLATE, of.receipt_id, of.revision, message, delivery_id="d", delivered_at=NOW
    )


def in_warehouse(*receipts: Receipt, **changes: Any) -> WarehouseFacts:
    """Return a warehouse with these receipts and the rows of three players."""
    made = WarehouseFacts(GamesWithoutLogs(), None, receipts, (), TABLE, (), ())
    return replace(made, **changes)


def failure(work: str = "staging", slate: str = SLATE, **changes: Any) -> RecentFailure:
    """Return a failed run."""
    return replace(RecentFailure(work, slate, NOW + MINUTE, "OSError: full", "a_step", "r-1"), **changes)


def failed_tick(name: str, **changes: Any) -> RecentFailure:
    """Return a failed tick of a sensor."""
    return failure(name, "", step="", run_id="", page=("here", "sensors", name), **changes)


def instance(*failures: RecentFailure, **changes: Any) -> InstanceFacts:
    """Return an instance with these failures."""
    return replace(InstanceFacts(failures, None, ("1.0",)), **changes)


RULES = Rules(
    0.5, {"ensemble": "1"}, 1, "1.0", "http://ui:3000", "America/Los_Angeles", staging="/home/staging"
)


def facts(after: timedelta = 60 * MINUTE, **changes: Any) -> HealthFacts:
    """Return the facts of a complete slate, so long after its batch was opened; its deadline is at 30 minutes."""
    done = whole_receipt()
    made = HealthFacts(
        SLATE, NOW + after, 20 * MINUTE, NOW, RULES, replace(settled(staged=3), receipt=done), SCHEDULE,
        in_warehouse(done), (delivered(done),), (), instance(),
    )  # fmt: skip
    return replace(made, **changes)


def unmerged(progress: Progress | None, **changes: Any) -> dict[str, Any]:
    """Return the changes that make a slate one without a receipt."""
    nothing = replace(TABLE, rows=0, players=0, players_with_a_line=0)
    made = {"progress": progress, "warehouse": in_warehouse(table=nothing), "messages": ()}
    return {**made, **changes}


def merged(made: Receipt, progress: Progress | None = None, **of_warehouse: Any) -> dict[str, Any]:
    """Return the changes that make a slate one with another receipt, announced."""
    known = replace(progress or settled(staged=3), receipt=made)
    return {
        "progress": known, "warehouse": in_warehouse(made, **of_warehouse), "messages": (delivered(made),),
    }  # fmt: skip
