"""Who isn't predicted, and why."""

from __future__ import annotations

import pytest

from prediction_assets.nba.skip_rules import NO_GAME_LOG, reasons_to_skip
from prediction_assets_tests.made_up import player

GAME = player(1).game_id
ON = [{"game_id": GAME, "team_a": "S01", "team_b": "S02"}]
OFF = [{"game_id": "9000000002", "team_a": "S01", "team_b": "S03"}]
WITHOUT_HIS_TEAM = [{"game_id": GAME, "team_a": "S02", "team_b": "S03"}]


def injury(status: str, reason: str | None = "Injury/Illness - Left Knee; Soreness", player_id: int = 101):
    return {"player_id": player_id, "status": status, "reason": reason}


@pytest.mark.parametrize(
    ("games", "injuries", "has_features", "expected"),
    [
        (ON, [], True, None),
        (ON, [], False, NO_GAME_LOG),
        (ON, [injury("Out")], True, "out: Injury/Illness - Left Knee; Soreness"),
        (ON, [injury("Out", None)], True, "out: Out"),
        (ON, [injury("Out")], False, "out: Injury/Illness - Left Knee; Soreness"),
        (ON, [injury("Doubtful")], True, None),
        (ON, [injury("Questionable")], True, None),
        (ON, [injury("Probable")], True, None),
        (ON, [injury("Available")], True, None),
        (ON, [injury("Out", player_id=999)], True, None),
        ([], [], True, f"no game: {GAME} is no longer scheduled on the slate's date"),
        (OFF, [injury("Out")], False, f"no game: {GAME} is no longer scheduled on the slate's date"),
        (WITHOUT_HIS_TEAM, [], True, f"no game: {GAME} is now between S02 and S03, without S01"),
    ],
)
def test_a_player_is_skipped_for_the_first_reason_that_no_retry_changes(
    games, injuries, has_features, expected
):
    features = {"player-1"} if has_features else set()
    found = reasons_to_skip([player(1)], games=games, injuries=injuries, with_features=features)
    assert found == ({} if expected is None else {"player-1": expected})


def test_one_player_s_reason_is_nobody_else_s():
    found = reasons_to_skip(
        [player(1), player(2), player(3)],
        games=ON,
        injuries=[injury("Out", player_id=102)],
        with_features={"player-1", "player-2"},
    )
    assert found == {"player-2": "out: Injury/Illness - Left Knee; Soreness", "player-3": NO_GAME_LOG}
