"""What the forecasting tests share: a made-up league in DuckDB, its features, and the real data where it is there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date, timedelta
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from prediction_assets.nba.forecasting.distribution import Distribution
from prediction_assets.nba.forecasting.features import conform, split_snapshot
from prediction_assets.nba.forecasting.features_sql import FEATURES_SQL
from prediction_assets.nba.forecasting.rows import Rows
from prediction_assets.nba.forecasting.systems import FittedSystem, fit_all
from prediction_assets.stores.sql.tables import GAME_LOGS, SCHEDULE
from prediction_assets_tests.real_data import REAL_DATA, WITHOUT_REAL_DATA

LEAGUE = "simulated-test"
SLATE = date(2025, 12, 20)
HISTORY_START = date(2024, 10, 1)

Snapshot = tuple[pa.Table, pa.Table]
Snapshots = Callable[..., Snapshot]

REAL_LOGS = """
SELECT
    'NBA' AS league, season_id AS season_id, game_id AS game_id, CAST(game_date AS DATE) AS game_date,
    player_id AS player_id, player_name AS player_name, team_id AS team_id,
    team_abbreviation AS team, team_name AS team_name,
    MAX(CASE WHEN team_abbreviation <> other THEN other END) OVER (PARTITION BY game_id, team_abbreviation)
        AS opponent,
    CASE WHEN MAX(matchup LIKE '%vs.%') OVER (PARTITION BY game_id) THEN matchup LIKE '%vs.%' END AS is_home,
    wl = 'W' AS is_win, "min" AS minutes, pts AS points, fgm AS field_goals_made, fga AS field_goals_attempted,
    fg3m AS three_pointers_made, fg3a AS three_pointers_attempted, ftm AS free_throws_made,
    fta AS free_throws_attempted, oreb AS offensive_rebounds, dreb AS defensive_rebounds, ast AS assists,
    stl AS steals, blk AS blocks, tov AS turnovers, pf AS personal_fouls, plus_minus AS plus_minus
FROM (
    SELECT *, UNNEST(STRING_SPLIT(REPLACE(matchup, ' vs. ', ' @ '), ' @ ')) AS other FROM read_parquet($path)
)
WHERE other <> team_abbreviation
"""


def game_log(**cells: Any) -> dict[str, Any]:
    """Return one row of ``facts.game_logs``; keywords replace cells, points decide the shots."""
    row = {
        "league": LEAGUE, "season_id": 22025, "game_id": "9022500001", "game_date": date(2025, 11, 1),
        "player_id": 1, "player_name": "Player 1", "team_id": 1, "team": "AAA", "team_name": "Team A",
        "opponent": "BBB", "is_home": True, "is_win": None, "minutes": 24, "points": 10,
        "three_pointers_made": 0, "three_pointers_attempted": 4, "free_throws_attempted": 3,
        "offensive_rebounds": 1, "defensive_rebounds": 3, "assists": 2, "steals": 1, "blocks": 0, "turnovers": 1,
        "personal_fouls": 2, "plus_minus": None,
    } | cells  # fmt: skip
    row.setdefault("field_goals_made", row["points"] // 2)
    row.setdefault("field_goals_attempted", row["points"] // 2 + 6)
    row.setdefault("free_throws_made", row["points"] % 2)
    return row


def scheduled(**cells: Any) -> dict[str, Any]:
    """Return one row of ``facts.schedule``: BBB at AAA on the slate unless said otherwise."""
    return {
        "league": LEAGUE, "season_id": 22025, "game_id": "9022599999", "game_date": SLATE,
        "home_team": "AAA", "away_team": "BBB", "team_a": "AAA", "team_b": "BBB",
    } | cells  # fmt: skip


def warehouse(
    logs: list[dict[str, Any]] | pa.Table, schedule: list[dict[str, Any]] | pa.Table
) -> duckdb.DuckDBPyConnection:
    """Return an in-memory DuckDB with the two fact tables."""
    connection = duckdb.connect()
    connection.execute("CREATE SCHEMA facts")
    for table, rows in ((GAME_LOGS, logs), (SCHEDULE, schedule)):
        arrow = rows if isinstance(rows, pa.Table) else pa.Table.from_pylist(rows, schema=table.arrow_schema)
        connection.register("incoming", arrow)
        connection.execute(f"CREATE TABLE {table.qualified_name} AS SELECT * FROM incoming")
        connection.unregister("incoming")
    return connection


def snapshot(
    connection: duckdb.DuckDBPyConnection,
    slate: date = SLATE,
    history_start: date = HISTORY_START,
    league: str = LEAGUE,
) -> Snapshot:
    """Return (history, players) of one slate."""
    parameters = {"slate": slate, "league": league, "history_start": history_start}
    return split_snapshot(connection.sql(FEATURES_SQL, params=parameters).to_arrow_table())


def made_up_league() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return logs and schedule of six teams of nine players over 55 game days of two seasons."""
    draw = np.random.default_rng(20251220)
    teams = ["AAA", "BBB", "CCC", "DDD", "EEE", "FFF"]
    level = {(team, n): 3.0 + 2.5 * n + draw.normal() for team in teams for n in range(9)}
    days = [(22024, date(2025, 1, 2) + timedelta(2 * n)) for n in range(30)]
    days += [(22025, date(2025, 10, 21) + timedelta(2 * n)) for n in range(25)]
    logs, schedule = [], []
    for number, (season, day) in enumerate([*days, (22025, SLATE)]):
        order = draw.permutation(teams)
        for pair in range(3):
            home, away = (str(team) for team in order[2 * pair : 2 * pair + 2])
            game_id = f"90{season % 100:02d}5{number:04d}{pair}"
            schedule.append(
                scheduled(
                    season_id=season, game_id=game_id, game_date=day,
                    home_team=home, away_team=away, team_a=min(home, away), team_b=max(home, away),
                )
            )  # fmt: skip
            if day == SLATE:
                continue
            for team, opponent in ((home, away), (away, home)):
                for n in range(9):
                    if draw.random() < 0.15:  # he doesn't play: no row
                        continue
                    minutes = int(draw.integers(8, 24) + 1.5 * n)
                    points = int(draw.negative_binomial(6, 6 / (6 + level[team, n])))
                    player_id = 100 * teams.index(team) + n + 1
                    logs.append(
                        game_log(
                            season_id=season, game_id=game_id, game_date=day, player_id=player_id,
                            player_name=f"Player {player_id}", team=team, opponent=opponent,
                            is_home=team == home, minutes=minutes, points=points,
                        )
                    )  # fmt: skip
    return logs, schedule


@pytest.fixture(scope="session")
def league_facts() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    return made_up_league()


@pytest.fixture(scope="session")
def league_snapshot(league_facts: tuple[list[dict[str, Any]], list[dict[str, Any]]]) -> Snapshot:
    """Return (history, players) of the made-up league's slate."""
    return snapshot(warehouse(*league_facts))


@pytest.fixture(scope="session")
def real_snapshots() -> Iterator[Snapshots]:
    """Return a function from a slate of 2024-25 to its real (history, players)."""
    logs, schedule = REAL_DATA / "player_game_logs_2023_25.parquet", REAL_DATA / "schedule_2023_25.csv"
    if not (logs.is_file() and schedule.is_file()):
        pytest.skip(WITHOUT_REAL_DATA)
    connection = duckdb.connect()
    connection.execute("CREATE SCHEMA facts")
    connection.execute(f"CREATE TABLE facts.game_logs AS {REAL_LOGS}", {"path": str(logs)})
    connection.execute(
        "CREATE TABLE facts.schedule AS SELECT 'NBA' AS league, * FROM read_csv($path)",
        {"path": str(schedule)},
    )
    known: dict[date, Snapshot] = {}

    def at(slate: date) -> Snapshot:
        if slate not in known:
            known[slate] = snapshot(connection, slate, date(2023, 10, 1), "NBA")
        return known[slate]

    yield at
    connection.close()


@pytest.fixture(scope="session")
def helpers() -> Mapping[str, Callable[..., Any]]:
    """Return the builders, for test modules to make facts of their own."""
    return {"game_log": game_log, "scheduled": scheduled, "warehouse": warehouse, "snapshot": snapshot}


def forecast_with(fitted: Mapping[str, FittedSystem], players: pa.Table) -> dict[str, Distribution]:
    """Return each fitted system's distributions for the players' rows, in their order."""
    rows = Rows(conform(players))
    return {name: system.predict(rows) for name, system in fitted.items()}


def forecast(players: pa.Table, history: pa.Table) -> dict[str, Distribution]:
    """Return every system's distributions for the players, learnt from the training rows."""
    return forecast_with(fit_all(history), players)
