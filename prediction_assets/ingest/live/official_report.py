"""The NBA's official injury report: the newest PDF that is published.

A report is published every quarter of an hour under a name with its Eastern time (once an hour before 2025-12-22, and
without the minutes). What is not there is answered with 403, like an address that is refused: only the hour tells one
from the other.
https://official.nba.com/nba-injury-report-2025-26-season/
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from http import HTTPStatus

from prediction_assets.errors import BadInput, SourceEmpty, SourceRefused
from prediction_assets.ingest.injury_reports import InjuryReportsRead, read_injury_reports
from prediction_assets.ingest.limits import CLOCK_TOLERANCE
from prediction_assets.ingest.live.requesting import Requester
from prediction_assets.ingest.names import PlayerDirectory
from prediction_assets.slate.keys import GAME_TIME_ZONE

EVERY = timedelta(minutes=15)
SLOTS = 12
"""Reports that are looked for, backwards from now."""

_HOURS = round(SLOTS * EVERY / timedelta(hours=1))

_AHEAD = timedelta(days=3)
"""A report is about the day's games and the next day's; the All-Star break and a late night are within this."""

ABSENT = frozenset({403, 404, 410})


def fetch_injury_report(
    requester: Requester,
    url: str,
    players: PlayerDirectory,
    now: datetime,
    newest: datetime | None,
    *,
    is_owed: bool,
) -> InjuryReportsRead | None:
    """Return the newest published report; None when none is newer than the stored one, or none is out yet.

    Args:
        requester: asks for the reports; 403 counts as absent.
        url: the folder of the reports.
        newest: when the newest stored report was published.
        is_owed: by this hour the teams that play tonight have reported.

    Raises:
        BadInput: the document isn't the report of that time.
        SourceUnavailable: there was no answer.
        SourceRefused, SourceEmpty: a report is owed, and none of the last three hours is there.
    """
    statuses = set()
    for slot in _slots(now):
        if newest is not None and slot <= newest:
            return None
        # Eastern time, 12 hours: Injury-Report_2026-01-02_05_30PM.pdf
        name = f"Injury-Report_{slot.astimezone(GAME_TIME_ZONE):%Y-%m-%d_%I_%M%p}.pdf"
        path = requester.get(f"{url}/{name}", name, f"the report {name}")
        if path is None:
            statuses.add(requester.status)
            continue
        read = read_injury_reports(path, players)
        for published in set(read.table["reported_at"].to_pylist()):
            if not timedelta(0) <= published - slot <= CLOCK_TOLERANCE:
                raise BadInput(
                    requester.source,
                    f"was asked for {name} and answered with the report of {published.isoformat()}",
                )
        day = slot.astimezone(GAME_TIME_ZONE).date()
        for played in set(read.table["game_date"].to_pylist()):
            if not timedelta(0) <= played - day <= _AHEAD:
                raise BadInput(requester.source, f"was asked for {name} and answered with games of {played}")
        return read
    if is_owed and statuses == {HTTPStatus.FORBIDDEN}:
        raise SourceRefused(
            f"{requester.source} answered with status 403 in place of each report of the last {_HOURS} hours: it "
            f"refuses this network address, or published none; {requester.blocked_hint}"
        )
    if is_owed:
        raise SourceEmpty(
            f"{requester.source} has no report of the last {_HOURS} hours, and teams play tonight: the reports' names "
            f"or address changed; {requester.blocked_hint}"
        )
    return None


def _slots(now: datetime) -> Iterator[datetime]:
    """Yield the times of the latest reports, newest first."""
    minute = now.minute - now.minute % (EVERY // timedelta(minutes=1))
    newest = now.replace(minute=minute, second=0, microsecond=0)
    return (newest - EVERY * back for back in range(SLOTS))
