"""``backfill``: a hole in facts and slates is closed in date order, killed anywhere and started again."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg
import pytest
from typer.testing import CliRunner

from prediction_assets.cli.backfill import close, steps
from prediction_assets.cli.commands import app
from prediction_assets.cli.simulated_sources import SimulatedSources, serving, simulated_settings
from prediction_assets.ingest.live.sources import Sources
from prediction_assets.monitoring.coverage import COLUMNS, Cell, Day, coverage
from prediction_assets.orchestration.slate_run import SlateRun
from prediction_assets.settings import load_settings
from prediction_assets.slate.deadlines import Clock
from prediction_assets.slate.keys import slate_key

TODAY = date(2026, 11, 29)
FIRST, HOLE = TODAY - timedelta(days=3), [TODAY - timedelta(days=2), TODAY - timedelta(days=1)]


class StoppedClock(Clock):
    def now(self) -> datetime:
        return datetime(2026, 11, 29, 20, 0, tzinfo=UTC)


class WithAHole(SimulatedSources):
    """Sources that lack the logs of the hole until it is filled."""

    is_filled = False

    def _logs(self) -> list[dict[str, Any]]:
        hole = [] if self.is_filled else [day.isoformat() for day in HOLE]
        return [row for row in super()._logs() if row["GAME_DATE"] not in hole]


class Killed(BaseException):
    """The process is gone."""


def day_with(**cells: Cell) -> Day:
    return Day("2026-01-02", 3, {**dict.fromkeys(COLUMNS, Cell.COMPLETE), **cells})


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ({}, ()),
        ({"game_logs": Cell.MISSING, "lines": Cell.MAY_BE_EMPTY}, ()),
        ({"roster": Cell.MISSING, "predictions": Cell.MISSING, "message": Cell.MISSING}, ("run",)),
        ({"predictions": Cell.PARTIAL}, ("run",)),
        ({"message": Cell.MISSING}, ("announce",)),
        ({"message": Cell.MISSING, "grades": Cell.MISSING}, ("announce", "grade")),
        ({"grades": Cell.MISSING}, ("grade",)),
    ],
)
def test_each_date_gets_the_steps_that_it_lacks(cells, expected) -> None:
    assert steps(day_with(**cells)) == expected


def test_a_hole_of_two_days_is_closed_by_a_backfill_that_is_killed_and_started_again(
    tmp_path, instance: dg.DagsterInstance, monkeypatch, capsys
) -> None:
    clock = StoppedClock()
    feeds = WithAHole(10, clock)
    with serving(feeds) as address:
        settings = load_settings(**simulated_settings(tmp_path), stats_nba_url=address, odds_api_url=address)
        run = SlateRun(settings, instance, {"sources": Sources(settings, clock), "clock": clock})
        run.ingest({"game_logs": {}, "schedule": {}})
        run.train(league="NBA", cutoff=slate_key(FIRST))  # or each slate would fit its own
        run.whole(slate_key(FIRST))

        def lacking() -> dict[str, tuple[str, ...]]:
            found = coverage(run.stores.warehouse, run.stores.outbox, FIRST, TODAY, TODAY)
            return {day.slate: day.missing for day in found if day.missing}

        executed, execute, allowed = [], SlateRun._execute, 0

        def killed_after(self: SlateRun, job: str, **more: Any) -> Any:
            if len(executed) >= allowed:
                raise Killed
            executed.append(job)
            return execute(self, job, **more)

        monkeypatch.setattr(SlateRun, "_execute", killed_after)
        hole = [slate_key(day) for day in HOLE]
        assert list(lacking()) == [slate_key(FIRST), *hole]
        assert set(lacking()[hole[0]]) == {"game_logs", "roster", "predictions", "message", "grades"}
        feeds.is_filled = True
        allowed = 3
        with pytest.raises(Killed):
            close(run, settings, FIRST, TODAY, TODAY)
        allowed = 1000
        assert close(run, settings, FIRST, TODAY, TODAY)
        assert lacking() == {}
        said = capsys.readouterr().out.splitlines()
        assert [line.split(":")[0] for line in said if line.startswith("run")][-2:] == [
            f"run {day}" for day in hole
        ]
        for day in (slate_key(FIRST), *hole):
            entries = run.stores.outbox.entries(day)
            assert [(e.message["revision"], e.delivery_id is not None) for e in entries] == [(1, True)]
        executed.clear()
        assert close(run, settings, FIRST, TODAY, TODAY)
        assert executed == [], "nothing is left to do"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--from", "2026-1-2"], "2026-1-2"),
        (["--from", "2026-01-03", "--to", "2026-01-02"], "is before"),
        (["--from", "2999-01-01"], "is still to come"),
    ],
)
def test_a_refused_argument_leaves_no_home(tmp_path, monkeypatch, arguments, problem) -> None:
    monkeypatch.setenv("PREDICTION_ASSETS_HOME", str(tmp_path / "home"))
    done = CliRunner().invoke(app, ["backfill", *arguments])
    assert problem in str(done.exception)
    assert not (tmp_path / "home").exists()
