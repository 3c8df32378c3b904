"""How old tonight's newest line and newest injury report are, and from when on that is too old.

Silent without games, before the roster and after the last tip-off, and where no source of the facts is set.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from prediction_assets.monitoring.findings import utc
from prediction_assets.monitoring.thresholds import STALE_AFTER, STALE_LOOKS
from prediction_assets.nba.tonight import Tonight

FEEDS = {"prop_lines": "line", "injury_reports": "injury report"}
"""The facts that change until the last tip-off, and what one of them is called."""


@dataclass(frozen=True, slots=True)
class Age:
    """How old the newest of tonight's facts of one kind are."""

    facts: str  # the kind: `prop_lines`
    is_stale: bool
    line: str  # the age in words
    evidence: Mapping[str, Any]


def ages(
    tonight: Tonight, sourced: Collection[str], due: datetime, every: timedelta, now: datetime
) -> list[Age]:
    """Return the age of each of the facts that are to be fresh at a moment.

    Args:
        due: the roster's hour; from then on tonight's players are predicted from these facts.
    """
    if not tonight.games or not due <= now < tonight.last_tip_off:
        return []
    limit = max(STALE_AFTER, STALE_LOOKS * every)
    # Until they are due their absence is no fault.
    since = {"prop_lines": due, "injury_reports": max(due, tonight.teams_reported)}
    newest = {"prop_lines": tonight.newest_line, "injury_reports": tonight.newest_report}
    return [_age(facts, newest[facts], since[facts], limit, now) for facts in FEEDS if facts in sourced]


def _age(facts: str, newest: datetime | None, due: datetime, limit: timedelta, now: datetime) -> Age:
    is_stale = now - (newest or due) > limit
    minutes = None if newest is None else max(0, round((now - newest) / timedelta(minutes=1)))
    what = FEEDS[facts]
    line = f"no {what} of tonight" if minutes is None else f"the newest {what} is {_in_words(minutes)} old"
    most = round(limit / timedelta(minutes=1))
    if is_stale:
        line += f"; after {_in_words(most)} it counts as stale"
    return Age(facts, is_stale, line, {"newest": utc(newest), "age_minutes": minutes, "limit_minutes": most})


def _in_words(minutes: int) -> str:
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} h"
