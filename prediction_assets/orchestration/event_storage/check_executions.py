"""Deletes the stored executions of asset checks together with the runs that evaluated them.

Dagster has no call for it: ``delete_run`` and ``delete_events`` leave the rows of ``asset_check_executions``, each with
its whole event. Only the history of the checks still shows them.
"""

from collections.abc import Sequence

# Dagster exports neither its SQL storage nor its tables.
from dagster._core.storage.event_log import SqlEventLogStorage
from dagster._core.storage.event_log.base import EventLogStorage
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable

_RUNS_PER_STATEMENT = 500
"""SQLite before 3.32 allows 999 values in a statement."""


def delete_check_executions(storage: EventLogStorage, run_ids: Sequence[str]) -> int:
    """Delete the check executions of these runs and return how many there were; 0 in a storage without SQL."""
    if not isinstance(storage, SqlEventLogStorage) or not storage.supports_asset_checks:
        return 0
    deleted = 0
    # One statement for many runs: no index begins with the run, so each statement reads the whole table.
    of_run = AssetCheckExecutionsTable.c.run_id
    for start in range(0, len(run_ids), _RUNS_PER_STATEMENT):
        some = run_ids[start : start + _RUNS_PER_STATEMENT]
        with storage.index_connection() as connection:
            deleted += connection.execute(AssetCheckExecutionsTable.delete().where(of_run.in_(some))).rowcount
    return deleted
