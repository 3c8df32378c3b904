"""A file with a header and no rows: there was nothing to list, and the other files of the folder count."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from prediction_assets.errors import BadInput
from prediction_assets.ingest.game_logs import read_game_logs
from prediction_assets.ingest.injury_reports import read_injury_reports
from prediction_assets.ingest.names import PlayerDirectory
from prediction_assets.ingest.prop_lines import read_prop_lines
from prediction_assets.ingest.schedule import read_schedule

PLAYERS = PlayerDirectory.from_rows([(901, "Zoran Brežina", "DEN", date(2024, 10, 20))])
LINES = (
    "event_id,commence_time,home_team,away_team,player,market,bookmaker,side,line,price\n"
    "e1,2024-10-23T00:10:00Z,DEN,LAL,Zoran Brezina,player_points,Book,Over,20.5,-110\n"
)
REPORT = (
    "Game Date,Matchup,Team,Player Name,Current Status,Reason,Reported At\n"
    '10/22/2024,LAL@DEN,DEN,"Brezina, Zoran",Out,Rest,2024-10-22T17:30:00-04:00\n'
)
GAMES = "game_id,game_date,home_team,away_team\n0022400061,2024-10-22,DEN,LAL\n"

READERS: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "lines": (LINES, lambda path: read_prop_lines(path, PLAYERS)),
    "reports": (REPORT, lambda path: read_injury_reports(path, PLAYERS)),
    "schedule": (GAMES, read_schedule),
}


def put(path: Path, text: str) -> Path:
    """Write a CSV text as the kind of file that its name says."""
    path.parent.mkdir(exist_ok=True)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
        return path
    plain = path.with_suffix(".csv")
    plain.write_text(text, "utf-8")
    if path.suffix == ".parquet":
        pq.write_table(pa_csv.read_csv(plain), path)
        plain.unlink()
    return path


@pytest.mark.parametrize("empty", ["a.csv", "z.csv", "a.csv.gz", "a.parquet"])
@pytest.mark.parametrize("kind", READERS)
def test_an_empty_file_of_a_folder_is_named_and_the_others_are_read(
    kind: str, empty: str, tmp_path: Path
) -> None:
    text, read = READERS[kind]
    put(tmp_path / "m.csv", text)
    there = put(tmp_path / empty, text.partition("\n")[0] + "\n")
    done = read(tmp_path)
    assert (done.table.num_rows, done.rows_read, done.empty_files) == (1, 1, (str(there),))


def test_a_day_without_game_logs_is_no_fault_of_the_other_days(
    box_score: Callable[..., dict[str, Any]], write_csv: Callable[..., Path], tmp_path: Path
) -> None:
    write_csv([box_score()], "logs/b.csv")
    put(tmp_path / "logs" / "a.csv", ",".join(box_score()) + "\n")
    assert read_game_logs(tmp_path / "logs").table.num_rows == 1


@pytest.mark.parametrize("kind", ["lines", "reports"])
def test_optional_facts_may_have_no_row_at_all(kind: str, tmp_path: Path) -> None:
    text, read = READERS[kind]
    assert read(put(tmp_path / "only.csv", text.partition("\n")[0] + "\n")).table.num_rows == 0


def test_a_schedule_or_logs_without_a_row_are_refused(
    box_score: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    for read, header in ((read_schedule, GAMES.partition("\n")[0]), (read_game_logs, ",".join(box_score()))):
        path = put(tmp_path / "only.csv", header + "\n")
        for named in (path, tmp_path):
            with pytest.raises(BadInput, match="there is a header but no rows"):
                read(named)


@pytest.mark.parametrize("kind", READERS)
def test_an_empty_file_with_another_header_is_not_valid(kind: str, tmp_path: Path) -> None:
    text, read = READERS[kind]
    put(tmp_path / "m.csv", text)
    put(tmp_path / "a.csv", "something,else\n")
    with pytest.raises(BadInput, match=r"a\.csv: missing columns"):
        read(tmp_path)
