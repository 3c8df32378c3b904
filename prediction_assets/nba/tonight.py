"""The NBA's slates: tonight's games, the players expected in them, their features, systems and lines.

Facts come from the warehouse; the rules are in :mod:`.roster`, :mod:`.skipping` and :mod:`.forecasting`. Nothing
of Dagster's belongs here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import pyarrow as pa
import pyarrow.compute as pc

from prediction_assets.errors import BadInput, NobodyExpected
from prediction_assets.nba.forecast import (
    choose_model,
    forecast_players,
    market_lines,
    roster_candidates,
    slate_features,
)
from prediction_assets.nba.roster import expected_players
from prediction_assets.nba.skip_rules import reasons_to_skip
from prediction_assets.nba.subject import Features, Roster
from prediction_assets.slate.batch import Batch, ExpectedPlayer
from prediction_assets.slate.keys import GAME_TIME_ZONE, NBA_LEAGUE, is_simulated, parse_slate, slate_key
from prediction_assets.stores.protocols import BatchState, Snapshot, Warehouse
from prediction_assets.stores.sql import queries


@dataclass(frozen=True, slots=True)
class Basketball:
    """The NBA, or the simulated league that stands in for it.

    Attributes:
        history_days: days of game logs that the systems are fitted on where no stored model serves the slate.
        threshold: probability above one half that an OVER or UNDER needs.
        market_aware: publish the sixth system, ``market_aware``.
    """

    history_days: int
    threshold: float
    market_aware: bool

    def tonight(self, warehouse: Warehouse, state: BatchState, now: datetime) -> str:
        """Return the slate that a click without a configuration means.

        A simulated league has no tonight: its slates come one after another, so that each click has one to carry.

        Raises:
            BadInput: no schedule was ingested.
        """
        slate = default_slate(warehouse, now.astimezone(GAME_TIME_ZONE).date(), tonight=True)
        games = warehouse.query(queries.SLATE_GAMES, {"slate": parse_slate(slate)})["league"].to_pylist()
        if not games or not is_simulated(games[0]):
            return slate
        days = warehouse.query(queries.SLATES_FROM, {"slate": parse_slate(slate), "league": games[0]})
        for day in days["game_date"].to_pylist():
            progress = state.progress(slate_key(day))
            if progress is None or progress.receipt is None:
                return slate_key(day)
        return slate

    def roster(self, warehouse: Warehouse, slate: str) -> Roster:
        """Return the slate's games and the players whose team plays and who have been playing.

        Raises:
            BadInput: no ingested schedule covers the date, or it has games of two leagues.
            NobodyExpected: there are games, but no game log before them expects anybody.
        """
        day = parse_slate(slate)
        games = warehouse.query(queries.SLATE_GAMES, {"slate": day}).to_pylist()
        if not games:
            _require_in_schedule(warehouse, slate)
            return Roster("", (), (), 0)
        league = _league(games, slate)
        candidates = roster_candidates(warehouse, league, day)
        players = expected_players(candidates, day)
        if not players:
            raise NobodyExpected(
                f"slate {slate}: {len(games)} games, but no game log before it expects anybody "
                f"({len(candidates)} candidates); ingest the game logs of the weeks, or the season, before"
            )
        shown = [
            {
                "game_id": game["game_id"],
                "home": game["home_team"] or f"{game['team_a']} (neutral site)",
                "away": game["away_team"] or f"{game['team_b']} (neutral site)",
            }
            for game in games
        ]
        return Roster(league, shown, players, len(candidates))

    def features(self, warehouse: Warehouse, batch: Batch) -> Features:
        """Return the expected players' rows and, where no stored model serves the slate, the training rows."""
        day = parse_slate(batch.slate)
        model = choose_model(warehouse, batch.league, day)
        ids = (player.player_id for player in batch.expected)
        players, history = slate_features(warehouse, batch.league, day, ids, self.history_days, model)
        about = {
            "model_id": model or "none: the systems are fitted on the past player-games",
            "newest_game": str(pc.max(history["game_date"]).as_py() or ""),
        }
        return Features(players, history, about)

    def forecasts(self, warehouse: Warehouse, batch: Batch, snapshot: Snapshot) -> pa.Table:
        """Return each player's rows: five systems, six with ``market_aware``, at five lines around his newest."""
        return forecast_players(
            warehouse,
            snapshot.players,
            snapshot.history,
            market_lines(warehouse, batch.league, parse_slate(batch.slate)),
            threshold=self.threshold,
            market_aware=self.market_aware,
        )

    def reasons_to_skip(
        self,
        warehouse: Warehouse,
        batch: Batch,
        players: Sequence[ExpectedPlayer],
        with_features: Collection[str],
    ) -> Mapping[str, str]:
        """Return why players are not predicted, from the schedule and the injury report as of now."""
        slate = parse_slate(batch.slate)
        injuries = warehouse.query(queries.NEWEST_INJURY_REPORT, {"slate": slate, "league": batch.league})
        return reasons_to_skip(
            players,
            games=warehouse.query(queries.SLATE_GAMES, {"slate": slate}).to_pylist(),
            injuries=injuries.to_pylist(),
            with_features=with_features,
        )


def default_slate(warehouse: Warehouse, today: date, *, tonight: bool) -> str:
    """Return the slate that is meant when none is named.

    In season that is tonight's date, games or not, or with ``tonight`` false the newest slate up to today
    that has games. A schedule that doesn't reach today gives its last slate. While there is no real schedule,
    a simulated league gives the slate that follows its game logs.

    Raises:
        BadInput: no schedule was ingested.
    """
    spans = {
        row["league"]: row for row in warehouse.query(queries.SCHEDULE_SPANS, {"today": today}).to_pylist()
    }
    real = spans.get(NBA_LEAGUE)
    if real is not None:
        if tonight and real["first_slate"] <= today <= real["last_slate"]:
            return slate_key(today)
        return slate_key(real["newest_slate"] or real["last_slate"])
    following = [row["next_slate"] for row in spans.values() if row["next_slate"]]
    if not following:
        raise BadInput(
            "schedule", "no schedule was ingested", hint="materialize schedule, or `prediction-assets run`"
        )
    return slate_key(max(following))


def _require_in_schedule(warehouse: Warehouse, slate: str) -> None:
    """Tell a day without games from a day that no schedule knows of."""
    day = parse_slate(slate)
    spans = warehouse.query(queries.SCHEDULE_SPANS, {"today": day}).to_pylist()
    if not any(span["first_slate"] <= day <= span["last_slate"] for span in spans):
        known = "; ".join(f"{s['league']} {s['first_slate']} .. {s['last_slate']}" for s in spans) or "none"
        raise BadInput(
            f"slate {slate}",
            f"no ingested schedule covers this date ({known})",
            hint="ingest the schedule that does: `prediction-assets ingest --schedule FILE`",
        )


def _league(games: Sequence[dict[str, str]], slate: str) -> str:
    leagues = sorted({game["league"] for game in games})
    if len(leagues) > 1:
        raise BadInput(
            f"slate {slate}", f"has games of {' and '.join(leagues)}", hint="keep one league per home"
        )
    return leagues[0]
