"""The one reader of facts, for the health report and for alerts: batch state, warehouse, outbox and, by a function of
the caller's, Dagster.

Reads only. An error while a source is read becomes :class:`Unreadable` in the place of its facts, except that a store
of a newer version ends the report; a locked warehouse is waited for once, not once for each question.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import TypeVar

from prediction_assets import __version__
from prediction_assets.errors import BadInput, SchemaTooNew, TransientError, one_line
from prediction_assets.monitoring.batch_findings import announced_at
from prediction_assets.monitoring.coverage import gaps, season_begin
from prediction_assets.monitoring.freshness import FEEDS
from prediction_assets.monitoring.health_facts import (
    EarlierMerge,
    GamesWithoutLogs,
    HealthFacts,
    InQuarantine,
    InstanceFacts,
    Rules,
    ScheduleFacts,
    SourceFetch,
    StaleFacts,
    TableFacts,
    Unreadable,
    WarehouseFacts,
)
from prediction_assets.monitoring.thresholds import LINES_WITHIN, MERGES_COMPARED, NO_ROSTER_AFTER
from prediction_assets.nba.forecasting.lines import OFFSETS
from prediction_assets.nba.forecasting.market_aware import MARKET_AWARE
from prediction_assets.nba.forecasting.systems import SYSTEMS
from prediction_assets.nba.season import calendar_of
from prediction_assets.nba.tonight import Tonight, default_slate, read_first_tip_off, read_tonight
from prediction_assets.settings import MERGES_COMPARED_DAYS, SOURCES, Settings
from prediction_assets.slate.acknowledgement import handover
from prediction_assets.slate.batch import Progress
from prediction_assets.slate.deadlines import RECENT_DAYS, Clock, end_of_slate, first_tip_off, roster_hour
from prediction_assets.slate.keys import (
    GAME_TIME_ZONE,
    NBA_LEAGUE,
    is_simulated,
    is_slate,
    parse_slate,
    slate_key,
)
from prediction_assets.slate.staged_rows import PREDICTIONS_SCHEMA_VERSION
from prediction_assets.stores.alert import Severity
from prediction_assets.stores.profiles import Stores
from prediction_assets.stores.protocols import Warehouse
from prediction_assets.stores.sql import queries

Read = TypeVar("Read")

ReadInstance = Callable[[Progress | None, datetime, timedelta], InstanceFacts]
"""Reads the Dagster instance: the batch (None when it isn't there or unreadable), now, and the window of failures."""

ReadStale = Callable[[Progress, Warehouse, datetime, Sequence[str]], StaleFacts | None]
"""Compares what a slate's players were staged from with the facts now; None when nothing changed or can change."""

_A_DAY = timedelta(days=1)
_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Sources:
    """Where the facts are read."""

    stores: Stores  # each is opened when it is read
    # reads the Dagster instance; or its facts, or why it can't be opened; None: nobody asks it
    instance: ReadInstance | InstanceFacts | Unreadable | None
    settings: Settings
    clock: Clock
    stale: ReadStale | None = None  # reads what changed since the players were staged; None: nobody asks


def read_facts(
    sources: Sources, slate: str | None, window: timedelta, *, warehouse: bool = True
) -> HealthFacts:
    """Return the facts of a slate.

    Args:
        slate: the slate to read; None for tonight's, or the newest of a simulated league.
        window: how far back failed runs and ticks are looked for.
        warehouse: False: the warehouse is opened only for the games of a slate whose batch is late.

    Raises:
        BadInput: the slate isn't a date, or it is in no schedule and has no batch.
        SchemaTooNew: a newer version made or migrated a store; no line of a report would be true.
    """
    now, settings = sources.clock.now(), sources.settings
    if slate is not None:
        parse_slate(slate)
    chosen = slate or _slate_of_the_morning(sources, now)
    progress = _attempt("batch state", lambda: sources.stores.batch_state.progress(chosen))
    # Before the warehouse: each of these is written after the receipt that it follows. Read later, a slate that is
    # merged in between would look like a warehouse that is behind.
    messages = _attempt("outbox", lambda: tuple(sources.stores.outbox.entries(chosen)))
    delivered = (
        _attempt("destination", lambda: sources.stores.publisher.delivered(chosen)) if warehouse else None
    )
    roster_due = roster_hour(chosen, settings.roster_cron, settings.time_zone)
    schedule: ScheduleFacts | Unreadable | None = None
    in_warehouse: WarehouseFacts | Unreadable | None = None
    if warehouse or (progress is None and now >= roster_due + NO_ROSTER_AFTER):
        schedule = _attempt(
            "warehouse", lambda: _schedule_facts(sources.stores.warehouse, parse_slate(chosen), now)
        )
    if isinstance(schedule, ScheduleFacts) and warehouse:
        known = schedule
        in_warehouse = _attempt(
            "warehouse", lambda: _warehouse_facts(sources.stores.warehouse, known, chosen, now, settings)
        )
    elif warehouse:
        in_warehouse = schedule if isinstance(schedule, Unreadable) else None
    if slate is not None and progress is None and warehouse and isinstance(schedule, ScheduleFacts):
        _require_known(slate, schedule)
    league = progress.batch.league if isinstance(progress, Progress) else ""
    simulated = is_simulated(league) or (
        isinstance(schedule, ScheduleFacts) and is_simulated(schedule.league)
    )
    within = timedelta(minutes=0 if simulated else settings.acknowledge_minutes)
    begins: datetime | None = None
    waits = not isinstance(messages, Unreadable) and handover(messages).waiting_since is not None
    if within and waits and not isinstance(in_warehouse, Unreadable):
        tip_off = _attempt("warehouse", lambda: read_first_tip_off(sources.stores.warehouse, chosen))
        begins = first_tip_off(chosen, None) if isinstance(tip_off, Unreadable) else tip_off
    instance = _instance_facts(sources.instance, progress, now, window)
    unfinished: frozenset[str] = frozenset()
    if isinstance(instance, InstanceFacts):
        instance, unfinished = _with_what_was_repaired(sources, instance, now)
    systems = _running_systems(market_aware=settings.market_aware)
    return HealthFacts(
        slate=chosen,
        now=now,
        window=window,
        roster_due=None if simulated and now < roster_due else roster_due,
        rules=Rules(
            minimum_staged_share=settings.minimum_staged_share,
            systems=systems,
            schema_version=PREDICTIONS_SCHEMA_VERSION,
            code_version=__version__,
            ui_url=settings.ui_url.rstrip("/"),
            board=settings.board_link(chosen),
            time_zone=settings.time_zone,
            sources=frozenset(facts for facts in SOURCES if settings.names(facts)),
            staging=str(settings.home / "staging") if settings.profile == "local" else "",
            acknowledged_within=within,
            fetch_every=timedelta(minutes=settings.fetch_minutes),
            refresh_alert=None if settings.refresh_alert == "off" else Severity(settings.refresh_alert),
            rows_a_player=len(settings.markets) * len(systems) * len(OFFSETS),
        ),
        progress=progress,
        schedule=schedule,
        warehouse=in_warehouse,
        messages=messages,
        dead_letters=_attempt("dead letters", lambda: tuple(sources.stores.dead_letters.letters(chosen))),
        instance=instance,
        first_tip_off=begins,
        tonight=None if simulated else _tonight(sources, chosen, progress, schedule, roster_due, now),
        unfinished=unfinished,
        named=slate is not None,
        damage=_attempt("batch state", lambda: sources.stores.batch_state.damage()) if warehouse else "",
        delivered=None if isinstance(delivered, Unreadable) else delivered,
        stale=_stale(sources, progress, now),
    )


def _tonight(
    sources: Sources,
    slate: str,
    progress: Progress | Unreadable | None,
    schedule: ScheduleFacts | Unreadable | None,
    roster_due: datetime,
    now: datetime,
) -> Tonight | Unreadable | None:
    """Return how new the slate's facts are, from its roster to its end, where a source of them is set."""
    games = progress.batch.games if isinstance(progress, Progress) else 0
    games = games or (schedule.games if isinstance(schedule, ScheduleFacts) else 0)
    is_time = roster_due <= now < end_of_slate(slate)
    if not games or not is_time or not any(sources.settings.names(facts) for facts in FEEDS):
        return None
    return _attempt("warehouse", lambda: read_tonight(sources.stores.warehouse, parse_slate(slate)))


def _stale(
    sources: Sources, progress: Progress | Unreadable | None, now: datetime
) -> StaleFacts | Unreadable | None:
    read = sources.stale
    if read is None or not isinstance(progress, Progress):
        return None
    return _attempt("facts", lambda: read(progress, sources.stores.warehouse, now, sources.settings.markets))


def _with_what_was_repaired(
    sources: Sources, instance: InstanceFacts, now: datetime
) -> tuple[InstanceFacts, frozenset[str]]:
    """Return the instance's facts and the slates of failed runs that are open and not announced.

    A run that failed before its slate was announced was repaired by then, whatever its job was.
    """
    announced: dict[str, datetime] = {}
    unfinished = set()
    for slate in {failure.slate for failure in instance.failures if is_slate(failure.slate)}:
        progress = _attempt("batch state", partial(sources.stores.batch_state.progress, slate))
        if progress is None:
            continue
        unfinished.add(slate)
        delivered = announced_at(
            progress, _attempt("outbox", partial(sources.stores.outbox.entries, slate)), now
        )
        if delivered is not None:
            announced[slate] = delivered
    failures = tuple(
        replace(f, recovered=True) if f.at <= announced.get(f.slate, _LONG_AGO) else f
        for f in instance.failures
    )
    return replace(instance, failures=failures), frozenset(unfinished - announced.keys())


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
        return Unreadable(source, in_words(error), isinstance(error, TransientError))


def _instance_facts(
    read: ReadInstance | InstanceFacts | Unreadable | None,
    progress: Progress | Unreadable | None,
    now: datetime,
    window: timedelta,
) -> InstanceFacts | Unreadable | None:
    if read is None or isinstance(read, (InstanceFacts, Unreadable)):
        return read
    batch = progress if isinstance(progress, Progress) else None
    return _attempt("Dagster instance", lambda: read(batch, now, window))


def _slate_of_the_morning(sources: Sources, now: datetime) -> str:
    """Return tonight's slate; of a simulated league, the newest that was opened.

    Where the schedule ended: its last slate as long as its batch is recent, and then today's date.
    """
    today = now.astimezone(GAME_TIME_ZONE).date()
    opened = _attempt("batch state", lambda: list(sources.stores.batch_state.recent_slates(_LONG_AGO)))
    recent = _attempt(
        "batch state",
        lambda: list(sources.stores.batch_state.recent_slates(now - timedelta(days=RECENT_DAYS))),
    )
    try:
        warehouse = sources.stores.warehouse
        slate = default_slate(warehouse, today, tonight=True)
        leagues = warehouse.query(queries.SLATE_GAMES, {"slate": parse_slate(slate)})["league"].to_pylist()
        if not leagues or not is_simulated(leagues[0]):
            is_shown = slate >= slate_key(today) or (not isinstance(recent, Unreadable) and slate in recent)
            return slate if is_shown else slate_key(today)
    except SchemaTooNew:
        raise
    except Exception:  # noqa: BLE001  a warehouse that can't be read is reported with the slate's facts
        slate = slate_key(today)
    return slate if isinstance(opened, Unreadable) or not opened else opened[-1]


def _require_known(slate: str, schedule: ScheduleFacts) -> None:
    if schedule.last_slate is not None and not schedule.covered:
        raise BadInput(
            f"slate {slate}",
            f"was never opened, and no ingested schedule covers this date (the newest ends {schedule.last_slate})",
            hint="name another with --slate, or `prediction-assets ingest --schedule FILE`",
        )


def _warehouse_facts(
    port: Warehouse, schedule: ScheduleFacts, slate: str, now: datetime, settings: Settings
) -> WarehouseFacts:
    day = parse_slate(slate)
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
    fetches = port.query(queries.NEWEST_FETCHES, {"since": now - _A_DAY}).to_pylist()
    return WarehouseFacts(
        without_logs=_games_without_logs(port, schedule.league, day, _last_logged(day, now, settings))
        if is_real
        else GamesWithoutLogs(),
        without_schedule=_without_schedule(port, schedule.league, day) if is_real else None,
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
        strays=tuple(port.parts.strays(slate)),
        other_slates_staged=tuple(other for other in port.parts.slates() if other != slate),
        fetches=tuple(SourceFetch(**row) for row in fetches),
        requests={source: _requests(port, source, now) for source in {row["source"] for row in fetches}},
        quarantine=tuple(
            InQuarantine(row["facts"], row["row_count"], row["since"], row["example"])
            for row in port.query(queries.OPEN_QUARANTINE).to_pylist()
        ),
    )


def _requests(port: Warehouse, source: str, now: datetime) -> tuple[int, int]:
    midnight = now.astimezone(GAME_TIME_ZONE).replace(hour=0, minute=0, second=0, microsecond=0)
    since = {"source": source, "day": midnight, "month": midnight.replace(day=1)}
    counted = port.query(queries.REQUESTS_SPENT, since).to_pylist()[0]
    return int(counted["day"]), int(counted["month"])


def _schedule_facts(port: Warehouse, day: date, now: datetime) -> ScheduleFacts:
    games = port.query(queries.SLATE_GAMES, {"slate": day}).to_pylist()
    spans = {row["league"]: row for row in port.query(queries.SCHEDULE_SPANS, {"today": day}).to_pylist()}
    if not spans:
        return ScheduleFacts(0, "", None, covered=False)
    league = games[0]["league"] if games else NBA_LEAGUE if NBA_LEAGUE in spans else min(spans)
    today = now.astimezone(GAME_TIME_ZONE).date()
    calendar = calendar_of(port, today)
    return ScheduleFacts(
        games=len(games),
        league=league,
        last_slate=spans[league]["last_slate"],
        covered=any(span["first_slate"] <= day <= span["last_slate"] for span in spans.values()),
        off_season=league == NBA_LEAGUE and calendar.is_off_season(today),
        following=calendar.following,
    )


def _last_logged(day: date, now: datetime, settings: Settings) -> date:
    """Return the last date before the slate whose logs are due; last night's are due at the roster's hour."""
    today = now.astimezone(GAME_TIME_ZONE).date()
    is_morning = now >= roster_hour(slate_key(today), settings.roster_cron, settings.time_zone)
    return min(day, today if is_morning else today - _A_DAY) - _A_DAY


def _games_without_logs(port: Warehouse, league: str, day: date, last: date) -> GamesWithoutLogs:
    dates = {"first": season_begin(day), "last": last, "slate": day}
    found = port.query(queries.GAMES_WITHOUT_LOGS, {"league": league, **dates}).to_pylist()[0]
    return GamesWithoutLogs(found["games"], found["since"])


def _without_schedule(port: Warehouse, league: str, day: date) -> tuple[date, date] | None:
    """Return the first and the last date of the first hole in the season up to a date."""
    span = {"first": season_begin(day), "last": day}
    known = port.query(queries.SLATES_BETWEEN, span).to_pylist()
    missing = list(gaps([row["game_date"] for row in known if row["league"] == league]))
    if not missing:
        return None
    following = (n for n, each in enumerate(missing) if each - missing[0] != timedelta(days=n))
    return missing[0], missing[next(following, len(missing)) - 1]


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
