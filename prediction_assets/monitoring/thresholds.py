"""Every number that decides when something is late, slow or too much."""

from __future__ import annotations

from datetime import timedelta

GRACE = timedelta(minutes=5)
"""Sensors need this long to act after an outcome, a deadline or a MERGE: they look every 10 to 60 seconds."""

NO_ROSTER_AFTER = timedelta(hours=1)
"""A slate without a roster raises an alert this long after the schedule was to open it."""

ROSTER_EXPECTED_FOR = timedelta(days=1)
"""A roster that is later than this is no longer waited for: the slate is past."""

RATE_OVER = timedelta(minutes=5)
"""How fast players settle is measured over this long."""

NO_RECEIPT_AFTER = timedelta(minutes=5)
"""A slate without a checked consolidation raises an alert this long after its deadline."""

UNPUBLISHED_AFTER = timedelta(minutes=10)
"""A consolidation that isn't announced raises an alert after this long."""

NOT_FOLLOWED_AFTER = timedelta(minutes=5)
"""Predictions that don't follow the facts raise an alert so long after the facts changed last: a sensor waits for more
changes, stages, merges and announces within some minutes."""

REFRESHED_WITHIN = timedelta(minutes=15)
"""A refresh is an alert so long after its message was delivered: several looks, of which one may fail."""

DEAD_LETTERS = 5
"""More open dead letters of one slate than this raise an alert."""

REPEAT_AFTER = timedelta(hours=4)
"""An alert that stays open is delivered again after this long."""

CLAIM = timedelta(minutes=2)
"""One delivery may take this long before another process may try: a destination answers in seconds."""

DAEMON_SILENCE = timedelta(minutes=5)
"""A daemon is down after this long without a heartbeat: ten times the interval in which it sends one."""

LONGEST_ERROR = 120
"""Characters of an error in a line; the evidence has all of it."""

SHOWN_FINDINGS = 3
"""Findings of one line that its text shows."""

WINDOW_MINUTES = 60
"""The health report looks for failed runs and ticks this far back: at 07:45 the first run, of 07:00, counts."""

STALE_AFTER, STALE_LOOKS = timedelta(hours=2), 4
"""Tonight's newest line or injury report is stale after this long, and not before so many looks at its source: a report
comes every quarter of an hour, and a star who is ruled out moves his team's lines within minutes."""

LONGEST_BREAK = timedelta(days=10)
"""Days between two dates with games within a season: the All-Star break is seven, so more is a hole in the schedule."""

LINES_WITHIN = timedelta(days=60)
"""The newest prop line is looked for this far back; a home without one has no feed that could be down."""

MERGES_COMPARED = 30
"""A MERGE is compared with at most so many earlier ones."""

LEAST_HISTORY = 3
"""A MERGE is not compared with fewer earlier ones."""

SLOW_FACTOR, SLOW_MS = 5.0, 2_000.0
"""A slow MERGE took this many times the median, and this much longer: the time of a small one varies by chance."""

ROWS_TOLERANCE = 0.2
"""A player has 5 systems x 5 lines = 25 rows a market; more than this share above or below the median is worth a
look, unless it is what the settings ask for."""
