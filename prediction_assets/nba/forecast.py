"""From facts to one slate's forecasts, in the steps that assets and backtest share.

A slate is forecast with a stored model that saw only games before it, or, where there is none, with systems
fitted on the slate's own feature snapshot. Which of the two is decided once, with the features: the model's
id is a column of the players' features, and so part of the snapshot's id that every prediction row carries.
Nothing of Dagster's belongs here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from prediction_assets.errors import PredictionAssetsError
from prediction_assets.nba.forecasting.features import split_snapshot
from prediction_assets.nba.forecasting.features_sql import FEATURES_SQL
from prediction_assets.nba.forecasting.lines import MarketLine, choose_market_lines
from prediction_assets.nba.forecasting.model import (
    Model,
    data_hash,
    model_id,
    pack,
    system_versions,
    train,
    unpack,
)
from prediction_assets.nba.forecasting.predictions import predict_slate
from prediction_assets.nba.forecasting.systems import FittedSystem
from prediction_assets.nba.roster import CANDIDATE_LOOKBACK, FORM_GAMES
from prediction_assets.stores.protocols import Warehouse
from prediction_assets.stores.sql import queries
from prediction_assets.stores.sql.tables import POINTS_MODELS

MODEL_ID = "model_id"
"""Column of the players' features; '' where the systems are to be fitted on the snapshot's history."""

HISTORY_DAYS = 730
"""Days of game logs before the slate that the systems are fitted on where no model serves it."""

MODEL_HISTORY_DAYS = 1460
"""Days of game logs that ``points_model`` is trained on."""

OLDEST_MODEL = timedelta(days=400)
"""A model that is older than this at the slate is not used: a season would be missing in it."""

_ORDER = [("game_date", "ascending"), ("game_id", "ascending"), ("player_id", "ascending")]


def roster_candidates(warehouse: Warehouse, league: str, slate: date) -> list[dict[str, Any]]:
    """Return who may be expected on the slate, one row per player, from facts of before it."""
    found: list[dict[str, Any]] = warehouse.query(
        queries.ROSTER_CANDIDATES,
        {"slate": slate, "league": league, "since": slate - CANDIDATE_LOOKBACK, "form_games": FORM_GAMES},
    ).to_pylist()
    return found


def choose_model(warehouse: Warehouse, league: str, slate: date) -> str:
    """Return the id of the newest model that may serve the slate, '' without one.

    Trained on games before the slate only, at most :data:`OLDEST_MODEL` before it, with the systems of this
    version of the package.
    """
    found = warehouse.query(
        queries.MODELS_BEFORE, {"league": league, "slate": slate, "oldest": slate - OLDEST_MODEL}
    )
    wanted = system_versions()
    return next((str(row[MODEL_ID]) for row in found.to_pylist() if json.loads(row["systems"]) == wanted), "")


def load_model(warehouse: Warehouse, chosen: str) -> Mapping[str, FittedSystem]:
    """Return a stored model's fitted systems.

    Raises:
        PredictionAssetsError: there is no such model any more.
        ModelUnreadable: it is damaged.
    """
    rows = warehouse.query(queries.MODEL_BY_ID, {MODEL_ID: chosen}).to_pylist()
    if not rows:
        raise PredictionAssetsError(
            f"model {chosen} is not in {POINTS_MODELS.qualified_name} any more; materialize points_model, then "
            "player_features for the slate"
        )
    return _unpacked(rows[0]["document"])


@lru_cache(maxsize=2)
def _unpacked(document: str) -> Mapping[str, FittedSystem]:
    return unpack(document)


def slate_features(
    warehouse: Warehouse, league: str, slate: date, players: Iterable[int], history_days: int, chosen: str
) -> tuple[pa.Table, pa.Table]:
    """Return the players' rows, sorted by id and with the model's id, and the training rows.

    With a model there are no training rows: nothing is fitted on them.
    """
    days = 0 if chosen else history_days
    rows = warehouse.query(
        FEATURES_SQL, {"slate": slate, "league": league, "history_start": slate - timedelta(days=days)}
    )
    history, candidates = split_snapshot(rows)
    wanted = candidates.filter(pc.is_in(candidates["player_id"], pa.array(list(players), pa.int64())))
    wanted = wanted.sort_by("player_id")
    wanted = wanted.append_column(MODEL_ID, pa.array([chosen] * wanted.num_rows, pa.string()))
    return wanted, history.sort_by(_ORDER)


def market_lines(warehouse: Warehouse, league: str, slate: date) -> dict[int, MarketLine]:
    """Return each player's main line on the slate; a player without an offer is absent."""
    return choose_market_lines(warehouse.query(queries.MARKET_OFFERS, {"slate": slate, "league": league}))


def forecast_players(
    warehouse: Warehouse,
    players: pa.Table,
    history: pa.Table,
    market: Mapping[int, MarketLine],
    *,
    threshold: float,
    market_aware: bool,
) -> pa.Table:
    """Return the prediction rows of players as :func:`slate_features` gave them."""
    ids = set(players[MODEL_ID].to_pylist()) if MODEL_ID in players.column_names else set()
    fitted = load_model(warehouse, chosen) if (chosen := next(iter(ids), "")) else None
    return predict_slate(
        players, history, market, threshold=threshold, fitted=fitted, market_aware=market_aware
    )


def train_model(
    warehouse: Warehouse, league: str, cutoff: date, history_days: int
) -> tuple[Mapping[str, object], bool]:
    """Train a model on the games before a date and store it, unless the same data led to one already.

    Returns:
        its row in :data:`~prediction_assets.stores.sql.tables.POINTS_MODELS`, and whether it was trained now.
    """
    parameters = {
        "slate": cutoff,
        "league": league,
        "history_start": cutoff - timedelta(days=history_days),
    }
    history, _ = split_snapshot(warehouse.query(FEATURES_SQL, parameters))
    history = history.sort_by(_ORDER)
    hashed = data_hash(history)
    stored = warehouse.query(queries.MODEL_BY_ID, {MODEL_ID: model_id(league, cutoff, hashed)}).to_pylist()
    if stored:
        return stored[0], False
    row = model_row(train(history, league, cutoff, hashed), datetime.now(UTC))
    warehouse.upsert(POINTS_MODELS, POINTS_MODELS.arrow_table([row]))
    return row, True


def model_row(model: Model, now: datetime) -> dict[str, object]:
    """Return a model as a row of :data:`~prediction_assets.stores.sql.tables.POINTS_MODELS`."""
    return {
        "model_id": model.model_id,
        "league": model.league,
        "cutoff": model.cutoff,
        "newest_game": model.newest_game,
        "trained_rows": model.trained_rows,
        "seasons": model.seasons,
        "data_hash": model.data_hash,
        "systems": json.dumps(dict(model.systems), sort_keys=True),
        "document": pack(model.fitted),
        "trained_at": now,
    }
