"""BigQuery's own rules, which the emulator lacks: they are enforced here, and the warehouse lives with them."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, nullcontext
from datetime import date, timedelta

import pyarrow as pa
import pytest
from google.api_core import exceptions
from google.cloud import bigquery

from prediction_assets.errors import QueryRefused, QuotaExceeded, WarehouseBusy
from prediction_assets.nba.forecasting.features_sql import FEATURES_SQL
from prediction_assets.slate.merge_plan import MergePlan, plan
from prediction_assets.stores.gcp import bigquery_jobs, parts
from prediction_assets.stores.gcp.warehouse import BigQueryWarehouse
from prediction_assets.stores.sql.tables import GAME_LOGS, SCHEDULE
from prediction_assets_tests.contract.nba.conftest import (
    HISTORY_START,
    LEAGUE,
    SLATE,
    made_up_league,
)
from prediction_assets_tests.contract.warehouse.bigquery_emulator import copy_project, emulator_client
from prediction_assets_tests.made_up import batch, player, progress_of, rows_of, staged
from prediction_assets_tests.strict_bigquery import Limits, StrictBigQuery, strict

SLATES = [(date(2026, 1, 2) + timedelta(days=n)).isoformat() for n in range(6)]


class Strict:
    """A project of a strict BigQuery, with the tables of another one that is set up."""

    def __init__(
        self,
        endpoint: str,
        rules: StrictBigQuery,
        layout: parts.Layout = "per_player",
        like: Strict | None = None,
    ) -> None:
        self.rules = rules
        self.client = emulator_client(endpoint, f"test-{uuid.uuid4().hex[:12]}")
        self.warehouse = BigQueryWarehouse(
            self.client, dataset_prefix="t_", call_timeout=300.0, staging_layout=layout
        )
        if like is not None:
            copy_project(rules.emulator, like.client.project, self.client.project)
            rules.filter_as(like.rules)
            self.warehouse._tables._is_set_up = True

    def run(self, sql: str, job_id: str | None = None) -> list[tuple[object, ...]]:
        job = self.client.query(sql, job_id=job_id, job_retry=None, location="US")
        return [tuple(row.values()) for row in job.result(job_retry=None)]


@pytest.fixture(scope="module")
def opened(bigquery_endpoint: str) -> Iterator[Strict]:
    with strict(bigquery_endpoint) as (endpoint, rules):
        made = Strict(endpoint, rules)
        made.warehouse.set_up()
        yield made


@pytest.fixture
def open_strict(bigquery_endpoint: str, opened: Strict) -> Iterator[Callable[..., Strict]]:
    with ExitStack() as stack:
        yield lambda layout="per_player", **options: Strict(
            *stack.enter_context(strict(bigquery_endpoint, **options)), layout, opened
        )


def plan_of(warehouse: BigQueryWarehouse, slate: str, players: int = 1) -> MergePlan:
    """Stage the players of a slate and return its MERGE."""
    written = [
        warehouse.parts.write(slate, (who := player(n)).slug, rows_of(who, {"24.5": 20.0}, slate), 1)
        for n in range(1, players + 1)
    ]
    warehouse.parts.flush(slate)
    return plan(progress_of(batch(players, slate), *map(staged, written)), ())


def merge_at_once(opened: Strict, slates: list[str]) -> list[str]:
    """Merge slates at once, each from a thread, and return how each ended."""
    plans = [plan_of(opened.warehouse, slate) for slate in slates]

    def merged(work: MergePlan) -> str:
        try:
            return opened.warehouse.merge(work).status
        except WarehouseBusy:
            return "busy"

    with ThreadPoolExecutor(len(plans)) as pool:
        return list(pool.map(merged, plans))


# What the warehouse does under the rules -----------------------------------------------------------


def test_four_slates_that_are_merged_at_once_all_complete(open_strict, monkeypatch):
    """``long/test_strict_backfill.py`` merges ten."""
    monkeypatch.setattr(bigquery_jobs, "_FIRST_PAUSE", 0.2)
    monkeypatch.setattr(bigquery_jobs, "_LONGEST_PAUSE", 2.0)
    opened = open_strict(transaction_seconds=0.1)
    assert merge_at_once(opened, SLATES[:4]) == ["success"] * 4
    assert any("concurrent update" in message for message in opened.rules.refused)
    assert [opened.warehouse.receipts(slate)[0].rows for slate in SLATES[:4]] == [1] * 4


def test_of_six_that_pause_equally_long_some_would_never_win(open_strict, monkeypatch):
    monkeypatch.setattr(bigquery_jobs, "exponential_sleep_generator", lambda *_: iter([0.3, 0.3, 0.3, 700.0]))
    ended = merge_at_once(open_strict(transaction_seconds=0.2), SLATES)
    assert 0 < ended.count("busy") < 6


@pytest.mark.parametrize(
    ("layout", "loads"), [("per_player", {"load_part": 2}), ("per_run", {"load_parts": 1})]
)
def test_a_slate_whose_every_answer_is_lost_once_is_merged_once(open_strict, layout, loads):
    opened = open_strict(layout)
    opened.rules.lose.update({**loads, "merge": 1})
    receipt = opened.warehouse.merge(plan_of(opened.warehouse, SLATES[0], players=2))
    assert (receipt.rows_inserted, receipt.rows) == (2, 2)
    assert opened.warehouse.receipts(SLATES[0]) == (receipt,)
    assert +opened.rules.lose == {}


@pytest.fixture(scope="module")
def league() -> tuple[pa.Table, pa.Table]:
    """Return the facts of the last season."""
    of_season = ([row for row in rows if row["season_id"] == 22025] for rows in made_up_league())
    return tuple(
        table.arrow_table(rows) for table, rows in zip((GAME_LOGS, SCHEDULE), of_season, strict=True)
    )


SUM_OF_DECIMALS = """
    SELECT CAST(SUM(0.44 * points) AS FLOAT64) AS attempts FROM facts.game_logs WHERE game_date >= DATE '2000-01-01'"""


def test_the_features_are_the_same_bytes_in_any_order_of_the_facts_and_a_sum_of_floats_is_not(
    open_strict, league
):
    """The emulator alone hides it: there 0.44 is a decimal, and rows keep their order."""
    at = {"slate": SLATE, "league": LEAGUE, "history_start": HISTORY_START}
    features, sums = [], set()
    for seed in range(2):
        warehouse = open_strict(seed=seed).warehouse
        for table, rows in zip((GAME_LOGS, SCHEDULE), league, strict=True):
            warehouse.upsert(table, rows)
        features.append(warehouse.query(FEATURES_SQL, at))
        sums |= set(warehouse.query(SUM_OF_DECIMALS)["attempts"].to_pylist())
    assert features[0].num_rows > 400
    assert features[0].equals(features[1])
    assert len(sums) > 1


# The rules -----------------------------------------------------------------------------------------

TEXT = "SELECT 1 -- " + "x" * 1024 * 1024


def test_a_text_of_more_than_a_mebibyte_and_a_statement_of_too_many_tables_are_refused(open_strict):
    opened = open_strict(limits=Limits(tables=3))
    assert opened.run(TEXT[:1000]) == [(1,)]
    with pytest.raises(exceptions.BadRequest, match="query is too large"):
        opened.run(TEXT)
    with pytest.raises(exceptions.GoogleAPICallError, match="Too many tables"):
        opened.run(" UNION ALL ".join(f"SELECT 1 FROM `p`.`d`.`t{n}`" for n in range(4)))


def test_a_used_job_id_is_a_conflict_even_after_a_lost_answer(open_strict):
    opened = open_strict()
    assert opened.run("SELECT 1", job_id="a") == [(1,)]
    with pytest.raises(exceptions.Conflict):
        opened.client.query("SELECT 1", job_id="a", location="US")
    opened.rules.lose[""] = 1
    with pytest.raises(exceptions.Conflict):  # the client asks again by itself
        opened.client.query("SELECT 2", job_id="b", location="US")
    assert [row[0] for row in opened.client.get_job("b", location="US").result()] == [2]


@pytest.mark.parametrize(
    ("condition", "is_read"),
    [
        ("", False),
        ("WHERE player_id = 1", False),
        ("WHERE game_date = (SELECT MAX(game_date) FROM `t_facts`.`schedule`)", False),
        ("WHERE game_date = DATE '2026-01-02' AND player_id = 1", True),
        ("WHERE game_date BETWEEN DATE '2026-01-02' AND DATE '2026-01-03'", True),
    ],
)
@pytest.mark.parametrize("table", ["player_prop_predictions", "current_predictions"])
def test_predictions_without_a_constant_date_are_refused_by_table_and_view(opened, table, condition, is_read):
    statement = f"SELECT COUNT(*) FROM `t_predictions`.`{table}` {condition}"
    if is_read:
        assert opened.run(statement) == [(0,)]
    else:
        with pytest.raises(exceptions.BadRequest, match="without a filter over column"):
            opened.run(statement)


def test_a_null_in_a_required_column_is_refused(opened):
    rows = rows_of(player(1), {"24.5": 20.0})
    at = rows.schema.get_field_index("player_id")
    without = rows.set_column(at, "player_id", pa.nulls(1, pa.int64()))
    jobs = opened.warehouse.jobs
    with pytest.raises(QueryRefused, match="Required field player_id cannot be null"):
        jobs.load(without, jobs.relation("staging", "x"), parts._PART_FIELDS, purpose="load", doing="loading")


def test_one_more_load_than_a_table_may_have_on_a_day_is_refused(open_strict):
    warehouse = open_strict(limits=Limits(loads=2)).warehouse
    fields = [bigquery.SchemaField("n", "INT64")]
    for is_allowed in (True, True, False):
        with nullcontext() if is_allowed else pytest.raises(QuotaExceeded):
            relation = warehouse.jobs.relation("staging", "x")
            warehouse.jobs.load(pa.table({"n": [1]}), relation, fields, purpose="load", doing="loading")


def test_beside_a_transaction_another_one_is_cancelled_and_statements_wait_for_their_turn(open_strict):
    opened = open_strict(limits=Limits(queued=2), transaction_seconds=2.0)
    opened.client.create_dataset("d")
    opened.run("CREATE TABLE d.numbers (n INT64)")
    add = "INSERT INTO d.numbers (n) VALUES (1)"

    def ended(text: str) -> str:
        try:
            opened.run(text)
        except exceptions.GoogleAPICallError as error:
            return "cancelled" if "concurrent update" in str(error) else "too many wait"
        return "done"

    with ThreadPoolExecutor(5) as pool:
        transaction = f"BEGIN TRANSACTION; {add}; COMMIT TRANSACTION;"
        first = pool.submit(ended, transaction)
        while not opened.rules.in_transaction:
            time.sleep(0.01)
        assert ended(transaction) == "cancelled"
        waiting = [pool.submit(ended, add) for _ in range(3)]
        assert sorted(each.result() for each in waiting) == ["done", "done", "too many wait"]
        assert first.result() == "done"
    assert opened.run("SELECT COUNT(*) FROM d.numbers") == [(3,)]
