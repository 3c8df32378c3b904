"""The prediction rows: complete, exact, self-consistent and the same when one player is re-run."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from prediction_assets.errors import BadInput
from prediction_assets.nba.forecasting.distribution import probability_over, probability_push
from prediction_assets.nba.forecasting.lines import MarketLine
from prediction_assets.nba.forecasting.market_aware import with_market
from prediction_assets.nba.forecasting.predictions import (
    PREDICTION_SCHEMA,
    predict_slate,
)
from prediction_assets.nba.forecasting.rows import Rows
from prediction_assets.nba.forecasting.systems import SYSTEMS, FittedSystem, fit_all
from prediction_assets.stores.sql.tables import PREDICTIONS

Snapshot = tuple[pa.Table, pa.Table]

MARKET = {
    101: MarketLine(Decimal("24.5"), "Book A", -110, -110),
    102: MarketLine(Decimal(9), "Book B", -115, -105),
    103: MarketLine(Decimal("0.5"), "Book A"),
    999_999: MarketLine(Decimal("30.5"), "Book A"),
}


@pytest.fixture(scope="module")
def predicted(league_snapshot: Snapshot, fitted: dict[str, FittedSystem]) -> pa.Table:
    return predict_slate(league_snapshot[1], league_snapshot[0], MARKET, fitted=fitted)


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
    history, players = league_snapshot
    alone = players.filter(pc.equal(players["player_id"], 102))
    again = predict_slate(alone, history, {102: MARKET[102]}, fitted=refitted)
    assert again.equals(predicted.filter(pc.equal(predicted["player_id"], 102)).combine_chunks())


def test_without_fitted_systems_they_are_fitted_on_the_training_rows(league_snapshot: Snapshot) -> None:
    history, players = league_snapshot[0].slice(0, 500), league_snapshot[1]
    fitted_here = predict_slate(players, history, MARKET)
    assert fitted_here.equals(predict_slate(players, history, MARKET, fitted=fit_all(history)))


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
    assert all(row["line"] % 1 == Decimal("0.5") and row["probability_push"] == 0 for row in estimated)


def test_a_row_s_numbers_follow_from_its_own_columns(predicted: pa.Table) -> None:
    columns = ("predicted_points", "probability_over", "probability_push", "confidence")
    mean, over, push, confidence = (predicted[name].to_numpy() for name in columns)
    line = predicted["line"].cast(pa.float64()).to_numpy()
    assert ((push > 0) == (line % 1 == 0)).all()
    share = over / (1 - push)
    assert confidence == pytest.approx(np.maximum(share, 1 - share), abs=1e-6)
    said = np.array(predicted["recommendation"].to_pylist())
    assert (share[said == "OVER"] >= 0.55).all()
    assert (mean[said == "OVER"] > line[said == "OVER"]).all()
    assert (share[said == "UNDER"] <= 0.45).all()
    assert (mean[said == "UNDER"] < line[said == "UNDER"]).all()
    assert {"OVER", "UNDER", "PASS", "NO_LINE"} >= set(said)


def test_probabilities_weigh_the_market_line_and_points_don_t(
    league_snapshot: Snapshot, predicted: pa.Table, fitted: dict[str, FittedSystem]
) -> None:
    rows = Rows(league_snapshot[1].sort_by([("player_id", "ascending"), ("game_id", "ascending")]))
    for system in SYSTEMS:
        own = fitted[system.name].predict(rows)
        lines = np.array([float(MARKET[p].line) if p in MARKET else np.nan for p in rows["player_id"]])
        beside = with_market(own, lines)
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
    history, players = league_snapshot
    more = predict_slate(players, history, MARKET, fitted=fitted, market_aware=True)
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
    history, players = league_snapshot
    market = {player: MarketLine(Decimal(line), "Book A") for player in players["player_id"].to_pylist()}
    rows = predict_slate(players, history, market, fitted=fitted, market_aware=True)
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
    assert rows[0]["recommendation"] == "OVER"


def test_a_higher_threshold_recommends_less(
    league_snapshot: Snapshot, predicted: pa.Table, fitted: dict[str, FittedSystem]
) -> None:
    history, players = league_snapshot
    strict = predict_slate(players, history, MARKET, fitted=fitted, threshold=0.3)

    def bets(table: pa.Table) -> int:
        return int(pc.sum(pc.is_in(table["recommendation"], pa.array(["OVER", "UNDER"]))).as_py())

    assert 0 < bets(strict) < bets(predicted)


def test_a_slate_without_players_has_no_rows(
    league_snapshot: Snapshot, fitted: dict[str, FittedSystem]
) -> None:
    history, players = league_snapshot
    nobody = predict_slate(players.slice(0, 0), history, MARKET, fitted=fitted)
    assert nobody.num_rows == 0
    assert nobody.schema.equals(PREDICTION_SCHEMA)


def test_players_without_features_are_refused(league_snapshot: Snapshot) -> None:
    history, players = league_snapshot
    with pytest.raises(BadInput, match="lacks home"):
        predict_slate(players.drop_columns(["home"]), history, {})
