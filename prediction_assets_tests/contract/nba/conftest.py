"""The made-up league of the forecasts' unit tests, for what asks DuckDB for features again and again."""

from prediction_assets_tests.unit.nba.forecasting.conftest import (
    helpers,
    league_facts,
    league_snapshot,
    past_snapshot,
)

__all__ = ["helpers", "league_facts", "league_snapshot", "past_snapshot"]
