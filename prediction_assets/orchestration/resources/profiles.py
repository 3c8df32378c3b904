"""Which resources a profile stands for. The cloud clients are imported by the gcp profile only."""

from typing import Any

import dagster as dg

from prediction_assets.orchestration.resources.ports import (
    BasketballResource,
    LiveSourceResource,
    SettingsResource,
)
from prediction_assets.settings import Settings
from prediction_assets.stores.versions import VersionedStore


def build_resources(settings: Settings) -> dict[str, dg.ConfigurableResource]:
    """Return the resources of the settings' profile, keyed as the assets ask for them."""
    if settings.profile == "gcp":
        from prediction_assets.orchestration.resources.gcp import (
            gcp_resources,  # the cloud clients take seconds to import
        )

        stores = gcp_resources(settings)
    else:
        from prediction_assets.orchestration.resources.local import local_resources

        stores = local_resources(settings)
    return {
        **stores,
        "subject": BasketballResource(**_shared(settings, BasketballResource)),
        "live_source": LiveSourceResource(),
        "settings": SettingsResource(**_shared(settings, SettingsResource)),
    }


def _shared(settings: Settings, resource: type[dg.ConfigurableResource]) -> dict[str, Any]:
    """Return the settings that a resource has a field of the same name for."""
    return settings.model_dump(mode="json", include=set(resource.model_fields) & set(Settings.model_fields))


def versioned_stores(settings: Settings) -> list[VersionedStore]:
    """Return what of the settings' profile has a schema with a version."""
    if settings.profile == "gcp":
        from prediction_assets.orchestration.resources.gcp import gcp_stores

        return gcp_stores(settings)
    from prediction_assets.orchestration.resources.local import local_stores

    return local_stores(settings)
