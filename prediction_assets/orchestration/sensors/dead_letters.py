"""The dead letters sensor: it keeps the asset ``dead_letters`` up to date.

https://docs.dagster.io/guides/automate/sensors
"""

import hashlib
import json

import dagster as dg

from prediction_assets.orchestration.jobs import dead_letters_job
from prediction_assets.settings import Settings
from prediction_assets.stores.protocols import BatchState, DeadLetters


def dead_letters_sensor(settings: Settings) -> dg.SensorDefinition:
    """Return the sensor that requests the asset's materialization; its cursor is a digest of the open letters."""

    @dg.sensor(
        name="dead_letters_sensor",
        job=dead_letters_job,
        minimum_interval_seconds=settings.tick_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Requests `dead_letters` when a player's letter was opened, grew or was closed.",
    )
    def evaluate(
        context: dg.SensorEvaluationContext,
        batch_state: dg.ResourceParam[BatchState],
        dead_letters: dg.ResourceParam[DeadLetters],
    ) -> dg.SensorResult:
        letters = dead_letters.letters()
        named = [[letter.slate, letter.player_slug, len(letter.failures)] for letter in letters]
        digest = hashlib.sha256(json.dumps(named).encode()).hexdigest()[:16] if named else ""
        if digest == (context.cursor or ""):
            return dg.SensorResult(skip_reason=f"{len(letters)} letters open, as before")
        # No run key: the same letters can be open again after they were closed.
        return dg.SensorResult(run_requests=[dg.RunRequest()], cursor=digest)

    return evaluate
