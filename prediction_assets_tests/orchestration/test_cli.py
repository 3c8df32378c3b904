"""The command line: what it prints, and its exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest
import typer
from dagster._core import errors as dagster_errors
from typer.testing import CliRunner

from prediction_assets import cli
from prediction_assets.cli import commands
from prediction_assets.errors import PredictionAssetsError
from prediction_assets.orchestration.instance import open_instance
from prediction_assets.settings import load_settings
from prediction_assets.simulation.league import simulate_league
from prediction_assets.slate.outcome import Outcome
from prediction_assets.steps import failpoints
from prediction_assets.stores.local.warehouse import DuckDBWarehouse
from prediction_assets.stores.profiles import open_stores
from prediction_assets.stores.sql import queries
from prediction_assets.stores.sql.tables import GAME_LOGS, SCHEDULE
from prediction_assets_tests.homes import PLAYERS, SIMULATED

LOGS = """SEASON_ID,PLAYER_ID,PLAYER_NAME,TEAM_ID,TEAM_ABBREVIATION,TEAM_NAME,GAME_ID,GAME_DATE,MATCHUP,WL,MIN,FGM,FGA,\
FG3M,FG3A,FTM,FTA,OREB,DREB,REB,AST,STL,BLK,TOV,PF,PTS,PLUS_MINUS
22024,1,Ann Example,10,BOS,Boston Celtics,0022400001,2024-10-22,BOS vs. NYK,W,30,5,9,1,2,2,2,0,1,1,0,0,0,0,0,13,1
22024,2,Bea Example,20,NYK,New York Knicks,0022400001,2024-10-22,NYK @ BOS,L,30,4,9,0,2,2,2,0,1,1,0,0,0,0,0,10,-1
"""


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("PREDICTION_ASSETS_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str
) -> tuple[int, str, str]:
    """Run a command in this process and return its exit code, standard output and standard error."""
    monkeypatch.setattr(sys, "argv", ["prediction-assets", *arguments])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    captured = capsys.readouterr()
    return int(stopped.value.code or 0), captured.out, captured.err


@pytest.fixture
def prediction_assets(capsys, monkeypatch):
    return lambda *arguments: command(capsys, monkeypatch, *arguments)


def test_without_facts_a_run_takes_the_simulated_league_and_says_so(home, prediction_assets):
    code, out, _ = prediction_assets("run", "--simulated-players", "6")
    assert code == 0
    assert "(simulated league)" in out
    assert "6 expected, 6 staged, 0 skipped, 0 failed" in out
    assert "150 inserted + 0 updated + 0 unchanged" in out

    code, out, _ = prediction_assets("run", "--simulated-players", "6")
    assert code == 0
    assert "0 inserted + 0 updated + 150 unchanged" in out
    assert "nothing new, not published again" in out
    assert len(list((home / "outbox").glob("*.json"))) == 1

    code, out, _ = prediction_assets("messages", "--json")
    (message,) = json.loads(out)
    assert (code, message["status"], message["rows"], message["league"]) == (0, "success", 150, "simulated-6")

    code, out, _ = prediction_assets("status", "--slate", message["slate"], "--watch")
    assert (code, "nothing: revision 1 is announced, success" in out) == (0, True)
    code, out, _ = prediction_assets("status", "--slate", message["slate"], "--json")
    report = json.loads(out)
    assert (report["staged_players"], report["parts_in_staging"], report["next_step"]) == (6, 0, "nothing")
    assert (report["phase_6"], report["acknowledged_revision"], report["before_tip_off"]) == (
        "published",
        None,
        False,
    )

    acknowledge = ("acknowledge", "--slate", message["slate"], "--revision")
    code, out, _ = prediction_assets(*acknowledge, "1")
    assert (code, out.partition(" at ")[0]) == (0, f"slate {message['slate']}: revision 1 was acknowledged")
    assert prediction_assets(*acknowledge, "1") == (0, out, "")
    code, _, err = prediction_assets(*acknowledge, "2")
    assert code == 2
    assert "the outbox has no revision 2, only 1; see `prediction-assets messages" in err
    _, out, _ = prediction_assets("status", "--slate", message["slate"], "--json")
    report = json.loads(out)
    assert (report["phase_6"], report["acknowledged_revision"]) == ("acknowledged", 1)
    assert (home / "warehouse.duckdb").exists()
    assert {p.name for p in home.iterdir()} >= {"staging", "features", "outbox", "state.sqlite", "dagster"}


def materializations(asset: str) -> int:
    with open_instance(load_settings(), capture_output=False) as instance:
        return len(instance.fetch_materializations(dg.AssetKey(asset), limit=100).records)


def test_a_second_run_finds_the_simulated_league_and_its_features_stored(home, prediction_assets):
    for _ in range(2):
        assert prediction_assets("run", "--simulated-players", "6")[0] == 0
    assert prediction_assets("run")[0] == 0
    found = {asset: materializations(asset) for asset in ("game_logs", "player_features", "slate_roster")}
    assert found == {"game_logs": 1, "player_features": 1, "slate_roster": 3}

    code, *_ = prediction_assets("ingest", "--simulated-players", "6")
    assert (code, materializations("game_logs")) == (0, 2), "who asks for it gets it again"


@pytest.mark.parametrize("ingested_until", [("game_logs",), ("game_logs", "schedule")], ids=" and ".join)
@pytest.mark.parametrize("arguments", [("--simulated-players", "6"), ()], ids=["named", "not named"])
def test_a_simulated_league_of_which_facts_are_missing_is_ingested_again(
    home, monkeypatch, prediction_assets, ingested_until, arguments
):
    monkeypatch.setenv("PREDICTION_ASSETS_SIMULATED_PLAYERS", "6")
    league = simulate_league(6)
    stores = open_stores(load_settings())
    for table in (GAME_LOGS, SCHEDULE):
        if table.name in ingested_until:
            stores.warehouse.upsert(table, getattr(league, table.name))
    code, out, _ = prediction_assets("run", *arguments)
    assert (code, "150 inserted + 0 updated + 0 unchanged" in out) == (0, True)
    (lines,) = stores.warehouse.query(queries.COUNT_FACTS["prop_lines"])["row_count"].to_pylist()
    assert lines == league.prop_lines.num_rows


def test_another_simulated_league_is_ingested_beside_the_first(home, prediction_assets):
    assert prediction_assets("run", "--simulated-players", "6")[0] == 0
    code, out, _ = prediction_assets("run", "--simulated-players", "7")
    assert (code, "7 expected, 7 staged" in out, materializations("game_logs")) == (0, True, 2)


def test_a_partial_slate_exits_with_1(ready, monkeypatch, prediction_assets):
    from prediction_assets_tests.orchestration.assets.faults import FailingParts

    slug = ready.stores.batch_state.progress(SIMULATED).batch.expected[0].slug
    healthy = FailingParts.__mro__[1].write

    def write(self, slate, player_slug, rows, fence):
        if player_slug == slug:
            raise OSError(28, "No space left on device")
        return healthy(self, slate, player_slug, rows, fence)

    monkeypatch.setattr("prediction_assets.stores.local.parts.ArrowParts.write", write)
    monkeypatch.setenv("PREDICTION_ASSETS_HOME", str(ready._settings.home))
    code, out, _ = prediction_assets("run", "--slate", SIMULATED)
    assert code == 1
    assert f"{PLAYERS - 1} staged, 0 skipped, 1 failed" in out
    assert f"{slug}: OSError" in out


def test_a_home_with_real_game_logs_and_no_schedule_does_not_get_the_simulated_league(
    home, tmp_path, prediction_assets
):
    logs = tmp_path / "logs.csv"
    logs.write_text(LOGS, "utf-8")
    assert prediction_assets("ingest", "--game-logs", str(logs))[0] == 0
    code, _, err = prediction_assets("run")
    assert code == 2
    assert "this home holds real games, but game logs or schedule are missing" in err
    with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True) as connection:
        assert connection.execute("SELECT COUNT(*) FROM facts.schedule").fetchall() == [(0,)]


@pytest.mark.parametrize("with_logs", [True, False], ids=["real logs", "empty home"])
def test_the_ui_is_opened_on_a_simulated_league_only_where_nothing_real_is(
    home, tmp_path, monkeypatch, prediction_assets, with_logs
):
    if with_logs:
        logs = tmp_path / "logs.csv"
        logs.write_text(LOGS, "utf-8")
        assert prediction_assets("ingest", "--game-logs", str(logs))[0] == 0
    monkeypatch.setattr("prediction_assets.cli.dev.exec_server", lambda command, environment: None)
    assert prediction_assets("dev", "--port", "0")[0] == 0
    assert load_settings().ui_url == "http://127.0.0.1:0"  # links of other processes open
    with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True) as connection:
        (count,) = connection.execute("SELECT COUNT(*) FROM facts.schedule").fetchone()
    assert bool(count) is not with_logs


def test_a_slate_that_never_was_is_not_open(ingested, monkeypatch, prediction_assets):
    monkeypatch.setenv("PREDICTION_ASSETS_HOME", str(ingested._settings.home))
    code, out, _ = prediction_assets("status", "--slate", "2026-01-02", "--json")
    assert (code, json.loads(out)["batch"]) == (0, "not open")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "--slate", "tonight"), "slate: 'tonight' is not a date"),
        (("run", "--simulated-players", "0"), "0 expected players"),
        (("run", "--simulated-players", "6", "--schedule", "s.csv"), "can't be combined with files"),
        (("ingest",), "nothing to ingest: no file is named, here or in the settings"),
        (("status", "--slate", "2026-13-01"), "'2026-13-01' is not a date"),
        (("status",), "no schedule was ingested"),
        (("status", "--watch", "--json"), "--watch: can't be combined with --json"),
        (("run", "--slate", "2026-01-02", "--schedule", "missing.csv"), "missing.csv"),
        (("ingest", "--schedule", "a.csv", "--schedule", "b.csv"), "--schedule: is there more than once"),
        (
            ("alerts", "test", "--severity", "error", "--severity", "info"),
            "--severity: is there more than once",
        ),
    ],
)
def test_what_cannot_be_done_is_one_line_and_exit_2(home, prediction_assets, arguments, message):
    code, out, err = prediction_assets(*arguments)
    assert code == 2
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, err
    assert message in errors[0]
    assert "Traceback" not in err + out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        (LOGS.replace("PTS", "POINTS"), "PTS"),
        (LOGS.replace(",13,1", ",many,1"), "row 2"),
        (LOGS.replace("2024-10-22,NYK", "22/10/2024,NYK"), "row 3"),
        (LOGS + LOGS.splitlines()[1].replace(",W,30,", ",W,31,") + "\n", "row"),
    ],
    ids=[
        "an empty file",
        "a misspelt column",
        "a text in a number column",
        "not a date",
        "rows that disagree",
    ],
)
def test_a_bad_file_is_refused_by_name_and_row_and_the_warehouse_is_unchanged(
    tmp_path,
    ingested,
    monkeypatch,
    prediction_assets,
    text,
    message,
):
    monkeypatch.setenv("PREDICTION_ASSETS_HOME", str(ingested._settings.home))
    count = "SELECT COUNT(*) AS n, SUM(points) AS points FROM facts.game_logs"
    before = ingested.stores.warehouse.query(count).to_pylist()
    bad = tmp_path / "logs.csv"
    bad.write_text(text, "utf-8")
    code, _, err = prediction_assets("ingest", "--game-logs", str(bad))
    (error,) = [line for line in err.splitlines() if line.startswith("error: ")]
    assert code == 2
    assert "logs.csv" in error
    assert message in error
    assert ingested.stores.warehouse.query(count).to_pylist() == before


def test_a_truncated_parquet_is_refused_by_name(tmp_path, home, prediction_assets):
    bad = tmp_path / "logs.parquet"
    bad.write_bytes(b"PAR1" + b"\x00" * 100)
    code, _, err = prediction_assets("ingest", "--game-logs", str(bad))
    assert (code, "logs.parquet" in err, "Traceback" in err) == (2, True, False)


def test_ingesting_a_file_again_changes_nothing(tmp_path, home, prediction_assets):
    logs = tmp_path / "logs.csv"
    logs.write_text(LOGS, "utf-8")
    _, first, _ = prediction_assets("ingest", "--game-logs", str(logs))
    _, second, _ = prediction_assets("ingest", "--game-logs", str(logs))
    assert [cell.strip() for cell in first.split("│") if cell.strip()][2:5] == ["2", "0", "0"]
    assert [cell.strip() for cell in second.split("│") if cell.strip()][2:5] == ["0", "0", "2"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root can write anywhere")
def test_a_read_only_home_is_refused(tmp_path, monkeypatch, prediction_assets):
    tmp_path.chmod(0o500)
    monkeypatch.setenv("PREDICTION_ASSETS_HOME", str(tmp_path / "home"))
    code, _, err = prediction_assets("status")
    assert (code, "PREDICTION_ASSETS_HOME" in err) == (2, True)


def test_a_home_that_cannot_be_a_folder_is_refused(tmp_path, monkeypatch, prediction_assets):
    (tmp_path / "file").write_text("", "utf-8")
    monkeypatch.setenv("PREDICTION_ASSETS_HOME", str(tmp_path / "file"))
    code, _, err = prediction_assets("status")
    assert code == 2
    assert err.startswith(f"error: {tmp_path / 'file'}")
    assert "PREDICTION_ASSETS_HOME" in err


def test_a_damaged_warehouse_is_named_and_left_as_it_is(ingested, monkeypatch, prediction_assets):
    database = ingested._settings.home / "warehouse.duckdb"
    damaged = database.read_bytes()[:4096] + b"\xff" * 4096
    database.write_bytes(damaged)
    monkeypatch.setenv("PREDICTION_ASSETS_HOME", str(ingested._settings.home))
    code, _, err = prediction_assets("run", "--slate", SIMULATED)
    assert (code, "warehouse.duckdb" in err, "Traceback" in err) == (2, True, False)
    assert database.read_bytes() == damaged


def test_ingest_without_options_takes_the_files_of_the_settings(
    home, tmp_path, monkeypatch, prediction_assets
):
    logs = tmp_path / "logs.csv"
    logs.write_text(LOGS, "utf-8")
    monkeypatch.setenv("PREDICTION_ASSETS_GAME_LOGS", str(logs))
    code, out, _ = prediction_assets("ingest")
    assert code == 0
    (line,) = [line for line in out.splitlines() if "game_logs" in line]
    assert [cell.strip() for cell in line.strip("│").split("│")][:2] == ["game_logs", "2"]
    assert not any(facts in out for facts in ("schedule", "prop_lines"))


def test_status_lists_the_players_who_have_not_settled_beside_those_who_failed(
    ingested, monkeypatch, prediction_assets
):
    monkeypatch.setenv("PREDICTION_ASSETS_HOME", str(ingested._settings.home))
    slugs = [player.slug for player in ingested.roster(SIMULATED).batch.expected]
    ingested.features(SIMULATED)
    ingested.stage(SIMULATED, slugs[:-2])
    code, out, _ = prediction_assets("status", "--slate", SIMULATED, "--json")
    report = json.loads(out)
    assert (code, report["unsettled_players"]) == (0, 2)
    assert report["missing"] == [f"{slug}: unsettled" for slug in sorted(slugs[-2:])]


def all_commands() -> Iterator[tuple[str, Any]]:
    """Yield every command with what is typed for it."""
    root = typer.main.get_command(commands.app)
    for name, command in root.commands.items():
        yield name, command
        for sub, each in getattr(command, "commands", {}).items():
            yield f"{name} {sub}", each


@pytest.mark.parametrize("group", ["", "alerts", "dead-letters", "quarantine", "gcp"])
def test_the_commands_summaries_fit_a_terminal_of_80_columns(group, monkeypatch):
    monkeypatch.setattr("typer.rich_utils.MAX_WIDTH", 80)
    shown = CliRunner().invoke(commands.app, [group, "--help"] if group else ["--help"]).output
    panels = shown.partition("--help")[2].partition("╰")[2]
    rows = [line for line in panels.splitlines() if line.startswith("│")]
    assert rows
    assert [line for line in rows if line.startswith("│  ")] == []  # where a summary goes on


def test_every_option_says_in_capitals_what_it_takes_and_slates_say_their_default():
    options = [
        (name, each)
        for name, command in all_commands()
        for each in command.params
        if each.param_type_name == "option"
    ]
    unnamed = [(name, each.name) for name, each in options if not each.is_flag and not each.metavar]
    assert unnamed == []
    said = {name: each.help for name, each in options if "--slate" in each.opts and not each.required}
    assert {name: text.partition("default: ")[2] for name, text in said.items()} == {
        "run": "newest with games up to today",
        "status": "newest with games up to today",
        "health": "tonight",
        "messages": "all",
        "dead-letters list": "all",
        "dead-letters replay": "all",
    }


def test_the_installed_command_answers(tmp_path):
    environment = {**os.environ, "PREDICTION_ASSETS_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "prediction_assets.cli", "--help"],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    assert done.returncode == 0
    assert all(verb in done.stdout for verb in ("run", "ingest", "status", "messages", "dev"))
    assert list(tmp_path.iterdir()) == []


def test_an_instance_s_own_modules_import_what_they_need(tmp_path):
    (tmp_path / "of_a_deployment.py").write_text(
        "import pygments\nfrom prediction_assets.orchestration.instance import LoggedInstance as Instance\n",
        "utf-8",
    )
    (tmp_path / "dagster.yaml").write_text(
        "telemetry: {enabled: false}\ninstance_class: {module: of_a_deployment, class: Instance}\n", "utf-8"
    )
    done = subprocess.run(
        [sys.executable, "-m", "prediction_assets.cli", "clean-up", "--slate", "2026-01-01"],
        capture_output=True, text=True, check=False,
        env={
            **os.environ,
            "DAGSTER_HOME": str(tmp_path),
            "PREDICTION_ASSETS_HOME": str(tmp_path / "home"),
            "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path]),
        },
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "slate 2026-01-01: dropped 0 parts, kept 0\n"), done.stderr


@pytest.mark.parametrize("closed", ["1", "2"])
def test_a_command_whose_output_is_closed_ends_with_its_own_exit_code(tmp_path, closed):
    done = subprocess.run(
        ["sh", "-c", f'exec "$0" -m prediction_assets.cli --version {closed}>&-', sys.executable],
        capture_output=True, text=True, check=False, env={**os.environ, "PREDICTION_ASSETS_HOME": str(tmp_path)},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_injury_reports_are_ingested_with_the_names_that_did_not_resolve(home, prediction_assets, tmp_path):
    logs = tmp_path / "logs.csv"
    logs.write_text(LOGS, "utf-8")
    report = tmp_path / "Injury-Report_2024-10-23_05PM.csv"
    report.write_text(
        "Game Date,Game Time,Matchup,Team,Player Name,Current Status,Reason\n"
        '10/23/2024,07:00 (ET),NYK@BOS,Boston Celtics,"Example, Ann",Out,Rest\n'
        '10/23/2024,07:00 (ET),NYK@BOS,New York Knicks,"Body, No",Questionable,Rest\n',
        "utf-8",
    )
    code, out, err = prediction_assets("ingest", "--game-logs", str(logs), "--injury-reports", str(report))
    assert code == 0
    assert "error:" not in err
    (line,) = [line for line in out.splitlines() if "injury_reports" in line]
    assert [cell.strip() for cell in line.strip("│").split("│")] == [
        "injury_reports",
        "2",
        "0",
        "0",
        "0",
        "1",
        "0",
    ]

    code, _, err = prediction_assets("ingest", "--injury-reports", str(tmp_path / "missing.csv"))
    assert code == 2
    assert "no such file" in err


@pytest.mark.parametrize(
    "point",
    [
        "features_written",
        "part_written",
        "outcome_recorded",
        "merge_committed",
        "outbox_written",
        "publish_recorded",
    ],
)
def test_ctrl_c_amid_a_run_is_one_line_and_130_and_the_next_run_goes_on(home, prediction_assets, point):
    def interrupt(reached: str) -> None:
        if reached == point:
            failpoints.install(failpoints._go_on)
            signal.raise_signal(signal.SIGINT)

    failpoints.install(interrupt)
    try:
        code, out, err = prediction_assets("run", "--simulated-players", "6")
    finally:
        failpoints.install(failpoints._go_on)
    said = [line for line in err.splitlines() if not line.startswith("{")]
    assert (code, out) == (130, "")
    assert said == ["interrupted: steps that were done stay done; run the command again to go on"]
    code, out, _ = prediction_assets("run", "--simulated-players", "6")
    assert (code, "6 expected, 6 staged, 0 skipped, 0 failed" in out) == (0, True)
    assert len(list((home / "outbox").glob("*.json"))) == 1


def raised_in_a_circle() -> BaseException:
    """Return an error whose cause was raised while the error itself was handled."""
    error, cause = ValueError("bad"), OSError("worse")
    error.__cause__, cause.__context__ = cause, error
    return error


def raised_from(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (KeyboardInterrupt(), 130),
        (raised_from(PredictionAssetsError("can't be read"), KeyboardInterrupt()), 130),
        (dagster_errors.DagsterExecutionInterruptedError(), 130),
        (RuntimeError("another"), 2),
        (PredictionAssetsError("Query interrupted"), 2),
        (raised_from(ValueError("bad"), OSError("worse")), 2),
        (raised_in_a_circle(), 2),
    ],
    ids=repr,
)
def test_an_interrupted_query_or_step_is_no_failure(home, monkeypatch, prediction_assets, error, expected):
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("prediction_assets.cli.slates._status", fail)
    monkeypatch.setattr("prediction_assets.cli.slates.newest_slate", lambda _: SIMULATED)
    code, _, err = prediction_assets("status")
    assert (code, "interrupted: " in err) == (expected, expected == 130)


def interrupted_read(monkeypatch: pytest.MonkeyPatch, number: int) -> list[str]:
    """Interrupt the warehouse's read of this number; return the list into which the statements are put."""
    select, asked = DuckDBWarehouse._select, []

    def interrupt(self: DuckDBWarehouse, sql: str, parameters: Any) -> Any:
        asked.append(sql)
        if len(asked) == number:
            raise KeyboardInterrupt
        return select(self, sql, parameters)

    monkeypatch.setattr(DuckDBWarehouse, "_select", interrupt)
    return asked


def test_ctrl_c_amid_any_read_of_a_run_ends_it_and_fails_no_player(home, prediction_assets):
    assert prediction_assets("run", "--simulated-players", "6")[0] == 0
    published = sorted((home / "outbox").glob("*.json"))
    with pytest.MonkeyPatch.context() as patch:
        asked = interrupted_read(patch, 0)
        assert prediction_assets("run", "--simulated-players", "6")[0] == 0
        reads = len(asked)
    assert reads > 15
    for number in range(1, reads + 1, 2):
        with pytest.MonkeyPatch.context() as patch:
            interrupted_read(patch, number)
            code, out, err = prediction_assets("run", "--simulated-players", "6")
        assert (code, out, "interrupted: " in err) == (130, "", True), number
        progress = open_stores(load_settings()).batch_state.progress("2057-01-15")
        assert progress.count(Outcome.FAILED) == 0, number
    assert prediction_assets("run", "--simulated-players", "6")[0] == 0
    assert sorted((home / "outbox").glob("*.json")) == published


@pytest.mark.parametrize("named", ["health", "status", "alerts check", "verify"])
def test_ctrl_c_amid_a_read_of_a_command_ends_it(home, prediction_assets, named):
    assert prediction_assets("run", "--simulated-players", "6")[0] == 0
    for number in (1, 2, 3):
        with pytest.MonkeyPatch.context() as patch:
            asked = interrupted_read(patch, number)
            code, out, err = prediction_assets(*named.split())
        if len(asked) < number:
            assert number > 1
            break
        assert (code, out, "interrupted: " in err) == (130, "", True), number


def test_ctrl_c_amid_the_first_imports_is_one_line_too(home, monkeypatch, prediction_assets):
    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_run_command", interrupt)
    code, out, err = prediction_assets("status")
    assert (code, out) == (130, "")
    assert err == "interrupted: steps that were done stay done; run the command again to go on\n"
