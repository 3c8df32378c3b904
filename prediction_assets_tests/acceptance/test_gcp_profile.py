"""The same assets on the gcp profile: real clients, the three emulators."""

from __future__ import annotations

import shutil
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import dagster as dg
import pytest

from prediction_assets import cli
from prediction_assets.errors import BadInput
from prediction_assets.orchestration.build import build_defs
from prediction_assets.orchestration.instance import open_instance
from prediction_assets.orchestration.slate_run import SlateRun
from prediction_assets.settings import Settings, load_settings
from prediction_assets.simulation import league
from prediction_assets.stores.gcp.stores import GcpStores
from prediction_assets.stores.protocols import Warehouse
from prediction_assets.stores.sql.tables import POINTS_MODELS
from prediction_assets_tests.board_reader import ReadBoard
from prediction_assets_tests.contract.warehouse.conftest import bigquery_endpoint
from prediction_assets_tests.emulator_fixtures import firestore_emulator, pubsub_emulator
from prediction_assets_tests.homes import FACTS, SIMULATED, TEAMS, opened

__all__ = ["bigquery_endpoint", "firestore_emulator", "pubsub_emulator"]  # fixtures

VALUES = (
    "game_date, game_id, player_id, system, line, league, player_slug, player_name, team, opponent, is_home, "
    "predicted_points, standard_deviation, probability_over, probability_push, recommendation, confidence, "
    "line_source, line_offset, bookmaker, market_probability, consensus_probability, bet_side, bet_bookmaker, "
    "bet_price, bet_odds, fair_odds, edge, expected_value, quantiles, contributions, system_version, feature_snapshot, "
    "schema_version, content_hash, is_active"
)


@pytest.fixture(scope="module")
def gcp_environment(
    bigquery_endpoint: str,
    firestore_emulator: str,
    pubsub_emulator: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, str]:
    """The gcp profile in a project of the module's own, as a user would export it."""
    return {
        "FIRESTORE_EMULATOR_HOST": firestore_emulator,
        "PUBSUB_EMULATOR_HOST": pubsub_emulator,
        "PREDICTION_ASSETS_PROFILE": "gcp",
        "PREDICTION_ASSETS_GCP_PROJECT": f"test-{uuid.uuid4().hex[:16]}",
        "PREDICTION_ASSETS_BIGQUERY_ENDPOINT": bigquery_endpoint,
        "PREDICTION_ASSETS_HOME": str(tmp_path_factory.mktemp("gcp") / "home"),
    }


@pytest.fixture(scope="module")
def gcp_settings(gcp_environment: dict[str, str]) -> Iterator[Settings]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in gcp_environment.items():
            patch.setenv(name, value)
        patch.setattr(league, "_TEAMS", TEAMS)
        yield load_settings()


@pytest.fixture(scope="module")
def open_run() -> Iterator[Callable[[Settings], SlateRun]]:
    """Opens homes, and closes them when the module is done."""
    with ExitStack() as stack:
        yield lambda settings: SlateRun(
            settings, stack.enter_context(open_instance(settings, capture_output=False))
        )


@pytest.fixture(scope="module")
def gcp(gcp_settings: Settings, open_run: Callable[[Settings], SlateRun]) -> SlateRun:
    GcpStores(gcp_settings).set_up_messaging()
    return open_run(gcp_settings)


@pytest.fixture(scope="module")
def announced(gcp: SlateRun, ingested_home: Path, tmp_path_factory: pytest.TempPathFactory) -> SlateRun:
    """Return a slate that went all the way on the emulators, with the model of the session's homes."""
    home = tmp_path_factory.mktemp("trained") / "home"
    shutil.copytree(ingested_home, home)
    with opened(home, profile="local") as run:
        models = run.stores.warehouse.query(f"SELECT * FROM {POINTS_MODELS.qualified_name}")
    gcp.ingest(FACTS)
    gcp.stores.warehouse.upsert(POINTS_MODELS, models.cast(POINTS_MODELS.arrow_schema))
    assert gcp.whole(SIMULATED).receipt.status == "success"
    return gcp


def rows(warehouse: Warehouse, slate: str) -> list[dict[str, object]]:
    found = warehouse.query(
        f"SELECT {VALUES} FROM predictions.player_prop_predictions WHERE game_date = CAST($slate AS DATE) "
        "ORDER BY player_id, system, line, is_active",
        {"slate": slate},
    )
    return found.to_pylist()


def test_a_slate_on_gcp_leaves_the_same_rows_and_the_same_message_as_on_the_local_profile(
    announced, finished
):
    assert rows(announced.stores.warehouse, SIMULATED) == rows(finished.stores.warehouse, SIMULATED)
    messages, others = (run.stores.outbox.entries(SIMULATED) for run in (announced, finished))
    assert [e.message_id for e in messages] == [e.message_id for e in others]
    assert dict(announced.stores.warehouse.parts.staged(SIMULATED)) == {}
    pages = [run._settings.board_file(SIMULATED).read_text("utf-8") for run in (announced, finished)]
    assert ReadBoard(pages[0]).tables["players"] == ReadBoard(pages[1]).tables["players"]


def test_a_missing_project_names_the_setting(monkeypatch):
    monkeypatch.setenv("PREDICTION_ASSETS_PROFILE", "gcp")
    with pytest.raises(BadInput, match="PREDICTION_ASSETS_GCP_PROJECT"):
        load_settings()


def test_a_store_that_does_not_answer_is_one_line_and_exit_2(monkeypatch, tmp_path, capsys):
    for name, value in {
        "FIRESTORE_EMULATOR_HOST": "127.0.0.1:1",
        "PUBSUB_EMULATOR_HOST": "127.0.0.1:1",
        "PREDICTION_ASSETS_PROFILE": "gcp",
        "PREDICTION_ASSETS_GCP_PROJECT": "nowhere",
        "PREDICTION_ASSETS_BIGQUERY_ENDPOINT": "http://127.0.0.1:1",
        "PREDICTION_ASSETS_CALL_TIMEOUT": "1",
        "PREDICTION_ASSETS_HOME": str(tmp_path),
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["prediction-assets", "status"])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    error = capsys.readouterr().err
    assert stopped.value.code == 2
    assert error.count("\n") == 1
    assert "PREDICTION_ASSETS_BIGQUERY_ENDPOINT" in error


def test_the_gcp_location_loads_without_a_network_and_names_its_stores(monkeypatch, tmp_path):
    settings = load_settings(profile="gcp", gcp_project="p", home=tmp_path)
    definitions = build_defs(settings)
    dg.Definitions.validate_loadable(definitions)
    graph = definitions.resolve_asset_graph()
    staged = graph.get(dg.AssetKey("staged_predictions"))
    assert staged.backfill_policy == dg.BackfillPolicy.multi_run(50)
    assert "dagster/kind/bigquery" in graph.get(dg.AssetKey("predictions")).tags
    assert list(tmp_path.iterdir()) == []
