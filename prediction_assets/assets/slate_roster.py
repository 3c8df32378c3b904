"""Tonight's slate and its expected players: where a batch begins.

Unpartitioned, materialized daily; it adds the slate's dynamic partition keys and opens the batch. What
follows is asked for by the sensors, from what this asset left in batch state.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import dagster as dg
from pydantic import Field

from prediction_assets.assets.describing import OWNERS, SLATE, is_simulated, markdown_table, tag_run
from prediction_assets.batch_state.freezing import require_same_work
from prediction_assets.batch_state.port import Batch, BatchState, ExpectedPlayer
from prediction_assets.crash_points import reached
from prediction_assets.errors import BadInput, PredictionAssetsError
from prediction_assets.keys import parse_slate, player_key, slate_key
from prediction_assets.partitions import SLATE_PLAYERS, SLATES
from prediction_assets.resources import BatchStateResource, SettingsResource, WarehouseResource
from prediction_assets.roster import CANDIDATE_LOOKBACK, FORM_GAMES, expected_players
from prediction_assets.warehouse import sql
from prediction_assets.warehouse.port import Warehouse
from prediction_assets.warehouse.tables import NBA_LEAGUE

GAME_TIME_ZONE = ZoneInfo("America/New_York")
"""A game belongs to its US Eastern calendar date."""


FRESH_EVERY_MORNING = dg.FreshnessPolicy.time_window(
    warn_window=timedelta(hours=26), fail_window=timedelta(hours=28)
)
"""The only asset that is materialized every day, games or not; a day with a clock change has 25 hours."""


class NobodyExpected(PredictionAssetsError):
    """There are games, but no player can be expected from the game logs before them."""


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
        "stay expected are kept.",
    )


def default_slate(warehouse: Warehouse, today: date, *, tonight: bool) -> str:
    """Return the slate that is meant when none is named.

    In season that is tonight's date, games or not, or with ``tonight`` false the newest slate up to today
    that has games. A schedule that doesn't reach today gives its last slate. While there is no real schedule,
    a simulated league gives the slate that follows its game logs.

    Raises:
        BadInput: no schedule was ingested.
    """
    spans = {row["league"]: row for row in warehouse.query(sql.SCHEDULE_SPANS, {"today": today}).to_pylist()}
    real = spans.get(NBA_LEAGUE)
    if real is not None:
        if tonight and real["first_slate"] <= today <= real["last_slate"]:
            return slate_key(today)
        return slate_key(real["newest_slate"] or real["last_slate"])
    following = [row["next_slate"] for row in spans.values() if row["next_slate"]]
    if not following:
        raise BadInput(
            "schedule", "no schedule was ingested", hint="materialize schedule, or `prediction-assets run`"
        )
    return slate_key(max(following))


def _tonight(warehouse: Warehouse, state: BatchState, today: date) -> str:
    """Return the slate that a click without a configuration means.

    A simulated league has no tonight: its slates come one after another, so that each click has one to carry.
    """
    slate = default_slate(warehouse, today, tonight=True)
    games = warehouse.query(sql.SLATE_GAMES, {"slate": parse_slate(slate)})["league"].to_pylist()
    if not games or not is_simulated(games[0]):
        return slate
    days = warehouse.query(sql.SLATES_FROM, {"slate": parse_slate(slate), "league": games[0]})
    for day in days["game_date"].to_pylist():
        progress = state.progress(slate_key(day))
        if progress is None or progress.receipt is None:
            return slate_key(day)
    return slate


def _require_in_schedule(warehouse: Warehouse, slate: str) -> None:
    """Tell a day without games from a day that no schedule knows of."""
    day = parse_slate(slate)
    spans = warehouse.query(sql.SCHEDULE_SPANS, {"today": day}).to_pylist()
    if not any(span["first_slate"] <= day <= span["last_slate"] for span in spans):
        known = "; ".join(f"{s['league']} {s['first_slate']} .. {s['last_slate']}" for s in spans) or "none"
        raise BadInput(
            f"slate {slate}",
            f"no ingested schedule covers this date ({known})",
            hint="ingest the schedule that does: `prediction-assets ingest --schedule FILE`",
        )


def _league(games: Sequence[dict[str, str]], slate: str) -> str:
    leagues = sorted({game["league"] for game in games})
    if len(leagues) > 1:
        raise BadInput(
            f"slate {slate}", f"has games of {' and '.join(leagues)}", hint="keep one league per home"
        )
    return leagues[0]


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
    warehouse: WarehouseResource,
    batch_state: BatchStateResource,
    settings: SettingsResource,
) -> dg.MaterializeResult:
    """Tonight's slate and its expected players; opens the batch.

    A player is expected when his team plays, he appeared in the last 15 days and averaged 15 minutes or more
    over his last seven games, all judged on facts from before the slate. Adds the `slates` and
    `slate_players` partition keys and freezes the expected set: materializing again is a no-op while the
    facts agree, and a clear error when they don't (`reopen: true` takes the new facts over). A day without
    games materializes with 0, and everything downstream rests.
    """
    port, state, now = warehouse.port, batch_state.port, settings.now()
    slate = config.slate or _tonight(port, state, now.astimezone(GAME_TIME_ZONE).date())
    day = parse_slate(slate)
    games = port.query(sql.SLATE_GAMES, {"slate": day}).to_pylist()
    if not games:
        _require_in_schedule(port, slate)
        context.log.info("slate %s: no games, nothing to predict", slate, extra={"slate": slate})
        state.open(_batch(slate, "", 0, (), now, settings.deadline(now)))
        return dg.MaterializeResult(metadata={"slate": slate, "games": 0, "expected_players": 0})

    league = _league(games, slate)
    candidates = port.query(
        sql.ROSTER_CANDIDATES,
        {"slate": day, "league": league, "since": day - CANDIDATE_LOOKBACK, "form_games": FORM_GAMES},
    ).to_pylist()
    players = expected_players(candidates, day)
    if not players:
        raise NobodyExpected(
            f"slate {slate}: {len(games)} games, but no game log before it expects anybody "
            f"({len(candidates)} candidates); ingest the game logs of the weeks, or the season, before"
        )
    batch = _batch(slate, league, len(games), players, now, settings.deadline(now))
    earlier = state.progress(slate)
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
            "candidates": len(candidates),
            "deadline": dg.MetadataValue.timestamp(opened.deadline),
            "matchups": markdown_table(
                [
                    {
                        "game_id": game["game_id"],
                        "home": game["home_team"] or f"{game['team_a']} (neutral site)",
                        "away": game["away_team"] or f"{game['team_b']} (neutral site)",
                        "expected_players": sum(p.game_id == game["game_id"] for p in players),
                    }
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
