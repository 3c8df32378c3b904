"""Pin: compute a slate's features and choose its model, store both as one snapshot, and record its id in the batch."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from prediction_assets.nba.forecast import AskedFeatures, features_digest, slate_features
from prediction_assets.nba.forecasting.stats import further_stats
from prediction_assets.nba.model_store import HISTORY_DAYS, choose_model
from prediction_assets.slate.batch import Batch
from prediction_assets.slate.keys import parse_slate
from prediction_assets.steps.claim import claim_fence
from prediction_assets.steps.failpoints import reached
from prediction_assets.stores.protocols import BatchState, Warehouse, open_progress

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class PinnedFeatures:
    """What a batch will be forecast from."""

    snapshot_id: str
    players: pa.Table  # one row per player with features
    history: pa.Table  # one row per past player-game; none if there is a model
    model_id: str  # the stored model, '' when the systems are fitted on the history
    batch: Batch  # the batch that expects the players
    facts_version: int  # the version of the facts before they were read


def pin_features(
    key: str, warehouse: Warehouse, state: BatchState, markets: Sequence[str] = ()
) -> PinnedFeatures:
    """Write the features of a slate's expected players as a snapshot, and record its id in the batch.

    The snapshot is named by its content: with the same facts a second call changes nothing but the fence. If another
    run pinned features with a higher fence meanwhile, those stay.
    """
    # In this order: what is read after the claim is as new as the fence says, or newer.
    fence = claim_fence(key, warehouse, state)
    with warehouse.reading():
        facts_version = warehouse.facts_version()
        batch = open_progress(state, key).batch
        asked = _asked(batch, warehouse, markets)
        digest = features_digest(warehouse, asked)
        players, history = slate_features(warehouse, asked)
    snapshot_id = warehouse.snapshots.write(batch.slate, players, history)
    reached("features_written")
    counts = state.pin_features(
        batch.slate,
        snapshot_id,
        fence=fence,
        facts_version=facts_version,
        made_from=_made_from(snapshot_id, digest),
    )
    reached("features_pinned")
    if not counts:
        _logger.warning(
            "slate %s: feature snapshot %s is not pinned: another run pinned later ones", batch.slate, snapshot_id,
            extra={"slate": batch.slate, "batch": batch.batch_id},
        )  # fmt: skip
    _logger.info(
        "slate %s: feature snapshot %s, %d players, %d past player-games",
        batch.slate, snapshot_id, players.num_rows, history.num_rows,
        extra={"slate": batch.slate, "batch": batch.batch_id},
    )  # fmt: skip
    return PinnedFeatures(snapshot_id, players, history, asked.model_id, batch, facts_version)


def keep_pinned(key: str, warehouse: Warehouse, state: BatchState, markets: Sequence[str] = ()) -> bool:
    """Keep the pinned features of a slate if pinning again would pin the same ones, and return whether they are kept.

    They have the fence and the facts version of now then, as if they had been pinned again. Features that can't be read
    are not kept.
    """
    fence = claim_fence(key, warehouse, state)
    with warehouse.reading():
        facts_version = warehouse.facts_version()
        progress = open_progress(state, key)
        snapshot_id = progress.feature_snapshot or ""
        made_from = _made_from(
            snapshot_id, features_digest(warehouse, _asked(progress.batch, warehouse, markets))
        )
    if made_from != progress.features_made_from or not warehouse.snapshots.is_whole(key, snapshot_id):
        return False
    state.pin_features(key, snapshot_id, fence=fence, facts_version=facts_version, made_from=made_from)
    return True


def _made_from(snapshot_id: str, digest: str) -> str:
    """Return what batch state keeps: it is about this snapshot, whoever pins another one and says nothing of it."""
    return f"{snapshot_id} {digest}"


def _asked(batch: Batch, warehouse: Warehouse, markets: Sequence[str]) -> AskedFeatures:
    """Return which features of which players a batch is forecast from, the model's id included."""
    slate, stats = parse_slate(batch.slate), further_stats(markets)
    model_id = choose_model(warehouse, batch.league, slate, stats)
    players = [player.player_id for player in batch.expected]
    return AskedFeatures(batch.league, slate, players, HISTORY_DAYS, model_id, stats)
