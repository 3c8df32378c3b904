"""A day of the gcp profile in calls: what each sensor's tick takes while nothing happens, and what a slate takes.

Firestore is an emulator; the warehouse is a local one that counts BigQuery's jobs, and messages are files.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest

from prediction_assets.orchestration.instance import open_instance
from prediction_assets.orchestration.slate_run import SlateRun
from prediction_assets.settings import load_settings
from prediction_assets.simulation.slates import simulated_facts, simulated_slate
from prediction_assets.slate.deadlines import Clock
from prediction_assets.stores.gcp import batch_state
from prediction_assets.stores.gcp.remembered import Remembered
from prediction_assets.stores.local.stores import LocalStores
from prediction_assets_tests.google_calls import READS, Calls, CountedWarehouse, counted
from prediction_assets_tests.orchestration.sensors.ticking import tick

RECENT_SLATES = 3
"""That sensors look at: one a day, for three days."""

SETTLING_TICKS = 10
"""Of each sensor, while a slate's outcomes arrive and for a minute after; they read all outcomes."""

_SECONDS_OF_DAY = 86_400
_OF_EACH_SLATE = {
    "staging_sensor", "consolidation_sensor", "phase5_completion_sensor", "gap_sensor", "alerts_sensor",
}  # fmt: skip
"""The other sensors look at tonight's slate, or at what belongs to none."""
_NOON = time(17)
"""In UTC: after the roster's hour and before any tip-off."""


class CountedRemembered(Remembered[Any]):
    """What is remembered, with the number of times that it was asked for."""

    asked = 0

    def get(self, *args: Any, **named: Any) -> Any:
        self.asked += 1
        return super().get(*args, **named)


@dataclass(frozen=True)
class Ticks:
    """One idle tick of a sensor.

    Attributes:
        a_day: how often it ticks.
        slates: how many slates it looks at on a usual day.
        calls: what it takes with one slate.
        looks: how often it looks at the outcomes of a slate.
    """

    a_day: int
    slates: int
    calls: Calls
    looks: int


@dataclass(frozen=True)
class Day:
    """What was counted with one size of slate."""

    players: int
    sensors: Mapping[str, Ticks]
    slate: Calls

    def idle(self, players: int = 0) -> Calls:
        """Return an idle day's calls.

        Args:
            players: of each slate, if every look read an outcome of each, as before anything was remembered.
        """
        total: Calls = Counter()
        for each in self.sensors.values():
            for kind, number in each.calls.items():
                total[kind] += each.a_day * each.slates * number
            if players:
                total[READS] += each.a_day * each.slates * each.looks * (players - 1)
        return total

    def with_slate(self) -> Calls:
        """Return the calls of a day with one slate: an idle day's, the slate's runs, and looks while it settles."""
        looks = sum(each.looks for each in self.sensors.values() if each.a_day >= 1440)
        return self.idle() + self.slate + Counter({READS: SETTLING_TICKS * looks * self.players})


@contextmanager
def counting(home: Any, project: str, players: int, **settings: Any) -> Iterator[tuple[SlateRun, Calls, str]]:
    """Open a new installation with the facts of a league, whose clock stands at noon of the slate."""
    chosen = load_settings(profile="gcp", gcp_project=project, home=home, **settings)
    slate = simulated_slate(players)

    class Noon(Clock):
        def now(self) -> datetime:
            return datetime.combine(slate, _NOON, UTC)

    local = LocalStores(chosen)
    with open_instance(chosen) as instance, counted() as calls:
        replaced = {
            "warehouse": CountedWarehouse(local.warehouse, calls, chosen.staging_layout),
            "publisher": local.publisher,
            "clock": Noon(),
        }
        run = SlateRun(chosen, instance, replaced)
        run.ingest(simulated_facts(players))
        yield run, calls, slate.isoformat()


def measured(home: Any, project: str, players: int, **settings: Any) -> Day:
    """Count a slate's calls, and those of each sensor's tick after it."""
    with (
        counting(home, project, players, **settings) as (run, calls, slate),
        pytest.MonkeyPatch.context() as patch,
    ):
        before = Counter(calls)
        patch.setattr(
            batch_state, "_SETTLED", timedelta.max
        )  # each run is a process, which remembers nothing
        run.whole(slate)
        of_slate = calls - before
        outcomes = CountedRemembered(8)
        patch.setattr(batch_state, "_outcomes", outcomes)
        patch.setattr(batch_state, "_SETTLED", timedelta(0))  # a minute has passed
        sensors = {
            sensor.name: Ticks(
                _SECONDS_OF_DAY // (sensor.minimum_interval_seconds or 30),
                RECENT_SLATES if sensor.name in _OF_EACH_SLATE else 1,
                *_idle_tick(run, sensor.name, calls, outcomes),
            )
            for sensor in run._defs.sensors or ()
        }
    return Day(players, sensors, of_slate)


def _idle_tick(run: SlateRun, sensor: str, calls: Calls, outcomes: CountedRemembered) -> tuple[Calls, int]:
    """Return what the second of two ticks takes, and its looks at outcomes."""
    cursor = tick(run, sensor).cursor
    before, asked = Counter(calls), outcomes.asked
    tick(run, sensor, cursor)
    return calls - before, outcomes.asked - asked


def of_players(small: Day, large: Day, players: int) -> Day:
    """Return the day of another number of players, from two sizes with full staging runs.

    A slate takes a constant, and something for each player and each run.
    """
    further = (players - small.players) / (large.players - small.players)
    kinds = small.slate.keys() | large.slate.keys()
    slate = {
        kind: round(small.slate[kind] + further * (large.slate[kind] - small.slate[kind])) for kind in kinds
    }
    return Day(players, large.sensors, Counter(slate))
