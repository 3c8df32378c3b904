"""The ledger: a row is inserted and later closed, and every state that was in force can be shown again."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta

import pytest

from prediction_assets.errors import BadInput, ChainBroken
from prediction_assets.slate.merge_plan import plan
from prediction_assets.slate.outcome import Outcome, PlayerOutcome
from prediction_assets.slate.receipt import Receipt
from prediction_assets.steps.ledger import rows_as_of, rows_of_revision, verify_slate
from prediction_assets.stores.protocols import Warehouse
from prediction_assets.stores.sql import ledger_sql
from prediction_assets.stores.sql.tables import CURRENT_PREDICTIONS, PREDICTIONS
from prediction_assets_tests.contract.warehouse.by_hand import by_hand
from prediction_assets_tests.contract.warehouse.conftest import BY_DIALECT, opened
from prediction_assets_tests.in_memory import InMemoryWarehouse
from prediction_assets_tests.made_up import NOW, SLATE, batch, player, progress_of, rows_of, staged
from prediction_assets_tests.published_slate import LINES, POINTS, Content, content

FENCES = itertools.count(1)
"""Each write is a run of its own, later than the ones before."""

TABLE = PREDICTIONS.qualified_name
RECEIPTS_TABLE = "predictions.consolidation_receipts"


@pytest.fixture(params=BY_DIALECT)
def warehouse(request: pytest.FixtureRequest) -> Warehouse:
    return opened(request)


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


def test_a_revision_exceeds_the_floor_of_its_plan(warehouse):
    first = stage(warehouse, 1, {"24.5": 20.0})
    merge(warehouse, first, players=1)
    for floor, lines, revision in ((7, {"24.5": 20.0}, 8), (3, {"24.5": 20.0}, 8), (3, {"24.5": 21.0}, 9)):
        work = plan(progress_of(batch(1), stage(warehouse, 1, lines)), warehouse.receipts(SLATE))
        object.__setattr__(work, "revision_floor", floor)
        assert warehouse.merge(work).revision == revision


def test_every_revision_is_numbered_and_read_again_and_its_chain_holds_also_after_pruning(warehouse):
    made = some_revisions(warehouse)
    assert [r.sequence for r in made] == [1, 2, 3, 4, 5, 6]
    assert [(r.revision, r.replaces) for r in made] == [(1, None), (1, None), (2, 1), (3, 2), (4, 3), (5, 4)]
    assert [r.previous_hash for r in made] == ["", *(r.receipt_hash for r in made[:-1])]
    assert warehouse.receipts(SLATE) == tuple(made)

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

    shown = warehouse.query(
        f"SELECT * FROM {CURRENT_PREDICTIONS.qualified_name} WHERE game_date = DATE '{SLATE}'"
    )
    assert content(shown) == one
    assert {"is_active", "superseded_at", "superseded_by"}.isdisjoint(shown.column_names)
    assert shown["market"].to_pylist() == ["player_points"]

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


EDITS = (
    ("UPDATE {rows} SET predicted_points = 27 WHERE {slate} AND line = 25.5", 2, "other values"),
    ("UPDATE {receipts} SET staged_players = 9 WHERE {slate} AND sequence = 1", 1, "its hash was made for"),
)
"""Statements by hand, and the first link that each breaks; more in ``unit/slate/test_chain.py``."""


def test_an_edited_row_and_an_edited_receipt_break_the_chain_and_are_read_as_no_revision(warehouse):
    other = stage(warehouse, 2, {"24.5": 20.0})
    for line in ("24.5", "25.5"):
        merge(warehouse, stage(warehouse, 1, {line: 20.0}), other)
    assert verify_slate(warehouse, SLATE).broken is None
    for statement, sequence, reason in EDITS:
        slate = f"game_date = DATE '{SLATE}'"
        by_hand(warehouse, statement.format(rows=TABLE, receipts=RECEIPTS_TABLE, slate=slate))
        link = verify_slate(warehouse, SLATE).broken
        assert link is not None
        assert (link.sequence, reason in link.reason) == (sequence, True), link
        if sequence == 2:
            with pytest.raises(
                ChainBroken, match=r"rows of revision 2 aren't those that its receipt .* verify"
            ):
                rows_of_revision(warehouse, SLATE, 2)


def test_of_8_random_revisions_each_is_rebuilt_as_it_was_in_force():
    """``long/test_ledger.py`` does the same with 1,000."""
    compare_with_a_plain_model(seed=0, revisions=8)


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
        assert receipt.rows_staged == receipt.rows_inserted + receipt.rows_updated + receipt.rows_unchanged
        assert content(rows_of_revision(warehouse, SLATE, receipt.revision)) == model
        if chance.random() < 0.5:
            merged = [(part["player_slug"], part["part_id"]) for part in receipt.parts]
            assert sorted(warehouse.parts.drop(SLATE, merged)) == sorted(merged)
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
