"""Dagster's SQLite event log with connections that stay open, and the deletion of rows that Dagster leaves behind.

``dagster.yaml`` names the storage. Nothing here knows slates or predictions; Dagster's schema stays as it is.
https://docs.dagster.io/deployment/oss/dagster-yaml
"""

from prediction_assets.orchestration.event_storage.check_executions import delete_check_executions
from prediction_assets.orchestration.event_storage.storage import PooledSqliteEventLogStorage

__all__ = ["PooledSqliteEventLogStorage", "delete_check_executions"]
