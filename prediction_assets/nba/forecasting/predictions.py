"""The slate's prediction rows: every player x market x system x line, with probabilities and a recommendation.

What belongs here: the value columns of ``player_prop_predictions``, from features, systems, lines and the
recommendation. What doesn't: the columns that staging adds (slug, snapshot, hash), and storage.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType

import numpy as np
import pyarrow as pa

from prediction_assets.nba.forecasting.candidates import Sides
from prediction_assets.nba.forecasting.contributions import (
    PARTS,
    UNIT,
    contributions,
    rounded,
    with_market_part,
)
from prediction_assets.nba.forecasting.distribution import (
    Distribution,
    probability_over,
    probability_push,
    quantile,
)
from prediction_assets.nba.forecasting.lines import (
    ESTIMATED,
    MARKET,
    OFFSETS,
    MarketLine,
    estimated_lines,
    line_grid,
)
from prediction_assets.nba.forecasting.market_aware import (
    AWAY_DAYS,
    MARKET_AWARE,
    of_absent,
    of_newcomers,
    with_market,
)
from prediction_assets.nba.forecasting.prices import NO_QUOTE, better_bets
from prediction_assets.nba.forecasting.recommendation import (
    DEFAULT_LEAST_VALUE,
    OVER,
    UNDER,
    confidence,
    recommend,
)
from prediction_assets.nba.forecasting.rows import Floats, Rows
from prediction_assets.nba.forecasting.stats import STATS, of_stat, total, unit_of
from prediction_assets.nba.forecasting.systems import SYSTEMS, FittedSystem, of_fitted, with_report
from prediction_assets.slate.markets import MARKETS, POINTS, Market

NO_FURTHER: Mapping[str, Mapping[int, MarketLine]] = MappingProxyType({})

_LINE = pa.decimal128(6, 2)

PREDICTION_SCHEMA: pa.Schema = pa.schema(
    [
        pa.field("player_id", pa.int64(), nullable=False),
        pa.field("game_id", pa.string(), nullable=False),
        pa.field("market", pa.string(), nullable=False),
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
        pa.field("market_probability", pa.float64()),
        pa.field("consensus_probability", pa.float64()),
        pa.field("bet_side", pa.string()),
        pa.field("bet_bookmaker", pa.string()),
        pa.field("bet_price", pa.int64()),
        pa.field("bet_odds", pa.float64()),
        pa.field("fair_odds", pa.float64()),
        pa.field("edge", pa.float64()),
        pa.field("expected_value", pa.float64()),
        pa.field("quantiles", pa.string()),
        pa.field("contributions", pa.string()),
    ]
)
"""Columns of :func:`predict_slate`'s result: points are in what the market counts, probabilities in [0, 1]. Without a
price at the row's line the columns from ``market_probability`` to ``expected_value`` are NULL. ``quantiles`` and
``contributions`` are JSON of the system's own forecast, at the main line only."""

QUANTILES = (5, 10, 25, 50, 75, 90, 95)
"""Percent."""


def predict_slate(
    players: pa.Table,
    fitted: Mapping[str, FittedSystem],
    lines: Mapping[int, MarketLine],
    *,
    least_value: float = DEFAULT_LEAST_VALUE,
    market_aware: bool = False,
    further: Mapping[str, Mapping[int, MarketLine]] = NO_FURTHER,
    sides: Sides | None = None,
) -> pa.Table:
    """Return 25 prediction rows per player and market, by market, player, system (as registered) and line, ascending.

    A player's rows depend on his own row, the systems, his side's report and his market line only, never on which
    players are forecast with him: a re-run of one player gives identical values. Points are rounded to 4 decimals and
    probabilities to 6; bets and recommendations are computed from the rounded values. ``predicted_points`` is the
    median of the system's own forecast, which doesn't know the line; probabilities against a market line weigh the line
    and its prices too (:func:`.market_aware.with_market`).

    Two are exceptions. The own forecast of a player who was away for :data:`.market_aware.AWAY_DAYS` days or longer is
    moved half of the way to the line (:func:`.market_aware.of_absent`). A newcomer, who has no game, is forecast as
    the league's usual newcomer, moved to the line (:func:`.market_aware.of_newcomers`).

    Args:
        players: slate rows of :data:`.features.FEATURES_SCHEMA`, one per player; with the features of further stats.
        fitted: every system, by name: the result of :func:`.systems.fit_all`, or a stored model's.
        lines: main line and offers by player id; other players get lines around their recent median.
        least_value: expected value that a recommendation needs (:mod:`.recommendation`).
        sides: the slate's sides and its newest injury report; None without a report, or if nobody looks at it.
        market_aware: add the system ``market_aware``, five rows more: the ensemble's forecast moved to the line.
        further: lines as ``lines``, by the name of each market that is predicted beside points.

    Raises:
        BadInput: a table lacks a feature column.
        ValueError: the least value is negative or not finite.
    """
    players = players.sort_by([("player_id", "ascending"), ("game_id", "ascending")])
    markets = {POINTS.name: lines, **further}
    stats = {stat for name in markets for stat in MARKETS[name].stats}
    forecasts = {stat: _forecast(players, fitted, stat, sides) for stat in STATS if stat in stats}
    return pa.concat_tables(
        [
            _market_rows(MARKETS[name], forecasts, offers, least_value=least_value, market_aware=market_aware)
            for name, offers in markets.items()
        ]
    )


@dataclass(frozen=True, slots=True, eq=False)
class _StatForecast:
    """What the systems say about one stat of n players."""

    rows: Rows  # the features, in the stat's units
    forecasts: list[Distribution]  # each system's distribution
    parts: list[Floats]  # each system's contributions, in ten-thousandths, not rounded to whole ones


def _forecast(
    players: pa.Table, fitted: Mapping[str, FittedSystem], stat: str, sides: Sides | None
) -> _StatForecast:
    systems, unit = of_fitted(fitted, stat), STATS[stat].unit
    rows = with_report(systems, Rows(of_stat(players, stat)), sides)
    counted = {name: system.predict(rows) for name, system in systems.items()}
    medians = {name: np.round(forecast.median, 4) for name, forecast in counted.items()}
    return _StatForecast(
        rows,
        [Distribution(each.mean / unit, each.standard_deviation / unit) for each in counted.values()],
        [parts / unit for parts in contributions(systems, rows, medians).values()],
    )


def _market_rows(
    market: Market,
    stats: Mapping[str, _StatForecast],
    market_lines: Mapping[int, MarketLine],
    *,
    least_value: float,
    market_aware: bool,
) -> pa.Table:
    """Return one market's rows, made of what the systems say about its stats."""
    chosen = [stats[stat] for stat in market.stats]
    rows, players = chosen[0].rows, chosen[0].rows.table
    n, lines = len(rows), len(OFFSETS)
    offered = [market_lines.get(player_id) for player_id in players.column("player_id").to_pylist()]
    main = np.array([np.nan if o is None else float(o.line) for o in offered])
    named = [(system.name, system.version) for system in SYSTEMS]
    by_facts = [total(market.stats, each) for each in zip(*(one.forecasts for one in chosen), strict=True)]
    fair = np.array([np.nan if o is None or o.fair is None else o.fair for o in offered])
    own = list(by_facts)
    newcomer, away = rows["games_last_25"] == 0, rows["rest_days"] >= AWAY_DAYS
    if away.any():
        own = [of_absent(forecast, np.where(away, main, np.nan), fair) for forecast in own]
    if newcomer.any():
        his_line = np.where(newcomer, main, np.nan)
        unit = unit_of(market.stats)
        own = [of_newcomers(forecast, his_line, fair, unit) for forecast in own]
    beside_market = [with_market(forecast, main, fair) for forecast in own]
    if market_aware:
        named.append((MARKET_AWARE, SYSTEMS[-1].version))
        own.append(beside_market[-1])
        beside_market.append(beside_market[-1])
    systems = len(named)

    def per_row(values: list[Floats]) -> Floats:
        """Stack one (n,) array per system and repeat each value for its five lines: (n * rows,)."""
        return np.repeat(np.stack(values, axis=1).reshape(-1), lines)

    # Points are continuous enough. The median of a smaller count is a whole number.
    digits = 4 if market == POINTS else 0
    medians, medians_by_facts = (
        [np.round(forecast.median, digits) for forecast in forecasts] for forecasts in (own, by_facts)
    )
    parts = [sum(each[1:], each[0]) for each in zip(*(one.parts for one in chosen), strict=True)]
    predicted = per_row(medians)
    deviation = np.round(per_row([forecast.standard_deviation for forecast in own]), 4)
    means = per_row([forecast.mean for forecast in beside_market])
    deviations = per_row([forecast.standard_deviation for forecast in beside_market])

    recent = [stats[stat].rows["recent_points"] / STATS[stat].unit for stat in market.stats]
    estimates = estimated_lines(sum(recent[1:], recent[0]))
    grids = [line_grid(o.line if o is not None else e) for o, e in zip(offered, estimates, strict=True)]
    source = np.repeat([MARKET if o is not None else ESTIMATED for o in offered], systems * lines).astype(str)
    line = [point for grid in grids for point, _ in grid * systems]
    offset = [distance for grid in grids for _, distance in grid * systems]
    points = np.array(line, dtype=np.float64)

    over = np.round(probability_over(means, deviations, points), 6)
    push = np.minimum(np.round(probability_push(means, deviations, points), 6), 1 - over)
    quotes = [
        quote
        for o, grid in zip(offered, grids, strict=True)
        for quote in ([NO_QUOTE if o is None else o.quote(point) for point, _ in grid]) * systems
    ]
    bets = better_bets(quotes, over, push)
    side = np.where(bets.is_over, OVER, UNDER)
    is_main = [distance == 0 for distance in offset]

    def at_main_line(texts: list[list[str]]) -> pa.Array:
        """Give each system's text, one per player, to its row at the main line."""
        each_row = iter(zip(*texts, strict=True))
        flat = iter([text for player in each_row for text in player])
        return pa.array([next(flat) if main else None for main in is_main], pa.string())

    each = np.repeat(np.arange(n), systems * lines)
    books = np.array([None if o is None else o.bookmaker for o in offered], dtype=object)
    columns = [
        players.column("player_id").take(pa.array(each)),
        players.column("game_id").take(pa.array(each)),
        pa.array([market.name] * len(each), pa.string()),
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
        pa.array(recommend(source, side, bets.expected_value, least_value).tolist(), pa.string()),
        pa.array(np.round(confidence(over, push), 6)),
        pa.array([q.fair for q in quotes], pa.float64()),
        pa.array([q.consensus for q in quotes], pa.float64()),
        pa.array(side.tolist(), pa.string(), mask=~bets.has_price),
        pa.array(
            [
                q.over_bookmaker if is_over else q.under_bookmaker
                for q, is_over in zip(quotes, bets.is_over.tolist(), strict=True)
            ],
            pa.string(),
        ),
        *(
            pa.array(np.where(bets.has_price, values, 0), kind, mask=~bets.has_price)
            for values, kind in (
                (bets.price, pa.int64()),
                (bets.odds, pa.float64()),
                (bets.fair_odds, pa.float64()),
                (bets.edge, pa.float64()),
                (bets.expected_value, pa.float64()),
            )
        ),
        at_main_line(_quantile_texts(own, medians, digits)),
        at_main_line(_contribution_texts(parts, medians_by_facts, medians)),
    ]
    return pa.Table.from_arrays(columns, schema=PREDICTION_SCHEMA)


def _quantile_texts(own: Sequence[Distribution], medians: Sequence[Floats], digits: int) -> list[list[str]]:
    """Return each system's quantiles as JSON, one per player; the middle one is the median."""
    texts = []
    for forecast, median in zip(own, medians, strict=True):
        points = np.stack(
            [
                median
                if percent == 50
                else quantile(forecast.mean, forecast.standard_deviation, percent / 100)
                for percent in QUANTILES
            ],
            axis=1,
        )
        # A median of a low mean has a floor, which the quantiles below it don't have and those above it keep.
        points = np.maximum.accumulate(points if digits else np.round(points), axis=1)
        texts.append(_json(QUANTILES, points, 2))
    return texts


def _contribution_texts(
    parts: Sequence[Floats],
    medians_by_facts: Sequence[Floats],
    medians: Sequence[Floats],
) -> list[list[str]]:
    """Return each system's contributions as JSON, one per player, market_aware's last where it is one of them."""
    found = [rounded(each, points) for each, points in zip(parts, medians_by_facts, strict=True)]
    found += found[-1:] * (len(medians) - len(found))
    return [
        _json(PARTS, with_market_part(parts, points) / UNIT, 4)
        for parts, points in zip(found, medians, strict=True)
    ]


def _json(names: Sequence[object], values: Floats, digits: int) -> list[str]:
    """Return each row of values, shape (n, names), as a JSON object."""
    text = "{" + ", ".join(f'"{name}": %.{digits}f' for name in names) + "}"
    return [text % tuple(row) for row in values.tolist()]


def _exact(values: list[Decimal]) -> pa.Array:
    return pa.array(values, _LINE)
