"""Dagster resources: the ports of the settings' profile, the settings themselves, and the clock.

An asset declares ``warehouse: dg.ResourceParam[Warehouse]`` and gets the port. Resources have no configuration of
their own: what differs between installations is a setting, so nobody can point a run's stores elsewhere from the UI.
https://docs.dagster.io/guides/build/external-resources
"""

import dagster as dg

from prediction_assets.settings import Settings
from prediction_assets.slate.deadlines import Clock
from prediction_assets.stores.profiles import STORES, open_stores


def slate_resources(settings: Settings) -> dict[str, object]:
    """Return the resources of a slate's own assets, by the key under which they receive them.

    A store is opened for each run and each tick that needs it, never when definitions are loaded.
    """
    return {**{name: _store(settings, name) for name in STORES}, "settings": settings, "clock": Clock()}


def build_resources(settings: Settings) -> dict[str, object]:
    """Return the resources of all assets and sensors, by the key under which they receive them.

    ``sources`` are those of the facts. The gcp profile adds ``bigquery``, dagster-gcp's resource for the same project,
    with which an asset of yours queries the predictions.
    """
    from prediction_assets.ingest.live.sources import Sources  # a command that carries a slate needs none

    resources = {**slate_resources(settings), "sources": Sources(settings, Clock())}
    if settings.profile == "gcp":
        from dagster_gcp import BigQueryResource  # Google's clients take seconds to import

        resources["bigquery"] = BigQueryResource(
            project=settings.gcp_project or "", location=settings.gcp_location
        )
    return resources


def _store(settings: Settings, name: str) -> dg.ResourceDefinition:
    return dg.ResourceDefinition(
        lambda _: getattr(open_stores(settings), name),
        config_schema={},  # otherwise a run's config for it would be accepted, and ignored
        description=f"The port `{name}` of profile `{settings.profile}`",
    )
