"""Refresh: look whose facts are no longer those that he was staged from, and what has to be done again because of it.

Reads only. What is a cause is decided in :mod:`prediction_assets.slate.basis`; the sensor and the command line request
or run what this finds: the roster, the features, the staging of exactly these players.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from prediction_assets.errors import SnapshotUnreadable
from prediction_assets.nba.forecast import AskedFeatures, slate_features
from prediction_assets.nba.forecasting.stats import further_stats, stats_in
from prediction_assets.nba.model_store import HISTORY_DAYS, MODEL_ID, choose_model
from prediction_assets.nba.roster import read_roster
from prediction_assets.nba.slate_facts import SlateFacts, feature_digests, read_slate_facts
from prediction_assets.slate.basis import affected
from prediction_assets.slate.batch import Progress
from prediction_assets.slate.keys import parse_slate
from prediction_assets.slate.roster_freeze import RosterChange, keeping, roster_change
from prediction_assets.stores.protocols import Warehouse
from prediction_assets.stores.sql import queries
from prediction_assets.stores.sql.tables import GAME_LOGS, PROP_LINES, SCHEDULE

ROSTER_FACTS = frozenset({GAME_LOGS.name, SCHEDULE.name})
"""The tables of facts that decide who is expected, beside the slate's lines."""

LAST_MINUTE = timedelta(minutes=1)
"""So long before his tip-off a player is not staged again any more: his rows would come after it."""


@dataclass(frozen=True, slots=True)
class Refresh:
    """What the facts of now ask of a slate."""

    due: Mapping[str, tuple[str, ...]]  # why each affected player has to be staged again, by slug
    # why each player would have to be whose game has begun; his rows stay
    late: Mapping[str, tuple[str, ...]]
    # features are pinned again before the staging: a game log was corrected, or those that are pinned can't be read
    needs_features: bool
    # how the expected players would differ, without the players of games that have begun
    roster: RosterChange

    @property
    def needs_roster(self) -> bool:
        """Whether a player is new, or in another game; one whose game is off is staged, and skipped."""
        return bool(self.roster.added or self.roster.changed)

    @property
    def is_needed(self) -> bool:
        """Whether anything has to be done."""
        return bool(self.due) or self.needs_roster


def read_refresh(
    progress: Progress,
    warehouse: Warehouse,
    now: datetime,
    *,
    facts: SlateFacts | None = None,
    roster_since: int | None = None,
    markets: Iterable[str] = (),
) -> Refresh:
    """Return what the facts of now ask of a slate whose players have settled.

    Args:
        progress: the batch as it stands.
        facts: the slate's facts, if they were read just now.
        roster_since: the roster agreed with the facts of this version; None: it is compared in any case.
        markets: what is predicted.
    """
    batch = progress.batch
    facts = facts or read_slate_facts(warehouse, batch.slate, batch.league, markets)
    pinned, fresh = _features(progress, warehouse, markets)
    bases = {slug: done.basis for slug, done in progress.outcomes.items()}
    settled = [player for player in batch.expected if player.slug in bases]
    # They are pinned, and their players staged, before anything follows.
    if progress.feature_snapshot is None:
        bases = {}
    found = affected(bases, facts.bases(settled, fresh), now + LAST_MINUTE)
    roster = RosterChange()
    # A new line makes a player expected. Lines change all day, so the sensor compares those of the slate first.
    if roster_since is None or changed_since(warehouse, roster_since) & {*ROSTER_FACTS, PROP_LINES.name}:
        now_expected = read_roster(warehouse, batch.slate).players
        expected = keeping(batch, replace(batch, expected=now_expected), facts.begun(now + LAST_MINUTE))
        roster = roster_change(batch, expected)
    asked = Refresh(due=found.due, late=found.late, needs_features=False, roster=roster)
    if pinned is None:
        return replace(asked, needs_features=asked.is_needed)
    corrected = (
        fresh.get(player.player_id) != pinned.get(player.player_id)
        for player in settled
        if player.slug in found.due
    )
    return replace(asked, needs_features=any(corrected))


def _features(
    progress: Progress, warehouse: Warehouse, markets: Iterable[str]
) -> tuple[dict[int, tuple[str, str]] | None, dict[int, tuple[str, str]]]:
    """Return the digests of the pinned features, None if they can't be read, and of those that the facts give now."""
    batch = progress.batch
    if progress.feature_snapshot is None:
        return {}, {}
    slate, stats = parse_slate(batch.slate), further_stats(markets)
    try:
        pinned = warehouse.snapshots.players(batch.slate, progress.feature_snapshot)
    except SnapshotUnreadable:
        digests, model = None, choose_model(warehouse, batch.league, slate, stats)
    else:
        digests, stats = feature_digests(pinned), stats_in(pinned)
        if GAME_LOGS.name not in changed_since(warehouse, progress.features_version):
            return digests, digests
        model = next(iter(pinned[MODEL_ID].to_pylist()), "")
    ids = [player.player_id for player in batch.expected]
    fresh, _ = slate_features(warehouse, AskedFeatures(batch.league, slate, ids, HISTORY_DAYS, model, stats))
    return digests, feature_digests(fresh)


def changed_since(warehouse: Warehouse, version: int) -> set[str]:
    """Return the names of the tables of facts that changed after a version."""
    return {*warehouse.query(queries.FACTS_CHANGED, {"since": version})["table_name"].to_pylist()}
