"""Real games through the assets. Skipped where the data isn't; none of it is in the repository."""

from __future__ import annotations

import pytest

from prediction_assets.orchestration.instance import open_instance
from prediction_assets.orchestration.slate_run import SlateRun
from prediction_assets.settings import load_settings
from prediction_assets_tests.made_up import ROWS_PER_PLAYER
from prediction_assets_tests.real_data import REAL_DATA, WITHOUT_REAL_DATA

FILES = {
    "game_logs": "player_game_logs_2023_25.parquet",
    "prop_lines": "prop_lines_2024_25.csv.gz",
    "schedule": "schedule_2023_25.csv",
}

pytestmark = pytest.mark.skipif(not REAL_DATA.is_dir(), reason=WITHOUT_REAL_DATA)


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    settings = load_settings(home=tmp_path_factory.mktemp("real"))
    with open_instance(settings, capture_output=False) as instance:
        run = SlateRun(settings, instance)
        ingested = run.ingest({name: {"path": str(REAL_DATA / file)} for name, file in FILES.items()})
        assert ingested["prop_lines"]["unresolved_names"] == 0
        run.train(league="NBA", cutoff="2024-10-22")  # or each slate would fit its own
        yield run


def go_all_the_way(real: SlateRun, slate: str, games: int) -> None:
    result = real.whole(slate)
    receipt, batch = result.receipt, result.progress.batch
    assert (batch.games, result.progress.unsettled, receipt.status) == (games, (), "success")
    assert 14 * games <= len(batch.expected) <= 24 * games
    assert receipt.rows == receipt.rows_staged == receipt.staged_players * ROWS_PER_PLAYER
    assert receipt.rows_staged == receipt.rows_inserted + receipt.rows_updated + receipt.rows_unchanged
    assert dict(real.stores.warehouse.parts.staged(slate)) == {}
    assert len(real.stores.outbox.entries(slate)) == 1


def test_a_real_slate_goes_all_the_way(real):
    go_all_the_way(real, "2025-01-10", games=7)


def test_a_real_day_without_games_rests(real):
    result = real.whole("2024-11-28")  # Thanksgiving
    assert (result.progress.batch.games, result.receipt, result.entry) == (0, None, None)


def test_no_forecast_of_a_real_star_is_absurd(real):
    if real.stores.batch_state.progress("2025-01-10") is None:
        real.whole("2025-01-10")
    rows = real.stores.warehouse.query(
        "SELECT DISTINCT predicted_points FROM predictions.player_prop_predictions "
        "WHERE player_slug = 'nikola-jokic' AND game_date = DATE '2025-01-10' AND is_active"
    )["predicted_points"].to_pylist()
    assert all(22 <= points <= 38 for points in rows)
