"""Exports of other sites are refused with a way on, under whatever name and in whatever order."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from prediction_assets.errors import BadInput
from prediction_assets.ingest.game_logs import read_game_logs
from prediction_assets.ingest.injury_reports import read_injury_reports
from prediction_assets.ingest.names import PlayerDirectory
from prediction_assets.ingest.other_exports import recognized
from prediction_assets.ingest.schedule import read_schedule

PLAYERS = PlayerDirectory.from_rows([(901, "Zoran Brežina", "DEN", date(2025, 12, 30))])
LOG = "Rk,G,Date,Age,Tm,,Opp,,GS,MP,FG,FGA,FG%,3P,3PA,3P%,FT,FTA,FT%,ORB,DRB,TRB,AST,STL,BLK,TOV,PF,PTS,GmSc,+/-"
FINDER = "Rk,Player,Date,Age,Team,,Opp,Result,GS,MP,FG,FGA,3P,3PA,FT,FTA,ORB,DRB,TRB,AST,STL,BLK,TOV,PF,PTS"
REALGM = "Player,Team,Date,Opponent,Min,FGM,FGA,3PM,3PA,FTM,FTA,FIC,Off,Def,Reb,Ast,PF,STL,TO,BLK,PTS"


def a_file(folder: Path, header: str) -> Path:
    path = folder / "export.csv"
    path.write_text(f"{header}\n{','.join('x' * len(header.split(',')))}\n", "utf-8")
    return path


@pytest.mark.parametrize(
    ("header", "whose"),
    [
        (LOG, "Basketball-Reference's game log"),
        (",".join(reversed(LOG.split(","))), "Basketball-Reference's game log"),
        (FINDER, "Stathead's game finder"),
        (FINDER.upper(), "Stathead's game finder"),
        (REALGM, "RealGM's box scores"),
        ("Rk,Player,Age,Team,Pos,G,GS,MP,FG,FGA,3P,3PA,ORB,DRB,TRB,AST,PTS", "totals of a season"),
    ],
)
def test_box_scores_of_another_site_say_how_to_get_game_logs(tmp_path, header, whose):
    with pytest.raises(BadInput, match=rf"this is .*{whose}: game logs need .*ingest --season .* as JSON"):
        read_game_logs(a_file(tmp_path, header))


@pytest.mark.parametrize(
    ("header", "whose"),
    [
        ("Date,Start (ET),Visitor/Neutral,PTS,Home/Neutral,PTS,,,Attend.,LOG,Arena,Notes", "Basketball-Reference's"),
        ("Date,Visitor/Neutral,Home/Neutral", "Basketball-Reference's"),
        ("Date,Away Team,Home Team,Time", "RealGM's"),
    ],
)  # fmt: skip
def test_a_schedule_of_another_site_says_how_to_get_one_with_game_ids(tmp_path, header, whose):
    with pytest.raises(
        BadInput, match=rf"this is {whose} schedule: a schedule needs .*scheduleLeagueV2\.json"
    ):
        read_schedule(a_file(tmp_path, header))


@pytest.mark.parametrize("header", ["Player,Team,Update,Description", "Player,Team,Injury,Status,Return"])
def test_an_injury_list_of_another_site_says_where_the_official_report_is(tmp_path, header):
    with pytest.raises(
        BadInput, match=r"injury list: .*take Injury-Report_DATE_TIME\.pdf from official\.nba\.com"
    ):
        read_injury_reports(a_file(tmp_path, header), PLAYERS)


def test_a_table_of_nobody_known_is_not_taken_for_an_export(tmp_path):
    assert recognized(["GAME_ID", "PLAYER_ID", "PTS", "MIN"]) is None
    with pytest.raises(BadInput, match="columns found: a, b"):
        read_schedule(a_file(tmp_path, "a,b"))
