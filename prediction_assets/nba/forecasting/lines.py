"""The lines of a player: the market's main line, or an estimate, and its neighbours.

What belongs here: choosing one main line per player among the books' offers, estimating one where no book has
any, and the grid of five around it, all in exact decimals. What doesn't: probabilities and recommendations,
and matching the books' names to players (ingestion does).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from statistics import median
from typing import Any

import numpy as np
import pyarrow as pa

from prediction_assets.errors import BadInput
from prediction_assets.nba.forecasting.rows import Floats

OFFSETS = (Decimal(-2), Decimal(-1), Decimal(0), Decimal(1), Decimal(2))
"""Points from the main line to each of the five."""

LOWEST_LINE = Decimal("0.5")
"""No book offers less: below it there is nothing to decide."""

HIGHEST_LINE = Decimal(100)
"""The most points of a player in an NBA game (Chamberlain, 1962-03-02): a line beyond is a mistake of the feed."""

SUSPENDED_PRICE = 10_000
"""American odds of this size or beyond mean that the book has suspended the offer (-10000 in real feeds)."""

MARKET, ESTIMATED = "market", "estimated"

OFFER_COLUMNS = (
    "player_id",
    "bookmaker",
    "line",
    "over_price",
    "under_price",
    "captured_at",
    "commence_time",
    "sequence",
    "capture",
)


@dataclass(frozen=True, slots=True)
class MarketLine:
    """A player's main line and the book that offers it; prices in American odds, None when not offered."""

    line: Decimal
    bookmaker: str
    over_price: int | None = None
    under_price: int | None = None


@dataclass(frozen=True, slots=True)
class _Offer:
    bookmaker: str
    line: Decimal
    over_price: int | None
    under_price: int | None
    recency: tuple[Any, ...]

    @property
    def two_sided(self) -> bool:
        return self.over_price is not None and self.under_price is not None

    @property
    def imbalance(self) -> float:
        """Distance of the fair over probability from one half; 1, more than any, when a side is missing."""
        if self.over_price is None or self.under_price is None:
            return 1.0
        over, under = _implied(self.over_price), _implied(self.under_price)
        return round(abs(over / (over + under) - 0.5), 9)


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


def choose_market_lines(offers: pa.Table) -> dict[int, MarketLine]:
    """Return each player's main line among the books' offers for one slate; a player without a usable offer
    is absent.

    1. Suspended offers (a price of 10,000 or beyond, either sign), offers beyond :data:`HIGHEST_LINE` and
       offers seen after tip-off are dropped. A ``captured_at`` of exactly midnight UTC is a bare date: it is
       late only if that date is after tip-off's.
    2. Where a player has a two-sided offer, his one-sided ones are dropped.
    3. Per book the newest offer is used: latest ``captured_at`` (NULL is newest), then highest ``sequence``.
    4. Over the books: the line that most of them show; ties go to the line whose best two-sided price is the
       more
       balanced, then to the one nearest the median of all, then to the lower. Of its books, the most
       balanced, then the first by name.

    Args:
        offers: columns :data:`OFFER_COLUMNS` (others are ignored), prices in American odds. Rows whose
            ``player_id`` is NULL are ignored. The order of the rows doesn't matter.

    Raises:
        BadInput: a column is missing.
    """
    missing = [name for name in OFFER_COLUMNS if name not in offers.column_names]
    if missing:
        raise BadInput("market offers", f"lack {', '.join(missing)}", hint="pass rows of facts.prop_lines")
    by_player: dict[int, list[_Offer]] = defaultdict(list)
    for row in offers.select(OFFER_COLUMNS).to_pylist():
        if row["player_id"] is None or row["line"] is None or row["line"] > HIGHEST_LINE:
            continue
        if _is_suspended(row) or _is_late(row):
            continue
        by_player[row["player_id"]].append(_offer(row))
    return {player_id: _main_line(by_player[player_id]) for player_id in sorted(by_player)}


def _offer(row: dict[str, Any]) -> _Offer:
    captured_at: datetime | None = row["captured_at"]
    line = Decimal(str(row["line"]))
    recency = (
        captured_at is None,
        captured_at or datetime.min.replace(tzinfo=UTC),
        -1 if row["sequence"] is None else row["sequence"],
        row["capture"] or "",
        -line,  # last, so that the result never depends on the order of the rows
        row["over_price"] or 0,
        row["under_price"] or 0,
    )
    return _Offer(row["bookmaker"], line, row["over_price"], row["under_price"], recency)


def _is_suspended(row: dict[str, Any]) -> bool:
    return any(
        price is not None and abs(price) >= SUSPENDED_PRICE
        for price in (row["over_price"], row["under_price"])
    )


def _is_late(row: dict[str, Any]) -> bool:
    captured_at: datetime | None = row["captured_at"]
    commence_time: datetime | None = row["commence_time"]
    if captured_at is None or commence_time is None:
        return False
    captured_at, commence_time = captured_at.astimezone(UTC), commence_time.astimezone(UTC)
    midnight = captured_at.replace(hour=0, minute=0, second=0, microsecond=0)
    if captured_at - midnight == timedelta(0):
        return captured_at.date() > commence_time.date()
    return captured_at > commence_time


def _main_line(offers: Iterable[_Offer]) -> MarketLine:
    candidates = list(offers)
    candidates = [offer for offer in candidates if offer.two_sided] or candidates
    newest: dict[str, _Offer] = {}
    for offer in candidates:
        if offer.bookmaker not in newest or offer.recency > newest[offer.bookmaker].recency:
            newest[offer.bookmaker] = offer
    by_line: dict[Decimal, list[_Offer]] = defaultdict(list)
    for offer in newest.values():
        by_line[offer.line].append(offer)
    middle = median(offer.line for offer in newest.values())
    line = min(
        by_line,
        key=lambda x: (-len(by_line[x]), min(offer.imbalance for offer in by_line[x]), abs(x - middle), x),
    )
    book = min(by_line[line], key=lambda offer: (offer.imbalance, offer.bookmaker))
    return MarketLine(line, book.bookmaker, book.over_price, book.under_price)


def _implied(american: int) -> float:
    """Return the win probability that American odds pay fairly, vig included."""
    return 100 / (american + 100) if american > 0 else -american / (-american + 100)
