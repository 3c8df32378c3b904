"""Upgrades: every earlier home opens, is migrated whole, and loses nothing; a later one is refused untouched."""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest

from prediction_assets import __version__
from prediction_assets.errors import PredictionAssetsError, SchemaTooNew, StateUnreadable
from prediction_assets.orchestration.instance_config import EARLIER_PACKAGED, Origin, examine, packaged_text
from prediction_assets.orchestration.resources.local import local_stores
from prediction_assets.settings import load_settings
from prediction_assets.slate.completion_message import validate_completion
from prediction_assets.stores.gcp.firestore_schema import DOCUMENTS_VERSION
from prediction_assets.stores.local import state_file
from prediction_assets.stores.local.alerts import SqliteAlertStore
from prediction_assets.stores.local.batch_state import SqliteBatchState
from prediction_assets.stores.local.dead_letters import SqliteDeadLetters
from prediction_assets.stores.local.outbox import SqliteOutbox
from prediction_assets.stores.local.parts import ParquetParts, ParquetSnapshots
from prediction_assets.stores.local.state_file import StateFile
from prediction_assets.stores.local.state_schema import STATE_SCHEMA_VERSION
from prediction_assets.stores.local.warehouse import DuckDBWarehouse
from prediction_assets.stores.sql.tables import TABLES, WAREHOUSE_SCHEMA_VERSION
from prediction_assets_tests.test_cli import command

ROOT = Path(__file__).resolve().parents[1]

EARLIER = [
    Path(__file__).parent / "earlier_homes" / name for name in ("6939341", "f9c5766", "42b8ef7", "38250f9")
]

SHAPES = {4: "a527757a96cb"}
"""Of each warehouse version since they are recorded: SHA-256 over the tables' columns, the first 12 digits."""


@pytest.fixture(params=EARLIER, ids=lambda path: path.name)
def earlier(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A home as an earlier version left it."""
    home = tmp_path / request.param.name
    (home / "dagster").mkdir(parents=True)
    with closing(sqlite3.connect(home / "state.sqlite")) as state:
        state.executescript((request.param / "state.sql").read_text("utf-8"))
    with duckdb.connect(str(home / "warehouse.duckdb")) as made:
        made.execute("SET TimeZone = 'UTC'")
        made.execute((request.param / "warehouse.sql").read_text("utf-8"))
    (home / "dagster" / "dagster.yaml").write_text((request.param / "dagster.yaml").read_text("utf-8"))
    return home


def opened(home: Path) -> DuckDBWarehouse:
    parts = ParquetParts(home / "staging")
    return DuckDBWarehouse(home / "warehouse.duckdb", parts, ParquetSnapshots(home / "features"), 30.0)


def state_rows(home: Path) -> dict[str, list[tuple[Any, ...]]]:
    with closing(sqlite3.connect(home / "state.sqlite")) as state:
        names = [name for (name,) in state.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        return {name: state.execute(f"SELECT * FROM {name}").fetchall() for name in sorted(names)}


def warehouse_rows(home: Path) -> dict[str, list[dict[str, Any]]]:
    with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True) as made:
        made.execute("SET TimeZone = 'UTC'")
        names = made.execute(
            "SELECT schema_name || '.' || table_name FROM duckdb_tables() WHERE NOT internal ORDER BY ALL"
        ).fetchall()
        return {
            name: made.sql(f"SELECT * FROM {name} ORDER BY ALL").to_arrow_table().to_pylist()
            for (name,) in names
        }


def is_kept(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> bool:
    """Return whether the rows are the same in the columns that were there."""
    return before == [{name: row[name] for name in (before[0] if before else ())} for row in after]


@pytest.mark.slow
def test_migrating_an_earlier_home_keeps_every_row_receipt_event_letter_and_alert(
    earlier, monkeypatch, capsys
):
    state, rows = state_rows(earlier), warehouse_rows(earlier)
    assert rows["predictions.player_prop_predictions"]
    assert state["completions"]
    monkeypatch.setenv("PREDICTION_ASSETS_HOME", str(earlier))
    assert command(capsys, monkeypatch, "migrate")[0] == 0
    now = state_rows(earlier)
    widths = {name: len(rows[0]) if rows else 0 for name, rows in state.items()}
    assert {name: [row[: widths[name]] for row in now[name]] for name in state} == state
    migrated = warehouse_rows(earlier)
    assert [name for name in rows if not is_kept(rows[name], migrated[name])] == []
    assert {table.qualified_name for table in TABLES} <= migrated.keys()
    assert [row["version"] for row in migrated["predictions.schema_versions"]] == [WAREHOUSE_SCHEMA_VERSION]
    code, out, _ = command(capsys, monkeypatch, "migrate")
    assert code == 0
    assert out.count("nothing to do") == 2
    assert warehouse_rows(earlier) == migrated


def test_an_earlier_home_opens_without_the_command_and_its_stores_read_what_is_there(earlier):
    state = SqliteBatchState(earlier / "state.sqlite")
    ((slate,),) = [row[:1] for row in state_rows(earlier)["batches"]]
    progress = state.progress(slate)
    assert progress is not None
    assert progress.receipt is not None
    assert not progress.unsettled
    (receipt,) = opened(earlier).receipts(slate)
    assert receipt == progress.receipt
    (event,) = SqliteOutbox(earlier / "state.sqlite").entries(slate)
    assert event.receipt_id == receipt.receipt_id
    validate_completion(event.message)
    letters = SqliteDeadLetters(earlier / "state.sqlite").letters()
    assert len(letters) == (earlier.name != "6939341")
    alerts = SqliteAlertStore(earlier / "state.sqlite").unsettled()
    assert len(alerts) == (earlier.name == "38250f9")
    with closing(sqlite3.connect(earlier / "state.sqlite")) as made:
        assert made.execute("PRAGMA user_version").fetchone() == (STATE_SCHEMA_VERSION,)


@pytest.mark.slow
def test_a_dry_run_says_what_a_home_lacks_and_changes_no_file(earlier, monkeypatch, capsys):
    files = [earlier / "state.sqlite", earlier / "warehouse.duckdb", earlier / "dagster" / "dagster.yaml"]
    before = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    monkeypatch.setenv("PREDICTION_ASSETS_HOME", str(earlier))
    code, out, _ = command(capsys, monkeypatch, "migrate", "--dry-run")
    assert code == 0
    assert "no version recorded, would be" in out
    assert "add table predictions.prediction_grades" in out
    assert [hashlib.sha256(file.read_bytes()).hexdigest() for file in files] == before


@pytest.mark.parametrize("store", ["warehouse", "state"])
def test_a_home_of_a_later_version_is_refused_by_everything_and_no_file_of_it_is_changed(
    store, tmp_path, monkeypatch, capsys
):
    home = tmp_path / "home"
    settings = load_settings(home=home)
    opened(home).query("SELECT 1")
    SqliteBatchState(home / "state.sqlite").progress("2026-01-02")
    if store == "state":
        with closing(sqlite3.connect(home / "state.sqlite")) as made:
            made.execute(f"PRAGMA user_version = {STATE_SCHEMA_VERSION + 1}")
    else:
        with duckdb.connect(str(home / "warehouse.duckdb")) as made:
            made.execute("INSERT INTO predictions.schema_versions VALUES (99, now(), '9.0.0')")
    before = state_rows(home), warehouse_rows(home)
    refused = rf"schema version ({STATE_SCHEMA_VERSION + 1}|99), and .* Install the version that migrated it"
    opening = {
        "state": [
            lambda: SqliteBatchState(home / "state.sqlite").progress("2026-01-02"),
            lambda: SqliteOutbox(home / "state.sqlite").entries(),
            lambda: SqliteDeadLetters(home / "state.sqlite").letters(),
            lambda: SqliteAlertStore(home / "state.sqlite").unsettled(),
        ],
        "warehouse": [
            lambda: opened(home).query("SELECT 1"),
            lambda: opened(home).receipts("2026-01-02"),
        ],
    }[store]
    for each in opening:
        with pytest.raises(SchemaTooNew, match=refused):
            each()
    for dry_run in ([], ["--dry-run"]):
        monkeypatch.setenv("PREDICTION_ASSETS_HOME", str(home))
        code, out, err = command(capsys, monkeypatch, "migrate", *dry_run)
        assert (code, out) == (2, "")
        assert err.count("\n") == 1
        assert "docs/upgrading.md" in err
    assert (state_rows(home), warehouse_rows(home)) == before
    assert len(local_stores(settings)) == 2


@pytest.mark.parametrize("by", [STATE_SCHEMA_VERSION, STATE_SCHEMA_VERSION + 1])
def test_a_state_file_that_is_migrated_between_the_look_and_the_migration_keeps_its_version(
    tmp_path, monkeypatch, by
):
    path = tmp_path / "state.sqlite"
    state_file.connect(path).close()

    def set_version(version: int) -> None:
        with closing(sqlite3.connect(path)) as other:
            other.execute(f"PRAGMA user_version = {version}")

    set_version(STATE_SCHEMA_VERSION - 1)
    really, looks = state_file.require_known, 0

    def another_process_is_first(store: str, found: int, known: int) -> None:
        nonlocal looks
        really(store, found, known)
        looks += 1
        if looks == 1:
            set_version(by)

    monkeypatch.setattr(state_file, "require_known", another_process_is_first)
    if by > STATE_SCHEMA_VERSION:
        with pytest.raises(SchemaTooNew, match=f"schema version {by}"):
            state_file.connect(path)
    else:
        state_file.connect(path).close()
    with closing(sqlite3.connect(path)) as made:
        assert made.execute("PRAGMA user_version").fetchone() == (by,)


_KILLED = """
import os, sys
from pathlib import Path
home, after = Path(sys.argv[1]), int(sys.argv[2])
done = 0
def count(*_):
    global done
    done += 1
    if done > after:
        os._exit(9)
{patch}
{call}
print("ended")
"""

_STATE_KILLED = _KILLED.format(
    patch="from prediction_assets import state_file\nimport sqlite3\n"
    "really = sqlite3.connect\n"
    "def traced(*a, **k):\n"
    "    made = really(*a, **k)\n"
    "    made.set_trace_callback(lambda text: count() if 'CREATE' in text or 'user_version =' in text else None)\n"
    "    return made\n"
    "state_file.sqlite3.connect = traced",
    call="from prediction_assets.stores.local.state_file import StateFile\nStateFile(home / 'state.sqlite').migrate()",
)
_WAREHOUSE_KILLED = _KILLED.format(
    patch="from prediction_assets.warehouse import duckdb_schema\n"
    "really = duckdb_schema.complete\n"
    "class Counted:\n"
    "    def __init__(self, made): self.made = made\n"
    "    def __getattr__(self, name): return getattr(self.made, name)\n"
    "    def execute(self, *a): count(); return self.made.execute(*a)\n"
    "    def commit(self): count(); return self.made.commit()\n"
    "from prediction_assets.warehouse import duckdb as module\n"
    "module.complete = lambda made, lacking: really(Counted(made), lacking)",
    call="from prediction_assets_tests.test_upgrades import opened\nopened(home).migrate()",
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "most"), [(_STATE_KILLED, 9), (_WAREHOUSE_KILLED, 9)], ids=["state", "warehouse"]
)
@pytest.mark.parametrize("earlier", EARLIER[:1], indirect=True, ids=lambda path: path.name)
def test_a_migration_that_is_killed_at_a_statement_leaves_the_earlier_home_and_is_done_by_the_next(
    earlier, script, most
):
    before = state_rows(earlier), warehouse_rows(earlier)
    killed = 0
    for after in range(0, most, 4):
        arguments = [sys.executable, "-c", script, str(earlier), str(after)]
        ended = subprocess.run(arguments, capture_output=True, text=True, timeout=300, check=False)
        if ended.returncode == 9:
            killed += 1
            assert (state_rows(earlier), warehouse_rows(earlier)) == before
        else:
            assert ended.returncode == 0, ended.stderr
    assert killed
    for store in local_stores(load_settings(home=earlier)):
        store.migrate()
        assert store.schema().is_current
    assert is_kept(before[1]["predictions.player_prop_predictions"],
                   warehouse_rows(earlier)["predictions.player_prop_predictions"])  # fmt: skip


def test_a_step_that_fails_is_rolled_back_with_the_steps_before_it(earlier, monkeypatch):
    before = state_rows(earlier)
    broken = (*state_file.STEPS, ("CREATE TABLE batches (slate TEXT)",))
    with monkeypatch.context() as patch:
        patch.setattr(state_file, "STEPS", broken)
        patch.setattr(state_file, "STATE_SCHEMA_VERSION", len(broken))
        with pytest.raises(StateUnreadable, match="already exists; nothing was changed"):
            StateFile(earlier / "state.sqlite").migrate()
    assert state_rows(earlier) == before
    assert StateFile(earlier / "state.sqlite").schema().found is None


def test_a_state_file_of_version_3_gets_the_batch_of_an_outcome_and_its_outcomes_count(earlier):
    path = earlier / "state.sqlite"
    with closing(sqlite3.connect(path)) as state:
        for step in state_file.STEPS[:3]:
            for statement in step:
                state.execute(statement)
        state.execute("PRAGMA user_version = 3")
    ((slate,),) = [row[:1] for row in state_rows(earlier)["batches"]]
    progress = SqliteBatchState(path).progress(slate)
    assert progress is not None
    assert not progress.unsettled
    assert {done.batch_id for done in progress.outcomes.values()} == {None}
    assert StateFile(path).schema().is_current


def test_only_a_step_that_adds_is_a_step():
    for step in state_file.STEPS:
        for statement in step:
            assert statement.split()[:2] in (["CREATE", "TABLE"], ["CREATE", "INDEX"], ["ALTER", "TABLE"])
            assert "DROP" not in statement
            assert "RENAME" not in statement


def test_a_change_of_the_warehouse_s_tables_is_a_new_version():
    shape = [
        (table.qualified_name, [(c.name, c.type.name, c.required) for c in table.columns], table.key)
        for table in TABLES
    ]
    digest = hashlib.sha256(json.dumps(shape).encode()).hexdigest()[:12]
    assert SHAPES[WAREHOUSE_SCHEMA_VERSION] == digest, (
        "TABLES changed: raise WAREHOUSE_SCHEMA_VERSION, add the digest here, a folder to earlier_homes/ and a line "
        "to docs/upgrading.md"
    )


def test_what_is_no_database_is_named_and_left_alone(tmp_path):
    (tmp_path / "state.sqlite").write_text(
        "not a database, and long enough to have a header of one hundred bytes" * 3
    )
    with pytest.raises(PredictionAssetsError, match="not a database; nothing was changed"):
        StateFile(tmp_path / "state.sqlite").migrate()


PACKAGED = packaged_text()
OLD = (EARLIER[0] / "dagster.yaml").read_text("utf-8")


@pytest.mark.parametrize(
    ("text", "origin", "lacks", "differs"),
    [
        (None, Origin.MISSING, "", ""),
        (PACKAGED, Origin.CURRENT, "", ""),
        ("# a remark\n" + PACKAGED, Origin.CURRENT, "", ""),
        *[((home / "dagster.yaml").read_text("utf-8"), Origin.EARLIER, "", "") for home in EARLIER[:1]],
        (
            PACKAGED.replace("max_concurrent_runs: 4", "max_concurrent_runs: 8"),
            Origin.EDITED,
            "",
            "concurrency.runs.max_concurrent_runs: 8 (packaged: 4)",
        ),
        (OLD + "# mine\n", Origin.EDITED, "instance_class.class: LoggedInstance", "max_retries: 0 (packaged: 2)"),
        (PACKAGED + "sensors: {use_threads: true}\n", Origin.EDITED, "", "sensors.use_threads: True (not packaged)"),
        ("telemetry: [", Origin.EDITED, "", "can't be read"),
        ("a list", Origin.EDITED, "", "can't be read"),
        ("", Origin.EDITED, "telemetry.enabled: False", ""),
    ],
)  # fmt: skip
def test_an_edited_dagster_yaml_is_told_by_what_it_says(text, origin, lacks, differs):
    judged = examine(text, PACKAGED)
    assert judged.origin is origin
    assert lacks in "\n".join(judged.lacks)
    assert differs in "\n".join(judged.differs)


@pytest.mark.slow
def test_migrate_renews_what_nobody_edited_and_says_how_an_edited_one_differs(tmp_path, monkeypatch, capsys):
    config = tmp_path / "home" / "dagster" / "dagster.yaml"
    config.parent.mkdir(parents=True)
    monkeypatch.setenv("PREDICTION_ASSETS_HOME", str(tmp_path / "home"))
    config.write_text(OLD, encoding="utf-8")
    assert "would be renewed" in command(capsys, monkeypatch, "migrate", "--dry-run")[1]
    assert config.read_text("utf-8") == OLD
    assert "renewed; restart" in command(capsys, monkeypatch, "migrate")[1]
    assert config.read_text("utf-8") == PACKAGED
    mine = OLD.replace("max_concurrent_runs: 4", "max_concurrent_runs: 2")
    assert mine != OLD
    config.write_text(mine, encoding="utf-8")
    code, out, _ = command(capsys, monkeypatch, "migrate")
    assert code == 0
    assert config.read_text("utf-8") == mine
    assert "edited, left alone" in out
    assert "  has concurrency.runs.max_concurrent_runs: 2 (packaged: 4)" in out
    assert "  lacks event_log_storage.class: PooledSqliteEventLogStorage" in out
    assert "Dagster's own storage is current" in out


def test_the_packaged_dagster_yaml_is_not_among_the_earlier_ones():
    """When it changes, its former SHA-256 goes into EARLIER_PACKAGED; this is the present one's."""
    digest = hashlib.sha256(PACKAGED.encode()).hexdigest()
    assert digest not in EARLIER_PACKAGED
    assert digest == "e753ed0d921a91798e45b993d08501334c95ed966ddda5c61da97959ee91c48a", (
        "dagster.yaml changed: add the digest in this test to EARLIER_PACKAGED, and the new one here"
    )


def test_the_changelog_has_a_section_for_the_version_that_is_running():
    sections = re.findall(r"^## (\d+\.\d+\.\d+)\b", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert sections[0] == __version__
    assert sections == sorted(sections, key=lambda version: [*map(int, version.split("."))], reverse=True)


def test_the_documentation_names_the_stores_versions():
    text = (ROOT / "docs" / "upgrading.md").read_text("utf-8")
    rows = [line for line in text.splitlines() if line.startswith(("| `", "| BigQuery", "| Firestore"))]
    newest = {
        row.split("|")[1].strip(): re.findall(r"(\d+):", row.split("|")[3]) for row in rows if "1:" in row
    }
    assert newest["`warehouse.duckdb`"][-1] == str(WAREHOUSE_SCHEMA_VERSION)
    assert newest["`state.sqlite`"][-1] == str(STATE_SCHEMA_VERSION)
    assert newest["Firestore"][-1] == str(DOCUMENTS_VERSION)
