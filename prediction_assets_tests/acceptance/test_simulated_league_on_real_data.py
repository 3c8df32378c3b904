"""The figures and names that the simulated league is held to, beside the real seasons."""

from __future__ import annotations

import duckdb
import pyarrow.compute as pc
import pytest

from prediction_assets.simulation.league import simulate_league
from prediction_assets.slate.keys import slugify
from prediction_assets_tests.contract.simulation.test_shape import SHAPES, measure
from prediction_assets_tests.real_data import REAL_DATA, WITHOUT_REAL_DATA

REAL = """
    SELECT PLAYER_ID AS player_id, TEAM_ID AS team_id, GAME_ID AS game_id, GAME_DATE::DATE AS game_date,
           "MIN" AS minutes, PTS AS points, FGA AS shots, FG3A AS threes, FTA AS free_throws, FGM AS made,
           MATCHUP LIKE '%vs.%' AS is_home
    FROM read_parquet($file) WHERE SEASON_ID = 22024 AND GAME_DATE < '2025-01-15'
"""


@pytest.fixture(autouse=True)
def small_league() -> None:
    """The league has all its teams here."""


@pytest.fixture(scope="session")
def real_logs():
    """Return the files of real logs; skip where they aren't."""
    files = sorted(REAL_DATA.glob("player_game_logs_*.parquet"))
    if not files:
        pytest.skip(WITHOUT_REAL_DATA)
    return files


@pytest.fixture(scope="module")
def real(real_logs):
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TABLE logs AS {REAL}", {"file": str(real_logs[-1])})
        yield connection


@pytest.mark.parametrize(("query", "figure"), [s[1:3] for s in SHAPES], ids=[s[0] for s in SHAPES])
def test_the_figures_imitated_are_those_of_the_real_logs(real, query, figure):
    assert measure(real, query) == pytest.approx(figure, rel=0.01, abs=0.001)


def test_no_player_has_the_name_of_a_real_one(real_logs):
    with duckdb.connect() as connection:
        real = connection.execute(
            "SELECT DISTINCT PLAYER_NAME FROM read_parquet($files, union_by_name => true)",
            {"files": [str(file) for file in real_logs]},
        ).fetchall()
    real_slugs = {slugify(name) for (name,) in real}
    assert len(real_slugs) > 1_000
    for size in (40, 1000, 5000):
        invented = {
            slugify(name) for name in pc.unique(simulate_league(size).game_logs["player_name"]).to_pylist()
        }
        assert not invented & real_slugs
