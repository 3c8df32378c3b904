"""One player before one game, as a typed record: for a system that is written for a player at a time.

The built-in systems compute on whole columns (:class:`.rows.Rows`), which is a hundred times faster; one that is
easier to say about a single player takes a :class:`PlayerFeatures` and is wrapped in :class:`PerPlayer`. What each
field holds is in :data:`.features.FEATURE_COLUMNS`; ``test_player.py`` holds the two against each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from datetime import date

import numpy as np

from prediction_assets.nba.forecasting.arrays import Floats
from prediction_assets.nba.forecasting.rows import Rows


@dataclass(frozen=True, slots=True)
class PlayerFeatures:
    """What is known of a player before a game; None where there is nothing to compute it from."""

    season_id: int | None
    game_id: str
    game_date: date
    player_id: int
    player_name: str
    team: str
    opponent: str
    is_home: bool | None
    games_last_25: int
    points_last_1: float | None
    points_last_3: float | None
    points_last_5: float | None
    points_last_10: float | None
    minutes_last_1: float | None
    minutes_last_3: float | None
    minutes_last_5: float | None
    minutes_last_10: float | None
    points_season: float | None
    minutes_season: float | None
    games_season: int
    points_previous_season: float | None
    minutes_previous_season: float | None
    games_previous_season: int | None
    points_per_minute_last_10: float | None
    points_per_minute_season: float | None
    field_goals_attempted_last_10: float | None
    three_pointers_attempted_last_10: float | None
    free_throws_attempted_last_10: float | None
    field_goals_attempted_last_3: float | None
    free_throws_attempted_last_3: float | None
    field_goals_attempted_last_25: float | None
    three_pointers_attempted_last_25: float | None
    free_throws_attempted_last_25: float | None
    attempts_per_minute_last_3: float | None
    attempts_per_minute_last_10: float | None
    attempts_per_minute_last_60: float | None
    points_per_attempt_last_10: float | None
    points_per_attempt_last_60: float | None
    lineup_last_1: float | None
    lineup_last_10: float | None
    team_lineup_last_1: float | None
    team_lineup_last_10: float | None
    points_deviation_last_10: float | None
    points_deviation_last_20: float | None
    minutes_deviation_last_10: float | None
    points_max_last_20: float | None
    rest_days: int | None
    team_rest_days: int | None
    is_back_to_back: bool | None
    games_last_7_days: int | None
    home: float
    team_points_last_15: float | None
    team_pace_last_15: float | None
    opponent_points_allowed_last_15: float | None
    opponent_pace_last_15: float | None
    opponent_defence: float | None
    league_points: float | None
    league_pace: float | None
    recent_points: tuple[int, ...]
    recent_minutes: tuple[int, ...]


_NAMES = tuple(field.name for field in fields(PlayerFeatures))


@dataclass(frozen=True, slots=True)
class PerPlayer:
    """A mean that asks a function for each player's expected points.

    The function must be a module's own (not a lambda or a closure), or the fitted system can't be stored.
    """

    expected_points: Callable[[PlayerFeatures], float]

    def __call__(self, rows: Rows) -> Floats:
        """Return expected points, shape (n,)."""
        return np.array([self.expected_points(player) for player in each_player(rows)], dtype=np.float64)


def each_player(rows: Rows) -> Iterator[PlayerFeatures]:
    """Yield the rows as records, in their order."""
    for row in rows.table.select(_NAMES).to_pylist():
        row["recent_points"] = tuple(row["recent_points"] or ())
        row["recent_minutes"] = tuple(row["recent_minutes"] or ())
        yield PlayerFeatures(**row)
