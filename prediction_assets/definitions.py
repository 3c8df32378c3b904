"""The code location: what Dagster loads. The environment is read when it does, not when this is imported."""

import logging

import dagster as dg

from prediction_assets import __version__
from prediction_assets.logs import configure_logging
from prediction_assets.monitoring.destinations import unusable
from prediction_assets.orchestration.build import build_defs
from prediction_assets.orchestration.run_tags import labels_of
from prediction_assets.settings import load_log_settings, load_settings

_logger = logging.getLogger(__name__)


@dg.definitions
def defs() -> dg.Definitions:
    """Configure logging for the code server or run worker, and return the definitions for its settings."""
    configure_logging(load_log_settings(), labels_of)
    settings = load_settings()
    _logger.info(
        "code location prediction_assets %s: profile %s, home %s",
        __version__,
        settings.profile,
        settings.home,
    )
    for problem in unusable(settings):  # slates go on, and alerts go to the other destinations
        _logger.error("%s", problem)
    return build_defs(settings)
