"""The systems: finite for everyone, deterministic, and blind to the future and to the other players."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from prediction_assets.nba.forecasting import matchup, rows, similarity
from prediction_assets.nba.forecasting.distribution import Distribution
from prediction_assets.nba.forecasting.ensemble import EnsembleMean, fit_weights
from prediction_assets.nba.forecasting.features import FEATURES_SCHEMA
from prediction_assets.nba.forecasting.minutes import Minutes, scoring_rate
from prediction_assets.nba.forecasting.moving_average import LEAGUE_POINTS, weighted_sum
from prediction_assets.nba.forecasting.rows import History, Rows
from prediction_assets.nba.forecasting.spread import Spread
from prediction_assets.nba.forecasting.systems import (
    BASE_SYSTEMS,
    NETWORK,
    SYSTEMS,
    Ensemble,
    Fitted,
    FittedSystem,
    MeanSystem,
)
from prediction_assets_tests.contract.nba.conftest import forecast, forecast_with

Snapshot = tuple[pa.Table, pa.Table]
Systems = dict[str, FittedSystem]


def same(one: dict[str, Distribution], other: dict[str, Distribution]) -> bool:
    """Tell whether two forecasts agree in every bit."""
    return one.keys() == other.keys() and all(
        np.array_equal(one[name].mean, other[name].mean)
        and np.array_equal(one[name].standard_deviation, other[name].standard_deviation)
        for name in one
    )


def assert_sound(forecasts: dict[str, Distribution], rows_expected: int) -> None:
    assert list(forecasts) == [system.name for system in SYSTEMS]
    for name, distribution in forecasts.items():
        for values in (distribution.mean, distribution.standard_deviation):
            assert values.shape == (rows_expected,), name
            assert values.dtype == np.float64, name
            assert np.isfinite(values).all(), name
            assert (values > 0).all(), name


@pytest.mark.parametrize(
    ("recent", "this_season", "total", "weight"),
    [
        ([30, 20, 10], 3, 30 + 20 / 2 + 10 / 4, 1.75),
        ([30, 20, 10], 25, 30 + 20 / 2 + 10 / 4, 1.75),
        # The games of the season before count alike, and half of what they would: (1/2 + 1/4) / 2 for their mean of 15.
        ([30, 20, 10], 1, 30 + 0.375 * 15, 1.375),
        ([30, 20, 10], 0, 0.875 * 20, 0.875),
        ([30], 0, 0.5 * 30, 0.5),
        ([], 0, 0.0, 0.0),
    ],
)
def test_games_before_a_summer_count_alike_and_half(
    league_snapshot: Snapshot, recent: list[int], this_season: int, total: float, weight: float
) -> None:
    row = {
        **league_snapshot[1].slice(0, 1).to_pylist()[0],
        "recent_points": recent,
        "games_season": this_season,
    }
    rows = Rows(pa.Table.from_pylist([row], FEATURES_SCHEMA))
    found = [float(each[0]) for each in weighted_sum(rows, "recent_points", 1.0)]
    assert found == pytest.approx([total, weight])


def test_there_are_five_systems_with_names_and_versions() -> None:
    assert [system.name for system in SYSTEMS] == [
        "moving_average", "matchup", "similarity", "gradient_boosting", "ensemble",
    ]  # fmt: skip
    assert all(system.version for system in SYSTEMS)


def test_a_player_s_forecast_doesn_t_depend_on_who_else_is_asked_for(
    league_snapshot: Snapshot, fitted: Systems
) -> None:
    players = league_snapshot[1]
    together = forecast_with(fitted, players)
    for row in range(0, players.num_rows, 2):
        alone = forecast_with(fitted, players.slice(row, 1))
        assert same(alone, {n: Distribution(d.mean[row : row + 1], d.standard_deviation[row : row + 1])
                            for n, d in together.items()})  # fmt: skip


def test_the_order_of_the_rows_doesn_t_matter(
    league_snapshot: Snapshot, fitted: Systems, refitted: Systems
) -> None:
    players = league_snapshot[1]
    order = np.random.default_rng(1).permutation(players.num_rows)
    again = forecast_with(refitted, players.take(pa.array(order)))
    back = np.argsort(order)
    restored = {n: Distribution(d.mean[back], d.standard_deviation[back]) for n, d in again.items()}
    assert same(restored, forecast_with(fitted, players))


@pytest.mark.parametrize("training_rows", [0, 1, 30, 399, 400, 1_500])
def test_any_number_of_training_rows_gives_sound_forecasts(
    league_snapshot: Snapshot, training_rows: int
) -> None:
    history, players = league_snapshot
    assert_sound(forecast(players, history.slice(history.num_rows - training_rows)), players.num_rows)


def test_no_players_give_no_forecasts(league_snapshot: Snapshot, fitted: Systems) -> None:
    assert_sound(forecast_with(fitted, league_snapshot[1].slice(0, 0)), 0)


def changed(table: pa.Table, **columns: object) -> pa.Table:
    """Return the table with every value of these columns replaced."""
    for name, value in columns.items():
        field = FEATURES_SCHEMA.field(name)
        table = table.set_column(
            table.column_names.index(name), field, pa.array([value] * table.num_rows, field.type)
        )
    return table


ONE_GAME = {
    "games_last_25": 1, "recent_points": [31], "recent_minutes": [0], "points_last_1": 31.0, "minutes_last_1": 0.0,
    "points_season": None, "minutes_season": None, "games_season": 0, "points_previous_season": None,
    "minutes_previous_season": None, "games_previous_season": None, "points_per_minute_last_10": None,
    "points_per_minute_season": None, "points_deviation_last_10": None, "points_deviation_last_20": None,
    "minutes_deviation_last_10": None, "team_rest_days": None, "rest_days": 300,
}  # fmt: skip

NOTHING = {
    name: [] if pa.types.is_list(FEATURES_SCHEMA.field(name).type) else None
    for name in FEATURES_SCHEMA.names[FEATURES_SCHEMA.names.index("games_last_25") :]
}


@pytest.mark.parametrize(
    "values",
    [
        ONE_GAME,
        NOTHING,
        {"recent_points": [0] * 25, "recent_minutes": [0] * 25, "points_season": 0.0, "minutes_season": 0.0,
         "points_deviation_last_20": 0.0},
        {"recent_points": [70] * 25, "recent_minutes": [48] * 25, "points_season": 70.0, "points_last_10": 70.0},
        {"opponent_defence": 0.0, "opponent_pace_last_15": 0.0, "league_pace": 0.0, "league_points": 0.0},
    ],
    ids=["one game of 0 minutes", "nothing known", "never scores", "always scores 70", "opponent unknown"],
)  # fmt: skip
def test_odd_players_get_sound_forecasts_with_and_without_a_history(
    league_snapshot: Snapshot, fitted: Systems, values: dict[str, object]
) -> None:
    odd = changed(league_snapshot[1].slice(0, 3), **values)
    assert_sound(forecast_with(fitted, odd), 3)
    assert_sound(forecast(odd, league_snapshot[0].slice(0, 0)), 3)


def test_without_any_history_the_forecast_is_the_league_s_prior(league_snapshot: Snapshot) -> None:
    unknown = changed(league_snapshot[1].slice(0, 1), **NOTHING)
    for name, distribution in forecast(unknown, league_snapshot[0].slice(0, 0)).items():
        assert distribution.mean[0] == pytest.approx(LEAGUE_POINTS, rel=0.1), name


@pytest.fixture(scope="module", params=[0, 12])
def forecast_without_variation(
    request: pytest.FixtureRequest, league_snapshot: Snapshot
) -> dict[str, Distribution]:
    """Return the forecasts that are learnt from a league where every player always scores the same."""
    (history, players), points = league_snapshot, request.param
    season = {
        "points_season": float(points),
        "points_last_10": float(points),
        "points_deviation_last_20": 0.0,
    }
    constant = changed(history, points=points, recent_points=[points] * 25, **season)
    return forecast(players, constant)


def test_histories_without_variation_give_sound_forecasts(
    league_snapshot: Snapshot, forecast_without_variation: dict[str, Distribution]
) -> None:
    assert_sound(forecast_without_variation, league_snapshot[1].num_rows)


def assert_never_lower(forecasts: Sequence[Distribution], name: str) -> None:
    for before, after in itertools.pairwise(forecasts):
        assert (after.mean >= before.mean - 1e-9).all(), name
        assert (after.median >= before.median - 1e-9).all(), name


def test_a_weaker_defence_never_lowers_a_forecast(league_snapshot: Snapshot, fitted: Systems) -> None:
    players = [
        changed(league_snapshot[1], opponent_defence=d) for d in (0.5, 0.8, 0.99, 1.0, 1.03, 1.25, 1.6)
    ]
    unfitted = Fitted(matchup.Matchup(), Spread())
    for name, system in {**fitted, "matchup without a fit": unfitted}.items():
        assert_never_lower([system.predict(Rows(these)) for these in players], name)


@dataclass(frozen=True, eq=False)
class MoreMinutes(Minutes):
    """The fitted minutes, times a factor."""

    usual: Minutes = field(default_factory=Minutes)
    factor: float = 1.0

    def __call__(self, rows: Rows) -> np.ndarray:
        return self.factor * self.usual(rows)


def playing(system: Any, factor: float) -> Any:
    """Return a fitted mean that expects everybody to play that much longer, at the same rate."""
    if isinstance(system, EnsembleMean):
        return replace(system, members=tuple(playing(member, factor) for member in system.members))
    if isinstance(system, similarity.Similarity):
        return replace(system, matchup=playing(system.matchup, factor))
    if isinstance(system, matchup.Matchup):
        return replace(system, minutes=MoreMinutes(None, system.minutes, factor))
    return system


def test_more_minutes_never_lower_a_forecast(league_snapshot: Snapshot, fitted: Systems) -> None:
    for name, system in fitted.items():
        assert isinstance(system, Fitted)
        played = [
            Fitted(playing(system.mean, m), system.spread) for m in (0.2, 0.7, 0.98, 1.0, 1.01, 1.4, 2.0)
        ]
        assert_never_lower([each.predict(Rows(league_snapshot[1])) for each in played], name)
    twice = playing(fitted["matchup"].mean, 2.0)(Rows(league_snapshot[1]))  # type: ignore[attr-defined]
    assert (twice > fitted["matchup"].mean(Rows(league_snapshot[1]))).all()  # type: ignore[attr-defined]


def test_a_league_where_good_defences_concede_more_doesn_t_turn_the_matchup_around(
    league_snapshot: Snapshot,
) -> None:
    history = league_snapshot[0]
    points = history["points"].to_numpy() * np.where(history["opponent_defence"].to_numpy() > 1, 0.5, 1.5)
    perverse = history.set_column(
        history.column_names.index("points"), "points", pa.array(points.astype(np.int64))
    )
    assert matchup.fit_mean(History(perverse)).exponents[0] == 0.0


def history_with(history: pa.Table, points_from: date) -> History:
    """Return the history with 60 points for everybody from a day on."""
    days = np.array(history["game_date"].to_pylist())
    points = np.where(days >= points_from, 60, history["points"].to_numpy())
    return History(history.set_column(history.column_names.index("points"), "points", pa.array(points)))


def test_the_holdout_is_the_tail_of_the_history(league_snapshot: Snapshot) -> None:
    history = History(league_snapshot[0])
    assert history.holdout is not None
    before, held_out = history.holdout
    assert max(before.table["game_date"].to_pylist()) < min(held_out.table["game_date"].to_pylist())
    assert len(before) >= rows.MINIMUM_TRAINING_ROWS
    assert np.array_equal(before["points"], History(before.table)["points"])
    assert np.array_equal(held_out["recent_points"], Rows(held_out.table)["recent_points"], equal_nan=True)


@pytest.fixture(scope="module", params=[*BASE_SYSTEMS, NETWORK], ids=lambda system: system.name)
def out_of_sample_twice(request: pytest.FixtureRequest, league_snapshot: Snapshot) -> tuple[Any, Any]:
    """Return a system's forecasts of the holdout, from the history as it is and with other points in the holdout."""
    history, system = History(league_snapshot[0]), request.param
    assert history.holdout is not None
    first_held_out = min(history.holdout[1].table["game_date"].to_pylist())
    return system.out_of_sample(history), system.out_of_sample(
        history_with(league_snapshot[0], first_held_out)
    )


def test_a_fit_never_sees_the_holdout(out_of_sample_twice: tuple[Any, Any]) -> None:
    here, there = out_of_sample_twice
    assert here is not None
    assert there is not None
    assert np.array_equal(here[0], there[0])


def test_the_ensemble_leans_to_the_member_that_was_right_and_its_weights_add_up_to_one() -> None:
    draw = np.random.default_rng(3)
    truth = draw.gamma(4, 4, 2_000)
    good, bad = truth + draw.normal(0, 2, 2_000), truth + draw.normal(0, 9, 2_000)
    weights = fit_weights(np.column_stack([bad, good, bad]), truth)
    assert weights[1] > 0.9
    assert sum(weights) == pytest.approx(1.0)
    assert all(weight >= 0 for weight in weights)
    assert fit_weights(np.column_stack([good, good]), truth) == pytest.approx((0.5, 0.5))


def test_with_too_little_history_the_ensemble_is_the_plain_mean(league_snapshot: Snapshot) -> None:
    history, players = league_snapshot
    short = history.slice(history.num_rows - 900)
    forecasts = forecast(players, short)
    members = [forecasts[system.name].mean for system in BASE_SYSTEMS]
    members.append(NETWORK.fit(History(short)).predict(Rows(players)).mean)
    assert forecasts["ensemble"].mean == pytest.approx(np.mean(members, axis=0), abs=0.05)


def test_a_new_system_is_one_function_and_one_registration(league_snapshot: Snapshot) -> None:
    def fit_mean(history: History) -> EnsembleMean:
        level = float(history["points"].mean())
        return EnsembleMean((lambda these: np.full(len(these), level),), (1.0,))

    quick = [system for system in BASE_SYSTEMS if system.name != "gradient_boosting"]
    members = (*quick, MeanSystem("league_mean", "1", fit_mean))
    ensemble = Ensemble("ensemble", "1", members).fit(History(league_snapshot[0]))
    assert isinstance(ensemble, Fitted)
    assert isinstance(ensemble.mean, EnsembleMean)
    assert len(ensemble.mean.weights) == 4
    assert ensemble.mean.weights[3] < 0.01, "the league's mean is no forecast of a player"
    assert_sound(
        {**{s.name: ensemble.predict(Rows(league_snapshot[1])) for s in SYSTEMS}}, league_snapshot[1].num_rows
    )


def test_the_factor_of_a_single_game_is_bounded(league_snapshot: Snapshot) -> None:
    extreme = replace(matchup.Matchup(), exponents=(9.0, 9.0, 9.0, 9.0, 9.0))
    these = Rows(changed(league_snapshot[1], opponent_defence=1.5, is_home=True, home=1.0))
    base = extreme.minutes(these) * scoring_rate(these)
    assert extreme(these) == pytest.approx(base * matchup.FACTOR_BOUNDS[1])
