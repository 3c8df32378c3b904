"""The warehouse's tables, declared once.

A :class:`Table` gives the DDL of both warehouses, the Arrow schema of files and parts, the columns of the MERGE and the
schema that Dagster's UI shows. SQL and clients don't belong here. Columns are named as stats.nba.com names them, in
snake case.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing import Any

import pyarrow as pa

EARLIEST_SLATE = date(2000, 1, 1)
"""BigQuery reads predictions and receipts only with a date: a query over all slates starts at this one."""


class ColumnType(Enum):
    """BigQuery's type names, each with its DuckDB and its Arrow type."""

    STRING = ("VARCHAR", pa.string())
    INT64 = ("BIGINT", pa.int64())
    FLOAT64 = ("DOUBLE", pa.float64())
    NUMERIC = ("DECIMAL(6, 2)", pa.decimal128(6, 2))  # points lines: exact, so 24.5 and 25.0 stay apart
    BOOL = ("BOOLEAN", pa.bool_())
    DATE = ("DATE", pa.date32())
    TIMESTAMP = ("TIMESTAMPTZ", pa.timestamp("us", tz="UTC"))
    JSON = ("VARCHAR", pa.string(), "STRING")  # a JSON document as text, on both warehouses

    def __init__(self, duckdb: str, arrow: pa.DataType, bigquery: str | None = None) -> None:
        self.duckdb = duckdb
        self.arrow = arrow
        self.bigquery = bigquery or self.name


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name, type and what it holds (with unit)."""

    name: str
    type: ColumnType
    description: str
    required: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table's declaration."""

    dataset: str  # the BigQuery dataset and DuckDB schema that hold it
    name: str
    description: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]  # columns that identify a row; immutable and never NULL
    partition_by: str | None = None  # the DATE column that BigQuery partitions by and every scan prunes on
    cluster_by: tuple[str, ...] = ()  # BigQuery's clustering columns
    # in a ledger, the columns that identify what a row is about: one row of each is in force
    business_key: tuple[str, ...] = ()

    @property
    def qualified_name(self) -> str:
        """``dataset.name``, as SQL spells it."""
        return f"{self.dataset}.{self.name}"

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def arrow_schema(self) -> pa.Schema:
        """The Arrow schema; key and required columns are not nullable."""
        return pa.schema(
            [
                pa.field(c.name, c.type.arrow, nullable=not (c.required or c.name in self.key))
                for c in self.columns
            ]
        )

    def arrow_table(self, rows: Sequence[dict[str, Any]]) -> pa.Table:
        return pa.Table.from_pylist(list(rows), schema=self.arrow_schema)


_S, _I, _F, _N = ColumnType.STRING, ColumnType.INT64, ColumnType.FLOAT64, ColumnType.NUMERIC


_B, _D, _T, _J = ColumnType.BOOL, ColumnType.DATE, ColumnType.TIMESTAMP, ColumnType.JSON


_LEAGUE = Column("league", _S, "NBA, or simulated-N for a simulated league of N expected players", True)


FACTS_DATASET = "facts"
"""The dataset of the facts, their versions and their quarantine. An ingestion that changes a fact raises the facts'
version; a row in quarantine isn't one."""


GAME_LOGS = Table(
    FACTS_DATASET,
    "game_logs",
    "One row per player and game played, as stats.nba.com's LeagueGameLog reports it. No row: he did not play.",
    (
        _LEAGUE,
        Column("season_id", _I, "stats.nba.com SEASON_ID: 22024 is the regular season 2024-25", True),
        Column("game_id", _S, "10 characters, leading zeros kept"),
        Column("game_date", _D, "US Eastern calendar date of the game", True),
        Column("player_id", _I, "stats.nba.com PLAYER_ID; names drift, ids don't"),
        Column("player_name", _S, "the player's name as this row spells it", True),
        Column("team_id", _I, "stats.nba.com TEAM_ID", True),
        Column("team", _S, "the player's team in this game, abbreviated: DEN", True),
        Column("team_name", _S, "the team's full name", True),
        Column("opponent", _S, "the other team, abbreviated", True),
        Column("is_home", _B, "true at home, false away, NULL on a neutral site"),
        Column("is_win", _B, "the team won; NULL when the source doesn't say"),
        Column("minutes", _I, "whole minutes played; 0 with points happens", True),
        Column("points", _I, "points scored = 2*FGM + FG3M + FTM", True),
        Column("field_goals_made", _I, "FGM", True),
        Column("field_goals_attempted", _I, "FGA", True),
        Column("three_pointers_made", _I, "FG3M", True),
        Column("three_pointers_attempted", _I, "FG3A", True),
        Column("free_throws_made", _I, "FTM", True),
        Column("free_throws_attempted", _I, "FTA", True),
        Column("offensive_rebounds", _I, "OREB", True),
        Column("defensive_rebounds", _I, "DREB", True),
        Column("assists", _I, "AST", True),
        Column("steals", _I, "STL", True),
        Column("blocks", _I, "BLK", True),
        Column("turnovers", _I, "TOV", True),
        Column("personal_fouls", _I, "PF", True),
        Column("plus_minus", _I, "PLUS_MINUS; NULL when the source lacks it"),
    ),
    key=("game_id", "player_id"),
    partition_by="game_date",
    cluster_by=("player_id",),
)


SCHEDULE = Table(
    FACTS_DATASET,
    "schedule",
    "One row per scheduled game.",
    (
        _LEAGUE,
        Column("season_id", _I, "stats.nba.com SEASON_ID"),
        Column("game_id", _S, "10 characters, leading zeros kept"),
        Column("game_date", _D, "US Eastern calendar date of the game", True),
        Column("home_team", _S, "home team's abbreviation, NULL on a neutral site"),
        Column("away_team", _S, "away team's abbreviation, NULL on a neutral site"),
        Column("team_a", _S, "one of the two teams", True),
        Column("team_b", _S, "the other team", True),
    ),
    key=("game_id",),
    partition_by="game_date",
)


PROP_LINES = Table(
    FACTS_DATASET,
    "prop_lines",
    "Lines as offered: one row per capture, event, book, player, market and line, both sides on it.",
    (
        _LEAGUE,
        Column("event_id", _S, "the odds feed's id of the game"),
        Column("capture", _S, "the snapshot of the feed that this row came with, '' when the source has none"),
        Column("bookmaker", _S, "the book, as the feed spells it"),
        Column("player_name", _S, "the player, as the book spells him"),
        Column("market", _S, "what the line is about, as a row of predictions names it: player_points"),
        Column("line", _N, "the line, exact"),
        Column("player_id", _I, "stats.nba.com PLAYER_ID; NULL while the name is unresolved, never guessed"),
        Column("game_date", _D, "US Eastern calendar date of tip-off", True),
        Column("commence_time", _T, "tip-off", True),
        Column("home_team", _S, "home team's abbreviation, as the feed has it", True),
        Column("away_team", _S, "away team's abbreviation, as the feed has it", True),
        Column("over_price", _I, "American odds on the over; NULL when only the other side was offered"),
        Column("under_price", _I, "American odds on the under; NULL when only the other side was offered"),
        Column("captured_at", _T, "when the line was seen; NULL when the source doesn't say, and then it is newest"),
    ),
    key=("event_id", "capture", "bookmaker", "player_name", "market", "line"),
    partition_by="game_date",
    cluster_by=("player_id",),
)  # fmt: skip


INJURY_REPORTS = Table(
    FACTS_DATASET,
    "injury_reports",
    "Who may miss a game, as the NBA's official injury reports say. The newest report of a date holds.",
    (
        _LEAGUE,
        Column("game_date", _D, "US Eastern calendar date of the game"),
        Column("reported_at", _T, "when the report was published"),
        Column("team", _S, "the player's team, abbreviated"),
        Column("player_name", _S, "the player as the report spells him, given name first; '' where the team had not "
               "reported yet"),
        Column("player_id", _I, "stats.nba.com PLAYER_ID; NULL while the name is unresolved, never guessed"),
        Column("status", _S, "Out, Doubtful, Questionable, Probable or Available; Not yet submitted of a team", True),
        Column("reason", _S, "the report's reason; NULL when it gives none"),
    ),
    key=("league", "game_date", "reported_at", "team", "player_name"),
    partition_by="game_date",
)  # fmt: skip


FACTS_VERSIONS = Table(
    FACTS_DATASET,
    "versions",
    "One row per ingestion that changed facts, committed with it. The highest version is the facts' version now.",
    (
        Column("version", _I, "1 for the first change, one more for each further one"),
        Column("table_name", _S, "the table of facts that changed", True),
        Column("changed_at", _T, "when, by the warehouse's clock; versions are ordered by number, not by it", True),
    ),
    key=("version",),
)  # fmt: skip


FETCHES = Table(
    # Not beside the facts: it says how they came, and a request changes none of them.
    "predictions",
    "fetches",
    "One row per question to a live source of facts: what it cost and how it ended.",
    (
        Column("fetch_id", _S, "unique"),
        Column("source", _S, "the source that was asked: odds_api", True),
        Column("facts", _S, "the kind of facts: prop_lines", True),
        Column("started_at", _T, "when it was asked", True),
        Column("requests", _I, "requests, or credits, that count against the budget; until it ended, as many as it "
               "may take", True),
        Column("remaining", _I, "requests that the source said are left; NULL when it says nothing"),
        Column("outcome", _S, "running, answered, partial, nothing (not published yet), or failed", True),
        Column("problem", _S, "why it failed, or what a partial answer lacks, else ''", True),
        Column("answers", _S, "the folder of its recorded answers", True),
    ),
    key=("fetch_id",),
)  # fmt: skip


QUARANTINE = Table(
    FACTS_DATASET,
    "quarantine",
    "Rows of facts that wait for an operator: each contradicts another, is beyond a limit, or is no longer listed.",
    (
        Column("quarantine_id", _S, "derived from the row's values: the same row has the same id in every file"),
        Column("facts", _S, "the table that it is about: game_logs, schedule, prop_lines or injury_reports", True),
        Column("kind", _S, "contradiction, limit, or omission: of a stored row that a source no longer lists", True),
        Column("subject", _S, "whom or what it is about: game 0022400061", True),
        Column("reason", _S, "what this row says and what the other side says", True),
        Column("source", _S, "where it comes from: the path of a file or folder, or a live source: stats_nba", True),
        Column("source_row", _S, "where the row is in it: row 12 of logs.csv; '' for an omission", True),
        Column("row", _J, "the row's values by column", True),
        Column("state", _S, "open; accepted or discarded by an operator; resolved by the source itself", True),
        Column("first_seen_at", _T, "when it was first found", True),
        Column("last_seen_at", _T, "when it was last found", True),
    ),
    key=("quarantine_id",),
)  # fmt: skip


PREDICTIONS = Table(
    "predictions",
    "player_prop_predictions",
    "Predictions as a ledger: a row is inserted and later closed, never changed. Read current_predictions.",
    (
        Column("game_date", _D, "the slate: US Eastern calendar date of the game"),
        Column("game_id", _S, "stats.nba.com GAME_ID"),
        Column("player_id", _I, "stats.nba.com PLAYER_ID"),
        Column("market", _S, "what is predicted, as The Odds API names it: player_points; points below are in its "
               "count"),
        Column("system", _S, "forecasting system"),
        Column("line", _N, "the line that this row is graded against, exact"),
        Column("league", _S, "NBA, or simulated-N for a simulated league of N expected players", True),
        Column("player_slug", _S, "the player's slug, second half of the slate player's partition key", True),
        Column("player_name", _S, "the player's name", True),
        Column("team", _S, "the player's team, abbreviated", True),
        Column("opponent", _S, "the other team, abbreviated", True),
        Column("is_home", _B, "true at home, false away, NULL on a neutral site"),
        Column("predicted_points", _F, "median of the system's own forecast, points; only market_aware knows the "
               "line, and all for a newcomer", True),
        Column("standard_deviation", _F, "standard deviation of the predicted distribution, points", True),
        Column("probability_over", _F, "P(points > line); on a market line, line and prices count too", True),
        Column("probability_push", _F, "P(points = line); 0 on a half-point line", True),
        Column("recommendation", _S, "OVER or UNDER where that bet is worth its price, else PASS; NO_PRICE, NO_LINE "
               "without a price or a line", True),
        Column("confidence", _F, "probability of the likelier side when no push, 0.5 to 1", True),
        Column("line_source", _S, "market, or estimated around the player's median", True),
        Column("line_offset", _N, "this line minus the main line, points: -2 to 2, more at the lowest lines", True),
        Column("bookmaker", _S, "the book whose main line this is; NULL where estimated"),
        Column("market_probability", _F, "P(over, no push) by the most balanced pair of prices at this line, margin "
               "removed; NULL without a pair"),
        Column("consensus_probability", _F, "mean of the same over all books' pairs of prices at this line"),
        Column("bet_side", _S, "OVER or UNDER: the side with the higher expected value at its best price; NULL "
               "without a price"),
        Column("bet_bookmaker", _S, "the book that offers that side's best price at this line"),
        Column("bet_price", _I, "that price, American odds"),
        Column("bet_odds", _F, "that price, decimal odds: what a won stake of 1 pays back"),
        Column("fair_odds", _F, "decimal odds at which the bet would be worth nothing, by probability_over"),
        Column("edge", _F, "P(won, no push) minus the probability at which the price breaks even"),
        Column("expected_value", _F, "expected profit of a stake of 1; a push pays it back"),
        Column("quantiles", _J, "the system's own forecast: points by percent, 5 to 95; NULL except at the main line "
               "(line_offset 0)"),
        Column("contributions", _J, "what predicted_points is made of, points: usual, minutes, rate, availability, "
               "rest, opponent and market, which add up to it; NULL except at the main line"),
        Column("system_version", _S, "version of the forecasting system", True),
        Column("feature_snapshot", _S, "id of the feature snapshot that the prediction was made from", True),
        Column("schema_version", _I, "version of this schema", True),
        Column("content_hash", _S, "SHA-256 of the row's values; a re-run that changes nothing keeps it", True),
        Column("is_active", _B, "true while the row is in force; false once a later MERGE closed it", True),
        Column("superseded_at", _T, "when a later MERGE closed the row: that receipt's consolidated_at"),
        Column("superseded_by", _S, "the receipt of the MERGE that closed the row; NULL while it is in force"),
        Column("receipt_id", _S, "the receipt of the MERGE that inserted the row"),
        Column("created_at", _T, "when the row was inserted: that receipt's consolidated_at", True),
    ),
    key=("game_date", "game_id", "player_id", "market", "system", "line", "receipt_id"),
    partition_by="game_date",
    cluster_by=("player_id", "system"),
    business_key=("game_date", "game_id", "player_id", "market", "system", "line"),
)  # fmt: skip


MERGE_COLUMNS = ("is_active", "superseded_at", "superseded_by", "receipt_id", "created_at")
"""Columns of :data:`PREDICTIONS` that the MERGE writes; a part has the others."""


PART_COLUMNS = tuple(c for c in PREDICTIONS.columns if c.name not in MERGE_COLUMNS)


PART_SCHEMA = pa.schema([PREDICTIONS.arrow_schema.field(c.name) for c in PART_COLUMNS])


RECEIPTS = Table(
    "predictions",
    "consolidation_receipts",
    "One row per MERGE, committed with it: which parts it consumed and what it did.",
    (
        Column("receipt_id", _S, "derived from the batch's settled outcomes: the same outcomes give the same "
               "receipt"),
        Column("game_date", _D, "the slate", True),
        Column("league", _S, "NBA, or simulated-N", True),
        Column("batch_id", _S, "the batch that was merged", True),
        Column("status", _S, "success: every expected player settled and none failed; otherwise partial", True),
        Column("sequence", _I, "1 for the slate's first receipt, 2 for the next: their order", True),
        Column("revision", _I, "counts the slate's distinct contents; an identical re-run keeps it", True),
        Column("replaces", _I, "the revision before this one; NULL for a slate's first"),
        Column("content_digest", _S, "SHA-256 over the slate's outcomes and part contents", True),
        Column("expected_players", _I, "players frozen at open", True),
        Column("staged_players", _I, "players with rows", True),
        Column("skipped_players", _I, "players settled as skipped", True),
        Column("failed_players", _I, "players that failed or hadn't settled", True),
        Column("rows", _I, "active rows of the slate after the MERGE", True),
        Column("rows_staged", _I, "rows in the parts that this MERGE consumed", True),
        Column("rows_inserted", _I, "keys that came into force: new ones, and closed ones that came back", True),
        Column("rows_updated", _I, "keys whose content changed: one row closed, one inserted", True),
        Column("rows_unchanged", _I, "keys whose content was the same: their rows were left alone", True),
        Column("rows_superseded", _I, "keys taken out of force: a row closed, none inserted", True),
        Column("rows_digest", _S, "SHA-256 over the sorted content_hash of the active rows after the MERGE", True),
        Column("parts", _J, "the consumed parts: a list of {player_slug, part_id, rows, content_hash}", True),
        Column("missing", _J, "the players without rows: a list of {player_slug, outcome, reason}", True),
        Column("lists_digest", _S, "SHA-256 over parts and missing; it stays when they are pruned", True),
        Column("audits", _J, "the audits' verdicts: a list of {name, passed, severity, detail}", True),
        Column("accepted", _J, "refusals that an operator accepted: a list of {name, because}", True),
        Column("feature_snapshot", _S, "snapshot id of the part with the highest fence", True),
        Column("facts_version", _I, "the lowest version of the facts that a staged player's run began with; each "
               "read that or newer facts", True),
        Column("merge_ms", _F, "milliseconds from BEGIN to the receipt", True),
        Column("consolidated_at", _T, "when the MERGE committed; each receipt of a slate is later than the one "
               "before", True),
        Column("previous_hash", _S, "receipt_hash of the slate's receipt before; '' in its first", True),
        Column("receipt_hash", _S, "SHA-256 over all values above; one that was edited by hand has another", True),
        Column("pruned_at", _T, "when parts and missing were emptied, or closed rows of it deleted, as too old"),
    ),
    key=("receipt_id",),
    partition_by="game_date",
)  # fmt: skip


POINTS_MODELS = Table(
    "predictions",
    "points_models",
    "One row per trained model: what it was trained on, and the fitted systems themselves.",
    (
        Column("model_id", _S, "derived from league, cut-off, systems and data: the same four give the same id"),
        Column("league", _S, "NBA, or simulated-N", True),
        Column("cutoff", _D, "trained on games before this date: serves slates from it on", True),
        Column("only_slate", _D, "the only slate that it serves, where it was fitted on that slate's history"),
        Column("newest_game", _D, "date of the newest game that it was trained on"),
        Column("trained_rows", _I, "player-games before the cut-off", True),
        Column("seasons", _S, "the seasons of those games", True),
        Column("data_hash", _S, "SHA-256 over the training rows and the sides of their dates", True),
        Column("systems", _J, "version by name of the systems in it", True),
        Column("libraries", _J, "release by name of the libraries that fitted it", True),
        Column("document", _S, "the fitted systems: JSON that describes them, with their arrays as npz", True),
        Column("is_promoted", _B, "it was tried, and slates may take it", True),
        Column("verdict", _J, "its trial against the model in force: each measure of both, their difference with its "
               "standard error by game, and why it was refused; NULL of one that was never tried"),
        Column("trained_at", _T, "when it was trained", True),
    ),
    key=("model_id",),
)  # fmt: skip


PREDICTION_GRADES = Table(
    "predictions",
    "prediction_grades",
    "One row per slate, origin, market and system: the accuracy of its forecasts, over the players who played.",
    (
        Column("game_date", _D, "the slate"),
        Column("origin", _S, "published: the rows in force; first_published, before_tip_off: a player's first rows, "
               "and those when his game began; closing_line: the market's; backtest: made afterwards, point-in-time"),
        Column("market", _S, "what was predicted: player_points"),
        Column("system", _S, "forecasting system; or a yardstick: season_mean, last_5_mean, last_game, market_line"),
        Column("league", _S, "NBA, or simulated-N", True),
        Column("system_version", _S, "version of the forecasting system; '' for a yardstick", True),
        Column("model_id", _S, "the stored model; '' where systems were fitted on the slate's history", True),
        Column("receipt_id", _S, "the receipt whose rows were graded; '' in a backtest", True),
        Column("players", _I, "players with a forecast and a game log: the ones graded", True),
        Column("voids", _I, "players with a forecast and no game log: excluded", True),
        Column("mean_absolute_error", _F, "points"),
        Column("bias", _F, "mean of predicted minus actual points"),
        Column("lines", _I, "graded players with a market line that wasn't a push", True),
        Column("line_players", _I, "graded players with a market line", True),
        Column("line_error", _F, "mean absolute error on the players with a market line, points"),
        Column("brier_score", _F, "mean squared error of P(over, no push) on the market lines"),
        Column("bets", _I, "lines with OVER or UNDER", True),
        Column("hits", _I, "bets that won", True),
        Column("profit", _F, "what a stake of 1 on each of them, at its price, has won or lost", True),
        Column("own_score", _F, "sum over the lines of the derivative by the weight of the system's own "
               "log-odds", True),
        Column("own_information", _F, "sum of its expected curvature: own_score / own_information is a step", True),
        Column("own_variance", _F, "sum of the slates' squared own_score", True),
        Column("hit_rate", _F, "hits / bets; NULL without a bet"),
        Column("coverage", _F, "bets / lines; NULL without a line"),
        Column("closing_line_value", _F, "mean points by which the closing line moved in favor of the bets; NULL "
               "without one"),
        Column("calibration", _J, "ten {lines, predicted, over}: lines, sum of P(over) and overs by decile of "
               "P(over)", True),
        Column(
            "measures",
            _J,
            "by group (all, starters, bench, rookies, moved, first_14_days, returning) and measure, sums by game: "
            "players, games, total, squared totals, totals times players, squared players",
            True,
        ),
        Column("graded_at", _T, "when", True),
    ),
    key=("game_date", "origin", "market", "system"),
    partition_by="game_date",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class View:
    """A view's declaration."""

    dataset: str
    name: str
    description: str
    select: str  # its SELECT in DuckDB's dialect, over declared tables

    @property
    def qualified_name(self) -> str:
        """``dataset.name``, as SQL spells it."""
        return f"{self.dataset}.{self.name}"


_IN_FORCE = [*(c.name for c in PART_COLUMNS), "receipt_id", "created_at"]

CURRENT_PREDICTIONS = View(
    "predictions",
    "current_predictions",
    "The predictions in force: one row per game, player, market, system and line. What consumers read.",
    f"SELECT {', '.join(_IN_FORCE)} FROM {PREDICTIONS.qualified_name} WHERE is_active",
)


VIEWS = (CURRENT_PREDICTIONS,)


TABLES = (
    GAME_LOGS,
    SCHEDULE,
    PROP_LINES,
    INJURY_REPORTS,
    FACTS_VERSIONS,
    FETCHES,
    QUARANTINE,
    PREDICTIONS,
    RECEIPTS,
    POINTS_MODELS,
    PREDICTION_GRADES,
)


WAREHOUSE_SCHEMA_VERSION = 1
"""Counts the released shapes of :data:`TABLES`.

A release adds to the warehouse by declaring a table or a nullable column here and raising this number. Both
warehouses add what they lack when they are opened. Nothing is ever renamed, retyped or removed.
"""
