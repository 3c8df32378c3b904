"""Reads the facts of one slate from batch state, the warehouse and the outbox; Dagster's come from the caller.

Reads only. An error while a source is read becomes :class:`Unreadable` in the place of its facts, except that a store
of a newer version ends the report; a locked warehouse is waited for once, not once for each question.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TypeVar

from prediction_assets import __version__
from prediction_assets.errors import BadInput, SchemaTooNew, one_line
from prediction_assets.monitoring.evidence import (
    EarlierMerge,
    GamesWithoutLogs,
    HealthFacts,
    InQuarantine,
    InstanceFacts,
    Rules,
    ScheduleFacts,
    SourceFetch,
    TableFacts,
    Unreadable,
    WarehouseFacts,
)
from prediction_assets.monitoring.thresholds import LINES_WITHIN, LOGS_WITHIN, MERGES_COMPARED
from prediction_assets.nba.forecasting.market_aware import MARKET_AWARE
from prediction_assets.nba.forecasting.systems import SYSTEMS
from prediction_assets.nba.tonight import default_slate
from prediction_assets.settings import MERGES_COMPARED_DAYS, Settings
from prediction_assets.slate.batch import Progress
from prediction_assets.slate.deadlines import Clock, first_tip_off, roster_hour
from prediction_assets.slate.keys import GAME_TIME_ZONE, NBA_LEAGUE, is_simulated, parse_slate, slate_key
from prediction_assets.slate.staged_rows import PREDICTIONS_SCHEMA_VERSION
from prediction_assets.stores.protocols import BatchState, DeadLetters, Outbox, Publisher, Warehouse
from prediction_assets.stores.sql import queries

Read = TypeVar("Read")

ReadInstance = Callable[[Progress | None, datetime, timedelta], InstanceFacts]
"""Reads the Dagster instance: the batch (None when it isn't there or unreadable), now, and the window of failures."""

_A_DAY = timedelta(days=1)
_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Sources:
    """Where the facts are read.

    Attributes:
        instance: reads the Dagster instance; or why it can't be opened.
    """

    warehouse: Callable[[], Warehouse]
    batch_state: Callable[[], BatchState]
    dead_letters: Callable[[], DeadLetters]
    outbox: Callable[[], Outbox]
    publisher: Callable[[], Publisher]
    instance: ReadInstance | Unreadable
    settings: Settings
    clock: Clock


def read_facts(sources: Sources, slate: str | None, window: timedelta) -> HealthFacts:
    """Return the facts of a slate.

    Args:
        slate: the slate to read; None for tonight's, or the newest of a simulated league.
        window: how far back failed runs and ticks are looked for.

    Raises:
        BadInput: the slate isn't a date, or it is in no schedule and has no batch.
        SchemaTooNew: a newer version made or migrated a store; no line of a report would be true.
    """
    now = sources.clock.now()
    if slate is not None:
        parse_slate(slate)
    chosen = slate or _slate_of_the_morning(sources, now)
    progress = _attempt("batch state", lambda: sources.batch_state().progress(chosen))
    # Before the warehouse: each of these is written after the receipt that it follows. Read later, a slate that is
    # merged in between would look like a warehouse that is behind.
    messages = _attempt("outbox", lambda: tuple(sources.outbox().entries(chosen)))
    delivered = _attempt("destination", lambda: sources.publisher().delivered(chosen))
    warehouse = _attempt(
        "warehouse", lambda: _warehouse_facts(sources.warehouse(), chosen, now, sources.settings)
    )
    if slate is not None and progress is None and not isinstance(warehouse, Unreadable):
        _require_known(slate, warehouse.schedule)
    simulated = not isinstance(warehouse, Unreadable) and is_simulated(warehouse.schedule.league)
    return HealthFacts(
        slate=chosen,
        now=now,
        window=window,
        roster_due=None
        if simulated
        else roster_hour(chosen, sources.settings.roster_cron, sources.settings.time_zone),
        rules=Rules(
            minimum_staged_share=sources.settings.minimum_staged_share,
            systems=_running_systems(market_aware=sources.settings.market_aware),
            schema_version=PREDICTIONS_SCHEMA_VERSION,
            code_version=__version__,
            ui_url=sources.settings.ui_url.rstrip("/"),
            acknowledged_within=timedelta(minutes=0 if simulated else sources.settings.acknowledge_minutes),
        ),
        progress=progress,
        warehouse=warehouse,
        messages=messages,
        dead_letters=_attempt("dead letters", lambda: tuple(sources.dead_letters().letters(chosen))),
        instance=_instance_facts(sources.instance, progress, now, window),
        named=slate is not None,
        damage=_attempt("batch state", lambda: sources.batch_state().damage()),
        delivered=None if isinstance(delivered, Unreadable) else delivered,
    )


def read_first_tip_off(warehouse: Warehouse, slate: str) -> datetime:
    """Return when the first game of a slate begins."""
    day = parse_slate(slate)
    span = {"league": NBA_LEAGUE, "first": day, "last": day}
    known = warehouse.query(queries.FIRST_TIP_OFFS, span)["first_tip_off"].to_pylist()
    return first_tip_off(slate, known[0] if known else None)


def in_words(error: BaseException) -> str:
    """Return an error's text as one line, after its class when it isn't one of ours."""
    text = one_line(str(error)) or "no message"
    ours = type(error).__module__.startswith("prediction_assets.")
    return text if ours else f"{type(error).__name__}: {text}"


def _running_systems(*, market_aware: bool) -> dict[str, str]:
    systems = {system.name: system.version for system in SYSTEMS}
    return {**systems, MARKET_AWARE: SYSTEMS[-1].version} if market_aware else systems


def _attempt(source: str, read: Callable[[], Read]) -> Read | Unreadable:
    try:
        return read()
    except SchemaTooNew:
        raise
    except Exception as error:  # noqa: BLE001  whatever it is, the line is red and says so
        return Unreadable(source, in_words(error))


def _instance_facts(
    read: ReadInstance | Unreadable, progress: Progress | Unreadable | None, now: datetime, window: timedelta
) -> InstanceFacts | Unreadable:
    if isinstance(read, Unreadable):
        return read
    batch = progress if isinstance(progress, Progress) else None
    return _attempt("Dagster instance", lambda: read(batch, now, window))


def _slate_of_the_morning(sources: Sources, now: datetime) -> str:
    """Return tonight's slate; of a simulated league, the newest that was opened."""
    today = now.astimezone(GAME_TIME_ZONE).date()
    try:
        warehouse = sources.warehouse()
        slate = default_slate(warehouse, today, tonight=True)
        leagues = warehouse.query(queries.SLATE_GAMES, {"slate": parse_slate(slate)})["league"].to_pylist()
        if not leagues or not is_simulated(leagues[0]):
            return slate
    except SchemaTooNew:
        raise
    except Exception:  # noqa: BLE001  a warehouse that can't be read is reported with the slate's facts
        slate = slate_key(today)
    opened = _attempt("batch state", lambda: list(sources.batch_state().recent_slates(_LONG_AGO)))
    return slate if isinstance(opened, Unreadable) or not opened else opened[-1]


def _require_known(slate: str, schedule: ScheduleFacts) -> None:
    if schedule.last_slate is not None and not schedule.covered:
        raise BadInput(
            f"slate {slate}",
            f"was never opened, and no ingested schedule covers this date (the newest ends {schedule.last_slate})",
            hint="name another with --slate, or `prediction-assets ingest --schedule FILE`",
        )


def _warehouse_facts(port: Warehouse, slate: str, now: datetime, settings: Settings) -> WarehouseFacts:
    day = parse_slate(slate)
    schedule = _schedule_facts(port, day)
    table = _table_facts(port, day)
    is_real = schedule.games > 0 and not is_simulated(schedule.league)
    receipts = tuple(port.receipts(slate))
    league = receipts[-1].league if receipts else schedule.league
    merges = port.query(
        queries.EARLIER_MERGES,
        {
            "slate": day,
            "since": day - timedelta(days=MERGES_COMPARED_DAYS),
            "league": league,
            "limit": MERGES_COMPARED,
        },
    ).to_pylist()
    newest = receipts[-1].receipt_id if receipts else ""
    return WarehouseFacts(
        schedule=schedule,
        first_tip_off=read_first_tip_off(port, slate),
        without_logs=_games_without_logs(port, schedule.league, day, _last_logged(day, now, settings))
        if is_real
        else GamesWithoutLogs(),
        newest_lines=_newest_lines(port, schedule.league, day)
        if is_real and table.rows and not table.players_with_a_line
        else None,
        receipts=receipts,
        earlier_merges=tuple(
            EarlierMerge(row["merge_ms"], row["rows_staged"], len(json.loads(row["parts"])))
            for row in merges
            if row["receipt_id"] != newest
        ),
        table=table,
        staged=tuple(port.parts.staged(slate)),
        other_slates_staged=tuple(other for other in port.parts.slates() if other != slate),
        fetches=tuple(
            SourceFetch(**row)
            for row in port.query(queries.NEWEST_FETCHES, {"since": now - _A_DAY}).to_pylist()
        ),
        quarantine=tuple(
            InQuarantine(row["facts"], row["row_count"], row["since"], row["example"])
            for row in port.query(queries.OPEN_QUARANTINE).to_pylist()
        ),
    )


def _schedule_facts(port: Warehouse, day: date) -> ScheduleFacts:
    games = port.query(queries.SLATE_GAMES, {"slate": day}).to_pylist()
    spans = {row["league"]: row for row in port.query(queries.SCHEDULE_SPANS, {"today": day}).to_pylist()}
    if not spans:
        return ScheduleFacts(0, "", None, covered=False)
    league = games[0]["league"] if games else NBA_LEAGUE if NBA_LEAGUE in spans else min(spans)
    return ScheduleFacts(
        games=len(games),
        league=league,
        last_slate=spans[league]["last_slate"],
        covered=any(span["first_slate"] <= day <= span["last_slate"] for span in spans.values()),
    )


def _last_logged(day: date, now: datetime, settings: Settings) -> date:
    """Return the last date before the slate whose logs are due; last night's are due at the roster's hour."""
    today = now.astimezone(GAME_TIME_ZONE).date()
    is_morning = now >= roster_hour(slate_key(today), settings.roster_cron, settings.time_zone)
    return min(day, today if is_morning else today - _A_DAY) - _A_DAY


def _games_without_logs(port: Warehouse, league: str, day: date, last: date) -> GamesWithoutLogs:
    dates = {"first": day - LOGS_WITHIN, "last": last, "slate": day}
    found = port.query(queries.GAMES_WITHOUT_LOGS, {"league": league, **dates}).to_pylist()[0]
    return GamesWithoutLogs(found["games"], found["since"])


def _newest_lines(port: Warehouse, league: str, day: date) -> date | None:
    dates = {"since": day - LINES_WITHIN, "slate": day}
    found: list[date | None] = port.query(queries.NEWEST_LINES, {"league": league, **dates})[
        "newest"
    ].to_pylist()
    return found[0]


def _table_facts(port: Warehouse, day: date) -> TableFacts:
    counts = port.query(queries.SLATE_TABLE, {"slate": day}).to_pylist()[0]
    versions = port.query(queries.SLATE_VERSIONS, {"slate": day}).to_pylist()
    systems: dict[str, set[str]] = {}
    for row in versions:
        systems.setdefault(row["system"], set()).add(row["system_version"])
    return TableFacts(
        rows=counts["row_count"],
        players=counts["players"],
        players_with_a_line=counts["players_with_a_line"],
        newest=counts["newest"],
        systems={name: tuple(sorted(found)) for name, found in systems.items()},
        schema_versions=tuple(sorted({row["schema_version"] for row in versions})),
        feature_snapshots=tuple(sorted({row["feature_snapshot"] for row in versions})),
    )
