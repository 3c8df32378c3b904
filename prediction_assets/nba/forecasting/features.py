"""Point-in-time features: the declaration of their columns and the checks that a snapshot has them.

The query is in :mod:`.features_sql`. What doesn't belong here: running it, and values that a system derives from the
features (:mod:`.rows`).
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from prediction_assets.errors import BadInput
from prediction_assets.nba.forecasting.features_sql import RECENT_GAMES


@dataclass(frozen=True, slots=True)
class FeatureColumn:
    """One column of a feature snapshot: its name, Arrow type and what it holds (with unit)."""

    name: str
    type: pa.DataType
    description: str


_F, _I, _S, _B, _D = pa.float64(), pa.int64(), pa.string(), pa.bool_(), pa.date32()

KEY_COLUMNS = (
    FeatureColumn("is_slate", _B, "true on the rows to be predicted, false on training rows"),
    FeatureColumn("season_id", _I, "stats.nba.com SEASON_ID of the game"),
    FeatureColumn("game_id", _S, "stats.nba.com GAME_ID of the game"),
    FeatureColumn("game_date", _D, "US Eastern calendar date of the game"),
    FeatureColumn("player_id", _I, "stats.nba.com PLAYER_ID"),
    FeatureColumn(
        "player_name", _S, "the player's name, as this game's log (slate rows: his latest log) spells it"
    ),
    FeatureColumn("team", _S, "the player's team in the game; slate rows: the team of his latest game"),
    FeatureColumn("opponent", _S, "the other team, abbreviated"),
    FeatureColumn("is_home", _B, "true at home, false away, NULL on a neutral site"),
)

TARGET_COLUMNS = (
    FeatureColumn("points", _I, "points scored in the game; NULL on slate rows"),
    FeatureColumn("minutes", _I, "whole minutes played in the game; NULL on slate rows"),
)

FEATURE_COLUMNS = (
    FeatureColumn("games_last_25", _I, "earlier games known, counted to 25"),
    FeatureColumn("points_last_1", _F, "points in the previous game"),
    FeatureColumn("points_last_3", _F, "points per game over the last 3 games"),
    FeatureColumn("points_last_5", _F, "points per game over the last 5 games"),
    FeatureColumn("points_last_10", _F, "points per game over the last 10 games"),
    FeatureColumn("minutes_last_1", _F, "minutes in the previous game"),
    FeatureColumn("minutes_last_3", _F, "minutes per game over the last 3 games"),
    FeatureColumn("minutes_last_5", _F, "minutes per game over the last 5 games"),
    FeatureColumn("minutes_last_10", _F, "minutes per game over the last 10 games"),
    FeatureColumn("points_season", _F, "points per game this season so far; NULL before his first"),
    FeatureColumn("minutes_season", _F, "minutes per game this season so far; NULL before his first"),
    FeatureColumn("games_season", _I, "games played this season so far"),
    FeatureColumn(
        "points_previous_season", _F, "points per game of the season before; NULL if he didn't play"
    ),
    FeatureColumn(
        "minutes_previous_season", _F, "minutes per game of the season before; NULL if he didn't play"
    ),
    FeatureColumn("games_previous_season", _I, "games played in the season before; NULL if none"),
    FeatureColumn(
        "points_per_minute_last_10", _F, "points per minute over the last 10 games; NULL without a minute"
    ),
    FeatureColumn(
        "points_per_minute_season", _F, "points per minute this season so far; NULL without a minute"
    ),
    FeatureColumn("field_goals_attempted_last_10", _F, "field goal attempts per game over the last 10 games"),
    FeatureColumn(
        "three_pointers_attempted_last_10", _F, "three-point attempts per game over the last 10 games"
    ),
    FeatureColumn("free_throws_attempted_last_10", _F, "free throw attempts per game over the last 10 games"),
    FeatureColumn("field_goals_attempted_last_3", _F, "field goal attempts per game over the last 3 games"),
    FeatureColumn("free_throws_attempted_last_3", _F, "free throw attempts per game over the last 3 games"),
    FeatureColumn("field_goals_attempted_last_25", _F, "field goal attempts per game over the last 25 games"),
    FeatureColumn(
        "three_pointers_attempted_last_25", _F, "three-point attempts per game over the last 25 games"
    ),
    FeatureColumn("free_throws_attempted_last_25", _F, "free throw attempts per game over the last 25 games"),
    FeatureColumn(
        "attempts_per_minute_last_3", _F, "scoring attempts (FGA + 0.44 FTA) per minute, last 3 games"
    ),
    FeatureColumn("attempts_per_minute_last_10", _F, "scoring attempts per minute, last 10 games"),
    FeatureColumn("attempts_per_minute_last_60", _F, "scoring attempts per minute, last 60 games"),
    FeatureColumn("points_per_attempt_last_10", _F, "points per scoring attempt, last 10 games"),
    FeatureColumn("points_per_attempt_last_60", _F, "points per scoring attempt, last 60 games"),
    FeatureColumn(
        "lineup_last_1",
        _F,
        "scoring strength of the side he last played in: the sum of each man's points per game over his "
        "10 games before, points",
    ),
    FeatureColumn("lineup_last_10", _F, "mean scoring strength of the sides in his last 10 games, points"),
    FeatureColumn(
        "team_lineup_last_1", _F, "scoring strength of the side that his team last fielded, points"
    ),
    FeatureColumn("team_lineup_last_10", _F, "mean scoring strength of his team's last 10 sides, points"),
    FeatureColumn(
        "points_deviation_last_10", _F, "sample standard deviation of points, last 10 games; NULL under 2"
    ),
    FeatureColumn(
        "points_deviation_last_20", _F, "sample standard deviation of points, last 20 games; NULL under 2"
    ),
    FeatureColumn(
        "minutes_deviation_last_10", _F, "sample standard deviation of minutes, last 10 games; NULL under 2"
    ),
    FeatureColumn("points_max_last_20", _F, "most points in one of the last 20 games"),
    FeatureColumn("rest_days", _I, "days since the player's previous game: 1 is back to back"),
    FeatureColumn("team_rest_days", _I, "days since the team's previous game; NULL for the first one known"),
    FeatureColumn("is_back_to_back", _B, "the player played the day before"),
    FeatureColumn("games_last_7_days", _I, "the player's games in the 7 days before"),
    FeatureColumn("home", _F, "1 at home, 0 away, 0.5 on a neutral site"),
    FeatureColumn("team_points_last_15", _F, "the team's points per game over its last 15 games"),
    FeatureColumn(
        "team_pace_last_15", _F, "the team's possessions per game over its last 15 games, estimated"
    ),
    FeatureColumn(
        "opponent_points_allowed_last_15", _F, "points per game that the opponent allowed in its last 15"
    ),
    FeatureColumn(
        "opponent_pace_last_15", _F, "possessions per game against the opponent in its last 15, estimated"
    ),
    FeatureColumn(
        "opponent_defence", _F, "opponent_points_allowed_last_15 / league_points: above 1 is a weak defence"
    ),
    FeatureColumn("league_points", _F, "points per team and game over the league's last 60 game days"),
    FeatureColumn(
        "league_pace", _F, "possessions per team and game over the league's last 60 game days, estimated"
    ),
    FeatureColumn(
        "recent_points", pa.list_(_I), f"points of the last {RECENT_GAMES} games, most recent first"
    ),
    FeatureColumn(
        "recent_minutes", pa.list_(_I), f"minutes of the last {RECENT_GAMES} games, most recent first"
    ),
)
"""What a system may learn from: each is known before the game and computed from strictly earlier dates."""

FEATURES_SCHEMA: pa.Schema = pa.schema(
    [pa.field(c.name, c.type) for c in (*KEY_COLUMNS, *TARGET_COLUMNS, *FEATURE_COLUMNS)]
)


def conform(snapshot: pa.Table) -> pa.Table:
    """Return the snapshot with exactly the columns and types of :data:`FEATURES_SCHEMA`.

    Raises:
        BadInput: a column is missing, or a value doesn't fit its type.
    """
    missing = [name for name in FEATURES_SCHEMA.names if name not in snapshot.column_names]
    if missing:
        raise BadInput(
            "feature snapshot",
            f"lacks {', '.join(missing)}",
            hint="rebuild it with this version's FEATURES_SQL",
        )
    try:
        return snapshot.select(FEATURES_SCHEMA.names).cast(FEATURES_SCHEMA)
    except pa.ArrowInvalid as error:
        raise BadInput(
            "feature snapshot", str(error), hint="rebuild it with this version's FEATURES_SQL"
        ) from error


def split_snapshot(snapshot: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Return ``(history, players)``: the training rows and the slate's rows of one
    :data:`~prediction_assets.nba.forecasting.features_sql.FEATURES_SQL`
    result.

    Raises:
        BadInput: as :func:`conform`.
    """
    table = conform(snapshot)
    on_slate = table.column("is_slate")
    past = table.num_rows - (pc.sum(on_slate).as_py() or 0)
    if pc.any(on_slate.slice(0, past)).as_py():  # not in the query's order: in two copies
        return table.filter(pc.invert(on_slate)), table.filter(on_slate)
    return table.slice(0, past), table.slice(past)
