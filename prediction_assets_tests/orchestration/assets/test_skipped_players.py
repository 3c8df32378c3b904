"""Players who aren't predicted, through the assets: settled at once, and again when the facts change."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime

from prediction_assets.orchestration.slate_run import SlateRun
from prediction_assets.slate.outcome import Outcome
from prediction_assets.stores.local.parts import ArrowParts
from prediction_assets.stores.sql.tables import INJURY_REPORTS, SCHEDULE
from prediction_assets_tests.homes import PLAYERS, SIMULATED
from prediction_assets_tests.orchestration.assets.faults import FailingWarehouse
from prediction_assets_tests.orchestration.assets.test_slate import with_fault

DAY = date.fromisoformat(SIMULATED)
KNEE = "Injury/Illness - Left Knee; Soreness"


def report(run: SlateRun, hour: int, **statuses: str) -> None:
    """Ingest a report of the simulated league that gives these players, by slug, a status."""
    batch = run.stores.batch_state.progress(SIMULATED).batch
    rows = [
        {
            "league": batch.league,
            "game_date": DAY,
            "reported_at": datetime(DAY.year, DAY.month, DAY.day, hour, tzinfo=UTC),
            "team": player.team,
            "player_name": player.name,
            "player_id": player.player_id,
            "status": statuses[player.slug],
            "reason": KNEE,
        }
        for player in batch.players(statuses)
    ]
    run.stores.warehouse.upsert(INJURY_REPORTS, INJURY_REPORTS.arrow_table(rows), ("league", "reported_at"))


def slugs(run: SlateRun) -> list[str]:
    return [player.slug for player in run.stores.batch_state.progress(SIMULATED).batch.expected]


def outcomes(run: SlateRun) -> dict[str, tuple[Outcome, str]]:
    done = run.stores.batch_state.progress(SIMULATED).outcomes
    return {slug: (completion.outcome, completion.reason) for slug, completion in done.items()}


def active_rows(run: SlateRun, slug: str) -> int:
    count = (
        "SELECT COUNT(*) AS n FROM predictions.player_prop_predictions WHERE player_slug = $s AND is_active"
    )
    return run.stores.warehouse.query(count, {"s": slug}).to_pylist()[0]["n"]


def test_a_player_reported_out_settles_as_skipped_at_once_and_a_questionable_one_is_predicted(ready):
    out, questionable, doubtful, *_ = slugs(ready)
    report(ready, 12, **{out: "Out", questionable: "Questionable", doubtful: "Doubtful"})
    assert ready.stage(SIMULATED)
    assert outcomes(ready)[out] == (Outcome.SKIPPED, f"out: {KNEE}")
    assert sum(outcome is Outcome.STAGED for outcome, _ in outcomes(ready).values()) == PLAYERS - 1
    receipt = ready.consolidate(SIMULATED)
    assert (receipt.status, receipt.skipped_players, receipt.rows) == ("success", 1, (PLAYERS - 1) * 25)
    assert [(m["player_slug"], m["reason"]) for m in receipt.missing] == [(out, f"out: {KNEE}")]


def test_a_player_reported_out_after_he_was_merged_goes_out_of_force_when_staged_again(finished):
    slug = slugs(finished)[0]
    assert active_rows(finished, slug) == 25
    report(finished, 12, **{slug: "Out"})
    finished.stage(SIMULATED, [slug])
    receipt = finished.consolidate(SIMULATED)
    assert (receipt.revision, receipt.rows_superseded, active_rows(finished, slug)) == (2, 25, 0)

    report(finished, 13, **{slugs(finished)[1]: "Probable"})  # the newest report no longer lists him
    finished.stage(SIMULATED, [slug])
    assert outcomes(finished)[slug] == (Outcome.STAGED, "")
    receipt = finished.consolidate(SIMULATED)
    assert (receipt.revision, receipt.rows, active_rows(finished, slug)) == (3, PLAYERS * 25, 25)


def test_the_part_of_a_player_who_is_skipped_or_fails_before_it_was_merged_does_not_stay_in_staging(
    staged_home, open_home, tmp_path
):
    run = open_home(staged_home)
    out, fails, *_ = slugs(run)
    report(run, 12, **{out: "Out"})
    fault = with_fault(tmp_path / "home", FailingWarehouse, "warehouse", failing=[fails])
    assert not open_home(staged_home, fault).stage(SIMULATED, [out, fails])
    assert dict(run.stores.warehouse.parts.staged(SIMULATED)).keys() == set(slugs(run)) - {out, fails}
    receipt = run.consolidate(SIMULATED)
    assert (receipt.skipped_players, receipt.failed_players) == (1, 1)
    assert run.stores.warehouse.parts.slates() == []


def test_a_part_whose_write_ends_after_it_was_given_up_on_does_not_stay_in_staging(
    ready_home, open_home, monkeypatch
):
    monkeypatch.setattr("prediction_assets.steps.stage.PART_CALLS", 0.5 / 60)
    run = open_home(ready_home)
    slow, given_up, written = slugs(run)[0], threading.Event(), threading.Event()
    write, drop = ArrowParts.write, ArrowParts.drop

    def slowly(self, slate, slug, rows, fence):
        if slug == slow:
            given_up.wait(60)
        return write(self, slate, slug, rows, fence)

    def dropped(self, slate, parts):
        for slug, part_id in drop(self, slate, parts):
            yield slug, part_id
            if slug == slow:
                written.set()

    monkeypatch.setattr(ArrowParts, "write", slowly)
    monkeypatch.setattr(ArrowParts, "drop", dropped)
    assert not run.stage(SIMULATED)
    given_up.set()
    assert written.wait(60)
    assert slow not in dict(run.stores.warehouse.parts.staged(SIMULATED))
    assert outcomes(run)[slow][0] is Outcome.FAILED


def test_the_part_of_a_player_whom_reopening_drops_goes_with_the_next_consolidation(staged):
    gone = staged.stores.batch_state.progress(SIMULATED).batch.expected[0]
    with staged.stores.warehouse._connect(write=True) as connection:
        connection.execute("DELETE FROM facts.game_logs WHERE player_id = ?", [gone.player_id])
    staged.roster(SIMULATED, reopen=True)
    assert staged.consolidate(SIMULATED).staged_players == PLAYERS - 1
    assert staged.stores.warehouse.parts.slates() == []


def test_the_players_of_a_game_that_was_called_off_are_skipped_until_it_is_scheduled_again(ready):
    listed = "SELECT * FROM facts.schedule WHERE game_date = $day"
    before = SCHEDULE.arrow_table(ready.stores.warehouse.query(listed, {"day": DAY}).to_pylist())
    another = {**before.to_pylist()[0], "game_id": "9099999999"}
    done = ready.stores.warehouse.upsert(SCHEDULE, SCHEDULE.arrow_table([another]), ("league", "game_date"))
    assert (done.inserted, done.removed) == (1, before.num_rows)
    ready.stage(SIMULATED)
    assert len(outcomes(ready)) == PLAYERS
    for outcome, reason in outcomes(ready).values():
        assert (outcome, reason.partition(":")[0]) == (Outcome.SKIPPED, "no game")

    ready.stores.warehouse.upsert(SCHEDULE, before, ("league", "game_date"))
    ready.stage(SIMULATED)
    assert {outcome for outcome, _ in outcomes(ready).values()} == {Outcome.STAGED}


SCHEDULE_FILE = "game_id,game_date,home_team,away_team\n0022400061,2024-10-22,BOS,NYK\n"


def test_a_game_that_a_schedule_no_longer_lists_stays_until_the_operator_removes_it(slate_run, tmp_path):
    path = tmp_path / "schedule.csv"
    path.write_text(SCHEDULE_FILE + "0022400062,2024-10-22,LAL,MIN\n0022400063,2024-10-23,IND,DET\n", "utf-8")
    slate_run.ingest({"schedule": {"path": str(path)}})
    path.write_text(SCHEDULE_FILE, "utf-8")
    done = slate_run.ingest({"schedule": {"path": str(path)}})["schedule"]
    assert (done["rows_replaced"], done["rows_unchanged"], done["dagster/row_count"]) == (0, 1, 3)
    done = slate_run.ingest({"schedule": {"path": str(path), "replace_omitted": True}})["schedule"]
    assert done["dagster/row_count"] == 2  # a date that the file says nothing of stays


def test_a_date_whose_only_game_a_file_calls_postponed_has_no_game_any_more(slate_run, tmp_path):
    path = tmp_path / "schedule.csv"
    path.write_text(SCHEDULE_FILE + "0022400063,2024-10-23,IND,DET\n", "utf-8")
    slate_run.ingest({"schedule": {"path": str(path)}})
    path.write_text(
        "game_id,game_date,home_team,away_team,postponed\n0022400063,2024-10-23,IND,DET,Y\n", "utf-8"
    )
    done = slate_run.ingest({"schedule": {"path": str(path)}})["schedule"]
    assert (done["rows_replaced"], done["rows_unchanged"], done["dagster/row_count"]) == (1, 0, 1)
    assert done["left_out"] == {"postponed": 1}


def test_without_a_path_no_injury_report_is_ingested(slate_run):
    assert slate_run.ingest({"injury_reports": {}}) == {}
