"""The trial of a model: each kind of bad model is refused for its own reason, and a good one is promoted."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from prediction_assets.nba.forecasting import promotion
from prediction_assets.nba.forecasting.distribution import Distribution
from prediction_assets.nba.forecasting.model import Model
from prediction_assets.nba.forecasting.model_document import pack
from prediction_assets.nba.forecasting.promotion import (
    BIAS,
    CRPS,
    ERROR,
    INTERVAL,
    Verdict,
    examine,
    keep_for_trial,
    libraries,
)
from prediction_assets.nba.forecasting.rows import Floats, Rows
from prediction_assets.nba.forecasting.stats import with_stat
from prediction_assets.nba.forecasting.systems import FittedSystem, key_of, system_versions

Snapshot = tuple[pa.Table, pa.Table]
Forecast = Callable[[Distribution, Rows], tuple[Floats, Floats]]
FIRST_TRIAL_DAY = date(2025, 11, 1)


@dataclass(frozen=True)
class Changed:
    """A system that is wrong in one way: it changes what an honest one says."""

    honest: FittedSystem
    change: Forecast

    def predict(self, rows: Rows) -> Distribution:
        return Distribution(*self.change(self.honest.predict(rows), rows))


@pytest.fixture(scope="module")
def trial(league_snapshot: Snapshot) -> pa.Table:
    """Return the made-up league's newest games."""
    history = league_snapshot[0]
    return history.filter(pc.greater_equal(history["game_date"], pa.scalar(FIRST_TRIAL_DAY)))


@pytest.fixture(scope="module")
def honest(trial: pa.Table) -> dict[str, FittedSystem]:
    """Return a simple forecast as each system: what it says follows from the row alone."""
    return dict.fromkeys(system_versions(), promotion.SIMPLE)


def described(**cells: Any) -> dict[str, Any]:
    """Return a row of ``points_models``, as far as a trial reads it."""
    return {
        "model_id": "0a1b", "newest_game": FIRST_TRIAL_DAY - timedelta(1), "document": "honest",
        "systems": json.dumps(system_versions()), "libraries": json.dumps(libraries()),
    } | cells  # fmt: skip


CHAMPION = described(model_id="c1", newest_game=date(2025, 10, 31))


def tried(
    monkeypatch: pytest.MonkeyPatch,
    systems: Mapping[str, FittedSystem],
    champion: Mapping[str, FittedSystem] | None,
    trial: pa.Table,
) -> Verdict:
    """Return the verdict on systems that are no document."""
    monkeypatch.setattr(promotion, "unpack", lambda document, name: systems)
    return examine(described(), CHAMPION if champion else None, champion, trial)


def everywhere(change: Forecast, honest: Mapping[str, FittedSystem]) -> dict[str, FittedSystem]:
    return {name: Changed(system, change) for name, system in honest.items()}


def by(points: float) -> Forecast:
    return lambda said, rows: (np.maximum(said.mean + points, 0.1), said.standard_deviation)


def spread(factor: float) -> Forecast:
    return lambda said, rows: (said.mean, said.standard_deviation * factor)


def towards_the_result(share: float) -> Forecast:
    return lambda said, rows: (
        np.maximum(said.mean + share * (rows["points"] - said.mean), 0.1),
        said.standard_deviation,
    )


def one_direction(said: Distribution, rows: Rows) -> tuple[Floats, Floats]:
    """Every player exceeds his last ten games."""
    return np.maximum(said.mean, rows["points_last_10"] + 1.5), said.standard_deviation


def stale(said: Distribution, rows: Rows) -> tuple[Floats, Floats]:
    """Nothing since the season before."""
    return np.maximum(np.nan_to_num(rows["points_previous_season"], nan=4.5), 0.1), said.standard_deviation


def shuffled_features(said: Distribution, rows: Rows) -> tuple[Floats, Floats]:
    return np.roll(said.mean, 7), np.roll(said.standard_deviation, 7)


def not_a_number(said: Distribution, rows: Rows) -> tuple[Floats, Floats]:
    return np.full(len(rows), 0.05), said.standard_deviation  # what `sane` makes of NaN


def noisy(said: Distribution, rows: Rows) -> tuple[Floats, Floats]:
    noise = np.random.default_rng(5).normal(0, 4, len(rows))
    return np.maximum(said.mean + noise, 0.1), said.standard_deviation


def everybody_the_same(said: Distribution, rows: Rows) -> tuple[Floats, Floats]:
    return np.full(len(rows), said.mean.mean()), said.standard_deviation


def upside_down(said: Distribution, rows: Rows) -> tuple[Floats, Floats]:
    return np.maximum(2 * said.mean.mean() - said.mean, 0.1), said.standard_deviation


@pytest.mark.parametrize(
    ("reason", "measure", "change"),
    [
        ("bias is +", BIAS, by(0.9)),
        ("bias is -", BIAS, by(-0.9)),
        ("bias is +", BIAS, one_direction),
        ("bias is +", BIAS, lambda said, rows: (said.mean * 1.1, said.standard_deviation)),
        ("must have seen the results", ERROR, towards_the_result(0.1)),
        ("must have seen the results", ERROR, towards_the_result(0.99)),
        ("80 % intervals cover", INTERVAL, spread(0.6)),
        ("80 % intervals cover", INTERVAL, spread(1.4)),
        ("CRPS is +", CRPS, spread(0.3)),
        ("mean absolute error is +", ERROR, stale),
        ("mean absolute error is +", ERROR, shuffled_features),
        ("mean absolute error is +", ERROR, not_a_number),
        ("mean absolute error is +", ERROR, noisy),
        ("mean absolute error is +", ERROR, everybody_the_same),
        ("mean absolute error is +", ERROR, upside_down),
    ],
)  # fmt: skip
@pytest.mark.parametrize("against", ["champion", "nobody"])
def test_a_model_that_forecasts_worse_or_too_well_is_refused(
    monkeypatch: pytest.MonkeyPatch,
    honest: dict[str, FittedSystem],
    trial: pa.Table,
    reason: str,
    measure: str,
    change: Forecast,
    against: str,
) -> None:
    bad = everywhere(change, honest)
    verdict = tried(monkeypatch, bad, honest if against == "champion" else None, trial)
    assert not verdict.is_promoted
    if against == "champion":
        assert [p for p in verdict.problems if p.startswith("ensemble: its ") and reason in p]
        assert verdict.systems["ensemble"][measure].difference != 0


def test_one_bad_system_of_five_is_enough(
    monkeypatch: pytest.MonkeyPatch, honest: dict[str, FittedSystem], trial: pa.Table
) -> None:
    verdict = tried(monkeypatch, honest | {"matchup": Changed(honest["matchup"], noisy)}, honest, trial)
    assert {problem.partition(":")[0] for problem in verdict.problems} == {"matchup"}


def test_each_further_stat_is_tried_against_the_champion_s_or_a_moving_average(
    monkeypatch: pytest.MonkeyPatch, honest: dict[str, FittedSystem], trial: pa.Table
) -> None:
    both = with_stat(trial, "rebounds", trial)
    rebounds = {key_of("rebounds", name): system for name, system in honest.items()}
    worse = rebounds | {"rebounds.matchup": Changed(honest["matchup"], noisy)}
    versions = json.dumps(system_versions(["rebounds"]))

    def problems(systems: Mapping[str, FittedSystem], champion: Mapping[str, FittedSystem]) -> set[str]:
        monkeypatch.setattr(promotion, "unpack", lambda document, name: systems)
        verdict = examine(described(systems=versions), CHAMPION, champion, both)
        assert verdict.systems.keys() == systems.keys()
        return {problem.partition(":")[0] for problem in verdict.problems}

    assert problems(honest | rebounds, honest | rebounds) == set()
    assert problems(honest | worse, honest | rebounds) == {"rebounds.matchup"}
    assert problems(honest | rebounds, honest) == {"rebounds.ensemble"}  # it doesn't beat a moving average
    better = {name: Changed(system, towards_the_result(0.02)) for name, system in rebounds.items()}
    assert problems(honest | better, honest) == set()


def truncated(document: str) -> str:
    return document[: len(document) // 2]


def edited(document: str) -> str:
    return document.replace('"prior_games": ', '"prior_games": 1', 1)


def other_format(document: str) -> str:
    return json.dumps(json.loads(document) | {"format": 99})


@pytest.mark.parametrize(
    ("reason", "cells"),
    [
        ("its libraries are", {"libraries": json.dumps({**libraries(), "scikit-learn": "0.1"})}),
        ("its libraries are", {"libraries": "{"}),
        ("its systems are", {"systems": json.dumps(system_versions() | {"ensemble": "0"})}),
        ("its systems are", {"systems": "{}"}),
        ("the trial begins on 2025-11-02", {"newest_game": date(2025, 11, 5)}),
        ("and the champion's of 2025-10-31", {"newest_game": date(2025, 10, 1)}),
        ("it was fitted on no game", {"newest_game": None}),
        ("can't be read: document is no JSON", {"document": truncated}),
        ("can't be read: sha256", {"document": edited}),
        ("can't be read: format", {"document": other_format}),
    ],
)
def test_a_model_that_can_t_be_trusted_is_refused_before_it_forecasts(
    model: Model, honest: dict[str, FittedSystem], trial: pa.Table, reason: str, cells: dict[str, Any]
) -> None:
    document = pack(model.fitted)
    change = cells.get("document", lambda whole: whole)
    verdict = examine(described(**cells | {"document": change(document)}), CHAMPION, honest, trial)
    assert not verdict.is_promoted
    assert [problem for problem in verdict.problems if reason in problem]
    assert not verdict.systems


def test_a_document_with_a_value_that_is_no_number_is_refused(
    model: Model, honest: dict[str, FittedSystem], trial: pa.Table
) -> None:
    trees: Any = model.fitted["matchup"].mean.trees  # type: ignore[attr-defined]
    mean: Any = replace(model.fitted["matchup"].mean, trees=replace(trees, value=trees.value * np.nan))  # type: ignore[attr-defined]
    bad = {**model.fitted, "matchup": replace(model.fitted["matchup"], mean=mean)}  # type: ignore[type-var]
    verdict = examine(described(document=pack(bad)), CHAMPION, honest, trial)
    (problem,) = verdict.problems
    assert "has a value that isn't finite" in problem


def test_a_trial_of_a_few_games_proves_nothing(
    monkeypatch: pytest.MonkeyPatch, honest: dict[str, FittedSystem], trial: pa.Table
) -> None:
    verdict = tried(monkeypatch, honest, honest, trial.slice(0, 60))
    (problem,) = verdict.problems
    assert problem.startswith("only 6 games are there")
    (problem,) = tried(monkeypatch, honest, honest, trial.slice(0, 0)).problems
    assert problem.startswith("only 0 games")


def test_games_that_the_champion_has_seen_are_left_out(
    monkeypatch: pytest.MonkeyPatch, honest: dict[str, FittedSystem], trial: pa.Table
) -> None:
    monkeypatch.setattr(promotion, "unpack", lambda document, name: honest)
    champion = CHAMPION | {"newest_game": date(2025, 11, 14)}
    verdict = examine(described(newest_game=date(2025, 11, 15)), champion, honest, trial)
    assert (verdict.since, verdict.is_promoted) == (date(2025, 11, 16), True)


def test_a_model_that_isn_t_worse_takes_the_champion_s_place(
    monkeypatch: pytest.MonkeyPatch, honest: dict[str, FittedSystem], trial: pa.Table
) -> None:
    for good in (honest, everywhere(by(0.02), honest), everywhere(towards_the_result(0.01), honest)):
        verdict = tried(monkeypatch, good, honest, trial)
        assert verdict.problems == ()
        assert verdict.is_promoted
    better = tried(monkeypatch, honest, everywhere(by(1.0), honest), trial)
    assert better.is_promoted
    assert better.systems["ensemble"][ERROR].difference < 0 < better.systems["ensemble"][ERROR].standard_error


def test_the_first_model_must_beat_a_moving_average(
    monkeypatch: pytest.MonkeyPatch, honest: dict[str, FittedSystem], trial: pa.Table
) -> None:
    assert tried(monkeypatch, honest, None, trial).problems == ("ensemble: it doesn't beat a moving average",)
    assert tried(monkeypatch, everywhere(towards_the_result(0.02), honest), None, trial).is_promoted


def test_the_verdict_says_in_numbers_what_was_compared(
    monkeypatch: pytest.MonkeyPatch, honest: dict[str, FittedSystem], trial: pa.Table
) -> None:
    verdict = tried(monkeypatch, everywhere(by(1.0), honest), honest, trial)
    stored = json.loads(verdict.to_json())
    assert (stored["champion"], stored["since"]) == ("c1", "2025-11-02")
    assert stored["slates"] == len(pc.unique(trial["game_date"]))
    assert stored["problems"] == [*verdict.problems]
    bias = stored["systems"]["matchup"][BIAS]
    assert bias["difference"] == pytest.approx(1.0, abs=0.01)
    assert bias["challenger"] - bias["champion"] == pytest.approx(bias["difference"], abs=1e-5)


def test_the_newest_slates_are_kept_from_the_fit(league_snapshot: Snapshot) -> None:
    fitted_on, trial = keep_for_trial(league_snapshot[0])
    days = [sorted(pc.unique(part["game_date"]).to_pylist()) for part in (fitted_on, trial)]
    assert days[0][-1] < days[1][0]
    assert len(days[1]) == int(0.2 * (len(days[0]) + len(days[1])))
    few = league_snapshot[0].slice(0, 40)
    assert keep_for_trial(few) == (few, few.slice(0, 0))
