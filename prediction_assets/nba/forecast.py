"""Features and forecasts of one slate: what staging, the asset of features and the backtest share.

Features are read from the warehouse; a forecast is computed from values: features, lines and a model. Either a stored
model forecasts the slate, or systems are fitted on the slate's own training rows. That is decided once, with the
features: the model's id is one of their columns, and so part of the snapshot's id.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from prediction_assets import __version__
from prediction_assets.nba.forecasting.features_sql import FEATURES_SQL
from prediction_assets.nba.forecasting.lines import SUSPENDED_PRICE, MarketLine
from prediction_assets.nba.forecasting.prices import Offer
from prediction_assets.nba.forecasting.stats import features_sql
from prediction_assets.nba.forecasting.systems import FittedSystem
from prediction_assets.nba.model_store import MODEL_ID, load_model, read_features
from prediction_assets.slate.batch import ExpectedPlayer
from prediction_assets.slate.markets import POINTS
from prediction_assets.stores.protocols import Warehouse
from prediction_assets.stores.sql import queries
from prediction_assets.stores.sql.tables import GAME_LOGS, SCHEDULE


@dataclass(frozen=True, slots=True)
class AskedFeatures:
    """Which features are wanted, of which players."""

    league: str
    slate: date  # the features are those before it
    players: Sequence[int]  # player ids; a player without a game log before the slate gets no row
    history_days: int  # days of game logs before the slate that training rows are made from
    # the stored model, '' for none. With a model there are no training rows: nothing is fitted.
    model_id: str
    stats: Sequence[str] = ()  # the stats beside points that are forecast


def slate_features(warehouse: Warehouse, asked: AskedFeatures) -> tuple[pa.Table, pa.Table]:
    """Return the features of players before a slate, and the training rows that systems are fitted on.

    Returns:
        one row per player, sorted by id, with the model's id; and one row per past player-game.
    """
    only = asked.players if asked.model_id else None
    history, candidates = read_features(
        warehouse, asked.league, asked.slate, asked.history_days, asked.stats, only=only
    )
    wanted = candidates.filter(pc.is_in(candidates["player_id"], pa.array(asked.players, pa.int64())))
    wanted = wanted.append_column(MODEL_ID, pa.array([asked.model_id] * wanted.num_rows, pa.string()))
    return wanted, history


def features_digest(warehouse: Warehouse, asked: AskedFeatures) -> str:
    """Return SHA-256 over all that :func:`slate_features` makes its answer from, without computing it.

    That is what is asked, its statements and this version of the package, and which change of the game logs and the
    schedule was the last one.
    """
    changed = {
        row["table_name"]: f"{row['version']} {row['changed_at'].isoformat()}"
        for row in warehouse.query(queries.FACTS_STATE).to_pylist()
    }
    made_from = [
        __version__, asked.league, asked.slate.isoformat(), sorted(asked.players), asked.history_days, asked.model_id,
        *asked.stats, FEATURES_SQL, *map(features_sql, asked.stats),
        changed.get(GAME_LOGS.name), changed.get(SCHEDULE.name),
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(made_from).encode()).hexdigest()


def market_lines(warehouse: Warehouse, league: str, slate: date) -> dict[int, MarketLine]:
    """Return each player's main points line and his other offers on the slate, by id; absent without an offer."""
    return lines_by_market(warehouse, league, slate, ())[POINTS.name]


def lines_by_market(
    warehouse: Warehouse, league: str, slate: date, markets: Iterable[str]
) -> dict[str, dict[int, MarketLine]]:
    """Return what :func:`market_lines` does, for points and for each of these markets, by its name."""
    wanted = [POINTS.name, *(name for name in markets if name != POINTS.name)]
    offered = warehouse.query(
        queries.MARKET_LINES,
        {"slate": slate, "league": league, "markets": wanted, "suspended": SUSPENDED_PRICE},
    )
    columns = ("line", "bookmaker", "over_price", "under_price")
    found: dict[tuple[str, int], dict[Offer, None]] = {}  # in order, each offer once
    teams: dict[tuple[str, int], frozenset[str]] = {}
    for row in offered.to_pylist():
        key = row["market"], row["player_id"]
        found.setdefault(key, {})[Offer(*(row[name] for name in columns))] = None
        teams.setdefault(key, frozenset((row["home_team"], row["away_team"])))
    lines: dict[str, dict[int, MarketLine]] = {name: {} for name in wanted}
    for (market, player), (main, *others) in found.items():
        lines[market][player] = MarketLine(
            main.line, main.bookmaker, main.over_price, main.under_price, tuple(others), teams[market, player]
        )
    return lines


def with_newcomers(
    features: pa.Table, players: Iterable[ExpectedPlayer], lines: Container[int], slate: date
) -> pa.Table:
    """Return features with a row for each player who has a line and no features: all that is known is his game.

    Systems give such a row the league's usual newcomer, and :func:`.predictions.predict_slate` moves it to the line.
    """
    known = {*features["player_id"].to_pylist()}
    rows: list[dict[str, object]] = [
        {
            "is_slate": True,
            "game_id": player.game_id,
            "game_date": slate,
            "player_id": player.player_id,
            "player_name": player.name,
            "team": player.team,
            "opponent": player.opponent,
            "is_home": player.is_home,
            "home": 0.5 if player.is_home is None else float(player.is_home),
            "games_last_25": 0,
            "games_season": 0,
            "recent_points": [],
            "recent_minutes": [],
            MODEL_ID: next(iter(features[MODEL_ID].to_pylist()), ""),
        }
        for player in players
        if player.player_id not in known and player.player_id in lines
    ]
    if not rows:
        return features
    return pa.concat_tables([features, pa.Table.from_pylist(rows, features.schema)]).sort_by("player_id")


def pinned_model(warehouse: Warehouse, players: pa.Table) -> Mapping[str, FittedSystem] | None:
    """Return the stored model that is pinned in the players' features, None when none is."""
    stored_id = next(iter(players[MODEL_ID].to_pylist()), "")
    return load_model(warehouse, stored_id) if stored_id else None
