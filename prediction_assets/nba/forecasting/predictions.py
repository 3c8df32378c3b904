"""The slate's prediction rows: every player x system x line, with probabilities and a recommendation.

What belongs here: the value columns of ``player_prop_predictions``, from features, systems, lines and the
recommendation. What doesn't: the columns that staging adds (slug, snapshot, hash), and storage.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import numpy as np
import pyarrow as pa

from prediction_assets.nba.forecasting.distribution import probability_over, probability_push
from prediction_assets.nba.forecasting.features import conform
from prediction_assets.nba.forecasting.lines import (
    ESTIMATED,
    MARKET,
    OFFSETS,
    MarketLine,
    estimated_lines,
    line_grid,
)
from prediction_assets.nba.forecasting.market_aware import MARKET_AWARE, with_market
from prediction_assets.nba.forecasting.recommendation import DEFAULT_THRESHOLD, confidence, recommend
from prediction_assets.nba.forecasting.rows import Floats, Rows
from prediction_assets.nba.forecasting.systems import SYSTEMS, FittedSystem, fit_all

_LINE = pa.decimal128(6, 2)

PREDICTION_SCHEMA: pa.Schema = pa.schema(
    [
        pa.field("player_id", pa.int64(), nullable=False),
        pa.field("game_id", pa.string(), nullable=False),
        pa.field("system", pa.string(), nullable=False),
        pa.field("system_version", pa.string(), nullable=False),
        pa.field("line", _LINE, nullable=False),
        pa.field("line_offset", _LINE, nullable=False),
        pa.field("line_source", pa.string(), nullable=False),
        pa.field("bookmaker", pa.string()),
        pa.field("predicted_points", pa.float64(), nullable=False),
        pa.field("standard_deviation", pa.float64(), nullable=False),
        pa.field("probability_over", pa.float64(), nullable=False),
        pa.field("probability_push", pa.float64(), nullable=False),
        pa.field("recommendation", pa.string(), nullable=False),
        pa.field("confidence", pa.float64(), nullable=False),
    ]
)
"""Columns of :func:`predict_slate`'s result: points are in points, probabilities in [0, 1]."""


def predict_slate(
    players: pa.Table,
    history: pa.Table,
    market: Mapping[int, MarketLine],
    *,
    threshold: float = DEFAULT_THRESHOLD,
    fitted: Mapping[str, FittedSystem] | None = None,
    market_aware: bool = False,
) -> pa.Table:
    """Return 25 prediction rows per player, by player, then system (as registered), then line, ascending.

    A player's rows depend on his own row, the history and his market line only, never on the other players: a
    re-run of one player gives identical values. Points are rounded to 4 decimals and probabilities to 6; the
    recommendation is computed from the rounded values. ``predicted_points`` is the median of the system's own
    forecast, which doesn't know the line; probabilities against a market line weigh the line too
    (:func:`.market.with_market`).

    Args:
        players: slate rows of :data:`.features.FEATURES_SCHEMA`, one per player.
        history: training rows of the same schema; not read when ``fitted`` is given.
        market: main line by player id; other players get lines around their recent median.
        threshold: edge beyond 1/2 that a recommendation needs (:mod:`.recommendation`).
        fitted: the result of :func:`.systems.fit_all`, of a stored model or for several calls.
        market_aware: add the system ``market_aware``, five rows more: the ensemble's forecast moved to the line.

    Raises:
        BadInput: a table lacks a feature column.
        ValueError: the threshold isn't in [0, 0.5).
    """
    players = conform(players).sort_by([("player_id", "ascending"), ("game_id", "ascending")])
    if fitted is None:
        fitted = fit_all(history)
    rows = Rows(players)
    n, lines = len(rows), len(OFFSETS)
    offered = [market.get(player_id) for player_id in players.column("player_id").to_pylist()]
    main = np.array([np.nan if o is None else float(o.line) for o in offered])
    named = [(system.name, system.version) for system in SYSTEMS]
    own = [fitted[system.name].predict(rows) for system in SYSTEMS]
    beside_market = [with_market(forecast, main) for forecast in own]
    if market_aware:
        named.append((MARKET_AWARE, SYSTEMS[-1].version))
        own.append(beside_market[-1])
        beside_market.append(beside_market[-1])
    systems = len(named)

    def per_row(values: list[Floats]) -> Floats:
        """Stack one (n,) array per system and repeat each value for its five lines: (n * rows,)."""
        return np.repeat(np.stack(values, axis=1).reshape(-1), lines)

    predicted = np.round(per_row([forecast.median for forecast in own]), 4)
    deviation = np.round(per_row([forecast.standard_deviation for forecast in own]), 4)
    means = per_row([forecast.mean for forecast in beside_market])
    deviations = per_row([forecast.standard_deviation for forecast in beside_market])

    estimates = estimated_lines(rows["recent_points"])
    grids = [line_grid(o.line if o is not None else e) for o, e in zip(offered, estimates, strict=True)]
    source = np.repeat([MARKET if o is not None else ESTIMATED for o in offered], systems * lines).astype(str)
    line = [point for grid in grids for point, _ in grid * systems]
    offset = [distance for grid in grids for _, distance in grid * systems]
    points = np.array(line, dtype=np.float64)

    over = np.round(probability_over(means, deviations, points), 6)
    push = np.minimum(np.round(probability_push(means, deviations, points), 6), 1 - over)
    each = np.repeat(np.arange(n), systems * lines)
    books = np.array([None if o is None else o.bookmaker for o in offered], dtype=object)
    columns = [
        players.column("player_id").take(pa.array(each)),
        players.column("game_id").take(pa.array(each)),
        pa.array([name for name, _ in named for _ in range(lines)] * n, pa.string()),
        pa.array([version for _, version in named for _ in range(lines)] * n, pa.string()),
        _exact(line),
        _exact(offset),
        pa.array(source.tolist(), pa.string()),
        pa.array(books[each].tolist(), pa.string()),
        pa.array(predicted),
        pa.array(deviation),
        pa.array(over),
        pa.array(push),
        pa.array(recommend(predicted, points, over, push, source, threshold).tolist(), pa.string()),
        pa.array(np.round(confidence(over, push), 6)),
    ]
    return pa.Table.from_arrays(columns, schema=PREDICTION_SCHEMA)


def _exact(values: list[Decimal]) -> pa.Array:
    return pa.array(values, _LINE)
