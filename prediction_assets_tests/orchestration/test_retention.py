"""Retention: what is old and dealt with goes, a slice at a time; what anything still needs never does."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest
import sqlalchemy

from prediction_assets.errors import BadInput, WarehouseBusy
from prediction_assets.monitoring.alert_lifecycle import mark_delivered, opened, recovered
from prediction_assets.monitoring.destinations import Notice
from prediction_assets.monitoring.findings import Finding
from prediction_assets.orchestration.build import build_defs
from prediction_assets.orchestration.event_storage import delete_check_executions
from prediction_assets.orchestration.pruning import kinds, prune_runs, prune_slices
from prediction_assets.retention.dated import prune_answers, prune_boards
from prediction_assets.retention.kinds import History
from prediction_assets.retention.receipts import prune_closed_rows, prune_receipts, unneeded
from prediction_assets.retention.records import (
    expire_dead_letters,
    old_letters,
    old_messages,
    prune_alerts,
    prune_dead_letters,
    prune_messages,
)
from prediction_assets.retention.slates import prune_kept_fits, prune_snapshots
from prediction_assets.settings import load_settings
from prediction_assets.slate.dead_letter import Closing, letters_of
from prediction_assets.slate.merge_plan import plan
from prediction_assets.slate.receipt import Receipt
from prediction_assets.steps.ledger import verify_slate
from prediction_assets.stores.alert import Severity
from prediction_assets.stores.sql.tables import POINTS_MODELS
from prediction_assets_tests.contract.batch_state.test_contract import receipt
from prediction_assets_tests.contract.dead_letters.test_contract import failure
from prediction_assets_tests.contract.messaging.conftest import entry
from prediction_assets_tests.made_up import NOW, SLATE, batch, player, progress_of, rows_of, staged

OLD = NOW + timedelta(days=1)


def later(history: History, days: int = 500) -> History:
    """Return the same stores, so many days on."""
    return replace(history, now=datetime.now(UTC) + timedelta(days=days))


def of_part(part_id: str, n: int = 1) -> Receipt:
    parts = ({"player_slug": "player-1", "part_id": part_id, "rows": 1, "content_hash": "h"},)
    return replace(receipt(f"receipt-{n}", minutes=n), parts=parts)


@pytest.mark.parametrize(
    ("old", "staging", "named", "undelivered", "gone", "kept"),
    [
        ("12", "", "p3", "", ["receipt-1", "receipt-2"], {}),
        ("2", "", "p3", "", ["receipt-2"], {}),
        ("123", "", "p3", "", ["receipt-1", "receipt-2"], {"receipt-3": "its slate's newest"}),
        ("12", "p1", "p3", "", ["receipt-2"], {"receipt-1": "covers a part in staging"}),
        ("12", "", "p2", "", ["receipt-1"], {"receipt-2": "covers a part that an outcome names"}),
        (
            "12",
            "",
            "p3",
            "receipt-1",
            ["receipt-2"],
            {"receipt-1": "its completion message wasn't delivered"},
        ),
        ("", "p1", "p2", "receipt-1", [], {}),
    ],
)
def test_a_receipt_is_kept_while_anything_needs_it(old, staging, named, undelivered, gone, kept, warehouse):
    receipts = [of_part(f"p{n}", n) for n in (1, 2, 3)]
    part = replace(
        warehouse.parts.write(SLATE, "player-1", rows_of(player(1), {"24.5": 20.0}), 1), part_id=named
    )
    events = [replace(entry(), receipt_id=undelivered)] if undelivered else []
    found = unneeded(
        receipts,
        {f"receipt-{n}" for n in old},
        [("player-1", staging)] if staging else [],
        progress_of(batch(1), staged(part)),
        events,
    )
    assert found == (gone, kept)


def test_without_batch_state_a_replaced_receipt_goes_and_the_newest_stays():
    receipts = [of_part("p1", 1), of_part("p2", 2)]
    assert unneeded(receipts, {"receipt-1"}, [], None, []) == (["receipt-1"], {})


@pytest.mark.parametrize(
    ("closed", "days", "is_old"),
    [
        ((Closing.REPLAYED,), 1, True),
        ((Closing.DISCARDED, Closing.REPLAYED), 1, True),
        ((Closing.REPLAYED, None), 1, False),
        ((None,), 1, False),
        ((Closing.REPLAYED,), -1, False),
    ],
)
def test_a_letter_is_old_when_all_of_it_is_closed_and_long_ago(closed, days, is_old):
    failures = [failure(run=f"run-{n}", closed=how) for n, how in enumerate(closed)]
    assert bool(old_letters(letters_of(failures), NOW + timedelta(days=days))) is is_old


@pytest.mark.parametrize(
    ("delivered", "old"),
    [
        ((0, 0, 0), [1, 2]),
        ((0, None, 0), [1]),
        ((0, 0, None), [1, 2]),
        ((0, 5, 0), [1]),
        ((None, None, None), []),
    ],
)
def test_of_a_slate_s_events_the_newest_and_the_undelivered_are_kept(delivered, old):
    events = [
        replace(
            entry(revision),
            delivery_id=None if days is None else "m",
            delivered_at=None if days is None else NOW + timedelta(days=days),
        )
        for revision, days in zip((1, 2, 3), delivered, strict=True)
    ]
    found = [event.message["revision"] for event in old_messages(events, OLD)]
    assert found == old
    alone = [event for event in events if event.message["revision"] == 1]
    assert old_messages(alone, OLD) == []


def test_each_kind_of_record_is_pruned_by_age_in_slices_and_what_is_open_stays(history, monkeypatch):
    monkeypatch.setattr("prediction_assets.retention.records.RECORDS_PER_SLICE", 1)
    history.letters.add([failure("a"), failure("b"), failure("open")])
    history.letters.close(SLATE, dict.fromkeys(["a", "b"], 9), Closing.REPLAYED)
    for revision in (1, 2, 3):
        history.outbox.enqueue(entry(revision))
        history.outbox.mark_delivered(entry(revision).message_id, "m", NOW)
    for key in ("x:1", "y:2", "z:3"):
        made = Finding(key, Severity.ERROR, "a fact", SLATE, "do this", link="http://ui")
        history.alerts.change(key, opened(made, NOW))
    for key in ("x:1", "y:2"):
        history.alerts.change(key, recovered(NOW))
        history.alerts.change(key, mark_delivered(Notice.RECOVERED, NOW))
    for prune in (prune_dead_letters, prune_messages, prune_alerts):
        assert prune(history, 30, False).removed == 0
        assert [(done.removed, done.left) for done in (prune(history, 2, True), prune(history, 2, True))] == [
            (1, 1), (1, 1),
        ]  # fmt: skip
        assert [prune(history, 2, False).removed for _ in range(3)] == [1, 1, 0]
    assert [letter.player_slug for letter in history.letters.letters(include_closed=True)] == ["open"]
    assert [event.message["revision"] for event in history.outbox.entries()] == [3]
    assert [alert.key for alert in history.alerts.unsettled()] == ["z:3"]


def merged(history: History, n: int, lines: dict[str, float]) -> Receipt:
    """Stage the one expected player, consolidate, and clean up."""
    part = history.warehouse.parts.write(SLATE, player(1).slug, rows_of(player(1), lines), 1)
    history.state.record([staged(part, n)])
    progress = history.state.progress(SLATE)
    assert progress is not None
    made = history.warehouse.merge(plan(progress, history.warehouse.receipts(SLATE)))
    history.state.mark_consolidated(made)
    list(history.warehouse.parts.drop(SLATE, [(player(1).slug, part.part_id)]))
    return made


def three_consolidations(history: History) -> list[Receipt]:
    """Return the receipts of a slate whose first lines moved, and that was then run again."""
    history.state.open(batch(1))
    return [
        merged(history, 1, {"24.5": 20.0, "25.5": 20.0}),
        *(merged(history, n, {"26.5": 20.0}) for n in (2, 3)),
    ]


def test_a_finished_slate_still_rests_after_everything_that_may_go_is_gone(history):
    first, second, newest = three_consolidations(
        history
    )  # the row in force names the second: the third changed nothing
    after = later(history)
    assert prune_closed_rows(history, 400, False).removed == 0
    assert prune_receipts(history, 400, False).removed == 0
    assert prune_closed_rows(after, 400, True).removed == 2
    assert prune_closed_rows(after, 400, False).removed == 2
    assert prune_receipts(after, 400, True).removed == 1
    assert prune_receipts(after, 400, False).removed == 1
    assert prune_closed_rows(after, 400, False).removed == prune_receipts(after, 400, False).removed == 0
    one, two, three = history.warehouse.receipts(SLATE)
    assert (one.parts, one.receipt_hash, two.parts, three) == ((), first.receipt_hash, second.parts, newest)
    assert verify_slate(history.warehouse, SLATE).broken is None
    progress = history.state.progress(SLATE)
    assert progress is not None
    work = plan(progress, history.warehouse.receipts(SLATE))
    assert (work.receipt_id, work.parts) == (newest.receipt_id, ())
    assert history.warehouse.merge(work) == newest


class Killed(BaseException):
    """The process is gone."""


def test_killed_behind_any_removal_pruning_goes_on_where_it_stopped(settings, instance, history, monkeypatch):
    _, second, newest = three_consolidations(history)
    history.letters.add([failure("a"), failure("open", failed_at=datetime.now(UTC) + timedelta(days=450))])
    history.letters.close(SLATE, dict.fromkeys(["a"], 9), Closing.REPLAYED)
    history.letters.add([failure("b")])
    for revision in (1, 2):
        history.outbox.enqueue(entry(revision))
        history.outbox.mark_delivered(entry(revision).message_id, "m", NOW)
    made = Finding("x:1", Severity.ERROR, "a fact", SLATE, "do this", link="http://ui")
    for change in (opened(made, NOW), recovered(NOW), mark_delivered(Notice.RECOVERED, NOW)):
        history.alerts.change("x:1", change)
    history.warehouse.snapshots.write(SLATE, pa.table({"player_id": [1]}), pa.table({"player_id": [1]}))
    killed = 0
    for store, name in (  # in the order of the kinds: what comes before it is gone by then
        (history.warehouse.snapshots, "drop"), (history.warehouse, "prune_closed_rows"),
        (history.warehouse, "prune_receipts"), (history.outbox, "drop_delivered"),
        (history.letters, "close"), (history.letters, "drop_closed"), (history.alerts, "drop_settled"),
    ):  # fmt: skip
        really = getattr(type(store), name)

        def and_die(self: object, *arguments: object, really: Any = really) -> None:
            nonlocal killed
            really(self, *arguments)
            killed += 1
            raise Killed

        with monkeypatch.context() as patch:
            patch.setattr(type(store), name, and_die)
            with pytest.raises(Killed):
                list(prune_slices(instance, later(history), settings, dry_run=False))
    assert killed == 7
    again = prune_slices(instance, later(history), settings, dry_run=False)
    assert [(kind.name, done.removed) for kind, done in again] == [
        (kind.name, 0) for kind in kinds(instance, settings)
    ]
    one, two, three = history.warehouse.receipts(SLATE)
    assert (one.parts, two.parts, three) == ((), second.parts, newest)
    assert verify_slate(history.warehouse, SLATE).broken is None
    assert [letter.player_slug for letter in history.letters.letters(include_closed=True)] == ["open"]
    assert [event.message["revision"] for event in history.outbox.entries()] == [2]
    assert list(history.alerts.since(NOW - timedelta(days=1))) == []
    assert list(history.warehouse.snapshots.stored()) == []


def test_a_slate_whose_receipt_was_edited_keeps_them_all(history, monkeypatch):
    from prediction_assets.errors import ReceiptAltered

    monkeypatch.setattr(
        "prediction_assets.retention.receipts._old_receipts", lambda *_: {SLATE: {"receipt-1"}}
    )

    def altered(_self: object, slate: str) -> tuple[Receipt, ...]:
        raise ReceiptAltered(f"slate {slate}: receipt-1 was edited by hand")

    monkeypatch.setattr(type(history.warehouse), "receipts", altered)
    done = prune_receipts(history, 400, False)
    assert (done.removed, done.kept) == (0, {SLATE: "a receipt of it was edited by hand"})


def test_snapshots_of_old_slates_go_and_those_of_young_unfinished_or_simulated_ones_stay(history, settings):
    players = pa.table({"player_id": pa.array([1], pa.int64())})
    for slate in ("2025-01-10", "2025-01-11", SLATE, "2091-01-15"):
        history.warehouse.snapshots.write(slate, players, pa.table({"slate": [slate]}))
    history.state.open(replace(batch(2, "2025-01-11"), deadline=NOW - timedelta(days=300)))
    done = prune_snapshots(history, 60, True)
    assert (done.removed, done.slates, dict(done.kept)) == (
        1,
        ("2025-01-10",),
        {"2025-01-11": "not finished"},
    )
    half = next((settings.home / "features" / "2025-01-10").iterdir())
    (half / "players.arrow").unlink()  # where a killed pruning left it
    (half / "history.parquet").touch()  # as an earlier version wrote it
    assert prune_snapshots(history, 60, False).removed == 1
    assert [slate for slate, _ in history.warehouse.snapshots.stored()] == ["2025-01-11", SLATE, "2091-01-15"]
    assert not (settings.home / "features" / "2025-01-10").exists()


def test_what_was_fitted_for_old_slates_goes_and_models_and_young_slates_fits_stay(history):
    def stored(name: str, cutoff: str, only_slate: str | None) -> dict[str, object]:
        day = date.fromisoformat(cutoff)
        return {
            **dict.fromkeys(POINTS_MODELS.column_names, "x"), "model_id": name, "league": "NBA", "cutoff": day,
            "only_slate": only_slate and date.fromisoformat(only_slate), "newest_game": day, "trained_rows": 1,
            "systems": "{}", "libraries": "{}", "is_promoted": only_slate is None, "verdict": None, "trained_at": NOW,
        }  # fmt: skip

    rows = [
        stored("model", "2024-11-01", None), stored("old", "2025-01-10", "2025-01-10"),
        stored("older", "2025-01-09", "2025-01-09"), stored("young", SLATE, SLATE),
        stored("simulated", "2091-01-15", "2091-01-15"),
    ]  # fmt: skip
    history.warehouse.upsert(POINTS_MODELS, POINTS_MODELS.arrow_table(rows))
    for dry_run in (True, False):
        done = prune_kept_fits(history, 60, dry_run)
        assert (done.removed, done.slates, done.left) == (2, ("2025-01-09", "2025-01-10"), 0)
    left = history.warehouse.query(f"SELECT model_id FROM {POINTS_MODELS.qualified_name} ORDER BY model_id")
    assert left["model_id"].to_pylist() == ["model", "simulated", "young"]
    assert prune_kept_fits(history, 60, False).removed == 0


@dg.op
def nothing() -> None:
    """Do nothing, as a run's step."""


@dg.job
def nothing_job() -> None:
    """Do nothing, as a run."""
    nothing()


def test_runs_that_ended_long_ago_go_with_their_events_and_logs_and_those_in_progress_stay(
    history, instance, settings, monkeypatch
):
    ended = [nothing_job.execute_in_process(instance=instance).run_id for _ in range(3)]
    running = instance.create_run_for_job(job_def=nothing_job, status=dg.DagsterRunStatus.STARTED).run_id
    files = Path(settings.home, "dagster", "history", "runs")
    logs = Path(settings.home, "dagster", "storage", ended[0], "compute_logs")
    logs.mkdir(parents=True, exist_ok=True)
    (logs / "step.err").write_text("a line\n", encoding="utf-8")
    assert (files / f"{ended[0]}.db").exists()
    assert prune_runs(instance, replace(history, now=datetime.now(UTC)), 30, False).removed == 0
    after = later(history)
    monkeypatch.setattr("prediction_assets.orchestration.pruning.RUNS_PER_SLICE", 2)
    assert (prune_runs(instance, after, 400, True).removed, prune_runs(instance, after, 400, True).left) == (
        2,
        1,
    )
    assert len(instance.get_runs()) == 4

    def killed(_self: object, _run_id: str) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(type(instance), "delete_run", killed)
        with pytest.raises(Killed):
            prune_runs(instance, after, 400, False)
    assert len(instance.get_runs()) == 4  # its events are gone, but the run is still there to be found
    slices = [prune_runs(instance, after, 400, False) for _ in range(2)]
    assert [(done.removed, done.left) for done in slices] == [(2, 1), (1, 0)]
    assert [run.run_id for run in instance.get_runs()] == [running]
    assert [path.name for path in files.glob("*.db") if path.stem in ended] == []
    assert not logs.exists()
    assert instance.all_logs(ended[0]) == []


@dg.asset(check_specs=[dg.AssetCheckSpec("good", asset="checked")])
def checked():
    """Something with a check."""
    yield dg.MaterializeResult(check_results=[dg.AssetCheckResult(check_name="good", passed=True)])


def check_rows(instance: dg.DagsterInstance) -> list[str]:
    """Return the runs of all check executions, oldest first."""
    with instance.event_log_storage.index_connection() as connection:
        runs = connection.execute(
            sqlalchemy.text("SELECT run_id FROM asset_check_executions ORDER BY id")
        ).all()
    return [run_id for (run_id,) in runs]


def pruned_with_their_checks(
    instance: dg.DagsterInstance, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Have runs with checks, prune them in slices, one of them killed, and see what is left."""
    runs = [dg.materialize([checked], instance=instance).run_id for _ in range(4)]
    assert check_rows(instance) == runs
    after = later(history)
    monkeypatch.setattr("prediction_assets.orchestration.pruning.RUNS_PER_SLICE", 2)
    assert prune_runs(instance, after, 400, True).removed == 2
    assert check_rows(instance) == runs

    def killed(*_: object) -> None:
        raise Killed

    for step in (
        "prediction_assets.orchestration.pruning.delete_check_executions",
        "dagster.DagsterInstance.delete_run",
    ):
        with monkeypatch.context() as patch:
            patch.setattr(step, killed)
            with pytest.raises(Killed):
                prune_runs(instance, after, 400, False)
        assert {run.run_id for run in instance.get_runs()} == set(runs)  # they are still there to be found
        assert instance.all_logs(runs[0]) == []
    assert check_rows(instance) == runs[2:]
    assert prune_runs(instance, after, 400, False).removed == 2
    assert [run.run_id for run in instance.get_runs()] == runs[:1:-1]
    assert check_rows(instance) == runs[2:]
    key = dg.AssetCheckKey(dg.AssetKey("checked"), "good")
    newest = instance.event_log_storage.get_latest_asset_check_execution_by_key([key])[key]
    assert newest.run_id == runs[-1]
    assert prune_runs(instance, after, 400, False).removed == 2
    assert (check_rows(instance), instance.get_runs()) == ([], [])


def test_check_results_go_with_their_runs_and_those_of_other_runs_stay(instance, history, monkeypatch):
    pruned_with_their_checks(instance, history, monkeypatch)


def test_more_runs_than_a_statement_takes_values_lose_their_check_results(instance, monkeypatch):
    monkeypatch.setattr("prediction_assets.orchestration.event_storage.storage._RUNS_PER_STATEMENT", 2)
    runs = [dg.materialize([checked], instance=instance).run_id for _ in range(4)]
    assert delete_check_executions(instance.event_log_storage, [*runs[:3], "nobody"]) == 3
    assert check_rows(instance) == runs[3:]
    assert delete_check_executions(instance.event_log_storage, []) == 0


def test_open_letters_of_slates_at_rest_expire_and_those_of_unfinished_or_recent_ones_stay(
    history, monkeypatch
):
    history.state.open(batch(2))  # SLATE waits for its features
    history.letters.add(
        [
            failure("a", slate="2025-12-30", failed_at=NOW - timedelta(days=3)),
            failure("b", slate="2025-12-30", failed_at=NOW - timedelta(days=3)),
            failure("c", slate="2026-01-01", failed_at=NOW - timedelta(days=1)),
            failure("player-1", failed_at=NOW - timedelta(days=1)),
        ]
    )
    assert (
        expire_dead_letters(replace(history, now=NOW), 3, False).removed == 0
    )  # three days ago is not before
    at = replace(history, now=NOW + timedelta(days=3))
    would = expire_dead_letters(at, 3, True)
    assert (would.removed, dict(would.kept)) == (3, {SLATE: "not finished"})
    assert len(history.letters.letters()) == 4
    monkeypatch.setattr("prediction_assets.retention.records.RECORDS_PER_SLICE", 2)
    first, second = expire_dead_letters(at, 3, False), expire_dead_letters(at, 3, False)
    assert [(done.removed, done.slates, done.left) for done in (first, second)] == [
        (2, ("2025-12-30",), 1), (1, ("2026-01-01",), 0),
    ]  # fmt: skip
    assert [letter.player_slug for letter in history.letters.letters()] == ["player-1"]
    closed = {letter.player_slug: letter.closed for letter in history.letters.letters(include_closed=True)}
    assert closed == {**dict.fromkeys("abc", Closing.EXPIRED), "player-1": None}
    history.letters.add([failure("a", slate="2025-12-30", run="run-2", failed_at=at.now)])
    assert [letter.player_slug for letter in history.letters.letters()] == ["a", "player-1"]


def test_the_job_expires_letters_however_long_closed_ones_are_kept_and_says_so(settings, instance, history):
    history.letters.add([failure("a", failed_at=datetime.now(UTC) - timedelta(days=900))])
    defs = build_defs(settings.model_copy(update={"keep_days": 0}))
    done = defs.resolve_job_def("prune").execute_in_process(instance=instance)
    (told_,) = [event for event in done.all_events if event.event_type_value == "STEP_OUTPUT"]
    metadata = {name: value.value for name, value in told_.step_output_data.metadata.items()}
    assert (metadata["expired_open_dead_letters"], "dead_letters" in metadata) == (1, False)
    assert [letter.closed for letter in history.letters.letters(include_closed=True)] == [Closing.EXPIRED]


def test_the_job_tells_what_it_removed_of_each_kind_and_one_that_fails_stops_no_other(
    settings, instance, history, monkeypatch
):
    history.letters.add([failure("a", failed_at=datetime.now(UTC) - timedelta(days=900))])
    history.letters.close(SLATE, dict.fromkeys(["a"], 9), Closing.DISCARDED)

    def busy(*_: object) -> None:
        raise WarehouseBusy("the warehouse is busy; try again")

    defs = build_defs(settings)
    with monkeypatch.context() as patch:
        patch.setattr("prediction_assets.stores.local.warehouse.DuckDBWarehouse.query", busy)
        failed = defs.resolve_job_def("prune").execute_in_process(instance=instance, raise_on_error=False)
    assert not failed.success
    assert history.letters.letters(include_closed=True) == []
    (step,) = [event for event in failed.all_events if event.event_type_value == "STEP_FAILURE"]
    assert "receipts: the warehouse is busy" in step.step_failure_data.user_failure_data.description
    done = defs.resolve_job_def("prune").execute_in_process(instance=instance)
    (told_,) = [event for event in done.all_events if event.event_type_value == "STEP_OUTPUT"]
    metadata = {name: value.value for name, value in told_.step_output_data.metadata.items()}
    assert metadata["dead_letters"] == metadata["receipts"] == metadata["runs"] == metadata["alerts"] == 0


@pytest.mark.parametrize(("days", "snapshot_days"), [(0, 0), (60, 60), (61, 60), (400, 60)])
def test_snapshots_are_kept_no_longer_than_anything_else(days, snapshot_days):
    settings = load_settings(keep_days=days)
    assert (settings.keep_days, settings.snapshot_days) == (days, snapshot_days)


@pytest.mark.parametrize("days", [-1, 1, 3, 59])
def test_what_is_still_read_can_t_be_pruned(days):
    with pytest.raises(BadInput, match=f"KEEP_DAYS: {days} is .*60 to 36500, or 0"):
        load_settings(keep_days=days)


def test_recorded_answers_of_old_days_go_and_nothing_else_in_their_folder(history, tmp_path):
    now = history.now.date()
    for source, age, name in (("odds_api", 40, "a"), ("odds_api", 29, "b"), ("stats_nba", 400, "c")):
        folder = tmp_path / source / (now - timedelta(days=age)).isoformat() / "question"
        folder.mkdir(parents=True)
        (folder / f"{name}.json.gz").write_bytes(b"x")
    (tmp_path / "odds_api" / "notes").mkdir()
    (tmp_path / "odds_api" / "1999-01-01").write_text("a file of somebody")
    assert prune_answers(tmp_path, history, 30, True).removed == 2
    assert prune_answers(tmp_path, history, 30, False).removed == 2
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {"b.json.gz", "1999-01-01"}
    assert (tmp_path / "odds_api" / "notes").is_dir()
    assert prune_answers(tmp_path, history, 30, False).removed == 0
    assert prune_answers(tmp_path / "none", history, 30, False).removed == 0


def test_a_slice_of_recorded_answers_leaves_the_rest_for_the_next(history, tmp_path, monkeypatch):
    monkeypatch.setattr("prediction_assets.retention.dated.FOLDERS_PER_SLICE", 1)
    for day in ("2001-01-01", "2001-01-02"):
        (tmp_path / "odds_api" / day).mkdir(parents=True)
    done = prune_answers(tmp_path, history, 30, False)
    assert (done.removed, done.left) == (1, 1)
    assert [path.name for path in (tmp_path / "odds_api").iterdir()] == ["2001-01-02"]


def test_boards_of_old_slates_go_and_nothing_else_in_their_folder(history, tmp_path):
    today = history.now.date()
    kept, old = (today - timedelta(days=29)).isoformat(), (today - timedelta(days=40)).isoformat()
    for name in (f"{kept}.html", f"{old}.html", f"{old}.pdf", "notes.html"):
        (tmp_path / name).write_text("x", "utf-8")
    assert prune_boards(tmp_path, history, 30, True).slates == (old,)
    assert prune_boards(tmp_path, history, 30, False).removed == 1
    assert {path.name for path in tmp_path.iterdir()} == {f"{kept}.html", f"{old}.pdf", "notes.html"}
    assert prune_boards(tmp_path, history, 30, False).removed == 0
