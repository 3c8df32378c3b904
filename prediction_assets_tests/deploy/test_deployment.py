"""A slate carried by separate processes, as deployed: PostgreSQL, code server, webserver, daemon and run workers."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import psycopg2
import pytest
from dagster import DagsterRun, DagsterRunStatus
from dagster._core.launcher import WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG

from prediction_assets.settings import load_settings
from prediction_assets.simulation.slates import simulated_facts, simulated_slate
from prediction_assets.stores.local.parts import ArrowParts, ArrowSnapshots
from prediction_assets.stores.local.warehouse import DuckDBWarehouse
from prediction_assets_tests.deployment import (
    PARTS,
    Deployment,
    compose,
    deployment,
    health_command,
    start_all,
    until,
)
from prediction_assets_tests.long.soak import report, soak
from prediction_assets_tests.postgres import reason_to_skip

PLAYERS = 8
SLATE = simulated_slate(PLAYERS).isoformat()
SECRETS = {
    "PREDICTION_ASSETS_ALERT_URLS": "json://alerts:Recognisable-Password@127.0.0.1:9/recognisable-hook",
    "PREDICTION_ASSETS_ALERT_ERROR_URLS": "slack://TRECOGNIS/BRECOGNIS/RecognisableWebhookTokens",
    "PREDICTION_ASSETS_ALERT_CRITICAL_URLS": "discord://4174216298/RecognisableDiscordToken",
}
# 127.0.0.1, the same as gRPC's IPv6 socket has it, and ::1, as the kernel writes them.
LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}
RECOGNISED = re.compile(r"recognis|4174216298", re.IGNORECASE)

pytestmark = pytest.mark.skipif(reason_to_skip() is not None, reason=str(reason_to_skip()))


@dataclass(frozen=True)
class Carried:
    """A deployment that carried a slate to its completion, and told nobody of a failed run, for want of an answer."""

    made: Deployment
    message: dict[str, object]


@pytest.fixture(scope="module")
def carried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Carried]:
    """A simulated slate of eight, in two staging runs, asked for as the UI does."""
    folder = tmp_path_factory.mktemp("deployment") / "it"
    settings = {
        "PREDICTION_ASSETS_SENSOR_INTERVAL_SECONDS": "2",
        "PREDICTION_ASSETS_PLAYERS_PER_RUN": "4",
        **SECRETS,
    }
    with deployment(folder, settings) as made:
        start_all(made)
        ingestion = made.launch("ingest", **simulated_facts(PLAYERS), injury_reports={})
        until(lambda: made.run_status(ingestion) in ("SUCCESS", "FAILURE"), f"ingestion; see {folder}")
        failing = made.launch("roster", slate_roster={"slate": "not-a-date"})
        made.launch("roster", slate_roster={"slate": SLATE})
        outbox = made.home / "outbox"
        until(lambda: bool(list(outbox.glob("*.json"))), f"a completion; see {folder}")
        until(lambda: made.run_status(failing) == "FAILURE", f"a failed run; see {folder}")
        until(lambda: "alerts not delivered" in made.log("daemon").read_text("utf-8"), "an alert that fails")
        (message,) = outbox.glob("*.json")
        yield Carried(made, json.loads(message.read_text("utf-8")))


def test_a_slate_asked_for_through_the_ui_is_completed_by_the_processes(carried):
    home = carried.made.home
    assert (carried.message["status"], carried.message["rows"]) == ("success", PLAYERS * 25)
    warehouse = DuckDBWarehouse(
        home / "warehouse.duckdb", ArrowParts(home / "staging"), ArrowSnapshots(home / "features"), 60.0
    )
    (receipt,) = warehouse.receipts(SLATE)
    assert receipt.rows == PLAYERS * 25
    assert dict(warehouse.parts.staged(SLATE)) == {}
    query = "{ runsOrError { ... on Runs { results { jobName status } } } }"
    runs = carried.made.ask(query)["runsOrError"]["results"]
    assert [run["jobName"] for run in runs].count("staging") == 2


@pytest.mark.parametrize("part", PARTS)
def test_each_part_says_that_it_is_healthy(carried, part):
    made = carried.made
    check = subprocess.run(
        made.local(health_command(part)),
        cwd=made.dagster_home, env=made.variables(part), capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert check.returncode == 0, check.stderr


def test_a_code_server_that_is_gone_is_said_to_be_unhealthy(carried):
    made = carried.made
    words = [
        word.replace(made.environment["CODE_SERVER_PORT"], "9") for word in made.local(health_command("code"))
    ]
    check = subprocess.run(
        words,
        cwd=made.dagster_home,
        env=made.variables("code"),
        capture_output=True,
        check=False,
        timeout=300,
    )
    assert check.returncode == 1


def test_the_command_line_beside_the_code_server_sees_the_deployment_s_instance(carried):
    """Not an instance of its own, where no run ever failed and no daemon is missed."""
    made = carried.made

    def tell(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            made.local(["prediction-assets", *words]),
            cwd=made.dagster_home, env=made.variables("code"), capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip

    health = tell("health", "--slate", SLATE, "--json")
    (no_errors,) = [check for check in json.loads(health.stdout)["lines"] if check["name"] == "no_errors"]
    assert "roster" in json.dumps(no_errors), "the run that failed in the deployment"
    again = tell("consolidate", "--slate", SLATE)
    assert again.returncode == 0, again.stderr
    query = "{ runsOrError { ... on Runs { results { jobName } } } }"
    jobs = [run["jobName"] for run in made.ask(query)["runsOrError"]["results"]]
    assert jobs.count("consolidation") == 2
    assert not (made.home / "dagster").exists()


def test_the_dagster_home_gets_nothing_but_what_compose_mounts_there(carried):
    root = "/opt/dagster/dagster_home/"
    service = compose()["services"]["code"]
    mounted = {mount.partition(":")[0] for mount in service["tmpfs"]}
    mounted |= {volume.split(":")[1] for volume in service["volumes"]}
    writable = {path.removeprefix(root) for path in mounted if path.startswith(root)}
    found = {each.name for each in carried.made.dagster_home.iterdir()}
    assert found - {"dagster.yaml", "workspace.yaml"} <= writable


def test_daemon_and_webserver_work_without_any_setting_of_the_project(carried):
    for part in ("webserver", "daemon"):
        names = {name for name in carried.made.variables(part) if name.startswith("PREDICTION_ASSETS_")}
        assert names == {"PREDICTION_ASSETS_LOG_FORMAT"}


def test_no_secret_of_the_settings_is_in_any_event_config_tag_or_tick_of_the_instance(carried):
    environment = carried.made.environment
    password = environment["DAGSTER_POSTGRES_PASSWORD"]
    connection = psycopg2.connect(
        host=environment["DAGSTER_POSTGRES_HOST"],
        port=environment["DAGSTER_POSTGRES_PORT"],
        user=environment["DAGSTER_POSTGRES_USER"],
        password=password,
        dbname=environment["DAGSTER_POSTGRES_DB"],
    )
    with closing(connection), connection.cursor() as cursor:
        cursor.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
        tables = [name for (name,) in cursor.fetchall()]
        assert {"event_logs", "runs", "run_tags", "job_ticks"} <= set(tables)
        rows = {}
        for table in tables:
            cursor.execute(f'SELECT "{table}"::text FROM "{table}"')
            rows[table] = [text for (text,) in cursor.fetchall()]
    assert len(rows["event_logs"]) > 100
    assert any("alerts not delivered" in row for row in rows["job_ticks"])
    assert any(SLATE in row for row in rows["event_logs"])
    leaks = {table for table, texts in rows.items() for t in texts if RECOGNISED.search(t) or password in t}
    assert leaks == set()


def test_no_secret_of_the_settings_is_in_any_file_that_the_processes_wrote(carried):
    made = carried.made
    password = made.environment["DAGSTER_POSTGRES_PASSWORD"].encode()
    written = [each for each in made.folder.rglob("*") if each.is_file()]
    kinds = {each.suffix for each in written}
    assert {".log", ".json", ".sqlite", ".duckdb", ".arrow", ".err"} <= kinds
    leaks = [
        str(each.relative_to(made.folder))
        for each in written
        if RECOGNISED.search(each.read_bytes().decode("latin-1")) or password in each.read_bytes()
    ]
    assert leaks == []


def test_the_search_for_secrets_finds_each_of_them():
    assert [name for name, value in SECRETS.items() if not RECOGNISED.search(value)] == []
    settings = load_settings(
        **{name.removeprefix("PREDICTION_ASSETS_").lower(): value for name, value in SECRETS.items()}
    )
    assert not RECOGNISED.search(repr(settings))


def test_run_monitoring_is_told_that_a_worker_is_gone_only_by_a_code_server_that_answers(carried):
    made = carried.made
    here = {"host": made.environment["CODE_SERVER_HOST"], "port": int(made.environment["CODE_SERVER_PORT"])}
    cases = [
        ({GRPC_INFO_TAG: json.dumps(here)}, WorkerStatus.NOT_FOUND),
        ({GRPC_INFO_TAG: json.dumps({**here, "port": 9})}, WorkerStatus.RUNNING),
        ({}, WorkerStatus.RUNNING),
    ]
    with made.instance() as instance:
        assert instance.run_launcher.supports_check_run_worker_health
        for tags, expected in cases:
            run = DagsterRun("roster", status=DagsterRunStatus.STARTED, tags=tags)
            instance.add_run(run)
            try:
                assert instance.run_launcher.check_run_worker_health(run).status is expected
            finally:
                instance.delete_run(run.run_id)


def test_everything_listens_on_this_machine_only(carried):
    made = carried.made
    ours = {
        made.ui_port,
        int(made.environment["CODE_SERVER_PORT"]),
        int(made.environment["DAGSTER_POSTGRES_PORT"]),
    }
    found = _listening("tcp", ours) | _listening("tcp6", ours)
    assert {port for _, port in found} == ours
    assert {address for address, _ in found} <= LOOPBACK


def _listening(kind: str, ports: set[int]) -> set[tuple[str, int]]:
    """Return the addresses, as the kernel writes them, at which somebody listens on these ports."""
    lines = [line.split() for line in Path(f"/proc/net/{kind}").read_text("utf-8").splitlines()[1:]]
    found = {(line[1].split(":")[0], int(line[1].split(":")[1], 16)) for line in lines if line[3] == "0A"}
    return {(address, port) for address, port in found if port in ports}


def test_a_minute_of_random_kills_leaves_every_slate_complete(tmp_path):
    result = soak(tmp_path / "soak", 60, seed=20260102, players=20)
    assert result.problems == [], "\n".join(report(result))
    assert result.kills.total() >= 2
    assert result.slates
