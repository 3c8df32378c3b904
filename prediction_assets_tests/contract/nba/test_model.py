"""Models: trained on the past only."""

from __future__ import annotations

from datetime import date, timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from prediction_assets.errors import PredictionAssetsError
from prediction_assets.nba.forecasting.model import Model, data_hash, train
from prediction_assets.slate.staged_rows import content_id

Snapshot = tuple[pa.Table, pa.Table]
CUTOFF = date(2025, 12, 20)


def test_a_model_says_what_it_was_trained_on(league_snapshot: Snapshot, model: Model) -> None:
    history = league_snapshot[0]
    assert model.trained_rows == history.num_rows
    assert model.seasons == "2024-25, 2025-26"
    assert model.newest_game == pc.max(history["game_date"]).as_py() < model.cutoff
    assert model.data_hash == data_hash(content_id(history))
    assert set(model.systems) == set(model.fitted)


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


def test_equal_training_rows_have_one_hash_however_they_lie_in_memory(league_snapshot: Snapshot) -> None:
    history = league_snapshot[0].slice(0, 61)
    alone = history.take(pa.array(range(history.num_rows)))
    before_others = pa.concat_tables([alone, league_snapshot[0].slice(61)]).combine_chunks().slice(0, 61)
    assert content_id(before_others) == content_id(alone)
    in_chunks = pa.concat_tables([alone.slice(0, 7), alone.slice(7)])
    assert content_id(in_chunks) == content_id(alone)


def test_a_training_row_from_after_the_cut_off_is_refused(league_snapshot: Snapshot) -> None:
    with pytest.raises(PredictionAssetsError, match="train on earlier games only"):
        train(league_snapshot[0], "simulated-test", date(2025, 12, 1))
