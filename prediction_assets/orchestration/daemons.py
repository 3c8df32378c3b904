"""When each of Dagster's daemons sent its last heartbeat."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dagster import DagsterInstance
    from dagster._daemon.types import DaemonHeartbeat


def unhealthy_daemons(instance: DagsterInstance) -> dict[str, datetime]:
    """Return the last heartbeat of each daemon that Dagster itself counts as unhealthy.

    A daemon that never ran here is left out: an installation may do without it.
    """
    return {
        name: _at(status.last_heartbeat)
        for name, status in instance.get_daemon_statuses().items()
        if status.required and not status.healthy and status.last_heartbeat is not None
    }


def last_heard(instance: DagsterInstance) -> datetime | None:
    """Return the newest heartbeat of all daemons, None when none ever ran here."""
    return max(map(_at, instance.get_daemon_heartbeats().values()), default=None)


def _at(heartbeat: DaemonHeartbeat) -> datetime:
    return datetime.fromtimestamp(heartbeat.timestamp, UTC)
