"""Exports of other sites: box scores are read as far as they resolve, the others refused with a way on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from prediction_assets.errors import BadInput
from prediction_assets.ingest.game_logs import read_game_logs
from prediction_assets.ingest.injury_reports import read_injury_reports
from prediction_assets.ingest.names import PlayerDirectory
from prediction_assets.ingest.other_box_scores import Stored, StoredGame
from prediction_assets.ingest.other_exports import recognized
from prediction_assets.ingest.precheck import refuse_bad_sources
from prediction_assets.ingest.schedule import read_schedule

PLAYERS = PlayerDirectory.from_rows(
    [(901, "Zoran Brežina", "DEN", date(2025, 12, 30)), (903, "Sam Stone", "PHX", date(2025, 12, 30))]
)
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
        (FINDER.replace(",Opp,", ",,"), "Stathead's game finder"),
        (FINDER.upper().replace(",DATE,", ",,"), "Stathead's game finder"),
        (REALGM.replace(",Date,", ","), "RealGM's box scores"),
        ("Rk,Player,Age,Team,Pos,G,GS,MP,FG,FGA,3P,3PA,ORB,DRB,TRB,AST,PTS", "totals of a season"),
    ],
)
def test_box_scores_that_lack_a_player_a_team_or_a_date_say_how_to_get_game_logs(tmp_path, header, whose):
    with pytest.raises(BadInput, match=rf"this is .*{whose}: game logs need .*ingest --season .* as JSON"):
        read_game_logs(a_file(tmp_path, header))


SCORES = {
    "Player": "Zoran Brezina", "Date": "2025-12-30", "Team": "DEN", "Opp": "BRK", "Result": "W, 120-101", "MP": "31:40",
    "FG": 7, "FGA": 15, "3P": 2, "3PA": 5, "FT": 4, "FTA": 4, "ORB": 1, "DRB": 6, "AST": 9, "STL": 1, "BLK": 0,
    "TOV": 3, "PF": 2, "PTS": 20, "+/-": -4, "Rk": 1, "GmSc": 20.1,
}  # fmt: skip
OF_REALGM = dict(
    zip(
        ("FG", "3P", "FT", "ORB", "DRB", "TOV", "MP", "Opp"),
        ("FGM", "3PM", "FTM", "Off", "Def", "TO", "Min", "Opponent"),
        strict=True,
    )
)


@pytest.fixture
def stored() -> Stored:
    """A stored game in Denver, and one on a neutral site."""
    games = {
        (date(2025, 12, 30), team): StoredGame("0022500440", ("BKN", "DEN"), "DEN") for team in ("BKN", "DEN")
    } | {
        (date(2025, 12, 31), team): StoredGame("0022500441", ("DEN", "PHX"), None) for team in ("DEN", "PHX")
    }
    return Stored(PLAYERS, games)


Change = Callable[[dict[str, Any]], dict[str, Any]]
WRITTEN: list[tuple[str, Change]] = [
    ("Basketball-Reference", lambda row: row),
    ("RealGM", lambda row: {OF_REALGM.get(name, name): cell for name, cell in row.items()}),
    ("other order", lambda row: dict(reversed(row.items()))),
    ("small letters", lambda row: {name.lower(): cell for name, cell in row.items()}),
    ("full names", lambda row: row | {"Team": "Denver Nuggets", "Opp": "Brooklyn Nets"}),
    ("an away game's mark", lambda row: row | {"Opp": "vs BKN"}),
    ("US dates", lambda row: row | {"Date": "12/30/2025"}),
    ("long dates", lambda row: row | {"Date": "Tue, Dec 30, 2025"}),
    ("whole minutes", lambda row: row | {"MP": "32.0"}),
    ("without a result", lambda row: {n: cell for n, cell in row.items() if n not in ("Result", "+/-")}),
]  # fmt: skip


@pytest.mark.parametrize(("case", "change"), WRITTEN, ids=[each[0] for each in WRITTEN])
def test_a_box_score_gets_the_ids_of_the_stored_game_and_player(write_csv, stored, case, change):
    [row] = read_game_logs(write_csv([change(SCORES)]), lambda: stored).table.to_pylist()
    assert (row["game_id"], row["season_id"], row["player_id"], row["team_id"]) == (
        "0022500440", 22025, 901, 1610612743,
    )  # fmt: skip
    assert (row["opponent"], row["is_home"], row["minutes"], row["points"]) == ("BKN", True, 32, 20)
    assert (row["offensive_rebounds"], row["defensive_rebounds"], row["turnovers"]) == (1, 6, 3)
    assert (row["is_win"], row["plus_minus"]) == ((None, None) if case == "without a result" else (True, -4))


def test_on_a_neutral_site_nobody_is_at_home_as_far_as_the_stored_game_says(write_csv, stored):
    rows = [
        SCORES | {"Date": "2025-12-31", "Opp": "PHO"},
        SCORES | {"Date": "2025-12-31", "Team": "PHO", "Opp": "DEN", "Player": "Sam Stone"},
    ]
    read = read_game_logs(write_csv(rows), lambda: stored)
    assert (read.table["is_home"].to_pylist(), read.neutral_games) == ([None, None], ("0022500441",))


@pytest.mark.parametrize(
    ("cells", "name", "reason"),
    [
        ({"Player": "Jo Nobody"}, "Jo Nobody", "unknown: no game log has this name"),
        ({"Opp": "BOS"}, "DEN and BOS on 2025-12-30", "no stored game of these teams on that date"),
        ({"Date": "2025-12-29"}, "DEN and BKN on 2025-12-29", "no stored game of these teams on that date"),
    ],
)
@pytest.mark.parametrize("turn", [1, -1])
def test_a_row_that_does_not_resolve_is_left_out_and_named(write_csv, stored, cells, name, reason, turn):
    rows = [SCORES, SCORES | cells][::turn]
    read = read_game_logs(write_csv(rows), lambda: stored)
    assert (read.table["player_id"].to_pylist(), len(read.unresolved)) == ([901], 1)
    assert (read.unresolved[0].name, reason in read.unresolved[0].reason) == (name, True)
    with pytest.raises(
        BadInput, match=rf"no row resolves to a stored game and player: {name}: .*ingest --season"
    ):
        read_game_logs(write_csv([SCORES | cells]), lambda: stored)


def test_repeated_headers_and_games_that_he_missed_are_no_box_scores(write_csv, stored):
    head = {name: name for name in SCORES}
    missed = dict.fromkeys(SCORES, "") | {name: SCORES[name] for name in ("Player", "Date", "Team", "Opp")}
    did_not_play = dict.fromkeys(SCORES, "Did Not Play") | {name: SCORES[name] for name in ("Player", "Date")}
    read = read_game_logs(write_csv([SCORES, head, missed, did_not_play]), lambda: stored)
    assert (read.table.num_rows, read.unresolved) == (1, ())


@pytest.mark.parametrize(
    ("cells", "problem"),
    [
        ({"Date": "Tuesday"}, "row 2, column Date: 'Tuesday' is not a date"),
        ({"Team": "XXX"}, "row 2, column Team: unknown team 'XXX'"),
        ({"MP": "-5"}, "row 2, column MP: -5 is not a number of minutes"),
        ({"PTS": 21}, "row 2, column PTS: 21 points, but"),
        ({"AST": "1e300"}, "row 2, column AST: '1e300' is not a whole number"),
    ],
)
def test_a_bad_cell_of_a_box_score_is_refused_by_row(write_csv, stored, cells, problem):
    with pytest.raises(BadInput, match=problem):
        read_game_logs(write_csv([SCORES | cells]), lambda: stored)


def test_before_anything_is_stored_the_cells_are_checked_only(write_csv):
    path = write_csv([SCORES])
    refuse_bad_sources({"game_logs": path})
    with pytest.raises(BadInput, match="column Date: "):
        refuse_bad_sources({"game_logs": write_csv([SCORES | {"Date": "never"}], "bad.csv")})


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
