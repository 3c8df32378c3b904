"""The prediction rows: complete, exact, self-consistent and the same when one player is re-run."""

from __future__ import annotations

import json
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from prediction_assets.errors import BadInput
from prediction_assets.nba.forecast import with_newcomers
from prediction_assets.nba.forecasting.contributions import PARTS
from prediction_assets.nba.forecasting.distribution import probability_over, probability_push
from prediction_assets.nba.forecasting.lines import MarketLine
from prediction_assets.nba.forecasting.market_aware import with_market
from prediction_assets.nba.forecasting.predictions import (
    PREDICTION_SCHEMA,
    predict_slate,
)
from prediction_assets.nba.forecasting.prices import Offer
from prediction_assets.nba.forecasting.rows import Rows
from prediction_assets.nba.forecasting.systems import SYSTEMS, FittedSystem
from prediction_assets.nba.model_store import MODEL_ID
from prediction_assets.slate.batch import ExpectedPlayer
from prediction_assets.stores.sql.tables import PREDICTIONS
from prediction_assets_tests.contract.nba.conftest import SLATE

Snapshot = tuple[pa.Table, pa.Table]

MARKET = {
    101: MarketLine(
        Decimal("24.5"), "Book A", -110, -110, others=(Offer(Decimal("25.5"), "Book C", None, 400),)
    ),
    102: MarketLine(Decimal(9), "Book B", -115, -105),
    103: MarketLine(Decimal("0.5"), "Book A"),
    999_999: MarketLine(Decimal("30.5"), "Book A"),
}


@pytest.fixture(scope="module")
def predicted(league_snapshot: Snapshot, fitted: dict[str, FittedSystem]) -> pa.Table:
    return predict_slate(league_snapshot[1], fitted, MARKET)


def of(table: pa.Table, player_id: int, system: str = "ensemble") -> list[dict[str, object]]:
    mask = pc.and_(pc.equal(table["player_id"], player_id), pc.equal(table["system"], system))
    return table.filter(mask).to_pylist()


def test_every_player_has_25_rows_with_distinct_keys(league_snapshot: Snapshot, predicted: pa.Table) -> None:
    players = league_snapshot[1].num_rows
    assert predicted.num_rows == 25 * players > 600
    keys = predicted.select(["game_id", "player_id", "system", "line"])
    assert keys.group_by(keys.column_names).aggregate([]).num_rows == predicted.num_rows


def test_the_columns_are_the_warehouse_s() -> None:
    target = PREDICTIONS.arrow_schema
    for field in PREDICTION_SCHEMA:
        assert target.field(field.name).type == field.type, field.name
        assert target.field(field.name).nullable == field.nullable, field.name


def test_rows_come_by_player_system_and_line(predicted: pa.Table) -> None:
    order = {system.name: position for position, system in enumerate(SYSTEMS)}
    keys = [(r["player_id"], order[r["system"]], r["line"]) for r in predicted.to_pylist()]
    assert keys == sorted(keys)


def test_one_player_re_run_alone_gets_identical_rows(
    league_snapshot: Snapshot, predicted: pa.Table, refitted: dict[str, FittedSystem]
) -> None:
    players = league_snapshot[1]
    alone = players.filter(pc.equal(players["player_id"], 102))
    again = predict_slate(alone, refitted, {102: MARKET[102]})
    assert again.equals(predicted.filter(pc.equal(predicted["player_id"], 102)).combine_chunks())


def test_lines_are_the_market_s_or_estimated(predicted: pa.Table) -> None:
    market = of(predicted, 102)
    assert [row["line"] for row in market] == [Decimal(n) for n in (7, 8, 9, 10, 11)]
    assert {(row["line_source"], row["bookmaker"]) for row in market} == {("market", "Book B")}
    low = of(predicted, 103)
    assert [(row["line"], row["line_offset"]) for row in low] == [
        (Decimal(n) + Decimal("0.5"), n) for n in range(5)
    ]
    estimated = of(predicted, 104)
    assert {(r["line_source"], r["bookmaker"], r["recommendation"]) for r in estimated} == {
        ("estimated", None, "NO_LINE")
    }
    assert all(row[name] is None for row in estimated for name in predicted.column_names[15:-2])
    assert all(row["line"] % 1 == Decimal("0.5") and row["probability_push"] == 0 for row in estimated)


def test_a_row_s_numbers_follow_from_its_own_columns(predicted: pa.Table) -> None:
    columns = ("probability_over", "probability_push", "confidence")
    over, push, confidence = (predicted[name].to_numpy() for name in columns)
    line = predicted["line"].cast(pa.float64()).to_numpy()
    assert ((push > 0) == (line % 1 == 0)).all()
    share = over / (1 - push)
    assert confidence == pytest.approx(np.maximum(share, 1 - share), abs=1e-6)
    for row in predicted.to_pylist():
        value = row["expected_value"]
        if row["line_source"] == "estimated":
            assert (row["recommendation"], value) == ("NO_LINE", None)
        elif value is None:
            assert row["recommendation"] == "NO_PRICE"
        else:
            assert row["recommendation"] == (row["bet_side"] if value >= 0.02 else "PASS")
            rest = 1 - row["probability_push"] - row["probability_over"]
            won = row["probability_over"] if row["bet_side"] == "OVER" else rest
            assert value == pytest.approx(won * row["bet_odds"] + row["probability_push"] - 1, abs=1e-4)


def test_a_price_is_of_its_own_line_and_no_other(predicted: pa.Table) -> None:
    columns = ("line", "bet_side", "bet_bookmaker", "bet_price", "market_probability", "recommendation")
    rows = [tuple(row[name] for name in columns) for row in of(predicted, 101)]
    unpriced = (None, None, None, None, "NO_PRICE")
    assert [row[1:] for row in rows if row[0] not in (Decimal("24.5"), Decimal("25.5"))] == [unpriced] * 3
    by_line = {row[0]: row for row in rows}
    assert by_line[Decimal("24.5")][3:5] == (-110, 0.5)
    # A book that pays 400 on the under and prices nothing else.
    assert by_line[Decimal("25.5")][1:] == ("UNDER", "Book C", 400, None, "UNDER")
    assert {row["recommendation"] for row in of(predicted, 103)} == {"NO_PRICE"}


def test_prices_move_the_probability_and_not_the_points(
    league_snapshot: Snapshot, predicted: pa.Table, fitted: dict[str, FittedSystem]
) -> None:
    players = league_snapshot[1]
    dear = MARKET | {101: MarketLine(Decimal("24.5"), "Book A", -150, 120)}
    moved = predict_slate(players, fitted, dear)
    for before, after in zip(of(predicted, 101), of(moved, 101), strict=True):
        assert after["probability_over"] > before["probability_over"]
        assert after["predicted_points"] == before["predicted_points"]
    assert of(moved, 102) == of(predicted, 102)


def test_probabilities_weigh_the_market_line_and_points_don_t(
    league_snapshot: Snapshot, predicted: pa.Table, fitted: dict[str, FittedSystem]
) -> None:
    rows = Rows(league_snapshot[1].sort_by([("player_id", "ascending"), ("game_id", "ascending")]))
    for system in SYSTEMS:
        own = fitted[system.name].predict(rows)
        lines = np.array([float(MARKET[p].line) if p in MARKET else np.nan for p in rows["player_id"]])
        fair = [MARKET[p].fair if p in MARKET else None for p in rows["player_id"]]
        beside = with_market(own, lines, np.array([np.nan if f is None else f for f in fair]))
        table = predicted.filter(pc.equal(predicted["system"], system.name))
        line = table["line"].cast(pa.float64()).to_numpy()
        mean, deviation = (np.repeat(v, 5) for v in (beside.mean, beside.standard_deviation))
        assert table["predicted_points"].to_numpy() == pytest.approx(np.repeat(own.median, 5), abs=1e-4)
        assert table["probability_over"].to_numpy() == pytest.approx(
            probability_over(mean, deviation, line), abs=1e-6
        )
        assert table["probability_push"].to_numpy() == pytest.approx(
            probability_push(mean, deviation, line), abs=1e-6
        )


def test_the_market_aware_system_adds_five_rows_and_changes_no_other(
    league_snapshot: Snapshot, predicted: pa.Table, fitted: dict[str, FittedSystem]
) -> None:
    players = league_snapshot[1]
    more = predict_slate(players, fitted, MARKET, market_aware=True)
    assert more.num_rows == 30 * players.num_rows
    added = pc.equal(more["system"], "market_aware")
    assert more.filter(pc.invert(added)).equals(predicted)
    for row in more.filter(added).to_pylist():
        if row["line_source"] == "market" and row["line_offset"] == 0:
            alone = of(predicted, row["player_id"])[0]["predicted_points"]
            low, high = sorted((float(alone), float(row["line"])))
            assert low - 0.1 <= row["predicted_points"] <= high + 0.1


@pytest.mark.parametrize("line", ["0", "0.5", "200"])
def test_an_absurd_market_line_gives_finite_rows(
    league_snapshot: Snapshot, fitted: dict[str, FittedSystem], line: str
) -> None:
    players = league_snapshot[1]
    market = {player: MarketLine(Decimal(line), "Book A") for player in players["player_id"].to_pylist()}
    rows = predict_slate(players, fitted, market, market_aware=True)
    for name in (
        "predicted_points",
        "standard_deviation",
        "probability_over",
        "probability_push",
        "confidence",
    ):
        assert np.isfinite(rows[name].to_numpy()).all(), name


def test_each_line_is_judged_on_its_own(predicted: pa.Table) -> None:
    rows = of(predicted, 103)  # 0.5 to 4.5: a player who scores more is over the low ones
    assert [row["probability_over"] for row in rows] == sorted(
        (r["probability_over"] for r in rows), reverse=True
    )


def test_a_higher_least_value_recommends_less(
    league_snapshot: Snapshot, fitted: dict[str, FittedSystem]
) -> None:
    players = league_snapshot[1]
    market = {
        player: MarketLine(Decimal("12.5"), "Book A", 102, 102) for player in players["player_id"].to_pylist()
    }
    lenient = predict_slate(players, fitted, market, least_value=0.0)
    strict = predict_slate(players, fitted, market, least_value=0.1)

    def bets(table: pa.Table) -> int:
        return int(pc.sum(pc.is_in(table["recommendation"], pa.array(["OVER", "UNDER"]))).as_py())

    assert 0 < bets(strict) < bets(lenient)


def test_a_slate_without_players_has_no_rows(
    league_snapshot: Snapshot, fitted: dict[str, FittedSystem]
) -> None:
    players = league_snapshot[1]
    nobody = predict_slate(players.slice(0, 0), fitted, MARKET)
    assert nobody.num_rows == 0
    assert nobody.schema.equals(PREDICTION_SCHEMA)


def test_players_without_features_are_refused(
    league_snapshot: Snapshot, fitted: dict[str, FittedSystem]
) -> None:
    with pytest.raises(BadInput, match="lacks home"):
        predict_slate(league_snapshot[1].drop_columns(["home"]), fitted, {})


def test_quantiles_rise_around_the_median_and_are_at_the_main_line_only(predicted: pa.Table) -> None:
    for row in predicted.to_pylist():
        if row["line_offset"] != 0:
            assert (row["quantiles"], row["contributions"]) == (None, None)
            continue
        quantiles = json.loads(row["quantiles"])
        assert [*quantiles] == ["5", "10", "25", "50", "75", "90", "95"]
        assert [*quantiles.values()] == sorted(quantiles.values())
        assert quantiles["50"] == pytest.approx(row["predicted_points"], abs=0.00501)


def test_the_parts_of_a_forecast_add_up_to_it_exactly(
    league_snapshot: Snapshot, fitted: dict[str, FittedSystem]
) -> None:
    players = league_snapshot[1]
    rows = predict_slate(players, fitted, MARKET, market_aware=True)
    for row in rows.to_pylist():
        if row["line_offset"] == 0:
            parts = json.loads(row["contributions"], parse_float=Decimal)
            assert [*parts] == [*PARTS]
            assert sum(parts.values()) == Decimal(str(row["predicted_points"])), row
            assert row["system"] == "market_aware" or parts["market"] == 0
    moved = [json.loads(row["contributions"])["market"] for row in of(rows, 101, "market_aware")[2:3]]
    assert moved != [0]


def test_only_what_a_system_knows_contributes(
    league_snapshot: Snapshot, fitted: dict[str, FittedSystem]
) -> None:
    players = league_snapshot[1]
    few = players.slice(0, 8)
    at = few.column_names.index("opponent_defence")
    weaker = few.set_column(at, "opponent_defence", pa.array([1.1] * few.num_rows))
    before, after = (parts_by_system(predict_slate(t, fitted, {})) for t in (few, weaker))
    for system, parts in after.items():
        is_aware = system != "moving_average"
        assert any(part["rest"] or part["availability"] for part in parts) is is_aware, system
        assert any(part["minutes"] for part in parts) is is_aware, system
        for one, two in zip(before[system], parts, strict=True):
            assert {name for name in PARTS if one[name] != two[name]} <= {"opponent"}, system
        gained = sum(two["opponent"] for two in parts) - sum(one["opponent"] for one in before[system])
        assert (gained > 0) is is_aware, system


def parts_by_system(rows: pa.Table) -> dict[str, list[dict[str, float]]]:
    found: dict[str, list[dict[str, float]]] = {}
    for row in rows.to_pylist():
        if row["contributions"] is not None:
            found.setdefault(row["system"], []).append(json.loads(row["contributions"]))
    return found


@pytest.mark.parametrize(("days", "knows_the_line"), [(12, False), (29, False), (30, True), (190, True)])
def test_a_long_absent_player_s_points_lie_between_his_games_and_his_line_and_nobody_else_s_do(
    league_snapshot: Snapshot, fitted: dict[str, FittedSystem], days: int, knows_the_line: bool
) -> None:
    players = league_snapshot[1]
    few = players.slice(0, 4)
    rested = few.set_column(few.column_names.index("rest_days"), "rest_days", pa.array([days, 2, 2, 2]))
    who = [int(player) for player in few["player_id"].to_pylist()]
    lines = {player: MarketLine(Decimal("30.5"), "Book A", -110, -110) for player in who}
    alone, beside = (predict_slate(rested, fitted, offers) for offers in ({}, lines))
    for player in who:
        without, with_line = (of(rows, player, "ensemble") for rows in (alone, beside))
        moved = with_line[2]["predicted_points"] - without[2]["predicted_points"]
        share = moved / (30.5 - without[2]["predicted_points"])
        if player == who[0] and knows_the_line:
            assert 0.3 < share < 0.7
            assert with_line[2]["standard_deviation"] > 1.04 * without[2]["standard_deviation"]
            assert json.loads(with_line[2]["contributions"])["market"] == pytest.approx(moved, abs=1e-4)
        else:
            assert share == 0


NEWCOMERS = {
    9001: MarketLine(Decimal("24.5"), "Book A", -110, -110),
    9002: MarketLine(Decimal("2.5"), "Book A", -150, 120),
    9003: MarketLine(Decimal(9), "Book A"),
}


def test_a_newcomer_s_rows_are_complete_and_near_his_line_and_change_nobody_else_s(
    league_snapshot: Snapshot, predicted: pa.Table, fitted: dict[str, FittedSystem]
) -> None:
    players = league_snapshot[1]
    features = players.append_column(MODEL_ID, pa.array([""] * players.num_rows, pa.string()))
    newcomers = [ExpectedPlayer(n, f"p-{n}", f"P {n}", "AAA", "BBB", None, "g") for n in NEWCOMERS]
    every = with_newcomers(features, newcomers, NEWCOMERS, SLATE)
    rows = predict_slate(every, fitted, MARKET | NEWCOMERS, market_aware=True)
    others = rows.filter(pc.less(rows["player_id"], 9000))
    others = others.filter(pc.not_equal(others["system"], "market_aware"))
    assert others.combine_chunks().equals(predicted.combine_chunks())
    for player, line in NEWCOMERS.items():
        his = rows.filter(pc.equal(rows["player_id"], player)).to_pylist()
        assert len(his) == 30
        for row in his:
            assert 0.0 < row["probability_over"] < 1.0
            assert abs(row["predicted_points"] - float(line.line)) < 1.0 + 0.1 * float(line.line), row
            assert row["standard_deviation"] > np.sqrt(8.7 + 2.6 * row["predicted_points"])
            if row["line_offset"] == 0:
                parts = {name: Decimal(str(part)) for name, part in json.loads(row["contributions"]).items()}
                assert sum(parts.values()) == Decimal(str(row["predicted_points"]))
                assert parts["market"] != 0
                low, *_, high = json.loads(row["quantiles"]).values()
                assert low < row["predicted_points"] < high
