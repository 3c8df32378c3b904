"""What the books' prices say and pay: odds, fair probabilities, and the better bet at each line.

A pair of prices says more than the line: its margin is removed, and what is left are the book's probabilities. What
doesn't belong here: a system's own probability, and whether a bet is recommended (:mod:`.recommendation`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import numpy.typing as npt

from prediction_assets.nba.forecasting.rows import Floats


@dataclass(frozen=True, slots=True)
class Offer:
    """One book's line with its prices in American odds, None where a side isn't offered."""

    line: Decimal
    bookmaker: str
    over_price: int | None = None
    under_price: int | None = None


@dataclass(frozen=True, slots=True)
class Quote:
    """What all books together offer at one line; a value is None where no book has it.

    Attributes:
        over, under: the best price of each side, American odds.
        over_bookmaker, under_bookmaker: who offers it.
    """

    over: int | None = None
    over_bookmaker: str | None = None
    under: int | None = None
    under_bookmaker: str | None = None
    fair: float | None = None  # P(over | no push) of the most balanced pair of prices
    consensus: float | None = None  # mean of the same over all pairs of prices


NO_QUOTE = Quote()


def quote(line: Decimal, offers: Iterable[Offer]) -> Quote:
    """Return what is offered at exactly this line; the order of the offers has no part in it."""
    here = [offer for offer in offers if offer.line == line]
    # The best price first; of equal ones the book that is first by name.
    over = min(
        ((-_odds(o.over_price), o.bookmaker, o.over_price) for o in here if o.over_price), default=None
    )
    under = min(
        ((-_odds(o.under_price), o.bookmaker, o.under_price) for o in here if o.under_price), default=None
    )
    fair = sorted(fair_share(o.over_price, o.under_price) for o in here if o.over_price and o.under_price)
    return Quote(
        over=over[2] if over else None,
        over_bookmaker=over[1] if over else None,
        under=under[2] if under else None,
        under_bookmaker=under[1] if under else None,
        fair=min(fair, key=lambda share: abs(share - 0.5)) if fair else None,
        consensus=sum(fair) / len(fair) if fair else None,
    )


def fair_share(over_price: int, under_price: int) -> float:
    """Return P(over | no push) of a pair of prices in American odds, the book's margin removed.

    Multiplicative: both implied probabilities are divided by their sum. Shin's method ("Measuring the Incidence of
    Insider Trading in a Market for State-Contingent Claims", 1993) and the power method (Clarke, Kovalchik & Ingram,
    "Adjusting Bookmaker's Odds to Allow for Overround", 2017) differ from it at long odds; at a main line, where both
    sides are near even, all three are within 0.002 of each other at -120 and 100, and within 0.006 at -150 and 120.
    """
    over, under = 1 / _odds(over_price), 1 / _odds(under_price)
    return over / (over + under)


def _odds(american: int) -> float:
    """Return decimal odds, what a won stake of 1 pays back: 1.909 for -110, 2.5 for 150."""
    return 1 + american / 100 if american > 0 else 1 - 100 / american


@dataclass(frozen=True, slots=True, eq=False)
class Bets:
    """The better bet of each row, at the best price; arrays of shape (n,), None or NaN where no side has a price."""

    is_over: npt.NDArray[np.bool_]  # whether it is the over
    has_price: npt.NDArray[np.bool_]  # whether a book offers a price at all
    price: Floats  # American odds, NaN without
    odds: Floats  # decimal odds
    fair_odds: Floats  # decimal odds at which the bet would be worth nothing
    edge: Floats  # P(won | no push) minus the probability at which the price breaks even
    expected_value: Floats  # expected profit of a stake of 1; a push pays it back


def better_bets(quotes: Sequence[Quote], probability_over: Floats, probability_push: Floats) -> Bets:
    """Return the side of each line with the higher expected value at its best price; on a tie the over.

    Args:
        quotes: one per row.
        probability_over, probability_push: stored values, shape (n,), over + push <= 1.
    """
    over, under = (
        np.array([np.nan if price is None else price for price in prices], dtype=np.float64)
        for prices in ([q.over for q in quotes], [q.under for q in quotes])
    )
    won_under = np.maximum(1 - probability_push - probability_over, 0.0)
    value_over = expected_value(probability_over, probability_push, over)
    value_under = expected_value(won_under, probability_push, under)
    is_over = ~np.isnan(over) & ~(value_under > value_over)
    won, price = np.where(is_over, probability_over, won_under), np.where(is_over, over, under)
    odds, decided = decimal_odds(price), 1 - probability_push
    return Bets(
        is_over=is_over,
        has_price=~np.isnan(price),
        price=price,
        odds=_rounded(odds, 4),
        fair_odds=_rounded(decided / np.maximum(won, 1e-4), 4),
        edge=_rounded(won / decided - 1 / odds, 6),
        expected_value=_rounded(np.where(is_over, value_over, value_under), 6),
    )


def _rounded(values: Floats, digits: int) -> Floats:
    return np.round(values, digits)


def decimal_odds(american: Floats) -> Floats:
    """Return American odds (100 or more, -100 or less, NaN) as decimal odds, shape of the argument."""
    return np.where(american > 0, 1 + american / 100, 1 - 100 / american)


def expected_value(won: Floats, push: Floats, american: Floats) -> Floats:
    """Return the expected profit of a stake of 1 that wins with probability ``won`` and is paid back on a push."""
    result: Floats = won * decimal_odds(american) + push - 1
    return result
