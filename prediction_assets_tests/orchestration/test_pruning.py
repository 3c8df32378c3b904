"""Pruning: old slates lose their partition keys a slice at a time, and nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pytest

from prediction_assets.orchestration.build import build_defs
from prediction_assets.orchestration.partitions import ranges, registered_keys
from prediction_assets.orchestration.pruning import delete, next_slice, old_slates, slates_at_work
from prediction_assets.slate.deadlines import Clock
from prediction_assets.slate.keys import player_key
from prediction_assets.slate.merge_plan import MergePlan, receipt_id
from prediction_assets.slate.outcome import Outcome, PlayerOutcome
from prediction_assets.slate.receipt import MergeCounts
from prediction_assets.stores.local.batch_state import SqliteBatchState
from prediction_assets_tests.contract.dead_letters.test_contract import failure
from prediction_assets_tests.made_up import batch, player, rows_of

NOW = datetime(2026, 1, 5, 15, 0, tzinfo=UTC)
KEEP = 400
OLD = [f"2024-0{month}-10" for month in (3, 4, 5, 6)]
YOUNG, SIMULATED = "2025-12-01", "2091-01-15"


def keys_of(slate: str, players: int = 3) -> list[str]:
    return [player_key(slate, player(n).slug) for n in range(1, players + 1)]


def register(instance: dg.DagsterInstance, *slates: str) -> None:
    for slate in slates:
        instance.add_dynamic_partitions("slates", [slate])
        instance.add_dynamic_partitions("slate_players", keys_of(slate))


def registered(instance: dg.DagsterInstance) -> tuple[list[str], list[str]]:
    return instance.get_dynamic_partitions("slates"), instance.get_dynamic_partitions("slate_players")


def finish(state: SqliteBatchState, slate: str) -> None:
    """Leave a slate's batch as the consolidation of one skipped player leaves it."""
    opened = replace(batch(1, slate), opened_at=NOW - timedelta(days=600), deadline=NOW - timedelta(days=600))
    state.open(opened)
    state.record(
        [
            PlayerOutcome(
                slate, f"{slate}@test", player(1).slug, Outcome.SKIPPED, "run", NOW, 1, 1, reason="no game"
            )
        ]
    )
    progress = state.progress(slate)
    assert progress is not None
    work = MergePlan(
        slate=slate, league=opened.league, batch_id=opened.batch_id, receipt_id=receipt_id(progress),
        content_digest="d", status="success", parts=(), staged_player_ids=(), retained_player_ids=(),
        expected_players=1, skipped_players=1, failed_players=0, feature_snapshot="", facts_version=1,
    )  # fmt: skip
    state.mark_consolidated(work.receipt(MergeCounts(0, 0, 0, 0, 0, 0, ""), [], merge_ms=1.0, now=NOW))


@pytest.mark.parametrize(
    ("slate", "is_old"),
    [
        ("2024-12-01", False),
        ("2024-11-30", True),
        ("2025-12-01", False),
        ("2091-01-15", False),
        ("1999-01-01", True),
        ("not-a-date", False),
    ],
)
def test_a_slate_is_old_by_its_date_and_a_simulated_one_never(slate, is_old):
    keys = [f"{slate}:player-1"]
    assert old_slates([slate], keys, date(2026, 1, 5) - timedelta(days=KEEP)) == (
        {slate: keys} if is_old else {}
    )


def test_players_whose_slate_s_own_key_is_gone_already_are_found():
    assert old_slates([], keys_of(OLD[0]), date(2026, 1, 5) - timedelta(days=KEEP)) == {
        OLD[0]: keys_of(OLD[0])
    }


def test_old_slates_are_pruned_in_slices_oldest_first_and_young_and_simulated_ones_never(
    instance, history, batch_state, monkeypatch
):
    monkeypatch.setattr("prediction_assets.orchestration.pruning.KEYS_PER_SLICE", 8)
    register(instance, OLD[1], YOUNG, OLD[0], SIMULATED, OLD[2], OLD[3])
    for slate in OLD:
        finish(batch_state, slate)
    pruned = []
    while (chosen := next_slice(instance, history, KEEP)).keys:
        assert chosen.key_count <= 8
        assert chosen.later == len(OLD) - len(pruned) - len(chosen.keys)
        pruned += list(chosen.keys)
        delete(instance, chosen)
    assert pruned == sorted(OLD)
    assert registered(instance) == ([YOUNG, SIMULATED], [*keys_of(YOUNG), *keys_of(SIMULATED)])
    progress = batch_state.progress(OLD[0])
    assert progress is not None  # batch state stays
    assert progress.receipt is not None


def test_a_slate_with_parts_unfinished_or_at_work_keeps_its_keys(
    settings, instance, history, warehouse, batch_state, monkeypatch
):
    # The run is stamped with the real time, years from this test's.
    monkeypatch.setattr("prediction_assets.orchestration.runs.LOST_AFTER", timedelta(days=36_500))
    register(instance, *OLD)
    for slate in (OLD[0], OLD[2], OLD[3]):
        finish(batch_state, slate)
    batch_state.open(replace(batch(3, OLD[1]), deadline=NOW - timedelta(days=600)))
    warehouse.parts.write(OLD[0], "player-1", rows_of(player(1), {"20.5": 21.0}, OLD[0]), 1)
    job = build_defs(settings).resolve_job_def("staging")
    instance.create_run_for_job(job_def=job, tags={"dagster/partition": f"{OLD[2]}:player-1"})
    at_work = replace(history, slates_at_work=slates_at_work(instance, history.now))
    chosen = next_slice(instance, at_work, KEEP)
    assert list(chosen.keys) == [OLD[3]]
    assert chosen.kept == {
        OLD[0]: "parts in staging", OLD[1]: "not finished", OLD[2]: "a run is at work on it",
    }  # fmt: skip


def test_stopped_behind_any_key_pruning_goes_on_where_it_stopped(instance, history, batch_state, monkeypatch):
    class Killed(BaseException):
        pass

    register(instance, *OLD[:2], YOUNG)
    for slate in OLD[:2]:
        finish(batch_state, slate)
    really = type(instance).delete_dynamic_partition
    done = 0

    def stop_after_one(self, definition, key):
        nonlocal done
        really(self, definition, key)
        done += 1
        raise Killed

    attempts = 0
    while next_slice(instance, history, KEEP).keys:
        attempts += 1
        chosen = next_slice(instance, history, KEEP)
        with monkeypatch.context() as patch:
            patch.setattr(type(instance), "delete_dynamic_partition", stop_after_one)
            with pytest.raises(Killed):
                delete(instance, chosen)
    assert attempts == done == 8
    assert registered(instance) == ([YOUNG], keys_of(YOUNG))


def test_the_job_prunes_one_slice_and_a_dry_run_nothing(settings, instance, batch_state):
    register(instance, OLD[0], YOUNG)
    job = build_defs(settings).resolve_job_def("prune")
    before = registered(instance)
    dry = {"ops": {"prune_history": {"config": {"dry_run": True}}}}
    assert job.execute_in_process(instance=instance, run_config=dry).success
    assert registered(instance) == before
    assert job.execute_in_process(instance=instance).success
    assert registered(instance) == ([YOUNG], keys_of(YOUNG))


def test_the_newest_keys_are_found_without_reading_the_old_ones_and_give_the_same_ranges(
    instance, monkeypatch
):
    monkeypatch.setattr("prediction_assets.orchestration.partitions._FIRST_PAGE", 4)
    register(instance, *OLD, YOUNG)
    late = player_key(OLD[3], "late-addition")
    instance.add_dynamic_partitions("slate_players", [late])
    everything = instance.get_dynamic_partitions("slate_players")
    for wanted in ([late], keys_of(YOUNG), [*keys_of(OLD[3]), late], keys_of(OLD[0]), []):
        found = registered_keys(instance, wanted)
        assert everything[len(everything) - len(found) :] == found
        assert ranges(found, wanted, 100) == ranges(everything, wanted, 100)
    assert len(registered_keys(instance, [late])) == 4
    assert registered_keys(instance, ["2024-01-01:nobody"]) == everything


def test_the_command_prunes_all_slices_and_says_what_it_would_do(settings, instance, monkeypatch, capsys):
    from prediction_assets_tests.orchestration.test_cli import command

    monkeypatch.setenv("PREDICTION_ASSETS_HOME", str(settings.home))
    monkeypatch.setattr("prediction_assets.orchestration.pruning.KEYS_PER_SLICE", 8)
    register(instance, *OLD, SIMULATED)
    code, out, err = command(capsys, monkeypatch, "prune", "--dry-run")
    assert (code, err) == (0, "")
    assert "would prune 8 partition keys, and more in later slices" in out
    assert registered(instance)[0] == [*OLD, SIMULATED]
    code, out, _ = command(capsys, monkeypatch, "prune")
    assert code == 0
    assert registered(instance) == ([SIMULATED], keys_of(SIMULATED))
    code, out, _ = command(capsys, monkeypatch, "prune")
    assert (code, out) == (0, "nothing to prune: nothing is older than it is kept\n")


def test_the_command_says_that_letters_expire_and_not_that_they_are_pruned(
    settings, history, monkeypatch, capsys
):
    from prediction_assets_tests.orchestration.test_cli import command

    monkeypatch.setenv("PREDICTION_ASSETS_HOME", str(settings.home))
    history.letters.add([failure("a", failed_at=datetime.now(UTC) - timedelta(days=9))])
    assert command(capsys, monkeypatch, "prune", "--dry-run")[:2] == (0, "would expire 1 open dead letters\n")
    assert command(capsys, monkeypatch, "prune")[:2] == (0, "expired 1 open dead letters\n")
    code, out, _ = command(capsys, monkeypatch, "dead-letters", "list", "--closed", "--json")
    assert (code, json.loads(out)[0]["state"]) == (0, "expired")


@dg.job
def printing_job():
    """Do nothing; Dagster keeps what its step prints all the same."""

    @dg.op
    def step() -> None:
        pass

    step()


def test_the_command_deletes_what_old_runs_printed(settings, instance, monkeypatch, capsys):
    """Commands that carry a slate keep no output and so open the instance without it; this one must have it."""
    from prediction_assets_tests.orchestration.test_cli import command

    monkeypatch.setenv("PREDICTION_ASSETS_HOME", str(settings.home))
    run_id = printing_job.execute_in_process(instance=instance).run_id
    printed = settings.instance_folder / "storage" / run_id / "compute_logs"
    printed.mkdir(parents=True, exist_ok=True)
    (printed / "step.err").write_text("a line\n", encoding="utf-8")
    monkeypatch.setattr(Clock, "now", lambda _: datetime.now(UTC) + timedelta(days=500))
    code, out, err = command(capsys, monkeypatch, "prune")
    assert (code, err) == (0, "")
    assert "pruned 1 runs" in out
    assert instance.get_run_by_id(run_id) is None
    assert not printed.exists()
