"""Every failure of BigQuery is one line that says which setting or role; only passing ones are tried again."""

from __future__ import annotations

import socket
import time
from typing import Any

import pytest
import requests.exceptions
from google.api_core import exceptions
from google.auth.exceptions import DefaultCredentialsError, RefreshError
from google.cloud import bigquery

from prediction_assets.errors import (
    Misplaced,
    NotPermitted,
    PredictionAssetsError,
    QueryRefused,
    QuotaExceeded,
    TransientError,
    Unreachable,
    WarehouseBusy,
)
from prediction_assets.stores.gcp.google_errors import bigquery_service, is_aborted_transaction, is_transient
from prediction_assets.stores.gcp.warehouse import BigQueryWarehouse
from prediction_assets_tests.contract.warehouse.bigquery_emulator import emulator_client
from prediction_assets_tests.made_up import SLATE, player, rows_of


def failing(
    kind: type[exceptions.GoogleAPICallError], reason: str, message: str
) -> exceptions.GoogleAPICallError:
    return kind(message, errors=[{"reason": reason, "message": message}])


RATE = failing(
    exceptions.Forbidden, "rateLimitExceeded", "Exceeded rate limits: too many table update operations"
)
QUOTA = failing(
    exceptions.Forbidden, "quotaExceeded", "Quota exceeded: Your table exceeded quota for imports"
)
JOB_USER = failing(
    exceptions.Forbidden,
    "accessDenied",
    "Access Denied: Project p: User does not have bigquery.jobs.create permission in project p.",
)
EDITOR = failing(
    exceptions.Forbidden,
    "accessDenied",
    "Access Denied: Table p:t.x: Permission bigquery.tables.updateData denied on table p:t.x",
)
CREATOR = failing(
    exceptions.Forbidden,
    "accessDenied",
    "Access Denied: Project p: User does not have bigquery.datasets.create permission in project p.",
)
NO_PROJECT = failing(exceptions.NotFound, "notFound", "Not found: Project no-such-project")
NO_TABLE = failing(exceptions.NotFound, "notFound", "Not found: Table p:t.x was not found in location US")
INVALID = failing(exceptions.BadRequest, "invalidQuery", "Unrecognized name: lines at [1:8]")
ABORTED = failing(
    exceptions.BadRequest,
    "invalidQuery",
    "Query error: Transaction is aborted due to concurrent update against table p:t.x. Transaction ID: 1 at [7:1]",
)
BACKEND = failing(
    exceptions.ServiceUnavailable, "backendError", "Error encountered during execution. Retrying may help"
)
INTERNAL = exceptions.InternalServerError("An internal error occurred")
RESET = requests.exceptions.ConnectionError("Connection reset by peer")


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        (RATE, True),
        (BACKEND, True),
        (INTERNAL, True),
        (RESET, True),
        (exceptions.TooManyRequests("slow down"), True),
        (failing(exceptions.BadRequest, "jobRateLimitExceeded", "Exceeded rate limits"), True),
        (exceptions.RetryError("deadline", cause=BACKEND), True),
        (QUOTA, False),
        (JOB_USER, False),
        (NO_PROJECT, False),
        (NO_TABLE, False),
        (INVALID, False),
        (ABORTED, False),
        (exceptions.RetryError("deadline", cause=QUOTA), False),
        (requests.exceptions.SSLError("bad certificate"), False),
        (RefreshError("expired"), False),
    ],
    ids=lambda value: f"{type(value).__name__} {value}"[:40] if isinstance(value, Exception) else str(value),
)
def test_only_what_may_pass_by_itself_is_tried_again(error, transient):
    assert is_transient(error) is transient


def test_a_transaction_that_lost_against_another_is_known_by_its_message():
    assert is_aborted_transaction(ABORTED)
    assert not is_aborted_transaction(INVALID)


@pytest.mark.parametrize(
    ("error", "kind", "remedy"),
    [
        (JOB_USER, NotPermitted, "roles/bigquery.jobUser"),
        (EDITOR, NotPermitted, "roles/bigquery.dataEditor"),
        (CREATOR, NotPermitted, "prediction-assets gcp set-up"),
        (
            failing(exceptions.Forbidden, "billingNotEnabled", "Billing has not been enabled"),
            NotPermitted,
            "enable billing",
        ),
        (
            RefreshError("invalid_grant: Token has been expired"),
            NotPermitted,
            "gcloud auth application-default login",
        ),
        (DefaultCredentialsError("none found"), NotPermitted, "gcloud auth application-default login"),
        (exceptions.Unauthorized("Request had invalid credentials"), NotPermitted, "gcloud auth"),
        (NO_PROJECT, Misplaced, "PREDICTION_ASSETS_GCP_PROJECT"),
        (NO_TABLE, Misplaced, "PREDICTION_ASSETS_GCP_LOCATION"),
        (QUOTA, QuotaExceeded, "a quota is used up"),
        (RATE, QuotaExceeded, "a quota is used up"),
        (exceptions.RetryError("deadline", cause=RATE), QuotaExceeded, "a quota is used up"),
        (RESET, Unreachable, "PREDICTION_ASSETS_BIGQUERY_ENDPOINT"),
        (BACKEND, Unreachable, "Run this again"),
        (ABORTED, WarehouseBusy, "other writers were first each time. Run this again"),
        (INVALID, QueryRefused, "Unrecognized name"),
    ],
    ids=lambda value: getattr(value, "__name__", None) or f"{value}"[:40],
)
def test_each_failure_is_one_line_that_says_what_to_do(error, kind, remedy):
    line = bigquery_service("my-project", 5).translated(error, f"slate {SLATE}: staging x")
    assert type(line) is kind
    assert str(line).startswith(f"slate {SLATE}: staging x: BigQuery, project my-project: ")
    assert remedy in str(line)
    assert "\n" not in str(line)


def test_a_used_up_quota_may_be_free_again_in_a_moment_and_a_missing_role_not():
    assert issubclass(QuotaExceeded, TransientError)
    assert not issubclass(NotPermitted, TransientError)


def test_an_emulator_that_is_down_is_one_error_at_once():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        warehouse = BigQueryWarehouse(emulator_client(f"http://127.0.0.1:{port}", "p"), call_timeout=60)
        started = time.monotonic()
        with pytest.raises(Unreachable, match="PREDICTION_ASSETS_BIGQUERY_ENDPOINT"):
            warehouse.receipts(SLATE)
    assert time.monotonic() - started < 5


class FailingService:
    """A client whose service fails a number of times, at any request or at some."""

    def __init__(self, client: bigquery.Client, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked = 0
        self.failures: list[Exception] = []
        self._send = client._connection.api_request
        monkeypatch.setattr(client._connection, "api_request", self._answer)

    def _answer(self, **request: Any) -> Any:
        self.asked += 1
        if self.failures:
            raise self.failures.pop(0)
        return self._send(**request)


@pytest.fixture
def nowhere() -> bigquery.Client:
    return emulator_client("http://127.0.0.1:1", "my-project")


@pytest.mark.parametrize(
    "error", [JOB_USER, NO_PROJECT, QUOTA, RefreshError("expired")], ids=lambda e: str(e)[:20]
)
def test_what_retrying_can_not_change_is_asked_once(nowhere, monkeypatch, error):
    service = FailingService(nowhere, monkeypatch)
    service.failures = [error] * 5
    warehouse = BigQueryWarehouse(nowhere, call_timeout=60)
    monkeypatch.setattr(warehouse._tables, "_is_set_up", True)
    with pytest.raises(PredictionAssetsError):
        warehouse.receipts(SLATE)
    assert service.asked == 1


def test_a_service_that_keeps_failing_is_an_error_after_the_time_in_the_settings(nowhere, monkeypatch):
    service = FailingService(nowhere, monkeypatch)
    service.failures = [BACKEND] * 100
    warehouse = BigQueryWarehouse(nowhere, call_timeout=1.5)
    monkeypatch.setattr(warehouse._tables, "_is_set_up", True)
    started = time.monotonic()
    with pytest.raises(Unreachable, match=r"no answer within 1\.5 s"):
        warehouse.receipts(SLATE)
    assert service.asked >= 2
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("error", [RATE, BACKEND, RESET], ids=["rate limit", "backend error", "reset"])
def test_a_passing_failure_is_not_noticed(open_bigquery, bigquery_client, monkeypatch, error):
    warehouse = open_bigquery(call_timeout=20.0)
    warehouse.set_up()
    service = FailingService(bigquery_client, monkeypatch)
    service.failures = [error]
    assert warehouse.receipts(SLATE) == ()
    service.failures = [error]
    assert dict(warehouse.parts.staged(SLATE)) == {}


def test_a_job_that_does_not_end_in_time_is_named_and_goes_on(open_bigquery, monkeypatch):
    monkeypatch.setattr("prediction_assets.stores.gcp.bigquery_jobs._JOB_SECONDS", 0.2)
    warehouse = open_bigquery()
    warehouse.set_up()

    def too_late(*_: object, **__: object) -> None:
        raise TimeoutError

    monkeypatch.setattr(bigquery.QueryJob, "result", too_late)
    with pytest.raises(
        WarehouseBusy, match=r"job prediction_assets_query_\w+ .* within 0.2 s; it continues by itself"
    ):
        warehouse.receipts(SLATE)


def test_a_failed_upload_leaves_nothing_and_a_second_attempt_is_another_part(
    open_bigquery, bigquery_client, monkeypatch
):
    warehouse = open_bigquery()
    rows = rows_of(player(1), {"24.5": 20.0})

    def refuse(*_: object, **__: object) -> None:
        raise EDITOR

    with monkeypatch.context() as refused:
        refused.setattr(bigquery_client, "_do_resumable_upload", refuse)
        with pytest.raises(NotPermitted, match=rf"slate {SLATE}: staging player-1.*dataEditor"):
            warehouse.parts.write(SLATE, "player-1", rows, 1)
    assert dict(warehouse.parts.staged(SLATE)) == {}
    part = warehouse.parts.write(SLATE, "player-1", rows, 1)
    assert dict(warehouse.parts.staged(SLATE)) == {"player-1": part.part_id}


def test_a_part_with_a_missing_value_is_refused_before_anything_is_loaded(open_bigquery):
    import pyarrow as pa

    warehouse = open_bigquery()
    rows = rows_of(player(1), {"24.5": 20.0})
    at = rows.schema.get_field_index("confidence")
    rows = rows.set_column(at, "confidence", pa.array([None], pa.float64()))
    with pytest.raises(ValueError, match="confidence"):
        warehouse.parts.write(SLATE, "player-1", rows, 1)
    assert warehouse.jobs.counts == {}
