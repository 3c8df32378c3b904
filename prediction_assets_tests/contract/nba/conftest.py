"""What the forecasting tests share: a made-up league in DuckDB's memory, its features, and a model of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest

from prediction_assets.nba.forecasting.distribution import Distribution
from prediction_assets.nba.forecasting.features import conform, split_snapshot
from prediction_assets.nba.forecasting.features_sql import FEATURES_SQL
from prediction_assets.nba.forecasting.model import Model, train
from prediction_assets.nba.forecasting.rows import Rows
from prediction_assets.nba.forecasting.systems import FittedSystem, fit_all
from prediction_assets.stores.sql.tables import GAME_LOGS, SCHEDULE

if TYPE_CHECKING:
    import duckdb

LEAGUE = "simulated-test"
SLATE = date(2025, 12, 20)
PAST = date(2025, 12, 6)
HISTORY_START = date(2024, 10, 1)

Snapshot = tuple[pa.Table, pa.Table]


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
    import duckdb  # not when tests are collected

    connection = duckdb.connect(config={"threads": 1})  # threads for rows this few only cost
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
    """Return logs and schedule of four teams of seven players over 75 game days: just enough for a holdout."""
    draw = np.random.default_rng(20251220)
    teams = ["AAA", "BBB", "CCC", "DDD"]
    level = {(team, n): 3.0 + 2.5 * n + draw.normal() for team in teams for n in range(7)}
    days = [(22024, date(2025, 1, 2) + timedelta(2 * n)) for n in range(50)]
    days += [(22025, date(2025, 10, 21) + timedelta(2 * n)) for n in range(25)]
    logs, schedule = [], []
    for number, (season, day) in enumerate([*days, (22025, SLATE)]):
        order = draw.permutation(teams)
        for pair in range(2):
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
                for n in range(7):
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


@pytest.fixture(scope="session", autouse=True)
def _libraries() -> None:
    """Import what takes a second before the first test, whose processor time is limited."""
    import duckdb  # noqa: F401
    import sklearn.ensemble  # noqa: F401


@pytest.fixture(scope="session")
def league_facts() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    return made_up_league()


@pytest.fixture(scope="session")
def league_snapshot(league_facts: tuple[list[dict[str, Any]], list[dict[str, Any]]]) -> Snapshot:
    """Return (history, players) of the made-up league's slate."""
    return snapshot(warehouse(*league_facts))


@pytest.fixture(scope="session")
def past_snapshot(league_facts: tuple[list[dict[str, Any]], list[dict[str, Any]]]) -> Snapshot:
    """Return (history, players) of the made-up league on an earlier game day, with all that is known today."""
    return snapshot(warehouse(*league_facts), PAST)


@pytest.fixture(scope="session")
def model(league_snapshot: Snapshot) -> Model:
    """Return the model of the made-up league."""
    return train(league_snapshot[0], LEAGUE, SLATE)


@pytest.fixture(scope="session")
def fitted(model: Model) -> Mapping[str, FittedSystem]:
    """Return every system, fitted on the made-up league."""
    return model.fitted


@pytest.fixture(scope="session")
def refitted(league_snapshot: Snapshot) -> Mapping[str, FittedSystem]:
    """Return every system, fitted on the same rows in another order."""
    history = league_snapshot[0]
    return fit_all(history.take(pa.array(np.random.default_rng(1).permutation(history.num_rows))))


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
