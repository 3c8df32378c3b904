"""Runs and schedules beside a wall clock that jumps: nothing waits for it for hours, and both read a cron alike."""

from __future__ import annotations

import ast
import itertools
import re
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._utils.schedules import cron_string_iterator, reverse_cron_string_iterator

import prediction_assets
from prediction_assets.orchestration.run_tags import REQUEST_TAG
from prediction_assets.orchestration.runs import LOST_AFTER, is_lost
from prediction_assets.orchestration.sensors.requests import FIRST_PAUSE, RunNeed, Skipped, request
from prediction_assets.slate.deadlines import roster_hour, roster_hours_before
from prediction_assets.slate.keys import GAME_TIME_ZONE, parse_slate
from prediction_assets_tests.made_up import SLATE

HOUR = timedelta(hours=1)
LOS_ANGELES, BERLIN = "America/Los_Angeles", "Europe/Berlin"
WORK = RunNeed("work", "staging", SLATE)


def test_the_time_is_read_by_the_clock_and_by_three_stores_that_say_why():
    package = Path(prediction_assets.__file__).parent
    reads = re.compile(r"datetime\.now\(|date\.today\(|utcnow\(|\btime\.time\(")
    found = {
        str(p.relative_to(package)): len(reads.findall(p.read_text("utf-8"))) for p in package.rglob("*.py")
    }
    assert {name: count for name, count in found.items() if count} == {
        "slate/deadlines.py": 1,
        "stores/gcp/snapshots.py": 1,  # when Google deletes a snapshot
        "stores/local/outbox.py": 1,
        "stores/local/warehouse.py": 2,  # a MERGE's moment, and whether a game began meanwhile
    }


@pytest.mark.parametrize("folder", ["slate", "steps", "stores"])
def test_no_rule_compares_the_moments_that_two_processes_wrote_down(folder):
    """Outcomes and failures are ordered by fences; their moments are for people."""
    moments = re.compile(r"\b(recorded_at|failed_at)\b")
    for path in (Path(prediction_assets.__file__).parent / folder).rglob("*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        compared = [
            ast.unparse(node)
            for node in ast.walk(tree)
            if isinstance(node, ast.Compare)
            and any(moments.search(ast.unparse(side)) for side in [node.left, *node.comparators])
        ]
        assert compared == [], path
        texts = [
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        ]
        in_sql = [
            text
            for text in texts
            if re.search(r"(recorded_at|failed_at)\s*(<|>|!=)|(<|>)=?\s*\w*\.?(recorded_at|failed_at)", text)
        ]
        assert in_sql == [], path


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as opened:
        yield opened


@pytest.fixture
def failed_run(instance):
    """A run that was asked for and failed just now."""

    @dg.job
    def work():
        pass

    run = instance.create_run_for_job(job_def=work, tags={REQUEST_TAG: "work"})
    instance.report_run_failed(run)
    return run


@pytest.mark.parametrize(
    ("clock_jumps", "asked"),
    [
        (timedelta(0), False),
        (FIRST_PAUSE / 2, False),
        (2 * FIRST_PAUSE, True),
        (-FIRST_PAUSE / 2, False),
        (-3 * HOUR, True),
        (3 * HOUR, True),
    ],
)
def test_the_pause_before_another_attempt_ends_whatever_the_clock_does(
    instance, failed_run, clock_jumps, asked
):
    outcome = request(instance, WORK, datetime.now(UTC) + clock_jumps)
    assert isinstance(outcome, dg.RunRequest) is asked


@pytest.mark.parametrize("clock_jumps", [-3 * HOUR, 3 * HOUR])
def test_attempts_stay_bounded_whatever_the_clock_does(instance, failed_run, clock_jumps):
    outcome = request(instance, replace(WORK, attempts=1), datetime.now(UTC) + clock_jumps)
    assert isinstance(outcome, Skipped)
    assert outcome.is_exhausted
    assert "fix the cause" in outcome.reason


@pytest.mark.parametrize(
    ("clock_jumps", "lost"),
    [
        (timedelta(0), False),
        (LOST_AFTER / 2, False),
        (LOST_AFTER * 2, True),
        (-LOST_AFTER / 2, False),
        (-3 * HOUR, True),
    ],
)
def test_a_silent_run_counts_as_lost_whatever_the_clock_does(instance, failed_run, clock_jumps, lost):
    assert is_lost(instance, failed_run, datetime.now(UTC) + clock_jumps) is lost


@pytest.mark.parametrize("cron", ["0 7 * * *", "30 1 * * *", "30 2 * * *", "0 */6 * * *", "15 3 * * 1-5"])
@pytest.mark.parametrize("time_zone", [LOS_ANGELES, BERLIN, "America/New_York", "UTC"])
@pytest.mark.parametrize("slate", ["2026-03-08", "2026-03-29", "2026-10-25", "2026-11-01", "2026-11-02"])
def test_rosters_are_due_when_dagster_s_schedule_ticks_also_where_clocks_change(cron, time_zone, slate):
    midnight = datetime.combine(parse_slate(slate), time(), GAME_TIME_ZONE)
    first = next(cron_string_iterator(midnight.timestamp(), cron, time_zone))
    # By their seconds: Python calls moments of two zones unequal where a clock change repeats an hour.
    assert roster_hour(slate, cron, time_zone).timestamp() == first.timestamp()
    for moment in (midnight + n * HOUR / 2 for n in range(0, 60, 7)):
        ticked = itertools.islice(reverse_cron_string_iterator(moment.timestamp(), cron, time_zone), 3)
        found = itertools.islice(roster_hours_before(moment, cron, time_zone), 3)
        assert [hour.timestamp() for hour in found] == [tick.timestamp() for tick in ticked]
