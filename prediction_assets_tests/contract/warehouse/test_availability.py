"""Who plays: what injury reports change in models, forecasts and backtests, what they don't, and on every warehouse."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from prediction_assets.nba.backtest import BacktestOptions, run_backtest
from prediction_assets.nba.forecast import AskedFeatures, slate_features
from prediction_assets.nba.forecasting import availability, promotion
from prediction_assets.nba.forecasting.candidates import Sides
from prediction_assets.nba.forecasting.predictions import predict_slate
from prediction_assets.nba.forecasting.promotion import keep_for_trial
from prediction_assets.nba.forecasting.systems import fit_all
from prediction_assets.nba.model_store import MODEL_ID, load_model, read_features, train_model
from prediction_assets.nba.sides import newest_report, past_sides, slate_sides
from prediction_assets.nba.slate_facts import read_slate_facts
from prediction_assets.slate.basis import causes
from prediction_assets.slate.batch import ExpectedPlayer
from prediction_assets.stores.protocols import Warehouse
from prediction_assets.stores.sql.tables import GAME_LOGS, INJURY_REPORTS, SCHEDULE
from prediction_assets_tests.contract.nba.conftest import LEAGUE, SLATE, made_up_league
from prediction_assets_tests.in_memory import InMemoryWarehouse

pytestmark = pytest.mark.usefixtures("equal_rows_are_fitted_once")

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LOGS, SCHEDULED = made_up_league()
EVENING, MORNING = 22, 14
"""Hours in UTC."""


@pytest.fixture(autouse=True)
def _learns_from_few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(availability, "LEAST_ROWS", 300)


def entry(day: date, hour: int, team: str, player: int | None, status: str) -> dict[str, Any]:
    return {
        "league": LEAGUE, "game_date": day, "reported_at": datetime(day.year, day.month, day.day, hour, 30, tzinfo=UTC),
        "team": team, "player_name": "" if player is None else f"Player {player}", "player_id": player,
        "status": status, "reason": None,
    }  # fmt: skip


def past_reports() -> list[dict[str, Any]]:
    """Return a report of each past date and two hours: who is absent is Out in the evening."""
    draw = np.random.default_rng(7)
    rows = []
    for day in sorted({log["game_date"] for log in LOGS}):
        there = {log["player_id"] for log in LOGS if log["game_date"] == day}
        for number, team in enumerate(("AAA", "BBB", "CCC", "DDD")):
            rows.append(entry(day, MORNING, team, None, "Not yet submitted"))
            for player in range(100 * number + 1, 100 * number + 8):
                if player not in there:
                    rows.append(entry(day, EVENING, team, player, "Out"))
                elif draw.random() < 0.1:
                    rows.append(entry(day, EVENING, team, player, "Questionable"))
    return rows


def filled(warehouse: Warehouse, reports: Iterable[dict[str, Any]] = ()) -> Warehouse:
    # The side that lacks players scores as much as ever: those who are there score more.
    there: dict[tuple[str, str], int] = {}
    for log in LOGS:
        there[log["game_id"], log["team"]] = there.get((log["game_id"], log["team"]), 0) + 1
    missing = [7 - there[log["game_id"], log["team"]] for log in LOGS]
    logs = [
        log | {"points": log["points"] + 6 * n, "defensive_rebounds": log["defensive_rebounds"] + 2 * n}
        for log, n in zip(LOGS, missing, strict=True)
    ]
    warehouse.upsert(GAME_LOGS, GAME_LOGS.arrow_table(logs))
    warehouse.upsert(SCHEDULE, SCHEDULE.arrow_table(SCHEDULED))
    warehouse.upsert(INJURY_REPORTS, INJURY_REPORTS.arrow_table([*past_reports(), *reports]))
    return warehouse


def forecast(
    warehouse: Warehouse, *, looks: bool = True, stats: Sequence[str] = (), days: int = 700
) -> pa.Table:
    row, _ = train_model(warehouse, LEAGUE, SLATE, days, now=NOW, stats=stats)
    asked = AskedFeatures(LEAGUE, SLATE, range(1, 1000), days, str(row[MODEL_ID]), stats)
    players, _ = slate_features(warehouse, asked)
    report = newest_report(warehouse, LEAGUE, SLATE) if looks else []
    return predict_slate(
        players,
        load_model(warehouse, str(row[MODEL_ID])),
        {},
        further={f"player_{stat}": {} for stat in stats},
        sides=slate_sides(warehouse, LEAGUE, SLATE, report),
    )


def points(rows: pa.Table, system: str = "ensemble") -> dict[int, float]:
    chosen = rows.filter(pc.and_(pc.equal(rows["system"], system), pc.is_valid(rows["contributions"])))
    return dict(zip(chosen["player_id"].to_pylist(), chosen["predicted_points"].to_pylist(), strict=True))


@pytest.fixture(scope="module")
def untouched() -> InMemoryWarehouse:
    """The facts, to be copied."""
    made = InMemoryWarehouse()
    filled(made)
    return made


@pytest.fixture(scope="module")
def facts(untouched: InMemoryWarehouse) -> Warehouse:
    return untouched.copied()


@pytest.fixture
def reported(untouched: InMemoryWarehouse) -> Callable[..., Warehouse]:
    """Return the same facts with a report about the slate."""

    def copied(*entries: dict[str, Any]) -> Warehouse:
        made = untouched.copied()
        made.upsert(INJURY_REPORTS, INJURY_REPORTS.arrow_table([*entries]))
        return made

    return copied


def test_team_mates_of_who_is_out_gain_in_every_system_and_nobody_else_moves(
    facts: Warehouse, reported: Callable[..., Warehouse]
) -> None:
    usual = forecast(reported(entry(SLATE, EVENING, "AAA", 1, "Available")))
    without = forecast(reported(*(entry(SLATE, EVENING, "AAA", n, "Out") for n in (5, 6, 7))))
    for system in ("moving_average", "matchup", "similarity", "gradient_boosting", "ensemble"):
        before, after = points(usual, system), points(without, system)
        assert all(after[n] > before[n] + 1 for n in (2, 3, 4)), system
        assert {n for n in after if after[n] != before[n]} <= set(range(1, 8)), system
    parts = {
        row["player_id"]: json.loads(row["contributions"])
        for row in without.to_pylist()
        if row["system"] == "ensemble" and row["contributions"]
    }
    plain = {
        row["player_id"]: json.loads(row["contributions"])
        for row in forecast(facts).to_pylist()
        if row["system"] == "ensemble" and row["contributions"]
    }
    for player in (2, 3, 4):
        moved = {part: abs(parts[player][part] - plain[player][part]) for part in parts[player]}
        # Rest and opponent follow a little: a system's median isn't linear in its mean.
        assert max(moved, key=moved.__getitem__) == "availability"
        assert moved["usual"] == moved["minutes"] == moved["rate"] == moved["market"] == 0
        assert sum(parts[player].values()) == pytest.approx(points(without)[player], abs=1e-9)


def test_a_report_corrects_every_stat_that_is_predicted(reported: Callable[..., Warehouse]) -> None:
    absent = [entry(SLATE, EVENING, "AAA", n, "Out") for n in (5, 6, 7)]
    rows = [forecast(reported(*absent), looks=looks, stats=["rebounds"]) for looks in (False, True)]
    for market, least in (("player_points", 1.0), ("player_rebounds", 0.5)):
        before, after = (points(table.filter(pc.equal(table["market"], market))) for table in rows)
        assert all(after[n] > before[n] + least for n in (2, 3, 4)), market


def test_without_a_report_about_the_slate_every_row_is_as_if_nobody_looked(facts: Warehouse) -> None:
    assert forecast(facts).equals(forecast(facts, looks=False))


def test_reports_about_dates_without_a_game_log_teach_nothing(facts: Warehouse) -> None:
    history, _ = read_features(facts, LEAGUE, SLATE, 700)
    sides = past_sides(facts, LEAGUE, SLATE, SLATE - timedelta(700))
    assert fit_all(history, sides)["ensemble"].availability is not None
    without_logs = Sides(sides.candidates.slice(0, 0), sides.reported)
    assert fit_all(history, without_logs)["ensemble"].availability is None


def test_the_same_team_is_expected_otherwise_while_it_has_not_reported(
    reported: Callable[..., Warehouse],
) -> None:
    waiting = points(forecast(reported(entry(SLATE, MORNING, "AAA", None, "Not yet submitted"))))
    certain = points(forecast(reported(entry(SLATE, EVENING, "BBB", None, "Not yet submitted"))))
    assert waiting != certain


def test_reports_from_the_cut_off_on_teach_nothing_and_earlier_ones_do(
    reported: Callable[..., Warehouse],
) -> None:
    warehouse = reported()
    cutoff = date(2025, 12, 1)
    row, _ = train_model(warehouse, LEAGUE, cutoff, 700, now=NOW)
    late = [entry(cutoff + timedelta(n), EVENING, "AAA", 1, "Out") for n in range(3)]
    # After midnight UTC of a game's date most games have begun.
    begun = [entry(cutoff, 1, "AAA", 2, "Out") | {"game_date": cutoff - timedelta(1)}]
    warehouse.upsert(INJURY_REPORTS, INJURY_REPORTS.arrow_table([*late, *begun]))
    again, trained = train_model(warehouse, LEAGUE, cutoff, 700, now=NOW)
    assert (again[MODEL_ID], trained) == (row[MODEL_ID], False)
    day = max(log["game_date"] for log in LOGS if log["game_date"] < cutoff)
    warehouse.upsert(
        INJURY_REPORTS, INJURY_REPORTS.arrow_table([entry(day, EVENING, "CCC", 203, "Doubtful")])
    )
    other, trained = train_model(warehouse, LEAGUE, cutoff, 700, now=NOW)
    assert trained
    assert other[MODEL_ID] != row[MODEL_ID]


def test_a_trial_knows_the_reports_and_refuses_a_model_that_reads_them_wrongly(
    facts: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    row, _ = train_model(facts, LEAGUE, SLATE, 700, now=NOW)
    honest = load_model(facts, str(row[MODEL_ID]))
    right = honest["ensemble"].availability
    wrong = replace(right, trees=replace(right.trees, value=-2 * right.trees.value))
    _, trial = keep_for_trial(read_features(facts, LEAGUE, SLATE, 700)[0])
    sides = past_sides(facts, LEAGUE, SLATE, SLATE - timedelta(700))
    monkeypatch.setattr(
        promotion,
        "unpack",
        lambda *_: {name: replace(each, availability=wrong) for name, each in honest.items()},
    )

    def problems(sides: Sides | None) -> tuple[str, ...]:
        return promotion.examine(row, row, honest, trial, sides).problems

    assert problems(None) == ()
    assert [problem for problem in problems(sides) if problem.startswith("ensemble: its mean absolute error")]


def test_a_backtest_knows_the_reports_until_its_time_of_day_and_no_later_one(
    reported: Callable[..., Warehouse],
) -> None:
    warehouse = reported()
    options = BacktestOptions(700, 700, 0.02, reports_at=time(17, 31))
    day = date(2025, 12, 2)

    def grades(options: BacktestOptions) -> list[Any]:
        found = run_backtest(warehouse, day, day, options, write=False, now=lambda: NOW)
        return [slate.grades for slate in found]

    evening, morning = grades(options), grades(replace(options, reports_at=time(9, 31)))
    assert evening != morning
    late = [entry(day, 23, "AAA", n, "Out") for n in range(1, 8)]
    warehouse.upsert(INJURY_REPORTS, INJURY_REPORTS.arrow_table(late))
    assert grades(options) == evening


def test_a_player_s_basis_names_his_side_s_states_and_a_new_report_is_a_cause_for_the_side_alone(
    reported: Callable[..., Warehouse],
) -> None:
    games = {row["team_a"]: row for row in SCHEDULED if row["game_date"] == SLATE}
    game = next(game for game in games.values() if "AAA" in (game["team_a"], game["team_b"]))
    opponent = next(team for team in (game["team_a"], game["team_b"]) if team != "AAA")
    players = [
        ExpectedPlayer(1, "player-1", "Player 1", "AAA", opponent, None, game["game_id"]),
        ExpectedPlayer(101, "player-101", "Player 101", opponent, "AAA", None, game["game_id"]),
    ]
    features = {1: ("f", "m"), 101: ("f", "m")}

    def bases(*entries: dict[str, Any]) -> dict[str, Any]:
        return read_slate_facts(reported(*entries), SLATE.isoformat(), LEAGUE).bases(players, features)

    doubtful = [entry(SLATE, EVENING - 1, "AAA", 2, "Questionable")]
    ruled_out = [entry(SLATE, EVENING, "AAA", 2, "Out"), entry(SLATE, EVENING, "AAA", 3, "Probable")]
    nobody, before, after = bases(), bases(*doubtful), bases(*doubtful, *ruled_out)
    assert (nobody["player-1"].report, before["player-1"].report) == ("", "evening: Player 2 Questionable")
    assert after["player-1"].report == "evening: Player 2 Out; Player 3 Probable"
    assert causes(before["player-1"], after["player-1"]) == ("team report: Player 2 Out, Player 3 Probable",)
    assert causes(before["player-101"], after["player-101"]) == ()
    assert causes(nobody["player-101"], after["player-101"]) == ("report of evening",)


def test_bigquery_learns_the_same_from_reports_and_gives_identical_rows(
    facts: Warehouse, reported: Callable[..., Warehouse], open_bigquery: Callable[[], Warehouse]
) -> None:
    tonight = [
        entry(SLATE, EVENING, "AAA", 7, "Out"),
        entry(SLATE, EVENING, "BBB", 107, "Doubtful"),
        entry(SLATE, EVENING, "CCC", None, "Not yet submitted"),
    ]
    ours, theirs = (
        forecast(opened, days=290) for opened in (reported(*tonight), filled(open_bigquery(), tonight))
    )
    assert ours.num_rows > 500
    assert ours.equals(theirs)
    assert points(ours) != points(forecast(facts, days=290))
