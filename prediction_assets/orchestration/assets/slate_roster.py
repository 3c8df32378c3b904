"""Tonight's slate and its expected players: where a batch begins.

Unpartitioned, materialized daily; it adds the slate's dynamic partition keys and opens the batch. What
follows is asked for by the sensors, from what this asset left in batch state.
"""

from datetime import datetime, timedelta

import dagster as dg
from pydantic import Field

from prediction_assets.nba.subject import Subject
from prediction_assets.orchestration.assets.describing import OWNERS, SLATE
from prediction_assets.orchestration.assets.tagging import tag_run
from prediction_assets.orchestration.markdown import markdown_table
from prediction_assets.orchestration.partitions import SLATE_PLAYERS, SLATES
from prediction_assets.settings import Settings
from prediction_assets.slate.batch import Batch, ExpectedPlayer
from prediction_assets.slate.deadlines import Clock, deadline
from prediction_assets.slate.keys import is_simulated, player_key
from prediction_assets.slate.roster_freeze import require_same_work
from prediction_assets.steps.failpoints import reached
from prediction_assets.stores.protocols import BatchState, Warehouse

FRESH_EVERY_MORNING = dg.FreshnessPolicy.time_window(
    warn_window=timedelta(hours=26), fail_window=timedelta(hours=28)
)
"""The only asset that is materialized every day, games or not; a day with a clock change has 25 hours."""


class RosterConfig(dg.Config):
    """Which slate to open."""

    slate: str | None = Field(
        default=None,
        description="The games' date, YYYY-MM-DD. Empty: tonight, or the latest scheduled slate when the "
        "schedule doesn't reach tonight; of a simulated league, its next slate that isn't finished.",
    )
    reopen: bool = Field(
        default=False,
        description="Replace the expected players of a batch that is open already. Outcomes of players who "
        "stay as they were are kept; who is new, or in another game or team, is staged.",
    )


@dg.asset(
    group_name=SLATE,
    owners=OWNERS,
    kinds={"python", "duckdb", "sqlite"},
    deps=["game_logs", "schedule"],
    freshness_policy=FRESH_EVERY_MORNING,
)
def slate_roster(
    context: dg.AssetExecutionContext,
    config: RosterConfig,
    subject: dg.ResourceParam[Subject],
    warehouse: dg.ResourceParam[Warehouse],
    batch_state: dg.ResourceParam[BatchState],
    settings: dg.ResourceParam[Settings],
    clock: dg.ResourceParam[Clock],
) -> dg.MaterializeResult:
    """Tonight's slate and its expected players; opens the batch.

    A player is expected when his team plays, he appeared in the last 15 days and averaged 15 minutes or more
    over his last seven games, all judged on facts from before the slate. On opening night, or when his team
    has not played for more than 15 days, the 15 days are counted back from its last game. Adds the `slates`
    and `slate_players` partition keys and freezes the expected players. Materializing again changes nothing
    unless the facts changed; then it fails, unless `reopen: true`. A day without games materializes with 0,
    and everything downstream rests; reopened when its games were called off, what was announced of it is taken
    back.
    """
    state, now = batch_state, clock.now()
    slate = config.slate or subject.tonight(warehouse, state, now)
    roster = subject.roster(warehouse, slate)
    due = deadline(now, settings.deadline_minutes, settings.deadline_local_time, settings.time_zone)
    earlier = state.progress(slate)
    if not roster.games:
        # Games that were called off stay their league's.
        batch = _batch(slate, earlier.batch.league if earlier else "", 0, (), now, due)
        called_off = earlier is not None and bool(earlier.batch.expected)
        if called_off:  # what was announced is taken back, which needs the slate's key
            context.instance.add_dynamic_partitions(SLATES.name or "", [slate])
        opened = state.reopen(batch) if called_off and config.reopen else state.open(batch)
        context.log.info(
            "slate %s: no games%s, nothing to predict", slate, " any more" if called_off else "",
            extra={"slate": slate},
        )  # fmt: skip
        if called_off:
            tag_run(context, slate, opened.batch_id)
        return dg.MaterializeResult(metadata={"slate": slate, "games": 0, "expected_players": 0})

    games, players, league = roster.games, roster.players, roster.league
    batch = _batch(slate, league, len(games), players, now, due)
    if earlier is not None and not config.reopen:
        require_same_work(earlier.batch, batch)  # before any key is registered

    context.instance.add_dynamic_partitions(SLATES.name or "", [slate])
    context.instance.add_dynamic_partitions(
        SLATE_PLAYERS.name or "", [player_key(slate, p.slug) for p in players]
    )
    reached("keys_registered")
    changed = earlier is not None and earlier.batch.expected != players
    opened = state.reopen(batch) if changed and config.reopen else state.open(batch)
    reached("batch_opened")
    tag_run(context, slate, opened.batch_id)
    context.log.info(
        "slate %s: batch %s open, %d games, %d expected players, deadline %s",
        slate, opened.batch_id, len(games), len(players), opened.deadline.isoformat(timespec="seconds"),
        extra={"slate": slate, "batch": opened.batch_id},
    )  # fmt: skip
    return dg.MaterializeResult(
        metadata={
            "slate": slate,
            "league": league,
            "simulated": is_simulated(league),
            "batch_id": opened.batch_id,
            "games": len(games),
            "expected_players": len(players),
            "candidates": roster.candidates,
            "deadline": dg.MetadataValue.timestamp(opened.deadline),
            "matchups": markdown_table(
                [
                    {**game, "expected_players": sum(p.game_id == game["game_id"] for p in players)}
                    for game in games
                ]
            ),
        },
    )


def _batch(
    slate: str,
    league: str,
    games: int,
    players: tuple[ExpectedPlayer, ...],
    now: datetime,
    deadline: datetime,
) -> Batch:
    return Batch(
        slate=slate,
        batch_id=f"{slate}@{now:%Y%m%dT%H%M%SZ}",
        league=league,
        games=games,
        opened_at=now,
        deadline=deadline,
        expected=players,
    )
