"""The forecasting systems, registered in one place.

A system is a name, a version and a function that learns a mean from the training rows; :class:`MeanSystem` adds the
standard deviation from out-of-sample errors. To add a system: write ``fit_mean`` in a module of its own, add a line
to :data:`BASE_SYSTEMS` and declare its class in :mod:`.model_document`; the ensemble includes it. What doesn't belong
here: lines and recommendations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol, cast

import numpy as np
import pyarrow as pa

from prediction_assets.errors import PredictionAssetsError
from prediction_assets.nba.forecasting import gradient_boosting, matchup, moving_average, similarity
from prediction_assets.nba.forecasting.availability import Availability, fit_availability
from prediction_assets.nba.forecasting.candidates import Sides
from prediction_assets.nba.forecasting.distribution import SMALLEST_MEAN, Distribution
from prediction_assets.nba.forecasting.ensemble import EnsembleMean, fit_weights
from prediction_assets.nba.forecasting.rows import Floats, History, Rows
from prediction_assets.nba.forecasting.spread import Spread, fit_spread
from prediction_assets.nba.forecasting.stats import POINTS, STATS, of_stat, stats_in


class Mean(Protocol):
    """A fitted mean: rows to expected points, each from its own row alone."""

    def __call__(self, rows: Rows) -> Floats:
        """Return expected points, shape (n,)."""


class FittedSystem(Protocol):
    """A system that was fitted on the training rows."""

    def predict(self, rows: Rows) -> Distribution:
        """Return the distribution of each row's points; it doesn't depend on the other rows."""


class System(Protocol):
    """A forecasting system."""

    @property
    def name(self) -> str:
        """The system's name, as predictions carry it."""

    @property
    def version(self) -> str:
        """Changes whenever the same inputs may give other numbers."""

    def fit(self, history: History) -> FittedSystem:
        """Learn from the training rows; any number of them, zero included."""


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A mean with its spread, and the correction of the mean by the injury report, None if nothing was learnt of it."""

    mean: Mean
    spread: Spread
    availability: Availability | None = None

    def predict(self, rows: Rows) -> Distribution:
        """Return finite means and standard deviations, both positive, shape (n,)."""
        mean = rows.once(self.mean, lambda: self.mean(rows))
        if self.availability is not None:
            mean = mean + self.availability(rows)
        mean = sane(mean)
        return Distribution(mean, self.spread.standard_deviation(mean, rows))


@dataclass(frozen=True, slots=True)
class MeanSystem:
    """A system made of one function that learns a mean."""

    name: str
    version: str
    fit_mean: Callable[[History], Mean]

    def fit(self, history: History) -> Fitted:
        """Fit the mean on all training rows, and the spread on the holdout by a fit that never saw it."""
        errors = self.out_of_sample(history)
        spread = fit_spread(*errors) if errors is not None else Spread()
        return Fitted(history.fitted(self.fit_mean), spread)

    def out_of_sample(self, history: History) -> tuple[Floats, Rows] | None:
        """Return forecasts of the holdout by a fit on the rows before it, and the holdout; None without a holdout."""
        if history.holdout is None:
            return None
        before, held_out = history.holdout
        mean = before.fitted(self.fit_mean)
        return sane(held_out.once(mean, lambda: mean(held_out))), held_out


@dataclass(frozen=True, slots=True)
class Ensemble:
    """The weighted mean of other systems; weights and spread from their errors on the holdout."""

    name: str
    version: str
    members: tuple[MeanSystem, ...]

    def fit(self, history: History) -> Fitted:
        """Weight the members by their out-of-sample errors; equally where there is too little history."""
        forecasts = [member.out_of_sample(history) for member in self.members]
        means = tuple(history.fitted(member.fit_mean) for member in self.members)
        known = [forecast for forecast in forecasts if forecast is not None]
        if len(known) < len(self.members):
            return Fitted(EnsembleMean(means, (1.0 / len(means),) * len(means)), Spread())
        held_out = known[0][1]
        weights = fit_weights(np.column_stack([mean for mean, _ in known]), held_out["points"])
        combined = np.zeros(len(held_out))
        for weight, (mean, _) in zip(weights, known, strict=True):
            combined += weight * mean
        return Fitted(EnsembleMean(means, weights), fit_spread(combined, held_out))


BASE_SYSTEMS = (
    MeanSystem("moving_average", "5", moving_average.fit_mean),
    MeanSystem("matchup", "5", matchup.fit_mean),
    MeanSystem("similarity", "5", similarity.fit_mean),
    MeanSystem("gradient_boosting", "5", gradient_boosting.fit_mean),
)

NETWORK = MeanSystem("network", "1", gradient_boosting.fit_network_mean)
"""A member of the ensemble alone, without rows of its own: its use is that it errs otherwise than trees do."""

SYSTEMS: tuple[System, ...] = (*BASE_SYSTEMS, Ensemble("ensemble", "6", (*BASE_SYSTEMS, NETWORK)))


def system_versions(stats: Iterable[str] = ()) -> dict[str, str]:
    """Return the version by name of the registered systems, of points and of these further stats.

    A model with others can't be used.
    """
    return {key_of(stat, system.name): system.version for stat in (POINTS, *stats) for system in SYSTEMS}


def key_of(stat: str, system: str) -> str:
    """Return the name that a system of a stat has in a model: ``ensemble`` of points, ``rebounds.ensemble``."""
    return system if stat == POINTS else f"{stat}.{system}"


def stats_fitted(names: Iterable[str]) -> tuple[str, ...]:
    """Return the further stats that a model has systems of, by the names of its systems."""
    found = {name.partition(".")[0] for name in names if "." in name}
    return tuple(stat for stat in STATS if stat in found)


def of_fitted(fitted: Mapping[str, FittedSystem], stat: str) -> dict[str, FittedSystem]:
    """Return a stat's systems by name.

    Raises:
        PredictionAssetsError: the model has none of this stat.
    """
    try:
        return {system.name: fitted[key_of(stat, system.name)] for system in SYSTEMS}
    except KeyError as error:
        raise PredictionAssetsError(
            f"the model has no system {error}; run `prediction-assets train`"
        ) from None


def with_report(systems: Mapping[str, FittedSystem], rows: Rows, sides: Sides | None) -> Rows:
    """Return rows with what the newest report says of them, as one stat's systems read it."""
    ensemble = systems[SYSTEMS[-1].name]
    if sides is not None and isinstance(ensemble, Fitted) and ensemble.availability is not None:
        rows.attach(ensemble.availability.columns(rows, sides))
    return rows


def fit_all(history: pa.Table, sides: Sides | None = None) -> dict[str, FittedSystem]:
    """Fit every registered system on the training rows (:data:`.features.FEATURES_SCHEMA`), in any order.

    Further stats that the rows have features of are fitted, too.

    Args:
        sides: of dates with injury reports before the slate: the systems of a stat share the correction that is learnt
            from them.

    Raises:
        BadInput: the table lacks a feature column.
    """
    fitted: dict[str, FittedSystem] = {}
    for stat in (POINTS, *stats_in(history)):
        rows = History(of_stat(history, stat))
        availability = None
        if sides is not None:
            # Of the forecasts without a report this one is at hand for the regulars, and nearly the best.
            availability = fit_availability(rows, rows.fitted(matchup.fit_mean)(rows.regulars), sides)
        for system in SYSTEMS:
            fitted[key_of(stat, system.name)] = replace(
                cast("Fitted", system.fit(rows)), availability=availability
            )
    return fitted


def sane(mean: Floats) -> Floats:
    """Return the means with the smallest positive mean as floor; NaN, which no system should give, becomes the
    floor.
    """
    return np.maximum(np.nan_to_num(mean, nan=SMALLEST_MEAN, posinf=SMALLEST_MEAN), SMALLEST_MEAN)
