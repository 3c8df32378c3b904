"""Facts: game logs, schedule, prop lines and injury reports, validated and ingested idempotently.

Each asset asks the sources of the settings, files or live, or reads the path that its configuration names. It takes the
simulated league that ships with the package if nothing is named and no real facts are stored. A file or an answer with
an error is refused as a whole, with row and column; stored facts stay as they were.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import Field

from prediction_assets.errors import BadInput, one_line, without_markup
from prediction_assets.ingest.live.sources import Answer, Sources
from prediction_assets.ingest.merging import (
    Merged,
    merge_game_logs,
    merge_injury_reports,
    merge_prop_lines,
    merge_schedule,
)
from prediction_assets.ingest.names import stored_players
from prediction_assets.ingest.other_box_scores import stored_facts
from prediction_assets.ingest.precheck import READERS
from prediction_assets.nba.tonight import holds_real_facts
from prediction_assets.orchestration.assets.describing import FACTS, OWNERS, table_metadata, table_of
from prediction_assets.settings import Settings
from prediction_assets.simulation.league import SimulatedLeague, simulate_league
from prediction_assets.slate.deadlines import Clock
from prediction_assets.slate.keys import is_simulated
from prediction_assets.slate.markets import MARKETS
from prediction_assets.stores.protocols import BatchState, Upserted, Warehouse
from prediction_assets.stores.sql import queries
from prediction_assets.stores.sql.tables import GAME_LOGS, INJURY_REPORTS, PROP_LINES, SCHEDULE, Table

NOTHING_IN_QUARANTINE = "nothing_in_quarantine"
"""The asset check of each kind of facts."""

_COUNTS = ("rows_read", "duplicates_dropped", "one_sided", "suspended", "not_yet_submitted", "players_out")
"""What a reader may have counted, shown as it is."""


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
        description="The source is right about what it has: of a schedule, remove stored games that it omits on a date "
        "that it lists, and let it give a game another date; of lines, remove those that it omits from an offer; of a "
        "report, the players whom it omits from a team. Without it they stay, and wait in quarantine if others "
        "contradict.",
    )

    def named(self) -> Path | None:
        if self.path is None or self.simulated_players is not None:
            return None
        return Path(self.path).expanduser().absolute()

    def asks(self, facts: str, settings: Settings) -> bool:
        """Return whether sources are asked: for a season, or because the settings name them and this nothing else."""
        if self.simulated_players is not None or self.path is not None:
            return False
        return self.season is not None or settings.names(facts)

    def facts(
        self, table: Table, warehouse: Warehouse, sources: Sources, settings: Settings
    ) -> Answer[Any] | SimulatedLeague | None:
        """Return the facts that this chooses; None where they are optional and nothing names any.

        Raises:
            BadInput: the facts can't be read, or the installation has real games, and the simulated league isn't named.
        """
        name, has_names = table.name, table in (PROP_LINES, INJURY_REPORTS)
        if (path := self.named()) is not None:
            stored = partial(stored_facts, warehouse, settings.player_aliases)
            return Answer(READERS[name](path, stored), str(path))
        if self.asks(name, settings):
            ask: Callable[..., Answer[Any]] = getattr(sources, name)
            return ask(
                warehouse, stored_players(warehouse, settings.player_aliases) if has_names else self.season
            )
        is_named = bool(_named_files(settings)) and self.simulated_players is None
        if table is INJURY_REPORTS or (table is PROP_LINES and is_named):
            return None
        if self.simulated_players is None:
            _refuse_among_real_facts(name, settings, warehouse)
        return simulate_league(
            settings.simulated_players if self.simulated_players is None else self.simulated_players
        )


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


def _facts(
    table: Table, description: str, merge: Callable[..., Merged], deps: tuple[str, ...] = ()
) -> dg.AssetsDefinition:
    """Return the asset of a kind of facts.

    Args:
        merge: stores what was read; called with the warehouse, the batch state, what was read, its source, now, and
            whether it replaces what it omits.
        deps: the facts that these are compared with; those with any are optional.
    """

    @dg.asset(
        name=table.name,
        description=description,
        group_name=FACTS,
        owners=OWNERS,
        kinds={"duckdb"},
        metadata=table_metadata(table),
        check_specs=_check(table),
        deps=deps,
        output_required=not deps,
    )
    def ingest(
        context: dg.AssetExecutionContext,
        config: FactsConfig,
        warehouse: dg.ResourceParam[Warehouse],
        batch_state: dg.ResourceParam[BatchState],
        sources: dg.ResourceParam[Sources],
        settings: dg.ResourceParam[Settings],
        clock: dg.ResourceParam[Clock],
    ) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
        found = config.facts(table, warehouse, sources, settings)
        if isinstance(found, SimulatedLeague):
            # A simulated league contradicts nothing.
            stored = warehouse.upsert(table, getattr(found, table.name))
            yield _result(context, warehouse, table, found.name, Merged(stored, ()))
        elif found is not None and found.read is not None:
            merged = merge(
                warehouse, batch_state, found.read, found.source, clock.now(), config.replace_omitted
            )
            more = {**_found(context, table, found.read), **_about(found)}
            yield _result(context, warehouse, table, found.source, merged, **more)
        else:
            why = "no path is named" if found is None else f"{found.source} has published nothing new"
            context.log.info("%s: %s, so nothing is ingested", table.name, why)
            if found is None or deps:
                yield _check_result(warehouse, table)
            else:
                # A season that hasn't begun is no failure.
                nothing = Merged(Upserted(0, 0, 0), ())
                yield _result(context, warehouse, table, found.source, nothing, **_about(found))

    return ingest


def _result(
    context: dg.AssetExecutionContext, port: Warehouse, table: Table, source: str, merged: Merged, **more: Any
) -> dg.MaterializeResult:
    """Return what an ingestion changed; ``more`` is further metadata."""
    done = merged.upserted
    stored = port.query(queries.COUNT_FACTS[table.name]).to_pylist()[0]["row_count"]
    context.log.info(
        "%s from %s: %d inserted, %d updated, %d unchanged, %d removed",
        table.name, source, done.inserted, done.updated, done.unchanged, done.removed,
    )  # fmt: skip
    off = [f"{count} lines of {game}" for game, count in merged.games_off.items()]
    if off:
        context.log.info(
            "%s from %s, left out, as the game isn't played: %s", table.name, source, "; ".join(off)
        )
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
            "rows_discarded": merged.discarded,
            "dagster/row_count": stored,
            **({"games_off": off} if off else {}),
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
        description=None if waiting is None else without_markup(one_line(waiting["example"], 400)),
        metadata={"rows_in_quarantine": 0 if waiting is None else waiting["row_count"]},
    )


def _found(context: dg.AssetExecutionContext, table: Table, read: Any) -> dict[str, Any]:
    """Return what reading found, as metadata; log the names that nobody has and the files without rows."""
    found: dict[str, Any] = {name: getattr(read, name) for name in _COUNTS if hasattr(read, name)}
    if hasattr(read, "left_out"):
        found["left_out"] = dict(read.left_out)
    if table is PROP_LINES:
        offered = zip(read.table["market"].to_pylist(), read.table["line"].to_pylist(), strict=True)
        found["out_of_reach"] = sum(line > MARKETS[market].most for market, line in offered)
    if files := read.empty_files:
        context.log.info("%d files have a header and no rows: %s", len(files), ", ".join(files[:10]))
        found["empty_files"] = list(files[:100])
    if hasattr(read, "unresolved"):
        names = read.unresolved
        found["unresolved_names"] = len(names)
        found["unresolved"] = table_of([each._asdict() for each in names[:100]])
        if names:
            context.log.warning(
                "%s: %d names did not resolve to a player and have no id: %s",
                table.name, len(names), ", ".join(each.name for each in names[:10]),
            )  # fmt: skip
    return found


def _about(answer: Answer[Any]) -> Mapping[str, Any]:
    """Return the metadata of an answer: which sources failed, what it lacks, and what was asked of a live source."""
    found = {"failed_sources": dict(answer.failed), "missing": dict(answer.missing)}
    about: dict[str, Any] = {name: dg.MetadataValue.json(why) for name, why in found.items() if why}
    if answer.spent is not None:
        about |= {"requests_today": answer.spent.day, "requests_this_month": answer.spent.month}
        if answer.spent.remaining is not None:
            about["requests_left"] = answer.spent.remaining
    return about


game_logs = _facts(
    GAME_LOGS,
    """\
One row per player and game that he played, as stats.nba.com's LeagueGameLog reports it.

Ingesting a file again changes nothing. A corrected row replaces the old one. A row that contradicts a stored game,
or a player's stored name, waits in quarantine for an operator.""",
    lambda warehouse, _, read, source, now, __: merge_game_logs(warehouse, read, source, now),
)

schedule = _facts(
    SCHEDULE,
    """\
Every scheduled game, by US Eastern date. A game on a neutral site has no home team.

A game leaves the schedule when it is listed as postponed. A game that is only omitted stays, and waits in
quarantine for an operator. Players of a removed game are skipped when they are staged again.""",
    lambda warehouse, batches, read, source, now, replaces: merge_schedule(
        warehouse, batches, read, source, now, replace_omitted=replaces
    ),
)

prop_lines = _facts(
    PROP_LINES,
    """\
Lines as the books offered them, of every known market; every capture is kept.

Optional: if the settings name real games and no lines, nothing is ingested, and players are predicted at lines
around their median. Names resolve to player ids through the game logs, built-in nicknames and your own aliases. A
name that doesn't resolve is never guessed: it is kept without an id and reported here. A line beyond what any
player ever reached is kept, counted as out of reach, and never chosen.""",
    lambda warehouse, _, read, source, now, replaces: merge_prop_lines(
        warehouse, read, source, now, replace_omitted=replaces
    ),
    ("game_logs", "schedule"),
)

injury_reports = _facts(
    INJURY_REPORTS,
    """\
Players who may miss a game, from the NBA's official injury reports; the newest report of a date counts.

Optional: without a path nothing is ingested, and no player is ruled out. A player who is Out in the newest report
of a slate is skipped when he is staged next. A player who is doubtful, questionable or probable is predicted. Names
resolve as in `prop_lines`. A name that doesn't resolve rules out no player and is reported here.""",
    lambda warehouse, _, read, source, now, replaces: merge_injury_reports(
        warehouse, read, source, now, replace_omitted=replaces
    ),
    ("game_logs",),
)
