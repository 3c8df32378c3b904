"""The Dagster instance: a folder in the home with the packaged ``dagster.yaml``, or a deployment's.

Both shipped instances name :class:`LoggedInstance`, because the daemon opens the instance and never imports
the code location.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._config import UserConfigSchema
from dagster._core.instance.ref import InstanceRef
from dagster._serdes import ConfigurableClassData

from prediction_assets.errors import BadInput
from prediction_assets.logs import configure_logging
from prediction_assets.orchestration.instance_config import packaged_text, renew
from prediction_assets.orchestration.run_tags import labels_of
from prediction_assets.settings import Settings, load_log_settings
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
        """Return the keys of ``dagster.yaml`` that are this class's own: none."""
        return {}

    @classmethod
    def config_defaults(cls, base_dir: str) -> Mapping[str, ConfigurableClassData | None]:
        """Return Dagster's defaults for keys that ``dagster.yaml`` omits."""
        return InstanceRef.config_defaults(base_dir)


def prepare_home(settings: Settings) -> Path:
    """Create the home and the Dagster instance's folder; a ``dagster.yaml`` that is there stays as it is.

    Returns:
        the instance's folder.

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
        settings: say where it is.
        capture_output: let Dagster keep what runs of this process print, and know what it kept of others. Without
            that it starts no processes to mirror it; the lines that are logged are in the event log either way.
    """
    ref = InstanceRef.from_dir(str(prepare_home(settings)), overrides={} if capture_output else _NO_CAPTURE)
    with dg.DagsterInstance.from_ref(ref) as instance:
        yield instance


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
