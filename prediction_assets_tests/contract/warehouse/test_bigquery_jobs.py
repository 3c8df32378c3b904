"""Jobs with an id of ours, on a client that is made up: it refuses an id that it knows, as BigQuery does."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
from google.api_core import exceptions

from prediction_assets.slate.audits import AGREES, AuditLimits
from prediction_assets.slate.merge_plan import MergePlan, plan
from prediction_assets.stores.gcp.bigquery_jobs import BigQueryJobs
from prediction_assets.stores.gcp.warehouse import _decided
from prediction_assets_tests.made_up import SLATE, batch, progress_of, staged
from prediction_assets_tests.unit.slate.test_merge_plan import part

REFUSALS = 45


class MadeUpClient:
    """A BigQuery whose jobs all succeed, and answer with their number."""

    project = "p"

    def __init__(self) -> None:
        self.jobs: dict[str, Any] = {}
        self.most_bytes_billed = 0

    def query(self, sql: str, *, job_id: str, job_config: Any, **_: object) -> Any:
        self.most_bytes_billed = job_config.maximum_bytes_billed
        if job_id in self.jobs:
            raise exceptions.Conflict("Already Exists: Job")
        rows = pa.table({"number": [len(self.jobs)]})
        answer = SimpleNamespace(to_arrow=lambda **_: rows, schema=[SimpleNamespace(name="number")])
        self.jobs[job_id] = SimpleNamespace(job_id=job_id, result=lambda **_: answer)
        return self.jobs[job_id]

    def get_job(self, job_id: str, **_: object) -> Any:
        return self.jobs[job_id]


def run(client: MadeUpClient, key: str, *, is_done: bool) -> int:
    jobs = BigQueryJobs(client, location="US")  # type: ignore[arg-type]
    found = jobs.query("SELECT 1", purpose="merge", doing="merging", key=key, is_done=lambda: is_done)
    return int(found["number"][0].as_py())


def test_a_merge_that_was_refused_any_number_of_times_is_tried_again():
    client = MadeUpClient()
    assert [run(client, "k", is_done=False) for _ in range(REFUSALS)] == list(range(REFUSALS))
    assert run(client, "k", is_done=True) == 0, "an earlier job that did its work is found"
    assert len(client.jobs) == REFUSALS


def test_a_statement_may_be_billed_for_one_tebibyte_and_not_more():
    client = MadeUpClient()
    run(client, "k", is_done=True)
    assert client.most_bytes_billed == 1024**4


def decided(limits: AuditLimits, accepted: dict[str, str] | None = None) -> MergePlan:
    return plan(progress_of(batch(1), staged(part(1))), (), limits=limits, accepted=accepted)


@pytest.mark.parametrize(
    ("limits", "accepted"),
    [
        (AuditLimits(one_direction_share=0.9), {}),
        (AuditLimits(least_value=0.1), {}),
        (AuditLimits(), {AGREES: "why"}),
    ],
)
def test_what_decides_the_verdict_is_in_the_key_of_the_merge(limits, accepted):
    usual, other = decided(AuditLimits()), decided(limits, accepted)
    assert usual.receipt_id == other.receipt_id
    assert _decided(usual) != _decided(other)
    assert _decided(other) == _decided(decided(limits, accepted))
    assert usual.slate == SLATE
