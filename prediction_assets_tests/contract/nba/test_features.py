"""The features: only the past is in them, and training and serving see the same numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
import sqlglot
from sqlglot import exp

from prediction_assets.errors import BadInput
from prediction_assets.nba.forecasting.features import (
    FEATURE_COLUMNS,
    FEATURES_SCHEMA,
    conform,
)
from prediction_assets.nba.forecasting.features_sql import FEATURES_SQL, of_players
from prediction_assets.nba.forecasting.stats import features_sql
from prediction_assets_tests.contract.nba.conftest import HISTORY_START, LEAGUE, PAST, SLATE, warehouse

Helpers = Mapping[str, Callable[..., Any]]
Facts = tuple[list[dict[str, Any]], list[dict[str, Any]]]
KEYS = ["game_date", "game_id", "player_id"]


def test_the_query_reads_the_same_in_bigquery() -> None:
    (bigquery,) = sqlglot.transpile(FEATURES_SQL, read="duckdb", write="bigquery")
    parsed = sqlglot.parse_one(bigquery, read="bigquery")
    assert {p.name for p in parsed.find_all(exp.Parameter)} == {"slate", "league", "history_start"}
    assert {t.sql() for t in parsed.find_all(exp.Table) if t.db} == {"facts.game_logs", "facts.schedule"}
    assert not list(parsed.find_all(exp.Anonymous)), "a function that sqlglot doesn't know isn't portable"


@pytest.mark.parametrize("games", [0, 1, 2])
@pytest.mark.parametrize("sql", [FEATURES_SQL, features_sql("rebounds")], ids=["points", "rebounds"])
def test_without_training_rows_a_slate_s_features_are_those_beside_them(
    league_facts: Facts, sql: str, games: int
) -> None:
    logs, schedule = league_facts
    tonight = [game for game in schedule if game["game_date"] == SLATE][:games]
    before = [game for game in schedule if game["game_date"] != SLATE]
    connection = warehouse(logs, before + tonight)
    asked = {"slate": SLATE, "league": LEAGUE}

    def players(sql: str, history_start: date, **more: list[int]) -> pa.Table:
        given = {**asked, "history_start": history_start, **more}
        found = connection.sql(sql, params=given).to_arrow_table()
        assert more.keys() != {"players"} or pc.all(found["is_slate"]).as_py() in (True, None)
        return found.filter(pc.field("is_slate"))

    whole = players(sql, HISTORY_START)
    assert whole.num_rows == 14 * games
    assert players(sql, SLATE).equals(whole)
    everybody = sorted({row["player_id"] for row in logs})
    for wanted in (everybody, everybody[::3], []):
        theirs = whole.filter(pc.is_in(whole["player_id"], pa.array(wanted, pa.int64())))
        assert players(of_players(sql), SLATE, players=wanted).equals(theirs.combine_chunks())


def test_game_logs_are_read_in_one_place_only() -> None:
    parsed = sqlglot.parse_one(FEATURES_SQL, read="duckdb")
    assert [t.name for t in parsed.find_all(exp.Table)].count("game_logs") == 1


def test_the_declared_columns_are_the_query_s_columns() -> None:
    parsed = sqlglot.parse_one(FEATURES_SQL, read="duckdb")
    assert parsed.named_selects == FEATURES_SCHEMA.names
    assert all(column.description for column in FEATURE_COLUMNS)


def test_no_feature_is_a_sum_of_fractions() -> None:
    parsed = sqlglot.parse_one(FEATURES_SQL, read="duckdb")
    summed = list(parsed.find_all(exp.Avg, exp.Sum, exp.Stddev, exp.StddevSamp, exp.Variance))
    assert len(summed) > 40
    fractions = [each for each in summed if not isinstance(each, exp.Sum)]
    fractions += [each for each in summed if any("." in one.name for one in each.find_all(exp.Literal))]
    # The division in `lineup` is rounded to whole thousandths before it is summed.
    fractions += [
        each
        for each in summed
        for one in each.find_all(exp.Div)
        if not isinstance(one.find_ancestor(exp.Round, exp.Sum), exp.Round)
    ]
    assert [each.sql() for each in fractions] == []


def test_absurd_games_on_the_slate_or_after_it_change_nothing(
    helpers: Helpers, league_facts: Facts, league_snapshot: tuple[pa.Table, pa.Table]
) -> None:
    logs, schedule = league_facts
    absurd = [
        helpers["game_log"](game_id=f"absurd{days}{team}", game_date=SLATE + timedelta(days), player_id=player,
                            team=team, opponent=opponent, points=999, minutes=99)
        for days in (0, 1, 30)
        for team, opponent, player in (("AAA", "BBB", 1), ("BBB", "AAA", 101))
    ]  # fmt: skip
    history, players = helpers["snapshot"](helpers["warehouse"](logs + absurd, schedule))
    assert history.equals(league_snapshot[0])
    assert players.equals(league_snapshot[1])


def test_a_past_slate_is_rebuilt_identically_after_later_games_are_known(
    helpers: Helpers, league_facts: Facts, past_snapshot: tuple[pa.Table, pa.Table]
) -> None:
    logs, schedule = league_facts
    known_then = [row for row in logs if row["game_date"] < PAST]
    then, now = helpers["snapshot"](helpers["warehouse"](known_then, schedule), PAST), past_snapshot
    assert then[1].num_rows > 0
    assert now[0].equals(then[0])
    assert now[1].equals(then[1])


def test_a_game_has_the_same_features_before_it_is_played_and_as_a_training_row(
    past_snapshot: tuple[pa.Table, pa.Table], league_snapshot: tuple[pa.Table, pa.Table]
) -> None:
    _, served = past_snapshot
    trained = league_snapshot[0].filter(pc.equal(league_snapshot[0]["game_date"], pa.scalar(PAST)))
    played = set(zip(trained["game_id"].to_pylist(), trained["player_id"].to_pylist(), strict=True))
    served = served.filter(
        pa.array(
            [
                k in played
                for k in zip(served["game_id"].to_pylist(), served["player_id"].to_pylist(), strict=True)
            ]
        )
    )
    features = [*KEYS, "season_id", "team", "opponent", "is_home", *(c.name for c in FEATURE_COLUMNS)]
    assert served.num_rows == trained.num_rows > 20
    assert served.select(features).equals(trained.select(features))


def test_features_are_what_a_reader_computes_by_hand(helpers: Helpers) -> None:
    game_log = helpers["game_log"]
    logs = [
        game_log(game_id="1", game_date=date(2025, 2, 1), season_id=22024, points=30, minutes=30),
        game_log(game_id="2", game_date=date(2025, 12, 12), points=10, minutes=20),
        game_log(game_id="3", game_date=date(2025, 12, 16), points=20, minutes=0),
        game_log(game_id="4", game_date=date(2025, 12, 19), points=12, minutes=28),
    ]
    logs += [
        game_log(
            **{**row, "player_id": 2, "team": "BBB", "opponent": "AAA", "points": 8, "field_goals_made": 4}
        )
        for row in logs
    ]
    history, players = helpers["snapshot"](helpers["warehouse"](logs, [helpers["scheduled"]()]))
    (row,) = [r for r in players.to_pylist() if r["player_id"] == 1]
    expected = {
        "is_slate": True, "game_id": "9022599999", "team": "AAA", "opponent": "BBB", "is_home": True, "home": 1.0,
        "points": None, "minutes": None, "games_last_25": 4,
        "points_last_1": 12.0, "points_last_3": 14.0, "points_last_5": 18.0,
        "points_season": 14.0, "games_season": 3, "minutes_season": 16.0, "points_previous_season": 30.0,
        "games_previous_season": 1, "rest_days": 1, "is_back_to_back": True, "games_last_7_days": 2,
        "points_per_minute_season": 42 / 48, "points_max_last_20": 30.0, "team_points_last_15": 18.0,
        "opponent_points_allowed_last_15": 18.0, "league_points": 13.0, "opponent_defence": 18 / 13,
    }  # fmt: skip
    assert {name: row[name] for name in expected} == pytest.approx(expected)
    assert (row["recent_points"], row["recent_minutes"]) == ([12, 20, 10, 30], [28, 0, 20, 30])
    assert sorted(set(history["game_id"].to_pylist())) == ["2", "3", "4"], (
        "a first game has no history to learn from"
    )


def test_the_candidates_are_the_latest_squads_of_the_slate_s_teams(helpers: Helpers) -> None:
    game_log = helpers["game_log"]
    logs = [
        game_log(game_id="1", player_id=1),
        game_log(game_id="1", player_id=2),
        game_log(
            game_id="2", player_id=2, team="CCC", opponent="DDD", game_date=date(2025, 12, 1)
        ),  # traded away
        game_log(game_id="3", player_id=3, team="CCC", opponent="DDD"),
        game_log(
            game_id="4", player_id=3, team="BBB", opponent="DDD", game_date=date(2025, 12, 2)
        ),  # traded in
        game_log(game_id="0", player_id=4, game_date=SLATE - timedelta(401), season_id=22024),  # gone
        game_log(game_id="00", player_id=5, game_date=SLATE - timedelta(400), season_id=22024),
        game_log(game_id="1", player_id=6, league="another league"),
    ]
    neutral = helpers["scheduled"](home_team=None, away_team=None)
    _, players = helpers["snapshot"](helpers["warehouse"](logs, [neutral]))
    assert [(r["player_id"], r["team"], r["opponent"]) for r in players.to_pylist()] == [
        (1, "AAA", "BBB"),
        (3, "BBB", "AAA"),
        (5, "AAA", "BBB"),
    ]
    assert players["is_home"].to_pylist() == [None] * 3
    assert players["home"].to_pylist() == [0.5] * 3


def test_a_date_without_games_has_no_candidates_but_a_history(helpers: Helpers, league_facts: Facts) -> None:
    history, players = helpers["snapshot"](helpers["warehouse"](*league_facts), SLATE + timedelta(1))
    assert players.num_rows == 0
    assert history.num_rows > 1_500


def test_only_training_rows_from_the_start_of_the_history_on_are_returned(
    helpers: Helpers, league_facts: Facts, league_snapshot: tuple[pa.Table, pa.Table]
) -> None:
    start = date(2025, 11, 1)
    history, players = helpers["snapshot"](helpers["warehouse"](*league_facts), SLATE, start)
    whole = league_snapshot[0]
    assert history.equals(whole.filter(pc.greater_equal(whole["game_date"], pa.scalar(start))))
    assert players.equals(league_snapshot[1])


def test_a_snapshot_without_a_feature_is_refused_by_name(league_snapshot: tuple[pa.Table, pa.Table]) -> None:
    with pytest.raises(BadInput, match="lacks rest_days"):
        conform(league_snapshot[0].drop_columns(["rest_days"]))
