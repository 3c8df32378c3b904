"""Fixtures shared by the suite: a home in a temporary folder, the ports in it, and made-up players."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest

from prediction_assets.batch_state.port import Batch, Completion, ExpectedPlayer, Outcome, Progress
from prediction_assets.batch_state.sqlite import SqliteBatchState
from prediction_assets.instance import open_instance
from prediction_assets.settings import Settings, load_settings
from prediction_assets.slate_run import SlateRun
from prediction_assets.staging import row_content_hash
from prediction_assets.warehouse.duckdb import DuckDBWarehouse
from prediction_assets.warehouse.parquet import ParquetParts, ParquetSnapshots
from prediction_assets.warehouse.port import PartRef
from prediction_assets.warehouse.tables import PART_SCHEMA, PREDICTIONS_SCHEMA_VERSION
from prediction_assets_tests.homes import finished, finished_home, ingested, ingested_home, open_home

__all__ = [
    "finished",
    "finished_home",
    "ingested",
    "ingested_home",
    "open_home",
]  # fixtures of the whole suite

SLATE = "2026-01-02"
NOW = datetime(2026, 1, 2, 15, 0, tzinfo=UTC)
REAL_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


# Whole slates and emulators take seconds each; what needs one is slow without saying so in every test.
_SLOW_FIXTURES = {
    "ingested_home",
    "slate_run",
    "bigquery_endpoint",
    "firestore_emulator",
    "pubsub_emulator",
    "home",
}
_SLOW_KINDS = {"bigquery", "firestore", "pubsub"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what runs a slate or needs an emulator as slow."""
    for item in items:
        kinds = set(map(str, getattr(getattr(item, "callspec", None), "params", {}).values()))
        if _SLOW_FIXTURES & set(getattr(item, "fixturenames", ())) or _SLOW_KINDS & kinds:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the developer's own settings or Dagster instance."""
    import os

    for name in list(os.environ):
        if name.startswith("PREDICTION_ASSETS_") or name == "DAGSTER_HOME":
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _own_logging() -> Iterator[None]:
    """Whatever a test configures, the next one finds logging as it was."""
    root, made_by, disabled = logging.getLogger(), logging.getLoggerClass(), logging.root.manager.disable
    loggers = [root, *(logging.getLogger(name) for name in ("dagster", "dagster-webserver", "dagit"))]
    kept = [(each, type(each), each.level, list(each.handlers)) for each in loggers]
    yield
    logging.setLoggerClass(made_by)
    logging.disable(disabled)
    for each, kind, level, handlers in kept:
        each.__class__ = kind
        each.setLevel(level)
        each.handlers[:] = handlers


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(home=tmp_path / "home", lock_timeout_seconds=10.0)


@pytest.fixture
def warehouse(settings: Settings) -> DuckDBWarehouse:
    home = settings.home
    return DuckDBWarehouse(
        home / "warehouse.duckdb", ParquetParts(home / "staging"), ParquetSnapshots(home / "features"), 10.0
    )


@pytest.fixture
def batch_state(settings: Settings) -> SqliteBatchState:
    return SqliteBatchState(settings.home / "state.sqlite")


@pytest.fixture
def instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    with open_instance(settings) as opened:
        yield opened


@pytest.fixture
def slate_run(settings: Settings, instance: dg.DagsterInstance) -> SlateRun:
    return SlateRun(settings, instance)


def player(number: int, slug: str | None = None) -> ExpectedPlayer:
    """Return a made-up expected player."""
    return ExpectedPlayer(
        player_id=100 + number,
        slug=slug or f"player-{number}",
        name=f"Player {number}",
        team="S01",
        opponent="S02",
        is_home=True,
        game_id="9000000001",
    )


def batch(players: int = 3, slate: str = SLATE) -> Batch:
    """Return a made-up batch."""
    return Batch(
        slate=slate,
        batch_id=f"{slate}@test",
        league="simulated-3",
        games=1,
        opened_at=NOW,
        deadline=NOW + timedelta(minutes=30),
        expected=tuple(player(n) for n in range(1, players + 1)),
    )


def rows_of(
    who: ExpectedPlayer, lines: dict[str, float], slate: str = SLATE, snapshot: str = "snapshot1"
) -> pa.Table:
    """Return a made-up part: one row per line, with the points that the only system predicts."""
    made = []
    for line, points in lines.items():
        row = {
            "game_date": datetime.fromisoformat(slate).date(),
            "game_id": who.game_id,
            "player_id": who.player_id,
            "system": "ensemble",
            "line": Decimal(line).quantize(Decimal("0.01")),
            "league": "simulated-3",
            "player_slug": who.slug,
            "player_name": who.name,
            "team": who.team,
            "opponent": who.opponent,
            "is_home": who.is_home,
            "predicted_points": points,
            "standard_deviation": 6.0,
            "probability_over": 0.5,
            "probability_push": 0.0,
            "recommendation": "PASS",
            "confidence": 0.5,
            "line_source": "market",
            "line_offset": Decimal("0.00"),
            "bookmaker": "Simulated Book A",
            "system_version": "1",
            "feature_snapshot": snapshot,
            "schema_version": PREDICTIONS_SCHEMA_VERSION,
        }
        row["content_hash"] = row_content_hash(row)
        made.append(row)
    return pa.Table.from_pylist(made, schema=PART_SCHEMA)


def staged(part: PartRef, minutes: int = 1) -> Completion:
    """Return the completion of a written part."""
    return Completion(
        part.slate, part.player_slug, Outcome.STAGED, "run", NOW + timedelta(minutes=minutes), part=part
    )


def progress_of(opened: Batch, *completions: Completion) -> Progress:
    """Return a batch's progress with these outcomes."""
    return Progress(opened, {c.player_slug: c for c in completions}, "snapshot1")
