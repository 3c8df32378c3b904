"""The code location's definitions, put together from the modules of this folder.

``build_defs`` returns fresh definitions and takes overrides, so that a test or the command line replaces one
part and nothing else. Nothing is read from the environment here.
https://docs.dagster.io/guides/build/projects-and-components
"""

from collections.abc import Mapping

import dagster as dg

from prediction_assets import __version__
from prediction_assets.orchestration import freshness_check
from prediction_assets.orchestration.assets.dead_letters import dead_letters
from prediction_assets.orchestration.assets.facts import game_logs, injury_reports, prop_lines, schedule
from prediction_assets.orchestration.assets.points_model import points_model
from prediction_assets.orchestration.assets.prediction_grades import prediction_grades
from prediction_assets.orchestration.fact_schedules import daily_facts, tonights_facts
from prediction_assets.orchestration.following_check import follows_its_facts
from prediction_assets.orchestration.jobs import JOBS
from prediction_assets.orchestration.morning_check import morning_check
from prediction_assets.orchestration.pruning import prune_job
from prediction_assets.orchestration.resources import build_resources
from prediction_assets.orchestration.schedules import schedules
from prediction_assets.orchestration.sensors.alerts import alert_sensors
from prediction_assets.orchestration.sensors.automation import (
    completion_sensor,
    consolidation_sensor,
    staging_sensor,
)
from prediction_assets.orchestration.sensors.dead_letters import dead_letters_sensor
from prediction_assets.orchestration.sensors.gaps import gap_sensor
from prediction_assets.orchestration.sensors.grading import grading_sensor
from prediction_assets.orchestration.sensors.refresh import refresh_sensor
from prediction_assets.orchestration.sensors.telemetry import telemetry_sensors
from prediction_assets.orchestration.slate_defs import SLATE_ASSETS, for_profile
from prediction_assets.settings import Settings

ASSETS = [
    game_logs,
    schedule,
    prop_lines,
    injury_reports,
    points_model,
    *SLATE_ASSETS,
    dead_letters,
    prediction_grades,
]


def build_defs(settings: Settings, resources: Mapping[str, object] | None = None) -> dg.Definitions:
    """Return the code location's definitions."""
    return dg.Definitions(
        assets=[for_profile(asset, settings) for asset in ASSETS],
        asset_checks=[morning_check, follows_its_facts, *freshness_check.CHECKS],
        jobs=[*JOBS, prune_job],
        schedules=[daily_facts(settings), tonights_facts(settings), *schedules(settings)],
        sensors=[
            staging_sensor(settings),
            consolidation_sensor(settings),
            completion_sensor(settings),
            refresh_sensor(settings),
            gap_sensor(settings),
            dead_letters_sensor(settings),
            grading_sensor(settings),
            *alert_sensors(settings),
            *telemetry_sensors(settings),
        ],
        resources={**build_resources(settings), **(resources or {})},
        # Steps are short and few: a process per step would spend its time importing.
        executor=dg.in_process_executor,
        metadata={"version": __version__, "profile": settings.profile},
    )
