"""A batch: the work on one slate, its expected players and its progress.

How a player ended is in :mod:`.outcome`; the rule that freezes the expected players is in :mod:`.roster_freeze`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from prediction_assets.errors import BatchConflict
from prediction_assets.slate.outcome import Outcome, PlayerOutcome
from prediction_assets.slate.receipt import Receipt


@dataclass(frozen=True, slots=True)
class ExpectedPlayer:
    """One expected player of one slate."""

    player_id: int
    slug: str
    name: str
    team: str
    opponent: str
    is_home: bool | None  # None on a neutral site
    game_id: str


@dataclass(frozen=True, slots=True)
class Batch:
    """The work on one slate, frozen when it was opened."""

    slate: str
    batch_id: str
    league: str
    games: int
    opened_at: datetime
    deadline: datetime  # when the slate is merged without the players who haven't settled
    expected: tuple[ExpectedPlayer, ...]  # sorted by slug

    def players(self, slugs: Iterable[str]) -> list[ExpectedPlayer]:
        """Return the expected players of these slugs, in their order."""
        by_slug = {player.slug: player for player in self.expected}
        try:
            return [by_slug[slug] for slug in slugs]
        except KeyError as error:
            raise BatchConflict(
                f"slate {self.slate}: {error.args[0]!r} is not among its {len(by_slug)} expected players; "
                f"see `prediction-assets status --slate {self.slate}`"
            ) from None


@dataclass(frozen=True, slots=True)
class Progress:
    """One slate's batch as it stands: expected players, outcomes so far, features and newest receipt."""

    batch: Batch
    # of each player the outcome with the highest fence, by slug
    outcomes: Mapping[str, PlayerOutcome] = field(default_factory=dict)
    feature_snapshot: str | None = None  # the pinned features, None before they are pinned
    receipt: Receipt | None = None
    # the version of the facts that the features were computed from, 0 before they are pinned
    features_version: int = 0
    features_made_from: str = ""  # a digest of what they were made from, '' if nothing is said of it

    def count(self, outcome: Outcome) -> int:
        return sum(c.outcome is outcome for c in self.outcomes.values())

    @property
    def unsettled(self) -> tuple[str, ...]:
        """Slugs of the expected players without an outcome, sorted."""
        return tuple(p.slug for p in self.batch.expected if p.slug not in self.outcomes)


def is_nothing_to_predict(progress: Progress) -> bool:
    """Return whether no player is expected, or every expected player is skipped."""
    return progress.count(Outcome.SKIPPED) == len(progress.batch.expected)
