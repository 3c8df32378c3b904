"""The stored models: trained on seasons of games, kept in the warehouse, chosen for a slate by their cut-off.

A slate takes the newest promoted model that saw only games before it. Where there is none, what was fitted on the
slate's own history is kept here too, and a later run of the slate finds it by the history's hash. What a model is and
how systems are fitted is in :mod:`.forecasting.model`, and when a model is promoted in :mod:`.forecasting.promotion`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from prediction_assets.errors import PredictionAssetsError
from prediction_assets.nba.forecasting.candidates import Sides
from prediction_assets.nba.forecasting.features import split_snapshot
from prediction_assets.nba.forecasting.features_sql import FEATURES_SQL, of_players
from prediction_assets.nba.forecasting.model import Model, data_hash, model_id, train
from prediction_assets.nba.forecasting.model_document import ModelUnreadable, pack, unpack
from prediction_assets.nba.forecasting.promotion import examine, keep_for_trial, libraries
from prediction_assets.nba.forecasting.stats import features_sql, with_stat
from prediction_assets.nba.forecasting.systems import FittedSystem, stats_fitted, system_versions
from prediction_assets.nba.sides import past_sides
from prediction_assets.slate.staged_rows import content_id, content_ids_of_snapshot
from prediction_assets.stores.protocols import Warehouse
from prediction_assets.stores.sql import queries
from prediction_assets.stores.sql.tables import POINTS_MODELS
from prediction_assets.stores.without import without

MODEL_ID = "model_id"
"""Column of the stored models, and of the players' features: ``""`` where no stored model serves the slate."""

MODEL_HISTORY_DAYS = 1460
"""Days of game logs that a model is trained on."""

HISTORY_DAYS = 730
"""Days of game logs before the slate that the systems are fitted on if no stored model serves it."""

OLDEST_MODEL = timedelta(days=400)
"""A model whose cut-off is longer before the slate is not used: it lacks a season."""

HISTORY_ORDER = [("game_date", "ascending"), ("game_id", "ascending"), ("player_id", "ascending")]
"""The order of training rows: the same rows in another order would have another hash, and fit other trees."""


def read_features(
    warehouse: Warehouse,
    league: str,
    slate: date,
    history_days: int,
    stats: Sequence[str] = (),
    *,
    only: Sequence[int] | None = None,
) -> tuple[pa.Table, pa.Table]:
    """Return the training rows before a slate, in :data:`HISTORY_ORDER`, and its candidates' rows, by player.

    Args:
        history_days: days of game logs before the slate that training rows are made from.
        only: ids of the only players to return rows of; then there are no training rows.

    Raises:
        TransientError: a game log came in meanwhile.
    """
    since = slate if only is not None else slate - timedelta(days=history_days)
    parameters: dict[str, Any] = {"slate": slate, "league": league, "history_start": since}
    if only is not None:
        parameters["players"] = [*only]

    def read(sql: str) -> tuple[pa.Table, pa.Table]:
        asked = sql if only is None else of_players(sql)
        history, candidates = split_snapshot(warehouse.query(asked, parameters))
        return _in_order(history), candidates.sort_by("player_id")

    history, candidates = read(FEATURES_SQL)
    for stat in stats:
        of_history, of_candidates = read(features_sql(stat))
        history = with_stat(history, stat, of_history)
        candidates = with_stat(candidates, stat, of_candidates)
    return history, candidates


def _in_order(history: pa.Table) -> pa.Table:
    """Return the training rows in :data:`HISTORY_ORDER`: the table itself, as the query gives it, or a copy."""
    if not history.num_rows:
        return history
    order = pc.sort_indices(history, HISTORY_ORDER).to_numpy()
    return history if np.array_equal(order, np.arange(len(order))) else history.take(order)


def choose_model(
    warehouse: Warehouse, league: str, slate: date, stats: Iterable[str] = (), *, besides: str = ""
) -> str:
    """Return the id of the newest promoted model that may serve the slate, ``""`` if there is none.

    Its cut-off is at most :data:`OLDEST_MODEL` before the slate and never after it, and its systems are those of this
    version of the package, at least for points and these further stats.

    Args:
        besides: the id of a model that isn't meant.

    Raises:
        ModelUnreadable: a row says what its systems are, but not as JSON.
    """
    found = warehouse.query(
        queries.MODELS_BEFORE, {"league": league, "slate": slate, "oldest": slate - OLDEST_MODEL}
    )
    rows = [row for row in found.to_pylist() if row[MODEL_ID] != besides]
    return next((str(row[MODEL_ID]) for row in rows if _forecasts(row, stats)), "")


def _forecasts(row: Mapping[str, str], stats: Iterable[str] = ()) -> bool:
    """Return whether a model's systems are those of this version, of points and of these further stats at least."""
    versions = _json(row, "systems")
    found = stats_fitted(versions) if isinstance(versions, dict) else ()
    return versions == system_versions(found) and {*stats} <= {*found}


def _json(row: Mapping[str, str], column: str) -> object:
    try:
        return json.loads(row[column])
    except (ValueError, RecursionError) as error:
        raise ModelUnreadable(row[MODEL_ID], column, "is no JSON") from error


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
    warehouse: Warehouse,
    league: str,
    cutoff: date,
    history_days: int,
    *,
    now: datetime,
    stats: Sequence[str] = (),
) -> tuple[Mapping[str, Any], bool]:
    """Train a model on the games before a date and store it, unless the same data led to one that can be read.

    The newest slates before the date are kept for its trial. Without a trial it serves no slate that doesn't name it.

    Returns:
        its row in :data:`~prediction_assets.stores.sql.tables.POINTS_MODELS`, and whether it was trained now.
    """
    row, is_new, *_ = _trained(warehouse, league, cutoff, history_days, now, stats)
    if is_new:
        warehouse.upsert(POINTS_MODELS, POINTS_MODELS.arrow_table([row]))
    return row, is_new


def challenge(
    warehouse: Warehouse,
    league: str,
    cutoff: date,
    history_days: int,
    *,
    now: datetime,
    stats: Sequence[str] = (),
) -> tuple[Mapping[str, Any], bool]:
    """Train a model as :func:`train_model` does, try it against the model in force, and store it with the verdict.

    A model that was tried against the same champion is not tried again.
    """
    row, is_new, trial, sides = _trained(warehouse, league, cutoff, history_days, now, stats)
    champion, systems = _champion(warehouse, league, cutoff, str(row[MODEL_ID]))
    name = str(champion[MODEL_ID]) if champion else ""
    if row["verdict"] and (row["is_promoted"] or json.loads(row["verdict"])["champion"] == name):
        return row, False
    verdict = examine(row, champion, systems, trial, sides)
    row = {**row, "is_promoted": verdict.is_promoted, "verdict": verdict.to_json()}
    warehouse.upsert(POINTS_MODELS, POINTS_MODELS.arrow_table([row]))
    return row, is_new


def _champion(
    warehouse: Warehouse, league: str, cutoff: date, challenger: str
) -> tuple[Mapping[str, Any] | None, Mapping[str, FittedSystem] | None]:
    """Return the row and the systems of the model in force at a date; a model that can't be read is in nobody's way."""
    name = choose_model(warehouse, league, cutoff, besides=challenger)
    rows = warehouse.query(queries.MODEL_BY_ID, {MODEL_ID: name}).to_pylist() if name else []
    try:
        return (rows[0], _unpacked(rows[0]["document"], name)) if rows else (None, None)
    except ModelUnreadable:
        return None, None


def _trained(
    warehouse: Warehouse, league: str, cutoff: date, history_days: int, now: datetime, stats: Sequence[str]
) -> tuple[dict[str, Any], bool, pa.Table, Sides | None]:
    """Return a model's row, whether it was trained now, the rows that it wasn't fitted on, and all sides."""
    history, _ = read_features(warehouse, league, cutoff, history_days, stats)
    sides = past_sides(warehouse, league, cutoff, cutoff - timedelta(days=history_days))
    hashed = data_hash(content_id(history), sides)
    fitted_on, trial = keep_for_trial(history)
    stored = warehouse.query(queries.MODEL_BY_ID, {MODEL_ID: model_id(league, cutoff, hashed)}).to_pylist()
    if stored and _is_usable(stored[0]) and _json(stored[0], "libraries") == libraries():
        return stored[0], False, trial, sides
    known = sides.before(trial["game_date"][0].as_py()) if sides is not None and trial.num_rows else sides
    return model_row(_fitted(fitted_on, league, cutoff, hashed, known), now), True, trial, sides


def slate_systems(
    warehouse: Warehouse, league: str, slate: date, snapshot_id: str, *, now: datetime
) -> Mapping[str, FittedSystem]:
    """Return every system, fitted on a slate's own history: what was kept when it was fitted before, else fitted now.

    It is kept in place of what was fitted on an earlier history of the slate, and serves no other slate. The snapshot's
    history is read only if it is fitted now.

    Raises:
        SnapshotUnreadable: the snapshot's history is needed and can't be read.
    """
    with warehouse.reading():
        sides = past_sides(warehouse, league, slate, slate - timedelta(days=HISTORY_DAYS))
        hashed = data_hash(content_ids_of_snapshot(snapshot_id)[1], sides)
        key = model_id(league, slate, hashed, only_slate=True)
        kept = warehouse.query(queries.MODEL_BY_ID, {MODEL_ID: key}).to_pylist()
    if kept and _is_usable(kept[0]):
        return _unpacked(kept[0]["document"], key)
    history = warehouse.snapshots.history(slate.isoformat(), snapshot_id)
    model = _fitted(history, league, slate, hashed, sides)
    row = model_row(model, now) | {MODEL_ID: key, "only_slate": slate}
    warehouse.upsert(POINTS_MODELS, POINTS_MODELS.arrow_table([row]), replace_by=("league", "only_slate"))
    return model.fitted


def _fitted(history: pa.Table, league: str, cutoff: date, hashed: str, sides: Sides | None) -> Model:
    with without("pandas"):  # a third of what the first fit imports
        return train(history, league, cutoff, hashed, sides)


def _is_usable(row: Mapping[str, str]) -> bool:
    try:
        _unpacked(row["document"], row[MODEL_ID])
        return _forecasts(row)
    except ModelUnreadable:
        return False


def model_row(model: Model, now: datetime) -> dict[str, Any]:
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
        "libraries": json.dumps(libraries(), sort_keys=True),
        "document": pack(model.fitted),
        "is_promoted": False,
        "verdict": None,
        "trained_at": now,
    }
