"""Whether a materialization of ``predictions`` may be announced: what its own asset checks said.

A check evaluation counts only when it targets that very materialization, by its storage id and its run: SQLite gives
the ids of a deleted run out again, and its evaluations outlive it. A green check of yesterday's run opens nothing.
Reads Dagster's event log; changes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import dagster as dg
from dagster import AssetCheckKey, AssetKey, DagsterInstance, EventLogRecord
from dagster._core.event_api import PartitionKeyFilter

RECEIPT_ID = "receipt_id"
"""Metadata key under which a materialization of ``predictions`` names its receipt."""

_HISTORY = 20
"""Evaluations per check that are looked through: a slate is consolidated a handful of times."""


class Gate(Enum):
    """What the checks of a materialization allow."""

    ALLOWED = "allowed"
    PENDING = "pending"
    BLOCKED = "blocked"


@dataclass(frozen=True)
class Verdict:
    """The gate, and the checks that keep it from being open."""

    gate: Gate
    checks: tuple[str, ...] = ()


def verdict(
    instance: DagsterInstance, materialization: EventLogRecord, checks: Sequence[AssetCheckKey]
) -> Verdict:
    """Return what the checks of one materialization allow.

    Open: each was evaluated for it and none failed with severity ERROR. Shut: one did. Wait: one was not
    evaluated yet.
    """
    passed: set[str] = set()
    failed: set[str] = set()
    for key in checks:
        result = _evaluation(instance, key, materialization)
        if result is not None:
            bad = not result.passed and result.severity is dg.AssetCheckSeverity.ERROR
            (failed if bad else passed).add(key.name)
    if failed:
        return Verdict(Gate.BLOCKED, tuple(sorted(failed)))
    waiting = sorted({key.name for key in checks} - passed)
    return Verdict(Gate.PENDING, tuple(waiting)) if waiting else Verdict(Gate.ALLOWED)


def _evaluation(
    instance: DagsterInstance, key: AssetCheckKey, materialization: EventLogRecord
) -> dg.AssetCheckEvaluation | None:
    """Return the newest evaluation of a check that targets the materialization."""
    history = instance.event_log_storage.get_asset_check_execution_history(
        key, limit=_HISTORY, partition_filter=PartitionKeyFilter(key=materialization.partition_key)
    )
    for record in history:
        event = record.event and record.event.dagster_event
        data = event.event_specific_data if event else None
        if isinstance(data, dg.AssetCheckEvaluation):
            target = data.target_materialization_data
            if target is not None and (target.storage_id, target.run_id) == (
                materialization.storage_id,
                materialization.run_id,
            ):
                return data
    return None


def verdict_on_receipt(
    instance: DagsterInstance, slate: str, receipt_id: str, checks: Sequence[AssetCheckKey]
) -> Verdict | None:
    """Return what the checks of a receipt's newest materialization allow, None when it has none."""
    found = _materialization_of_receipt(instance, slate, receipt_id)
    return None if found is None else verdict(instance, found, checks)


def _materialization_of_receipt(
    instance: DagsterInstance, slate: str, receipt_id: str
) -> EventLogRecord | None:
    found = instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=AssetKey("predictions"), asset_partitions=[slate]), limit=_HISTORY
    )
    for record in found.records:
        value = record.asset_materialization and record.asset_materialization.metadata.get(RECEIPT_ID)
        if value is not None and value.value == receipt_id:
            return record
    return None
