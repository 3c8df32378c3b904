"""Settings come from the environment when they are asked for, and say which variable is wrong."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import duckdb
import pytest
from dagster._utils.schedules import is_valid_cron_string

from prediction_assets.errors import BadInput
from prediction_assets.orchestration.instance import prepare_home
from prediction_assets.settings import Settings, describe, load_settings
from prediction_assets_tests.orchestration.test_cli import command


def test_the_environment_is_read_when_settings_are_loaded(monkeypatch, tmp_path):
    monkeypatch.setenv("PREDICTION_ASSETS_HOME", str(tmp_path))
    monkeypatch.setenv("PREDICTION_ASSETS_DEADLINE_MINUTES", "45")
    settings = load_settings()
    assert (settings.home, settings.deadline_minutes) == (tmp_path, 45)


def test_a_relative_home_means_the_same_folder_wherever_a_run_works(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    home = load_settings(home=Path("here")).home
    monkeypatch.chdir("/")
    assert home == tmp_path / "here"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PROFILE", "moon"),
        ("DEADLINE_MINUTES", "soon"),
        ("DEADLINE_MINUTES", "0"),
        ("TIME_ZONE", "Mars/Olympus"),
        ("LEAST_EXPECTED_VALUE", "1.7"),
        ("BOARDS_URL", "boards.example.com"),
        ("BOARDS_COPY", "/srv/boards"),
        ("BOARDS_COPY", "ftp://me:secret@host/boards"),
        ("SIMULATED_PLAYERS", "5001"),
        ("ROSTER_CRON", "every morning"),
        ("MORNING_CHECK_CRON", "45 7"),
        ("MODEL_CRON", "61 4 1 1 1"),
    ],
)
def test_a_bad_setting_is_named_as_its_environment_variable(monkeypatch, name, value):
    monkeypatch.setenv(f"PREDICTION_ASSETS_{name}", value)
    with pytest.raises(BadInput, match=f"PREDICTION_ASSETS_{name}.*{value}"):
        load_settings()


@pytest.mark.parametrize(
    ("given", "link"),
    [
        ({}, "/a/home/boards/2026-01-02.html"),
        ({"profile": "gcp", "gcp_project": "p"}, ""),
        ({"boards_copy": "gs://bucket/boards/"}, "gs://bucket/boards/2026-01-02.html"),
        (
            {"boards_copy": "gs://bucket", "boards_url": "https://boards.example.com/nba"},
            "https://boards.example.com/nba/2026-01-02.html",
        ),
    ],
)
def test_a_board_is_linked_where_people_can_open_it(given, link):
    assert load_settings(home=Path("/a/home"), **given).board_link("2026-01-02") == link


RANGES = {
    # name: (below, lowest, highest, above, the range as the line says it)
    "SIMULATED_PLAYERS": ("0", "1", "5000", "5001", "1 to 5000"),
    "DEADLINE_MINUTES": ("0", "1", "10080", "10081", r"1 to 10080 \(a week\)"),
    "LEAST_EXPECTED_VALUE": ("-0.1", "0", "1", "1.1", "0 to 1"),
    "ONE_DIRECTION_SHARE": ("0.49", "0.5", "1", "1.1", "0.5 to 1"),
    "ONE_DIRECTION_MINIMUM": ("0", "1", "1000000", "1000001", "1 to 1000000"),
    "STAGING_THREADS": ("0", "1", "64", "65", "1 to 64"),
    "MINIMUM_STAGED_SHARE": ("-0.1", "0", "1", "1.1", "0 to 1"),
    "PLAYERS_PER_RUN": ("0", "1", "5000", "5001", "1 to 5000"),
    "CALL_TIMEOUT": ("0", "0.001", "3600", "3601", "above 0 to 3600"),
    "SENSOR_INTERVAL_SECONDS": ("0", "1", "86400", "86401", "1 to 86400"),
    "FETCH_MINUTES": ("4", "5", "720", "721", "5 to 720"),
    "SOURCE_TIMEOUT": ("0", "0.001", "600", "601", "above 0 to 600"),
    "NBA_REQUESTS_PER_DAY": ("-1", "0", "100000", "100001", "0 to 100000"),
    "NBA_REQUESTS_PER_MONTH": ("-1", "0", "1000000", "1000001", "0 to 1000000"),
    "ODDS_API_CREDITS_PER_DAY": ("-1", "0", "10000000", "10000001", "0 to 10000000"),
    "ODDS_API_CREDITS_PER_MONTH": ("-1", "0", "100000000", "100000001", "0 to 100000000"),
    "ANSWERS_DAYS": ("-1", "0", "36500", "36501", "0 to 36500"),
    "ACKNOWLEDGE_MINUTES": ("-1", "0", "1440", "1441", "0 to 1440"),
    "REFRESH_QUIET_SECONDS": ("-1", "0", "600", "601", "0 to 600"),
    "DIGEST_BETS": ("-1", "0", "50", "51", "0 to 50"),
    "KEEP_DAYS": ("-1", "0", "36500", "36501", "60 to 36500, or 0 for never"),
}


def test_the_table_of_ranges_has_every_number():
    numeric = {
        name.upper()
        for name, field in Settings.model_fields.items()
        if {int, float} & {field.annotation, *getattr(field.annotation, "__args__", ())}
    }
    assert numeric == RANGES.keys()


@pytest.mark.parametrize("value", ["below", "above", "nan", "inf", "-inf", "1e400", "9" * 30, "many"])
@pytest.mark.parametrize("name", RANGES)
def test_a_number_out_of_range_is_refused_in_one_line_with_value_and_range(monkeypatch, name, value):
    below, _, _, above, allowed = RANGES[name]
    value = {"below": below, "above": above}.get(value, value)
    monkeypatch.setenv(f"PREDICTION_ASSETS_{name}", value)
    with pytest.raises(
        BadInput, match=rf"^PREDICTION_ASSETS_{name}: '{value}' is .*; .*, {allowed}"
    ) as refused:
        load_settings()
    assert "\n" not in str(refused.value)
    assert "Input" not in str(refused.value)


@pytest.mark.parametrize("name", RANGES)
def test_the_ends_of_a_range_are_accepted(monkeypatch, name):
    _, lowest, highest, _, _ = RANGES[name]
    for value in (lowest, highest):
        monkeypatch.setenv(f"PREDICTION_ASSETS_{name}", value)
        assert getattr(load_settings(), name.lower()) == float(value)


EACH_ONCE = "separated by commas, each once"
NOT_A_PREFIX = "is not a prefix of letters, digits and _ that begins with a letter, such as nba_"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("PROFILE", "moon", "is not 'local' or 'gcp'"),
        ("LOG_LEVEL", "LOUD", "is not 'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
        ("TIME_ZONE", "Mars", "is not a time zone such as America/Los_Angeles"),
        ("DEADLINE_LOCAL_TIME", "25:00", "is not a time HH:MM, 00:00 to 23:59"),
        ("DEADLINE_LOCAL_TIME", "7:30", "is not a time HH:MM, 00:00 to 23:59"),
        ("DEADLINE_LOCAL_TIME", "07:60", "is not a time HH:MM, 00:00 to 23:59"),
        ("DEADLINE_LOCAL_TIME", "07:30\n", "is not a time HH:MM, 00:00 to 23:59"),
        ("DEADLINE_LOCAL_TIME", "٠٧:٣٠", "is not a time HH:MM, 00:00 to 23:59"),
        ("GCP_PREFIX", "nba-", NOT_A_PREFIX),
        ("GCP_PREFIX", "1nba", NOT_A_PREFIX),
        ("GCP_PREFIX", "nba\n", NOT_A_PREFIX),
        ("FACTS_CRON", "daily", "is not a cron expression of five fields, such as 0 7 * * *"),
        ("GAME_LOGS_SOURCES", "files,odds_api", "is not one or more of files, stats_nba, " + EACH_ONCE),
        ("SCHEDULE_SOURCES", "files,files", "is not one or more of files, stats_nba, cdn_nba, " + EACH_ONCE),
        ("PROP_LINES_SOURCES", ",", "is not one or more of files, odds_api, " + EACH_ONCE),
        ("ODDS_API_REGIONS", "us;eu", "is not a list of regions such as us,us2"),
        ("ODDS_API_URL", "https://key@host", "is not an address such as https://stats.nba.com"),
        ("ODDS_API_URL", "ftp://host", "is not an address such as https://stats.nba.com"),
        ("ROSTER_CRON", "daily", "is not a cron expression of five fields, such as 0 7 * * *"),
        (
            "KEEP_DAYS",
            "59",
            "is too short: the morning check reads the last 60 days; set 60 to 36500, or 0 to keep everything",
        ),
        (
            "MARKET_AWARE",
            "perhaps",
            "is not true or false; whether to publish a sixth system, market_aware, that uses the line: "
            "30 rows a player and market, not 25",
        ),
        *(
            (
                "MARKETS",
                markets,
                "is not player_points and any of player_rebounds, player_assists, player_threes, "
                "player_points_rebounds_assists, player_points_rebounds, player_points_assists, "
                "player_rebounds_assists, separated by commas, each once",
            )
            for markets in ("player_rebounds", "player_points,player_blocks", "player_points,player_points")
        ),
    ],
)
def test_a_refused_value_is_said_once_in_a_sentence_of_ours(monkeypatch, name, value, said):
    monkeypatch.setenv(f"PREDICTION_ASSETS_{name}", value)
    with pytest.raises(BadInput) as refused:
        load_settings()
    assert str(refused.value) == f"PREDICTION_ASSETS_{name}: {value!r} {said}"


@pytest.mark.parametrize("value", ["00:00", "07:30", "19:05", "23:59"])
def test_a_time_of_day_is_accepted(value):
    assert load_settings(deadline_local_time=value).deadline_local_time == value


@pytest.mark.parametrize("value", ["", "n", "nba_", "Nba2"])
def test_a_prefix_is_accepted(value):
    assert load_settings(gcp_prefix=value).gcp_prefix == value


def test_of_several_wrong_settings_every_one_is_named(monkeypatch):
    monkeypatch.setenv("PREDICTION_ASSETS_TIME_ZONE", "Mars")
    monkeypatch.setenv("PREDICTION_ASSETS_DEADLINE_LOCAL_TIME", "25:00")
    monkeypatch.setenv("PREDICTION_ASSETS_XYZZY", "1")
    with pytest.raises(BadInput) as refused:
        load_settings()
    assert str(refused.value) == (
        "PREDICTION_ASSETS_XYZZY: no such setting; docs/settings.md lists them; "
        "PREDICTION_ASSETS_TIME_ZONE: 'Mars' is not a time zone such as America/Los_Angeles; "
        "PREDICTION_ASSETS_DEADLINE_LOCAL_TIME: '25:00' is not a time HH:MM, 00:00 to 23:59"
    )


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("DEADLINE_MINUTE", "did you mean PREDICTION_ASSETS_DEADLINE_MINUTES?"),
        ("KEEP_RUNS_DAYS", "did you mean PREDICTION_ASSETS_KEEP_DAYS?"),
        ("LOG_LEVLE", "did you mean PREDICTION_ASSETS_LOG_LEVEL?"),
        ("deadline_minute", "did you mean PREDICTION_ASSETS_DEADLINE_MINUTES?"),
        ("DAGSTER_HOME", "did you mean DAGSTER_HOME?"),
        ("XYZZY", "docs/settings.md lists them"),
    ],
)
def test_a_misspelt_name_is_refused_with_the_nearest_one(monkeypatch, name, said):
    monkeypatch.setenv(f"PREDICTION_ASSETS_{name}", "45")
    with pytest.raises(BadInput) as refused:
        load_settings()
    assert str(refused.value) == f"PREDICTION_ASSETS_{name}: no such setting; {said}"


def test_an_empty_variable_is_not_set(monkeypatch):
    monkeypatch.setenv("PREDICTION_ASSETS_DEADLINE_MINUTES", "")
    monkeypatch.setenv("DAGSTER_HOME", "")
    settings = load_settings()
    assert (settings.deadline_minutes, settings.dagster_home, settings.owns_instance) == (30, None, True)


def test_the_instance_is_the_one_that_dagster_s_own_variable_names(monkeypatch, tmp_path):
    own = load_settings(home=tmp_path)
    assert (own.instance_folder, own.owns_instance) == (tmp_path / "dagster", True)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
    assert load_settings(home=tmp_path).owns_instance
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "elsewhere"))
    deployed = load_settings(home=tmp_path)
    assert (deployed.instance_folder, deployed.owns_instance) == (tmp_path / "elsewhere", False)
    with pytest.raises(BadInput, match=r"elsewhere/dagster\.yaml: not there; DAGSTER_HOME"):
        prepare_home(deployed)


def test_every_setting_is_described_in_one_sentence():
    described = list(describe())
    assert len(described) == len(Settings.model_fields)
    for each in described:
        assert re.fullmatch(r"[A-Z][^\n]*[^.]\.", each.description), each
        assert ". " not in each.description, each
    assert {each.variable: each.default for each in described}["PREDICTION_ASSETS_KEEP_DAYS"] == "400"
    assert [e.variable for e in described if not e.variable.startswith("PREDICTION_ASSETS_")] == [
        "DAGSTER_HOME"
    ]


def run_with(tmp_path: Path, name: str, value: str, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a process with one setting, in a home that isn't there yet."""
    environment = {**os.environ, "PREDICTION_ASSETS_HOME": str(tmp_path / "home"), name: value}
    return subprocess.run(
        [sys.executable, "-m", *command],
        env=environment, cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip


REFUSED = [
    (
        "PREDICTION_ASSETS_DEADLINE_MINUTE",
        "45",
        "PREDICTION_ASSETS_DEADLINE_MINUTE: no such setting; did you mean PREDICTION_ASSETS_DEADLINE_MINUTES?",
    ),
    (
        "PREDICTION_ASSETS_SIMULATED_PLAYERS",
        "5001",
        "PREDICTION_ASSETS_SIMULATED_PLAYERS: '5001' is out of range; "
        "expected players of the simulated league's slate, 1 to 5000",
    ),
]


@pytest.mark.parametrize(("name", "value", "line"), REFUSED, ids=["misspelt", "out of range"])
@pytest.mark.parametrize("verb", ["run", "ingest", "status", "health", "prune", "migrate", "dev"])
def test_every_command_says_it_in_one_line_exits_with_2_and_makes_nothing(
    tmp_path, capsys, monkeypatch, name, value, line, verb
):
    monkeypatch.setenv("PREDICTION_ASSETS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv(name, value)
    assert command(capsys, monkeypatch, verb) == (2, "", f"error: {line}\n")
    assert list(tmp_path.iterdir()) == []


def test_a_process_of_the_command_line_says_nothing_else_either(tmp_path):
    name, value, line = REFUSED[0]
    done = run_with(tmp_path, name, value, "prediction_assets.cli", "status")
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"error: {line}\n")
    assert list(tmp_path.iterdir()) == []


def newer_state(home: Path) -> Path:
    """Make a state file as a newer version left it."""
    path = home / "state.sqlite"
    with closing(sqlite3.connect(path)) as newer:
        newer.execute("PRAGMA user_version = 99")
    return path


def newer_warehouse(home: Path) -> Path:
    """Make a warehouse as a newer version left it."""
    path = home / "warehouse.duckdb"
    (home / "warehouse.lock").touch()
    with duckdb.connect(path) as newer:
        newer.execute("CREATE SCHEMA predictions")
        newer.execute("CREATE TABLE predictions.schema_versions AS SELECT 99 AS version")
    return path


@pytest.mark.parametrize("newer", [newer_state, newer_warehouse], ids=["state", "warehouse"])
@pytest.mark.parametrize(
    "arguments",
    [
        "migrate", "status", "status --slate 2026-01-15", "run", "run --slate 2026-01-15",
        "ingest --simulated-players 6", "messages", "dead-letters list", "prune --dry-run",
        "health", "health --slate 2026-01-15 --json",
        "alerts list", "alerts check", "dev",
    ],
)  # fmt: skip
def test_a_store_of_a_newer_version_is_one_line_before_anything_is_made(
    tmp_path, capsys, monkeypatch, newer, arguments
):
    monkeypatch.setenv("PREDICTION_ASSETS_HOME", str(tmp_path))
    path = newer(tmp_path)
    before = {each: each.stat().st_size for each in tmp_path.rglob("*")}
    code, out, err = command(capsys, monkeypatch, *arguments.split())
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"error: {path}: schema version 99, but prediction_assets ")
    assert {each: each.stat().st_size for each in tmp_path.rglob("*")} == before


def test_a_store_that_only_another_command_needs_stops_none_when_it_is_damaged(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PREDICTION_ASSETS_HOME", str(tmp_path))
    (tmp_path / "warehouse.duckdb").write_bytes(b"not a database" * 1000)
    code, out, err = command(capsys, monkeypatch, "messages", "--json")
    assert (code, out) == (0, "[]\n")
    assert "nothing of batch_state, dead_letters, outbox, alerts is here yet" in err


@pytest.mark.parametrize(
    ("cron", "accepted"),
    [
        ("0 7 * * *", True), ("*/15 6-9 1,15 1-12/2 0,7", True), ("59 23 31 12 7", True),
        ("60 7 * * *", False), ("0 24 * * *", False), ("0 7 0 * *", False), ("0 7 * 13 *", False),
        ("0 7 * * 8", False), ("0 7 * *", False), ("0 7 * * * *", False), ("*/0 7 * * *", False),
        ("9-6 7 * * *", False), ("0 7 * * *,", False), ("@daily", False), ("", False),
    ],
)  # fmt: skip
def test_a_cron_is_five_fields_in_range_that_dagster_accepts_too(cron, accepted):
    if accepted:
        assert load_settings(roster_cron=cron).roster_cron == cron
        assert is_valid_cron_string(cron)
    else:
        with pytest.raises(BadInput, match=r"ROSTER_CRON.*five fields, such as 0 7"):
            load_settings(roster_cron=cron)


def require_unloaded(command: str, *unwanted: str) -> None:
    """Require that a process which does this loads none of these modules."""
    script = f"{command}\nimport sys\nprint([m for m in {unwanted!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_command_line_loads_nothing_heavy_before_it_is_needed():
    require_unloaded(
        "import prediction_assets.cli.commands", "dagster", "sklearn", "google", "sqlglot", "apprise"
    )


@pytest.mark.parametrize("cron", ["0 7 * * *", "*/15 6-9 * * 1-5", "30 7 1,15 * *", "0 7 * JAN MON"])
def test_a_cron_is_accepted_that_dagster_accepts(cron, tmp_path):
    assert is_valid_cron_string(cron)
    assert load_settings(home=tmp_path, roster_cron=cron).roster_cron == cron


@pytest.mark.parametrize(
    "cron",
    ["", "7", "0 7 * *", "0 0 7 * * *", "0 25 * * *", "0 7 30 2 *", "@daily", "0 7 LW * *", "0 7 * * 1#2"],
)
def test_a_cron_that_not_both_readers_know_is_refused(cron, tmp_path):
    with pytest.raises(BadInput, match="is not a cron expression of five fields"):
        load_settings(home=tmp_path, roster_cron=cron)


def test_sources_are_names_in_order_and_the_odds_api_needs_its_key(monkeypatch):
    monkeypatch.setenv("PREDICTION_ASSETS_SCHEDULE_SOURCES", " stats_nba, cdn_nba,files ")
    assert load_settings().sources("schedule") == ("stats_nba", "cdn_nba", "files")
    assert load_settings().names("schedule")
    assert not load_settings().names("game_logs")
    monkeypatch.setenv("PREDICTION_ASSETS_PROP_LINES_SOURCES", "odds_api")
    with pytest.raises(BadInput, match="the source odds_api needs PREDICTION_ASSETS_ODDS_API_KEY"):
        load_settings()
    monkeypatch.setenv("PREDICTION_ASSETS_ODDS_API_KEY", "a-secret")
    assert "a-secret" not in repr(load_settings())
