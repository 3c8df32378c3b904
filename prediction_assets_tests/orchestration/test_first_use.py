"""First use: any number of processes at once, reading without creating, and refusing before anything is recorded."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from prediction_assets.errors import StateUnreadable
from prediction_assets.orchestration.instance import open_instance
from prediction_assets.settings import load_settings
from prediction_assets_tests.orchestration.test_cli import LOGS, home, prediction_assets

__all__ = ["home", "prediction_assets"]  # fixtures

OPEN = """
import os
from prediction_assets.orchestration.instance import open_instance
from prediction_assets.settings import load_settings
begin, let = os.pipe()
children = []
for _ in range(3):
    children.append(os.fork())
    if not children[-1]:
        os.close(let)
        os.read(begin, 1)  # until all are there
        with open_instance(load_settings(), capture_output=False) as instance:
            instance.get_runs(limit=1)
        os._exit(0)
os.close(let)
assert [os.waitpid(child, 0)[1] for child in children] == [0] * 3
"""
"""Three processes that have Dagster imported already begin at once; one that fails says why and stops."""


def versions(folder: Path) -> dict[str, int]:
    """Return how many schema versions each of the instance's databases has."""
    found = {}
    for path in folder.rglob("*.db"):
        with closing(sqlite3.connect(path)) as connection:
            (found[path.name],) = connection.execute("SELECT COUNT(*) FROM alembic_version").fetchone()
    return found


def test_three_processes_make_one_home_at_once(tmp_path):
    environment = {**os.environ, "PREDICTION_ASSETS_HOME": str(tmp_path / "home")}
    done = subprocess.run(
        [sys.executable, "-c", OPEN],
        env=environment, stderr=subprocess.PIPE, text=True, check=False, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    assert versions(tmp_path / "home" / "dagster") == {"runs.db": 1, "index.db": 1, "schedules.db": 1}
    with open_instance(load_settings(home=tmp_path / "home")) as instance:
        assert instance.get_runs() == []


@pytest.fixture
def broken(settings, instance):
    """A home whose named database two processes created at once."""

    def damage(name: str, *, content: bytes | None = None) -> Path:
        (path,) = settings.instance_folder.rglob(name)
        if content is not None:
            path.write_bytes(content)
            return path
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("INSERT INTO alembic_version VALUES ('d32d1d6de793')")
        return path

    return damage


@pytest.mark.parametrize("name", ["runs.db", "index.db", "schedules.db"])
def test_a_home_that_two_processes_broke_names_the_file_to_move_away(settings, instance, broken, name):
    path = broken(name)
    with pytest.raises(StateUnreadable) as refused, open_instance(settings):
        pass
    assert str(refused.value).startswith(f"{path}: 2 versions in alembic_version")
    assert "move the file away" in str(refused.value)
    path.rename(path.with_suffix(".broken"))
    with open_instance(settings) as opened:
        assert opened.get_runs() == []


def test_a_damaged_database_of_dagster_is_named_too(settings, instance, broken):
    path = broken("runs.db", content=b"no database, and longer than a header would be" * 9)
    problem = f"{path}: file is not a database; stop every process"
    with pytest.raises(StateUnreadable, match=problem), open_instance(settings):
        pass


READING = [
    "status --slate 2026-01-02", "messages", "dead-letters list", "alerts list", "quarantine list",
    "health", "consolidate --slate 2026-01-02 --dry-run",
]  # fmt: skip


@pytest.mark.parametrize("arguments", READING)
def test_a_command_that_only_reads_creates_nothing_and_names_the_home(
    home: Path,
    prediction_assets,
    arguments: str,
):
    _, _, err = prediction_assets(*arguments.split())
    assert f"{home}: nothing of warehouse, batch_state" in err
    assert not home.exists()


@pytest.mark.parametrize("arguments", READING)
def test_what_is_there_is_read_and_nothing_is_added(
    home: Path,
    prediction_assets,
    arguments: str,
):
    home.mkdir()
    prediction_assets(*arguments.split())
    assert list(home.iterdir()) == []


def recorded(home: Path) -> list[str]:
    if not (home / "dagster").exists():
        return []
    with open_instance(load_settings(home=home)) as instance:
        return [run.job_name for run in instance.get_runs()]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("ingest --game-logs nowhere.csv", "nowhere.csv: no such file"),
        ("ingest --game-logs bad.csv", "bad.csv: missing columns"),
        ("ingest --schedule bad.csv", "bad.csv: missing columns"),
        ("ingest --prop-lines bad.csv", "bad.csv: missing columns"),
        ("ingest --injury-reports bad.csv", "bad.csv: missing columns"),
        ("ingest --season 2026", "season: '2026' is not a season"),
        (
            "ingest --season 2062-63",
            "season: 2062-63 begins in a year to come; its schedule isn't published yet",
        ),
        ("ingest --season 2026-28", "season: '2026-28' is not a season"),
        ("ingest --simulated-players 0", "0 expected players"),
        ("run --game-logs bad.csv", "bad.csv: missing columns"),
        ("run --simulated-players 9999", "9999 expected players"),
    ],
)
def test_a_refused_argument_leaves_no_run_and_no_home(
    home: Path,
    prediction_assets,
    tmp_path,
    monkeypatch,
    arguments,
    message,
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.csv").write_text("a,b\n1,2\n", "utf-8")
    code, _, err = prediction_assets(*arguments.split())
    assert (code, message in err) == (2, True), err
    assert not home.exists()


@pytest.mark.parametrize(
    ("sources", "refused"), [("files", True), ("odds_api,files", False), ("odds_api", False)]
)
def test_a_path_of_the_settings_is_checked_only_where_nothing_can_take_over(
    home: Path, prediction_assets, tmp_path, monkeypatch, sources, refused
):
    monkeypatch.setenv("PREDICTION_ASSETS_PROP_LINES", str(tmp_path / "nowhere.csv"))
    monkeypatch.setenv("PREDICTION_ASSETS_PROP_LINES_SOURCES", sources)
    monkeypatch.setenv("PREDICTION_ASSETS_ODDS_API_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("PREDICTION_ASSETS_ODDS_API_KEY", "none")
    monkeypatch.setattr("prediction_assets.orchestration.slate_run.SlateRun.ingest", lambda *_: {})
    code, _, err = prediction_assets("ingest")
    assert (code == 2, "nowhere.csv: no such file" in err) == (refused, refused)


def test_a_slate_that_no_schedule_covers_leaves_no_run(
    home: Path,
    prediction_assets,
    tmp_path,
):
    (tmp_path / "logs.csv").write_text(LOGS, "utf-8")
    (tmp_path / "schedule.csv").write_text(
        "game_id,game_date,home_team,away_team\n0022400001,2024-10-22,BOS,NYK\n", "utf-8"
    )
    code, _, _ = prediction_assets(
        "ingest", "--game-logs", str(tmp_path / "logs.csv"), "--schedule", str(tmp_path / "schedule.csv")
    )
    assert code == 0
    before = recorded(home)
    code, _, err = prediction_assets("run", "--slate", "2042-10-22")
    assert (code, "no ingested schedule covers this date" in err) == (2, True)
    code, _, err = prediction_assets("consolidate", "--slate", "2042-10-22")
    assert (code, "no batch is open" in err) == (2, True)
    assert recorded(home) == before == ["ingest"]


def test_rows_in_quarantine_exit_with_1_and_are_listed_and_decided(
    home: Path,
    prediction_assets,
    tmp_path,
):
    (tmp_path / "logs.csv").write_text(LOGS.replace(",W,30,", ",W,3500,"), "utf-8")
    code, out, err = prediction_assets("ingest", "--game-logs", str(tmp_path / "logs.csv"))
    assert code == 1
    assert "player 1: Ann Example has 3500 minutes, more than 78 (row 2 of " in err
    assert "not used until you decide: `prediction-assets quarantine list`" in err
    code, out, _ = prediction_assets("quarantine", "list", "--json")
    (entry,) = json.loads(out)
    assert (code, entry["kind"], entry["facts"]) == (0, "limit", "game_logs")
    code, out, _ = prediction_assets("health", "--json")
    assert "facts in quarantine (1 of game_logs) since" in out
    assert prediction_assets("quarantine", "discard", "nothing")[0] == 2
    assert prediction_assets("quarantine", "discard")[0] == 2
    code, out, _ = prediction_assets("quarantine", "discard", entry["quarantine_id"])
    assert (code, "1 rows discarded" in out) == (0, True)
    assert prediction_assets("quarantine", "list")[1].strip() == "nothing is in quarantine"
    assert prediction_assets("ingest", "--game-logs", str(tmp_path / "logs.csv"))[0] == 0


def test_coverage_prints_a_grid_and_exits_with_1_where_something_is_missing(
    home: Path, prediction_assets, tmp_path
):
    (tmp_path / "logs.csv").write_text(LOGS, "utf-8")
    (tmp_path / "schedule.csv").write_text(
        "game_id,game_date,home_team,away_team\n"
        "0022400001,2024-10-22,BOS,NYK\n0022400002,2024-10-24,BOS,NYK\n",
        "utf-8",
    )
    options = ("--game-logs", str(tmp_path / "logs.csv"), "--schedule", str(tmp_path / "schedule.csv"))
    assert prediction_assets("ingest", *options)[0] == 0
    span = ("--from", "2024-10-01", "--to", "2024-11-01")
    code, out, _ = prediction_assets("coverage", *span)
    assert code == 1
    assert "2 dates, 1 lack something" in out
    assert "game_logs: 1 dates, from 2024-10-24 to 2024-10-24" in out
    code, out, _ = prediction_assets("coverage", *span, "--json")
    assert [(day["slate"], day["missing"]) for day in json.loads(out)] == [
        ("2024-10-22", []),
        ("2024-10-24", ["game_logs"]),
    ]
    assert prediction_assets("coverage", "--from", "2024-10-01", "--to", "2024-10-22")[0] == 0
    assert prediction_assets("coverage", "--from", "2024-10-02", "--to", "2024-10-01")[0] == 2


def test_health_on_a_broken_instance_is_a_red_line_that_names_the_file(
    monkeypatch, prediction_assets, settings, broken
):
    path = broken("runs.db")
    monkeypatch.setenv("PREDICTION_ASSETS_HOME", str(settings.home))
    code, out, _ = prediction_assets("health")
    assert code == 2
    assert f"{path}: 2 versions in alembic_version" in out
