"""Revert and diff: an earlier revision's content becomes a new revision, and nothing else changes."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime

import pyarrow as pa
import pytest

from prediction_assets.errors import BadInput
from prediction_assets.settings import Settings
from prediction_assets.slate.audits import NO_LIMITS
from prediction_assets.slate.deadlines import Clock
from prediction_assets.slate.outcome import Outcome, PlayerOutcome
from prediction_assets.slate.receipt import Receipt, rows_digest
from prediction_assets.slate.row_diff import diff_rows
from prediction_assets.steps import failpoints
from prediction_assets.steps.claim import claim_fence
from prediction_assets.steps.ledger import merged_slates, read_rows, verify_slate
from prediction_assets.steps.merge import plan_merge, read_outcomes
from prediction_assets.steps.revert import read_reversal, stage_revision
from prediction_assets.stores.protocols import Warehouse
from prediction_assets.stores.sql import ledger_sql
from prediction_assets_tests.contract.warehouse.test_ledger import (
    LINES,
    POINTS,
    Content,
    content,
)
from prediction_assets_tests.in_memory import InMemoryBatchState, InMemoryWarehouse
from prediction_assets_tests.made_up import NOW, SLATE, batch, player, rows_of, staged

SETTINGS = Settings(staging_threads=2)


class Stopped(Exception):
    """The process was stopped at a failpoint."""


class Slate:
    """A slate of three players on one warehouse, with its batch state."""

    def __init__(self, warehouse: Warehouse, players: int = 3) -> None:
        self.warehouse, self.state = warehouse, InMemoryBatchState()
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


def three_revisions(warehouse: Warehouse) -> Slate:
    """Two players; a line that moves and points that change; then one of them out and a third one in."""
    slate = Slate(warehouse)
    slate.publish(slate.stage(1, {"24.5": 20.0, "25.5": 20.0}), slate.stage(2, {"24.5": 20.0}), slate.skip(3))
    slate.publish(slate.stage(1, {"25.5": 21.0, "26.5": 20.0}))
    slate.publish(slate.skip(1), slate.stage(3, {"24.5": 22.0}))
    return slate


@pytest.fixture
def stopping() -> Iterator[None]:
    yield
    failpoints.install(failpoints._go_on)


def stop_at(point: str, times: int = 1) -> None:
    """Stop this process when it reaches a failpoint for the n-th time."""
    left = [times]

    def hook(name: str) -> None:
        left[0] -= name == point
        if name == point and not left[0]:
            failpoints.install(failpoints._go_on)
            raise Stopped

    failpoints.install(hook)


@pytest.mark.parametrize("order", [(1, 2), (2, 1)], ids=["oldest first", "newest first"])
def test_a_reverted_revision_has_exactly_its_rows_and_every_earlier_one_stays_as_it_was(warehouse, order):
    slate = three_revisions(warehouse)
    were = {number: slate.rows(number) for number in (1, 2, 3)}
    ledger = warehouse.query(ledger_sql.LEDGER, {"slate": date.fromisoformat(SLATE)}).num_rows
    for made, revision in enumerate(order, start=4):
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


@pytest.mark.parametrize(
    ("point", "times"),
    [
        ("fence_claimed", 1),
        ("part_written", 1),
        ("part_written", 2),
        ("outcome_recorded", 1),
        ("merge_committed", 1),
    ],
)
def test_a_revert_that_is_stopped_anywhere_is_started_again_and_makes_one_revision(stopping, point, times):
    slate = three_revisions(InMemoryWarehouse())
    before = slate.hashes(2)
    stop_at(point, times)
    with pytest.raises(Stopped):
        slate.revert(2)
    if point != "merge_committed":
        assert slate.hashes() == slate.hashes(3)
    receipt = slate.revert(2)
    assert (receipt.revision, receipt.replaces, slate.hashes()) == (4, 3, before)
    assert slate.revert(2).revision == 4
    assert verify_slate(slate.warehouse, SLATE).broken is None


def test_a_revision_of_a_player_or_game_that_is_not_expected_any_more_is_refused_and_nothing_is_staged():
    slate = three_revisions(InMemoryWarehouse())
    slate.state.reopen(batch(1))
    with pytest.raises(
        BadInput, match=r"revision 3 of slate .* has rows of player-2, player-3, not expected any more"
    ):
        slate.revert(3)
    assert slate.state.progress(SLATE).outcomes.keys() <= {"player-1"}
    assert slate.hashes() == slate.hashes(3)


@pytest.mark.parametrize(
    ("revision", "problem"), [(9, "no revision 9; it has 1, 2, 3"), (0, "no revision 0")]
)
def test_a_revision_that_never_was_is_refused_with_those_there_are(revision, problem):
    slate = three_revisions(InMemoryWarehouse())
    with pytest.raises(BadInput, match=problem):
        read_reversal(SLATE, revision, slate.warehouse, slate.state)


def test_a_player_who_is_staged_while_a_revert_runs_keeps_the_newer_rows(stopping):
    slate = three_revisions(InMemoryWarehouse())

    def stage_meanwhile(name: str) -> None:
        if name == "part_written":
            failpoints.install(failpoints._go_on)
            slate.state.record([slate.stage(1, {"26.5": 23.0})])

    failpoints.install(stage_meanwhile)
    slate.revert(1)
    assert content(slate.rows()) == {("player-1", "26.5"): 23.0, ("player-2", "24.5"): 20.0}
    assert verify_slate(slate.warehouse, SLATE).broken is None


def test_the_slates_that_were_merged_are_named_where_another_one_is_read(warehouse):
    with pytest.raises(BadInput, match=f"nothing of {SLATE} was merged; there are no predictions yet"):
        read_rows(warehouse, SLATE)
    three_revisions(warehouse)
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


def test_the_players_without_rows_in_it_are_named_before_anything_is_written():
    slate = three_revisions(InMemoryWarehouse())
    staged_before = slate.warehouse.parts.staged(SLATE)
    found = read_reversal(SLATE, 1, slate.warehouse, slate.state)
    assert ({slug: len(rows) for slug, rows in found.parts.items()}, [*found.without_rows]) == (
        {"player-1": 2, "player-2": 1},
        ["player-3"],
    )
    assert slate.warehouse.parts.staged(SLATE) == staged_before


def test_a_retraction_can_be_reverted_and_reverted_to():
    slate = Slate(InMemoryWarehouse(), players=1)
    slate.publish(slate.stage(1, {"24.5": 20.0}))
    assert slate.publish(slate.skip(1)).is_retraction
    assert content(rows_in(slate.revert(1), slate)) == {("player-1", "24.5"): 20.0}
    assert slate.revert(2).is_retraction
    assert slate.rows().num_rows == 0


def rows_in(receipt: Receipt, slate: Slate) -> pa.Table:
    rows = slate.rows()
    assert rows.num_rows == receipt.rows
    return rows


@pytest.mark.parametrize("seed", range(3))
def test_reverts_and_diffs_among_random_revisions_agree_with_a_plain_model(seed):
    """The model is a dictionary of points by player and line for each revision."""
    chance, slate = random.Random(seed), Slate(InMemoryWarehouse())
    were: dict[int, Content] = {}
    now: Content = {("player-1", "24.5"): 20.0}
    were[slate.publish(slate.stage(1, {"24.5": 20.0}), slate.skip(2), slate.skip(3)).revision] = dict(now)
    for _ in range(25):
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
    for _ in range(25):
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
