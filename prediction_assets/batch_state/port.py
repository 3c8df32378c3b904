"""What the assets ask of batch state, and the values they exchange.

A batch is the work on one slate: the expected players, frozen before fan-out, and each one's outcome. The
completion path is one blind write per player, a failure's aside, so redelivery and concurrency change nothing.
Decisions are made from :class:`Progress` in :mod:`prediction_assets.consolidation`, never here.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from prediction_assets.errors import PredictionAssetsError
from prediction_assets.warehouse.port import PartRef, Receipt

_logger = logging.getLogger(__name__)


class BatchConflict(PredictionAssetsError):
    """A batch was opened again with other expected players; the frozen set stands."""


class BatchNotOpen(PredictionAssetsError):
    """The slate has no batch yet."""

    @classmethod
    def on(cls, slate: str) -> BatchNotOpen:
        """Return the error about a slate, with what opens its batch."""
        return cls(f"slate {slate}: no batch is open; materialize slate_roster for it first")


class Outcome(StrEnum):
    """How an expected player's work on a slate ended."""

    STAGED = "staged"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ExpectedPlayer:
    """One expected player of one slate.

    Attributes:
        is_home: None on a neutral site.
    """

    player_id: int
    slug: str
    name: str
    team: str
    opponent: str
    is_home: bool | None
    game_id: str


@dataclass(frozen=True, slots=True)
class Batch:
    """The work on one slate, frozen when it was opened.

    Attributes:
        deadline: when the slate is consolidated with whoever has settled.
        expected: sorted by slug.
    """

    slate: str
    batch_id: str
    league: str
    games: int
    opened_at: datetime
    deadline: datetime
    expected: tuple[ExpectedPlayer, ...]

    def players(self, slugs: Iterable[str]) -> list[ExpectedPlayer]:
        """Return expected players by slug, in the order asked for.

        Raises:
            BatchConflict: nobody of that slug is expected on the slate.
        """
        by_slug = {player.slug: player for player in self.expected}
        try:
            return [by_slug[slug] for slug in slugs]
        except KeyError as error:
            raise BatchConflict(
                f"slate {self.slate}: {error.args[0]!r} is not among its {len(by_slug)} expected players; "
                f"see `prediction-assets status --slate {self.slate}`"
            ) from None


@dataclass(frozen=True, slots=True)
class Completion:
    """A player's outcome; a staged one contains its part, so that consolidation can verify it.

    Attributes:
        reason: why he was skipped or failed, ``""`` when staged.
        part: the written part when staged, else None.
        run_id: the Dagster run that produced the outcome.
        recorded_at: when the outcome was there: of a failure, when the last attempt had failed.
        batch_id: the batch that he was expected in; None where an earlier version recorded it.
    """

    slate: str
    player_slug: str
    outcome: Outcome
    run_id: str
    recorded_at: datetime
    reason: str = ""
    part: PartRef | None = None
    batch_id: str | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """One slate's batch as it stands: expected players, outcomes so far, features and newest receipt."""

    batch: Batch
    completions: Mapping[str, Completion] = field(default_factory=dict)
    feature_snapshot: str | None = None
    receipt: Receipt | None = None

    def count(self, outcome: Outcome) -> int:
        """Return how many expected players ended that way."""
        return sum(c.outcome is outcome for c in self.completions.values())

    @property
    def unsettled(self) -> tuple[str, ...]:
        """Slugs of the expected players without an outcome, sorted."""
        return tuple(p.slug for p in self.batch.expected if p.slug not in self.completions)


def open_progress(state: BatchState, slate: str) -> Progress:
    """Return a slate's batch as it stands.

    Raises:
        BatchNotOpen: the slate has no batch yet.
    """
    progress = state.progress(slate)
    if progress is None:
        raise BatchNotOpen.on(slate)
    return progress


def unaltered(mirrored: Receipt, where: str) -> Receipt | None:
    """Return a mirrored receipt, or None when it was edited by hand.

    It is only a copy: without it the slate is consolidated again, which finds the receipt in the warehouse,
    merges nothing twice and mirrors it anew.
    """
    if mirrored.is_altered:
        _logger.warning(
            "slate %s: the copy of receipt %s in %s was edited by hand; it is ignored and mirrored again",
            mirrored.slate, mirrored.receipt_id, where,
        )  # fmt: skip
        return None
    return mirrored


class BatchState(Protocol):
    """Who is expected on a slate, and what became of each."""

    def open(self, batch: Batch) -> Batch:
        """Freeze a batch and return it; opening the same one again returns the first one.

        Raises:
            BatchConflict: the slate is open with other expected players.
        """

    def reopen(self, batch: Batch) -> Batch:
        """Replace a slate's expected players; outcomes of players who stay as they were are kept.

        Whose id, team, opponent or game changed has no outcome any more. The pinned features are kept when they
        are of all who are expected now: when nobody is new or changed. An outcome that is recorded for the
        earlier batch after this doesn't count: it may be about a game that isn't played.
        """

    def pin_features(self, slate: str, snapshot_id: str) -> None:
        """Say which feature snapshot the slate's predictions are made from."""

    def record(self, completions: Sequence[Completion]) -> None:
        """Set each player's outcome; recording one again replaces it and counts nothing twice.

        One of another batch than the slate's is stored and doesn't count: its player has no outcome.

        A failure from before the outcome that is there changes nothing: whoever recorded that one knew more than
        a process that hung in between.
        """

    def progress(self, slate: str) -> Progress | None:
        """Return the slate's batch as it stands, None when it was never opened."""

    def recent_slates(self, since: datetime) -> Sequence[str]:
        """Return the slates whose batch was opened since then, oldest first."""

    def mirror_receipt(self, receipt: Receipt) -> None:
        """Keep a copy of the slate's newest receipt, so that sensors needn't open the warehouse."""
