"""The Dagster instance: a folder in the home with the packaged ``dagster.yaml``, or a deployment's.

Both shipped instances name :class:`LoggedInstance`, because the daemon opens the instance and never imports
the code location.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._config import UserConfigSchema
from dagster._core.instance.ref import InstanceRef
from dagster._serdes import ConfigurableClassData

from prediction_assets.errors import BadInput, StateUnreadable
from prediction_assets.logs import configure_logging
from prediction_assets.orchestration.instance_config import packaged_text, renew
from prediction_assets.orchestration.run_tags import labels_of
from prediction_assets.settings import Settings, load_log_settings
from prediction_assets.stores.local.locks import locked
from prediction_assets.stores.local.state_file import opened_to_look
from prediction_assets.stores.profiles import make_home

_POSTGRES = {"statement_timeout": 300_000, "pool_recycle": 3600, "max_overflow": 20}
"""Milliseconds that a statement may take, seconds that a connection may live, connections at once beyond the first."""

_NO_CAPTURE: dict[str, Any] = {
    "compute_logs": {
        "module": "dagster._core.storage.noop_compute_log_manager",
        "class": "NoOpComputeLogManager",
    }
}


class LoggedInstance(dg.DagsterInstance):
    """A Dagster instance with logging configured, open connections to PostgreSQL and a guarded webserver.

    What ``dagster.yaml`` names as ``instance_class``: also the daemon's and the UI's process has it. Dagster keeps
    connections open in its webserver only; elsewhere each event of each player would open two. SQLite knows
    nothing of it.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        configure_logging(load_log_settings(), labels_of)
        super().__init__(*args, **kwargs)
        super().optimize_for_webserver(**_POSTGRES)

    def optimize_for_webserver(self, *args: Any, **kwargs: Any) -> None:
        """Guard this process's webserver against pages of other sites.

        Dagster's webserver alone calls it, and builds its app afterwards.
        """
        # Webserver and its libraries take a second to import, and no other process needs them.
        from prediction_assets.orchestration.webserver import guard_webserver

        guard_webserver()
        super().optimize_for_webserver(*args, **kwargs)

    @classmethod
    def config_schema(cls) -> UserConfigSchema:
        return {}

    @classmethod
    def config_defaults(cls, base_dir: str) -> Mapping[str, ConfigurableClassData | None]:
        return InstanceRef.config_defaults(base_dir)


def prepare_home(settings: Settings) -> Path:
    """Create the home and the Dagster instance's folder; a ``dagster.yaml`` that is there stays as it is.

    Raises:
        BadInput: the home can't be written, or a deployment's instance isn't there.
    """
    folder = settings.instance_folder
    config = folder / "dagster.yaml"
    make_home(settings)
    if settings.owns_instance:
        folder.mkdir(exist_ok=True)
        if not config.exists():
            renew(config, packaged_text())
    if not config.exists():
        raise BadInput(
            config,
            "not there",
            hint="DAGSTER_HOME must be the folder of a Dagster instance; unset it to use the home's own",
        )
    return folder


@contextmanager
def open_instance(settings: Settings, *, capture_output: bool = True) -> Iterator[dg.DagsterInstance]:
    """Open the installation's Dagster instance.

    Args:
        capture_output: let Dagster keep what runs of this process print, and know what it kept of others. Without
            that it starts no processes to mirror it; the lines that are logged are in the event log either way.
    """
    folder = prepare_home(settings)
    ref = InstanceRef.from_dir(str(folder), overrides={} if capture_output else _NO_CAPTURE)
    with _opened(ref, folder, settings) as instance:
        yield instance


def _opened(ref: InstanceRef, folder: Path, settings: Settings) -> dg.DagsterInstance:
    """Open the instance, one process at a time: opening a new one creates its databases.

    Two processes that created one at once would leave two heads in its ``alembic_version``, and nothing could open it
    any more (dagster-io/dagster issue 27390).

    Raises:
        StateUnreadable: a database of the instance is damaged; the message names the file to move away.
    """
    if not settings.owns_instance:
        return dg.DagsterInstance.from_ref(ref)
    with locked(folder / ".opening.lock", exclusive=True, timeout_seconds=settings.call_timeout):
        for path, why in _broken_databases(folder):
            raise StateUnreadable(
                f"{path}: {why}; stop every process of this home, move the file away (it holds "
                f"{_DATABASES[path.name]}), and run this again. Facts, outcomes and predictions are in other files"
            )
        return dg.DagsterInstance.from_ref(ref)


_DATABASES = {
    "runs.db": "the list of runs",
    "index.db": "the index of runs' events and the partition keys",
    "schedules.db": "the ticks of schedules and sensors",
}
"""What the files hold in which Dagster's SQLite instance creates tables."""


def _broken_databases(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield the instance's databases that can't be read or have several versions, and why."""
    for path in sorted(folder.rglob("*.db")):
        if path.name not in _DATABASES:
            continue
        try:
            with opened_to_look(path) as connection:
                there = connection.execute(
                    "SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'"
                ).fetchall()
                # Without the table, its creation was cut off: Dagster completes it.
                versions = connection.execute("SELECT * FROM alembic_version").fetchall() if there else []
        except sqlite3.DatabaseError as error:
            yield path, str(error)
        else:
            if len(versions) > 1:
                yield (
                    path,
                    f"{len(versions)} versions in alembic_version, as two processes leave that create it at once",
                )


def outdated_storages(instance: dg.DagsterInstance) -> list[str]:
    """Return which of Dagster's own storages have an older schema than the installed Dagster's."""
    storages = {
        "runs": instance.run_storage,
        "event log": instance.event_log_storage,
        "schedules": instance.schedule_storage,
    }
    behind = []
    for name, storage in storages.items():
        version = storage.alembic_version() if storage is not None else None
        if version is not None and version[0] != version[1]:
            behind.append(f"{name} ({version[0]}, current is {version[1]})")
    return behind
