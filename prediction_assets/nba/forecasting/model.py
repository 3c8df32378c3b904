"""A trained model: every fitted system, and what it was trained on.

What doesn't belong here: a model as text (:mod:`.model_document`), storing it, and when to train.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from prediction_assets.errors import PredictionAssetsError
from prediction_assets.nba.forecasting.candidates import Sides
from prediction_assets.nba.forecasting.stats import stats_in
from prediction_assets.nba.forecasting.systems import FittedSystem, fit_all, system_versions
from prediction_assets.slate.staged_rows import content_id

_OLDEST_SEASON = 1946


@dataclass(frozen=True, slots=True)
class Model:
    """Every system, fitted on the games before a date."""

    model_id: str  # derived from league, cut-off, systems and data, so equal inputs give an equal id
    league: str
    cutoff: date  # all training games are before this date, so it may be used for slates from this date on
    newest_game: date | None  # date of the newest of those games; None without any
    trained_rows: int  # player-games before the cut-off
    seasons: str  # the seasons of those games, such as `2022-23, 2023-24`
    data_hash: str  # :func:`data_hash` of its training rows, those of its trial included
    systems: Mapping[str, str]  # version by name of the systems in it
    fitted: Mapping[str, FittedSystem]


def data_hash(history_id: str, sides: Sides | None = None) -> str:
    """Return SHA-256 over the :func:`content_id` of the training rows and of the sides."""
    of_sides = "" if sides is None else content_id(sides.candidates, sides.reported)
    return hashlib.sha256(f"{history_id}|{of_sides}".encode()).hexdigest()


def model_id(league: str, cutoff: date, hashed: str, *, only_slate: bool = False) -> str:
    """Return the id of the model of this league, cut-off and :func:`data_hash`; of one slate's it is another one."""
    versions = ",".join(f"{name}={version}" for name, version in sorted(system_versions().items()))
    serves = "|only" if only_slate else ""
    return hashlib.sha256(f"{league}|{cutoff}|{versions}|{hashed}{serves}".encode()).hexdigest()[:20]


def train(
    history: pa.Table, league: str, cutoff: date, hashed: str | None = None, sides: Sides | None = None
) -> Model:
    """Fit every registered system on the training rows.

    Args:
        history: training rows of :data:`.features.FEATURES_SCHEMA`, all before ``cutoff``.
        hashed: :func:`data_hash` of the rows and sides, where it is known already.
        sides: of the dates before the cut-off that have injury reports.

    Raises:
        PredictionAssetsError: a training row is not from before the cut-off.
    """
    newest = pc.max(history["game_date"]).as_py() if history.num_rows else None
    if newest is not None and newest >= cutoff:
        raise PredictionAssetsError(
            f"model of {league} before {cutoff}: a training row is of {newest}; train on earlier games only"
        )
    hashed = hashed or data_hash(content_id(history), sides)
    seasons = sorted({season % 10_000 for season in pc.unique(history["season_id"]).to_pylist() if season})
    return Model(
        model_id=model_id(league, cutoff, hashed),
        league=league,
        cutoff=cutoff,
        newest_game=newest,
        trained_rows=history.num_rows,
        seasons=", ".join(f"{s}-{(s + 1) % 100:02d}" for s in seasons if s >= _OLDEST_SEASON),
        data_hash=hashed,
        systems=system_versions(stats_in(history)),
        fitted=fit_all(history, sides),
    )
