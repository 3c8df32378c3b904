"""The largest simulated league keeps the rules of the smaller ones; making it and reading it takes seconds."""

from __future__ import annotations

import functools
from datetime import date

from prediction_assets.simulation.league import simulate_league
from prediction_assets_tests.contract.simulation import test_league as rules

LARGEST, LAST_DAY = 5_000, date(7051, 1, 29)


def test_the_largest_league_keeps_the_rules_of_the_smaller_ones() -> None:
    league_of = functools.cache(simulate_league)
    largest = league_of(LARGEST)
    rules.test_the_roster_rule_finds_exactly_the_players_asked_for_and_nobody_is_near_its_limit(
        (LARGEST, largest)
    )
    rules.test_leagues_share_neither_days_nor_ids(league_of, (1, 40, 1001, LARGEST))
    rules.test_logs_end_before_the_slate_and_the_schedule_goes_on(largest, LAST_DAY)
    rules.TestLines().test_lines_are_captured_before_a_tip_off_on_the_eastern_evening_of_the_game(largest)
