"""New facts against stored ones: what contradicts waits in quarantine, in one file or two, in any order."""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prediction_assets.errors import BadInput
from prediction_assets.ingest import quarantine
from prediction_assets.ingest.evidence import Game, StoredFacts, objections_to_logs, said, teams_of
from prediction_assets.ingest.game_logs import GameLogsRead, read_game_logs
from prediction_assets.ingest.injury_reports import read_injury_reports
from prediction_assets.ingest.limits import MOST_IN_A_GAME
from prediction_assets.ingest.merging import (
    Merged,
    merge_game_logs,
    merge_injury_reports,
    merge_prop_lines,
    merge_schedule,
)
from prediction_assets.ingest.names import PlayerDirectory
from prediction_assets.ingest.prop_lines import read_prop_lines
from prediction_assets.ingest.quarantine import State
from prediction_assets.ingest.schedule import read_schedule
from prediction_assets.slate.batch import Batch
from prediction_assets.stores.protocols import Warehouse
from prediction_assets.stores.sql.tables import GAME_LOGS
from prediction_assets_tests.contract.ingest.conftest import BOX_SCORE, OPPONENT
from prediction_assets_tests.in_memory import InMemoryBatchState, InMemoryWarehouse
from prediction_assets_tests.made_up_feeds import listed_game, schedule_answer

NOW = datetime(2024, 11, 5, 15, tzinfo=UTC)
TONIGHT = "2024-11-05"
Row = dict[str, Any]


def box(**cells: Any) -> Row:
    return BOX_SCORE | cells


def visitor(**cells: Any) -> Row:
    return BOX_SCORE | OPPONENT | cells


def game(number: int = 61, day: str = "2024-10-22", home: str = "DEN", away: str = "LAL", **more: Any) -> Row:
    return {"game_id": f"00224{number:05}", "game_date": day, "home_team": home, "away_team": away} | more


class Home:
    """A warehouse in memory, and the files that are ingested into it."""

    def __init__(self, folder: Path) -> None:
        self.warehouse: Warehouse = InMemoryWarehouse()
        self.batches = InMemoryBatchState()
        self.folder, self._files = folder, itertools.count(1)

    def file(self, rows: Sequence[Mapping[str, Any]], name: str = "") -> Path:
        path = self.folder / (name or f"{next(self._files)}.csv")
        with path.open("w", encoding="utf-8", newline="") as text:
            writer = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)))
            writer.writeheader()
            writer.writerows(rows)
        return path

    def logs(self, *rows: Row, now: datetime = NOW) -> Merged:
        path = self.file(rows)
        return merge_game_logs(self.warehouse, read_game_logs(path), str(path), now)

    def schedule(self, *rows: Row, now: datetime = NOW, **options: bool) -> Merged:
        path = self.file(rows, "schedule.csv")
        read = read_schedule(path)
        return merge_schedule(self.warehouse, self.batches, read, str(path), now, **options)

    def lines(self, *rows: Row, now: datetime = NOW) -> Merged:
        path = self.file(rows)
        return merge_prop_lines(self.warehouse, read_prop_lines(path, PLAYERS), str(path), now)

    def reports(self, *rows: Row, now: datetime = NOW) -> Merged:
        path = self.file(rows)
        return merge_injury_reports(self.warehouse, read_injury_reports(path, PLAYERS), str(path), now)

    def stored_logs(self) -> list[tuple[Any, ...]]:
        sql = "SELECT game_id, player_id, player_name, game_date, minutes FROM facts.game_logs ORDER BY 1, 2"
        return [tuple(row.values()) for row in self.warehouse.query(sql).to_pylist()]

    def stored_games(self) -> dict[str, tuple[str, str, str]]:
        sql = "SELECT game_id, game_date, team_a, team_b FROM facts.schedule ORDER BY 1"
        return {
            row["game_id"][-2:]: (row["game_date"].isoformat(), *sorted((row["team_a"], row["team_b"])))
            for row in self.warehouse.query(sql).to_pylist()
        }

    def open_rows(self) -> list[quarantine.Quarantined]:
        return quarantine.find(self.warehouse, ())


PLAYERS = PlayerDirectory.from_rows(
    [(901, "Zoran Brežina", "DEN", date(2024, 11, 1)), (902, "Tadeo Quill Jr.", "LAL", date(2024, 11, 1))]
)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


# Game logs ----------------------------------------------------------------------------------------

GOOD = [box(), visitor()]
LATER = {"GAME_ID": "0022400077", "GAME_DATE": "2024-10-24"}

CONTRADICTIONS: list[tuple[str, Row, str]] = [
    ("a game on another date", box(PLAYER_ID=903, GAME_DATE="2024-10-23"), "on 2024-10-23 here, and DEN and LAL on"),
    ("a game of other teams", box(PLAYER_ID=903, MATCHUP="DEN vs. BOS"), "BOS and DEN on 2024-10-22 here, and DEN"),
    ("another name under an id", box(PLAYER_NAME="Olu Marchetti", **LATER), "is Olu Marchetti here, and Zoran Brežina"),
    ("two ids that changed names", box(PLAYER_NAME="Tadeo Quill", **LATER), "id 901 is Tadeo Quill here"),
    (
        "a player in two games on one date",
        box(GAME_ID="0022400062", MATCHUP="DEN vs. BOS"),
        "of DEN in game 0022400062 here, and of DEN in game 0022400061",
    ),
    (
        "a player in two teams on one date",
        box(GAME_ID="0022400062", TEAM_ABBREVIATION="BOS", TEAM_ID=1610612738, MATCHUP="BOS vs. NYK"),
        "of BOS in game 0022400062 here, and of DEN in game 0022400061",
    ),
    (
        "a team in two games on one date, by another player's row",
        box(PLAYER_ID=903, PLAYER_NAME="Kai Else", GAME_ID="0022400062", MATCHUP="DEN vs. BOS"),
        "DEN plays on 2024-10-22 in game 0022400062 here, and in game 0022400061",
    ),
    (
        "a team in two games on one date, as an opponent",
        box(
            PLAYER_ID=903, PLAYER_NAME="Kai Else", GAME_ID="0022400062", TEAM_ABBREVIATION="BOS",
            TEAM_ID=1610612738, MATCHUP="BOS @ LAL",
        ),
        "LAL plays on 2024-10-22 in game 0022400062 here, and in game 0022400061",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("case", "row", "reason"), CONTRADICTIONS, ids=[c[0] for c in CONTRADICTIONS])
def test_a_log_that_contradicts_a_stored_one_waits_with_both_sides_named(
    home: Home, case: str, row: Row, reason: str
) -> None:
    assert home.logs(*GOOD).quarantined == ()
    before = home.stored_logs()
    harmless = box(PLAYER_ID=950, PLAYER_NAME="Al Fresco", GAME_ID="0022400090", GAME_DATE="2024-10-30")
    merged = home.logs(row, harmless)
    (entry,) = merged.quarantined
    assert reason in entry.reason
    assert entry.source_row.startswith("row 2 of ")
    assert set(home.stored_logs()) == {*before, ("0022400090", 950, "Al Fresco", date(2024, 10, 30), 31)}


@pytest.mark.parametrize(("case", "row", "reason"), CONTRADICTIONS, ids=[c[0] for c in CONTRADICTIONS])
def test_in_the_other_order_the_other_side_waits(home: Home, case: str, row: Row, reason: str) -> None:
    assert home.logs(row).quarantined == ()
    before = home.stored_logs()
    waiting = home.logs(*GOOD).quarantined
    assert waiting
    assert set(before) <= set(home.stored_logs())
    held = {entry.row["player_id"] for entry in waiting}
    assert held <= {901, 902}


IN_ANY_ORDER = pytest.mark.parametrize("turn", [1, -1], ids=["as written", "in another order"])


@IN_ANY_ORDER
@pytest.mark.parametrize(
    ("case", "row", "reason"), CONTRADICTIONS[:2], ids=[c[0] for c in CONTRADICTIONS[:2]]
)
def test_a_file_in_which_a_game_contradicts_itself_is_refused_with_both_sides_named(
    home: Home, case: str, row: Row, reason: str, turn: int
) -> None:
    with pytest.raises(BadInput, match=r"row \d: game 0022400061 has .* here and .* in row \d"):
        home.logs(*[*GOOD, row][::turn])
    assert home.stored_logs() == []


@IN_ANY_ORDER
@pytest.mark.parametrize(
    ("case", "row", "reason"), CONTRADICTIONS[2:], ids=[c[0] for c in CONTRADICTIONS[2:]]
)
def test_of_two_rows_of_a_file_that_contradict_each_other_neither_is_stored(
    home: Home, case: str, row: Row, reason: str, turn: int
) -> None:
    waiting = home.logs(*[*GOOD, row][::turn]).quarantined
    # Of a team's two games all rows wait.
    is_another_game = row["GAME_DATE"] == "2024-10-22" and not {"DEN", "LAL"}.isdisjoint(
        row["MATCHUP"].split()
    )
    expected = [901, 902, row["PLAYER_ID"]] if is_another_game else [901, 901]
    assert sorted(entry.row["player_id"] for entry in waiting) == sorted(expected)
    assert all(f" of {home.folder}" in entry.reason for entry in waiting)
    assert [row[1] for row in home.stored_logs()] == ([] if is_another_game else [902])


@pytest.mark.parametrize(
    "spelled", ["Zoran Brezina", "ZORAN BREŽINA", "Zoran Brežina III", "Z.o.r.a.n Brezina"]
)
def test_a_spelling_of_the_same_name_contradicts_nothing(home: Home, spelled: str) -> None:
    home.logs(*GOOD)
    assert home.logs(box(PLAYER_NAME=spelled, **LATER)).quarantined == ()


def test_a_trade_and_a_corrected_value_contradict_nothing(home: Home) -> None:
    home.logs(*GOOD)
    traded = box(TEAM_ABBREVIATION="BOS", TEAM_ID=1610612738, MATCHUP="BOS @ NYK", **LATER)
    merged = home.logs(box(AST=8), traded)
    assert (merged.quarantined, merged.upserted.updated, merged.upserted.inserted) == ((), 1, 1)


def test_logs_that_contradict_the_schedule_wait(home: Home) -> None:
    home.schedule(game(61, "2024-10-23"))
    assert [entry.reason for entry in home.logs(*GOOD).quarantined] == [
        "it is DEN and LAL on 2024-10-22 here, and DEN and LAL on 2024-10-23 in the stored schedule"
    ] * 2


@pytest.mark.parametrize(
    "cells", [{}, {"MATCHUP": "DEN vs. BOS"}, {"TEAM_ABBREVIATION": "BOS", "MATCHUP": "BOS @ DEN"}]
)
def test_logs_of_another_game_than_the_schedule_s_of_a_team_on_that_date_wait(home: Home, cells: Row) -> None:
    home.schedule(game(61))
    (entry,) = home.logs(box(GAME_ID="0022400999", **cells)).quarantined
    assert (
        "DEN plays on 2024-10-22 in game 0022400999 here, and in game 0022400061 in the stored schedule"
        in entry.reason
    )
    assert home.logs(*GOOD).quarantined == ()


@pytest.mark.parametrize(("season", "waits"), [("23", True), ("14", True), ("13", False)])
def test_a_game_of_a_team_that_the_season_has_not_waits(home: Home, season: str, waits: bool) -> None:
    of_season = {"game_id": f"002{season}00061", "game_date": f"20{season}-11-02"}
    merged = home.schedule(game(home="SEA", away="LAL") | of_season)
    assert bool(merged.quarantined) is waits
    assert not waits or "no team of the NBA has the abbreviation SEA in 20" in merged.quarantined[0].reason


BEYOND: list[tuple[Row, str]] = [
    ({"MIN": 3500}, "3500 minutes, more than 78"),
    ({"MIN": 79}, "79 minutes, more than 78"),
    ({"PTS": 104, "FGM": 50, "FGA": 60, "FG3M": 2, "FTM": 2}, "104 points, more than 100; "),
    ({"AST": 31}, "31 assists, more than 30"),
    ({"GAME_DATE": "2024-11-06"}, "a game log of 2024-11-06, which is after today, 2024-11-05"),
    ({"GAME_DATE": "2023-10-22"}, "2023-10-22 is not a date of 2024-25, the season in the id 0022400061"),
    ({"GAME_DATE": "2025-10-22"}, "2025-10-22 is not a date of 2024-25, the season in the id 0022400061"),
    ({"SEASON_ID": 22023}, "SEASON_ID 22023 is regular season 2023-24, and the id 0022400061 is"),
    ({"SEASON_ID": 12024}, "SEASON_ID 12024 is pre-season 2024-25, and the id"),
    ({"TEAM_ABBREVIATION": "GS", "MATCHUP": "GS @ LAL"}, "no team of the NBA has the abbreviation GS in 2024-25"),
    ({"SEASON_ID": 42024}, "SEASON_ID 42024 is playoffs 2024-25"),
]  # fmt: skip


@pytest.mark.parametrize(("cells", "reason"), BEYOND)
def test_a_value_that_no_game_has_waits_and_the_other_rows_are_stored(
    home: Home, cells: Row, reason: str
) -> None:
    other = visitor(GAME_ID="0022400090", GAME_DATE="2024-10-30")
    for rows in ([box(**cells), other], [other, box(**cells)]):
        (entry,) = home.logs(*rows).quarantined
        assert reason in entry.reason
        assert [row[0] for row in home.stored_logs()] == ["0022400090"]


@pytest.mark.parametrize("value", ["1e300", 10**400, "9" * 16])
def test_a_number_that_no_column_holds_is_refused_in_words(home: Home, value: Any) -> None:
    for column in ("MIN", "PTS", "PLAYER_ID", "PLUS_MINUS"):
        with pytest.raises(BadInput, match=f"row 2, column {column}: "):
            home.logs(box(**{column: value}))


@pytest.mark.parametrize("value", [1e300, float("inf"), -1e20])
def test_a_float_that_no_column_holds_is_refused_in_words(tmp_path: Path, value: float) -> None:
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist([box(MIN=value)]), tmp_path / "logs.parquet")
    with pytest.raises(BadInput, match="row 1, column MIN: "):
        read_game_logs(tmp_path / "logs.parquet")


KINDS = [
    ("0012400061", 12024, "pre-season"),
    ("0032400061", 32024, "All-Star"),
    ("1022400061", 22024, "WNBA"),
    ("1522400061", 22024, "summer league"),
    ("2022400061", 22024, "G League"),
    ("0092400061", 22024, "another kind of game"),
    ("7722400061", 22024, "another league"),
]


@pytest.mark.parametrize(("game_id", "season", "reason"), KINDS)
def test_games_of_other_kinds_and_leagues_are_left_out_and_counted(
    home: Home, game_id: str, season: int, reason: str
) -> None:
    read = read_game_logs(home.file([box(), visitor(GAME_ID=game_id, SEASON_ID=season)]))
    assert (read.table["player_id"].to_pylist(), read.left_out, read.rows_read) == ([901], {reason: 1}, 2)
    games = read_schedule(home.file([game(), game(62) | {"game_id": game_id}]))
    assert (games.table["game_id"].to_pylist(), games.left_out) == (["0022400061"], {reason: 1})


@pytest.mark.parametrize(("game_id", "season", "reason"), KINDS)
def test_a_file_of_other_games_only_is_refused(home: Home, game_id: str, season: int, reason: str) -> None:
    for read, rows in (
        (read_game_logs, [box(GAME_ID=game_id, SEASON_ID=season)]),
        (read_schedule, [game() | {"game_id": game_id}]),
    ):
        with pytest.raises(BadInput, match=f"no row is of a game that is predicted; left out: 1 {reason}"):
            read(home.file(rows))


@pytest.mark.parametrize("digit", "2456")
def test_games_of_every_predicted_kind_are_stored(home: Home, digit: str) -> None:
    row = box(GAME_ID=f"00{digit}2400061", SEASON_ID=f"{digit}2024")
    assert home.logs(row).quarantined == ()
    assert home.schedule(game() | {"game_id": f"00{digit}2400061"}).quarantined == ()


def test_two_real_seasons_contradict_nothing(real_data: Path, real_logs: GameLogsRead, home: Home) -> None:
    """``long/test_forecasts_on_real_data.py`` takes ten."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert merge_game_logs(home.warehouse, real_logs, "real", now).quarantined == ()
    games = read_schedule(real_data / "schedule_2023_25.csv")
    assert merge_schedule(home.warehouse, home.batches, games, "real", now).quarantined == ()


# The schedule -------------------------------------------------------------------------------------


def test_a_game_that_is_omitted_stays_and_waits(home: Home) -> None:
    home.schedule(game(61), game(62, home="BOS", away="NYK"), game(63, "2024-11-20"), game(64, TONIGHT))
    merged = home.schedule(game(61))
    assert [entry.subject for entry in merged.quarantined] == ["game 0022400062"]
    # A file speaks of the dates that it names only.
    assert list(home.stored_games()) == ["61", "62", "63", "64"]
    assert home.schedule(game(61), game(62, home="BOS", away="NYK")).quarantined == ()
    assert home.open_rows() == []


@pytest.mark.parametrize(
    ("day", "why"),
    [("2024-10-22", "it has game logs"), (TONIGHT, "it is tonight"), ("2024-11-20", "it stays scheduled")],
)
def test_why_an_omitted_game_must_be_kept_is_said(home: Home, day: str, why: str) -> None:
    home.schedule(game(61, day), game(62, day, "BOS", "NYK"))
    if why == "it has game logs":
        home.logs(*GOOD)
    (entry,) = home.schedule(game(62, day, "BOS", "NYK")).quarantined
    assert why in entry.reason
    assert "DEN and LAL" in entry.reason
    assert "61" in home.stored_games()


def test_most_of_a_season_is_no_season_and_removes_nothing(home: Home) -> None:
    pairs = [("BOS", "NYK"), ("DEN", "LAL"), ("UTA", "DAL")]
    season = [
        game(n, (date(2024, 11, 6) + timedelta(days=n % 30)).isoformat(), *pairs[n // 30]) for n in range(90)
    ]
    home.schedule(*season)
    read = read_schedule(home.file(season[:70]))
    merged = merge_schedule(
        home.warehouse, home.batches, replace(read, is_whole_season=True), "stats.nba.com", NOW
    )
    assert (len(merged.quarantined), merged.upserted.removed, len(home.stored_games())) == (20, 0, 90)


def test_a_postponed_game_leaves_tonight_and_may_have_a_new_date(home: Home) -> None:
    home.schedule(game(61, TONIGHT), game(62, TONIGHT, "BOS", "NYK"))
    merged = home.schedule(game(61, TONIGHT, postponed="Y"), game(62, TONIGHT, "BOS", "NYK", postponed="N"))
    assert (merged.quarantined, merged.upserted.removed) == ((), 1)
    assert list(home.stored_games()) == ["62"]
    merged = home.schedule(
        game(62, TONIGHT, "BOS", "NYK", postponed="Y"), game(62, "2024-12-01", "BOS", "NYK")
    )
    assert merged.quarantined == ()
    assert home.stored_games() == {"62": ("2024-12-01", "BOS", "NYK")}


@pytest.mark.parametrize("day", [None, "1900-01-01T00:00:00Z"])
def test_a_game_that_is_postponed_to_no_date_leaves_its_date(home: Home, day: str | None) -> None:
    others = [listed_game("0022400062", "BOS", "NYK"), listed_game("0022400063", "UTA", "DAL")]
    off = listed_game("0022400061", "DEN", "LAL", postponedStatus="Y")
    for document in (
        schedule_answer([off | {"postponedStatus": "N"}, *others]),
        schedule_answer([off | {"gameDateEst": day}, *others]),
    ):
        path = home.folder / "schedule.json"
        path.write_text(json.dumps(document), "utf-8")
        merged = merge_schedule(home.warehouse, home.batches, read_schedule(path), str(path), NOW)
    assert (merged.quarantined, merged.upserted.removed) == ((), 1)
    assert list(home.stored_games()) == ["62", "63"]


def test_a_game_that_was_played_can_be_neither_postponed_nor_omitted_away(home: Home) -> None:
    home.schedule(game(61))
    home.logs(*GOOD)
    (entry,) = home.schedule(game(61, postponed="Y"), game(62, "2024-12-01", "BOS", "NYK")).quarantined
    assert "it has game logs" in entry.reason
    assert "61" in home.stored_games()


def test_an_operator_may_replace_what_is_omitted(home: Home) -> None:
    home.schedule(game(61), game(62, home="BOS", away="NYK"))
    merged = home.schedule(game(61), replace_omitted=True)
    assert (merged.quarantined, merged.upserted.removed, list(home.stored_games())) == ((), 1, ["61"])


GAMES: list[tuple[str, Row, str]] = [
    ("other teams", game(61, home="BOS", away="NYK"), "BOS and NYK on 2024-10-22 here, and DEN and LAL on 2024-10-22"),
    ("another date", game(61, "2024-10-23"), "DEN and LAL on 2024-10-23 here, and DEN and LAL on 2024-10-22"),
    ("another date and teams", game(61, "2024-10-25", "BOS", "NYK"), "BOS and NYK on 2024-10-25 here"),
    ("a team twice a day", game(70, home="LAL", away="NYK"), "LAL plays it on 2024-10-22 here, and game 0022400061"),
    ("another season", game(71, "2023-10-22", "BOS", "NYK"), "2023-10-22 is not a date of 2024-25"),
    ("a date too far away", game(72, "2026-10-01", "BOS", "NYK"), "2026-10-01 is not a date of 2024-25"),
    ("another season's id", game(73, home="BOS", away="NYK", season_id=22023), "SEASON_ID 22023 is regular season"),
]  # fmt: skip


@pytest.mark.parametrize("known_by", ["schedule", "game logs"])
@pytest.mark.parametrize(("case", "row", "reason"), GAMES, ids=[each[0] for each in GAMES])
def test_a_game_that_contradicts_a_stored_one_waits_with_both_sides_named(
    home: Home, case: str, row: Row, reason: str, known_by: str
) -> None:
    (home.logs(*GOOD) if known_by == "game logs" else home.schedule(game(61)))
    before = home.stored_games()
    merged = home.schedule(row, game(90, "2024-12-09", "UTA", "SAS"))
    held = [entry for entry in merged.quarantined if entry.source_row]
    assert [reason in entry.reason for entry in held] == [True]
    assert home.stored_games() == before | {"90": ("2024-12-09", "SAS", "UTA")}


@pytest.mark.parametrize(("case", "row", "reason"), GAMES[:4], ids=[each[0] for each in GAMES[:4]])
def test_in_the_other_order_and_in_one_file_both_sides_are_never_in_the_schedule(
    home: Home, tmp_path: Path, case: str, row: Row, reason: str
) -> None:
    home.schedule(row)
    before = home.stored_games()
    assert len([e for e in home.schedule(game(61)).quarantined if e.source_row]) == 1
    assert home.stored_games() == before
    for rows in ([row, game(61)], [game(61), row]):
        with pytest.raises(BadInput, match=r"here and|here .* another in"):
            read_schedule(home.file(rows))


def test_a_game_that_may_not_move_keeps_its_date_from_another(home: Home) -> None:
    home.schedule(game(61, "2024-11-20"), game(62, "2024-11-22", "DEN", "BOS"))
    # 61 may not leave the 20th, so 62 can't come there, and what is on the 22nd can't have Denver either.
    moved = [
        game(61, "2024-11-24"),
        game(62, "2024-11-20", "DEN", "BOS"),
        game(63, "2024-11-22", "DEN", "UTA"),
    ]
    for rows in (moved, moved[::-1]):
        held = {e.subject[-2:] for e in home.schedule(*rows).quarantined if e.source_row}
        assert held == {"61", "62", "63"}
    assert {number: day for number, (day, *_) in home.stored_games().items()} == {
        "61": "2024-11-20",
        "62": "2024-11-22",
    }


def test_an_invented_schedule_over_real_logs_is_not_used(home: Home) -> None:
    home.logs(*GOOD)
    invented = [game(161, home="LAL", away="BOS"), game(162, home="NYK", away="DEN")]
    assert len(home.schedule(*invented).quarantined) == 2
    assert home.stored_games() == {}


@pytest.mark.parametrize(
    ("day", "is_open", "moves"),
    [("2024-11-20", False, True), (TONIGHT, False, False), ("2024-11-20", True, False)],
)
def test_a_whole_season_moves_a_game_unless_its_slate_is_under_way(
    home: Home, day: str, is_open: bool, moves: bool
) -> None:
    home.schedule(game(61, day))
    if is_open:
        home.batches.open(Batch(day, f"{day}@test", "NBA", 1, NOW, NOW + timedelta(minutes=30), ()))
    read = replace(read_schedule(home.file([game(61, "2024-12-01")])), is_whole_season=True)
    merged = merge_schedule(home.warehouse, home.batches, read, "stats.nba.com", NOW)
    assert (len(merged.quarantined) == 0, home.stored_games()["61"][0]) == (
        moves,
        "2024-12-01" if moves else day,
    )


# Lines and reports --------------------------------------------------------------------------------


def line(**cells: Any) -> Row:
    return {
        "event_id": "e1", "commence_time": "2024-11-06T00:10:00Z", "home_team": "DEN", "away_team": "LAL",
        "player": "Zoran Brezina", "market": "player_points", "bookmaker": "Book", "side": "Over", "line": "25.5",
        "price": "-110", "captured_at": "2024-11-05T14:00:00Z",
    } | cells  # fmt: skip


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"price": "-200000"}, "over_price -200000 is beyond 100000"),
        ({"captured_at": "2024-11-05T15:31:00Z"}, "captured at 2024-11-05 15:31Z, which is after now"),
        ({"captured_at": "2034-11-05T15:16:00Z"}, "which is after now"),
        ({"captured_at": "1999-11-05T15:16:00Z"}, "more than 400 days before its game"),
        (
            {"commence_time": "2026-11-06T00:10:00Z"},
            "its game of 2026-11-05 is more than 400 days from today",
        ),
    ],
)
def test_a_line_beyond_a_limit_waits_and_the_others_are_stored(home: Home, cells: Row, reason: str) -> None:
    merged = home.lines(line(**cells), line(line="20.5"))
    assert [reason in entry.reason for entry in merged.quarantined] == [True]
    assert merged.upserted.inserted == 1


@pytest.mark.parametrize("turn", [1, -1])
def test_a_player_in_two_games_at_one_moment_has_the_line_of_the_scheduled_one(home: Home, turn: int) -> None:
    rows = [line(), line(event_id="e2", home_team="BOS", away_team="NYK")]
    merged = home.lines(*rows[::turn])
    assert len(merged.quarantined) == 2
    assert "on 2024-11-05 he plays in BOS and NYK here, and in DEN and LAL in row" in "".join(merged.lines())
    home.schedule(game(61, TONIGHT))
    (entry,) = home.lines(*rows[::turn]).quarantined
    assert entry.row["event_id"] == "e2"


OFF = {"home_team": "BOS", "away_team": "NYK", "event_id": "e2", "player": "Tadeo Quill Jr."}


@pytest.mark.parametrize("turn", [1, -1])
@pytest.mark.parametrize(
    ("days", "cells", "waiting", "off"),
    [
        (1, {}, 0, {"BOS and NYK on 2024-11-05": 2}),  # the date is over, and neither team played
        (0, {}, 2, {}),  # tonight's schedule may lack it
        (1, {"home_team": "DEN"}, 2, {}),  # DEN played LAL: one of both is wrong
        (1, {"commence_time": "2024-11-08T00:10:00Z"}, 0, {}),  # the schedule ends before its date
    ],
)
def test_lines_of_a_game_that_was_not_played_are_left_out_and_counted(
    home: Home, turn: int, days: int, cells: Row, waiting: int, off: dict[str, int]
) -> None:
    home.schedule(game(61, TONIGHT))
    of_other = [line(**OFF | cells, bookmaker=book) for book in ("Book", "Other")]
    merged = home.lines(*[line(), *of_other][::turn], now=NOW + timedelta(days=days))
    assert (len(merged.quarantined), dict(merged.games_off), merged.discarded) == (waiting, off, 0)
    assert merged.upserted.inserted == 3 - waiting - sum(off.values())


def test_lines_of_tonight_s_game_that_was_called_off_after_the_first_lines_are_left_out(home: Home) -> None:
    home.schedule(game(61, TONIGHT), game(62, TONIGHT, "BOS", "NYK"))
    assert home.lines(line(), line(**OFF)).upserted.inserted == 2
    home.schedule(game(61, TONIGHT), game(62, TONIGHT, "BOS", "NYK", postponed="Y"))
    later = [
        line(captured_at="2024-11-05T14:30:00Z"),
        line(**OFF, captured_at="2024-11-05T14:30:00Z", line="9.5"),
    ]
    merged = home.lines(*later)
    assert (merged.quarantined, dict(merged.games_off)) == ((), {"BOS and NYK on 2024-11-05": 1})
    assert merged.upserted.inserted == 1
    home.schedule(game(61, TONIGHT), game(62, TONIGHT, "BOS", "NYK"))  # it is on again
    assert home.lines(*later).upserted.inserted == 1


def report(**cells: Any) -> Row:
    return {
        "Game Date": "11/05/2024", "Matchup": "LAL@DEN", "Team": "DEN", "Player Name": "Brezina, Zoran",
        "Current Status": "Out", "Reason": "Rest", "Reported At": "2024-11-05T14:30:00Z",
    } | cells  # fmt: skip


@pytest.mark.parametrize(
    ("moment", "reason"),
    [
        ("2024-11-05T15:31:00Z", "which is after now"),
        ("2034-11-05T15:16:00Z", "which is after now"),
        ("2024-10-05T15:16:00Z", "can't be about games of 2024-11-05"),
    ],
)
def test_a_report_of_an_impossible_time_waits(home: Home, moment: str, reason: str) -> None:
    (entry,) = home.reports(report(**{"Reported At": moment})).quarantined
    assert reason in entry.reason


def test_a_player_in_two_teams_of_one_report_is_out_of_neither(home: Home) -> None:
    other = report(Team="LAL", **{"Player Name": "Zoran Brezina", "Current Status": "Available"})
    quill = report(Team="LAL", **{"Player Name": "Quill Jr., Tadeo"})
    merged = home.reports(report(), other, quill)
    assert [entry.subject for entry in merged.quarantined] == ["player 901"] * 2
    assert merged.upserted.inserted == 1


# Deciding -----------------------------------------------------------------------------------------


def test_the_same_row_waits_once_however_often_it_comes(home: Home) -> None:
    home.logs(*GOOD)
    first = home.logs(box(**LATER, PLAYER_NAME="Olu Marchetti"))
    again = home.logs(box(**LATER, PLAYER_NAME="Olu Marchetti"), now=NOW + timedelta(days=1))
    assert len(home.open_rows()) == 1
    assert first.quarantined[0].quarantine_id == again.quarantined[0].quarantine_id
    assert again.quarantined[0].first_seen_at == NOW


def test_a_discarded_row_is_not_reported_again(home: Home) -> None:
    home.logs(*GOOD)
    wrong = box(**LATER, PLAYER_NAME="Olu Marchetti")
    quarantine.discard(home.warehouse, home.logs(wrong).quarantined)
    assert home.logs(wrong).quarantined == ()
    assert len(home.stored_logs()) == 2


def test_an_accepted_value_is_stored_and_stays_when_it_comes_again(home: Home) -> None:
    long = box(MIN=80)
    quarantine.accept(home.warehouse, home.logs(long).quarantined)
    assert [row[4] for row in home.stored_logs()] == [80]
    assert home.logs(long).quarantined == ()
    assert home.open_rows() == []


@pytest.mark.parametrize(("case", "row", "reason"), CONTRADICTIONS, ids=[c[0] for c in CONTRADICTIONS])
def test_an_accepted_log_takes_the_place_of_what_it_contradicts(
    home: Home, case: str, row: Row, reason: str
) -> None:
    home.logs(*GOOD)
    quarantine.accept(home.warehouse, home.logs(row).quarantined)
    assert home.open_rows() == []
    if row["GAME_ID"] == "0022400061" and row["GAME_DATE"] != "2024-10-22":
        assert {stored[3].isoformat() for stored in home.stored_logs()} == {"2024-10-23"}
    assert (row["GAME_ID"], row["PLAYER_ID"]) in {stored[:2] for stored in home.stored_logs()}
    if case.startswith("a player in two"):
        assert [stored[:2] for stored in home.stored_logs() if stored[1] == 901] == [("0022400062", 901)]
    assert home.logs(row).quarantined == ()


def test_an_accepted_game_takes_the_place_of_the_stored_one(home: Home) -> None:
    home.schedule(game(61), game(62, home="BOS", away="NYK"))
    waiting = home.schedule(game(61, "2024-10-23"), game(62, "2024-10-23", "BOS", "NYK")).quarantined
    quarantine.accept(home.warehouse, waiting[:1])
    assert sorted(day for day, *_ in home.stored_games().values()) == ["2024-10-22", "2024-10-23"]


def test_an_accepted_omission_removes_the_game(home: Home) -> None:
    home.schedule(game(61), game(62, home="BOS", away="NYK"))
    quarantine.accept(home.warehouse, home.schedule(game(61)).quarantined)
    assert list(home.stored_games()) == ["61"]
    assert home.schedule(game(61)).quarantined == ()


def test_two_rows_that_contradict_each_other_are_not_accepted_together(home: Home) -> None:
    waiting = home.logs(box(), box(**LATER, PLAYER_NAME="Olu Marchetti")).quarantined
    with pytest.raises(
        BadInput, match=r"contradict each other, only one can be accepted: player 901: .* accept one: "
    ):
        quarantine.accept(home.warehouse, waiting)
    assert home.stored_logs() == []


def test_a_source_that_no_longer_says_it_resolves_it(home: Home) -> None:
    path = home.file([box(MIN=3500)], "logs.csv")
    merge_game_logs(home.warehouse, read_game_logs(path), str(path), NOW)
    home.file([box(MIN=35)], "logs.csv")
    merge_game_logs(home.warehouse, read_game_logs(path), str(path), NOW)
    (entry,) = quarantine.read_all(home.warehouse)
    assert (entry.state, [row[4] for row in home.stored_logs()]) == (State.RESOLVED, [35])


def test_an_unknown_id_is_refused_by_name(home: Home) -> None:
    with pytest.raises(
        BadInput,
        match="abc is the id of no open or discarded row; see `prediction-assets quarantine list --decided`",
    ):
        quarantine.find(home.warehouse, ["abc"])


# Any order ----------------------------------------------------------------------------------------

COUNTS = dict.fromkeys(MOST_IN_A_GAME, 1)
LOGS = st.builds(
    lambda player, name, number, day, team: {
        "season_id": 22024, "game_id": f"002240006{number}", "game_date": date(2024, 10, 20 + day),
        "player_id": player, "player_name": name, "team": team, "opponent": "LAL" if team == "DEN" else "DEN",
        **COUNTS,
    },
    player=st.sampled_from([901, 902]),
    name=st.sampled_from(["Zoran Brežina", "Zoran Brezina", "Tadeo Quill"]),
    number=st.integers(1, 3),
    day=st.integers(2, 3),
    team=st.sampled_from(["DEN", "LAL"]),
)  # fmt: skip


def one_per_key(rows: Iterable[Row]) -> list[Row]:
    """Return rows without two of one player and game, and with one date a game: a reader refuses those."""
    days: dict[str, date] = {}
    kept: dict[tuple[Any, ...], Row] = {}
    for row in rows:
        day = days.setdefault(row["game_id"], row["game_date"])
        kept.setdefault(key(row), row | {"game_date": day})
    return list(kept.values())


def key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return row["game_id"], row["player_id"]


def known(rows: Iterable[Row]) -> StoredFacts:
    """Return what a warehouse with these game logs knows."""
    return StoredFacts(
        logged={
            row["game_id"]: Game(row["game_date"], teams_of(row["team"], row["opponent"])) for row in rows
        },
        said=said(GAME_LOGS, rows),
    )


def merged(rows: Sequence[Row], stored: Sequence[Row] = ()) -> tuple[list[Row], list[Row]]:
    """Return what is stored after new rows came, and which of them wait."""
    found = objections_to_logs(rows, known(stored), NOW, lambda position: f"row {position}")
    held = {objection.position for objection in found}
    return (
        [*stored, *(row for position, row in enumerate(rows) if position not in held)],
        [row for position, row in enumerate(rows) if position in held],
    )


@settings(max_examples=40)
@given(rows=st.lists(LOGS, min_size=1, max_size=7).map(one_per_key), order=st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(rows: list[Row], order: Any) -> None:
    shuffled = list(rows)
    order.shuffle(shuffled)
    assert sorted(map(key, merged(rows)[1])) == sorted(map(key, merged(shuffled)[1]))


@settings(max_examples=40)
@given(rows=st.lists(LOGS, min_size=2, max_size=7).map(one_per_key), cut=st.integers(1, 6))
def test_in_one_file_or_two_and_in_any_order_nothing_stored_contradicts_itself(
    rows: list[Row], cut: int
) -> None:
    undoubted = {key(row) for row in merged(rows)[0]}
    for parts in ((rows[:cut], rows[cut:]), (rows[cut:], rows[:cut])):
        first, waiting = merged(parts[0])
        stored, also_waiting = merged(parts[1], first)
        # What contradicts nothing is stored however it comes; every other row is stored or waits, and none is lost.
        assert undoubted <= {key(row) for row in stored}
        assert sorted(map(key, [*stored, *waiting, *also_waiting])) == sorted(map(key, rows))
        assert len({(row["player_id"], row["game_date"]) for row in stored}) == len(stored)
        names = {(row["player_id"], row["player_name"].replace("ž", "z")) for row in stored}
        assert len({player for player, _ in names}) == len(names)
