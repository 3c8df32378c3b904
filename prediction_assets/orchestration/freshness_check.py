"""How old tonight's newest line and injury report are, as asset checks on these facts, evaluated with each ingestion.

A source that fails evaluates none: the alert and the health report don't wait for an ingestion.
"""

from datetime import timedelta

import dagster as dg

from prediction_assets.errors import without_markup
from prediction_assets.monitoring.freshness import FEEDS, ages
from prediction_assets.nba.tonight import read_tonight
from prediction_assets.settings import Settings
from prediction_assets.slate.deadlines import Clock, roster_hour
from prediction_assets.slate.keys import GAME_TIME_ZONE, slate_key
from prediction_assets.stores.protocols import Warehouse

IS_FRESH = "is_fresh"


def _check_of(facts: str) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=facts,
        name=IS_FRESH,
        description=f"The newest {FEEDS[facts]} of tonight isn't stale. Passes without games, before the roster, after "
        "the last tip-off, and where no source is set.",
    )
    def is_fresh(
        warehouse: dg.ResourceParam[Warehouse],
        settings: dg.ResourceParam[Settings],
        clock: dg.ResourceParam[Clock],
    ) -> dg.AssetCheckResult:
        now = clock.now()
        today = now.astimezone(GAME_TIME_ZONE).date()
        due = roster_hour(slate_key(today), settings.roster_cron, settings.time_zone)
        every = timedelta(minutes=settings.fetch_minutes)
        sourced = [facts] if settings.names(facts) else []
        found = ages(read_tonight(warehouse, today), sourced, due, every, now)
        return dg.AssetCheckResult(
            passed=not any(each.is_stale for each in found),
            severity=dg.AssetCheckSeverity.WARN,
            description=without_markup("; ".join(each.line for each in found))
            or "nothing is to be fresh now",
            metadata={
                name: value for each in found for name, value in each.evidence.items() if value is not None
            },
        )

    return is_fresh


CHECKS = [_check_of(facts) for facts in FEEDS]
