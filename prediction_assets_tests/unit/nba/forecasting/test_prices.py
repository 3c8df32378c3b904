"""What prices say and pay: the margin is removed, and the better bet is worth more at its own price."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prediction_assets.nba.forecasting.lines import MarketLine
from prediction_assets.nba.forecasting.prices import NO_QUOTE, Offer, Quote, better_bets, fair_share, quote

LINE, OTHER = Decimal("24.5"), Decimal("25.5")
AMERICAN = st.one_of(st.integers(-9999, -100), st.integers(100, 9999))


@pytest.mark.parametrize(
    ("over", "under", "fair"),
    [(-110, -110, 0.5), (-137, -137, 0.5), (-120, 100, 0.5217), (100, -120, 0.4783), (-150, 120, 0.569)],
)
def test_a_pair_of_prices_says_a_probability_without_its_margin(over: int, under: int, fair: float) -> None:
    assert fair_share(over, under) == pytest.approx(fair, abs=5e-5)


@given(AMERICAN, AMERICAN)
def test_both_sides_fair_probabilities_add_up_to_one(over: int, under: int) -> None:
    assert 0 < fair_share(over, under) < 1
    assert fair_share(over, under) + fair_share(under, over) == pytest.approx(1)


OFFERS = (
    Offer(LINE, "Book B", -115, -105),
    Offer(LINE, "Book A", -130, 110),
    Offer(LINE, "Book C", None, 105),
    Offer(OTHER, "Book D", 120, -140),
)


@pytest.mark.parametrize("offers", [OFFERS, OFFERS[::-1]])
def test_at_a_line_the_best_price_of_each_side_counts_and_the_most_balanced_pair(
    offers: tuple[Offer, ...],
) -> None:
    found = quote(LINE, offers)
    assert (found.over, found.over_bookmaker) == (-115, "Book B")
    assert (found.under, found.under_bookmaker) == (110, "Book A")
    assert found.fair == fair_share(-115, -105)
    assert found.consensus == pytest.approx((fair_share(-115, -105) + fair_share(-130, 110)) / 2)
    assert quote(Decimal("23.5"), offers) == NO_QUOTE


def test_of_equal_prices_the_first_book_by_name_is_named() -> None:
    offers = [Offer(LINE, name, -110, -110) for name in ("Book B", "Book A")]
    assert quote(LINE, offers).over_bookmaker == quote(LINE, offers[::-1]).over_bookmaker == "Book A"


def test_a_player_s_main_line_is_one_of_his_offers() -> None:
    main = MarketLine(LINE, "Book B", -115, -105, others=(Offer(LINE, "Book A", -112, None),))
    assert main.fair == fair_share(-115, -105)
    assert (main.quote(LINE).over, main.quote(LINE).under_bookmaker) == (-112, "Book B")
    assert MarketLine(LINE, "Book A", -115, None).fair is None


@pytest.mark.parametrize(
    ("prices", "over", "push", "side", "value", "edge", "fair_odds"),
    [
        ((-110, -110), 0.55, 0.0, "OVER", 0.05, 0.02619, 1.8182),
        ((-110, -110), 0.45, 0.0, "UNDER", 0.05, 0.02619, 1.8182),
        ((-110, -110), 0.5, 0.0, "OVER", -0.045455, -0.02381, 2.0),
        ((-110, 130), 0.55, 0.0, "OVER", 0.05, 0.02619, 1.8182),
        ((-137, 130), 0.55, 0.0, "UNDER", 0.035, 0.015217, 2.2222),
        ((None, -110), 0.6, 0.0, "UNDER", -0.236364, -0.12381, 2.5),
        ((-110, -110), 0.5, 0.05, "OVER", 0.004545, 0.002506, 1.9),
    ],
)
def test_the_better_bet_is_worth_more_at_its_own_price(
    prices: tuple[int | None, int | None],
    over: float,
    push: float,
    side: str,
    value: float,
    edge: float,
    fair_odds: float,
) -> None:
    bets = better_bets([Quote(over=prices[0], under=prices[1])], np.array([over]), np.array([push]))
    assert ("OVER" if bets.is_over[0] else "UNDER") == side
    assert bets.expected_value[0] == pytest.approx(value, abs=1e-6)
    assert bets.edge[0] == pytest.approx(edge, abs=1e-6)
    assert bets.fair_odds[0] == fair_odds
    # At the fair odds the bet is worth nothing, a push included.
    won = over if side == "OVER" else 1 - over - push
    assert won * bets.fair_odds[0] + push - 1 == pytest.approx(0, abs=1e-4)


@given(st.floats(0.0001, 0.95), st.floats(0, 0.049), AMERICAN, AMERICAN)
def test_the_other_side_is_never_worth_more(over: float, push: float, one: int, two: int) -> None:
    both, *alone = (
        better_bets([quoted], np.array([over]), np.array([push])).expected_value[0]
        for quoted in (Quote(over=one, under=two), Quote(over=one), Quote(under=two))
    )
    assert both == max(alone)


def test_without_a_price_there_is_no_bet() -> None:
    bets = better_bets([NO_QUOTE], np.array([0.9]), np.zeros(1))
    assert not bets.has_price[0]
    assert np.isnan(bets.expected_value[0])
