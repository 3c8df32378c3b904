"""The made-up league of the forecasts' unit tests, for what asks DuckDB for features or fits models again and again."""

from prediction_assets_tests.unit.nba.forecasting.conftest import (
    fitted,
    helpers,
    league_facts,
    league_snapshot,
    model,
    past_snapshot,
    refitted,
)

__all__ = ["fitted", "helpers", "league_facts", "league_snapshot", "model", "past_snapshot", "refitted"]
