"""Upgrades: a release adds to a store in one way, loses nothing, and refuses a store of a newer one."""

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
import yaml

from prediction_assets import __version__
from prediction_assets.errors import PredictionAssetsError, SchemaTooNew, StateUnreadable
from prediction_assets.orchestration.instance import prepare_home
from prediction_assets.orchestration.instance_config import Origin, examine, marked, packaged_text
from prediction_assets.settings import load_settings
from prediction_assets.slate.merge_plan import plan
from prediction_assets.stores.local import state_file
from prediction_assets.stores.local.alerts import SqliteAlertStore
from prediction_assets.stores.local.batch_state import SqliteBatchState
from prediction_assets.stores.local.dead_letters import SqliteDeadLetters
from prediction_assets.stores.local.outbox import SqliteOutbox
from prediction_assets.stores.local.state_file import StateFile
from prediction_assets.stores.local.state_schema import STEPS
from prediction_assets.stores.local.stores import LocalStores
from prediction_assets.stores.sql.tables import (
    TABLES,
    VIEWS,
    WAREHOUSE_SCHEMA_VERSION,
)
from prediction_assets_tests.contract.next_release import NEXT_STEPS, next_release, opened
from prediction_assets_tests.made_up import SLATE, batch, player, progress_of, rows_of, staged
from prediction_assets_tests.orchestration.test_cli import command

ROOT = Path(__file__).resolve().parents[2]

SHAPES = {"warehouse": (1, "c18e7b277e01"), "state": (2, "06e1e4b0de36")}
"""Each store's version, and the first 12 digits of SHA-256 over its declared tables."""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home at the running version, with a merged player in it."""
    home = tmp_path / "home"
    warehouse, state = opened(home), SqliteBatchState(home / "state.sqlite")
    state.open(batch(1))
    done = staged(warehouse.parts.write(SLATE, "player-1", rows_of(player(1), {"24.5": 20.0}), 1))
    state.record([done])
    state.mark_consolidated(warehouse.merge(plan(progress_of(batch(1), done), ())))
    return home


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


def test_a_release_adds_a_table_and_a_column_to_each_store_and_keeps_every_row(home, monkeypatch, capsys):
    state, rows = state_rows(home), warehouse_rows(home)
    assert rows["predictions.player_prop_predictions"]
    assert state["outcomes"]
    files = [home / "state.sqlite", home / "warehouse.duckdb"]
    before = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    monkeypatch.setenv("PREDICTION_ASSETS_HOME", str(home))
    with next_release():
        code, dry, _ = command(capsys, monkeypatch, "migrate", "--dry-run")
        assert code == 0
        assert [hashlib.sha256(file.read_bytes()).hexdigest() for file in files] == before
        code, out, _ = command(capsys, monkeypatch, "migrate")
        assert code == 0
        added = (
            "  add column predictions.consolidation_receipts.remark", "  add table predictions.notes",
            "  add notes", "  add outcomes.remark",
        )  # fmt: skip
        assert [line in dry.splitlines() and line in out.splitlines() for line in added] == [True] * 4
        again = command(capsys, monkeypatch, "migrate")[1]
        for version in (WAREHOUSE_SCHEMA_VERSION, len(STEPS)):
            assert f"version {version}, would be {version + 1}" in dry
            assert f"version {version}, now {version + 1}" in out
            assert f"version {version + 1}, nothing to do" in again
        now, migrated = state_rows(home), warehouse_rows(home)
        assert opened(home).query("SELECT remark FROM predictions.consolidation_receipts").to_pylist() == [
            {"remark": None}
        ]
    assert now["notes"] == migrated["predictions.notes"] == []
    assert [(*row, None) for row in state["outcomes"]] == now["outcomes"]
    assert {name: now[name] for name in state if name != "outcomes"} == {
        name: rows for name, rows in state.items() if name != "outcomes"
    }
    versions = migrated.pop("predictions.schema_versions")
    assert [row["version"] for row in versions] == [1, 2]
    assert [name for name in migrated if not is_kept(rows.get(name, []), migrated[name])] == []


def test_a_store_of_an_earlier_version_gets_what_it_lacks_when_it_is_opened(home):
    (receipt,) = opened(home).receipts(SLATE)
    with next_release():
        assert opened(home).receipts(SLATE) == (receipt,)
        assert opened(home).query("SELECT * FROM predictions.notes").num_rows == 0
        progress = SqliteBatchState(home / "state.sqlite").progress(SLATE)
        assert progress is not None
        assert (progress.receipt, progress.unsettled) == (receipt, ())
        assert state_rows(home)["notes"] == []
        assert all(store.schema().is_current for store in LocalStores(load_settings(home=home)).versioned())
    for store in LocalStores(load_settings(home=home)).versioned():  # the earlier release, run again
        with pytest.raises(SchemaTooNew, match=r"schema version \d, but"):
            store.schema()


@pytest.mark.parametrize("store", ["warehouse", "state"])
def test_a_home_of_a_later_version_is_refused_by_everything_and_no_file_of_it_is_changed(
    store, home, monkeypatch, capsys
):
    settings = load_settings(home=home)
    if store == "state":
        with closing(sqlite3.connect(home / "state.sqlite")) as made:
            made.execute(f"PRAGMA user_version = {len(STEPS) + 1}")
    else:
        with duckdb.connect(str(home / "warehouse.duckdb")) as made:
            made.execute("INSERT INTO predictions.schema_versions VALUES (99, now(), '9.0.0')")
    before = state_rows(home), warehouse_rows(home)
    refused = rf"schema version ({len(STEPS) + 1}|99), but .* Install the version that migrated it"
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
        assert "docs/runbook.md" in err
    assert (state_rows(home), warehouse_rows(home)) == before
    assert len(LocalStores(settings).versioned()) == 2


@pytest.mark.parametrize("by", [len(NEXT_STEPS), len(NEXT_STEPS) + 1])
def test_a_state_file_that_is_migrated_between_the_look_and_the_migration_keeps_its_version(
    home, monkeypatch, by
):
    path = home / "state.sqlite"
    really, looks = state_file.require_known, 0

    def another_process_is_first(store: str, found: int, known: int) -> None:
        nonlocal looks
        really(store, found, known)
        looks += 1
        if looks == 1:
            with closing(sqlite3.connect(path)) as other:
                other.execute(f"PRAGMA user_version = {by}")

    monkeypatch.setattr(state_file, "require_known", another_process_is_first)
    with next_release():
        if by > len(NEXT_STEPS):
            with pytest.raises(SchemaTooNew, match=f"schema version {by}"):
                state_file.connect(path)
        else:
            state_file.connect(path).close()
    with closing(sqlite3.connect(path)) as made:
        assert made.execute("PRAGMA user_version").fetchone() == (by,)


_KILLED = """
import os, sys
from pathlib import Path
from prediction_assets_tests.contract.next_release import next_release, opened
home, after = Path(sys.argv[1]), int(sys.argv[2])
done = 0
def count(*_):
    global done
    done += 1
    if done > after:
        os._exit(9)
{patch}
with next_release():
    {call}
"""

_STATE_KILLED = _KILLED.format(
    patch="from prediction_assets.stores.local import state_file\nimport sqlite3\n"
    "really = sqlite3.connect\n"
    "changes = ('CREATE', 'ALTER', 'PRAGMA user_version =')\n"
    "def traced(*a, **k):\n"
    "    made = really(*a, **k)\n"
    "    made.set_trace_callback(lambda text: count() if text.startswith(changes) else None)\n"
    "    return made\n"
    "state_file.sqlite3.connect = traced",
    call="state_file.StateFile(home / 'state.sqlite').migrate()",
)
_WAREHOUSE_KILLED = _KILLED.format(
    patch="from prediction_assets.stores.local import warehouse\n"
    "really = warehouse.complete\n"
    "class Counted:\n"
    "    def __init__(self, made): self.made = made\n"
    "    def __getattr__(self, name): return getattr(self.made, name)\n"
    "    def execute(self, *a): count(); return self.made.execute(*a)\n"
    "    def commit(self): count(); return self.made.commit()\n"
    "warehouse.complete = lambda made, lacking: really(Counted(made), lacking)",
    call="opened(home).migrate()",
)


@pytest.mark.parametrize(
    ("script", "statements"), [(_STATE_KILLED, 3), (_WAREHOUSE_KILLED, 7)], ids=["state", "warehouse"]
)
def test_a_migration_that_is_killed_at_a_statement_leaves_the_earlier_home_and_is_done_by_the_next(
    home, script, statements
):
    before = state_rows(home), warehouse_rows(home)
    for after in range(0, statements, 2):
        arguments = [sys.executable, "-c", script, str(home), str(after)]
        ended = subprocess.run(arguments, capture_output=True, text=True, timeout=300, check=False)
        assert ended.returncode == 9, (after, ended.stderr)
        assert (state_rows(home), warehouse_rows(home)) == before
    with next_release():
        for store in LocalStores(load_settings(home=home)).versioned():
            store.migrate()
            assert store.schema().is_current
    assert is_kept(before[1]["predictions.player_prop_predictions"],
                   warehouse_rows(home)["predictions.player_prop_predictions"])  # fmt: skip


def test_a_batch_of_the_first_schema_says_nothing_of_what_its_features_were_made_from(tmp_path):
    path = tmp_path / "state.sqlite"
    with closing(sqlite3.connect(path)) as made:
        for statement in STEPS[0]:
            made.execute(statement)
        made.execute("PRAGMA user_version = 1")
        moments = ("2026-01-02T15:00:00+00:00", "2026-01-02T15:30:00+00:00")
        made.execute(
            "INSERT INTO batches VALUES (?, 'batch', 'simulated-3', 1, ?, ?, 2, 'snapshot1', 2, 7)",
            (SLATE, *moments),
        )
        made.execute("INSERT INTO roster_sizes VALUES (?, 0)", (SLATE,))
        made.commit()
    state = SqliteBatchState(path)
    progress = state.progress(SLATE)
    assert (progress.feature_snapshot, progress.features_made_from) == ("snapshot1", "")
    assert state.pin_features(SLATE, "snapshot2", fence=3, facts_version=8, made_from="facts")
    assert state.progress(SLATE).features_made_from == "facts"


def test_a_step_that_fails_is_rolled_back_with_the_steps_before_it(home, monkeypatch):
    before = state_rows(home)
    with monkeypatch.context() as patch:
        patch.setattr(state_file, "STEPS", (*NEXT_STEPS, ("CREATE TABLE batches (slate TEXT)",)))
        with pytest.raises(StateUnreadable, match="already exists; nothing was changed"):
            StateFile(home / "state.sqlite").migrate()
    assert state_rows(home) == before
    assert StateFile(home / "state.sqlite").schema().found == len(STEPS)


def test_only_a_step_that_adds_is_a_step():
    for step in STEPS:
        for statement in step:
            assert statement.split()[:2] in (["CREATE", "TABLE"], ["CREATE", "INDEX"], ["ALTER", "TABLE"])
            assert "DROP" not in statement
            assert "RENAME" not in statement


def digest_of(shape: object) -> str:
    return hashlib.sha256(json.dumps(shape).encode()).hexdigest()[:12]


def test_a_change_of_a_store_s_tables_is_a_new_version():
    declared = [
        (table.qualified_name, [(c.name, c.type.name, c.required) for c in table.columns], table.key)
        for table in TABLES
    ]
    views = [(view.qualified_name, view.select) for view in VIEWS]
    steps = [[" ".join(statement.split()) for statement in step] for step in STEPS]
    found = {
        "warehouse": (WAREHOUSE_SCHEMA_VERSION, digest_of([declared, views])),
        "state": (len(STEPS), digest_of(steps)),
    }
    assert found == SHAPES, (
        "a store's tables changed: renew the digest here; once the version is released, raise WAREHOUSE_SCHEMA_VERSION "
        "or append a step to STEPS instead of editing one, and name the new version in the changelog"
    )


def test_what_is_no_database_is_named_and_left_alone(tmp_path):
    (tmp_path / "state.sqlite").write_text(
        "not a database, and long enough to have a header of one hundred bytes" * 3
    )
    with pytest.raises(PredictionAssetsError, match="not a database; nothing was changed"):
        StateFile(tmp_path / "state.sqlite").migrate()


PACKAGED = packaged_text()
OLD = PACKAGED.replace("max_retries: 2", "max_retries: 0").partition("event_log_storage:")[0] + PACKAGED[
    PACKAGED.index("concurrency:") :
].replace("max_retries: 2", "max_retries: 0")
"""What an earlier release might have packaged: a setting less, and one with another value."""


@pytest.mark.parametrize(
    ("text", "origin", "lacks", "differs"),
    [
        (None, Origin.MISSING, "", ""),
        (PACKAGED, Origin.CURRENT, "", ""),
        ("# a remark\n" + PACKAGED, Origin.CURRENT, "", ""),
        (marked(PACKAGED), Origin.CURRENT, "", ""),
        (marked(OLD), Origin.EARLIER, "", ""),
        (
            PACKAGED.replace("max_concurrent_runs: 4", "max_concurrent_runs: 8"),
            Origin.EDITED,
            "",
            "concurrency.runs.max_concurrent_runs: 8 (packaged: 4)",
        ),
        (
            marked(OLD) + "# mine\n",
            Origin.EDITED,
            "event_log_storage.class: PooledSqliteEventLogStorage",
            "max_retries: 0 (packaged: 2)",
        ),
        (OLD, Origin.EDITED, "event_log_storage.class", "max_retries: 0 (packaged: 2)"),
        (PACKAGED + "sensors: {use_threads: true}\n", Origin.EDITED, "", "sensors.use_threads: True (not packaged)"),
        ("telemetry: [", Origin.EDITED, "", "can't be read"),
        ("a list", Origin.EDITED, "", "can't be read"),
        ("", Origin.EDITED, "telemetry.enabled: False", ""),
    ],
)  # fmt: skip
def test_an_edited_dagster_yaml_is_recognized_by_its_digest_and_compared_by_its_settings(
    text, origin, lacks, differs
):
    judged = examine(text, PACKAGED)
    assert judged.origin is origin
    assert lacks in "\n".join(judged.lacks)
    assert differs in "\n".join(judged.differs)


def test_migrate_renews_what_nobody_edited_and_says_how_an_edited_one_differs(tmp_path, monkeypatch, capsys):
    config = tmp_path / "home" / "dagster" / "dagster.yaml"
    config.parent.mkdir(parents=True)
    monkeypatch.setenv("PREDICTION_ASSETS_HOME", str(tmp_path / "home"))
    old = marked(OLD)
    config.write_text(old, encoding="utf-8")
    assert "would be renewed" in command(capsys, monkeypatch, "migrate", "--dry-run")[1]
    assert config.read_text("utf-8") == old
    assert "renewed; restart" in command(capsys, monkeypatch, "migrate")[1]
    assert config.read_text("utf-8") == marked(PACKAGED)
    mine = old.replace("max_concurrent_runs: 4", "max_concurrent_runs: 2")
    assert mine != old
    config.write_text(mine, encoding="utf-8")
    code, out, _ = command(capsys, monkeypatch, "migrate")
    assert code == 0
    assert config.read_text("utf-8") == mine
    assert "edited, left alone" in out
    assert "  has concurrency.runs.max_concurrent_runs: 2 (packaged: 4)" in out
    assert "  lacks event_log_storage.class: PooledSqliteEventLogStorage" in out
    assert "Dagster's own storage is current" in out


def test_the_dagster_yaml_of_a_new_home_is_recognized_as_packaged(tmp_path):
    folder = prepare_home(load_settings(home=tmp_path / "home"))
    assert (folder / "dagster.yaml").read_text("utf-8") == marked(PACKAGED)
    assert yaml.safe_load(marked(PACKAGED)) == yaml.safe_load(PACKAGED)


def test_the_changelog_has_a_section_for_the_version_that_is_running():
    sections = re.findall(r"^## (\d+\.\d+\.\d+)\b", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert sections[0] == __version__
    assert sections == sorted(sections, key=lambda version: [*map(int, version.split("."))], reverse=True)
