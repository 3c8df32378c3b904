"""Facts: game logs, schedule, prop lines and injury reports, validated and ingested idempotently.

Each asset reads a file, a folder, or the simulated league that ships with the package if no path is named and no real
facts are stored. A file with an error is refused as a whole, with row and column; stored facts stay as they were.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from prediction_assets.errors import BadInput, one_line
from prediction_assets.ingest.game_logs import read_game_logs
from prediction_assets.ingest.injury_reports import read_injury_reports
from prediction_assets.ingest.merging import (
    Merged,
    merge_game_logs,
    merge_injury_reports,
    merge_prop_lines,
    merge_schedule,
)
from prediction_assets.ingest.names import PlayerDirectory, UnresolvedName, read_aliases
from prediction_assets.ingest.nba_api_source import LiveSource, fetch_game_logs, fetch_schedule
from prediction_assets.ingest.prop_lines import read_prop_lines
from prediction_assets.ingest.schedule import read_schedule
from prediction_assets.nba.forecasting.lines import HIGHEST_LINE
from prediction_assets.nba.tonight import holds_real_facts
from prediction_assets.orchestration.assets.describing import (
    FACTS,
    OWNERS,
    markdown_table,
    table_metadata,
)
from prediction_assets.settings import Settings
from prediction_assets.simulation.league import SimulatedLeague, simulate_league
from prediction_assets.slate.deadlines import Clock
from prediction_assets.slate.keys import NBA_LEAGUE, is_simulated
from prediction_assets.stores.protocols import BatchState, Warehouse
from prediction_assets.stores.sql import queries
from prediction_assets.stores.sql.tables import GAME_LOGS, INJURY_REPORTS, PROP_LINES, SCHEDULE, Table

STATS_NBA_COM = "stats.nba.com"

NOTHING_IN_QUARANTINE = "nothing_in_quarantine"
"""The asset check of each kind of facts."""


class FactsConfig(dg.Config):
    """Where the facts come from."""

    path: str | None = Field(
        default=None,
        description="A Parquet or CSV(.gz) file, or a folder of them. Empty: the path in the settings. If no path "
        "is set and no real game is ingested: the simulated league.",
    )
    simulated_players: int | None = Field(
        default=None,
        description="Take the simulated league whose slate has this many expected players (1 to 5000).",
    )
    season: str | None = Field(
        default=None,
        description="Fetch this season, such as 2026-27, from stats.nba.com (needs the extra `live`). For "
        "game logs and schedule only.",
    )

    replace_omitted: bool = Field(
        default=False,
        description="Of a schedule: remove stored games that it omits on a date that it lists, and let it give a game "
        "another date. Without it such games stay, and wait in quarantine.",
    )

    def source(self, default: Path | None) -> Path | None:
        """Return the path to read, None for the simulated league."""
        if self.simulated_players is not None:
            return None
        chosen = self.path or default
        return None if chosen is None else Path(chosen).expanduser().absolute()

    def league(self, facts: str, settings: Settings, port: Warehouse) -> SimulatedLeague:
        """Return the simulated league to take when there is no path.

        Raises:
            BadInput: the installation has real games, and the configuration doesn't name a simulated league.
        """
        expected = self.simulated_players
        if expected is None:
            _refuse_among_real_facts(facts, settings, port)
        return simulate_league(settings.simulated_players if expected is None else expected)


def _refuse_among_real_facts(facts: str, settings: Settings, port: Warehouse) -> None:
    named = _named_files(settings)
    if not named and not holds_real_facts(port):
        return
    why = f"{named[0]} is set" if named else "this home holds real games"
    raise BadInput(
        facts,
        f"no path is named, and {why}, so the simulated league is not ingested",
        hint=f"set {_setting(facts)}, or name a path, or simulated_players, in the launchpad; keep the simulated "
        "league in a home of its own",
    )


def _named_files(settings: Settings) -> list[str]:
    """Return the settings that name facts to ingest."""
    tables = (GAME_LOGS, SCHEDULE, PROP_LINES, INJURY_REPORTS)
    return [_setting(table.name) for table in tables if getattr(settings, table.name) is not None]


def _setting(facts: str) -> str:
    return f"PREDICTION_ASSETS_{facts.upper()}"


def _check(facts: Table) -> list[dg.AssetCheckSpec]:
    return [
        dg.AssetCheckSpec(
            NOTHING_IN_QUARANTINE,
            asset=facts.name,
            description="No row of these facts waits for an operator. A row that contradicts what is stored, or is "
            "beyond a limit, is not used: see `prediction-assets quarantine list`.",
        )
    ]


def _simulated(
    context: dg.AssetExecutionContext, port: Warehouse, table: Table, league: str, rows: pa.Table
) -> dg.MaterializeResult:
    """Store a simulated league's facts, which contradict nothing."""
    return _result(context, port, table, league, Merged(port.upsert(table, rows), ()))


def _result(
    context: dg.AssetExecutionContext,
    port: Warehouse,
    table: Table,
    source: str,
    merged: Merged,
    **more: Any,
) -> dg.MaterializeResult:
    """Return what an ingestion changed; ``more`` is further metadata."""
    done = merged.upserted
    stored = port.query(queries.COUNT_FACTS[table.name]).to_pylist()[0]["row_count"]
    context.log.info(
        "%s from %s: %d inserted, %d updated, %d unchanged, %d removed",
        table.name, source, done.inserted, done.updated, done.unchanged, done.removed,
    )  # fmt: skip
    for line in merged.lines():
        context.log.warning("%s from %s, in quarantine: %s", table.name, source, line)
    return dg.MaterializeResult(
        metadata={
            "source": source,
            "simulated": is_simulated(source),
            "rows_inserted": done.inserted,
            "rows_updated": done.updated,
            "rows_unchanged": done.unchanged,
            "rows_replaced": done.removed,
            "rows_quarantined": len(merged.quarantined),
            "dagster/row_count": stored,
            **({"quarantined": merged.lines(100)} if merged.quarantined else {}),
            **more,
        },
        check_results=[_check_result(port, table)],
    )


def _check_result(port: Warehouse, table: Table) -> dg.AssetCheckResult:
    waiting = {row["facts"]: row for row in port.query(queries.OPEN_QUARANTINE).to_pylist()}.get(table.name)
    return dg.AssetCheckResult(
        check_name=NOTHING_IN_QUARANTINE,
        asset_key=table.name,
        passed=waiting is None,
        severity=dg.AssetCheckSeverity.WARN,
        description=None if waiting is None else one_line(waiting["example"], 400),
        metadata={"rows_in_quarantine": 0 if waiting is None else waiting["row_count"]},
    )


@dg.asset(
    group_name=FACTS,
    owners=OWNERS,
    kinds={"duckdb"},
    metadata=table_metadata(GAME_LOGS),
    check_specs=_check(GAME_LOGS),
)
def game_logs(
    context: dg.AssetExecutionContext,
    config: FactsConfig,
    warehouse: dg.ResourceParam[Warehouse],
    live_source: dg.ResourceParam[LiveSource],
    settings: dg.ResourceParam[Settings],
    clock: dg.ResourceParam[Clock],
) -> dg.MaterializeResult:
    """One row per player and game that he played, as stats.nba.com's LeagueGameLog reports it.

    Ingesting a file again changes nothing. A corrected row replaces the old one. A row that contradicts a stored game,
    or a player's stored name, waits in quarantine for an operator.
    """
    if config.season is not None:
        source, read = STATS_NBA_COM, fetch_game_logs(config.season, live_source.game_logs)
    else:
        path = config.source(settings.game_logs)
        if path is None:
            league = config.league("game_logs", settings, warehouse)
            return _simulated(context, warehouse, GAME_LOGS, league.name, league.game_logs)
        source, read = str(path), read_game_logs(path)
    return _result(
        context, warehouse, GAME_LOGS, source, merge_game_logs(warehouse, read, source, clock.now()),
        left_out=dict(read.left_out),
        rows_read=read.rows_read, duplicates_dropped=read.duplicates_dropped, **_empty(context, read.empty_files),
    )  # fmt: skip


@dg.asset(
    group_name=FACTS,
    owners=OWNERS,
    kinds={"duckdb"},
    metadata=table_metadata(SCHEDULE),
    check_specs=_check(SCHEDULE),
)
def schedule(
    context: dg.AssetExecutionContext,
    config: FactsConfig,
    warehouse: dg.ResourceParam[Warehouse],
    batch_state: dg.ResourceParam[BatchState],
    live_source: dg.ResourceParam[LiveSource],
    settings: dg.ResourceParam[Settings],
    clock: dg.ResourceParam[Clock],
) -> dg.MaterializeResult:
    """Every scheduled game, by US Eastern date. A game on a neutral site has no home team.

    A game leaves the schedule when it is listed as postponed. A game that is only omitted stays, and waits in
    quarantine for an operator. Players of a removed game are skipped when they are staged again.
    """
    if config.season is not None:
        source, read = STATS_NBA_COM, fetch_schedule(config.season, live_source.schedule)
    else:
        path = config.source(settings.schedule)
        if path is None:
            league = config.league("schedule", settings, warehouse)
            return _simulated(context, warehouse, SCHEDULE, league.name, league.schedule)
        source, read = str(path), read_schedule(path)
    merged = merge_schedule(
        warehouse, batch_state, read, source, clock.now(), replace_omitted=config.replace_omitted
    )
    return _result(
        context, warehouse, SCHEDULE, source, merged,
        rows_read=read.rows_read, left_out=dict(read.left_out), **_empty(context, read.empty_files),
    )  # fmt: skip


@dg.asset(
    group_name=FACTS,
    owners=OWNERS,
    kinds={"duckdb"},
    metadata=table_metadata(PROP_LINES),
    check_specs=_check(PROP_LINES),
    deps=["game_logs"],
    output_required=False,
)
def prop_lines(
    context: dg.AssetExecutionContext,
    config: FactsConfig,
    warehouse: dg.ResourceParam[Warehouse],
    settings: dg.ResourceParam[Settings],
    clock: dg.ResourceParam[Clock],
) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
    """Points lines as the books offered them; every capture is kept.

    Optional: if the settings name real games and no lines, nothing is ingested, and players are predicted at lines
    around their median. Names resolve to player ids through the game logs, built-in nicknames and your own aliases. A
    name that doesn't resolve is never guessed: it is kept without an id and reported here. A line beyond 100 points is
    kept, counted as out of reach, and never chosen.
    """
    path = config.source(settings.prop_lines)
    if path is None:
        if config.simulated_players is None and _named_files(settings):
            context.log.info(
                "prop_lines: no path is named, so nothing is ingested and no player has a market line"
            )
            yield _check_result(warehouse, PROP_LINES)
            return
        league = config.league("prop_lines", settings, warehouse)
        yield _simulated(context, warehouse, PROP_LINES, league.name, league.prop_lines)
        return
    read = read_prop_lines(path, _directory(warehouse, settings))
    _warn_of_unresolved(context, "prop_lines", read.unresolved)
    yield _result(
        context, warehouse, PROP_LINES, str(path), merge_prop_lines(warehouse, read, str(path), clock.now()),
        rows_read=read.rows_read,
        duplicates_dropped=read.duplicates_dropped,
        one_sided=read.one_sided,
        suspended=read.suspended,
        out_of_reach=pc.sum(pc.greater(read.table["line"], HIGHEST_LINE), min_count=0).as_py(),
        **_empty(context, read.empty_files),
        **_unresolved_metadata(read.unresolved),
    )  # fmt: skip


@dg.asset(
    group_name=FACTS,
    owners=OWNERS,
    kinds={"duckdb"},
    metadata=table_metadata(INJURY_REPORTS),
    check_specs=_check(INJURY_REPORTS),
    deps=["game_logs"],
    output_required=False,
)
def injury_reports(
    context: dg.AssetExecutionContext,
    config: FactsConfig,
    warehouse: dg.ResourceParam[Warehouse],
    settings: dg.ResourceParam[Settings],
    clock: dg.ResourceParam[Clock],
) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
    """Players who may miss a game, from the NBA's official injury reports; the newest report of a date counts.

    Optional: without a path nothing is ingested, and no player is ruled out. A player who is Out in the newest report
    of a slate is skipped when he is staged next. A player who is doubtful, questionable or probable is predicted. Names
    resolve as in `prop_lines`. A name that doesn't resolve rules out no player and is reported here.
    """
    path = config.source(settings.injury_reports)
    if path is None:
        context.log.info(
            "injury_reports: no path is named, so nothing is ingested and no player is ruled out"
        )
        yield _check_result(warehouse, INJURY_REPORTS)
        return
    read = read_injury_reports(path, _directory(warehouse, settings))
    _warn_of_unresolved(context, "injury_reports", read.unresolved)
    yield _result(
        context, warehouse, INJURY_REPORTS, str(path), merge_injury_reports(warehouse, read, str(path), clock.now()),
        rows_read=read.rows_read,
        duplicates_dropped=read.duplicates_dropped,
        not_yet_submitted=read.not_yet_submitted,
        players_out=read.players_out,
        **_empty(context, read.empty_files),
        **_unresolved_metadata(read.unresolved),
    )  # fmt: skip


def _empty(context: dg.AssetExecutionContext, files: Sequence[str]) -> dict[str, Any]:
    """Log which files have a header and no rows, and return the metadata that lists them."""
    if files:
        context.log.info("%d files have a header and no rows: %s", len(files), ", ".join(files[:10]))
    return {"empty_files": list(files[:100])} if files else {}


def _directory(port: Warehouse, settings: Settings) -> PlayerDirectory:
    """Return the players that a name can mean: by the game logs' spellings and the user's aliases."""
    aliases = read_aliases(Path(settings.player_aliases)) if settings.player_aliases else {}
    known = port.query(queries.KNOWN_PLAYERS, {"league": NBA_LEAGUE}).to_pylist()
    return PlayerDirectory.from_rows(known, aliases)


def _warn_of_unresolved(
    context: dg.AssetExecutionContext, facts: str, unresolved: Sequence[UnresolvedName]
) -> None:
    if unresolved:
        context.log.warning(
            "%s: %d names did not resolve to a player and have no id: %s",
            facts, len(unresolved), ", ".join(u.name for u in unresolved[:10]),
        )  # fmt: skip


def _unresolved_metadata(unresolved: Sequence[UnresolvedName]) -> dict[str, Any]:
    return {
        "unresolved_names": len(unresolved),
        "unresolved": markdown_table(
            [{"name": u.name, "rows": u.rows, "reason": u.reason} for u in unresolved[:100]]
        ),
    }
