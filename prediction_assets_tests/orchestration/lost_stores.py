"""A slate at its second revision whose stores are lost, emptied or restored from before it, and how it recovers.

The stores of the local profile: the warehouse's file, the tables of batch state and of the outbox in the state file,
and the delivered files.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterable
from contextlib import closing, suppress
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from prediction_assets.errors import PredictionAssetsError
from prediction_assets.nba.forecasting.market_aware import MARKET_AWARE
from prediction_assets.orchestration.slate_run import SlateRun
from prediction_assets.slate.completion_message import message_id
from prediction_assets.slate.keys import parse_slate
from prediction_assets.stores.sql.tables import POINTS_MODELS
from prediction_assets_tests.homes import FACTS, SIMULATED, OpenHome, made_once, opened
from prediction_assets_tests.orchestration.sensors.ticking import requested, tick

SECOND = {"market_aware": True}
"""The setting that makes the second revision: rows of one more system, from the same facts."""

BATCH_STATE = ("batches", "roster_sizes", "expected_players", "outcomes", "receipts")
STORES = ("warehouse", "batch_state", "outbox", "files")
SENSORS = ("staging_sensor", "consolidation_sensor", "phase5_completion_sensor", "gap_sensor")


class Recovery:
    """One home at its second revision, its backup from the first one, and what was right before the damage."""

    def __init__(self, run: SlateRun, backup: Path) -> None:
        self.run = run
        self.home = run._settings.home
        self.backup = backup
        self.rows = self._rows()
        self.first_rows = [row for row in self.rows if row[1] != MARKET_AWARE]
        self.receipt = run.stores.warehouse.receipts(SIMULATED)[-1]
        self.sent = self.files()

    def damage(self, store: str, how: str) -> None:
        """Lose a store, empty its file, or restore it from the backup."""
        if store == "warehouse":
            file = self.home / "warehouse.duckdb"
            Path(f"{file}.wal").unlink(missing_ok=True)
            if how == "older":
                shutil.copy(self.backup / file.name, file)
            elif how == "lost":
                file.unlink()
            else:
                self._empty(file)
        elif store == "files":
            shutil.rmtree(self.home / "outbox")
            if how == "older":
                shutil.copytree(self.backup / "outbox", self.home / "outbox")
        else:
            self._damage_tables(("outbox",) if store == "outbox" else BATCH_STATE, how)

    def _empty(self, file: Path) -> None:
        with duckdb.connect(str(file)) as connection:
            tables = connection.sql(
                "SELECT schema_name || '.' || table_name FROM duckdb_tables() WHERE table_name <> 'schema_versions'"
            ).fetchall()
            for (name,) in tables:
                connection.execute(f"DELETE FROM {name}")

    def _damage_tables(self, tables: Iterable[str], how: str) -> None:
        with closing(sqlite3.connect(self.home / "state.sqlite")) as connection:
            connection.execute("ATTACH ? AS backup", (str(self.backup / "state.sqlite"),))
            for table in reversed([*tables]):
                connection.execute(f"DELETE FROM main.{table}")
            if how == "older":
                for table in tables:
                    info = connection.execute(f"PRAGMA main.table_info({table})")  # without generated columns
                    columns = ", ".join(row[1] for row in info)
                    connection.execute(
                        f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM backup.{table}"
                    )
            connection.commit()

    def restore_facts(self) -> None:
        """Ingest, if the warehouse has lost everything, as the runbook has an operator do; he would train, too."""
        if not self.run.stores.warehouse.query("SELECT 1 FROM facts.schedule LIMIT 1").num_rows:
            self.run.ingest(FACTS)
            with duckdb.connect(str(self.backup / "warehouse.duckdb"), read_only=True) as connection:
                models = connection.sql(f"SELECT * FROM {POINTS_MODELS.qualified_name}").to_arrow_table()
            self.run.stores.warehouse.upsert(POINTS_MODELS, models.cast(POINTS_MODELS.arrow_schema))

    def by_command(self) -> None:
        """Recover as ``prediction-assets run`` does; its summary prints its own message's id."""
        result = self.run.whole(SIMULATED)
        assert result.receipt is not None
        assert result.entry is not None
        assert result.entry.message_id == message_id(result.receipt)

    def by_sensors(self, clock: list[datetime]) -> None:
        """Recover as the daemon does: tick, run what is requested, and let time pass when nothing is."""
        pauses = 0
        for _ in range(60):
            requests = [request for name in SENSORS for request in requested(tick(self.run, name))]
            if requests:
                pauses = 0
            elif pauses == 2:
                return
            else:
                pauses += 1
                clock[0] += timedelta(minutes=35)
            for request in requests:
                with suppress(
                    PredictionAssetsError
                ):  # a run that fails is requested again, or another one first
                    self._execute(request.job_name, request.partition_key, request.run_config, request.tags)
        pytest.fail("the sensors never rest")

    def _execute(self, job, partition, run_config, tags) -> None:  # type: ignore[no-untyped-def]
        ops = {name: op["config"] for name, op in (run_config or {}).get("ops", {}).items()}
        self.run._execute(job, partition=partition, ops=ops, tags=tags)

    def _rows(self) -> list[tuple[object, ...]]:
        found = self.run.stores.warehouse.query(
            "SELECT player_slug, system, CAST(line AS VARCHAR) AS line, content_hash "
            "FROM predictions.player_prop_predictions WHERE game_date = $slate AND is_active "
            "ORDER BY player_slug, system, line",
            {"slate": parse_slate(SIMULATED)},
        )
        return [tuple(row.values()) for row in found.to_pylist()]

    def files(self) -> dict[str, int]:
        """Return the revision of each message that a consumer finds, by message id."""
        found = {}
        for path in (self.home / "outbox").glob("*.json"):
            message = json.loads(path.read_text())
            found[message["message_id"]] = message["revision"]
        return found

    def check(self) -> None:
        """Rows, revisions and messages are right, in every store."""
        stores = self.run.stores
        receipt = stores.warehouse.receipts(SIMULATED)[-1]
        if receipt.content_digest == self.receipt.content_digest:
            assert self._rows() == self.rows
            assert (receipt.revision, message_id(receipt)) == (2, message_id(self.receipt))
        else:  # everything that made the second revision is gone: the first one's content is new to a consumer
            assert self._rows() == self.first_rows
            assert receipt.revision == 3
            self.sent[message_id(receipt)] = 3
        assert stores.batch_state.consolidated(SIMULATED) == receipt
        progress = stores.batch_state.progress(SIMULATED)
        assert progress is not None
        assert progress.receipt == receipt
        entries = stores.outbox.entries(SIMULATED)
        newest = max(entries, key=lambda entry: entry.revision)
        assert (newest.message_id, newest.delivery_id is not None) == (message_id(receipt), True)
        assert not any(entry.is_pending for entry in entries)
        assert {*self.files().items()} >= {(message_id(receipt), receipt.revision)}
        assert {*self.files().items()} <= {*self.sent.items()}, "a consumer has got something new"


@pytest.fixture(scope="session")
def second_home(finished_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose simulated slate was announced twice; :data:`SECOND` made the second revision."""

    def make(home: Path) -> None:
        with opened(home, **SECOND) as run:
            run.stage(SIMULATED)
            assert run.consolidate(SIMULATED).revision == 2
            run.announce(run.stores.warehouse.receipts(SIMULATED)[-1])

    return made_once("second", tmp_path_factory, finished_home, make)


@pytest.fixture
def recovery(second_home: Path, finished_home: Path, open_home: OpenHome) -> Recovery:
    return Recovery(open_home(second_home, **SECOND), finished_home)
