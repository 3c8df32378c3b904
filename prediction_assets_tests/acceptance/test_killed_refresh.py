"""Following facts: who is staged again, and that a refresh that was killed anywhere ends as an undisturbed one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from prediction_assets.nba.forecasting.features import FEATURES_SCHEMA
from prediction_assets.settings import load_settings
from prediction_assets.slate.outcome import Outcome
from prediction_assets.steps import failpoints
from prediction_assets.steps.announce import announce, read_changes
from prediction_assets.steps.cleanup import clean_up, finish_consolidation
from prediction_assets.steps.merge import audit_limits, merge, plan_merge, read_outcomes
from prediction_assets.steps.refresh import Refresh, read_refresh
from prediction_assets.steps.stage import begin_staging
from prediction_assets.stores.sql.tables import INJURY_REPORTS, PROP_LINES, SCHEDULE
from prediction_assets_tests.in_memory import InMemoryStores
from prediction_assets_tests.made_up import NOW, SLATE, batch
from prediction_assets_tests.unit.steps.test_stage import FixedClock, features

DAY = date.fromisoformat(SLATE)
TIP_OFF = datetime(2026, 1, 3, 0, 30, tzinfo=UTC)


class Killed(BaseException):
    """The process is gone."""


def ingest(stores, lines: dict[int, str], out: tuple[int, ...] = (), minute: int = 0) -> None:
    """Ingest these players' lines, and a report that rules players out."""
    of_all = {"league": "simulated-3", "game_date": DAY}
    offers = [
        {
            **of_all, "event_id": "e", "capture": "", "bookmaker": "Book A", "player_name": f"Player {number}",
            "line": Decimal(line), "player_id": 100 + number, "market": "player_points", "commence_time": TIP_OFF,
            "home_team": "S01", "away_team": "S02", "over_price": -110, "under_price": -110, "captured_at": None,
        }
        for number, line in lines.items()
    ]  # fmt: skip
    stores.warehouse.upsert(PROP_LINES, PROP_LINES.arrow_table(offers), ("event_id",))
    report = [
        {
            **of_all, "reported_at": NOW.replace(minute=minute), "team": "S01", "player_name": f"Player {number}",
            "player_id": 100 + number, "status": "Out", "reason": "Rest",
        }
        for number in out
    ] or [{**of_all, "reported_at": NOW.replace(minute=minute), "team": "S01", "player_name": "", "player_id": None,
           "status": "Not yet submitted", "reason": None}]  # fmt: skip
    stores.warehouse.upsert(INJURY_REPORTS, INJURY_REPORTS.arrow_table(report))


@pytest.fixture
def announced() -> InMemoryStores:
    """Return the stores of a slate whose three players were announced."""
    stores = InMemoryStores()
    game = {
        "league": "simulated-3", "season_id": 1, "game_id": "9000000001", "game_date": DAY, "home_team": "S01",
        "away_team": "S02", "team_a": "S01", "team_b": "S02",
    }  # fmt: skip
    stores.warehouse.upsert(SCHEDULE, SCHEDULE.arrow_table([game]))
    ingest(stores, {1: "20.5", 2: "15.5", 3: "10.5"})
    version = stores.warehouse.facts_version()
    stores.batch_state.open(batch(3))
    snapshot = stores.warehouse.snapshots.write(SLATE, features(1, 2, 3), FEATURES_SCHEMA.empty_table())
    fence = stores.batch_state.claim_fence(SLATE)
    stores.batch_state.pin_features(SLATE, snapshot, fence=fence, facts_version=version)
    carry_on(stores, [player.slug for player in batch(3).expected])
    return stores


def look(stores, now: datetime = NOW) -> Refresh:
    progress = stores.batch_state.progress(SLATE)
    return read_refresh(progress, stores.warehouse, now, roster_since=stores.warehouse.facts_version())


def carry_on(stores, slugs: list[str]) -> None:
    """Stage these players, merge and announce, as the runs of a revision do."""
    settings = load_settings(staging_threads=1)
    if slugs:
        work = begin_staging(
            SLATE, slugs, stores.warehouse, stores.batch_state, stores.dead_letters, settings, FixedClock(),
            run_id="run",
        )  # fmt: skip
        list(work.outcomes())
        work.record()
        work.finish()
    progress, receipts = read_outcomes(SLATE, stores.warehouse, stores.batch_state)
    plan = plan_merge(progress, receipts, now=NOW, limits=audit_limits(settings))
    receipt = merge(plan, progress, stores.warehouse, stores.dead_letters, run_id="run", now=NOW)
    done = clean_up(SLATE, stores.warehouse, stores.batch_state, now=NOW)
    finish_consolidation(SLATE, done.receipts, stores.batch_state, stores.dead_letters)
    changes = read_changes(receipt, stores.warehouse)
    announce(receipt, changes, stores.outbox, stores.publisher, output_table="t", now=lambda: NOW)


def follow(stores) -> None:
    """Do what a look asks for, as the sensors and the command do."""
    carry_on(stores, [*look(stores).due])


def left(stores) -> tuple[object, ...]:
    """Return the rows of the ledger, without receipts' ids, and what was announced."""
    rows = stores.warehouse.query(
        "SELECT player_slug, system, line, content_hash, is_active FROM predictions.player_prop_predictions "
        "WHERE game_date = $day ORDER BY ALL", {"day": DAY},
    ).to_pylist()  # fmt: skip
    announced = [(entry.revision, entry.message["changes"]) for entry in stores.outbox.entries(SLATE)]
    return (
        rows,
        announced,
        stores.batch_state.progress(SLATE).outcomes.keys(),
        stores.warehouse.parts.staged(SLATE),
    )


@pytest.fixture
def killed_at() -> Iterator[Callable[[str], None]]:
    def install(point: str) -> None:
        def hook(reached: str) -> None:
            if reached == point:
                failpoints.install(failpoints._go_on)
                raise Killed

        failpoints.install(hook)

    yield install
    failpoints.install(failpoints._go_on)


def test_only_the_players_whose_rows_would_differ_are_due_and_none_after_tip_off(announced):
    assert look(announced) == Refresh({}, {}, False, look(announced).roster)
    ingest(announced, {1: "21.5", 2: "15.5", 3: "10.5"}, out=(2,), minute=5)
    why = {"player-1": ("line moved 20.5 -> 21.5",), "player-2": ("ruled out",)}
    assert look(announced).due == why
    assert (look(announced, TIP_OFF).due, look(announced, TIP_OFF).late) == ({}, why)
    follow(announced)
    assert look(announced).is_needed is False
    assert announced.publisher.sent[-1]["changes"] == [
        {"player_slug": slug, "causes": [*causes]} for slug, causes in why.items()
    ]


def test_a_newcomer_is_predicted_while_he_has_a_line_and_skipped_when_it_is_withdrawn(announced):
    # His game log was there by mistake: nothing but the line is known of him.
    snapshot = announced.warehouse.snapshots.write(SLATE, features(1, 2), FEATURES_SCHEMA.empty_table())
    fence = announced.batch_state.claim_fence(SLATE)
    version = announced.warehouse.facts_version()
    announced.batch_state.pin_features(SLATE, snapshot, fence=fence, facts_version=version)
    carry_on(announced, ["player-3"])
    assert announced.batch_state.progress(SLATE).outcomes["player-3"].outcome is Outcome.STAGED
    for lines, cause, outcome in (
        ({1: "20.5", 2: "15.5"}, "line withdrawn 10.5", Outcome.SKIPPED),
        ({1: "20.5", 2: "15.5", 3: "11.5"}, "line added 11.5", Outcome.STAGED),
    ):
        ingest(announced, lines)
        assert look(announced).due == {"player-3": (cause,)}
        follow(announced)
        assert look(announced).is_needed is False
        assert announced.batch_state.progress(SLATE).outcomes["player-3"].outcome is outcome


OF_NO_REFRESH = {
    "keys_registered", "batch_opened", "features_written", "features_pinned", "dead_letter_written", "events_stored",
    "checks_evaluated",
}  # fmt: skip
POINTS = [point for point in failpoints.POINTS if point not in OF_NO_REFRESH]


def test_a_refresh_that_is_killed_behind_any_write_ends_as_an_undisturbed_one(
    announced, killed_at, monkeypatch
):
    reached = []
    for number, point in enumerate(POINTS):
        line = f"{21 + number}.5"
        ingest(announced, {1: line, 2: "15.5", 3: "10.5"})
        others = {row["content_hash"] for row in left(announced)[0] if row["player_slug"] != "player-1"}
        before = announced.outbox.entries(SLATE)[-1].revision
        killed_at(point)
        try:
            follow(announced)
        except Killed:
            reached.append(point)
        failpoints.install(failpoints._go_on)
        follow(announced)
        rows, messages, _, staged = left(announced)
        assert (staged, look(announced).is_needed) == ([], False), point
        assert {row["content_hash"] for row in rows if row["player_slug"] != "player-1"} == others, point
        moved = [row for row in rows if row["player_slug"] == "player-1" and row["is_active"]]
        assert {str(row["line"]) for row in moved} >= {f"{line}0"}, point
        assert (len(moved), messages[-1][0]) == (25, before + 1), point
        assert messages[-1][1] == [
            {"player_slug": "player-1", "causes": [f"line moved {20 + number}.5 -> {line}"]}
        ], point
        assert len({message["message_id"] for message in announced.publisher.sent}) == before + 1, point
    assert reached == POINTS
