"""The ledger: a row is inserted and later closed, and every state that was in force can be shown again."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta

import pytest

from prediction_assets.errors import BadInput, ChainBroken
from prediction_assets.slate.chain import BrokenLink
from prediction_assets.slate.merge_plan import plan
from prediction_assets.slate.outcome import Outcome, PlayerOutcome
from prediction_assets.slate.receipt import Receipt
from prediction_assets.steps.ledger import rows_as_of, rows_of_revision, verify_slate
from prediction_assets.stores.protocols import Warehouse
from prediction_assets.stores.sql import ledger_sql
from prediction_assets.stores.sql.tables import CURRENT_PREDICTIONS, PREDICTIONS
from prediction_assets_tests.contract.warehouse.by_hand import by_hand
from prediction_assets_tests.in_memory import InMemoryWarehouse
from prediction_assets_tests.made_up import NOW, SLATE, batch, player, progress_of, rows_of, staged

FENCES = itertools.count(1)
"""Each write is a run of its own, later than the ones before."""

TABLE = PREDICTIONS.qualified_name
RECEIPTS_TABLE = "predictions.consolidation_receipts"
Content = dict[tuple[str, str], float]
"""What is in force: the points by slug and line."""


def stage(warehouse: Warehouse, number: int, lines: Mapping[str, float]) -> PlayerOutcome:
    who = player(number)
    return staged(warehouse.parts.write(SLATE, who.slug, rows_of(who, dict(lines)), next(FENCES)))


def merge(warehouse: Warehouse, *outcomes: PlayerOutcome, players: int = 2) -> Receipt:
    return warehouse.merge(plan(progress_of(batch(players), *outcomes), warehouse.receipts(SLATE)))


def skipped(number: int) -> PlayerOutcome:
    return PlayerOutcome(
        SLATE, f"{SLATE}@test", f"player-{number}", Outcome.SKIPPED, "run", NOW, next(FENCES), 1, "injured"
    )


def ledger(warehouse: Warehouse) -> dict[tuple[object, ...], dict[str, object]]:
    """Return every row of the slate by its physical key."""
    rows = warehouse.query(ledger_sql.LEDGER, {"slate": date.fromisoformat(SLATE)}).to_pylist()
    by_key = {tuple(row[name] for name in PREDICTIONS.key): row for row in rows}
    assert len(by_key) == len(rows)
    return by_key


def content(rows) -> Content:
    return {(r["player_slug"], str(float(r["line"]))): r["predicted_points"] for r in rows.to_pylist()}


def some_revisions(warehouse: Warehouse) -> list[Receipt]:
    """Merge a new slate, an identical one, a changed row, a moved line, a line that comes back, a skipped player."""
    other = stage(warehouse, 2, {"24.5": 20.0})
    moves = (
        {"24.5": 20.0, "25.5": 20.0},
        {"24.5": 20.0, "25.5": 20.0},
        {"24.5": 20.0, "25.5": 21.0},
        {"25.5": 21.0, "26.5": 20.0},
        {"24.5": 20.0, "25.5": 21.0},
    )
    made = [merge(warehouse, stage(warehouse, 1, lines), other) for lines in moves]
    return [*made, merge(warehouse, skipped(1), other)]


def test_no_row_ever_changes_but_to_be_closed_once(warehouse):
    other, before, inserted = stage(warehouse, 2, {"24.5": 20.0}), {}, []
    for lines in ({"24.5": 20.0, "25.5": 20.0}, {"24.5": 20.0, "25.5": 21.0}, {"26.5": 20.0}, {"24.5": 20.0}):
        receipt = merge(warehouse, stage(warehouse, 1, lines), other)
        after = ledger(warehouse)
        for key, was in before.items():
            closing = {"is_active": False, "superseded_at": receipt.consolidated_at,
                       "superseded_by": receipt.receipt_id}  # fmt: skip
            assert after[key] in ([was, was | closing] if was["is_active"] else [was])
        new = [row for key, row in after.items() if key not in before]
        assert {(r["receipt_id"], r["created_at"], r["is_active"], r["superseded_by"]) for r in new} == {
            (receipt.receipt_id, receipt.consolidated_at, True, None)
        }
        assert len(new) == receipt.rows_inserted + receipt.rows_updated
        inserted.append(len(new))
        before = after
    assert inserted == [3, 1, 1, 1]


def test_the_view_has_what_is_in_force_and_one_row_of_each_key(warehouse):
    some_revisions(warehouse)
    shown = warehouse.query(
        f"SELECT * FROM {CURRENT_PREDICTIONS.qualified_name} WHERE game_date = DATE '{SLATE}'"
    )
    assert content(shown) == {("player-2", "24.5"): 20.0}
    assert {"is_active", "superseded_at", "superseded_by"}.isdisjoint(shown.column_names)
    assert shown["market"].to_pylist() == ["player_points"]


def test_receipts_are_numbered_and_name_the_revision_that_they_replace(warehouse):
    made = some_revisions(warehouse)
    assert [r.sequence for r in made] == [1, 2, 3, 4, 5, 6]
    assert [(r.revision, r.replaces) for r in made] == [(1, None), (1, None), (2, 1), (3, 2), (4, 3), (5, 4)]
    assert [r.previous_hash for r in made] == ["", *(r.receipt_hash for r in made[:-1])]
    assert warehouse.receipts(SLATE) == tuple(made)


def test_a_revision_exceeds_the_floor_of_its_plan(warehouse):
    first = stage(warehouse, 1, {"24.5": 20.0})
    merge(warehouse, first, players=1)
    for floor, lines, revision in ((7, {"24.5": 20.0}, 8), (3, {"24.5": 20.0}, 8), (3, {"24.5": 21.0}, 9)):
        work = plan(progress_of(batch(1), stage(warehouse, 1, lines)), warehouse.receipts(SLATE))
        object.__setattr__(work, "revision_floor", floor)
        assert warehouse.merge(work).revision == revision


def test_every_revision_and_every_moment_can_be_read_again(warehouse):
    made = some_revisions(warehouse)
    one = {("player-2", "24.5"): 20.0}
    expected = {
        1: {("player-1", "24.5"): 20.0, ("player-1", "25.5"): 20.0} | one,
        2: {("player-1", "24.5"): 20.0, ("player-1", "25.5"): 21.0} | one,
        3: {("player-1", "25.5"): 21.0, ("player-1", "26.5"): 20.0} | one,
        4: {("player-1", "24.5"): 20.0, ("player-1", "25.5"): 21.0} | one,
        5: one,
    }
    for revision, there in expected.items():
        assert content(rows_of_revision(warehouse, SLATE, revision)) == there
    for receipt in made:
        assert content(rows_as_of(warehouse, SLATE, receipt.consolidated_at)) == expected[receipt.revision]
    assert content(rows_as_of(warehouse, SLATE, made[0].consolidated_at - timedelta(microseconds=1))) == {}
    with pytest.raises(BadInput, match=r"no revision 6; it has 1, 2, 3, 4, 5"):
        rows_of_revision(warehouse, SLATE, 6)


def test_a_chain_that_nobody_touched_holds_also_after_pruning(warehouse):
    made = some_revisions(warehouse)
    report = verify_slate(warehouse, SLATE)
    assert (report.broken, report.pruned, report.receipts, report.rows) == (None, 0, 6, 6)
    assert report.head == made[-1].receipt_hash
    later = datetime.now(UTC) + timedelta(days=1)
    warehouse.prune_receipts(SLATE, [made[1].receipt_id, made[2].receipt_id], later)
    assert warehouse.prune_closed_rows(SLATE, made[3].consolidated_at, later) == 1
    report = verify_slate(warehouse, SLATE)
    assert (report.broken, report.pruned, report.rows) == (None, 3, 5)
    assert report.head == made[-1].receipt_hash
    with pytest.raises(BadInput, match=r"1 of 3 rows .* revision 1, were pruned"):
        rows_of_revision(warehouse, SLATE, 1)
    assert len(content(rows_of_revision(warehouse, SLATE, 3))) == 3


EDITS = {
    "points": ("UPDATE {rows} SET predicted_points = 27 WHERE {slate} AND player_id = 102", 1, "other values"),
    "a hash": ("UPDATE {rows} SET content_hash = 'x' WHERE {slate} AND player_id = 102", 1, "other values"),
    "a closed row": (
        "UPDATE {rows} SET predicted_points = 27 WHERE {slate} AND line = 26.5", 4, "other values",
    ),
    "a deleted row": ("DELETE FROM {rows} WHERE {slate} AND line = 26.5", 4, "2 rows were in force"),
    "a row that is back": (
        "UPDATE {rows} SET is_active = TRUE WHERE {slate} AND line = 26.5", 4, "in force, although",
    ),
    "a row taken out": (
        "UPDATE {rows} SET is_active = FALSE WHERE {slate} AND player_id = 102", 1, "no receipt closed",
    ),
    "a later date of closing": (
        "UPDATE {rows} SET superseded_at = superseded_at + INTERVAL 1 DAY WHERE {slate} "
        "AND line = 26.5", 4,
        "wasn't closed when",
    ),
    "an earlier date of making": (
        "UPDATE {rows} SET created_at = created_at - INTERVAL 1 DAY WHERE {slate} "
        "AND line = 26.5", 4,
        "wasn't inserted when",
    ),
    "a row of no receipt": ("UPDATE {rows} SET receipt_id = 'x' WHERE {slate} AND line = 26.5", 0, "isn't there"),
    "a count": ("UPDATE {receipts} SET staged_players = 9 WHERE {slate} AND sequence = 3", 3, "its hash was made for"),
    "an audit": ("UPDATE {receipts} SET audits = '[]' WHERE {slate} AND sequence = 3", 3, "its hash was made for"),
    "a removed receipt": ("DELETE FROM {receipts} WHERE {slate} AND sequence = 2", 2, "receipt 2 of the slate isn't"),
}  # fmt: skip


@pytest.mark.parametrize("edit", EDITS)
def test_the_first_broken_link_is_named(edit):
    warehouse = InMemoryWarehouse()
    some_revisions(warehouse)
    statement, sequence, reason = EDITS[edit]
    by_hand(
        warehouse, statement.format(rows=TABLE, receipts=RECEIPTS_TABLE, slate=f"game_date = DATE '{SLATE}'")
    )
    link = verify_slate(warehouse, SLATE).broken
    assert isinstance(link, BrokenLink)
    assert (link.sequence, reason in link.reason) == (sequence, True), link


def test_an_edited_row_and_an_edited_receipt_break_the_chain_of_every_warehouse(warehouse):
    some_revisions(warehouse)
    for edit in ("a closed row", "a count"):
        statement, sequence, reason = EDITS[edit]
        by_hand(
            warehouse,
            statement.format(rows=TABLE, receipts=RECEIPTS_TABLE, slate=f"game_date = DATE '{SLATE}'"),
        )
        link = verify_slate(warehouse, SLATE).broken
        assert link is not None
        assert (link.sequence, reason in link.reason) == (sequence, True), link


def test_rows_in_force_that_were_deleted_break_the_chain_although_their_receipt_is_marked_as_pruned(
    warehouse,
):
    made = some_revisions(warehouse)
    slate = f"game_date = DATE '{SLATE}'"
    by_hand(warehouse, f"DELETE FROM {TABLE} WHERE {slate} AND is_active")
    by_hand(warehouse, f"UPDATE {RECEIPTS_TABLE} SET pruned_at = consolidated_at WHERE {slate}")
    link = verify_slate(warehouse, SLATE).broken
    assert link is not None
    assert (link.sequence, link.receipt_id) == (made[-1].sequence, made[-1].receipt_id)


@pytest.mark.parametrize("edit", ["points", "a deleted row"])
def test_rows_that_are_not_those_of_their_receipt_are_not_read_as_a_revision(edit):
    warehouse = InMemoryWarehouse()
    some_revisions(warehouse)
    statement, _, _ = EDITS[edit]
    by_hand(
        warehouse, statement.format(rows=TABLE, receipts=RECEIPTS_TABLE, slate=f"game_date = DATE '{SLATE}'")
    )
    with pytest.raises(ChainBroken, match=r"the rows of revision 3 aren't those that its receipt .* verify"):
        rows_of_revision(warehouse, SLATE, 3)


LINES, POINTS = ("24.5", "25.0", "25.5"), (20.0, 21.0)


@pytest.mark.parametrize("seed", range(2))
def test_of_20_random_revisions_each_is_rebuilt_as_it_was_in_force(seed):
    """``long/test_ledger.py`` does the same with 1,000."""
    compare_with_a_plain_model(seed, revisions=20)


def compare_with_a_plain_model(seed: int, revisions: int) -> None:
    """Merge random slates; a dictionary of what each player was staged with last has to agree at every revision."""
    chance, warehouse = random.Random(seed), InMemoryWarehouse()
    outcomes: dict[int, PlayerOutcome] = {}
    model: Content = {}
    were: list[tuple[Receipt, Content]] = []
    revision = 0
    while revision < revisions:
        for number in chance.sample((1, 2, 3), chance.randint(1, 3)):
            model = {key: points for key, points in model.items() if key[0] != f"player-{number}"}
            if chance.random() < 0.2:
                outcomes[number] = skipped(number)
                continue
            lines = {line: chance.choice(POINTS) for line in chance.sample(LINES, chance.randint(1, 3))}
            outcomes[number] = stage(warehouse, number, lines)
            model |= {(f"player-{number}", str(float(line))): points for line, points in lines.items()}
        if not model and not were:
            continue
        receipt = merge(warehouse, *outcomes.values(), players=3)
        assert receipt.rows == len(model)
        were.append((receipt, dict(model)))
        revision = receipt.revision
    assert were[-1][0].revision == revisions
    for receipt, there in were:
        assert content(rows_of_revision(warehouse, SLATE, receipt.revision)) == there
        assert content(rows_as_of(warehouse, SLATE, receipt.consolidated_at)) == there
    report = verify_slate(warehouse, SLATE)
    assert (report.broken, report.head, report.receipts) == (
        None,
        were[-1][0].receipt_hash,
        len({receipt.receipt_id for receipt, _ in were}),
    )
