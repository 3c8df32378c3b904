"""A smoke test of a real project: what no emulator can show, checked on a simulated slate in datasets of its own.

Each check returns normally or says what it found. The datasets are prefixed ``smoke_`` and can be deleted
afterwards; topics and collections are prefixed too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from google.api_core import exceptions
from google.cloud import bigquery

from prediction_assets.orchestration.instance import open_instance
from prediction_assets.orchestration.slate_run import SlateResult, SlateRun
from prediction_assets.settings import Settings
from prediction_assets.simulation.league import simulated_facts
from prediction_assets.stores.gcp.clients import bigquery_client
from prediction_assets.stores.gcp.stores import GcpStores

PREFIX = "smoke_"
PLAYERS = 8


@dataclass(frozen=True)
class Finding:
    """What one check found; ``problem`` is empty when all is well."""

    name: str
    problem: str


def smoke_settings(settings: Settings) -> Settings:
    """Return the settings with every name prefixed, so that nothing of the installation's own is touched."""
    return settings.model_copy(
        update={
            "bigquery_dataset_prefix": f"{PREFIX}{settings.bigquery_dataset_prefix}",
            "firestore_collection_prefix": f"{PREFIX}{settings.firestore_collection_prefix}",
            "pubsub_topic": f"{PREFIX}{settings.pubsub_topic}",
            "pubsub_subscription": f"{PREFIX}{settings.pubsub_subscription}",
            "pubsub_dead_letter_topic": f"{PREFIX}{settings.pubsub_dead_letter_topic}",
            "home": settings.home / "smoke",
        }
    )


def smoke_test(installation: Settings) -> Iterator[Finding]:
    """Carry a simulated slate through a project and yield what each check found.

    Raises:
        PredictionAssetsError: the slate itself failed.
    """
    settings = smoke_settings(installation)
    stores = GcpStores(settings)
    stores.warehouse.set_up()
    stores.set_up_messaging()
    client = bigquery_client(
        settings.gcp_project or "", settings.bigquery_location, settings.bigquery_endpoint
    )
    with open_instance(settings) as instance:
        run = SlateRun(settings, instance)
        run.ingest(simulated_facts(PLAYERS))
        first = run.whole(run.default_slate())
        again = run.whole(first.progress.batch.slate)
        for name, check in _CHECKS.items():
            yield Finding(name, check(_Seen(settings, client, run, first, again)))


@dataclass(frozen=True)
class _Seen:
    settings: Settings
    client: bigquery.Client
    run: SlateRun
    first: SlateResult
    again: SlateResult

    def dataset(self, name: str) -> str:
        return f"{self.client.project}.{self.settings.bigquery_dataset_prefix}{name}"

    @property
    def output(self) -> str:
        return f"{self.dataset('predictions')}.player_prop_predictions"


def _merged_once(seen: _Seen) -> str:
    receipt = seen.again.receipt
    changed = receipt.rows_inserted + receipt.rows_updated if receipt else -1
    events = len(seen.run.events(seen.first.progress.batch.slate))
    return "" if changed == 0 and events == 1 else f"a second run changed {changed} rows, {events} events"


def _job_id_is_refused_twice(seen: _Seen) -> str:
    job_id = f"prediction_assets_smoke_{seen.first.receipt.receipt_id if seen.first.receipt else ''}"
    for _ in range(2):
        try:
            seen.client.query("SELECT 1", job_id=job_id, job_retry=None).result()
        except exceptions.Conflict:
            return ""
    return "a duplicate job id was executed again instead of answering 409"


def _filter_is_required(seen: _Seen) -> str:
    try:
        seen.client.query(f"SELECT COUNT(*) FROM `{seen.output}`", job_retry=None).result()  # noqa: S608
    except exceptions.BadRequest:
        return ""
    return "a query without game_date was allowed"


def _staging_expires(seen: _Seen) -> str:
    dataset = seen.client.get_dataset(seen.dataset("staging"))
    return "" if dataset.default_table_expiration_ms else "the staging dataset has no default expiration"


def _layout(seen: _Seen) -> str:
    table = seen.client.get_table(seen.output)
    partition = table.time_partitioning.field if table.time_partitioning else None
    found = (partition, list(table.clustering_fields or []))
    return "" if found == ("game_date", ["player_id", "system"]) else f"partitioned and clustered by {found}"


def _bytes_billed(seen: _Seen) -> str:
    statistics: Any = seen.run.warehouse.last_job_statistics  # type: ignore[attr-defined]
    return "" if statistics is not None and statistics.bytes_billed > 0 else "no bytes billed were reported"


_CHECKS: dict[str, Callable[[_Seen], str]] = {
    "a second run changes nothing and has no second event": _merged_once,
    "a job id that exists is refused": _job_id_is_refused_twice,
    "the predictions can't be read without a date": _filter_is_required,
    "parts that nobody drops expire": _staging_expires,
    "the predictions are partitioned and clustered as declared": _layout,
    "jobs report the bytes they are billed for": _bytes_billed,
}
