"""Dagster's runs that ended long ago, with their events, check results and logs.

All of these go before the run that they are found by, so that nothing is orphaned. A materialization of an old run is
gone from the UI with it; rows, receipts and batch state are not there. Ticks are Dagster's own to purge
(``retention`` in ``dagster.yaml``).
https://docs.dagster.io/deployment/execution/run-monitoring
"""

import dagster as dg

from prediction_assets.orchestration.event_storage import delete_check_executions
from prediction_assets.retention.kinds import History, Pruned

RUNS_PER_SLICE = 200
"""Runs that one slice deletes. A day adds some 20."""

_ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]


def prune_runs(history: History, keep_days: int, dry_run: bool) -> Pruned:
    """Delete one slice of the runs that ended before they are kept, oldest first; one in progress never."""
    instance = history.instance
    ended_before = dg.RunsFilter(statuses=_ENDED, updated_before=history.before(keep_days))
    old = instance.get_runs_count(ended_before)
    found = instance.get_run_records(ended_before, limit=RUNS_PER_SLICE, ascending=True)
    if not dry_run:
        run_ids = [record.dagster_run.run_id for record in found]
        for run_id in run_ids:
            instance.event_log_storage.delete_events(run_id)
            instance.compute_log_manager.delete_logs(prefix=[run_id])
        delete_check_executions(instance.event_log_storage, run_ids)
        for run_id in run_ids:
            instance.delete_run(run_id)
    return Pruned(len(found), left=old - len(found))
