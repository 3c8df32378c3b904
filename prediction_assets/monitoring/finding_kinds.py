"""Every kind of finding: how bad it may be, the one command that comes next, and whether an alert is kept.

The health report, the alerts and the asset checks all take severity and command from this table. What a command can't
fix has a sentence in its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from prediction_assets.slate.audits import RUN
from prediction_assets.stores.alert import Severity

INFO, WARNING, ERROR, CRITICAL = list(Severity)[1:]

REPLAY = "prediction-assets dead-letters replay --slate {slate}"
REPUBLISH = "prediction-assets republish --slate {slate}"
REFRESH = "prediction-assets refresh --slate {slate}"
DIFF = "prediction-assets diff --slate {slate}"
STATUS = "prediction-assets status --slate {slate}"
START_THE_DAEMON = "prediction-assets dev"
RESTORE_THE_STATE = (
    "stop everything, put back state.sqlite from a backup or move it away with its -wal and -shm, "
    "then `prediction-assets run`"
)
"""The next step when the state file is damaged; docs/runbook.md says what is lost without a backup."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One row of the table."""

    # those that a finding of the kind can have beside info, which is "under way"; mildest first
    severities: tuple[Severity, ...]
    # the next step. Slate and files are filled in; of facts with a source in the settings no file is named.
    command: str
    page: str = ""  # the page of the UI, as `PAGES` names it, and its asset: `asset:schedule`
    alerts_from: Severity | None = None  # an alert is kept from this severity on; None: never
    # it happened and doesn't last: its alert is sent once, and nothing says that it is over
    is_event: bool = False


KINDS: Mapping[str, Kind] = {
    # the batch
    "no_schedule": Kind((ERROR,), "prediction-assets ingest{game_logs}{schedule}{prop_lines}"),
    "schedule_ended": Kind((WARNING,), "prediction-assets ingest{schedule}", "asset:schedule"),
    "never_opened": Kind((INFO,), RUN),
    "no_roster": Kind((ERROR, CRITICAL), RUN, "asset:slate_roster", CRITICAL),
    "games_changed": Kind((WARNING,), f"{RUN} --reopen", "asset:schedule"),
    "schedule_hole": Kind((WARNING,), "prediction-assets ingest{schedule}{game_logs}", "asset:schedule"),
    "no_game_logs": Kind((WARNING,), f"{RUN} --reopen{{game_logs}}", "asset:game_logs"),
    "unsettled": Kind((WARNING, ERROR), RUN, "partition:predictions"),
    "failed_players": Kind((WARNING, ERROR), REPLAY, "asset:dead_letters"),
    "no_receipt": Kind((CRITICAL,), RUN, "partition:predictions", CRITICAL),
    "outdated_receipt": Kind((ERROR,), RUN, "partition:predictions"),
    "nothing_yet": Kind((ERROR,), RUN),
    # its receipt and its message
    "behind_warehouse": Kind((ERROR,), RUN, "partition:predictions"),
    "unknown_receipt": Kind((ERROR,), RUN, "partition:predictions"),
    "unchecked_receipt": Kind((ERROR,), RUN, "partition:predictions"),
    "partial_receipt": Kind((WARNING,), REPLAY, "partition:predictions", WARNING),
    "rows_lost": Kind((CRITICAL,), RUN, "partition:predictions"),
    "empty_merge": Kind((CRITICAL,), RUN, "partition:predictions", CRITICAL),
    "unusual_rows": Kind((WARNING,), RUN, "partition:predictions"),
    "slow_merge": Kind((WARNING,), "prediction-assets health --slate {slate} --verbose", "partition:predictions"),
    "unpublished": Kind((ERROR, CRITICAL), REPUBLISH, "partition:phase5_completion", CRITICAL),
    "unacknowledged": Kind((WARNING, CRITICAL), REPUBLISH, "partition:phase5_completion", CRITICAL),
    "missing_delivery": Kind((ERROR,), REPUBLISH, "partition:phase5_completion"),
    # its rows and its parts
    "rows_differ": Kind((ERROR, CRITICAL), RUN, "partition:predictions"),
    "few_rows": Kind((WARNING, ERROR), RUN, "partition:predictions"),
    "no_lines": Kind((WARNING,), f"{RUN}{{prop_lines}}", "asset:prop_lines"),
    "late_lines": Kind((WARNING,), RUN, "asset:prop_lines"),
    "out_in_force": Kind((ERROR,), REFRESH, "partition:predictions", ERROR),
    "line_gone": Kind((WARNING,), REFRESH, "partition:predictions", WARNING),
    "older_facts": Kind((WARNING,), REFRESH, "partition:predictions", WARNING),
    "refreshed": Kind((INFO, WARNING, ERROR, CRITICAL), DIFF, "partition:predictions", INFO, is_event=True),
    "lost_parts": Kind((ERROR,), RUN),
    "leftovers": Kind((WARNING,), "prediction-assets clean-up --slate {slate}"),
    "strays": Kind((WARNING,), "prediction-assets clean-up --slate {slate}"),
    "pending_parts": Kind((WARNING,), RUN),
    "mixed_versions": Kind((ERROR,), RUN),
    "other_versions": Kind((WARNING,), RUN),
    # what failed
    "dead_letters": Kind((WARNING, ERROR, CRITICAL), REPLAY, "asset:dead_letters", ERROR),
    "run": Kind((WARNING, ERROR, CRITICAL), RUN, alerts_from=WARNING),
    "tick": Kind((WARNING, ERROR), "prediction-assets run", alerts_from=WARNING),
    "check": Kind((WARNING, ERROR), RUN, alerts_from=WARNING),
    # the installation
    "daemon": Kind((WARNING,), START_THE_DAEMON, "daemons", WARNING),
    "stale": Kind((WARNING,), "prediction-assets ingest", alerts_from=WARNING),
    "source": Kind((WARNING,), "prediction-assets ingest"),
    "quarantine": Kind((WARNING,), "prediction-assets quarantine list"),
    "damaged_state": Kind((CRITICAL,), RESTORE_THE_STATE),
    "unreadable": Kind((ERROR,), "prediction-assets health --slate {slate}"),
}  # fmt: skip
"""By the first word of a finding's key, in the order in which a slate passes them."""

OF_JOB: Mapping[str, str] = {
    "completion": REPUBLISH,
    "ingest": "prediction-assets ingest",
    "training": "prediction-assets train",
    "grading": "prediction-assets grade --from {slate} --to {slate}",
    "prune": "prediction-assets prune",
    "morning_check": "prediction-assets health",
    "list_dead_letters": "prediction-assets dead-letters list",
}
"""The command that does a failed job's work; for every other job it is the slate's run."""

OF_CHECK: Mapping[str, str] = {
    "morning_check": "prediction-assets health",
    "nothing_in_quarantine": "prediction-assets quarantine list",
    "challenger_is_promoted": "prediction-assets models",
}
"""The command for a failed asset check that is no audit of a slate."""

OF_TICK: Mapping[str, str] = {
    "daily_facts": "prediction-assets ingest",
    "tonights_facts": "prediction-assets ingest",
    "weekly_training": "prediction-assets train",
    "daily_prune": "prediction-assets prune",
    "daily_morning_check": "prediction-assets health",
    "alerts_sensor": "prediction-assets alerts check",
    "alert_delivery_sensor": "prediction-assets alerts check",
    "telemetry_sensor": "prediction-assets health",
}
"""The command that does by hand what a sensor or schedule does; for every other one it is tonight's run."""


EVENTS = frozenset(name for name, kind in KINDS.items() if kind.is_event)
"""The kinds of what happened and doesn't last."""


def command_of_check(name: str, slate: str) -> str:
    """Return the one next command after an asset check failed, as the asset check's own page shows it."""
    return OF_CHECK.get(name, RUN).format(slate=slate)
