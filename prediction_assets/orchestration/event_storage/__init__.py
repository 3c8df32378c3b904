"""Dagster's SQLite event log with connections that stay open, named in ``dagster.yaml``; and what no storage deletes.

Generic: nothing here knows what the rest of this project is about.
"""

from prediction_assets.orchestration.event_storage.check_executions import delete_check_executions
from prediction_assets.orchestration.event_storage.storage import PooledSqliteEventLogStorage

__all__ = ["PooledSqliteEventLogStorage", "delete_check_executions"]
