"""Injury reports: who may miss a game, as the NBA publishes it, as ``facts.injury_reports`` rows.

A report lists players by game, with a status from Available to Out. It is published many times until tip-off, and the
newest report of a date replaces the earlier ones as a whole. So every row has the time of its report, and a team that
hasn't reported yet is a row without a player: it shows that the report is about the date. A name that can't be resolved
has a NULL player id and is reported; nobody is out because of it.
https://official.nba.com/nba-injury-report-2025-26-season/
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from prediction_assets.errors import BadInput
from prediction_assets.ingest import values
from prediction_assets.ingest.files import read_files, without_rows
from prediction_assets.ingest.injury_pdf import PDF_SUFFIXES, read_injury_pdf
from prediction_assets.ingest.names import PlayerDirectory, Resolved, UnresolvedName
from prediction_assets.ingest.rows import Name, Origins, RowNames, SourceRows
from prediction_assets.ingest.teams import abbreviation, is_team
from prediction_assets.slate.basis import OUT
from prediction_assets.slate.keys import GAME_TIME_ZONE, NBA_LEAGUE
from prediction_assets.stores.sql.tables import INJURY_REPORTS

# The first of a pair is the report's own heading.
GAME_DATE: Name = ("Game Date", "game_date")
MATCHUP: Name = ("Matchup", "matchup")
TEAM: Name = ("Team", "team")
PLAYER: Name = ("Player Name", "player_name")
STATUS: Name = ("Current Status", "status")
REASON: Name = ("Reason", "reason")
REPORTED_AT: Name = ("Reported At", "reported_at")
REQUIRED = (GAME_DATE, MATCHUP, TEAM, PLAYER, STATUS, REASON)

STATUSES = (OUT, "Doubtful", "Questionable", "Probable", "Available")

NOT_YET_SUBMITTED = "Not yet submitted"
"""The status of a row without a player: the team has not reported yet. The report itself has it as the reason."""

_MATCHUP = re.compile(r"([A-Z0-9]{2,4})@([A-Z0-9]{2,4})\Z", re.ASCII)
_FILE_TIME = re.compile(
    r"(?P<day>\d{4}-\d{2}-\d{2})_(?P<hour>\d{2})(?:_?(?P<minute>\d{2}))?(?P<half>AM|PM)", re.ASCII
)


@dataclass(frozen=True)
class InjuryReportsRead:
    """Validated reports and what reading them found."""

    # `INJURY_REPORTS.arrow_schema`, one row per report, date, team and player, sorted by them; the player's
    # name is empty where the team had not reported yet
    table: pa.Table
    empty_files: tuple[str, ...]  # the files that have a header and no rows
    rows_read: int  # rows of the files
    left_out: Mapping[str, int]  # rows that are of no game of the NBA, an All-Star game's, by their matchup
    duplicates_dropped: int  # rows that repeat one of the same report
    not_yet_submitted: int  # rows of `table` that say that a team hadn't reported yet
    players_out: int  # rows of `table` with the status Out
    unresolved: tuple[UnresolvedName, ...]  # names without a player id, sorted by name
    names: RowNames  # how an error names each row of `table`


class _Entry(NamedTuple):
    """One validated row."""

    game_date: date
    reported_at: datetime
    team: str
    player_name: str
    status: str
    reason: str | None


def read_injury_reports(path: Path, players: PlayerDirectory) -> InjuryReportsRead:
    """Read injury reports from the NBA's PDF, a CSV, CSV.gz or Parquet file, or from a directory of them.

    Columns of a table, as the NBA heads them: ``Game Date``, ``Matchup`` (``LAL@DEN``), ``Team``, ``Player Name``
    (``Jokic, Nikola``), ``Current Status`` and ``Reason``; every row has its own date, matchup and team. When
    the report was published is a column ``Reported At`` with a time zone, or else in the file's name as the
    NBA writes it, in US Eastern time: ``Injury-Report_2026-01-02_05PM.csv``, ``..._05_30PM.csv``.
    """
    wanted = [one for name in (*REQUIRED, REPORTED_AT) for one in name]
    files, sources = read_files(path, wanted, dict.fromkeys(PDF_SUFFIXES, read_injury_pdf))
    left_out: Counter[str] = Counter()
    kept = []
    for rows in sources:
        of_nba, others = _of_the_nba(rows)
        kept.append(of_nba)
        left_out.update(others)
    origins = Origins(tuple(kept))
    entries: dict[tuple[Any, ...], tuple[int, _Entry]] = {}
    indices, duplicates = itertools.count(), 0
    for rows, file in zip(kept, files, strict=True):
        for index, entry in zip(indices, _parse(rows, _published(file)), strict=False):
            other, known = entries.setdefault(entry[:4], (index, entry))
            if known != entry:
                raise origins.bad(
                    index,
                    f"{entry.player_name} is {entry.status} ({entry.reason}) here and {known.status} "
                    f"({known.reason}) in {origins.name(other, beside=index)}, of the same report",
                    column=STATUS[0],
                )
            duplicates += other != index
    in_order = sorted(entries.values(), key=lambda found: found[1][:4])
    table, unresolved = _resolved([entry for _, entry in in_order], players)
    return InjuryReportsRead(
        table=table,
        empty_files=without_rows(sources),
        rows_read=sum(map(len, sources)),
        left_out=dict(left_out),
        duplicates_dropped=duplicates,
        not_yet_submitted=sum(entry.status == NOT_YET_SUBMITTED for _, entry in entries.values()),
        players_out=sum(entry.status == OUT for _, entry in entries.values()),
        unresolved=unresolved,
        names=RowNames(origins, np.array([index for index, _ in in_order], dtype=np.int64)),
    )


def _of_the_nba(rows: SourceRows) -> tuple[SourceRows, Counter[str]]:
    """Return the rows of games with a team of the NBA, and how many rows were left out, by their matchup."""
    rows.require(REQUIRED)
    matchups = rows.parse(MATCHUP, _matchup, pa.string()).to_pylist()
    return rows.without([None if any(map(is_team, each.split("@"))) else each for each in matchups])


def _parse(rows: SourceRows, published: datetime | None) -> Iterator[_Entry]:
    """Yield each row's entry, without a player where a team hasn't reported yet."""
    if published is None and rows.find(REPORTED_AT) is None:
        raise BadInput(
            rows.source,
            "nothing says when this report was published",
            hint="add a column 'Reported At' such as 2026-01-02T17:30:00-05:00, or name the file as the NBA "
            "does: Injury-Report_2026-01-02_05PM.csv",
        )

    text = pa.string()
    days = rows.parse(GAME_DATE, values.us_date, pa.date32()).to_pylist()
    matchups = rows.parse(MATCHUP, _matchup, text).to_pylist()
    of_teams = rows.parse(TEAM, abbreviation, text).to_pylist()
    names = rows.parse(PLAYER, _given_name_first, text, nullable=True).to_pylist()
    statuses = rows.parse(STATUS, _status, text, nullable=True).to_pylist()
    reasons = rows.parse(REASON, values.text, text, nullable=True).to_pylist()
    if rows.find(REPORTED_AT) is None:
        times = [published] * len(rows)
    else:
        times = rows.parse(REPORTED_AT, values.instant, pa.timestamp("us", tz="UTC")).to_pylist()
    for index, (day, matchup, plays_for, name, status, reason, reported_at) in enumerate(
        zip(days, matchups, of_teams, names, statuses, reasons, times, strict=True)
    ):
        has_not_reported = name is None and (reason or "").capitalize() == NOT_YET_SUBMITTED
        if plays_for not in matchup.split("@"):
            raise rows.bad(index, f"{plays_for} does not play in {matchup}", column=rows.find(TEAM))
        if has_not_reported:
            yield _Entry(day, reported_at, plays_for, "", NOT_YET_SUBMITTED, None)
            continue
        for value, column in ((name, PLAYER), (status, STATUS)):
            if value is None:
                raise rows.bad(index, "the value is empty", column=rows.find(column))
        yield _Entry(day, reported_at, plays_for, name, status, reason)


def _published(file: Path) -> datetime | None:
    """Return when the report in a file was published, if the file's name says so."""
    match = _FILE_TIME.search(file.name)
    if not match:
        return None
    spelled = f"{match['day']} {match['hour']}:{match['minute'] or '00'} {match['half']}"
    try:
        local = datetime.strptime(spelled, "%Y-%m-%d %I:%M %p").replace(tzinfo=GAME_TIME_ZONE)
    except ValueError:
        return None
    return local.astimezone(UTC)


def _matchup(value: Any) -> str:
    spelled = str(value).strip().replace(" ", "")
    if not _MATCHUP.match(spelled):
        raise ValueError(f"{str(value)!r} is not a matchup such as LAL@DEN")
    return spelled


def _status(value: Any) -> str:
    spelled = str(value).strip().capitalize()
    if spelled not in STATUSES:
        raise ValueError(f"{str(value)!r} is not a status ({', '.join(STATUSES)})")
    return spelled


def _given_name_first(value: Any) -> str:
    """Return ``Nikola Jokic`` for ``Jokic, Nikola``; a suffix stays behind the family name.

    >>> _given_name_first("Porter Jr., Michael")
    'Michael Porter Jr.'
    """
    family, comma, given = str(value).partition(",")
    return " ".join(f"{given} {family}".split()) if comma else " ".join(family.split())


def _resolved(entries: list[_Entry], players: PlayerDirectory) -> tuple[pa.Table, tuple[UnresolvedName, ...]]:
    unresolved: Counter[tuple[str, str]] = Counter()
    rows = []
    for entry in entries:
        player_id = None
        if entry.player_name:
            answer = players.resolve(entry.player_name, frozenset({entry.team}), entry.game_date)
            if isinstance(answer, Resolved):
                player_id = answer.player_id
            else:
                unresolved[entry.player_name, answer.reason] += 1
        rows.append({"league": NBA_LEAGUE, **entry._asdict(), "player_id": player_id})
    report = sorted(UnresolvedName(name, count, reason) for (name, reason), count in unresolved.items())
    return INJURY_REPORTS.arrow_table(rows), tuple(report)
