"""What a report says of a side: who is missing, and what that leaves to his team-mates, above all to those like him."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from prediction_assets.nba.forecasting.candidates import COLUMNS, PLAYED, Candidates, Sides

OUT, UNLISTED = 0, len(PLAYED) - 1
CHANCES = np.broadcast_to(np.linspace(0.0, 1.0, len(PLAYED))[:, None, None], (len(PLAYED), 4, 3))
"""Out never plays, and who isn't listed always does."""


def candidate(player_id: int, **cells: Any) -> dict[str, Any]:
    """Return a guard of AAA with 30 minutes and 15 points a game, who missed none of the last 20; keywords replace."""
    return {
        "game_id": "1", "game_date": date(2025, 1, 1), "team": "AAA", "player_id": player_id, "points_10": 150,
        "minutes_10": 300, "games_10": 10, "minutes_3": 99, "games_3": 3, "minutes_25": 720, "games_25": 24,
        "rebounds_25": 100, "assists_25": 140, "blocks_25": 0, "possessions_25": 36_000, "played_20": 20,
        "played_recently": 28, "games_missed": 0, "played": True,
    } | cells  # fmt: skip


CENTER = {"rebounds_25": 240, "assists_25": 40, "blocks_25": 30}


def said(rows: list[dict[str, Any]], statuses: list[int]) -> dict[int, dict[str, float]]:
    candidates = Candidates(Sides(pa.Table.from_pylist(rows), pa.table({})))
    columns = candidates.columns(np.array(statuses), CHANCES)
    return {
        row["player_id"]: dict(zip(COLUMNS, each, strict=True))
        for row, each in zip(rows, columns, strict=True)
    }


def test_who_is_out_leaves_his_minutes_to_team_mates_of_his_position() -> None:
    rows = [candidate(1), candidate(2), candidate(3, **CENTER), candidate(4, team="BBB")]
    of = said(rows, [OUT, UNLISTED, UNLISTED, UNLISTED])
    for player in (2, 3):
        assert of[player]["report_missing_minutes"] == 30
        assert of[player]["report_more_minutes_7"] == of[player]["report_more_minutes_20"] == -30
        assert of[player]["report_more_points_7"] == -15
    assert of[2]["report_alike_more_minutes_7"] == pytest.approx(-30)
    assert -3 < of[3]["report_alike_more_minutes_7"] < 0
    assert of[4]["report_more_minutes_7"] == of[4]["report_alike_minutes"] == 0
    assert of[2]["report_position"] == pytest.approx((0.05 * (100 - 0.9 * 140) - 4.2) / 4.5)
    assert (of[2]["report_assists"], of[2]["report_possessions"]) == (7, 18)
    assert (of[2]["report_minutes_25"], of[2]["report_minutes_3"]) == (30, 33)


def test_who_has_been_out_long_leaves_nothing_new_and_takes_it_when_he_comes_back() -> None:
    away = candidate(1, games_missed=9, played_recently=0, played_20=11)
    still_out, back = (said([away, candidate(2)], [status, UNLISTED])[2] for status in (OUT, UNLISTED))
    assert (still_out["report_more_minutes_7"], still_out["report_more_minutes_20"]) == (
        0,
        pytest.approx(-16.5),
    )
    assert (back["report_more_minutes_7"], back["report_more_minutes_20"]) == (30, pytest.approx(13.5))
    assert (back["report_returning_minutes"], still_out["report_missing_minutes"]) == (30, 0)


def test_a_side_s_columns_do_not_depend_on_the_other_sides_and_are_missing_without_a_report() -> None:
    mine = [candidate(1), candidate(2, **CENTER)]
    others = [candidate(10 + n, team="BBB", minutes_10=100 + n) for n in range(9)]
    alone, together = said(mine, [OUT, UNLISTED]), said([*mine, *others], [OUT, UNLISTED, *[UNLISTED] * 9])
    assert {player: together[player] for player in alone} == alone
    assert np.isnan([*said(mine, [-1, -1])[1].values()]).all()
