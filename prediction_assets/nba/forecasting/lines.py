"""The lines of a player: the market's main line, or an estimate, and its neighbours.

What belongs here: estimating a main line where no book has any, and the grid of five around it, all in exact
decimals. What doesn't: probabilities and recommendations, matching the books' names to players (ingestion does), and
choosing the main line among the books' offers (the query ``MARKET_LINES`` does).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

import numpy as np

from prediction_assets.nba.forecasting.prices import Offer, Quote, fair_share, quote
from prediction_assets.nba.forecasting.rows import Floats

OFFSETS = (Decimal(-2), Decimal(-1), Decimal(0), Decimal(1), Decimal(2))
"""Points from the main line to each of the five."""

LOWEST_LINE = Decimal("0.5")
"""No book offers less: below it there is nothing to decide."""

SUSPENDED_PRICE = 10_000
"""American odds of this size or beyond mean that the book has suspended the offer (-10000 in real feeds)."""

MARKET, ESTIMATED = "market", "estimated"


@dataclass(frozen=True, slots=True)
class MarketLine:
    """A player's main line and the book that offers it; prices in American odds, None when not offered."""

    line: Decimal
    bookmaker: str
    over_price: int | None = None
    under_price: int | None = None
    # what else is offered on him: other books' lines, and other lines of this book
    others: tuple[Offer, ...] = ()
    # the two teams of the game that it is about
    teams: frozenset[str] = field(default=frozenset(), compare=False)

    @property
    def fair(self) -> float | None:
        """P(over | no push) by the main line's own prices; None without a pair of them."""
        if self.over_price is None or self.under_price is None:
            return None
        return fair_share(self.over_price, self.under_price)

    def quote(self, line: Decimal) -> Quote:
        """Return what is offered at exactly this line."""
        own = Offer(self.line, self.bookmaker, self.over_price, self.under_price)
        return quote(line, (own, *self.others))


def line_grid(main: Decimal) -> tuple[tuple[Decimal, Decimal], ...]:
    """Return the five ``(line, offset)`` around a main line, ascending, a point apart, none below 0.5.

    Usually the offsets are -2, -1, 0, 1, 2. Where the lowest line would fall below 0.5 the whole grid moves
    up by whole points: a main line of 1.5 gives 0.5 to 4.5 with offsets -1 to 3. A line is always main line +
    offset.
    """
    shift = max(Decimal(0), (LOWEST_LINE - (main + OFFSETS[0])).to_integral_value(rounding="ROUND_CEILING"))
    return tuple((main + offset + shift, offset + shift) for offset in OFFSETS)


def estimated_lines(recent_points: Floats) -> list[Decimal]:
    """Return an estimated main line per player, where no book has one: about the median of his recent points.

    A half-point, so that it can't push. If the median is a whole number, take the half-point beside it that splits the
    games more evenly. On a tie, take the lower. Without a game: 0.5.

    Args:
        recent_points: points of the last games, shape (n, games), NaN where there was none.
    """
    played = np.isfinite(recent_points)
    games = played.sum(axis=1)
    ordered = np.sort(np.where(played, recent_points, np.inf), axis=1)
    each = np.arange(len(games))
    last = np.maximum(games - 1, 0)
    middle = np.where(games > 0, (ordered[each, last // 2] + ordered[each, (last + 1) // 2]) / 2, 0.0)
    lower, upper = np.ceil(middle) - 0.5, np.floor(middle) + 0.5
    over_lower = (np.where(played, recent_points, -np.inf) > lower[:, None]).sum(axis=1)
    over_upper = (np.where(played, recent_points, -np.inf) > upper[:, None]).sum(axis=1)
    chosen = np.where(np.abs(2 * over_upper - games) < np.abs(2 * over_lower - games), upper, lower)
    return [Decimal(int(tenths)) / 10 for tenths in np.maximum(chosen, 0.5) * 10]
