"""What only the BigQuery warehouse does: against the emulator, and at the client's calls where that can't show it."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pytest
from google.api_core import exceptions
from google.cloud import bigquery

from prediction_assets.errors import (
    BadInput,
    Misplaced,
    PartMismatch,
    PredictionAssetsError,
    SchemaDrift,
    SchemaTooNew,
)
from prediction_assets.slate.merge_plan import plan
from prediction_assets.slate.outcome import PartRef
from prediction_assets.slate.staged_rows import PREDICTIONS_SCHEMA_VERSION, row_hashes
from prediction_assets.stores.gcp import bigquery_jobs, bigquery_scripts, bigquery_tables
from prediction_assets.stores.gcp import parts as bigquery_parts
from prediction_assets.stores.gcp.bigquery_tables import BigQueryTables, schema_fields
from prediction_assets.stores.gcp.parts import part_table
from prediction_assets.stores.gcp.warehouse import BigQueryWarehouse
from prediction_assets.stores.sql.tables import (
    PART_COLUMNS,
    PART_SCHEMA,
    PREDICTIONS,
    RECEIPTS,
    TABLES,
    WAREHOUSE_SCHEMA_VERSION,
    Column,
    ColumnType,
    Table,
)
from prediction_assets_tests.contract.warehouse.test_contract import ROWS, active, counts, merge, total, write
from prediction_assets_tests.made_up import SLATE, batch, player, progress_of, rows_of, staged


@pytest.fixture
def warehouse(open_bigquery: Callable[..., BigQueryWarehouse]) -> BigQueryWarehouse:
    return open_bigquery()


class Requests:
    """The client's requests, seen and tampered with on their way to the emulator."""

    def __init__(self, client: bigquery.Client, monkeypatch: pytest.MonkeyPatch) -> None:
        self._send = client._connection.api_request
        self._upload = client._do_resumable_upload
        self.sent: list[dict[str, Any]] = []
        self.loads: list[dict[str, Any]] = []
        self._loaded: dict[str, dict[str, Any]] = {}
        self.before: Callable[[dict[str, Any]], None] = lambda request: None
        self.after: Callable[[dict[str, Any]], None] = lambda request: None
        monkeypatch.setattr(client._connection, "api_request", self._pass_on)
        monkeypatch.setattr(client, "_do_resumable_upload", self._pass_on_upload)

    def _pass_on(self, **request: Any) -> Any:
        self.sent.append(request)
        self.before(request)
        # The emulator forgets the id that a load job was given.
        answer = self._loaded.get(request["path"].rsplit("/", 1)[-1]) or self._send(**request)
        self.after(request)
        return answer

    def _pass_on_upload(self, stream: Any, metadata: dict[str, Any], *rest: Any, **named: Any) -> Any:
        request = {"method": "UPLOAD", "path": "", "data": metadata}
        self.loads.append(metadata)
        self.before(request)
        answer = self._upload(stream, metadata, *rest, **named)
        self._loaded[job_id(metadata)] = {**answer.json(), "jobReference": metadata["jobReference"]}
        self.after(request)
        return answer

    def jobs(self, purpose: str) -> list[dict[str, Any]]:
        """Return the jobs of a kind that the client asked for, by upload or insert."""
        inserted = [r["data"] for r in self.sent if is_insert(r)]
        return [
            job
            for job in [*self.loads, *inserted]
            if job["configuration"].get("labels", {}).get("purpose") == purpose
        ]


def is_insert(request: dict[str, Any], purpose: str | None = None) -> bool:
    if request["method"] not in {"POST", "UPLOAD"} or "configuration" not in (request.get("data") or {}):
        return False
    return purpose in (None, request["data"]["configuration"].get("labels", {}).get("purpose"))


def job_id(job: dict[str, Any]) -> str:
    return str(job["jobReference"]["jobId"])


@pytest.fixture
def requests(bigquery_client: bigquery.Client, monkeypatch: pytest.MonkeyPatch) -> Requests:
    return Requests(bigquery_client, monkeypatch)


@pytest.fixture
def unique_job_ids(requests: Requests) -> Requests:
    """Requests to a BigQuery that refuses a job id it knows, as the real one does and the emulator doesn't."""
    known: set[str] = set()

    def refuse_known(request: dict[str, Any]) -> None:
        if is_insert(request):
            if job_id(request["data"]) in known:
                raise exceptions.Conflict("Already Exists: Job", errors=[{"reason": "duplicate"}])
            known.add(job_id(request["data"]))

    requests.before = refuse_known
    return requests


def raising_once(error: Exception, purpose: str) -> Callable[[dict[str, Any]], None]:
    left = [error]

    def act(request: dict[str, Any]) -> None:
        if left and is_insert(request, purpose):
            raise left.pop()

    return act


# Set-up and drift --------------------------------------------------------------------------------


def test_each_table_is_created_once_as_declared_and_the_predictions_are_never_scanned_whole(
    open_new_bigquery, bigquery_client, requests
):
    open_new_bigquery().set_up()
    created = {
        r["data"]["tableReference"]["tableId"]: r["data"]
        for r in requests.sent
        if r["method"] == "POST" and "tableReference" in (r.get("data") or {})
    }
    assert created["player_prop_predictions"]["requirePartitionFilter"] is True
    assert not created["game_logs"].get("requirePartitionFilter")
    modes = {f["name"]: f["mode"] for f in created["player_prop_predictions"]["schema"]["fields"]}
    assert (modes["line"], modes["bookmaker"]) == ("REQUIRED", "NULLABLE")
    table = bigquery_client.get_table("t_predictions.player_prop_predictions")
    assert (table.time_partitioning.type_, table.time_partitioning.field) == ("DAY", "game_date")
    assert table.clustering_fields == ["player_id", "system"]
    assert {field.name: field.field_type for field in table.schema}["line"] == "NUMERIC"
    requests.sent.clear()
    open_new_bigquery().set_up()
    assert {r["method"] for r in requests.sent} == {"GET"}


def test_what_is_staged_expires_by_itself(open_new_bigquery, bigquery_client, monkeypatch):
    days = "prediction_assets.stores.gcp.bigquery_tables.STAGING_DAYS"
    monkeypatch.setattr(days, 3)
    open_new_bigquery(snapshot_days=30).set_up()
    day = 86_400_000
    assert bigquery_client.get_dataset("t_staging").default_table_expiration_ms == 3 * day
    assert bigquery_client.get_dataset("t_features").default_table_expiration_ms == 30 * day
    assert bigquery_client.get_dataset("t_predictions").default_table_expiration_ms is None
    monkeypatch.setattr(days, 5)
    open_new_bigquery().set_up()
    assert bigquery_client.get_dataset("t_staging").default_table_expiration_ms == 5 * day


def test_a_column_added_to_the_declaration_is_added_before_the_first_part_is_loaded(
    warehouse, open_new_bigquery, bigquery_client
):
    first = merge(warehouse, staged(write(warehouse, 1, {"24.5": 20.0})), players=1)
    table = bigquery_client.get_table("t_predictions.player_prop_predictions")
    bigquery_client.delete_table("t_predictions.current_predictions")  # it names every column
    bigquery_client.delete_table(table)
    table = bigquery.Table(
        table.reference, [f for f in table.schema if f.name not in ("bookmaker", "confidence")]
    )
    table.time_partitioning = bigquery.TimePartitioning(field="game_date")
    table.clustering_fields = ["player_id", "system"]
    bigquery_client.create_table(table)
    newer = open_new_bigquery()
    part = write(newer, 1, {"24.5": 20.0})
    assert newer.jobs.counts == {"add_column": 2, "load_part": 1}
    newer.merge(dataclasses.replace(plan_of(staged(part)), receipt_id="f" * 32, after=first.receipt_id))
    assert newer.query(f"SELECT confidence {ROWS}")["confidence"].to_pylist() == [0.5]


def plan_of(*outcomes, players=1):
    return plan(progress_of(batch(players), *outcomes), ())


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"line": bigquery.SchemaField("line", "INT64")}, "column line is INT64, declared NUMERIC"),
        ({"team": bigquery.SchemaField("team", "STRING", "REPEATED")}, "column team is REPEATED STRING"),
        (
            {"odds": bigquery.SchemaField("odds", "FLOAT64")},
            "column odds is in the table and not in this version",
        ),
        ({"game_date": None}, "partitioned by created_at, declared game_date"),
    ],
)
def test_any_other_difference_from_the_declaration_is_refused(
    open_new_bigquery, bigquery_client, change, expected
):
    fields = {c.name: bigquery.SchemaField(c.name, c.type.bigquery) for c in PREDICTIONS.columns}
    bigquery_client.create_dataset("t_predictions")
    table = bigquery.Table(
        f"{bigquery_client.project}.t_predictions.player_prop_predictions",
        [f for f in {**fields, **change}.values() if f],
    )
    table.time_partitioning = bigquery.TimePartitioning(
        field="game_date" if all(change.values()) else "created_at"
    )
    table.clustering_fields = ["player_id", "system"]
    bigquery_client.create_table(table)
    with pytest.raises(SchemaDrift, match=expected):
        write(open_new_bigquery(), 1, {"24.5": 20.0})
    assert {f.name for f in bigquery_client.get_table(table).schema} == {f.name for f in table.schema}


def test_a_dataset_in_another_region_is_one_clear_error(open_new_bigquery, bigquery_client):
    dataset = bigquery.Dataset(f"{bigquery_client.project}.t_predictions")
    dataset.location = "europe-west4"
    bigquery_client.create_dataset(dataset)
    with pytest.raises(Misplaced, match="is in europe-west4, not in US; set PREDICTION_ASSETS_GCP_LOCATION"):
        open_new_bigquery(location="US").set_up()


@pytest.mark.parametrize("prefix", ["nba-", "a b", "x" * 65])
def test_a_prefix_that_no_dataset_can_have_is_refused(open_new_bigquery, prefix):
    with pytest.raises(BadInput, match="PREDICTION_ASSETS_GCP_PREFIX"):
        open_new_bigquery(dataset_prefix=prefix)


def test_two_installations_share_a_project(open_bigquery, open_new_bigquery):
    ours, theirs = open_bigquery(), open_new_bigquery(dataset_prefix="other_")
    merge(ours, staged(write(ours, 1, {"24.5": 20.0})), players=1)
    assert (total(ours), total(theirs)) == (1, 0)
    assert theirs.output_table.endswith(".other_predictions.current_predictions")


# Parts -------------------------------------------------------------------------------------------


def test_a_part_is_one_load_job_that_labels_itself_and_its_table(warehouse, requests):
    part = write(warehouse, 1, {"24.5": 20.0, "25.5": 20.0})
    (load,) = requests.jobs("load_part")
    labels = {
        "application": "prediction_assets", "purpose": "load_part", "slate": SLATE, "player": "player-1",
        "part_id": part.part_id, "rows": "2",
    }  # fmt: skip
    assert load["configuration"]["labels"] == labels
    assert load["configuration"]["load"]["destinationTableProperties"] == {"labels": labels}
    assert load["configuration"]["load"]["writeDisposition"] == "WRITE_TRUNCATE"
    table = load["configuration"]["load"]["destinationTable"]["tableId"]
    assert table == f"_staging_2026_01_02_player_1__{part.part_id}"
    assert job_id(load) == f"prediction_assets_load_part_{part.part_id}_0"
    assert warehouse.jobs.counts == {"load_part": 1}


def test_no_two_slate_players_share_a_table_s_name():
    keys = [(SLATE, slug) for slug in ("a-b", "ab", "a-b-c", "a-bc", "ab-c", "2026-01-02-a")]
    assert len({part_table(slate, slug, "0" * 32) for slate, slug in keys}) == len(keys)
    with pytest.raises(BadInput):
        part_table(SLATE, "a_b", "0" * 32)


def test_a_merge_that_was_decided_before_a_part_was_written_again_still_finds_its_part(warehouse):
    first = write(warehouse, 1, {"24.5": 20.0})
    write(warehouse, 1, {"24.5": 21.0})
    merge(warehouse, staged(first), players=1)
    assert list(active(warehouse).values()) == [20.0]


def test_an_upload_whose_answer_was_lost_is_not_loaded_twice(warehouse, unique_job_ids):
    unique_job_ids.after = raising_once(ConnectionError("reset by peer"), "load_part")
    part = write(warehouse, 1, {"24.5": 20.0})
    first, second = unique_job_ids.jobs("load_part")
    assert job_id(first) == job_id(second)
    assert counts(merge(warehouse, staged(part), players=1)) == (1, 1, 0, 0, 0)


def test_other_tables_in_the_staging_dataset_are_left_alone(warehouse, bigquery_client):
    write(warehouse, 1, {"24.5": 20.0})
    for name in ("_incoming_x", "notes", "_staging_2026_01_02_", "_staging_2026_01_02_x__short"):
        bigquery_client.create_table(f"{bigquery_client.project}.t_staging.{name}")
    assert set(dict(warehouse.parts.staged(SLATE))) == {"player-1"}
    assert warehouse.parts.slates() == [SLATE]


def test_a_listing_of_several_pages_is_read_to_the_last(warehouse, bigquery_client, monkeypatch):
    """As the real one answers; the emulator's listings have one page."""
    parts = {(part := write(warehouse, n, {"24.5": 20.0})).player_slug: part.part_id for n in range(1, 6)}
    send = bigquery_client._connection.api_request
    asked = []

    def in_pages_of_two(**request: Any) -> Any:
        if request["method"] != "GET" or not request["path"].endswith("/tables"):
            return send(**request)
        asked.append(first := int(request["query_params"].pop("pageToken", "0")))
        answer = send(**request)
        rest = {"nextPageToken": str(first + 2)} if first + 2 < len(answer["tables"]) else {}
        return {**answer, "tables": answer["tables"][first : first + 2], **rest}

    monkeypatch.setattr(bigquery_client._connection, "api_request", in_pages_of_two)
    assert dict(warehouse.parts.staged(SLATE)) == parts
    assert asked == [0, 2, 4]


# MERGE -------------------------------------------------------------------------------------------


def test_more_parts_than_a_statement_may_read_are_read_by_several(warehouse, monkeypatch):
    monkeypatch.setattr(bigquery_scripts, "TABLES_PER_STATEMENT", 2)
    parts = [write(warehouse, n, {"24.5": 20.0}) for n in range(1, 6)]
    assert counts(merge(warehouse, *map(staged, parts), players=5)) == (5, 5, 0, 0, 0)


def test_a_script_names_some_980_parts_before_they_are_gathered():
    def size(players: int) -> int:
        expected = tuple(
            dataclasses.replace(player(n, slug=f"dacian-abberstone-{n:04d}"), player_id=1_000_000 + n)
            for n in range(players)
        )
        parts = [
            PartRef(SLATE, who.slug, who.player_id, "a" * 32, 25, "b" * 64, 1, "c" * 20) for who in expected
        ]
        opened = dataclasses.replace(batch(1), expected=expected)
        work = plan(progress_of(opened, *map(staged, parts)), ())
        relation = ("a-project-of-ours", "nba_staging")
        relations = {t.qualified_name: ("a-project-of-ours", f"nba_{t.dataset}", t.name) for t in TABLES}
        selects = [
            bigquery_scripts.select_parts((*relation, part_table(SLATE, p.player_slug, p.part_id)), None)
            for p in parts
        ]
        return len(bigquery_scripts.merge_script(work, selects, relations).encode())

    assert size(900) < bigquery_scripts.SCRIPT_BYTES < size(1_000)


def test_what_is_gathered_of_many_parts_costs_a_job_per_500_and_is_gone_after_the_merge(
    open_gathering_bigquery, bigquery_client, monkeypatch
):
    def ten_bytes_each(job, purpose, seconds):
        return bigquery_jobs.JobStatistics(job.job_id, purpose, 10, 10, 0, seconds)

    monkeypatch.setattr(bigquery_jobs, "_statistics", ten_bytes_each)
    warehouse = open_gathering_bigquery()  # 2 parts a job here
    parts = [write(warehouse, n, {"24.5": 20.0}) for n in range(1, 6)]
    merge(warehouse, *map(staged, parts), players=5)
    jobs = dict(warehouse.jobs.counts)
    assert (jobs["load_part"], jobs["load_lists"], jobs["gather"], jobs["merge"]) == (5, 1, 3, 1)
    staging = f"{bigquery_client.project}.t_staging"
    assert len(list(bigquery_client.list_tables(staging))) == 5  # the parts, until they are dropped
    assert warehouse.cost()["bytes_billed"] == 40, "gathering and the MERGE"


def test_a_slate_costs_a_job_for_each_part_and_a_constant_number_of_others(warehouse):
    with ThreadPoolExecutor(8) as pool:
        parts = list(pool.map(lambda n: write(warehouse, n, {"24.5": 20.0}), range(1, 11)))
    assert counts(merge(warehouse, *map(staged, parts), players=10)) == (10, 10, 0, 0, 0)
    jobs = dict(warehouse.jobs.counts)
    assert jobs.pop("load_part") == 10
    assert jobs == {"merge": 1, "query": 2}, (
        "two looks at the receipts: the caller's, for its plan, and the merge's"
    )


def test_the_merge_is_one_job_named_by_its_receipt(warehouse, requests):
    receipt = merge(warehouse, staged(write(warehouse, 1, {"24.5": 20.0})), players=1)
    (job,) = requests.jobs("merge")
    assert re.fullmatch(f"prediction_assets_merge_t_{receipt.receipt_id}_[0-9a-f]{{12}}_0", job_id(job))
    assert job["configuration"]["labels"]["slate"] == SLATE
    assert job["configuration"]["labels"]["receipt_id"] == receipt.receipt_id
    script = job["configuration"]["query"]["query"]
    steps = {"BEGIN TRANSACTION": 1, "UPDATE `": 1, "INSERT INTO `": 2, "COMMIT TRANSACTION": 1}
    assert {step: script.count(step) for step in steps} == steps


def test_a_merge_whose_answer_was_lost_is_not_run_again(warehouse, unique_job_ids):
    part = staged(write(warehouse, 1, {"24.5": 20.0}))
    unique_job_ids.after = raising_once(ConnectionError("reset by peer"), "merge")
    receipt = merge(warehouse, part, players=1)
    assert counts(receipt) == (1, 1, 0, 0, 0)
    sent = [job_id(job) for job in unique_job_ids.jobs("merge")]
    assert (len(sent) > 1, len({*sent})) == (True, 1)  # a busy emulator may let a request time out, too
    assert warehouse.receipts(SLATE) == (receipt,)


def test_a_process_that_comes_after_a_killed_one_finds_the_merge_that_is_still_running(
    warehouse, open_bigquery, unique_job_ids, monkeypatch
):
    work = plan_of(staged(write(warehouse, 1, {"24.5": 20.0})))
    receipt = warehouse.merge(work)
    second = open_bigquery()
    looks = iter([None])  # its first look at the receipts came before the first process's MERGE committed
    see = second._receipt
    monkeypatch.setattr(
        second, "_receipt", lambda work: next(looks) if looks.__length_hint__() else see(work)
    )
    assert second.merge(work) == receipt
    assert "merge" not in {name for name, n in second.jobs.counts.items() if n}
    assert warehouse.receipts(SLATE) == (receipt,)


def test_an_attempt_that_failed_is_followed_by_another_under_another_id(
    warehouse, unique_job_ids, monkeypatch
):
    from prediction_assets.stores.sql import merge_sql

    work = plan_of(staged(write(warehouse, 1, {"24.5": 20.0})))
    with monkeypatch.context() as broken:
        broken.setattr(merge_sql, "CLOSE_ROWS", "DELETE FROM predictions.nothing WHERE TRUE")
        with pytest.raises(PredictionAssetsError):
            warehouse.merge(work)
    assert total(warehouse) == 0
    receipt = warehouse.merge(work)
    assert counts(receipt) == (1, 1, 0, 0, 0)
    assert [job_id(job)[-2:] for job in unique_job_ids.jobs("merge")] == ["_0", "_0", "_1"]


def test_an_earlier_job_that_changed_nothing_is_not_mistaken_for_the_merge(
    warehouse, unique_job_ids, bigquery_client
):
    """The job is remembered for months; the table can have been made anew since."""
    work = plan_of(staged(write(warehouse, 1, {"24.5": 20.0})))
    warehouse.merge(work)
    for name in ("player_prop_predictions", "consolidation_receipts"):
        bigquery_client.query(f"DELETE FROM t_predictions.{name} WHERE TRUE").result()
    assert counts(warehouse.merge(work)) == (1, 1, 0, 0, 0)
    assert total(warehouse) == 1


def test_a_script_that_runs_twice_all_the_same_does_its_work_once(warehouse, monkeypatch):
    work = plan_of(staged(write(warehouse, 1, {"24.5": 20.0})))
    receipt = warehouse.merge(work)
    monkeypatch.setattr(warehouse, "_receipt", lambda work: None)
    assert warehouse.merge(work) == receipt
    assert warehouse.receipts(SLATE) == (receipt,)


def test_a_transaction_that_lost_against_another_is_run_again(
    warehouse, requests, bigquery_client, monkeypatch
):
    part = staged(write(warehouse, 1, {"24.5": 20.0}))
    message = (
        "Query error: Transaction is aborted due to concurrent update against table t. Transaction ID: 1"
    )
    aborted = {"reason": "invalidQuery", "message": message}
    send, losing = bigquery_client._connection.api_request, [True]

    def lose_once(**request: Any) -> Any:
        if losing and is_insert(request, "merge"):
            losing.clear()
            data = {
                **request["data"],
                "status": {"state": "DONE", "errorResult": aborted, "errors": [aborted]},
            }
            lost.append(job_id(data))
            return data
        if lost and request["path"].endswith(lost[0]):
            reference = {"projectId": bigquery_client.project, "jobId": lost[0], "location": "US"}
            status = {"state": "DONE", "errorResult": aborted, "errors": [aborted]}
            return {"jobReference": reference, "configuration": {"query": {"query": ""}}, "status": status}
        return send(**request)

    lost: list[str] = []
    monkeypatch.setattr(bigquery_client._connection, "api_request", lose_once)
    assert counts(merge(warehouse, part, players=1)) == (1, 1, 0, 0, 0)
    assert warehouse.jobs.counts["merge"] == 2


def test_a_part_that_goes_away_between_the_look_and_the_merge_changes_nothing(warehouse, monkeypatch):
    gone, kept = write(warehouse, 1, {"24.5": 20.0}), write(warehouse, 2, {"24.5": 20.0})
    list(warehouse.parts.drop(SLATE, [(gone.player_slug, gone.part_id)]))
    monkeypatch.setattr(warehouse.parts, "missing", lambda slate, parts: [])
    with pytest.raises(PartMismatch, match=r"a part can.t be read"):
        merge(warehouse, staged(gone), staged(kept), players=2)
    assert total(warehouse) == 0
    assert dict(warehouse.parts.staged(SLATE)) == {"player-2": kept.part_id}


def test_a_part_that_a_list_does_not_show_yet_is_asked_for_by_name(warehouse, monkeypatch):
    part = write(warehouse, 1, {"24.5": 20.0})
    monkeypatch.setattr(warehouse.parts, "_listed", lambda slate: [])
    assert counts(merge(warehouse, staged(part), players=1)) == (1, 1, 0, 0, 0)


def test_a_part_from_before_a_column_was_added_merges_with_null_in_it(warehouse, monkeypatch):
    with monkeypatch.context() as before:
        columns = tuple(c for c in PART_COLUMNS if c.name != "bookmaker")
        schema = pa.schema([PART_SCHEMA.field(c.name) for c in columns])
        before.setattr(bigquery_parts, "_PART_FIELDS", tuple(schema_fields(columns, ())))
        before.setattr(bigquery_parts, "PART_SCHEMA", schema)
        before.setattr(bigquery_parts, "PREDICTIONS_SCHEMA_VERSION", PREDICTIONS_SCHEMA_VERSION - 1)
        rows = rows_of(player(1), {"24.5": 20.0}).drop_columns(["bookmaker"])
        at = rows.schema.get_field_index("content_hash")
        rows = rows.set_column(at, "content_hash", [pa.array(row_hashes(rows))])
        earlier = staged(warehouse.parts.write(SLATE, "player-1", rows, 1))
    merge(warehouse, earlier, staged(write(warehouse, 2, {"24.5": 20.0})), players=2)
    found = warehouse.query(f"SELECT bookmaker {ROWS} ORDER BY player_id")
    assert found["bookmaker"].to_pylist() == [None, "Simulated Book A"]


def test_a_part_of_a_newer_version_is_refused(warehouse):
    part = dataclasses.replace(
        write(warehouse, 1, {"24.5": 20.0}), schema_version=PREDICTIONS_SCHEMA_VERSION + 1
    )
    with pytest.raises(PartMismatch, match="newer version"):
        merge(warehouse, staged(part), players=1)


def test_what_the_merge_cost_is_told(warehouse, bigquery_client, monkeypatch):
    monkeypatch.setattr(bigquery.QueryJob, "total_bytes_billed", 10_485_760)
    monkeypatch.setattr(bigquery.QueryJob, "total_bytes_processed", 4096)
    receipt = merge(warehouse, staged(write(warehouse, 1, {"24.5": 20.0})), players=1)
    cost = warehouse.jobs.last_statistics
    assert (cost.purpose, cost.bytes_billed, cost.bytes_processed) == ("merge", 10_485_760, 4096)
    assert receipt.receipt_id in cost.job_id


def test_the_receipt_says_what_the_script_was_given(warehouse):
    part = write(warehouse, 1, {"24.5": 20.0})
    work = plan_of(staged(part), players=2)
    receipt = warehouse.merge(work)
    assert receipt.parts == (
        {"player_slug": "player-1", "part_id": part.part_id, "rows": 1, "content_hash": part.content_hash},
    )
    assert receipt.missing[0]["outcome"] == "unsettled"
    assert (receipt.expected_players, receipt.staged_players, receipt.failed_players) == (2, 1, 1)


# Queries and facts -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["DELETE FROM facts.schedule WHERE TRUE", "SELECT 1; DROP TABLE facts.schedule"]
)
def test_a_query_can_only_read(warehouse, text):
    with pytest.raises(BadInput, match="only a SELECT"):
        warehouse.query(text)


def test_nothing_is_left_in_staging_of_an_upsert(warehouse, bigquery_client):
    from datetime import date

    from prediction_assets.stores.sql.tables import SCHEDULE
    from prediction_assets_tests.contract.warehouse.test_contract import game

    warehouse.upsert(SCHEDULE, SCHEDULE.arrow_table([game("9000000001", date(2026, 1, 2))]))
    assert list(bigquery_client.list_tables("t_staging")) == []
    assert warehouse.jobs.counts == {"load_facts": 1, "upsert": 1}
    emptied = SCHEDULE.arrow_table([game("9000000001", date(2026, 1, 2))]).select(["game_date"])
    warehouse.upsert(SCHEDULE, SCHEDULE.arrow_table([]), ("game_date",), emptied)
    assert list(bigquery_client.list_tables("t_staging")) == []
    assert warehouse.jobs.counts == {"load_facts": 3, "upsert": 2}


def test_the_same_snapshot_is_loaded_once(warehouse):
    rows = rows_of(player(1), {"24.5": 20.0}).select(["player_id", "predicted_points"])
    first = warehouse.snapshots.write(SLATE, rows, rows)
    assert warehouse.snapshots.write(SLATE, rows, rows) == first
    assert warehouse.jobs.counts == {"load_snapshot": 2}


def test_the_warehouse_records_its_version_and_refuses_a_later_one_before_it_touches_a_table(
    open_new_bigquery, bigquery_client
):
    assert open_new_bigquery().schema().is_there is False
    open_new_bigquery().set_up()
    assert open_new_bigquery().schema().is_current
    holder = bigquery_client.get_table("t_predictions.consolidation_receipts")
    holder.labels = {**holder.labels, "schema_version": str(WAREHOUSE_SCHEMA_VERSION + 1)}
    bigquery_client.update_table(holder, ["labels"])
    bigquery_client.delete_table("t_facts.injury_reports")
    for use in (
        open_new_bigquery().set_up,
        open_new_bigquery().schema,
        open_new_bigquery().migrate,
        lambda: open_new_bigquery().receipts(SLATE),
    ):
        with pytest.raises(SchemaTooNew, match=r"docs/runbook\.md"):
            use()
    assert "injury_reports" not in {table.table_id for table in bigquery_client.list_tables("t_facts")}


def test_a_release_adds_a_table_and_a_column_and_keeps_every_row(open_new_bigquery, monkeypatch):
    remark = Column("remark", ColumnType.STRING, "made up")
    notes = Table("predictions", "notes", "made up", (remark,), key=("remark",))
    remarked = dataclasses.replace(RECEIPTS, columns=(*RECEIPTS.columns, remark))
    tables = (*(remarked if table is RECEIPTS else table for table in TABLES), notes)
    warehouse = open_new_bigquery()
    receipt = merge(warehouse, staged(write(warehouse, 1, {"24.5": 20.0})), players=1)
    with monkeypatch.context() as next_release:
        next_release.setattr(bigquery_tables, "TABLES", tables)
        next_release.setattr(bigquery_tables, "WAREHOUSE_SCHEMA_VERSION", WAREHOUSE_SCHEMA_VERSION + 1)
        found = open_new_bigquery().schema()
        wanted = ("add column predictions.consolidation_receipts.remark", "add table predictions.notes")
        assert (found.found, found.changes) == (WAREHOUSE_SCHEMA_VERSION, wanted)
        assert open_new_bigquery().migrate() == found
        # The emulator's description of a table doesn't see an ALTER; a query of the table does.
        assert open_new_bigquery().schema().found == WAREHOUSE_SCHEMA_VERSION + 1
        assert open_new_bigquery().receipts(SLATE) == (receipt,)
        remarks = open_new_bigquery().query(
            f"SELECT remark FROM {RECEIPTS.qualified_name} WHERE game_date = CAST($slate AS DATE)",
            {"slate": SLATE},
        )
        assert remarks["remark"].to_pylist() == [None]
        assert open_new_bigquery().query("SELECT remark FROM t_predictions.notes").num_rows == 0
    with pytest.raises(SchemaTooNew):
        open_new_bigquery().receipts(SLATE)


@pytest.mark.parametrize("lost", ["version", "version and a table"])
def test_a_set_up_that_was_killed_is_completed_by_the_next(
    open_new_bigquery, bigquery_client, monkeypatch, lost
):
    with monkeypatch.context() as killed:
        killed.setattr(BigQueryTables, "_record_version", lambda self: None)
        warehouse = open_new_bigquery()
        receipt = merge(warehouse, staged(write(warehouse, 1, {"24.5": 20.0})), players=1)
    if lost != "version":
        bigquery_client.delete_table("t_predictions.prediction_grades")
    found = open_new_bigquery().schema()
    wanted = ("add table predictions.prediction_grades",) if lost != "version" else ()
    assert (found.found, found.changes, found.is_current) == (None, wanted, False)
    assert open_new_bigquery().migrate() == found
    assert open_new_bigquery().schema().is_current
    assert open_new_bigquery().receipts(SLATE) == (receipt,)
