"""Predictions follow their facts: each change of a day, one after the other."""

from __future__ import annotations

from prediction_assets_tests.orchestration.sensors.test_refresh import (
    Day,
    announced_home,
    day,
    follow_the_changes,
)

__all__ = ["announced_home", "day"]  # fixtures


def test_after_each_change_of_a_day_exactly_the_affected_players_have_new_rows(day: Day) -> None:
    follow_the_changes(day, slice(None))
