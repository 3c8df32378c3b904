"""Who is expected on a slate: the rule, as pure functions over facts from before the slate.

A player is expected when his team plays, he appeared in the last 15 days and he averaged 15 minutes or more
over his last seven games. When his team hasn't played for longer than that (opening night, a long break),
the 15 days are counted back from the team's last game, because nobody could have appeared since.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Any

from prediction_assets.slate.batch import ExpectedPlayer
from prediction_assets.slate.keys import player_slugs

APPEARED_WITHIN = timedelta(days=15)
LEAST_AVERAGE_MINUTES = 15.0
FORM_GAMES = 7

CANDIDATE_LOOKBACK = timedelta(days=400)
"""How far back candidates are looked for: over an off-season, and a little more."""


def is_expected(candidate: Mapping[str, Any], slate: date) -> bool:
    """Return whether a candidate is expected.

    Args:
        candidate: ``last_game``, ``team_last_game`` (dates before the slate) and ``average_minutes`` (over
            his last :data:`FORM_GAMES` games).
        slate: the games' date.
    """
    window_end = slate
    if slate - candidate["team_last_game"] > APPEARED_WITHIN:
        window_end = candidate["team_last_game"]
    appeared = candidate["last_game"] >= window_end - APPEARED_WITHIN
    return bool(appeared and candidate["average_minutes"] >= LEAST_AVERAGE_MINUTES)


def expected_players(candidates: Iterable[Mapping[str, Any]], slate: date) -> tuple[ExpectedPlayer, ...]:
    """Return the expected players among candidates, sorted by slug.

    Args:
        candidates: rows of :data:`prediction_assets.stores.sql.queries.ROSTER_CANDIDATES`, one per player.
        slate: the games' date.
    """
    chosen = [c for c in candidates if is_expected(c, slate)]
    slugs = player_slugs({c["player_id"]: c["player_name"] for c in chosen})
    players = [
        ExpectedPlayer(
            player_id=c["player_id"],
            slug=slugs[c["player_id"]],
            name=c["player_name"],
            team=c["team"],
            opponent=c["opponent"],
            is_home=c["is_home"],
            game_id=c["game_id"],
        )
        for c in chosen
    ]
    return tuple(sorted(players, key=lambda player: player.slug))
