"""What a slate is about: who is expected, from what they are predicted, and how.

The assets carry any subject: they fan out over its players, merge their rows and announce the slate. What a
player is, only the subject knows. The NBA's is :mod:`prediction_assets.nba.tonight`; another one is given to
``build_defs(settings, {"subject": ...})``, see ``docs/extending.md``. Nothing of Dagster's belongs here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import pyarrow as pa

from prediction_assets.slate.batch import Batch, ExpectedPlayer
from prediction_assets.stores.protocols import BatchState, Snapshot, Warehouse


@dataclass(frozen=True, slots=True)
class Roster:
    """A slate's games and who is expected in them.

    Attributes:
        league: tells this subject's rows from others'; a name that starts with ``simulated`` is labelled so.
        games: one entry per game, with its ``game_id`` and whatever else the UI should show of it; none on a day
            on which there is nothing to predict.
        players: sorted by slug; each one's ``game_id`` is one of the games'.
        candidates: how many were considered.
    """

    league: str
    games: Sequence[Mapping[str, str]]
    players: tuple[ExpectedPlayer, ...]
    candidates: int


@dataclass(frozen=True, slots=True)
class Features:
    """What a slate's players are predicted from, as of before the slate.

    Attributes:
        players: one row per player who has features, with his ``player_id``, in an order that the facts decide.
        history: what is learned from, where it is the same for all players.
        about: what the UI shows of them besides their numbers.
    """

    players: pa.Table
    history: pa.Table = field(default_factory=lambda: pa.table({"player_id": pa.array([], pa.int64())}))
    about: Mapping[str, str] = field(default_factory=dict)


NO_FEATURES = "no features"
"""How the reason begins why a player who has none is skipped."""


class Subject(Protocol):
    """Decides who is expected on a slate and makes their prediction rows; every method may be called again."""

    def tonight(self, warehouse: Warehouse, state: BatchState, now: datetime) -> str:
        """Return the slate that is opened when none is named.

        Raises:
            BadInput: there are no facts to tell it from.
        """

    def roster(self, warehouse: Warehouse, slate: str) -> Roster:
        """Return the slate's games and expected players, from facts of before the slate.

        Raises:
            BadInput: the facts don't reach this slate.
            NobodyExpected: there are games, but nobody can be expected in them.
        """

    def features(self, warehouse: Warehouse, batch: Batch) -> Features:
        """Return the expected players' features; the same facts give the same tables.

        An expected player who has no row is skipped when he is staged.
        """

    def forecasts(self, warehouse: Warehouse, batch: Batch, snapshot: Snapshot) -> pa.Table:
        """Return the prediction rows of the snapshot's players; where that raises, it is asked for fewer of them.

        Args:
            snapshot: what :meth:`features` returned, with the rows of some of its players.

        Returns:
            a table of :data:`~prediction_assets.nba.forecasting.predictions.PREDICTION_SCHEMA`, no two rows with the
            same player, game, system and line. A player's rows depend on his own features and the history only:
            a re-run of one gives what a run of all did.
        """

    def reasons_to_skip(
        self,
        warehouse: Warehouse,
        batch: Batch,
        players: Sequence[ExpectedPlayer],
        with_features: Collection[str],
    ) -> Mapping[str, str]:
        """Return why players are not predicted, by slug, from facts as of now; whoever subclasses need not say more.

        Args:
            with_features: slugs of the players who have features; nobody else can be predicted.
        """
        return {p.slug: f"{NO_FEATURES} before the slate" for p in players if p.slug not in with_features}
