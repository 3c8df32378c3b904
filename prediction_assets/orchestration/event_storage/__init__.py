"""Dagster's SQLite event log with connections that stay open, and the deletion of rows that Dagster leaves behind.

``dagster.yaml`` names the storage. Nothing here knows slates or predictions; Dagster's schema stays as it is.
https://docs.dagster.io/deployment/oss/dagster-yaml
"""

from prediction_assets.orchestration.event_storage.storage import (
    PooledSqliteEventLogStorage,
    delete_check_executions,
)

__all__ = ["PooledSqliteEventLogStorage", "delete_check_executions"]
