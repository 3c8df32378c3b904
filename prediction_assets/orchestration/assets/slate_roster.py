"""Tonight's slate and its expected players: where a batch begins.

Unpartitioned, materialized daily. It adds the slate's dynamic partition keys, opens the batch in batch state, which
the sensors follow, and pins its features, which a run of their own would only delay.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

import dagster as dg
from pydantic import Field

from prediction_assets.nba.roster import Roster, read_roster
from prediction_assets.nba.slate_facts import read_slate_facts
from prediction_assets.nba.tonight import slate_tonight
from prediction_assets.orchestration.assets.describing import OWNERS, SLATE, table_of
from prediction_assets.orchestration.assets.player_features import log_features
from prediction_assets.orchestration.partitions import SLATE_PLAYERS, SLATES
from prediction_assets.orchestration.run_tags import tag_run
from prediction_assets.settings import Settings
from prediction_assets.slate.batch import Batch, Progress
from prediction_assets.slate.deadlines import Clock, deadline
from prediction_assets.slate.keys import is_simulated, player_key
from prediction_assets.slate.roster_freeze import keeping, require_same_work, roster_change
from prediction_assets.steps.failpoints import reached
from prediction_assets.steps.pin import keep_pinned, pin_features
from prediction_assets.steps.revert import keep_in_force
from prediction_assets.stores.protocols import BatchState, Warehouse, open_progress

FRESH_EVERY_MORNING = dg.FreshnessPolicy.time_window(
    warn_window=timedelta(hours=26), fail_window=timedelta(hours=28)
)
"""The only asset that is materialized every day, games or not; a day with a clock change has 25 hours."""


class RosterConfig(dg.Config):
    """Which slate to open."""

    slate: str | None = Field(
        default=None,
        description="The games' date, YYYY-MM-DD. Empty: tonight, or the last scheduled slate if the schedule "
        "doesn't reach tonight. For a simulated league: its first slate that isn't merged.",
    )
    reopen: bool = Field(
        default=False,
        description="Accept that players of an open batch are in another team or game, or against another opponent, "
        "or that no game is on any more. They are staged again; players who are the same keep their outcomes.",
    )
    pin_again: bool = Field(
        default=False,
        description="Pin the features again although the batch has some, unless these are from the games, the players, "
        "the model and the version of now. Whoever was staged from the earlier ones is staged again when the slate is.",
    )


@dg.asset(
    group_name=SLATE,
    owners=OWNERS,
    kinds={"python", "duckdb", "sqlite"},
    deps=["game_logs", "prop_lines", "schedule"],
    freshness_policy=FRESH_EVERY_MORNING,
)
def slate_roster(
    context: dg.AssetExecutionContext,
    config: RosterConfig,
    warehouse: dg.ResourceParam[Warehouse],
    batch_state: dg.ResourceParam[BatchState],
    settings: dg.ResourceParam[Settings],
    clock: dg.ResourceParam[Clock],
) -> Iterator[dg.MaterializeResult]:
    """Tonight's slate and its expected players; opens the batch and pins its features.

    A player is expected if his team plays, he appeared in the last 15 days, and he averaged 15 minutes or more over
    his last seven games. Only facts from before the slate count. If his team has not played for more than 15 days, as
    on opening night, the 15 days are counted back from its last game. A player with a line on his team's game is
    expected in any case.

    Adds the `slates` and `slate_players` partition keys and freezes the expected players. Materializing again takes
    new players in and absent ones out; everybody else keeps his outcome. If a player's team, opponent or game changed,
    it fails unless `reopen: true`. The players of games that have begun stay as they are. A day without games has 0
    expected players, and nothing follows. If all games of an announced slate were called off, reopen it: its
    predictions are retracted.
    """
    slate = config.slate or slate_tonight(warehouse, batch_state, clock.now())
    with warehouse.reading():
        roster = read_roster(warehouse, slate)
    earlier = batch_state.progress(slate)
    batch = _batch(slate, roster, earlier, clock.now(), settings)
    if not roster.games:
        yield _open_without_games(context, batch_state, batch, earlier, reopen=config.reopen)
        return
    league = roster.league
    if earlier is not None and batch.expected != earlier.batch.expected:
        begun = read_slate_facts(warehouse, slate, batch.league).begun(clock.now())
        batch = keeping(earlier.batch, batch, begun)
        if not config.reopen and (
            earlier.batch.league != batch.league or roster_change(earlier.batch, batch).changed
        ):
            require_same_work(earlier.batch, batch)  # before any key is registered
    players = batch.expected

    context.instance.add_dynamic_partitions(SLATES.name or "", [slate])
    context.instance.add_dynamic_partitions(
        SLATE_PLAYERS.name or "", [player_key(slate, p.slug) for p in players]
    )
    reached("keys_registered")
    changed = earlier is not None and earlier.batch.expected != players
    opened = batch_state.reopen(batch) if changed else batch_state.open(batch)
    reached("batch_opened")
    now_open = open_progress(batch_state, slate)
    if now_open.receipt is None and not now_open.outcomes:
        keep_in_force(slate, warehouse, batch_state, settings, clock, run_id=context.run.run_id)
    tag_run(context, slate, opened.batch_id)
    context.log.info(
        "slate %s: batch %s open, %d games, %d expected players, deadline %s",
        slate, opened.batch_id, opened.games, len(players), opened.deadline.isoformat(timespec="seconds"),
        extra={"slate": slate, "batch": opened.batch_id},
    )  # fmt: skip
    yield dg.MaterializeResult(
        metadata={
            "slate": slate,
            "league": league,
            "simulated": is_simulated(league),
            "batch_id": opened.batch_id,
            "games": len(roster.games),
            "expected_players": len(players),
            "candidates": roster.candidates,
            "deadline": dg.MetadataValue.timestamp(opened.deadline),
            "matchups": table_of(
                [
                    {**game, "expected_players": sum(p.game_id == game["game_id"] for p in players)}
                    for game in roster.games
                ]
            ),
        }
    )
    # After the roster's own event: if this fails, the batch is open, and the sensors request the features.
    pinned = now_open.feature_snapshot is not None
    if not players or (pinned and not config.pin_again):
        return
    if not pinned or not keep_pinned(slate, warehouse, batch_state, settings.markets):
        log_features(context, pin_features(slate, warehouse, batch_state, settings.markets))


def _batch(slate: str, roster: Roster, earlier: Progress | None, now: datetime, settings: Settings) -> Batch:
    league = roster.league
    if not roster.games and earlier is not None:  # games that were called off stay their league's
        league = earlier.batch.league
    return Batch(
        slate=slate,
        batch_id=f"{slate}@{now:%Y%m%dT%H%M%SZ}",
        league=league,
        games=len(roster.games),
        opened_at=now,
        deadline=deadline(now, settings.deadline_minutes, settings.deadline_local_time, settings.time_zone),
        expected=roster.players,
    )


def _open_without_games(
    context: dg.AssetExecutionContext,
    state: BatchState,
    batch: Batch,
    earlier: Progress | None,
    *,
    reopen: bool,
) -> dg.MaterializeResult:
    """Open the batch of a day without games, or reopen one whose games were called off."""
    slate = batch.slate
    called_off = earlier is not None and bool(earlier.batch.expected)
    if called_off:  # the retraction is merged and announced, which needs the slate's key
        context.instance.add_dynamic_partitions(SLATES.name or "", [slate])
    opened = state.reopen(batch) if called_off and reopen else state.open(batch)
    context.log.info(
        "slate %s: no games%s, nothing to predict", slate, " any more" if called_off else "",
        extra={"slate": slate},
    )  # fmt: skip
    if called_off:
        tag_run(context, slate, opened.batch_id)
    return dg.MaterializeResult(metadata={"slate": slate, "games": 0, "expected_players": 0})
