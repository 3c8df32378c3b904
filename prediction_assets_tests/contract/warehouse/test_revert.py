"""Revert and diff: an earlier revision's content becomes a new revision, and nothing else changes."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime

import pytest

from prediction_assets.errors import BadInput
from prediction_assets.slate.receipt import rows_digest
from prediction_assets.slate.row_diff import diff_rows
from prediction_assets.steps.ledger import merged_slates, read_rows, verify_slate
from prediction_assets.stores.protocols import Warehouse
from prediction_assets.stores.sql import ledger_sql
from prediction_assets_tests.contract.warehouse.conftest import BY_DIALECT, opened
from prediction_assets_tests.in_memory import InMemoryBatchState, InMemoryWarehouse
from prediction_assets_tests.made_up import SLATE
from prediction_assets_tests.published_slate import LINES, POINTS, Content, Slate, content, three_revisions


@pytest.fixture(params=BY_DIALECT)
def warehouse(request: pytest.FixtureRequest) -> Warehouse:
    return opened(request)


def test_a_reverted_revision_has_exactly_its_rows_and_every_earlier_one_stays_as_it_was(warehouse):
    slate = three_revisions(warehouse, InMemoryBatchState())
    were = {number: slate.rows(number) for number in (1, 2, 3)}
    ledger = warehouse.query(ledger_sql.LEDGER, {"slate": date.fromisoformat(SLATE)}).num_rows
    for made, revision in enumerate((2, 1), start=4):
        receipt = slate.revert(revision)
        assert (receipt.revision, receipt.replaces) == (made, made - 1)
        assert content(slate.rows()) == content(were[revision])
        assert slate.hashes() == slate.hashes(revision)
        assert receipt.rows_digest == rows_digest(slate.hashes(revision))
        assert diff_rows(were[revision], slate.rows()) == ()
        ledger += receipt.rows_inserted + receipt.rows_updated
    assert warehouse.query(ledger_sql.LEDGER, {"slate": date.fromisoformat(SLATE)}).num_rows == ledger
    for number, rows in were.items():
        assert content(slate.rows(number)) == content(rows)
    assert verify_slate(warehouse, SLATE).broken is None


def test_the_slates_that_were_merged_are_named_where_another_one_is_read(warehouse):
    with pytest.raises(BadInput, match=f"nothing of {SLATE} was merged; there are no predictions yet"):
        read_rows(warehouse, SLATE)
    three_revisions(warehouse, InMemoryBatchState())
    assert merged_slates(warehouse) == [SLATE]
    assert merged_slates(warehouse, date(2026, 1, 3)) == merged_slates(warehouse, last=date(2026, 1, 1)) == []
    with pytest.raises(BadInput, match=f"nothing of 2026-01-03 was merged; there are predictions of {SLATE}"):
        read_rows(warehouse, "2026-01-03")
    receipt, rows = read_rows(warehouse, SLATE)
    assert (receipt, rows.num_rows) == (warehouse.receipts(SLATE)[-1], receipt.rows)
    first = warehouse.receipts(SLATE)[0]
    receipt, rows = read_rows(warehouse, SLATE, moment=first.consolidated_at)
    assert (receipt, rows.num_rows) == (first, first.rows)
    with pytest.raises(BadInput, match=f"slate {SLATE} had no predictions at 2026-01-01T"):
        read_rows(warehouse, SLATE, moment=datetime(2026, 1, 1, tzinfo=UTC))


def test_reverts_and_diffs_among_random_revisions_agree_with_a_plain_model():
    """The model is a dictionary of points by player and line for each revision."""
    chance, slate = random.Random(0), Slate(InMemoryWarehouse(), InMemoryBatchState())
    were: dict[int, Content] = {}
    now: Content = {("player-1", "24.5"): 20.0}
    were[slate.publish(slate.stage(1, {"24.5": 20.0}), slate.skip(2), slate.skip(3)).revision] = dict(now)
    for _ in range(12):
        if chance.random() < 0.4:
            to = chance.choice([*were])
            receipt, now = slate.revert(to), dict(were[to])
        else:
            number = chance.randint(1, 3)
            now = {key: points for key, points in now.items() if key[0] != f"player-{number}"}
            lines = {line: chance.choice(POINTS) for line in chance.sample(LINES, chance.randint(0, 3))}
            now |= {(f"player-{number}", str(float(line))): points for line, points in lines.items()}
            outcome = slate.stage(number, lines) if lines else slate.skip(number)
            receipt = slate.publish(outcome)
        were[receipt.revision] = dict(now)
        assert (content(slate.rows()), receipt.rows) == (now, len(now))
    for _ in range(12):
        first, second = chance.choices([*were], k=2)
        found = diff_rows(slate.rows(first), slate.rows(second))
        assert {each.player_slug: (each.change, each.rows) for each in found} == model_diff(
            were[first], were[second]
        )
    assert verify_slate(slate.warehouse, SLATE).broken is None


def model_diff(before: Content, after: Content) -> dict[str, tuple[str, int]]:
    """Return change and number of differing rows of each player who differs."""
    changed = {}
    for slug in {key[0] for key in before | after}:
        was, now = ({i for i in each.items() if i[0][0] == slug} for each in (before, after))
        if was != now:
            changed[slug] = ("added" if not was else "removed" if not now else "changed", len(was ^ now))
    return changed
