"""The refresh sensor: it requests the staging of exactly the players whose facts changed, until their tip-offs.

It waits a short while for more changes, so that one ingestion, or several in a row, give one revision, and longer after
each revision of the last hour. Its cursor says what it has looked at: a tick without a change reads the facts' version
and nothing else; a change that is none of the slate's reads three queries; only a change of the slate's own facts reads
its players' outcomes, once per look. https://docs.dagster.io/guides/automate/sensors
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, timedelta

import dagster as dg

from prediction_assets.errors import TransientError
from prediction_assets.nba.slate_facts import read_slate_facts
from prediction_assets.orchestration.jobs import features_job, roster_job, staging_job
from prediction_assets.orchestration.run_tags import BATCH_TAG
from prediction_assets.orchestration.sensors.needs import SlateNeeds
from prediction_assets.orchestration.sensors.requests import (
    RunNeed,
    Skipped,
    impatient,
    sensor_result,
    slate_by_slate,
)
from prediction_assets.settings import Settings
from prediction_assets.slate.batch import Progress
from prediction_assets.slate.deadlines import Clock
from prediction_assets.slate.keys import GAME_TIME_ZONE, parse_slate
from prediction_assets.steps.refresh import ROSTER_FACTS, Refresh, changed_since, read_refresh
from prediction_assets.stores.protocols import BatchState, Warehouse

LONGEST_QUIET = 6
"""Changes that keep coming are waited for so many quiet periods at most."""

PAUSE_PER_REVISION = timedelta(seconds=50)
"""Pause after a revision, for each that this sensor led to within the last hour: about 12 fit in an hour."""

LOOK_AGAIN = timedelta(minutes=30)
"""So long after its last look the sensor looks without a change: a run may have recorded what it read long ago."""

_logger = logging.getLogger(__name__)

_HOUR = timedelta(hours=1)

_NAMED = 5


@dataclass
class Watch:
    """What the sensor knows about one slate. Moments are seconds since 1970, 0 for never."""

    version: int = -1  # the newest version of the facts that was seen
    changed: float = 0  # when it was first seen
    # when the first change was seen that no look followed yet, 0 if a look followed all of them
    since: float = 0
    # of the slate's facts at the last look that found nobody to stage again, '' before one did
    digest: str = ""
    league: str = ""  # the slate's, at that look
    agreed: int = 0  # the version of the facts at that look
    looked: float = 0  # when the outcomes were compared last, and nobody had to be
    revisions: list[float] = field(default_factory=list)  # when runs were requested within the last hour

    def see(self, version: int, now: float) -> None:
        self.revisions = [moment for moment in self.revisions if now - moment < _HOUR.total_seconds()]
        if version != self.version:
            self.version, self.changed = version, now
            self.since = self.since or now
        elif not self.since and now - self.looked >= LOOK_AGAIN.total_seconds():
            self.since, self.digest = now, ""

    def why_wait(self, quiet: int, now: float) -> str | None:
        """Return why no look follows now, None if one does."""
        if not self.since:
            return f"follows the facts of version {self.version}"
        if now - self.changed < quiet and now - self.since < quiet * LONGEST_QUIET:
            return "waits for more changes"
        pause = len(self.revisions) * PAUSE_PER_REVISION.total_seconds()
        if self.revisions and now - self.revisions[-1] < pause:
            return (
                f"waits until {pause:.0f} s after the last of {len(self.revisions)} revisions within an hour"
            )
        return None

    def agree(self, league: str, digest: str) -> None:
        """Note that nobody has to be staged again."""
        self.league, self.digest, self.agreed, self.since = league, digest, self.version, 0


def refresh_sensor(settings: Settings) -> dg.SensorDefinition:
    @dg.sensor(
        name="refresh_sensor",
        jobs=[roster_job, features_job, staging_job],
        minimum_interval_seconds=settings.tick_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Until tip-off: requests the staging of exactly the players whose line, injury, game or game log "
        "changed since they were staged, after a quiet period and with a growing pause between revisions. Corrected "
        "game logs get their features first, a new player or another game its roster. refresh_quiet_seconds: 0 "
        "switches it off.",
    )
    def evaluate(
        context: dg.SensorEvaluationContext,
        warehouse: dg.ResourceParam[Warehouse],
        batch_state: dg.ResourceParam[BatchState],
        clock: dg.ResourceParam[Clock],
    ) -> dg.SensorResult:
        if not settings.refresh_quiet_seconds:
            return dg.SensorResult(
                skip_reason="refresh_quiet_seconds is 0: predictions don't follow their facts"
            )
        watches = {slate: Watch(**kept) for slate, kept in json.loads(context.cursor or "{}").items()}
        needs = SlateNeeds(context.instance, settings, clock.now(), warehouse.snapshots)
        refreshes = Refreshes(needs, impatient(warehouse), batch_state, watches)
        try:
            result = sensor_result(slate_by_slate(refreshes.open_slates(), refreshes.requests))
        except TransientError as error:
            result = dg.SensorResult(skip_reason=str(error))
        kept = {slate: asdict(watch) for slate, watch in refreshes.watches.items()}
        return dg.SensorResult(
            run_requests=result.run_requests, skip_reason=result.skip_reason, cursor=json.dumps(kept)
        )

    return evaluate


class Refreshes:
    """Finds what the slates whose games are still to come need in one tick.

    Attributes:
        watches: what is known of each slate, by its key; changed by the tick.
    """

    def __init__(
        self, needs: SlateNeeds, warehouse: Warehouse, state: BatchState, watches: dict[str, Watch]
    ) -> None:
        self._needs = needs
        self._warehouse = warehouse
        self._state = state
        self.watches = watches

    def open_slates(self) -> list[str]:
        """Return the opened slates of today and later; what is known of others is forgotten."""
        today = self._needs.now.astimezone(GAME_TIME_ZONE).date()
        found = [slate for slate in self._needs.recent_slates(self._state) if parse_slate(slate) >= today]
        self.watches = {slate: self.watches.get(slate, Watch()) for slate in found}
        return found

    def requests(self, slate: str) -> Iterator[dg.RunRequest | Skipped]:
        """Yield the requests of what a slate needs, or why there are none."""
        watch, now = self.watches[slate], self._needs.now.astimezone(UTC).timestamp()
        watch.see(self._warehouse.facts_version(), now)
        waits = watch.why_wait(self._needs.settings.refresh_quiet_seconds, now) or self._busy(slate)
        if waits:
            yield Skipped(f"{slate}: {waits}")
            return
        found = list(self._look(slate, watch, now))
        if any(isinstance(each, dg.RunRequest) and each.job_name != features_job.name for each in found):
            watch.revisions.append(now)  # features alone lead to none
        yield from found

    def _busy(self, slate: str) -> str:
        """Return which run of the slate's roster, features or staging is in progress, ``""`` if none is."""
        before = {roster_job.name, features_job.name, staging_job.name}
        stages = before & self._needs.pending.get(slate, set())
        return f"a run of {min(stages)} is in progress" if stages else ""

    def _look(self, slate: str, watch: Watch, now: float) -> Iterator[dg.RunRequest | Skipped]:
        as_it_is = Skipped(f"{slate}: follows the facts of version {watch.version}")
        if self._is_unchanged(slate, watch):
            watch.agree(watch.league, watch.digest)
            yield as_it_is
            return
        progress = self._state.progress(slate)
        if progress is None or (progress.unsettled and self._needs.now < progress.batch.deadline):
            yield Skipped(f"{slate}: its players are staged first")
            return
        facts = read_slate_facts(self._warehouse, slate, progress.batch.league, self._needs.settings.markets)
        found = read_refresh(
            progress,
            self._warehouse,
            self._needs.now,
            facts=facts,
            roster_since=watch.agreed if watch.digest else None,
            markets=self._needs.settings.markets,
        )
        if found.late:
            yield Skipped(f"{slate}: too late for {_listed(found.late)}: their rows stay")
        if found.is_needed:
            yield from self._requests_of(progress, found, watch.version)
        else:
            watch.agree(progress.batch.league, facts.digest())
            watch.looked = now
            yield as_it_is

    def _is_unchanged(self, slate: str, watch: Watch) -> bool:
        """Return whether only other facts changed, such as another slate's. Batch state isn't read for it."""
        if not watch.digest or changed_since(self._warehouse, watch.agreed) & ROSTER_FACTS:
            return False
        facts = read_slate_facts(self._warehouse, slate, watch.league, self._needs.settings.markets)
        return facts.digest() == watch.digest

    def _requests_of(
        self, progress: Progress, found: Refresh, version: int
    ) -> Iterator[dg.RunRequest | Skipped]:
        slate, batch_id = progress.batch.slate, progress.batch.batch_id
        name, tags = f"{batch_id}:{version}", {BATCH_TAG: batch_id}
        if found.needs_roster:
            config = {"ops": {"slate_roster": {"config": {"slate": slate, "reopen": True}}}}
            need = RunNeed(f"refresh:roster:{name}", roster_job.name, slate, tags=tags, run_config=config)
            requested = self._needs.request(need)
            yield requested
            if not (isinstance(requested, Skipped) and requested.is_exhausted):
                return
        if found.needs_features:
            need = RunNeed(f"refresh:features:{name}", features_job.name, slate, slate, tags)
            yield self._needs.request(need)
        elif found.due:
            _logger.info(
                "slate %s: %d players are staged again: %s", slate, len(found.due), _listed(found.due),
                extra={"slate": slate, "batch": batch_id},
            )  # fmt: skip
            staging = self._needs.staging(progress, found.due, f"refresh:{name}", until_tip_off=True)
            yield from map(self._needs.request, staging)


def _listed(players: Mapping[str, Sequence[str]]) -> str:
    shown = [f"{slug} ({', '.join(why)})" for slug, why in players.items()][:_NAMED]
    return "; ".join(shown) + (f" and {len(players) - _NAMED} others" if len(players) > _NAMED else "")
