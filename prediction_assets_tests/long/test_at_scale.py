"""Years of old slates in the instance: the sensors' ticks stay far below their time limit, and pruning catches up."""

from __future__ import annotations

import shutil
import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from prediction_assets.orchestration.instance import open_instance
from prediction_assets.orchestration.pruning import delete, next_slice
from prediction_assets.orchestration.slate_run import SlateRun
from prediction_assets.retention.kinds import History
from prediction_assets.settings import load_settings
from prediction_assets.slate.keys import NBA_LEAGUE
from prediction_assets.slate.merge_plan import MergePlan, receipt_id
from prediction_assets.slate.outcome import Outcome, PlayerOutcome
from prediction_assets.slate.receipt import MergeCounts, Receipt
from prediction_assets.stores.local.alerts import SqliteAlertStore
from prediction_assets.stores.local.batch_state import SqliteBatchState
from prediction_assets.stores.local.dead_letters import SqliteDeadLetters
from prediction_assets.stores.local.outbox import SqliteOutbox
from prediction_assets.stores.sql.tables import RECEIPTS, SCHEDULE
from prediction_assets_tests.homes import PLAYERS, SIMULATED
from prediction_assets_tests.made_up import batch
from prediction_assets_tests.orchestration.sensors.ticking import requested, tick

SLATES, PLAYERS_A_SLATE, MATERIALIZED = 2_500, 40, 300
FIRST = date(2010, 1, 1)
OLD = [(FIRST + timedelta(days=n)).isoformat() for n in range(SLATES)]
LONGEST_TICK_SECONDS = 6.0
"""A tenth of the 60 s after which Dagster's daemon ends a sensor's tick."""


def _remember(home: Path) -> list[Receipt]:
    """Leave thousands of finished batches with their outcomes and receipts in batch state."""
    state = SqliteBatchState(home / "state.sqlite")
    long_ago = datetime(2010, 1, 1, 15, tzinfo=UTC)
    first = replace(batch(PLAYERS_A_SLATE, OLD[0]), opened_at=long_ago, deadline=long_ago)
    state.open(first)
    state.record(
        [
            PlayerOutcome(
                OLD[0], f"{OLD[0]}@test", p.slug, Outcome.SKIPPED, "run", long_ago, 1, 1, reason="no game"
            )
            for p in first.expected
        ]
    )
    progress = state.progress(OLD[0])
    assert progress is not None
    work = MergePlan(
        slate=OLD[0], league=first.league, batch_id=first.batch_id, receipt_id="", content_digest="d",
        status="success", parts=(), staged_player_ids=(), retained_player_ids=(),
        expected_players=PLAYERS_A_SLATE, skipped_players=PLAYERS_A_SLATE, failed_players=0, feature_snapshot="",
        facts_version=1,
    )  # fmt: skip
    receipts = []
    for slate in OLD:
        own = receipt_id(replace(progress, batch=replace(progress.batch, slate=slate)))
        done = replace(work, slate=slate, receipt_id=own)
        receipts.append(done.receipt(MergeCounts(0, 0, 0, 0, 0, 0, ""), [], merge_ms=1.0, now=long_ago))
        state.mark_consolidated(receipts[-1])
    with closing(sqlite3.connect(home / "state.sqlite")) as connection, connection:
        connection.execute("CREATE TEMP TABLE later (slate TEXT)")
        connection.executemany("INSERT INTO later VALUES (?)", [(slate,) for slate in OLD[1:]])
        for table in ("batches", "expected_players", "roster_sizes", "outcomes"):
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            chosen = ", ".join("later.slate" if name == "slate" else f"t.{name}" for name in columns)
            connection.execute(
                f"INSERT INTO {table} SELECT {chosen} FROM {table} AS t, later WHERE t.slate = ?", (OLD[0],)
            )
    return receipts


@pytest.fixture(scope="module")
def old_home(ingested_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with 100,000 partition keys, thousands of batches and receipts, and hundreds of materializations."""
    home = tmp_path_factory.mktemp("old") / "home"
    shutil.copytree(ingested_home, home)
    receipts = _remember(home)
    settings = load_settings(home=home)
    with open_instance(settings, capture_output=False) as instance:
        warehouse = SlateRun(settings, instance).stores.warehouse
        warehouse.upsert(RECEIPTS, RECEIPTS.arrow_table([receipt.to_row() for receipt in receipts]))
        keys = [f"{slate}:player-{n}" for slate in OLD for n in range(1, PLAYERS_A_SLATE + 1)]
        for start in range(0, len(keys), 20_000):
            instance.add_dynamic_partitions("slate_players", keys[start : start + 20_000])
        instance.add_dynamic_partitions("slates", OLD)
        for receipt in receipts[:MATERIALIZED]:
            metadata = {"receipt_id": receipt.receipt_id}
            instance.report_runless_asset_event(
                dg.AssetMaterialization("predictions", partition=receipt.slate, metadata=metadata)
            )
    return home


@pytest.fixture
def old(old_home: Path, tmp_path: Path):
    home = tmp_path / "home"
    shutil.copytree(old_home, home)
    settings = load_settings(home=home)
    with open_instance(settings, capture_output=False) as instance:
        yield SlateRun(settings, instance)


def quickest_tick(run: SlateRun, name: str, cursor: str | None = None) -> float:
    """Return the seconds that a sensor's tick takes at best: of up to three, on a machine that others use too."""
    taken = []
    while len(taken) < 3 and (not taken or min(taken) >= LONGEST_TICK_SECONDS):
        started = time.perf_counter()
        tick(run, name, cursor)
        taken.append(time.perf_counter() - started)
    return min(taken)


def sensors(run: SlateRun) -> list[str]:
    return [sensor.name for sensor in run._defs.get_repository_def().sensor_defs]


def test_every_sensor_s_tick_takes_less_than_a_tenth_of_its_time_limit(old):
    assert len(old._instance.get_dynamic_partitions("slate_players")) == SLATES * PLAYERS_A_SLATE == 100_000
    today = datetime.now(UTC).date()
    games = [
        {
            "league": NBA_LEAGUE, "season_id": 22025, "game_id": f"0029{n:06}", "game_date": today - timedelta(days=n),
            "home_team": "BOS", "away_team": "NYK", "team_a": "BOS", "team_b": "NYK",
        }
        for n in range(2_000)
    ]  # fmt: skip
    old.stores.warehouse.upsert(SCHEDULE, SCHEDULE.arrow_table(games))
    taken = {}

    def measure(when: str) -> None:
        for name in sensors(old):
            taken[f"{name}, {when}"] = quickest_tick(old, name)

    measure("nothing open")
    old.roster(SIMULATED)
    old.features(SIMULATED)
    measure("to be staged")
    assert requested(tick(old, "staging_sensor"))
    old.stage(SIMULATED)
    measure("to be merged")
    assert requested(tick(old, "consolidation_sensor"))
    assert old.consolidate(SIMULATED).rows == PLAYERS * 25
    measure("to be announced")
    assert {what: seconds for what, seconds in taken.items() if seconds >= LONGEST_TICK_SECONDS} == {}


def test_pruning_works_in_slices_until_no_old_key_is_left(old, monkeypatch):
    instance, file = old._instance, old._settings.home / "state.sqlite"
    history = History(
        old.stores.warehouse, SqliteBatchState(file), SqliteDeadLetters(file), SqliteOutbox(file),
        SqliteAlertStore(file), datetime.now(UTC),
    )  # fmt: skip

    def sliced(limit=200):
        monkeypatch.setattr("prediction_assets.orchestration.pruning.KEYS_PER_SLICE", limit)
        return next_slice(instance, history, 400)

    for n in range(1, 3):
        chosen = sliced()
        assert list(chosen.keys) == OLD[4 * (n - 1) : 4 * n]
        assert (chosen.key_count, chosen.later) == (4 * 41, SLATES - 4 * n)
        delete(instance, chosen)
        assert len(instance.get_dynamic_partitions("slate_players")) == 40 * (SLATES - 4 * n)
    # The rest goes quickly here, as one slice: what is chosen is whatever is left, and nothing else.
    rest = sliced(200_000)
    assert (list(rest.keys), rest.kept, rest.later) == (OLD[8:], {}, 0)
