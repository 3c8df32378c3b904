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

from prediction_assets.errors import BadInput
from prediction_assets.ingest.game_logs import GameLogsRead, read_game_logs
from prediction_assets.ingest.injury_reports import InjuryReportsRead, read_injury_reports
from prediction_assets.ingest.live.sources import Answer, Sources
from prediction_assets.ingest.names import PlayerDirectory, UnresolvedName, read_aliases
from prediction_assets.ingest.prop_lines import PropLinesRead, read_prop_lines
from prediction_assets.ingest.schedule import ScheduleRead, read_schedule
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
from prediction_assets.slate.keys import NBA_LEAGUE, is_simulated
from prediction_assets.stores.protocols import Warehouse
from prediction_assets.stores.sql import queries
from prediction_assets.stores.sql.tables import GAME_LOGS, INJURY_REPORTS, PROP_LINES, SCHEDULE, Table

LINES_REPLACED_BY = ("event_id", "capture", "bookmaker", "player_name")
"""A capture is all that a book offered on a player: lines that it no longer contains are removed."""

SCHEDULE_REPLACED_BY = ("league", "game_date")
"""A schedule lists all games of each date that it names: games that it no longer lists on that date are removed."""

INJURIES_REPLACED_BY = ("league", "reported_at")
"""A report is all that was known when it was published: a corrected copy replaces it."""


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


def _store(
    context: dg.AssetExecutionContext,
    port: Warehouse,
    table: Table,
    source: str,
    rows: pa.Table,
    replace_by: tuple[str, ...] = (),
    also_replaced: pa.Table | None = None,
    **more: Any,
) -> dg.MaterializeResult:
    """Upsert facts and return what changed; ``more`` is further metadata."""
    done = port.upsert(table, rows, replace_by, also_replaced)
    stored = port.query(queries.COUNT_FACTS[table.name]).to_pylist()[0]["row_count"]
    context.log.info(
        "%s from %s: %d inserted, %d updated, %d unchanged, %d replaced",
        table.name, source, done.inserted, done.updated, done.unchanged, done.removed,
    )  # fmt: skip
    return dg.MaterializeResult(
        metadata={
            "source": source,
            "simulated": is_simulated(source),
            "rows_inserted": done.inserted,
            "rows_updated": done.updated,
            "rows_unchanged": done.unchanged,
            "rows_replaced": done.removed,
            "dagster/row_count": stored,
            **more,
        }
    )


@dg.asset(group_name=FACTS, owners=OWNERS, kinds={"duckdb"}, metadata=table_metadata(GAME_LOGS))
def game_logs(
    context: dg.AssetExecutionContext,
    config: FactsConfig,
    warehouse: dg.ResourceParam[Warehouse],
    sources: dg.ResourceParam[Sources],
    settings: dg.ResourceParam[Settings],
) -> dg.MaterializeResult:
    """One row per player and game that he played, as stats.nba.com's LeagueGameLog reports it.

    Ingesting a file again changes nothing. A corrected row replaces the old one.
    """
    answer: Answer[GameLogsRead]
    if (path := config.named()) is not None:
        answer = Answer(read_game_logs(path), str(path))
    elif config.asks("game_logs", settings):
        answer = sources.game_logs(warehouse, config.season)
    else:
        league = config.league("game_logs", settings, warehouse)
        return _store(context, warehouse, GAME_LOGS, league.name, league.game_logs)
    read = answer.read
    if read is None:
        return _nothing_new(context, warehouse, GAME_LOGS, answer)
    return _store(
        context, warehouse, GAME_LOGS, answer.source, read.table,
        rows_read=read.rows_read, duplicates_dropped=read.duplicates_dropped, **_about(answer),
    )  # fmt: skip


@dg.asset(group_name=FACTS, owners=OWNERS, kinds={"duckdb"}, metadata=table_metadata(SCHEDULE))
def schedule(
    context: dg.AssetExecutionContext,
    config: FactsConfig,
    warehouse: dg.ResourceParam[Warehouse],
    sources: dg.ResourceParam[Sources],
    settings: dg.ResourceParam[Settings],
) -> dg.MaterializeResult:
    """Every scheduled game, by US Eastern date. A game on a neutral site has no home team.

    A file is complete for each date that it contains, and a season's JSON for each date from its first game to its
    last. A game that is no longer listed on such a date, or is listed as postponed, is removed; a game that moved
    changes its date. Players of a removed game are skipped when they are staged again.
    """
    answer: Answer[ScheduleRead]
    if (path := config.named()) is not None:
        answer = Answer(read_schedule(path), str(path))
    elif config.asks("schedule", settings):
        answer = sources.schedule(warehouse, config.season)
    else:
        league = config.league("schedule", settings, warehouse)
        return _store(context, warehouse, SCHEDULE, league.name, league.schedule)
    read = answer.read
    if read is None:
        return _nothing_new(context, warehouse, SCHEDULE, answer)
    return _store(
        context, warehouse, SCHEDULE, answer.source, read.table, SCHEDULE_REPLACED_BY, read.dates,
        rows_read=read.rows_read, left_out=dict(read.left_out), **_about(answer),
    )  # fmt: skip


@dg.asset(
    group_name=FACTS,
    owners=OWNERS,
    kinds={"duckdb"},
    metadata=table_metadata(PROP_LINES),
    deps=["game_logs"],
    output_required=False,
)
def prop_lines(
    context: dg.AssetExecutionContext,
    config: FactsConfig,
    warehouse: dg.ResourceParam[Warehouse],
    sources: dg.ResourceParam[Sources],
    settings: dg.ResourceParam[Settings],
) -> Iterator[dg.MaterializeResult]:
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
        return
    else:
        league = config.league("prop_lines", settings, warehouse)
        yield _store(context, warehouse, PROP_LINES, league.name, league.prop_lines, LINES_REPLACED_BY)
        return
    read = answer.read
    if read is None:
        context.log.info("prop_lines: %s offers nothing now", answer.source)
        return
    _warn_of_unresolved(context, "prop_lines", read.unresolved)
    yield _store(
        context, warehouse, PROP_LINES, answer.source, read.table, LINES_REPLACED_BY,
        rows_read=read.rows_read,
        duplicates_dropped=read.duplicates_dropped,
        one_sided=read.one_sided,
        suspended=read.suspended,
        out_of_reach=pc.sum(pc.greater(read.table["line"], HIGHEST_LINE), min_count=0).as_py(),
        **_unresolved_metadata(read.unresolved),
        **_about(answer),
    )  # fmt: skip


@dg.asset(
    group_name=FACTS,
    owners=OWNERS,
    kinds={"duckdb"},
    metadata=table_metadata(INJURY_REPORTS),
    deps=["game_logs"],
    output_required=False,
)
def injury_reports(
    context: dg.AssetExecutionContext,
    config: FactsConfig,
    warehouse: dg.ResourceParam[Warehouse],
    sources: dg.ResourceParam[Sources],
    settings: dg.ResourceParam[Settings],
) -> Iterator[dg.MaterializeResult]:
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
        return
    read = answer.read
    if read is None:
        context.log.info("injury_reports: %s has published nothing new", answer.source)
        return
    _warn_of_unresolved(context, "injury_reports", read.unresolved)
    yield _store(
        context, warehouse, INJURY_REPORTS, answer.source, read.table, INJURIES_REPLACED_BY,
        rows_read=read.rows_read,
        duplicates_dropped=read.duplicates_dropped,
        not_yet_submitted=read.not_yet_submitted,
        players_out=read.players_out,
        **_unresolved_metadata(read.unresolved),
        **_about(answer),
    )  # fmt: skip


def _nothing_new(
    context: dg.AssetExecutionContext, port: Warehouse, table: Table, answer: Answer[Any]
) -> dg.MaterializeResult:
    """Return the result of a source that has published nothing: a season that hasn't begun is no failure."""
    context.log.info("%s: %s has published nothing yet", table.name, answer.source)
    return _store(context, port, table, answer.source, table.arrow_table([]), **_about(answer))


def _about(answer: Answer[Any]) -> dict[str, Any]:
    """Return the metadata of an answer: which sources failed, what it lacks, and what was asked of a live source."""
    found = {"failed_sources": dict(answer.failed), "missing": dict(answer.missing)}
    about: dict[str, Any] = {name: dg.MetadataValue.json(why) for name, why in found.items() if why}
    if answer.spent is not None:
        about |= {"requests_today": answer.spent.day, "requests_this_month": answer.spent.month}
        if answer.spent.remaining is not None:
            about["requests_left"] = answer.spent.remaining
    return about


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
