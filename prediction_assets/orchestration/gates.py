"""Whether a materialization of ``predictions`` may be announced: the verdict of its own asset checks.

An evaluation counts only when it targets that very materialization, by storage id and run. SQLite gives out the ids of
a deleted run again, and the run's evaluations outlive it. Reads Dagster's event log and changes nothing.
https://docs.dagster.io/guides/test/asset-checks
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import dagster as dg
from dagster import AssetCheckKey, AssetKey, DagsterInstance, EventLogRecord

# Only the private filter reads the evaluations of one partition.
from dagster._core.event_api import PartitionKeyFilter

RECEIPT_ID = "receipt_id"
"""Metadata key under which a materialization of ``predictions`` names its receipt."""

_HISTORY = 20
"""Newest evaluations of a check that are read: a slate is consolidated a handful of times."""


class Gate(Enum):
    """What the checks of a materialization say about announcing it.

    ``ALLOWED``: each check was evaluated, and none failed with severity ERROR. ``BLOCKED``: one did. ``PENDING``: one
    is not evaluated yet.
    """

    ALLOWED = "allowed"
    PENDING = "pending"
    BLOCKED = "blocked"


@dataclass(frozen=True)
class Verdict:
    """The gate, and the names of the checks that failed or are missing."""

    gate: Gate
    checks: tuple[str, ...] = ()


def verdict(
    instance: DagsterInstance, materialization: EventLogRecord, checks: Sequence[AssetCheckKey]
) -> Verdict:
    """Return what the checks of one materialization allow."""
    passed: set[str] = set()
    failed: set[str] = set()
    for key in checks:
        result = _evaluation(instance, key, materialization)
        if result is not None:
            bad = not result.passed and result.severity is dg.AssetCheckSeverity.ERROR
            (failed if bad else passed).add(key.name)
    if failed:
        return Verdict(Gate.BLOCKED, tuple(sorted(failed)))
    missing = sorted({key.name for key in checks} - passed)
    return Verdict(Gate.PENDING, tuple(missing)) if missing else Verdict(Gate.ALLOWED)


def verdict_on_receipt(
    instance: DagsterInstance, slate: str, receipt_id: str, checks: Sequence[AssetCheckKey]
) -> Verdict | None:
    """Return what the checks of a receipt's newest materialization allow, None when it has none."""
    wanted = dg.AssetRecordsFilter(asset_key=AssetKey("predictions"), asset_partitions=[slate])
    for record in instance.fetch_materializations(wanted, limit=_HISTORY).records:
        value = record.asset_materialization and record.asset_materialization.metadata.get(RECEIPT_ID)
        if value is not None and value.value == receipt_id:
            return verdict(instance, record, checks)
    return None


def _evaluation(
    instance: DagsterInstance, key: AssetCheckKey, materialization: EventLogRecord
) -> dg.AssetCheckEvaluation | None:
    """Return the newest evaluation of a check that targets the materialization."""
    history = instance.event_log_storage.get_asset_check_execution_history(
        key, limit=_HISTORY, partition_filter=PartitionKeyFilter(key=materialization.partition_key)
    )
    wanted = (materialization.storage_id, materialization.run_id)
    for record in history:
        event = record.event and record.event.dagster_event
        data = event.event_specific_data if event else None
        if isinstance(data, dg.AssetCheckEvaluation):
            target = data.target_materialization_data
            if target is not None and (target.storage_id, target.run_id) == wanted:
                return data
    return None
