"""Models, backtests and grades: point-in-time, repeatable, and the same on every warehouse.

What a rule of ``nba`` decides is shown in memory; BigQuery runs the whole path once, and must give identical rows.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from prediction_assets.errors import BadInput, PredictionAssetsError, ResultsMissing
from prediction_assets.nba import model_store
from prediction_assets.nba.backtest import BacktestOptions, run_backtest, slates_between
from prediction_assets.nba.forecast import AskedFeatures, pinned_model, slate_features
from prediction_assets.nba.forecasting.lines import MarketLine
from prediction_assets.nba.forecasting.predictions import predict_slate
from prediction_assets.nba.forecasting.promotion import Verdict
from prediction_assets.nba.forecasting.stats import further_stats
from prediction_assets.nba.forecasting.systems import SYSTEMS
from prediction_assets.nba.grades import BACKTEST, gradable, grade_published, steadiness, stored_grades
from prediction_assets.nba.model_store import (
    MODEL_ID,
    challenge,
    choose_model,
    load_model,
    read_features,
    slate_systems,
    train_model,
)
from prediction_assets.simulation.league import simulate_league
from prediction_assets.stores.protocols import Warehouse
from prediction_assets.stores.sql import queries
from prediction_assets.stores.sql.tables import GAME_LOGS, POINTS_MODELS, SCHEDULE
from prediction_assets_tests.contract.nba.conftest import LEAGUE, game_log, made_up_league
from prediction_assets_tests.in_memory import InMemoryWarehouse

pytestmark = pytest.mark.usefixtures("equal_rows_are_fitted_once")

CUTOFF = date(2025, 12, 1)
FIRST, LAST = date(2025, 12, 2), date(2025, 12, 6)
OPTIONS = BacktestOptions(model_history_days=700, history_days=700, least_value=0.02)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def filled(warehouse: Warehouse) -> Warehouse:
    logs, schedule = made_up_league()
    warehouse.upsert(GAME_LOGS, GAME_LOGS.arrow_table(logs))
    warehouse.upsert(SCHEDULE, SCHEDULE.arrow_table(schedule))
    return warehouse


@pytest.fixture(params=["in_memory"])
def facts(request: pytest.FixtureRequest) -> Warehouse:
    """A warehouse with the made-up league in it."""
    empty = (
        InMemoryWarehouse() if request.param == "in_memory" else request.getfixturevalue("open_bigquery")()
    )
    return filled(empty)


BIGQUERY_TOO = pytest.mark.parametrize("facts", ["in_memory", "bigquery"], indirect=True)


def promote(warehouse: Warehouse, row: Mapping[str, object]) -> None:
    """Put a model in force; the made-up league has nothing to learn, so its models lose their trials."""
    promoted = {**row, "is_promoted": True}
    warehouse.upsert(POINTS_MODELS, POINTS_MODELS.arrow_table([promoted]))


def test_a_promoted_model_serves_the_slates_from_its_cut_off_on_and_no_other(facts: Warehouse) -> None:
    row, trained = train_model(facts, LEAGUE, CUTOFF, 700, now=NOW)
    assert trained
    assert row["trained_at"] == NOW
    assert choose_model(facts, LEAGUE, FIRST) == ""
    promote(facts, row)
    assert choose_model(facts, LEAGUE, CUTOFF) == choose_model(facts, LEAGUE, FIRST) == row[MODEL_ID]
    assert choose_model(facts, LEAGUE, CUTOFF - timedelta(1)) == ""
    assert choose_model(facts, LEAGUE, CUTOFF + timedelta(401)) == ""
    assert choose_model(facts, "NBA", FIRST) == ""
    assert set(load_model(facts, str(row[MODEL_ID]))) >= {"ensemble", "matchup"}


def test_a_refused_model_serves_no_slate_and_its_verdict_is_kept(facts: Warehouse) -> None:
    row, trained = challenge(facts, LEAGUE, CUTOFF, 700, now=NOW)
    assert (trained, row["is_promoted"]) == (True, False)
    assert choose_model(facts, LEAGUE, FIRST) == ""
    verdict = json.loads(str(row["verdict"]))
    assert verdict["champion"] == ""
    assert verdict["since"] > row["newest_game"].isoformat()
    assert verdict["until"] < CUTOFF.isoformat()
    assert "ensemble: it doesn't beat a moving average" in verdict["problems"]
    (stored,) = facts.query(queries.NEWEST_MODELS).to_pylist()
    assert json.loads(stored["verdict"]) == verdict
    assert challenge(facts, LEAGUE, CUTOFF, 700, now=NOW + timedelta(1)) == (row, False)


def test_a_challenger_is_tried_against_the_model_in_force_and_again_only_against_another_one(
    facts: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    examined: list[tuple[str, str, str]] = []

    def examine(row: Any, champion: Any, systems: Any, trial: pa.Table, sides: Any) -> Verdict:
        first = min(trial["game_date"].to_pylist())
        assert row["newest_game"] < first
        examined.append((row[MODEL_ID], champion[MODEL_ID] if champion else "", sorted(systems or ())[:1]))
        problems = ("worse",) if row["cutoff"] == FIRST else ()
        return Verdict(examined[-1][1], first, None, 1, 1, problems)

    monkeypatch.setattr(model_store, "examine", examine)
    champion, _ = challenge(facts, LEAGUE, CUTOFF, 700, now=NOW)
    worse, _ = challenge(facts, LEAGUE, FIRST, 700, now=NOW)
    assert [choose_model(facts, LEAGUE, day) for day in (CUTOFF, FIRST, LAST)] == [champion[MODEL_ID]] * 3
    assert challenge(facts, LEAGUE, FIRST, 700, now=NOW)[1] is False
    assert examined == [
        (champion[MODEL_ID], "", []),
        (worse[MODEL_ID], champion[MODEL_ID], ["ensemble"]),
    ]
    # A champion that can't be read is in nobody's way.
    facts.upsert(
        POINTS_MODELS, POINTS_MODELS.arrow_table([{**champion, "document": "{}", "is_promoted": True}])
    )
    challenge(facts, LEAGUE, FIRST, 700, now=NOW)
    assert examined[2:] == [(worse[MODEL_ID], "", [])]
    # What other releases of the libraries have fitted is trained again.
    facts.upsert(POINTS_MODELS, POINTS_MODELS.arrow_table([{**worse, "libraries": '{"numpy": "1.0"}'}]))
    assert challenge(facts, LEAGUE, FIRST, 700, now=NOW)[1] is True


def test_games_from_the_cut_off_on_change_no_model_and_earlier_ones_make_another(facts: Warehouse) -> None:
    row, _ = train_model(facts, LEAGUE, CUTOFF, 700, now=NOW)
    absurd = [
        game_log(game_id=f"absurd{days}", game_date=CUTOFF + timedelta(days), points=99, minutes=48)
        for days in (0, 1)
    ]
    facts.upsert(GAME_LOGS, GAME_LOGS.arrow_table(absurd))
    again, trained = train_model(facts, LEAGUE, CUTOFF, 700, now=NOW)
    assert (again[MODEL_ID], trained) == (row[MODEL_ID], False)
    facts.upsert(
        GAME_LOGS, GAME_LOGS.arrow_table([game_log(game_id="early", game_date=CUTOFF - timedelta(1))])
    )
    other, trained = train_model(facts, LEAGUE, CUTOFF, 700, now=NOW)
    assert other[MODEL_ID] != row[MODEL_ID]
    assert trained


def test_what_was_fitted_on_a_slates_history_is_found_by_its_hash_and_serves_no_other_slate(
    facts: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kept() -> list[tuple[str, date, datetime]]:
        rows = facts.query(f"SELECT model_id, only_slate, trained_at FROM {POINTS_MODELS.qualified_name}")
        return [(row[MODEL_ID], row["only_slate"], row["trained_at"]) for row in rows.to_pylist()]

    def forecast(minutes: int) -> pa.Table:
        players, history = slate_features(facts, AskedFeatures(LEAGUE, FIRST, range(1, 1000), 60, ""))
        now = NOW + timedelta(minutes=minutes)
        snapshot_id = facts.snapshots.write(FIRST.isoformat(), players, history)
        fitted = slate_systems(facts, LEAGUE, FIRST, snapshot_id, now=now)
        return predict_slate(players, fitted, {})

    first = forecast(0)
    ((key, slate, moment),) = kept()
    assert (slate, moment) == (FIRST, NOW)
    with monkeypatch.context() as patch:
        patch.delattr(type(facts.snapshots), "history")  # what is kept is found without reading it
        assert forecast(1).equals(first)
    assert kept() == [(key, FIRST, NOW)]
    # Neither this slate nor a later one takes it for a trained model, and training on the same rows makes one.
    assert [choose_model(facts, LEAGUE, day) for day in (FIRST, LAST)] == ["", ""]
    row, trained = train_model(facts, LEAGUE, FIRST, 60, now=NOW)
    assert trained
    assert {name for name, _, _ in kept()} == {key, row[MODEL_ID]}
    # Another history is fitted again, and replaces what was kept of the slate.
    earlier = game_log(game_id="earlier", game_date=FIRST - timedelta(1), points=30, minutes=40)
    facts.upsert(GAME_LOGS, GAME_LOGS.arrow_table([earlier]))
    forecast(2)
    assert (key, FIRST, NOW) not in kept()
    assert [(slate, moment) for name, slate, moment in kept() if name != row[MODEL_ID]] == [
        (FIRST, NOW + timedelta(minutes=2))
    ]
    facts.upsert(POINTS_MODELS, damaged(facts, FIRST))
    assert forecast(3).equals(forecast(4))


def damaged(warehouse: Warehouse, slate: date) -> pa.Table:
    """Return what is kept of a slate with another document."""
    rows = warehouse.query(
        f"SELECT * FROM {POINTS_MODELS.qualified_name} WHERE only_slate = $slate", {"slate": slate}
    )
    return POINTS_MODELS.arrow_table([row | {"document": "{}"} for row in rows.to_pylist()])


class Counting:
    """A warehouse that counts its queries."""

    def __init__(self, inner: Warehouse) -> None:
        self._inner, self.queries = inner, 0

    def query(self, text: str, parameters: Mapping[str, Any] | None = None) -> pa.Table:
        self.queries += 1
        return self._inner.query(text, parameters)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def test_a_backtest_grades_every_slate_at_the_same_cost_and_neither_again_nor_later_games_change_a_grade(
    facts: Warehouse,
) -> None:
    counting, slates, seen = Counting(facts), [], []
    for slate in run_backtest(counting, FIRST, LAST, OPTIONS, write=True, now=lambda: NOW):  # type: ignore[arg-type]
        slates.append(slate)
        seen.append(counting.queries)
    steps = [later - earlier for earlier, later in itertools.pairwise(seen)]
    assert steps == [steps[0]] * 2
    assert steps[0] <= 6
    assert [s.slate for s in slates] == [day for _, day in slates_between(facts, FIRST, LAST)]
    assert len(slates) == 3
    assert len({s.model_id for s in slates}) == 1
    for slate in slates:
        by_system = {grade.system: grade for grade in slate.grades}
        assert {"ensemble", "market_aware", "season_mean", "last_5_mean", "last_game"} <= by_system.keys()
        assert by_system["ensemble"].players + by_system["ensemble"].voids == slate.expected > 20
    stored = stored_grades(facts, FIRST, LAST, BACKTEST)
    assert len(stored["ensemble"]) == 3
    absurd = game_log(game_id="absurd", game_date=LAST + timedelta(1), points=99, minutes=48)
    facts.upsert(GAME_LOGS, GAME_LOGS.arrow_table([absurd]))
    again = run_backtest(facts, FIRST, LAST, OPTIONS, write=False, now=lambda: NOW)
    assert [s.grades for s in again] == [s.grades for s in slates]


def test_bigquery_gives_identical_rows_with_a_model_and_without(
    facts: Warehouse, open_bigquery: Callable[[], Warehouse]
) -> None:
    warehouses = (facts, filled(open_bigquery()))
    for train, markets in ((False, ()), (True, ("player_assists", "player_points_assists"))):
        forecasts, stats = [], further_stats(markets)
        for opened in warehouses:
            chosen = ""
            if train:
                row, _ = train_model(opened, LEAGUE, CUTOFF, 60, now=NOW, stats=stats)
                promote(opened, row)
                chosen = choose_model(opened, LEAGUE, FIRST, stats)
                assert chosen == choose_model(opened, LEAGUE, FIRST) == row[MODEL_ID]
                assert choose_model(opened, LEAGUE, FIRST, ["rebounds"]) == ""
            features = slate_features(opened, AskedFeatures(LEAGUE, FIRST, range(1, 1000), 60, chosen, stats))
            snapshot_id = opened.snapshots.write(FIRST.isoformat(), *features)
            players = opened.snapshots.players(FIRST.isoformat(), snapshot_id)
            fitted = pinned_model(opened, players)
            assert (fitted is not None) is train
            fitted = fitted or slate_systems(opened, LEAGUE, FIRST, snapshot_id, now=NOW)
            further: dict[str, dict[int, MarketLine]] = {market: {} for market in markets}
            rows = predict_slate(players, fitted, {}, further=further)
            assert rows.num_rows == 25 * (1 + len(markets)) * players.num_rows
            forecasts.append((chosen, snapshot_id, rows))
        (one_model, one_snapshot, one), (other_model, other_snapshot, other) = forecasts
        assert (one_model, one_snapshot) == (other_model, other_snapshot)
        assert one.num_rows > 500
        assert one.equals(other)


def test_bigquery_divides_by_no_count_where_a_player_or_a_team_has_no_game_yet(
    open_bigquery: Callable[[], Warehouse],
) -> None:
    """The simulated league has players and teams whose first game of all is among the training rows."""
    league = simulate_league(2)
    found = []
    for opened in (InMemoryWarehouse(), open_bigquery()):
        opened.upsert(GAME_LOGS, league.game_logs)
        opened.upsert(SCHEDULE, league.schedule)
        found.append([table.to_pylist() for table in read_features(opened, league.name, league.slate, 730)])
    assert found[0] == found[1]
    assert len(found[0][1]) >= 2


def test_bigquery_gives_a_slate_identical_grades_and_keeps_them(
    facts: Warehouse, open_bigquery: Callable[[], Warehouse]
) -> None:
    untrained = replace(OPTIONS, history_days=60, train=False)
    found = []
    for opened in (facts, filled(open_bigquery())):
        (slate,) = run_backtest(opened, FIRST, FIRST, untrained, write=True, now=lambda: NOW)
        found.append((slate.grades, stored_grades(opened, FIRST, FIRST, BACKTEST)))
    assert found[0][0]
    assert found[0] == found[1]


def test_a_model_that_is_gone_is_named(facts: Warehouse) -> None:
    with pytest.raises(
        PredictionAssetsError, match=r"model 0a1b is not in predictions\.points_models any more"
    ):
        load_model(facts, "0a1b")


@pytest.mark.parametrize("column", ["document", "systems"])
def test_a_damaged_model_is_named_and_trained_again(facts: Warehouse, column: str) -> None:
    row, _ = train_model(facts, LEAGUE, CUTOFF, 700, now=NOW)
    promote(facts, row)
    version = f'"{SYSTEMS[0].version}"'
    damaged = {**row, "is_promoted": True, column: str(row[column]).replace(version, version[:-1], 1)}
    facts.upsert(POINTS_MODELS, POINTS_MODELS.arrow_table([damaged]))
    with pytest.raises(
        PredictionAssetsError, match=rf"model {row[MODEL_ID]} can't be read: {column} .* train`"
    ):
        load_model(facts, choose_model(facts, LEAGUE, CUTOFF))
    again, trained = train_model(facts, LEAGUE, CUTOFF, 700, now=NOW)
    assert (again, trained) == (row, True)
    assert "ensemble" in load_model(facts, str(row[MODEL_ID]))


def test_dates_without_games_are_refused(facts: Warehouse) -> None:
    with pytest.raises(BadInput, match="has no game from 2031-01-01 to 2031-01-02"):
        slates_between(facts, date(2031, 1, 1), date(2031, 1, 2))
    with pytest.raises(BadInput, match="is before"):
        slates_between(facts, LAST, FIRST)


@BIGQUERY_TOO
def test_a_slate_without_results_is_not_graded(facts: Warehouse) -> None:
    with pytest.raises(ResultsMissing, match="0 of 2 games have game logs"):
        grade_published(facts, "2025-12-20")
    with pytest.raises(PredictionAssetsError, match="no predictions are in force"):
        grade_published(facts, FIRST.isoformat())
    assert gradable(facts, FIRST, LAST) == []


def test_a_system_that_drifts_or_is_biased_is_complained_about(facts: Warehouse) -> None:
    untrained = replace(OPTIONS, history_days=60, train=False)
    (slate,) = run_backtest(facts, FIRST, FIRST, untrained, write=False, now=lambda: NOW)
    grade = next(g for g in slate.grades if g.system == "ensemble")
    steady = [{**grade.to_row(), "mean_absolute_error": 5.0, "bias": 0.1} for _ in range(40)]
    assert steadiness(steady, 1.5).complaint == ""
    worse = steady[:30] + [{**row, "mean_absolute_error": 5.6} for row in steady[30:]]
    assert steadiness(worse, 1.5).complaint == "mean absolute error 5.60 points, 5.00 before"
    biased = steady[:30] + [{**row, "bias": -1.7} for row in steady[30:]]
    assert steadiness(biased, 1.5).complaint == "bias -1.70 points, limit 1.5"
    assert steadiness(steady[:3], 1.5).earlier is None
