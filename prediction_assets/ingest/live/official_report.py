"""The NBA's official injury report: the newest PDF that is published.

A report is published every quarter of an hour under a name with its Eastern time (once an hour before 2025-12-22, and
without the minutes). What is not there is answered with 403, like an address that is refused.
https://official.nba.com/nba-injury-report-2025-26-season/
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from prediction_assets.errors import BadInput
from prediction_assets.ingest.injury_reports import InjuryReportsRead, read_injury_reports
from prediction_assets.ingest.limits import CLOCK_TOLERANCE
from prediction_assets.ingest.live.requesting import Requester
from prediction_assets.ingest.names import PlayerDirectory
from prediction_assets.slate.keys import GAME_TIME_ZONE

EVERY = timedelta(minutes=15)
SLOTS = 12
"""Reports that are looked for, backwards from now: three hours."""

ABSENT = frozenset({403, 404, 410})


def fetch_injury_report(
    requester: Requester, url: str, players: PlayerDirectory, now: datetime, newest: datetime | None
) -> InjuryReportsRead | None:
    """Return the newest published report, None when none is newer than the stored one.

    Args:
        requester: asks for the reports; 403 counts as absent.
        url: the folder of the reports.
        players: resolves the report's names.
        now: the present moment.
        newest: when the newest stored report was published.

    Raises:
        BadInput: the document isn't the report of that time.
        SourceUnavailable: there was no answer.
    """
    for slot in _slots(now):
        if newest is not None and slot <= newest:
            return None
        # Eastern time, 12 hours: Injury-Report_2026-01-02_05_30PM.pdf
        name = f"Injury-Report_{slot.astimezone(GAME_TIME_ZONE):%Y-%m-%d_%I_%M%p}.pdf"
        path = requester.get(f"{url}/{name}", name, f"the report {name}")
        if path is None:
            continue
        read = read_injury_reports(path, players)
        for published in set(read.table["reported_at"].to_pylist()):
            if not timedelta(0) <= published - slot <= CLOCK_TOLERANCE:
                raise BadInput(
                    requester.source,
                    f"was asked for {name} and answered with the report of {published.isoformat()}",
                )
        return read
    return None


def _slots(now: datetime) -> Iterator[datetime]:
    """Yield the times of the latest reports, newest first."""
    minute = now.minute - now.minute % (EVERY // timedelta(minutes=1))
    newest = now.replace(minute=minute, second=0, microsecond=0)
    return (newest - EVERY * back for back in range(SLOTS))
