"""Lines of the health report from made-up facts: which severity, kind and cause each has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from prediction_assets.monitoring.batch_findings import players_settled
from prediction_assets.monitoring.evidence import (
    EarlierMerge,
    GamesWithoutLogs,
    HealthFacts,
    Rules,
    ScheduleFacts,
    SourceFetch,
    TableFacts,
    Unreadable,
    WarehouseFacts,
)
from prediction_assets.monitoring.findings import Finding, Pages
from prediction_assets.monitoring.receipt_findings import completion_published, consolidation_receipt, merge
from prediction_assets.monitoring.result_findings import source_failures
from prediction_assets.monitoring.run_findings import FinishedTick, failed_tick, silent_daemons
from prediction_assets.slate.batch import Batch
from prediction_assets.slate.completion_message import OutboxEntry, message_id
from prediction_assets.slate.outcome import Outcome, PartRef, PlayerOutcome
from prediction_assets.slate.receipt import Receipt
from prediction_assets.stores.alert import Severity
from prediction_assets_tests.made_up import NOW, SLATE, batch, progress_of, receipt, staged

MINUTE = timedelta(minutes=1)
PAGES = Pages("http://ui:3000/")
DAMAGED = Unreadable("a store", "damaged")


def facts(
    receipts: Sequence[Receipt] = (),
    earlier: Sequence[EarlierMerge] = (),
    after: timedelta = 0 * MINUTE,
    **changes,
) -> HealthFacts:
    """Return the facts of a slate, so long after its batch was opened; its deadline is at 30 minutes."""
    warehouse = WarehouseFacts(
        ScheduleFacts(1, "simulated-3", NOW.date(), True), NOW + 540 * MINUTE, GamesWithoutLogs(), None,
        tuple(receipts), tuple(earlier), TableFacts(0, 0, 0, None, {}, (), ()), {}, (),
    )  # fmt: skip
    made = HealthFacts(
        SLATE, NOW + after, 20 * MINUTE, NOW, Rules(0.5, {}, 1, "0", "http://ui:3000/"), progress_of(batch()),
        warehouse, (), (), DAMAGED,
    )  # fmt: skip
    return replace(made, **changes)


def said(finding: Finding) -> tuple[str, Severity]:
    return finding.key, finding.severity


USUAL = [EarlierMerge(12.0, 50, 2)] * 20
NOBODY_LEFT = {"rows": 0, "rows_staged": 0, "rows_inserted": 0, "skipped_players": 3}


@pytest.mark.parametrize(
    ("made", "earlier", "kind", "severity", "line"),
    [
        (receipt(), USUAL, "merge", Severity.OK, "; usually 12 ms"),
        (receipt(), USUAL[:1], "merge", Severity.OK, "; too few to compare with: 1 earlier one"),
        (receipt(), [], "merge", Severity.OK, "; too few to compare with: 0 earlier ones"),
        (receipt(rows_inserted=49), USUAL, "rows_lost", Severity.CRITICAL, "rows are unaccounted for"),
        (receipt(rows_inserted=51), USUAL, "rows_lost", Severity.CRITICAL, "rows are unaccounted for"),
        (receipt(rows=0), USUAL, "empty_merge", Severity.CRITICAL, "a MERGE of 0 rows"),
        (
            receipt(rows_staged=0, rows_inserted=0),
            USUAL,
            "empty_merge",
            Severity.CRITICAL,
            "a MERGE of 0 rows",
        ),
        (receipt(**NOBODY_LEFT), USUAL, "merge", Severity.OK, "there is nothing to predict any more"),
        (
            receipt(rows_staged=30, rows_inserted=30),
            USUAL,
            "unusual_rows",
            Severity.WARNING,
            "15 rows a player, usually 25",
        ),
        (receipt(parts=0), USUAL, "merge", Severity.OK, "; usually 12 ms"),
        (receipt(merge_ms=60_000.0), USUAL, "slow_merge", Severity.WARNING, "slow: usually 12 ms"),
    ],
)
def test_a_merge_accounts_for_its_rows_and_is_like_the_ones_before_it(made, earlier, kind, severity, line):
    found = merge(facts([made], earlier))
    assert said(found) == (f"{kind}:{SLATE}", severity)
    assert line in found.line


def outcomes(**kinds: int) -> list[PlayerOutcome]:
    """Return so many outcomes of each kind, a minute apart."""
    named = [kind for kind, number in kinds.items() for _ in range(number)]
    made = []
    for n, kind in enumerate(named, 1):
        done = staged(PartRef(SLATE, f"player-{n}", 100 + n, f"p{n}", 25, "c", 1, "snapshot1"), n)
        made.append(
            done if kind == "staged" else replace(done, outcome=Outcome(kind), reason="no", part=None)
        )
    return made


def of(opened: Batch, **kinds: int) -> dict[str, object]:
    return {"progress": progress_of(opened, *outcomes(**kinds))}


@pytest.mark.parametrize(
    ("minutes", "changes", "severity", "line"),
    [
        (
            29,
            of(batch(4), staged=4),
            Severity.OK,
            "4 of 4 settled: 4 staged, 0 skipped, 0 failed; 1 players a minute",
        ),
        (5, of(batch(4), staged=2), Severity.INFO, "2 of 4 settled"),
        (29, of(batch(4), staged=2), Severity.WARNING, "none since 2026-01-02 15:02:00Z"),
        (29, of(batch(4)), Severity.WARNING, "0 of 4 settled"),
        (30, of(batch(4), staged=2), Severity.WARNING, "2 of 4 settled"),
        (30, of(batch(4), staged=1), Severity.ERROR, "less than the minimum share of 50% is staged"),
        (5, of(batch(4), staged=3, failed=1), Severity.WARNING, "1 failed"),
        (5, of(batch(4), staged=1, failed=3), Severity.ERROR, "less than the minimum share of 50% is staged"),
        (5, of(batch(4), skipped=4), Severity.OK, "4 skipped"),
        (5, of(batch(0)), Severity.OK, "0 of 0 settled"),
        (5, {"progress": DAMAGED}, Severity.ERROR, "can't be read: damaged"),
        (-1, {"progress": None}, Severity.INFO, "nobody is expected yet; due at"),
        (0, {"progress": None}, Severity.ERROR, "nobody is expected yet"),
    ],
)
def test_players_settle_by_the_deadline_and_enough_of_them_are_staged(minutes, changes, severity, line):
    found = players_settled(facts(after=minutes * MINUTE, **changes))
    assert found.severity is severity
    assert line in found.line


ENTRY = OutboxEntry(message_id(receipt()), SLATE, "r1", 1, {"status": "partial", "rows": 50})
DELIVERED = replace(ENTRY, delivery_id="d", delivered_at=NOW)


@pytest.mark.parametrize(
    ("minutes", "receipts", "changes", "kind", "severity"),
    [
        (5, [receipt()], {"messages": (DELIVERED,)}, f"published:{SLATE}", Severity.OK),
        (5, [receipt()], {"messages": (ENTRY,)}, f"unpublished:{SLATE}", Severity.INFO),
        (6, [receipt()], {"messages": (ENTRY,)}, f"unpublished:{SLATE}", Severity.ERROR),
        (10, [receipt()], {}, f"unpublished:{SLATE}", Severity.CRITICAL),
        (10, [receipt(revision=2)], {"messages": (DELIVERED,)}, f"unpublished:{SLATE}", Severity.CRITICAL),
        (
            5,
            [receipt()],
            {"messages": (DELIVERED,), "delivered": {}},
            f"missing_delivery:{SLATE}",
            Severity.ERROR,
        ),
        (
            5,
            [receipt()],
            {"messages": (DELIVERED,), "delivered": {ENTRY.message_id: 1}},
            f"published:{SLATE}",
            Severity.OK,
        ),
        (5, [], {}, f"published:{SLATE}", Severity.INFO),
        (5, [], {"messages": DAMAGED}, "unreadable:damaged", Severity.ERROR),
        (5, [], {"warehouse": DAMAGED}, "unreadable:damaged", Severity.ERROR),
    ],
)
def test_the_newest_receipt_is_announced_within_minutes(minutes, receipts, changes, kind, severity):
    assert said(completion_published(facts(receipts, after=minutes * MINUTE, **changes))) == (kind, severity)


SECOND = replace(DELIVERED, message_id=message_id(receipt(revision=2)), revision=2)
COPIED = replace(progress_of(batch()), receipt=receipt(revision=2))


@pytest.mark.parametrize(
    ("receipts", "changes", "seen"),
    [
        ([], {"messages": (SECOND,)}, (None, None, 2, None)),
        ([receipt()], {"messages": (DELIVERED, SECOND)}, (1, None, 2, None)),
        ([receipt()], {"progress": COPIED}, (1, 2, None, None)),
        ([receipt()], {"delivered": {SECOND.message_id: 2}}, (1, None, None, 2)),
    ],
)
def test_a_warehouse_that_lacks_a_revision_is_an_error_that_names_what_each_store_has(
    receipts, changes, seen
):
    found = consolidation_receipt(facts(receipts, **changes))
    assert said(found) == (f"behind_warehouse:{SLATE}", Severity.ERROR)
    assert found.line.startswith("revision 2 was merged or announced, and the warehouse doesn't have it")
    assert found.command == f"prediction-assets run --slate {SLATE}"
    assert tuple(found.evidence.values()) == seen


@pytest.mark.parametrize("unread", ["messages", "warehouse"])
def test_stores_that_can_t_be_read_are_not_said_to_be_behind(unread):
    assert facts([], **{"messages": (SECOND,), unread: DAMAGED}).behind == ()


@pytest.mark.parametrize(
    ("last_heard", "lines"),
    [
        ({}, []),
        (
            {"SENSOR": NOW, "BACKFILL": NOW - MINUTE},
            ["No heartbeat of BACKFILL, SENSOR since 2026-01-02 14:59:00Z: no schedule and no sensor runs"],
        ),
    ],
)
def test_silent_daemons_are_one_critical_finding(last_heard, lines):
    found = silent_daemons(last_heard, PAGES)
    assert [finding.line for finding in found] == lines
    assert all((finding.key, finding.severity) == ("daemon", Severity.CRITICAL) for finding in found)


def test_a_failed_tick_is_one_finding_of_its_sensor_cut_to_a_chat_message_s_length():
    tick = FinishedTick("request_staging", "sensors", "location", 7, NOW, "OSError: full " + "x" * 5000)
    found = failed_tick(tick, PAGES)
    assert said(found) == ("tick:request_staging", Severity.ERROR)
    assert found.line.startswith("A tick of request_staging failed: OSError: full xxx")
    assert len(found.line) < 700
    assert found.alerts


def fetch(source: str, outcome: str, minutes: int, facts: str = "schedule") -> SourceFetch:
    problem = "status 403 Forbidden" if outcome == "failed" else ""
    return SourceFetch(facts, source, NOW + minutes * MINUTE, outcome, problem, 4, None)


@pytest.mark.parametrize(
    ("fetches", "lines"),
    [
        ([], []),
        ([fetch("stats_nba", "answered", 0), fetch("odds_api", "nothing", 0), fetch("odds_api", "running", 1)], []),
        ([fetch("stats_nba", "failed", 0)], ["schedule: the source stats_nba failed: status 403 Forbidden"]),
        (
            [fetch("stats_nba", "failed", 0), fetch("cdn_nba", "answered", 1)],
            ["schedule: the source stats_nba failed: status 403 Forbidden; cdn_nba answered in its place"],
        ),
        (
            [fetch("stats_nba", "failed", 5), fetch("cdn_nba", "answered", 1), fetch("other", "answered", 9, "lines")],
            ["schedule: the source stats_nba failed: status 403 Forbidden"],
        ),
    ],
)  # fmt: skip
def test_a_source_that_failed_last_is_named_with_who_answered_in_its_place(fetches, lines):
    found = source_failures(fetches)
    assert [finding.line for finding in found] == lines
    assert {said(finding) for finding in found} <= {("source:schedule:stats_nba", Severity.WARNING)}
