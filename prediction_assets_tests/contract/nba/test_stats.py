"""Further markets: the same systems with another count in the place of points, and sums of correlated parts."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from prediction_assets.errors import BadInput, TransientError
from prediction_assets.nba.forecasting.distribution import Distribution
from prediction_assets.nba.forecasting.features import FEATURES_SCHEMA, split_snapshot
from prediction_assets.nba.forecasting.features_sql import FEATURES_SQL
from prediction_assets.nba.forecasting.lines import MarketLine
from prediction_assets.nba.forecasting.model import train
from prediction_assets.nba.forecasting.model_document import pack, unpack
from prediction_assets.nba.forecasting.predictions import predict_slate
from prediction_assets.nba.forecasting.stats import (
    CORRELATIONS,
    STATS,
    features_sql,
    further_stats,
    of_stat,
    predictable,
    stats_in,
    total,
    with_stat,
)
from prediction_assets.nba.forecasting.systems import SYSTEMS, FittedSystem, key_of, system_versions
from prediction_assets.slate.markets import MARKETS, of_feed
from prediction_assets_tests.contract.nba.conftest import (
    HISTORY_START,
    LEAGUE,
    SLATE,
    made_up_league,
    warehouse,
)

Snapshot = tuple[pa.Table, pa.Table]
RA = "player_rebounds_assists"


@pytest.fixture(scope="module")
def snapshot() -> Snapshot:
    """Features of a league whose players have four points for each assist, as many as are counted as one."""
    logs, schedule = made_up_league()
    for log in logs:
        log["assists"] = log["points"] // 4
        log["points"] = 4 * log["assists"]
        log["defensive_rebounds"] = log["minutes"] // 6
    connection = warehouse(logs, schedule)
    parameters = {"slate": SLATE, "league": LEAGUE, "history_start": HISTORY_START}

    def read(sql: str) -> Snapshot:
        return split_snapshot(connection.sql(sql, params=parameters).to_arrow_table())

    history, players = read(FEATURES_SQL)
    for stat in ("rebounds", "assists"):
        counted = read(features_sql(stat))
        history, players = with_stat(history, stat, counted[0]), with_stat(players, stat, counted[1])
    return history, players


@pytest.fixture(scope="module")
def fitted(snapshot: Snapshot) -> dict[str, FittedSystem]:
    """Return a stored and read model of points and rebounds; assists are fitted on the same numbers as points."""
    history = snapshot[0]
    without = [name for name in history.column_names if not name.startswith("assists__")]
    model = train(history.select(without), LEAGUE, SLATE)
    assert model.systems == system_versions(["rebounds"])
    read = unpack(pack(model.fitted), "m")
    assert read.keys() == model.fitted.keys()
    return read | {key_of("assists", system.name): read[system.name] for system in SYSTEMS}


def rows_of(table: pa.Table, market: str) -> list[dict[str, Any]]:
    return [row for row in table.to_pylist() if row["market"] == market]


def test_a_stat_that_is_counted_like_points_has_the_features_of_points(snapshot: Snapshot) -> None:
    for table in snapshot:
        assert stats_in(table) == ("rebounds", "assists")
        points, rebounds = of_stat(table, "points"), of_stat(table, "rebounds")
        assert of_stat(table, "assists").equals(points)
        assert rebounds.schema == FEATURES_SCHEMA
        same = [n for n in FEATURES_SCHEMA.names if rebounds[n].equals(points[n])]
        assert {"minutes_last_5", "home", "attempts_per_minute_last_10", "opponent_pace_last_15"} <= {*same}
        assert not {"points_last_5", "recent_points", "lineup_last_1", "opponent_defence"} & {*same}


def test_features_of_other_rows_are_not_put_beside_each_other(snapshot: Snapshot) -> None:
    with pytest.raises(TransientError, match="game logs changed while the features of threes were read"):
        with_stat(snapshot[1], "threes", snapshot[1].slice(1))
    with pytest.raises(BadInput, match="has no features of threes; materialize player_features again"):
        of_stat(snapshot[1], "threes")


def test_a_market_is_forecast_as_points_are_and_its_rows_leave_those_of_points_alone(
    snapshot: Snapshot, fitted: dict[str, FittedSystem]
) -> None:
    players = snapshot[1]
    offers = {101: MarketLine(Decimal("3.5"), "Book A", -110, -110)}
    alone = predict_slate(players, fitted, {})
    rows = predict_slate(players, fitted, {}, further={"player_assists": offers, RA: {}})
    assert rows.slice(0, alone.num_rows).equals(alone)
    assert rows.num_rows == 3 * alone.num_rows == 3 * 25 * players.num_rows
    points, assists = alone.to_pylist(), rows_of(rows, "player_assists")
    for one, other in zip(points, assists, strict=True):
        assert other["predicted_points"] == pytest.approx(one["predicted_points"] / 4, abs=0.5001)
        assert other["predicted_points"] % 1 == 0
        assert one["standard_deviation"] == pytest.approx(4 * other["standard_deviation"], abs=3e-4)
    lined = [row for row in assists if row["player_id"] == 101]
    assert {row["line"] for row in lined} == {Decimal(n) + Decimal("0.5") for n in range(1, 6)}
    assert {row["bookmaker"] for row in lined} == {"Book A"}
    assert {row["line_source"] for row in rows_of(rows, RA)} == {"estimated"}


def test_a_sum_s_forecast_is_made_of_those_of_its_parts(
    snapshot: Snapshot, fitted: dict[str, FittedSystem]
) -> None:
    players = snapshot[1]
    further = {"player_rebounds": {}, "player_assists": {}, RA: {}}
    rows = predict_slate(players, fitted, {}, further=further)
    parts = zip(*(rows_of(rows, market) for market in further), strict=True)
    for rebounds, assists, both in parts:
        assert both["predicted_points"] == pytest.approx(
            rebounds["predicted_points"] + assists["predicted_points"], abs=1.5
        )
        deviations = rebounds["standard_deviation"], assists["standard_deviation"]
        assert max(deviations) < both["standard_deviation"] < sum(deviations)
        if both["contributions"]:
            assert sum(json.loads(both["contributions"]).values()) == pytest.approx(both["predicted_points"])


@pytest.mark.parametrize(
    ("stats", "deviations", "expected"),
    [
        (("points",), (6.0,), 36.0),
        (("points", "rebounds"), (3.0, 4.0), 9 + 16 + 24 * CORRELATIONS[frozenset({"points", "rebounds"})]),
        (
            ("points", "rebounds", "assists"),
            (1.0, 1.0, 1.0),
            3 + 2 * sum(CORRELATIONS.values()),
        ),
    ],
)
def test_the_variance_of_a_sum_is_that_of_correlated_parts(
    stats: tuple[str, ...], deviations: tuple[float, ...], expected: float
) -> None:
    forecasts = [Distribution(np.array([2.0]), np.array([deviation])) for deviation in deviations]
    found = total(stats, forecasts)
    assert found.mean[0] == 2.0 * len(stats)
    assert found.standard_deviation[0] ** 2 == pytest.approx(expected)


def test_every_market_adds_up_stats_that_are_counted_and_correlated() -> None:
    assert all(of_feed(name) == of_feed(f"{name}_alternate") == name for name in MARKETS)
    assert of_feed("player_blocks") is None
    for market in MARKETS.values():
        assert set(market.stats) <= STATS.keys()
        assert all(frozenset({a, b}) in CORRELATIONS for a in market.stats for b in market.stats if a != b)
        assert market.most_predicted > market.most


def test_a_table_says_which_markets_can_be_forecast_from_it(snapshot: Snapshot) -> None:
    assert further_stats(MARKETS) == ("rebounds", "assists", "threes")
    assert further_stats(["player_points"]) == ()
    assert predictable(reversed(MARKETS), snapshot[1]) == tuple(
        name for name in MARKETS if name not in ("player_points", "player_threes")
    )
