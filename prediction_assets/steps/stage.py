"""Stage: forecast a slate's players, write each player's part, and record how each ended.

A player's outcome is recorded after his part, or his dead letter, is durable and the caller has stored his event. If
the process is killed before that, he is staged again; nobody is settled without an event. If it was paused and another
run staged the player meanwhile, the fences say that the other's outcome counts, and this run drops its own part.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import tenacity

from prediction_assets.errors import (
    BatchConflict,
    CircuitOpen,
    PartOverdue,
    PredictionAssetsError,
    TransientError,
)
from prediction_assets.nba.forecast import pinned_model, with_newcomers
from prediction_assets.nba.forecasting.lines import MarketLine
from prediction_assets.nba.forecasting.predictions import NO_FURTHER, predict_slate
from prediction_assets.nba.forecasting.stats import predictable
from prediction_assets.nba.model_store import slate_systems
from prediction_assets.nba.sides import slate_sides
from prediction_assets.nba.skip_rules import reasons_to_skip
from prediction_assets.nba.slate_facts import feature_digests, read_slate_facts
from prediction_assets.settings import Settings
from prediction_assets.slate.basis import Basis
from prediction_assets.slate.batch import Batch, ExpectedPlayer, Progress
from prediction_assets.slate.dead_letter import Closing, Failure, replay_payload, traceback_digest
from prediction_assets.slate.deadlines import Clock
from prediction_assets.slate.keys import parse_slate
from prediction_assets.slate.outcome import Outcome, PartRef, PlayerOutcome
from prediction_assets.slate.staged_rows import part_rows
from prediction_assets.steps.claim import claim_fence
from prediction_assets.steps.cleanup import drop_orphans
from prediction_assets.steps.failpoints import reached
from prediction_assets.steps.worker_pool import CircuitBreaker, Overdue, bisect_failures, fan_out
from prediction_assets.stores.protocols import BatchState, DeadLetters, Parts, Warehouse, open_progress
from prediction_assets.stores.sql.tables import PART_SCHEMA

# OSError, because a network disk answers again and another process makes room. On a disk that stays full, or without
# a permission, three attempts cost a second, the circuit breaker ends them for the slate, and dead letters name it.
TRANSIENT_ERRORS = (OSError, TransientError)
"""Transient errors: the write is retried."""

PART_ATTEMPTS = 3
"""Attempts at writing a part before its player counts as failed."""

PART_CALLS = 2
"""Writing a player's part, with all attempts, may take as long as so many calls (``call_timeout``)."""

LONGEST_MESSAGE = 500
"""Characters of an error's text that a dead letter keeps."""

_NAMED = 10
"""Players that a warning names."""

_logger = logging.getLogger(__name__)


def begin_staging(
    slate: str,
    slugs: Sequence[str],
    warehouse: Warehouse,
    state: BatchState,
    dead_letters: DeadLetters,
    settings: Settings,
    clock: Clock,
    *,
    run_id: str,
    until_tip_off: bool = False,
) -> Staging:
    """Return the staging of these players: all are forecast or skipped, and no part is written yet.

    Args:
        until_tip_off: leave out the players whose games have begun.

    Raises:
        BatchConflict: a slug is not an expected player's.
        PredictionAssetsError: no features are pinned for the slate, or their model is gone.
        SnapshotUnreadable: the features can't be read, or not the past games that the systems are fitted on.
    """
    # In this order: what is read after the claim is as new as the fence says, or newer.
    fence = claim_fence(slate, warehouse, state)
    with warehouse.reading():
        facts_version = warehouse.facts_version()
        progress = open_progress(state, slate, only=slugs)
        players = progress.batch.players(slugs)
        facts = read_slate_facts(warehouse, slate, progress.batch.league, settings.markets)
    if progress.feature_snapshot is not None:  # the features are from when they were pinned
        facts_version = min(facts_version, progress.features_version)
    if until_tip_off:
        begun = {slug for slug, each in facts.bases(players, {}).items() if each.begins_by(clock.now())}
        players = [player for player in players if player.slug not in begun]
        _report_begun(progress.batch, begun)
    parts, errors, features = forecast_parts(
        warehouse, progress, players, facts.lines, settings, clock, facts.further, injuries=facts.injuries
    )
    skipped = reasons_to_skip(
        players, games=facts.games, injuries=facts.injuries, with_features=parts.keys() | errors.keys()
    )
    return Staging(
        progress,
        players,
        parts,
        errors,
        skipped,
        run_id,
        fence,
        facts_version,
        warehouse.parts,
        state,
        dead_letters,
        settings,
        clock,
        facts.bases(players, features),
    )


def _report_begun(batch: Batch, begun: Collection[str]) -> None:
    if begun:
        _logger.warning(
            "slate %s: %d players are not staged again, because their games have begun: %s",
            batch.slate, len(begun), ", ".join(sorted(begun)[:_NAMED]),
            extra={"slate": batch.slate, "batch": batch.batch_id},
        )  # fmt: skip


def forecast_parts(
    warehouse: Warehouse,
    progress: Progress,
    players: Sequence[ExpectedPlayer],
    lines: Mapping[int, MarketLine],
    settings: Settings,
    clock: Clock,
    further: Mapping[str, Mapping[int, MarketLine]] = NO_FURTHER,
    *,
    injuries: Iterable[Mapping[str, Any]] = (),
) -> tuple[dict[str, pa.Table], dict[str, Exception], dict[int, tuple[str, str]]]:
    """Return each forecast player's rows, the error of each player who could not be forecast, and their features.

    Rows and errors are by slug, the digests of the features and their model by player id.

    A market is forecast if the slate's features were made for it, too. A player with neither features nor a line is in
    neither. All players are forecast together; if that fails, in smaller and smaller groups, so that one player's odd
    facts cost no other player his rows.

    Raises:
        PredictionAssetsError: no features are pinned, or their model is gone.
        SnapshotUnreadable: the features can't be read, or not the past games that the systems are fitted on.
    """
    batch = progress.batch
    if progress.feature_snapshot is None:
        raise PredictionAssetsError(
            f"slate {batch.slate}: no features are pinned; materialize player_features for it first"
        )
    snapshot_id, day = progress.feature_snapshot, parse_slate(batch.slate)
    known = warehouse.snapshots.players(batch.slate, snapshot_id, [p.player_id for p in players])
    if known.num_rows < len(players):  # a newcomer's model is that of the others
        known = warehouse.snapshots.players(batch.slate, snapshot_id)
    features = with_newcomers(known, players, lines, day)
    pinned = pinned_model(warehouse, known)
    markets = {name: further[name] for name in predictable(further, known)}
    sides = slate_sides(warehouse, batch.league, day, injuries)
    # Before anybody is forecast: that a history can't be read, or nothing be fitted on it, is no player's own failure.
    fitted = pinned or slate_systems(warehouse, batch.league, day, snapshot_id, now=clock.now())

    def forecast(group: Sequence[ExpectedPlayer]) -> dict[str, pa.Table]:
        ids = pa.array([player.player_id for player in group], pa.int64())
        rows = predict_slate(
            features.filter(pc.is_in(features["player_id"], ids)),
            fitted,
            lines,
            least_value=settings.least_expected_value,
            market_aware=settings.market_aware,
            further=markets,
            sides=sides,
        )
        return part_rows(rows, batch, snapshot_id, PART_SCHEMA)

    forecasts, failed = bisect_failures(players, forecast, fatal=TRANSIENT_ERRORS)
    if failed:
        _logger.warning(
            "slate %s: %d of %d players can't be forecast, first %s: %s",
            batch.slate, len(failed), len(players), failed[0][0].slug, failed[0][1],
            extra={"slate": batch.slate, "batch": batch.batch_id},
        )  # fmt: skip
    parts = {slug: rows for group in forecasts for slug, rows in group.items()}
    return parts, {player.slug: error for player, error in failed}, feature_digests(known)


@dataclass
class Staging:
    """One run's work on its players: threads settle them, and outcomes are recorded when their events are stored."""

    progress: Progress  # the batch as it stood when the run began, with the outcomes of its players
    players: Sequence[ExpectedPlayer]
    parts: Mapping[str, pa.Table]  # the rows of each forecast player, by slug
    errors: Mapping[str, Exception]  # why a player could not be forecast, by slug
    skipped: Mapping[str, str]  # why a player isn't predicted, by slug
    run_id: str
    fence: int  # what the run claimed before it read anything
    facts_version: int  # the version of the facts after the claim
    staging_area: Parts  # where parts are written
    state: BatchState
    dead_letters: DeadLetters
    settings: Settings
    clock: Clock
    # the facts that each player's outcome is made from, by slug
    bases: Mapping[str, Basis] = field(default_factory=dict)
    # stops the attempts when most players failed with the same error
    circuit: CircuitBreaker = field(init=False)
    # outcomes that `record` has still to record
    unrecorded: list[PlayerOutcome] = field(default_factory=list)
    settled: list[PlayerOutcome] = field(default_factory=list)  # outcomes that are recorded

    def __post_init__(self) -> None:
        self.circuit = CircuitBreaker(len(self.players))

    @property
    def slate(self) -> str:
        return self.progress.batch.slate

    @property
    def failed(self) -> list[PlayerOutcome]:
        """The recorded failures, sorted by slug."""
        found = [done for done in self.settled if done.outcome is Outcome.FAILED]
        return sorted(found, key=lambda done: done.player_slug)

    def outcomes(
        self, *, idle_seconds: float = math.inf, on_idle: Callable[[], None] = lambda: None
    ) -> Iterator[PlayerOutcome]:
        """Settle every player and yield his outcome, which is not recorded yet.

        Args:
            idle_seconds: ``on_idle`` is called each time that no player settled for so long.
        """
        for player, done in fan_out(
            self.players,
            self._settle,
            threads=self.settings.staging_threads,
            timeout_seconds=PART_CALLS * self.settings.call_timeout,
            idle_seconds=idle_seconds,
            on_idle=on_idle,
            on_late=self._drop_late_part,
        ):
            if isinstance(done, Overdue):
                done = self._fail(player, PartOverdue(f"not written within {done.seconds:g} s"), 1)
            self.unrecorded.append(done)
            yield done

    def record(self) -> None:
        """Record the outcomes so far in batch state; call it when their events are stored."""
        reached("events_stored")
        self.staging_area.flush(self.slate)
        self.state.record(self.unrecorded)
        reached("outcome_recorded")
        for done in self.unrecorded:
            _logger.debug(
                "slate %s: %s %s%s", self.slate, done.player_slug, done.outcome.value,
                f": {done.reason}" if done.reason else "",
                extra={"slate": self.slate, "player": done.player_slug, "batch": self.progress.batch.batch_id},
            )  # fmt: skip
        self.settled.extend(self.unrecorded)
        self.unrecorded.clear()

    def finish(self) -> None:
        """Drop the players' parts that no MERGE will take, and close the failures that a newer run made up for.

        Raises:
            BatchConflict: the slate was reopened meanwhile. An outcome counts if it was recorded before that and its
                player stayed the same; the others have to be staged again.
        """
        staged = self.staging_area.staged(self.slate)
        mine = {player.slug for player in self.players}
        now = open_progress(self.state, self.slate, only=mine)
        self._refuse_if_reopened(now)
        drop_orphans(now, mine, staged, self.staging_area)
        self._close_overtaken_failures(now)
        count = {kind: sum(done.outcome is kind for done in self.settled) for kind in Outcome}
        _logger.info(
            "slate %s: %d of %d players staged, %d skipped, %d failed",
            self.slate, count[Outcome.STAGED], len(self.players), count[Outcome.SKIPPED], count[Outcome.FAILED],
            extra={"slate": self.slate, "batch": self.progress.batch.batch_id},
        )  # fmt: skip

    def _refuse_if_reopened(self, now: Progress) -> None:
        if now.batch.batch_id == self.progress.batch.batch_id:
            return
        counts = {slug: done.fence for slug, done in now.outcomes.items()}
        lost = [done for done in self.settled if counts.get(done.player_slug, 0) < self.fence]
        unneeded = [(done.player_slug, done.part.part_id) for done in lost if done.part is not None]
        list(self.staging_area.drop(self.slate, unneeded))
        if lost:
            raise BatchConflict(
                f"slate {self.slate}: it was reopened while this run staged, so the outcomes of {len(lost)} of "
                f"{len(self.settled)} players, first {lost[0].player_slug}, don't count. The sensors stage again the "
                f"players who are expected now, and so does `prediction-assets run --slate {self.slate}`"
            )

    def _settle(self, player: ExpectedPlayer) -> PlayerOutcome:
        if player.slug in self.skipped:
            return self._outcome(player, Outcome.SKIPPED, reason=self.skipped[player.slug])
        if player.slug in self.errors:
            return self._fail(player, self.errors[player.slug], 1)
        if self.circuit.tripped_by is not None:
            not_tried = CircuitOpen("not tried: most players of this run failed with the same error")
            return self._fail(player, not_tried, 0, self.circuit.tripped_by)
        write = self._retrying()
        try:
            part = write(
                self.staging_area.write, self.slate, player.slug, self.parts[player.slug], self.fence
            )
        except Exception as error:  # noqa: BLE001  one player's failure is his outcome, not the slate's
            return self._fail(player, error, write.statistics.get("attempt_number", 1))
        reached("part_written")
        return self._outcome(player, Outcome.STAGED, part=part)

    def _retrying(self) -> tenacity.Retrying:
        """Return a caller that retries transient errors, with growing pauses, until the circuit breaker trips."""
        return tenacity.Retrying(
            stop=tenacity.stop_after_attempt(PART_ATTEMPTS),
            wait=tenacity.wait_exponential_jitter(multiplier=0.1, max=5.0),
            retry=tenacity.retry_if_exception(
                lambda error: isinstance(error, TRANSIENT_ERRORS) and self.circuit.tripped_by is None
            ),
            reraise=True,
        )

    def _fail(
        self, player: ExpectedPlayer, error: Exception, attempts: int, digest: str | None = None
    ) -> PlayerOutcome:
        """Write a player's dead letter, and return his outcome."""
        failure = Failure(
            slate=self.slate,
            player_slug=player.slug,
            run_id=self.run_id,
            error_class=type(error).__name__,
            message=" ".join(str(error).split())[:LONGEST_MESSAGE],
            traceback_digest=digest or traceback_digest(error),
            attempts=attempts,
            fence=self.fence,
            failed_at=self.clock.now(),
            payload=replay_payload(self.progress, player),
        )
        self.circuit.failed(failure.traceback_digest)
        # Before the outcome: if the process is killed in between, he is staged again. He never fails without a letter.
        self.dead_letters.add([failure])
        reached("dead_letter_written")
        reason = f"{failure.error_class}: {failure.message} ({attempts} attempts)"
        return self._outcome(player, Outcome.FAILED, reason=reason, at=failure.failed_at)

    def _outcome(
        self,
        player: ExpectedPlayer,
        kind: Outcome,
        *,
        reason: str = "",
        part: PartRef | None = None,
        at: datetime | None = None,
    ) -> PlayerOutcome:
        return PlayerOutcome(
            slate=self.slate,
            batch_id=self.progress.batch.batch_id,
            player_slug=player.slug,
            outcome=kind,
            run_id=self.run_id,
            recorded_at=at or self.clock.now(),
            fence=self.fence,
            facts_version=self.facts_version,
            reason=reason,
            part=part,
            basis=self.bases.get(player.slug),
        )

    def _drop_late_part(self, player: ExpectedPlayer, late: PlayerOutcome) -> None:
        """Drop a part that was written after its player was overdue: no outcome will ever name it."""
        if late.part is not None:
            list(self.staging_area.drop(self.slate, [(player.slug, late.part.part_id)]))

    def _close_overtaken_failures(self, now: Progress) -> None:
        """Close this run's failures of players whom a run with a higher fence staged or skipped."""
        later = {
            done.player_slug: self.fence
            for done in self.failed
            if (counts := now.outcomes.get(done.player_slug)) is not None
            and counts.fence > self.fence
            and counts.outcome is not Outcome.FAILED
        }
        if later:
            self.dead_letters.close(self.slate, later, Closing.REPLAYED)
