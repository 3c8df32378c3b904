"""The stored models: trained on seasons of games, kept in the warehouse, chosen for a slate by their cut-off.

A slate takes the newest model that saw only games before it. Where there is none, what was fitted on the slate's own
history is kept here too, and a later run of the slate finds it by the history's hash. What a model is and how systems
are fitted is in :mod:`.forecasting.model`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from functools import lru_cache

import pyarrow as pa

from prediction_assets.errors import PredictionAssetsError
from prediction_assets.nba.forecasting.features import split_snapshot
from prediction_assets.nba.forecasting.features_sql import FEATURES_SQL
from prediction_assets.nba.forecasting.model import Model, data_hash, model_id, train
from prediction_assets.nba.forecasting.model_document import ModelUnreadable, pack, unpack
from prediction_assets.nba.forecasting.systems import FittedSystem, system_versions
from prediction_assets.stores.protocols import Warehouse
from prediction_assets.stores.sql import queries
from prediction_assets.stores.sql.tables import POINTS_MODELS

MODEL_ID = "model_id"
"""Column of the stored models, and of the players' features: ``""`` where no stored model serves the slate."""

MODEL_HISTORY_DAYS = 1460
"""Days of game logs that a model is trained on."""

OLDEST_MODEL = timedelta(days=400)
"""A model whose cut-off is longer before the slate is not used: it lacks a season."""

HISTORY_ORDER = [("game_date", "ascending"), ("game_id", "ascending"), ("player_id", "ascending")]
"""The order of training rows: the same rows in another order would have another hash, and fit other trees."""


def choose_model(warehouse: Warehouse, league: str, slate: date) -> str:
    """Return the id of the newest model that may serve the slate, ``""`` if there is none.

    Its cut-off is at most :data:`OLDEST_MODEL` before the slate and never after it, and its systems are those of this
    version of the package.

    Raises:
        ModelUnreadable: a row says what its systems are, but not as JSON.
    """
    found = warehouse.query(
        queries.MODELS_BEFORE, {"league": league, "slate": slate, "oldest": slate - OLDEST_MODEL}
    )
    wanted = system_versions()
    return next((str(row[MODEL_ID]) for row in found.to_pylist() if _versions(row) == wanted), "")


def _versions(row: Mapping[str, str]) -> object:
    try:
        return json.loads(row["systems"])
    except (ValueError, RecursionError) as error:
        raise ModelUnreadable(row[MODEL_ID], "systems", "is no JSON") from error


def load_model(warehouse: Warehouse, stored_id: str) -> Mapping[str, FittedSystem]:
    """Return a stored model's fitted systems, by name.

    Raises:
        PredictionAssetsError: there is no such model any more.
        ModelUnreadable: it is damaged.
    """
    rows = warehouse.query(queries.MODEL_BY_ID, {MODEL_ID: stored_id}).to_pylist()
    if not rows:
        raise PredictionAssetsError(
            f"model {stored_id} is not in {POINTS_MODELS.qualified_name} any more; materialize points_model, then "
            "player_features for the slate"
        )
    return _unpacked(rows[0]["document"], stored_id)


@lru_cache(maxsize=2)
def _unpacked(document: str, stored_id: str) -> Mapping[str, FittedSystem]:
    return unpack(document, stored_id)


def train_model(
    warehouse: Warehouse, league: str, cutoff: date, history_days: int, *, now: datetime
) -> tuple[Mapping[str, object], bool]:
    """Train a model on the games before a date and store it, unless the same data led to one that can be read.

    Args:
        now: the moment that is stored with a new model.

    Returns:
        its row in :data:`~prediction_assets.stores.sql.tables.POINTS_MODELS`, and whether it was trained now.
    """
    parameters = {
        "slate": cutoff,
        "league": league,
        "history_start": cutoff - timedelta(days=history_days),
    }
    history, _ = split_snapshot(warehouse.query(FEATURES_SQL, parameters))
    history = history.sort_by(HISTORY_ORDER)
    hashed = data_hash(history)
    stored = warehouse.query(queries.MODEL_BY_ID, {MODEL_ID: model_id(league, cutoff, hashed)}).to_pylist()
    if stored and _is_readable(stored[0]):
        return stored[0], False
    row = model_row(train(history, league, cutoff, hashed), now)
    warehouse.upsert(POINTS_MODELS, POINTS_MODELS.arrow_table([row]))
    return row, True


def slate_systems(
    warehouse: Warehouse, league: str, slate: date, history: pa.Table, *, now: datetime
) -> Mapping[str, FittedSystem]:
    """Return every system, fitted on a slate's own history: what was kept when it was fitted before, else fitted now.

    It is kept in place of what was fitted on an earlier history of the slate, and serves no other slate.

    Args:
        history: the training rows that are pinned with the slate's features.
        now: the moment that is stored with what is fitted now.
    """
    hashed = data_hash(history)
    key = model_id(league, slate, hashed, only_slate=True)
    kept = warehouse.query(queries.MODEL_BY_ID, {MODEL_ID: key}).to_pylist()
    if kept and _is_readable(kept[0]):
        return _unpacked(kept[0]["document"], key)
    model = train(history, league, slate, hashed)
    row = model_row(model, now) | {MODEL_ID: key, "only_slate": slate}
    warehouse.upsert(POINTS_MODELS, POINTS_MODELS.arrow_table([row]), replace_by=("league", "only_slate"))
    return model.fitted


def _is_readable(row: Mapping[str, str]) -> bool:
    try:
        _unpacked(row["document"], row[MODEL_ID])
        return _versions(row) == system_versions()
    except ModelUnreadable:
        return False


def model_row(model: Model, now: datetime) -> dict[str, object]:
    """Return a model as a row of :data:`~prediction_assets.stores.sql.tables.POINTS_MODELS`."""
    return {
        "model_id": model.model_id,
        "league": model.league,
        "cutoff": model.cutoff,
        "only_slate": None,
        "newest_game": model.newest_game,
        "trained_rows": model.trained_rows,
        "seasons": model.seasons,
        "data_hash": model.data_hash,
        "systems": json.dumps(dict(model.systems), sort_keys=True),
        "document": pack(model.fitted),
        "trained_at": now,
    }
