"""Dagster's SQLite event log with connections that stay open, named in ``dagster.yaml``.

Generic: nothing here knows what the rest of this project is about.
"""

from prediction_assets.event_storage.storage import PooledSqliteEventLogStorage

__all__ = ["PooledSqliteEventLogStorage"]
