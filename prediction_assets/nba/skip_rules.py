"""Which expected players are not predicted, and why, decided on facts as of now.

The reasons are permanent: another attempt changes none of them, so the player settles as skipped at once and holds up
nobody. A fact that arrives after he was staged counts when he is staged again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from prediction_assets.slate.basis import OUT
from prediction_assets.slate.batch import ExpectedPlayer

NO_GAME_LOG = "no features: he has no game log before the slate, and no line"


def reasons_to_skip(
    players: Iterable[ExpectedPlayer],
    *,
    games: Iterable[Mapping[str, Any]],
    injuries: Iterable[Mapping[str, Any]],
    with_features: Collection[str],
) -> dict[str, str]:
    """Return why each player isn't predicted, by slug; a predicted player has no entry.

    Args:
        games: rows of :data:`prediction_assets.stores.sql.queries.SLATE_GAMES`, the slate's games as scheduled now.
        injuries: rows of :data:`prediction_assets.stores.sql.queries.NEWEST_INJURY_REPORT`.
        with_features: slugs of the players who have features, or a line instead.
    """
    playing = {game["game_id"]: {game["team_a"], game["team_b"]} for game in games}
    out = {row["player_id"]: row["reason"] or row["status"] for row in injuries if row["status"] == OUT}
    reasons: dict[str, str] = {}
    for player in players:
        if player.game_id not in playing:
            reasons[player.slug] = f"no game: {player.game_id} is no longer scheduled on the slate's date"
        elif player.team not in playing[player.game_id]:
            teams = " and ".join(sorted(playing[player.game_id]))
            reasons[player.slug] = f"no game: {player.game_id} is now between {teams}, without {player.team}"
        elif player.player_id in out:
            reasons[player.slug] = f"out: {out[player.player_id]}"
        elif player.slug not in with_features:
            reasons[player.slug] = NO_GAME_LOG
    return reasons
