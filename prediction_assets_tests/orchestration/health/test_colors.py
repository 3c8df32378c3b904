"""The health report on slates in stores in memory: what the reader finds there. The findings are in a unit test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from types import SimpleNamespace

import dagster as dg
import jsonschema
import pytest
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import (
    ManagedGrpcPythonEnvCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, TickData, TickStatus
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._daemon.types import DaemonHeartbeat
from dagster._utils.error import SerializableErrorInfo

from prediction_assets.monitoring.evaluate import NAMES, Line
from prediction_assets.monitoring.findings import Color
from prediction_assets.monitoring.health_facts import Unreadable
from prediction_assets.orchestration.run_tags import SLATE_TAG
from prediction_assets.slate.dead_letter import Failure
from prediction_assets.slate.keys import GAME_TIME_ZONE
from prediction_assets.slate.outcome import Outcome
from prediction_assets_tests.orchestration.health.conftest import (
    PLAYERS,
    RUNNING,
    World,
    health_schema,
    part_rows,
)

GREEN, YELLOW, RED = Color

EVERYBODY = range(1, PLAYERS + 1)
RECEIPTS = "predictions.consolidation_receipts"


def healthy(world: World) -> None:
    world.healthy()


def tomorrow_has_games(world: World) -> None:
    world.schedule(0, 1)
    world.slate = world.shifted(1)


def a_game_was_added(world: World) -> None:
    world.healthy()
    world.schedule(0, games=2)


def last_week_was_not_logged(world: World) -> None:
    world.schedule(-9, -3, -1, 0)
    world.logs(-9)
    world.open()


def opening_night(world: World) -> None:
    world.schedule(-370, 0, 2)
    world.open()


def without_lines(world: World, *days_with_lines: int) -> None:
    world.schedule(0)
    world.lines(*days_with_lines)
    world.open()
    world.settle(Outcome.STAGED, *EVERYBODY, line_source="estimated")
    world.announce(world.merge())


def a_feed_that_is_down(world: World) -> None:
    without_lines(world, -4, -2)


def lines_that_came_after_the_rows(world: World) -> None:
    without_lines(world, -2, 0)


def a_home_without_a_feed(world: World) -> None:
    without_lines(world)


def a_feed_of_last_season(world: World) -> None:
    without_lines(world, -120)


def one_failed(world: World) -> None:
    world.schedule(0)
    world.open()
    world.settle(Outcome.STAGED, *range(1, PLAYERS))
    world.settle(Outcome.FAILED, PLAYERS)
    world.announce(world.merge())


def settled_and_never_merged(world: World) -> None:
    world.schedule(0)
    world.open()
    world.settle(Outcome.STAGED, *EVERYBODY)


def merged_and_not_cleaned_up(world: World) -> None:
    world.schedule(0)
    world.open()
    world.settle(Outcome.STAGED, *EVERYBODY)
    world.merge(cleanup=False)


def a_part_that_no_outcome_needs(world: World) -> None:
    world.healthy()
    progress = world.state.progress(world.slate)
    assert progress is not None
    who = progress.batch.expected[0]
    world.warehouse.parts.write(world.slate, who.slug, part_rows(who, world.slate), 1)


def taken_back(world: World) -> None:
    world.healthy()
    world.settle(Outcome.SKIPPED, *EVERYBODY, minutes=39)
    world.announce(world.merge(minutes=34))


def called_off_and_not_taken_back(world: World) -> None:
    world.healthy()
    progress = world.state.progress(world.slate)
    assert progress is not None
    world.state.reopen(replace(progress.batch, expected=(), games=0))
    world.sql("DELETE FROM facts.schedule WHERE game_date = CAST($slate AS DATE)", slate=world.slate)


def with_history(world: World, lines: int = 5) -> None:
    world.schedule(-4, -3, -2, -1, 0)
    for day in (-4, -3, -2, -1):
        slate = world.shifted(day)
        world.open(slate=slate)
        world.settle(Outcome.STAGED, *EVERYBODY, slate=slate)
        world.announce(world.merge(slate=slate))
    world.open()
    world.settle(Outcome.STAGED, *EVERYBODY, lines=lines)
    world.announce(world.merge())


def fewer_rows_a_player_than_usual(world: World) -> None:
    with_history(world, lines=3)


def a_slow_merge(world: World) -> None:
    with_history(world)
    world.edit_receipt(world.slate, merge_ms=90_000.0)


def stored_and_not_delivered(world: World) -> None:
    world.schedule(0)
    world.open()
    world.settle(Outcome.STAGED, *EVERYBODY)
    world.announce(world.merge(), deliver=False)


def a_failed_run(world: World, job: str = "consolidation") -> None:
    @dg.job(name=job)
    def stage() -> None: ...

    run = world.instance.create_run_for_job(stage, tags={SLATE_TAG: world.slate})
    world.instance.report_run_failed(run, "Execution failed: no space")


def a_failed_run_of_an_open_slate(world: World) -> None:
    settled_and_never_merged(world)
    a_failed_run(world)


def a_failed_run_that_was_repeated(world: World) -> None:
    world.healthy()
    a_failed_run(world)

    @dg.job(name="consolidation")
    def stage() -> None: ...

    assert stage.execute_in_process(instance=world.instance, tags={SLATE_TAG: world.slate}).success


def a_failed_run_and_a_success_of_another_slate(world: World) -> None:
    world.healthy()
    a_failed_run(world)

    @dg.job(name="consolidation")
    def stage() -> None: ...

    assert stage.execute_in_process(instance=world.instance, tags={SLATE_TAG: world.shifted(-1)}).success


def a_failed_tick_of_an_open_slate(world: World) -> None:
    settled_and_never_merged(world)
    fail_a_tick(world)


def a_failed_tick(world: World, *later: TickStatus) -> None:
    world.healthy()
    fail_a_tick(world, *later)


def fail_a_tick(world: World, *later: TickStatus) -> None:
    origin = RemoteInstigatorOrigin(
        repository_origin=RemoteRepositoryOrigin(
            ManagedGrpcPythonEnvCodeLocationOrigin(
                LoadableTargetOrigin(module_name="prediction_assets.definitions"), "prediction_assets"
            ),
            "__repository__",
        ),
        instigator_name="staging_sensor",
    )
    state = InstigatorState(origin, InstigatorType.SENSOR, InstigatorStatus.RUNNING)
    world.instance.add_instigator_state(state)
    at = world.now.timestamp() - 60
    for n, status in enumerate((TickStatus.FAILURE, *later)):
        error = SerializableErrorInfo("StateUnreadable: damaged\n", [], "StateUnreadable")
        world.instance.create_tick(
            TickData(
                instigator_origin_id=state.instigator_origin_id,
                instigator_name="staging_sensor",
                instigator_type=InstigatorType.SENSOR,
                status=status,
                timestamp=at + n,
                selector_id=state.selector_id,
                error=error if status is TickStatus.FAILURE else None,
            )
        )


def a_failed_tick_and_a_good_one(world: World) -> None:
    a_failed_tick(world, TickStatus.SKIPPED)


def a_daemon_that_went_away(world: World) -> None:
    world.healthy()
    world.instance.add_daemon_heartbeat(DaemonHeartbeat(world.now.timestamp() - 3600, "SENSOR", "1", []))


def a_daemon_that_beats(world: World) -> None:
    world.healthy()
    world.instance.add_daemon_heartbeat(DaemonHeartbeat(world.now.timestamp() - 20, "SENSOR", "1", []))


def a_dead_letter(world: World) -> None:
    world.healthy()
    payload = {"partition": f"{world.slate}:player-1"}
    failure = Failure(
        world.slate, "player-1", "run", "OSError", "No space left", "0" * 12, 3, 1, world.now, payload
    )
    world.dead_letters.add([failure])


def a_dead_letter_of_another_slate(world: World) -> None:
    world.healthy()
    other = world.shifted(-1)
    world.dead_letters.add([Failure(other, "player-1", "run", "OSError", "x", "0" * 12, 3, 1, world.now, {})])


def rows_deleted(world: World) -> None:
    world.healthy()
    world.sql("DELETE FROM predictions.player_prop_predictions WHERE player_id = 101")


def a_part_of_another_slate(world: World) -> None:
    world.healthy()
    world.open(slate=world.shifted(-1))
    world.settle(Outcome.STAGED, 1, slate=world.shifted(-1))


def a_lost_part(world: World) -> None:
    settled_and_never_merged(world)
    (lost,) = (part for part in world.warehouse.parts.staged(world.slate) if part[0] == "player-1")
    list(world.warehouse.parts.drop(world.slate, [lost]))


def an_older_version_of_a_system(world: World) -> None:
    world.schedule(0)
    world.open()
    world.settle(
        Outcome.STAGED, *EVERYBODY, versions=lambda system: "0" if system == "similarity" else RUNNING[system]
    )
    world.announce(world.merge())


def two_versions_of_a_system(world: World) -> None:
    world.schedule(0)
    world.open()
    world.settle(Outcome.STAGED, *EVERYBODY[1:])
    world.settle(Outcome.STAGED, 1, versions=lambda system: "0")
    world.announce(world.merge())


def two_schemas(world: World) -> None:
    world.healthy()
    world.sql("UPDATE predictions.player_prop_predictions SET schema_version = 0 WHERE player_id = 101")


def two_snapshots(world: World) -> None:
    world.healthy()
    world.sql("UPDATE predictions.player_prop_predictions SET feature_snapshot = 's' WHERE player_id = 101")


def nothing_at_all(world: World) -> None:
    """Leave the home empty."""


MIXED = f"mixed versions across the slate: ensemble 0, {RUNNING['ensemble']}"

CASES: list[tuple[str, Color, Callable[[World], None], str]] = [
    *((check, GREEN, healthy, "") for check in NAMES),
    ("batch_opened", YELLOW, tomorrow_has_games, "the roster is due at"),
    ("batch_opened", YELLOW, a_game_was_added, "the schedule now has 2"),
    ("batch_opened", YELLOW, last_week_was_not_logged, "no game logs"),
    ("batch_opened", GREEN, opening_night, "1 game, 6 expected players"),
    ("batch_opened", RED, nothing_at_all, "no schedule was ingested"),
    ("players_settled", YELLOW, tomorrow_has_games, "nobody is expected yet; due at"),
    ("players_settled", YELLOW, one_failed, "5 staged, 0 skipped, 1 failed"),
    ("batch_complete", RED, settled_and_never_merged, "the next step is consolidate"),
    ("consolidation_receipt", YELLOW, one_failed, "partial, revision 1"),
    ("consolidation_receipt", RED, merged_and_not_cleaned_up, "merged, but the cleanup didn't end"),
    ("consolidation_receipt", RED, settled_and_never_merged, "no receipt"),
    ("merge", GREEN, with_history, "150 staged = 150 inserted"),
    ("batch_complete", RED, called_off_and_not_taken_back, "the next step is consolidate"),
    ("consolidation_receipt", GREEN, taken_back, "success, revision 2"),
    ("merge", GREEN, taken_back, "there is nothing to predict any more"),
    ("predictions_in_table", GREEN, taken_back, "there is nothing to predict any more"),
    ("versions_consistent", GREEN, taken_back, "there is nothing to predict any more"),
    ("completion_published", GREEN, taken_back, "success, revision 2"),
    ("merge", YELLOW, fewer_rows_a_player_than_usual, "15 rows a player, usually 25"),
    ("merge", YELLOW, a_slow_merge, "slow: usually"),
    ("merge", RED, settled_and_never_merged, "nothing was merged"),
    ("completion_published", RED, merged_and_not_cleaned_up, "wasn't published"),
    ("completion_published", RED, stored_and_not_delivered, "the completion message wasn't delivered"),
    ("no_errors", GREEN, a_daemon_that_beats, "no run and no tick failed"),
    ("no_errors", GREEN, a_dead_letter_of_another_slate, "no run and no tick failed"),
    ("no_errors", YELLOW, a_dead_letter, "1 dead letter open of 6 players, newest player-1: OSError"),
    ("no_errors", GREEN, a_failed_run_that_was_repeated, "each succeeded since"),
    ("no_errors", GREEN, a_failed_tick_and_a_good_one, "each succeeded since"),
    ("no_errors", YELLOW, a_daemon_that_went_away, "the daemon has been down since"),
    ("no_errors", YELLOW, a_failed_run, "the run of consolidation failed: Execution failed: no space"),
    ("no_errors", RED, a_failed_run_of_an_open_slate, "the run of consolidation failed"),
    ("no_errors", YELLOW, a_failed_run_and_a_success_of_another_slate, "the run of consolidation failed"),
    ("no_errors", YELLOW, a_failed_tick, "a tick of staging_sensor failed: StateUnreadable: damaged"),
    ("no_errors", RED, a_failed_tick_of_an_open_slate, "a tick of staging_sensor failed: StateUnreadable"),
    ("predictions_in_table", YELLOW, one_failed, "125 rows of 5 players"),
    ("predictions_in_table", YELLOW, a_feed_that_is_down, "no prop line of the slate was ingested"),
    ("predictions_in_table", YELLOW, lines_that_came_after_the_rows, "lines came after the rows"),
    ("predictions_in_table", GREEN, a_home_without_a_feed, "100% of those expected"),
    ("predictions_in_table", GREEN, a_feed_of_last_season, "100% of those expected"),
    ("predictions_in_table", RED, rows_deleted, "the receipt says 150 rows"),
    ("no_staging_leftovers", YELLOW, merged_and_not_cleaned_up, "6 parts merged and not dropped"),
    ("no_staging_leftovers", YELLOW, a_part_that_no_outcome_needs, "1 part that no outcome needs"),
    ("no_staging_leftovers", YELLOW, a_part_of_another_slate, "parts of other slates"),
    ("no_staging_leftovers", RED, a_lost_part, "1 part lost, first player-1"),
    ("versions_consistent", YELLOW, an_older_version_of_a_system, "similarity made by another version"),
    ("versions_consistent", YELLOW, two_snapshots, "2 feature snapshots"),
    ("versions_consistent", RED, two_versions_of_a_system, MIXED),
    ("versions_consistent", RED, two_schemas, "schema 0, 1"),
]  # fmt: skip


def commands(line: Line) -> tuple[str, ...]:
    """Return the next steps of a line's findings."""
    return tuple(finding.command for finding in line.findings)


STATES = list(dict.fromkeys(state for _, _, state, _ in CASES))


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_each_line_has_its_color(world, state):
    state(world)
    lines = world.report(world.slate).lines
    for name, color, of, said in CASES:
        if of is state:
            line = lines[name]
            assert (line.color, said in line.text) == (color, True), (name, line.text)
            assert (not any(commands(line))) or line.color is not GREEN, name
            assert "\n" not in line.text


@pytest.mark.parametrize(
    ("state", "color", "code", "said"),
    [
        (healthy, GREEN, 0, "GREEN, the predictions are there (10 green, 0 yellow, 0 red)"),
        (one_failed, YELLOW, 1, "YELLOW, under way, or worth a look"),
        (settled_and_never_merged, RED, 2, "RED, needs you"),
        (nothing_at_all, RED, 2, "RED, needs you"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_the_worst_line_decides_and_the_json_follows_its_schema(world, state, color, code, said):
    state(world)
    report = world.report()
    assert (report.color, report.exit_code) == (color, code)
    assert said in report.summary
    assert bool(report.commands) == (color is not GREEN)
    printed = report.to_json()
    validator = jsonschema.Draft202012Validator(
        health_schema(), format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )
    assert [error.message for error in validator.iter_errors(printed)] == []
    assert [line["name"] for line in printed["lines"]] == list(NAMES)


def test_the_schema_names_the_lines_that_there_are():
    items = health_schema()["properties"]["lines"]["items"]
    assert items["properties"]["name"]["enum"] == list(NAMES)


@pytest.mark.parametrize("opened", [True, False], ids=["roster materialized", "roster not materialized"])
def test_a_day_without_games_is_green_and_says_so(world, opened):
    world.schedule(-1, 1)
    if opened:
        batch = world.open(slate=world.shifted(-5))
        world.state.open(replace(batch, slate=world.slate, games=0, league="", expected=()))
    report = world.report()
    assert (report.color, report.exit_code) == (GREEN, 0)
    assert "no games, nothing to do" in report.summary
    assert report.lines["batch_opened"].text == f"no games on {world.slate}: nothing to do"


def test_a_day_without_games_still_shows_what_failed(world):
    world.schedule(-1, 1)
    a_failed_run(world, "ingest")
    assert world.report().lines["no_errors"].color is YELLOW


def test_a_failed_run_and_a_failed_tick_are_shown_with_their_pages(world):
    a_failed_tick(world)
    a_failed_run(world)
    world.settings = world.settings.model_copy(update={"ui_url": "https://ui.example/"})
    found = world.says("no_errors").findings
    (run,) = world.instance.get_runs()
    assert {finding.link for finding in found} == {
        f"https://ui.example/runs/{run.run_id}",
        "https://ui.example/locations/prediction_assets/sensors/staging_sensor",
    }


def test_what_failed_before_the_window_is_not_counted(world):
    world.healthy()
    a_failed_run(world)
    world.now = datetime.fromtimestamp(world.now.timestamp() + 3600, UTC)
    assert world.says("no_errors").color is GREEN
    assert world.report(minutes=120).lines["no_errors"].color is YELLOW


def test_games_that_were_played_and_not_ingested_are_counted_with_their_first_date_and_the_way_out(world):
    last_week_was_not_logged(world)
    world.now = at_noon(world)
    line = world.says("batch_opened", world.slate)
    assert line.text.endswith(f"but 2 games since {world.shifted(-3)} have no game logs")
    assert commands(line) == (f"prediction-assets run --slate {world.slate} --reopen --game-logs FILE",)
    world.logs(-3, -1)
    assert world.says("batch_opened", world.slate).color is GREEN


def test_last_night_s_games_are_waited_for_until_the_roster_is_due_and_tonight_s_until_tomorrow(world):
    world.schedule(-1, 0)
    world.open()
    world.now = at_noon(world) - timedelta(hours=6)
    assert world.says("batch_opened", world.slate).color is GREEN
    world.now = at_noon(world)
    assert world.says("batch_opened", world.slate).color is YELLOW
    world.logs(-1)
    assert world.says("batch_opened", world.slate).color is GREEN


def test_a_feed_that_is_down_is_shown_with_the_newest_line_that_there_is(world):
    a_feed_that_is_down(world)
    (finding,) = world.says("predictions_in_table", world.slate).findings
    assert finding.evidence["newest_lines"] == world.shifted(-2)
    assert finding.command == f"prediction-assets run --slate {world.slate} --prop-lines FILE"
    late = world.report(world.slate)
    assert (late.color, late.exit_code) == (YELLOW, 1)


def at_noon(world: World) -> datetime:
    """Return noon of the world's slate, America/New_York: the roster was due at 10."""
    return datetime.combine(date.fromisoformat(world.slate), time(12), GAME_TIME_ZONE).astimezone(UTC)


def test_a_schedule_that_ended_is_shown_with_its_last_slate_for_days_and_then_with_today(world):
    world.now = datetime(2026, 2, 20, 16, tzinfo=UTC)
    world.slate = "2026-02-20"
    world.schedule(-9, -8)
    world.logs(-9)
    report = world.report()
    assert (report.slate, report.color, report.without_games) == ("2026-02-20", YELLOW, True)
    assert (
        "the schedule ends on 2026-02-12, so it has no games of tonight" in report.lines["batch_opened"].text
    )
    world.open(slate=world.shifted(-8))
    line = world.says("batch_opened")
    assert (line.color, "so it has no games of tonight" in line.text) == (YELLOW, True)
    assert world.says("batch_opened", world.shifted(-8)).color is GREEN
    world.now += timedelta(days=4)
    assert world.report().slate == "2026-02-24"


def test_the_off_season_is_green_and_says_so(world):
    world.now = datetime(2026, 8, 3, 16, tzinfo=UTC)
    world.slate = "2026-06-14"
    world.schedule(-2, 0)
    world.logs(-2, 0)
    report = world.report()
    assert (report.slate, report.color, report.exit_code) == ("2026-08-03", GREEN, 0)
    assert report.lines["batch_opened"].text == "out of season: the last game was on 2026-06-14"


def test_a_slate_of_months_ago_that_was_never_opened_is_not_red(world):
    world.schedule(-580, 0)
    report = world.report(world.shifted(-580))
    assert report.color is YELLOW
    assert report.commands == [f"prediction-assets run --slate {world.shifted(-580)}"]


NEEDS = {
    "batch state": {
        "batch_opened", "players_settled", "batch_complete", "consolidation_receipt",
        "predictions_in_table", "no_staging_leftovers", "versions_consistent",
    },
    "warehouse": {
        "consolidation_receipt", "merge", "completion_published", "predictions_in_table",
        "no_staging_leftovers", "versions_consistent",
    },
    "Dagster instance": {"no_errors", "versions_consistent"},
}  # fmt: skip


def unreadable(world: World, store: str) -> None:
    """Let a store fail whatever it is asked."""
    damaged = SimpleNamespace()  # has none of the port's methods
    setattr(world.stores, store, damaged)


@pytest.mark.parametrize("source", NEEDS)
def test_what_cannot_be_read_is_red_once_and_everything_else_is_still_reported(world, source):
    world.healthy()
    if source != "Dagster instance":
        unreadable(world, source.replace(" ", "_"))
    broken = Unreadable(source, "no such table: runs") if source == "Dagster instance" else None
    report = world.report(world.slate, instance=broken)
    assert {name for name, line in report.lines.items() if line.color is RED} == NEEDS[source] | (
        {"no_errors"} if source == "batch state" else set()
    )
    assert report.exit_code == 2
    roots = [line for line, is_caused in report.grouped() if line.color is RED and not is_caused]
    assert len(roots) == (2 if source == "batch state" else 1)
    assert report.commands == [f"prediction-assets health --slate {world.slate}"]


def test_a_warehouse_that_cannot_be_read_does_not_make_a_day_look_without_games(world):
    world.schedule(-1, 1)
    unreadable(world, "warehouse")
    assert world.report().color is RED


def test_a_damaged_page_of_the_state_file_is_red(world, monkeypatch):
    world.healthy()
    monkeypatch.setattr(world.state, "damage", lambda: "/home/state.sqlite: page 4")
    assert world.says("no_errors").text == "damaged: /home/state.sqlite: page 4"


def test_the_sixth_system_is_missed_where_it_is_published(world):
    world.healthy()
    world.settings = world.settings.model_copy(update={"market_aware": True})
    line = world.says("versions_consistent", world.slate)
    assert (line.color, line.text) == (YELLOW, "market_aware made by another version than the running one")
