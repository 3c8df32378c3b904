"""Models: trained on the past only, stored as text, and nothing but a model when read."""

from __future__ import annotations

import base64
import os
import pickle
import zlib
from collections.abc import Mapping
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from prediction_assets.errors import PredictionAssetsError
from prediction_assets.nba.forecasting.model import Model, ModelUnreadable, data_hash, pack, train, unpack
from prediction_assets.nba.forecasting.systems import FittedSystem
from prediction_assets_tests.unit.nba.forecasting.conftest import forecast_with

Snapshot = tuple[pa.Table, pa.Table]
CUTOFF = date(2025, 12, 20)
_MODEL = "prediction_assets.nba.forecasting.model"


def test_a_model_says_what_it_was_trained_on(league_snapshot: Snapshot, model: Model) -> None:
    history = league_snapshot[0]
    assert model.trained_rows == history.num_rows
    assert model.seasons == "2024-25, 2025-26"
    assert model.newest_game == pc.max(history["game_date"]).as_py() < model.cutoff
    assert model.data_hash == data_hash(history)
    assert set(model.systems) == set(model.fitted)


def test_a_model_read_back_forecasts_the_same_to_the_last_bit(
    league_snapshot: Snapshot, model: Model
) -> None:
    document = pack(model.fitted)
    assert document.isascii()
    before, after = (forecast_with(fitted, league_snapshot[1]) for fitted in (model.fitted, unpack(document)))
    for name, forecast in before.items():
        assert np.array_equal(forecast.mean, after[name].mean)
        assert np.array_equal(forecast.standard_deviation, after[name].standard_deviation)


def test_the_same_rows_lead_to_the_same_document(model: Model, refitted: Mapping[str, FittedSystem]) -> None:
    assert pack(refitted) == pack(model.fitted)


def test_other_facts_another_league_or_another_date_are_another_model(
    league_snapshot: Snapshot, model: Model
) -> None:
    history = league_snapshot[0].slice(0, 60)
    trained = train(history, "simulated-test", CUTOFF).model_id
    assert train(history, "simulated-test", CUTOFF).model_id == trained
    ids = {
        trained,
        train(history.slice(1), "simulated-test", CUTOFF).model_id,
        train(history, "NBA", CUTOFF).model_id,
        train(history, "simulated-test", CUTOFF + timedelta(1)).model_id,
        model.model_id,
    }
    assert len(ids) == 5


def test_a_training_row_from_after_the_cut_off_is_refused(league_snapshot: Snapshot) -> None:
    with pytest.raises(PredictionAssetsError, match="train on earlier games only"):
        train(league_snapshot[0], "simulated-test", date(2025, 12, 1))


def reference(module: str, name: str) -> str:
    """Return a document that holds nothing but what a name stands for in a module."""
    return base64.b64encode(zlib.compress(f"c{module}\n{name}\n.".encode())).decode()


class Harmful:
    def __reduce__(self) -> tuple[object, ...]:
        return os.system, ("exit 1",)


@pytest.mark.parametrize(
    "document",
    [
        "not base64!",
        base64.b64encode(b"not compressed").decode(),
        base64.b64encode(zlib.compress(b"not a pickle")).decode(),
        base64.b64encode(zlib.compress(pickle.dumps([1, 2]))).decode(),
        base64.b64encode(zlib.compress(pickle.dumps({"ensemble": Harmful()}))).decode(),
        reference(_MODEL, "fit_all"),
        reference(_MODEL, "train"),
        reference(_MODEL, "pickle.loads"),
        reference("prediction_assets.nba.forecasting", "model"),
    ],
    ids=[
        *("not base64", "not compressed", "not a pickle", "no systems", "code to run"),
        *("a function that is imported", "a function of ours", "a function of a module", "a module"),
    ],
)
def test_what_is_no_model_is_refused_in_a_line(document: str) -> None:
    with pytest.raises(ModelUnreadable, match="materialize points_model again") as refused:
        unpack(document)
    assert "\n" not in str(refused.value)
