"""Facts: game logs, schedule, prop lines and injury reports, validated and ingested idempotently.

Each asset asks the sources of the settings, files or live, or reads the path that its configuration names. It takes the
simulated league that ships with the package if nothing is named and no real facts are stored. A file or an answer with
an error is refused as a whole, with row and column; stored facts stay as they were.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from prediction_assets.errors import BadInput, one_line
from prediction_assets.ingest.game_logs import GameLogsRead, read_game_logs
from prediction_assets.ingest.injury_reports import InjuryReportsRead, read_injury_reports
from prediction_assets.ingest.live.sources import Answer, Sources
from prediction_assets.ingest.merging import (
    Merged,
    merge_game_logs,
    merge_injury_reports,
    merge_prop_lines,
    merge_schedule,
)
from prediction_assets.ingest.names import PlayerDirectory, UnresolvedName, read_aliases
from prediction_assets.ingest.prop_lines import PropLinesRead, read_prop_lines
from prediction_assets.ingest.schedule import ScheduleRead, read_schedule
from prediction_assets.nba.forecasting.lines import HIGHEST_LINE
from prediction_assets.nba.tonight import holds_real_facts
from prediction_assets.orchestration.assets.describing import (
    FACTS,
    OWNERS,
    table_metadata,
    table_of,
)
from prediction_assets.settings import Settings
from prediction_assets.simulation.league import SimulatedLeague, simulate_league
from prediction_assets.slate.deadlines import Clock
from prediction_assets.slate.keys import NBA_LEAGUE, is_simulated
from prediction_assets.stores.protocols import BatchState, Upserted, Warehouse
from prediction_assets.stores.sql import queries
from prediction_assets.stores.sql.tables import GAME_LOGS, INJURY_REPORTS, PROP_LINES, SCHEDULE, Table

NOTHING_IN_QUARANTINE = "nothing_in_quarantine"
"""The asset check of each kind of facts."""


class FactsConfig(dg.Config):
    """Where the facts come from."""

    path: str | None = Field(
        default=None,
        description="A file, or a folder of files. Empty: the sources in the settings. If none is set and no real "
        "game is ingested: the simulated league.",
    )
    simulated_players: int | None = Field(
        default=None,
        description="Take the simulated league whose slate has this many expected players (1 to 5000).",
    )
    season: str | None = Field(
        default=None,
        description="Fetch this season, such as 2026-27, from the live sources in the settings, or else from "
        "stats.nba.com. For game logs and schedule only.",
    )

    replace_omitted: bool = Field(
        default=False,
        description="Of a schedule: remove stored games that it omits on a date that it lists, and let it give a game "
        "another date. Without it such games stay, and wait in quarantine.",
    )

    def named(self) -> Path | None:
        """Return the path that the configuration names."""
        if self.path is None or self.simulated_players is not None:
            return None
        return Path(self.path).expanduser().absolute()

    def asks(self, facts: str, settings: Settings) -> bool:
        """Return whether sources are asked: for a season, or because the settings name them and this nothing else."""
        if self.simulated_players is not None or self.path is not None:
            return False
        return self.season is not None or settings.names(facts)

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
    return [
        _setting(table.name) + ("" if getattr(settings, table.name) else "_SOURCES")
        for table in tables
        if settings.names(table.name)
    ]


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
    sources: dg.ResourceParam[Sources],
    settings: dg.ResourceParam[Settings],
    clock: dg.ResourceParam[Clock],
) -> dg.MaterializeResult:
    """One row per player and game that he played, as stats.nba.com's LeagueGameLog reports it.

    Ingesting a file again changes nothing. A corrected row replaces the old one. A row that contradicts a stored game,
    or a player's stored name, waits in quarantine for an operator.
    """
    answer: Answer[GameLogsRead]
    if (path := config.named()) is not None:
        answer = Answer(read_game_logs(path), str(path))
    elif config.asks("game_logs", settings):
        answer = sources.game_logs(warehouse, config.season)
    else:
        league = config.league("game_logs", settings, warehouse)
        return _simulated(context, warehouse, GAME_LOGS, league.name, league.game_logs)
    read = answer.read
    if read is None:
        return _nothing_new(context, warehouse, GAME_LOGS, answer)
    merged = merge_game_logs(warehouse, read, answer.source, clock.now())
    return _result(
        context, warehouse, GAME_LOGS, answer.source, merged,
        left_out=dict(read.left_out),
        rows_read=read.rows_read, duplicates_dropped=read.duplicates_dropped, **_empty(context, read.empty_files),
        **_about(answer),
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
    sources: dg.ResourceParam[Sources],
    settings: dg.ResourceParam[Settings],
    clock: dg.ResourceParam[Clock],
) -> dg.MaterializeResult:
    """Every scheduled game, by US Eastern date. A game on a neutral site has no home team.

    A game leaves the schedule when it is listed as postponed. A game that is only omitted stays, and waits in
    quarantine for an operator. Players of a removed game are skipped when they are staged again.
    """
    answer: Answer[ScheduleRead]
    if (path := config.named()) is not None:
        answer = Answer(read_schedule(path), str(path))
    elif config.asks("schedule", settings):
        answer = sources.schedule(warehouse, config.season)
    else:
        league = config.league("schedule", settings, warehouse)
        return _simulated(context, warehouse, SCHEDULE, league.name, league.schedule)
    read = answer.read
    if read is None:
        return _nothing_new(context, warehouse, SCHEDULE, answer)
    merged = merge_schedule(
        warehouse, batch_state, read, answer.source, clock.now(), replace_omitted=config.replace_omitted
    )
    return _result(
        context, warehouse, SCHEDULE, answer.source, merged,
        rows_read=read.rows_read, left_out=dict(read.left_out), **_empty(context, read.empty_files),
        **_about(answer),
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
    sources: dg.ResourceParam[Sources],
    settings: dg.ResourceParam[Settings],
    clock: dg.ResourceParam[Clock],
) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
    """Points lines as the books offered them; every capture is kept.

    Optional: if the settings name real games and no lines, nothing is ingested, and players are predicted at lines
    around their median. Names resolve to player ids through the game logs, built-in nicknames and your own aliases. A
    name that doesn't resolve is never guessed: it is kept without an id and reported here. A line beyond 100 points is
    kept, counted as out of reach, and never chosen.
    """
    answer: Answer[PropLinesRead]
    if (path := config.named()) is not None:
        answer = Answer(read_prop_lines(path, _directory(warehouse, settings)), str(path))
    elif config.asks("prop_lines", settings):
        answer = sources.prop_lines(warehouse, _directory(warehouse, settings))
    elif config.simulated_players is None and _named_files(settings):
        context.log.info(
            "prop_lines: no path is named, so nothing is ingested and no player has a market line"
        )
        yield _check_result(warehouse, PROP_LINES)
        return
    else:
        league = config.league("prop_lines", settings, warehouse)
        yield _simulated(context, warehouse, PROP_LINES, league.name, league.prop_lines)
        return
    read = answer.read
    if read is None:
        context.log.info("prop_lines: %s offers nothing now", answer.source)
        yield _check_result(warehouse, PROP_LINES)
        return
    _warn_of_unresolved(context, "prop_lines", read.unresolved)
    merged = merge_prop_lines(warehouse, read, answer.source, clock.now())
    yield _result(
        context, warehouse, PROP_LINES, answer.source, merged,
        rows_read=read.rows_read,
        duplicates_dropped=read.duplicates_dropped,
        one_sided=read.one_sided,
        suspended=read.suspended,
        out_of_reach=pc.sum(pc.greater(read.table["line"], HIGHEST_LINE), min_count=0).as_py(),
        **_empty(context, read.empty_files),
        **_unresolved_metadata(read.unresolved),
        **_about(answer),
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
    sources: dg.ResourceParam[Sources],
    settings: dg.ResourceParam[Settings],
    clock: dg.ResourceParam[Clock],
) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
    """Players who may miss a game, from the NBA's official injury reports; the newest report of a date counts.

    Optional: without a path nothing is ingested, and no player is ruled out. A player who is Out in the newest report
    of a slate is skipped when he is staged next. A player who is doubtful, questionable or probable is predicted. Names
    resolve as in `prop_lines`. A name that doesn't resolve rules out no player and is reported here.
    """
    answer: Answer[InjuryReportsRead]
    if (path := config.named()) is not None:
        answer = Answer(read_injury_reports(path, _directory(warehouse, settings)), str(path))
    elif config.asks("injury_reports", settings):
        answer = sources.injury_reports(warehouse, _directory(warehouse, settings))
    else:
        context.log.info(
            "injury_reports: no path is named, so nothing is ingested and no player is ruled out"
        )
        yield _check_result(warehouse, INJURY_REPORTS)
        return
    read = answer.read
    if read is None:
        context.log.info("injury_reports: %s has published nothing new", answer.source)
        yield _check_result(warehouse, INJURY_REPORTS)
        return
    _warn_of_unresolved(context, "injury_reports", read.unresolved)
    merged = merge_injury_reports(warehouse, read, answer.source, clock.now())
    yield _result(
        context, warehouse, INJURY_REPORTS, answer.source, merged,
        rows_read=read.rows_read,
        duplicates_dropped=read.duplicates_dropped,
        not_yet_submitted=read.not_yet_submitted,
        players_out=read.players_out,
        **_empty(context, read.empty_files),
        **_unresolved_metadata(read.unresolved),
        **_about(answer),
    )  # fmt: skip


def _nothing_new(
    context: dg.AssetExecutionContext, port: Warehouse, table: Table, answer: Answer[Any]
) -> dg.MaterializeResult:
    """Return the result of a source that has published nothing: a season that hasn't begun is no failure."""
    context.log.info("%s: %s has published nothing yet", table.name, answer.source)
    return _result(context, port, table, answer.source, Merged(Upserted(0, 0, 0), ()), **_about(answer))


def _about(answer: Answer[Any]) -> dict[str, Any]:
    """Return the metadata of an answer: which sources failed, what it lacks, and what was asked of a live source."""
    found = {"failed_sources": dict(answer.failed), "missing": dict(answer.missing)}
    about: dict[str, Any] = {name: dg.MetadataValue.json(why) for name, why in found.items() if why}
    if answer.spent is not None:
        about |= {"requests_today": answer.spent.day, "requests_this_month": answer.spent.month}
        if answer.spent.remaining is not None:
            about["requests_left"] = answer.spent.remaining
    return about


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
        "unresolved": table_of(
            [{"name": u.name, "rows": u.rows, "reason": u.reason} for u in unresolved[:100]]
        ),
    }
