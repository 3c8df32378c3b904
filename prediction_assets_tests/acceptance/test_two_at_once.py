"""Two processes at one slate: one waits for the other or is refused in so many words; no row is lost or doubled.

Real processes that stop in the middle of a step and say so through a pipe (:mod:`.stopped`). A killed holder of
a lock frees it, because the kernel, SQLite and BigQuery let go of what a dead process held.
"""

from __future__ import annotations

from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from prediction_assets.errors import WarehouseBusy
from prediction_assets.slate.merge_plan import plan
from prediction_assets.slate.outcome import PlayerOutcome
from prediction_assets.steps.cleanup import clean_up
from prediction_assets.stores.gcp.warehouse import BigQueryWarehouse
from prediction_assets.stores.local.batch_state import SqliteBatchState
from prediction_assets.stores.local.parts import ArrowParts, ArrowSnapshots
from prediction_assets.stores.local.warehouse import DuckDBWarehouse
from prediction_assets_tests.contract.warehouse.conftest import (
    bigquery_client,
    bigquery_endpoint,
    open_bigquery,
)
from prediction_assets_tests.made_up import SLATE, batch, player, rows_of, staged
from prediction_assets_tests.stopped import running

__all__ = ["bigquery_client", "bigquery_endpoint", "open_bigquery"]  # fixtures


ROWS = (
    "SELECT player_id, line, predicted_points, is_active FROM predictions.player_prop_predictions "
    "WHERE is_active ORDER BY ALL"
)

# What every child starts with: the home's ports, and a MERGE that stops when all is done but the commit.
HOME = """
from pathlib import Path
from prediction_assets.stores.local.batch_state import SqliteBatchState
from prediction_assets.slate.merge_plan import plan
from prediction_assets.stores.local.warehouse import DuckDBWarehouse
from prediction_assets.stores.local.parts import ArrowParts, ArrowSnapshots
from prediction_assets.errors import WarehouseBusy
from prediction_assets_tests.made_up import SLATE, batch, player, progress_of, rows_of, staged

home, patience = Path(sys.argv[1]), float(sys.argv[2])

class Stopping(DuckDBWarehouse):
    def _merge(self, connection, work):
        receipt = super()._merge(connection, work)
        stop("before the commit")
        return receipt

def opened(kind=DuckDBWarehouse):
    snapshots = ArrowSnapshots(home / "features")
    return kind(home / "warehouse.duckdb", ArrowParts(home / "staging"), snapshots, patience)

state = SqliteBatchState(home / "state.sqlite")

def decided(warehouse):
    receipts = warehouse.receipts(SLATE)
    return plan(state.progress(SLATE), receipts)
"""

CONSOLIDATING = HOME + "warehouse = opened(Stopping); say(warehouse.merge(decided(warehouse)).receipt_id)"
CONSOLIDATING_AFTER_A_LOOK = (
    HOME
    + """
warehouse = opened()
work = decided(warehouse)
stop("decided")
say(warehouse.merge(work).receipt_id)
"""
)
READING = (
    HOME
    + """
stop("ready")
say(opened().query("SELECT COUNT(*) AS n FROM predictions.player_prop_predictions")["n"][0].as_py())
"""
)
HOLDING_A_READ = (
    HOME
    + """
with opened()._connect(write=False) as connection:
    stop("reading")
    say(connection.execute("SELECT COUNT(*) FROM predictions.player_prop_predictions").fetchone()[0])
"""
)
WRITING_STATE = (
    HOME
    + """
from prediction_assets.stores.local.state_file import transaction
with transaction(home / "state.sqlite") as connection:
    connection.execute("DELETE FROM outcomes")
    stop("before the commit")
"""
)


class Home:
    """A home with a batch of two players, as another process sees it too."""

    def __init__(self, folder: Path, patience: float = 600.0) -> None:
        self.folder = folder
        self.patience = patience
        self.state = SqliteBatchState(folder / "state.sqlite")
        self.warehouse = self.opened(patience)
        self.state.open(batch(2))

    def opened(self, patience: float) -> DuckDBWarehouse:
        parts = ArrowParts(self.folder / "staging")
        snapshots = ArrowSnapshots(self.folder / "features")
        return DuckDBWarehouse(self.folder / "warehouse.duckdb", parts, snapshots, patience)

    def stage(self, number: int, points: float, minutes: int = 1) -> PlayerOutcome:
        who = player(number)
        done = staged(
            self.warehouse.parts.write(SLATE, who.slug, rows_of(who, {"24.5": points}), minutes), minutes
        )
        self.state.record([done])
        return done

    def consolidate(self, patience: float | None = None):  # type: ignore[no-untyped-def]
        warehouse = self.opened(patience or self.patience)
        progress = self.state.progress(SLATE)
        assert progress is not None
        return warehouse.merge(plan(progress, warehouse.receipts(SLATE)))

    def rows(self) -> list[tuple[int, float, bool]]:
        found = self.warehouse.query(ROWS).to_pylist()
        return [(r["player_id"], r["predicted_points"], r["is_active"]) for r in found]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path)
    for number in (1, 2):
        made.stage(number, 20.0)
    made.warehouse.receipts(SLATE)  # creates the file
    return made


def test_a_second_consolidation_of_the_same_slate_waits_and_finds_the_receipt(home):
    with ExitStack() as stack:
        second = stack.enter_context(running(CONSOLIDATING_AFTER_A_LOOK, home.folder, 600))
        second.until("decided")  # its look at the receipts would wait for the first one's merge
        first = stack.enter_context(running(CONSOLIDATING, home.folder, 600))
        first.until("before the commit")
        second.go_on()  # it is at the lock from here on, or about to be
        first.go_on()
        assert first.said() == second.said()
        first.ended()
        second.ended()
    (receipt,) = home.warehouse.receipts(SLATE)
    assert (receipt.rows_inserted, receipt.rows) == (2, 2)
    assert home.rows() == [(101, 20.0, True), (102, 20.0, True)]


def test_a_consolidation_that_may_not_wait_as_long_is_refused_clearly_and_works_when_retried(home):
    with running(CONSOLIDATING, home.folder, 600) as holder:
        holder.until("before the commit")
        with pytest.raises(WarehouseBusy, match=r"warehouse\.lock: another process has held this lock"):
            home.consolidate(patience=0.1)
        holder.go_on()
        receipt_id = holder.said()
        holder.ended()
    assert home.consolidate().receipt_id == receipt_id
    assert home.rows() == [(101, 20.0, True), (102, 20.0, True)]


def test_two_consolidations_that_were_decided_on_different_outcomes_follow_one_another(home):
    with running(CONSOLIDATING, home.folder, 600) as first:
        first.until("before the commit")
        home.stage(1, 22.0, minutes=5)
        with running(HOME + "say(0); warehouse = opened(); say(warehouse.merge(decided(warehouse)).revision)",
                     home.folder, 600) as second:  # fmt: skip
            assert second.said() == "0"
            first.go_on()
            first.said()
            assert second.said() == "2"
            first.ended()
            second.ended()
    assert [r.revision for r in home.warehouse.receipts(SLATE)] == [1, 2]
    assert home.rows() == [(101, 22.0, True), (102, 20.0, True)]


def test_a_player_staged_again_during_the_merge_survives_cleanup_and_is_merged_by_the_next_one(home):
    with running(CONSOLIDATING, home.folder, 600) as merging:
        merging.until("before the commit")
        again = home.stage(1, 22.0, minutes=5)  # staging never waits for the warehouse
        merging.go_on()
        merging.said()
        merging.ended()
    assert home.rows() == [(101, 20.0, True), (102, 20.0, True)]
    assert clean_up(SLATE, home.warehouse, home.state, now=datetime.now(UTC)).merged == (
        "player-1",
        "player-2",
    )
    assert again.part is not None
    assert dict(home.warehouse.parts.staged(SLATE)) == {"player-1": again.part.part_id}
    receipt = home.consolidate()
    assert (receipt.rows_staged, receipt.rows_updated, receipt.revision) == (1, 1, 2)
    assert home.rows() == [(101, 22.0, True), (102, 20.0, True)]


def test_a_player_staged_again_between_the_decision_and_the_merge_is_merged_by_the_next_one(home):
    """A part is never replaced: the MERGE finds the one that it was decided on."""
    with running(CONSOLIDATING_AFTER_A_LOOK, home.folder, 600) as merging:
        merging.until("decided")
        home.stage(1, 22.0, minutes=5)
        merging.go_on()
        merging.said()
        merging.ended()
    assert home.rows() == [(101, 20.0, True), (102, 20.0, True)]
    assert home.consolidate().rows_updated == 1
    assert home.rows() == [(101, 22.0, True), (102, 20.0, True)]


def test_a_part_that_is_dropped_between_the_decision_and_the_merge_is_refused(home):
    with running(CONSOLIDATING_AFTER_A_LOOK, home.folder, 600) as merging:
        merging.until("decided")
        (_, before), _ = home.warehouse.parts.staged(SLATE)
        home.stage(1, 22.0, minutes=5)
        list(home.warehouse.parts.drop(SLATE, [("player-1", before)]))
        merging.go_on()
        with pytest.raises(AssertionError, match=r"PartMismatch.*player-1"):
            merging.said()
    assert home.rows() == []
    assert home.consolidate().rows_inserted == 2
    assert home.rows() == [(101, 22.0, True), (102, 20.0, True)]


def test_a_reader_waits_for_a_writer_and_sees_all_of_its_merge(home):
    with running(CONSOLIDATING, home.folder, 600) as writer, running(READING, home.folder, 600) as reader:
        reader.until("ready")
        writer.until("before the commit")
        reader.go_on()
        with pytest.raises(WarehouseBusy):
            home.opened(0.1).query("SELECT 1 AS one")
        writer.go_on()
        writer.said()
        assert reader.said() == "2"


def test_a_writer_waits_for_readers_who_read_side_by_side(home):
    with running(HOLDING_A_READ, home.folder, 600) as reader, running(READING, home.folder, 600) as other:
        reader.until("reading")
        other.until("ready")
        other.go_on()
        assert other.said() == "0"
        with pytest.raises(WarehouseBusy):
            home.consolidate(patience=0.1)
        reader.go_on()
        assert reader.said() == "0"
    assert home.consolidate().rows == 2


@pytest.mark.parametrize(
    ("code", "stops"),
    [
        (CONSOLIDATING, "before the commit"),
        (HOLDING_A_READ, "reading"),
        (WRITING_STATE, "before the commit"),
    ],
    ids=["warehouse for writing", "warehouse for reading", "state file"],
)
def test_a_killed_holder_frees_what_it_held_and_leaves_nothing_half_done(home, code, stops):
    with running(code, home.folder, 600) as holder:
        holder.until(stops)
        holder.kill()
    progress = home.state.progress(SLATE)
    assert progress is not None
    assert progress.unsettled == ()
    assert home.warehouse.receipts(SLATE) == ()
    home.stage(1, 21.0, minutes=5)
    assert home.consolidate(patience=5.0).rows_inserted == 2
    assert home.rows() == [(101, 21.0, True), (102, 20.0, True)]


# BigQuery: no lock of ours; the job's name, the transaction and immutable parts keep two apart

MERGING_ON_BIGQUERY = """
from pathlib import Path
from prediction_assets.stores.local.batch_state import SqliteBatchState
from prediction_assets.slate.merge_plan import plan
from prediction_assets.stores.gcp.warehouse import BigQueryWarehouse
from prediction_assets.errors import Overtaken
from prediction_assets_tests.made_up import SLATE
from prediction_assets_tests.contract.warehouse.bigquery_emulator import emulator_client

client = emulator_client(sys.argv[1], sys.argv[2])
warehouse = BigQueryWarehouse(client, dataset_prefix="t_", call_timeout=600.0)
state = SqliteBatchState(Path(sys.argv[3]))

def decided():
    receipts = warehouse.receipts(SLATE)
    return plan(state.progress(SLATE), receipts)

work = decided()
stop("decided")
try:
    receipt = warehouse.merge(work)
except Overtaken:
    receipt = warehouse.merge(decided())
say(receipt.receipt_id)
"""
ROWS_ON_BIGQUERY = ROWS.replace("ORDER BY ALL", f"AND game_date = DATE '{SLATE}' ORDER BY player_id, line")


def on_bigquery(warehouse: BigQueryWarehouse) -> list[tuple[int, float, bool]]:
    found = warehouse.query(ROWS_ON_BIGQUERY).to_pylist()
    return [(r["player_id"], r["predicted_points"], r["is_active"]) for r in found]


def stage_on_bigquery(
    warehouse: BigQueryWarehouse, state: SqliteBatchState, number: int, points: float
) -> None:
    who = player(number)
    done = staged(warehouse.parts.write(SLATE, who.slug, rows_of(who, {"24.5": points}), 1), int(points))
    state.record([done])


@pytest.fixture
def on_the_emulator(open_bigquery, bigquery_client, bigquery_endpoint, tmp_path):  # type: ignore[no-untyped-def]
    """A warehouse with two staged players, and what a child needs to open it too."""
    warehouse, state = open_bigquery(call_timeout=600.0), SqliteBatchState(tmp_path / "state.sqlite")
    state.open(batch(2))
    for number in (1, 2):
        stage_on_bigquery(warehouse, state, number, 20.0)
    return warehouse, state, (bigquery_endpoint, bigquery_client.project, tmp_path / "state.sqlite")


def test_two_merges_of_the_same_outcomes_at_once_write_one_receipt_on_bigquery(on_the_emulator):
    warehouse, _, child = on_the_emulator
    with running(MERGING_ON_BIGQUERY, *child) as first, running(MERGING_ON_BIGQUERY, *child) as second:
        for process in (first, second):
            process.until("decided")
        for process in (first, second):
            process.go_on()
        assert first.said() == second.said()
    (receipt,) = warehouse.receipts(SLATE)
    assert (receipt.rows_inserted, receipt.rows) == (2, 2)
    assert on_bigquery(warehouse) == [(101, 20.0, True), (102, 20.0, True)]
